//! Every rule: a configuration that it is reported for, where, and one beside it that is clean.

use kdc_otp_config::{FileAccess, FinalRule, KdcBuild, MemoryFiles, Outcome, Rule, Severity, check};

use crate::{files, kdc, report};

/// Rules and lines of the findings on an `[otp]` section.
fn found(otp: &str) -> Vec<(Rule, usize)> {
    let line = |finding: &kdc_otp_config::Finding| finding.position().map_or(0, |position| position.line());
    report(otp)
        .findings()
        .iter()
        .map(|finding| (finding.rule(), line(finding)))
        .collect()
}

const UDP: &str = "  server = 127.0.0.1:1812\n  secret = good\n";

#[test]
fn a_sound_configuration_has_no_findings() {
    let typical = format!(
        " # VPN\n DEFAULT = {{\n  strip_realm = false\n }}\n vpn = {{\n{UDP}  timeout = 4\n  retries = 1\n  \
         indicator = otp\n  indicator = hardened\n }}\n"
    );
    assert_eq!(found(&typical), []);
}

#[test]
fn keys_and_types() {
    for (otp, expected) in [
        (" stray = 1\n", vec![(Rule::RelationOutsideType, 2)]),
        (
            " t = {\n  indicators = a\n  Timeout = 3\n }\n",
            vec![(Rule::UnknownKey, 3), (Rule::UnknownKey, 4)],
        ),
        (
            " t = {\n  server = {\n  }\n }\n",
            vec![(Rule::NestedSubsection, 3)],
        ),
        (
            " t = {\n  timeout = 3\n  timeout = 4\n }\n",
            vec![(Rule::RepeatedKey, 4)],
        ),
        (
            " t = {\n  indicator = a b\n  indicator = \"\"\n }\n",
            vec![(Rule::Indicator, 3), (Rule::Indicator, 4)],
        ),
        (" default = {\n }\n", vec![(Rule::DefaultCase, 2)]),
        (" DEFAULT = {\n }\n", vec![(Rule::DefaultStripRealm, 2)]),
        (" t* = {\n }\n", vec![(Rule::FinalMark, 2)]),
        (" t = {\n  timeout* = 3\n }\n", vec![(Rule::FinalMark, 3)]),
        ("[OTP]\n t = {\n }\n", vec![(Rule::SectionCase, 2)]),
    ] {
        assert_eq!(found(otp), expected, "{otp}");
    }
}

/// The name of a secret file can hold anything but a line end.
#[test]
fn messages_are_one_printable_line() {
    let report = report(" t = {\n  server = h\n  secret = a\u{2}\u{1b}[2Jb\n }\n");
    for finding in report.findings() {
        assert!(!finding.to_string().contains(char::is_control), "{finding}");
    }
    let Outcome::WithoutOtp(error) = report.outcome() else {
        panic!("{:?}", report.outcome());
    };
    assert_eq!(
        error.to_string(),
        "kdc.conf:4: cannot open the secret file /etc/krb5kdc/a\\u{2}\\u{1b}[2Jb: entity not found"
    );
}

#[test]
fn servers() {
    let path = |length: usize| format!("/{}", "x".repeat(length - 1));
    let long = path(108);
    for (server, expected) in [
        ("\"\"", Some(Rule::ServerEmpty)),
        (&long, Some(Rule::SocketPath)),
        (&path(107), None),
        ("[::1]:1812", Some(Rule::ServerIpv6)),
        ("[2001:db8::1]", Some(Rule::ServerIpv6)),
        ("::1", Some(Rule::ServerIpv6)),
        ("udp://h:1812", Some(Rule::ServerName)),
        ("run/x.socket", Some(Rule::ServerName)),
        ("a b", Some(Rule::ServerName)),
        (":1812", Some(Rule::ServerName)),
        ("127.0.0.1:0", Some(Rule::ServerPort)),
        ("127.0.0.1:65536", Some(Rule::ServerPort)),
        ("127.0.0.1:", Some(Rule::ServerPort)),
        ("127.0.0.1:65535", None),
        ("127.0.0.1:radius", None),
        ("127.0.0.1", None),
        ("radius.example.com:1812", Some(Rule::ServerLookup)),
    ] {
        let secret = if server.starts_with('/') {
            ""
        } else {
            "  secret = good\n"
        };
        let rules = found(&format!(" t = {{\n  server = {server}\n{secret} }}\n"));
        assert_eq!(
            rules,
            expected.map(|rule| (rule, 3)).into_iter().collect::<Vec<_>>(),
            "{server}"
        );
    }
}

/// Where no server is written, the KDC makes the path of the socket of the type's name.
#[test]
fn a_long_name_makes_a_long_socket_path() {
    let fixed = "/run/krb5kdc/".len() + ".socket".len();
    for (length, expected) in [(107, vec![]), (108, vec![(Rule::SocketPath, 2)])] {
        let name = "t".repeat(length - fixed);
        assert_eq!(found(&format!(" {name} = {{\n }}\n")), expected, "{length}");
    }
}

/// What kdc_conf.rst and pages of old releases show.
#[test]
fn spellings_of_old_documentation() {
    for (otp, expected) in [
        // The secret itself instead of the name of a file.
        (
            " vpn = {\n  server = 10.0.0.1:1812\n  secret = SEmfiajf42$\n  timeout = 15\n  retries = 5\n  strip_realm = true\n }\n",
            vec![(Rule::SecretUnreadable, 4)],
        ),
        (
            " vpn = {\n  server = 10.0.0.1\n  secret = \"open sesame\"\n }\n",
            vec![(Rule::SecretUnreadable, 4)],
        ),
        // A socket by its name alone, which is a host then.
        (
            " vpn = {\n  server = vpn.socket\n  secret = good\n }\n",
            vec![(Rule::ServerLookup, 3)],
        ),
        // The IPv6 address as the documentation writes it.
        (
            " vpn = {\n  server = [2001:db8::1]:1812\n  secret = good\n }\n",
            vec![(Rule::ServerIpv6, 3)],
        ),
        (
            " vpn = {\n  server = radius://10.0.0.1\n  secret = good\n }\n",
            vec![(Rule::ServerName, 3)],
        ),
        // Keys of the user string, and of other sections.
        (
            " vpn = {\n  type = x\n  username = y\n  indicators = z\n  realm = R\n }\n",
            vec![
                (Rule::UnknownKey, 3),
                (Rule::UnknownKey, 4),
                (Rule::UnknownKey, 5),
                (Rule::UnknownKey, 6),
            ],
        ),
        (" vpn = {\n  timeout = 5s\n }\n", vec![(Rule::Integer, 3)]),
        (
            " vpn = {\n  timeout = 5 # seconds\n }\n",
            vec![(Rule::Integer, 3)],
        ),
        (
            " vpn = {\n  strip_realm = true # no realm\n }\n",
            vec![(Rule::Boolean, 3)],
        ),
        (
            " vpn = {\n  strip_realm = enabled\n }\n",
            vec![(Rule::Boolean, 3)],
        ),
    ] {
        assert_eq!(found(otp), expected, "{otp}");
    }
    for secret in ["SEmfiajf42$", "\"open sesame\""] {
        let otp = format!(" vpn = {{\n  server = 10.0.0.1\n  secret = {secret}\n }}\n");
        let advice = report(&otp).findings()[0].advice().to_owned();
        assert!(advice.contains("put the secret into a file"), "{advice}");
    }
}

/// `DEFAULT` as the KDC makes it up, and as an admin may write it: with and without the realm.
#[test]
fn the_two_defaults_differ_in_the_realm() {
    let strips = |otp: &str| report(otp).find(b"DEFAULT").unwrap().strip_realm();
    assert!(!strips(""), "made up");
    assert!(strips(" DEFAULT = {\n }\n"), "written");
    assert!(!strips(" DEFAULT = {\n  strip_realm = no\n }\n"));
    assert_eq!(found(" DEFAULT = {\n }\n"), [(Rule::DefaultStripRealm, 2)]);
    for value in ["yes", "no"] {
        assert_eq!(
            found(&format!(" DEFAULT = {{\n  strip_realm = {value}\n }}\n")),
            []
        );
    }
}

#[test]
fn secrets() {
    let udp = "  server = 127.0.0.1\n";
    for (otp, expected) in [
        (udp.to_owned(), vec![(Rule::SecretMissing, 2)]),
        (
            format!("{udp}  secret = testing123\n"),
            vec![(Rule::SecretUnreadable, 4)],
        ),
        (format!("{udp}  secret = empty\n"), vec![(Rule::SecretEmpty, 4)]),
        (format!("{udp}  secret = dir\n"), vec![(Rule::SecretEmpty, 4)]),
        (format!("{udp}  secret = blank\n"), vec![(Rule::SecretBlank, 4)]),
        (format!("{udp}  secret = short\n"), vec![(Rule::SecretShort, 4)]),
        (
            format!("{udp}  secret = lines\n"),
            vec![(Rule::SecretIgnoredText, 4)],
        ),
        (format!("{udp}  secret = blanks\n"), vec![(Rule::SecretBlanks, 4)]),
        (format!("{udp}  secret = good\n"), vec![]),
        ("  secret = good\n".to_owned(), vec![(Rule::SecretOnSocket, 3)]),
        ("  secret = blank\n".to_owned(), vec![(Rule::SecretOnSocket, 3)]),
    ] {
        assert_eq!(found(&format!(" t = {{\n{otp} }}\n")), expected, "{otp}");
    }
    let inline = report(&format!(" t = {{\n{udp}  secret = testing123\n }}\n"));
    assert!(
        inline.findings()[0]
            .advice()
            .contains("put the secret into a file"),
        "{:?}",
        inline.findings()
    );
}

#[test]
fn others_can_read_the_secret() {
    struct Modes(MemoryFiles, u32);
    impl FileAccess for Modes {
        fn read(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            self.0.read(path)
        }
        fn list(&self, directory: &std::path::Path) -> std::io::Result<Vec<std::ffi::OsString>> {
            self.0.list(directory)
        }
        fn is_directory(&self, path: &std::path::Path) -> bool {
            self.0.is_directory(path)
        }
        fn mode(&self, _: &std::path::Path) -> Option<u32> {
            Some(self.1)
        }
    }
    let text = format!("[otp]\n t = {{\n{UDP} }}\n");
    for (mode, expected) in [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1)] {
        let report = check(["kdc.conf"], &Modes(files(&[("kdc.conf", &text)]), mode), &kdc());
        let reported = report
            .findings()
            .iter()
            .filter(|finding| finding.rule() == Rule::SecretPermissions);
        assert_eq!(reported.count(), expected, "{mode:o}");
    }
}

#[test]
fn numbers() {
    let unix = "  server = /run/x\n";
    for (server, keys, expected) in [
        (unix, "  strip_realm = \"true \"\n", vec![(Rule::Boolean, 4)]),
        (unix, "  timeout = 5s\n", vec![(Rule::Integer, 4)]),
        (unix, "  retries = 1.5\n", vec![(Rule::Integer, 4)]),
        (unix, "  retries = 3\n", vec![(Rule::RetriesOnSocket, 4)]),
        (unix, "  timeout = -1\n", vec![(Rule::Timeout, 4)]),
        (unix, "  timeout = 0\n", vec![(Rule::Timeout, 4)]),
        (unix, "  timeout = 2147484\n", vec![(Rule::Timeout, 4)]),
        (unix, "  timeout = 31\n", vec![(Rule::TimeoutLong, 4)]),
        (unix, "  timeout = 30\n", vec![]),
        (UDP, "  retries = -1\n", vec![(Rule::Retries, 5)]),
        (UDP, "  retries = -2\n", vec![(Rule::Retries, 5)]),
        (UDP, "  retries = 0\n", vec![]),
        (UDP, "  timeout = 1\n  retries = 2000\n", vec![(Rule::PerTry, 6)]),
        (
            UDP,
            "  timeout = 1\n  retries = 10\n",
            vec![(Rule::PerTryShort, 6)],
        ),
        (UDP, "  timeout = 1\n  retries = 9\n", vec![]),
    ] {
        assert_eq!(
            found(&format!(" t = {{\n{server}{keys} }}\n")),
            expected,
            "{server} {keys}"
        );
    }
}

#[test]
fn files_as_a_whole() {
    let long = format!("[otp]\n#{}\n", "x".repeat(2047));
    let fits = format!("[otp]\n#{}\n", "x".repeat(2046));
    for (text, expected) in [
        (
            "\u{feff}[otp]\n t = {\n }\n",
            vec![(Rule::NoSection, 0), (Rule::ByteOrderMark, 1)],
        ),
        (
            "text\n [otp]\n t = {\n }\n",
            vec![(Rule::NoSection, 0), (Rule::IndentedHeader, 2)],
        ),
        (&long, vec![(Rule::Profile, 2), (Rule::LongLine, 2)]),
        (&fits, vec![]),
        ("[realms]\n", vec![(Rule::NoSection, 0)]),
        ("[otp]\n}\n", vec![(Rule::Profile, 2)]),
        ("include /none\n", vec![(Rule::Profile, 1)]),
        ("module /x.so:y\n", vec![(Rule::Profile, 1)]),
        // An included file is looked at as well.
        ("include /i\n[otp]\n", vec![(Rule::IndentedHeader, 1)]),
    ] {
        let files = files(&[("kdc.conf", text), ("/i", " [otp]\n")]);
        let report = check(["kdc.conf"], &files, &kdc());
        let line =
            |finding: &kdc_otp_config::Finding| finding.position().map_or(0, |position| position.line());
        let found: Vec<_> = report
            .findings()
            .iter()
            .map(|finding| (finding.rule(), line(finding)))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }
}

#[test]
fn two_files() {
    let files = files(&[
        ("kdc.conf", "[otp]\n t = {\n  timeout = 3\n }\n"),
        ("krb5.conf", "[otp]\n t = {\n  timeout = 4\n  indicator = a\n }\n"),
    ]);
    let report = check(["kdc.conf", "krb5.conf"], &files, &kdc());
    let found: Vec<_> = report
        .findings()
        .iter()
        .map(|finding| (finding.rule(), finding.position().unwrap().to_string()))
        .collect();
    let expected = [
        (Rule::TypeInSeveralFiles, "krb5.conf:2"),
        (Rule::RepeatedKey, "krb5.conf:3"),
    ];
    assert_eq!(
        found,
        expected.map(|(rule, position)| (rule, position.to_owned()))
    );
}

#[test]
fn the_version_decides_what_final_hides() {
    let files = files(&[
        ("kdc.conf", "[otp]\n o* = {\n }\n"),
        ("krb5.conf", "[otp]\n t = {\n }\n"),
    ]);
    for (rule, expected) in [(FinalRule::Before1_22, 3), (FinalRule::Since1_22, 2)] {
        let build = KdcBuild::new("/etc/krb5kdc", "/run/krb5kdc", rule);
        assert_eq!(
            check(["kdc.conf", "krb5.conf"], &files, &build).types().len(),
            expected
        );
    }
}

#[test]
fn findings_are_text_and_values() {
    let report = report(" t = {\n  timeout = 5s\n }\n");
    let finding = &report.findings()[0];
    assert_eq!(
        finding.to_string(),
        "kdc.conf:3: error: t: timeout: \"5s\" is not a whole number; the KDC runs without OTP; \
         write whole seconds, such as 5 [integer]"
    );
    assert_eq!(
        (finding.token_type(), finding.key()),
        (Some("t"), Some("timeout"))
    );
    assert_eq!(
        (finding.severity(), report.worst()),
        (Severity::Error, Some(Severity::Error))
    );
    assert!(Severity::Note < Severity::Warning && Severity::Warning < Severity::Error);
}

#[test]
#[cfg(unix)]
fn files_on_disk() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("secret"), "0123456789abcdef\n").unwrap();
    std::fs::write(
        path("kdc.conf"),
        "[otp]\n t = {\n  server = 127.0.0.1\n  secret = secret\n }\n",
    )
    .unwrap();
    let build = KdcBuild::new(dir.path(), "/run/krb5kdc", FinalRule::Since1_22);
    for (mode, expected) in [(0o644, vec![Rule::SecretPermissions]), (0o600, vec![])] {
        std::fs::set_permissions(path("secret"), std::fs::Permissions::from_mode(mode)).unwrap();
        let report = check(
            [path("kdc.conf"), path("krb5.conf")],
            &kdc_otp_config::Filesystem,
            &build,
        );
        let found: Vec<_> = report.findings().iter().map(|finding| finding.rule()).collect();
        assert_eq!(found, expected, "{mode:o}");
        assert_eq!(report.find(b"t").unwrap().secret().expose(), b"0123456789abcdef");
    }
}
