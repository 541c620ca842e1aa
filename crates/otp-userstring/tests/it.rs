//! Properties of the decoder, and the commands run by a real `kadmin.local`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use otp_userstring::{DecodeError, Token, UserString};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn octets(length: std::ops::RangeInclusive<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![3 => b' '..=b'~', 1 => 1..=u8::MAX], length)
}

fn token() -> impl Strategy<Value = Token> {
    let indicators = vec(octets(1..=12), 0..4);
    (
        option::of(octets(1..=20)),
        option::of(octets(1..=253)),
        option::of(indicators),
    )
        .prop_map(|(token_type, username, indicators)| {
            let mut token = Token::default();
            if let Some(token_type) = token_type {
                token = token.with_type(token_type).unwrap();
            }
            if let Some(username) = username {
                token = token.with_username(username).unwrap();
            }
            if let Some(indicators) = indicators {
                token = token.with_indicators(indicators).unwrap();
            }
            token
        })
}

fn user_string() -> impl Strategy<Value = UserString> {
    vec(token(), 1..4).prop_map(|tokens| UserString::new(tokens).unwrap())
}

/// Text made of pieces that the grammar knows, so that many of them get far.
fn almost_json() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        " ",
        "\"",
        "\\u00E9",
        "\\u0000",
        "\\",
        "-",
        "0",
        "9223372036854775808",
        "null",
        "true",
        "\"type\"",
        "\"username\"",
        "\"indicators\"",
        "\"a\"",
        "[{",
        "}]",
        "\0",
        "\u{e9}",
    ]);
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn check_decodable(text: &[u8]) -> Result<(), TestCaseError> {
    match UserString::decode(text) {
        Err(DecodeError::Truncated { at }) => prop_assert!(at <= text.len()),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
        Ok(decoded) => {
            prop_assert!(decoded.warnings.iter().all(|warning| warning.at <= text.len()));
            let canonical = decoded.user_string.to_json();
            let again = UserString::decode(canonical.as_bytes()).unwrap();
            prop_assert_eq!(&again.user_string, &decoded.user_string);
            prop_assert_eq!(again.user_string.to_json(), canonical);
        }
    }
    Ok(())
}

/// `octets` as the text that a Latin-1 reader of the canonical form sees.
fn latin1(octets: &[u8]) -> serde_json::Value {
    octets.iter().copied().map(char::from).collect::<String>().into()
}

proptest! {
    #[test]
    fn any_octets_are_a_value_or_an_error(text in vec(any::<u8>(), 0..200)) {
        check_decodable(&text)?;
    }

    #[test]
    fn almost_valid_text_is_a_value_or_an_error(text in almost_json()) {
        check_decodable(text.as_bytes())?;
    }

    #[test]
    fn canonical_form_round_trips(user_string in user_string()) {
        let json = user_string.to_json();
        prop_assert!(json.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
        prop_assert_eq!(UserString::decode(json.as_bytes()).unwrap().user_string, user_string);
    }

    #[test]
    fn every_truncation_is_refused(user_string in user_string()) {
        let json = user_string.to_json();
        for length in 1..json.len() {
            let refused = UserString::decode(&json.as_bytes()[..length]);
            prop_assert_eq!(refused, Err(DecodeError::Truncated { at: length }));
        }
        prop_assert_eq!(UserString::decode(b""), Err(DecodeError::Empty));
    }

    /// The canonical form is JSON in the sense of RFC 8259, too.
    #[test]
    fn canonical_form_is_rfc8259_json(user_string in user_string()) {
        let value: serde_json::Value = serde_json::from_str(&user_string.to_json()).unwrap();
        prop_assert_eq!(value.as_array().unwrap().len(), user_string.tokens().len());
        for (value, token) in value.as_array().unwrap().iter().zip(user_string.tokens()) {
            prop_assert_eq!(value.get("type").cloned(), token.token_type().map(latin1));
            prop_assert_eq!(value.get("username").cloned(), token.username().map(latin1));
            let indicators = token.indicators().map(|all| all.iter().map(|one| latin1(one)).collect());
            prop_assert_eq!(value.get("indicators").cloned(), indicators);
        }
    }
}

/// A realm of its own in a temporary directory, administered by the installed MIT krb5.
struct Realm {
    directory: tempfile::TempDir,
}

impl Realm {
    fn create() -> Self {
        let realm = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let path = realm.directory.path().display();
        fs::write(
            realm.file("krb5.conf"),
            "[libdefaults]\n default_realm = EXAMPLE.COM\n",
        )
        .unwrap();
        let kdc_conf = format!(
            "[realms]\n EXAMPLE.COM = {{\n  database_name = {path}/principal\n  key_stash_file = {path}/stash\n  \
             acl_file = {path}/acl\n }}\n[logging]\n default = FILE:{path}/log\n"
        );
        fs::write(realm.file("kdc.conf"), kdc_conf).unwrap();
        realm.run(realm.command("kdb5_util", &["create", "-s", "-P", "master"]), "");
        realm
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("KRB5_CONFIG", self.file("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.file("kdc.conf"));
        command
    }

    fn run(&self, mut command: Command, input: &str) -> String {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{command:?}: {error}; Debian has it in krb5-kdc or krb5-admin-server")
            });
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        assert!(
            status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    /// Adds `principal`, which stands in the form that `kadmin` parses.
    fn add(&self, principal: &str) {
        self.run(
            self.command("kadmin.local", &["addprinc", "-nokey", principal]),
            "",
        );
    }

    /// The stored attribute, with the old value removed.
    fn take(&self, principal: &str) -> String {
        let listed = self.run(self.command("kadmin.local", &["getstrs", principal]), "");
        self.run(self.command("kadmin.local", &["delstr", principal, "otp"]), "");
        listed
            .strip_prefix("otp: ")
            .and_then(|rest| rest.strip_suffix('\n'))
            .expect(&listed)
            .to_owned()
    }
}

#[test]
fn kadmin_stores_exactly_the_canonical_form() {
    let realm = Realm::create();
    let user_strings = [
        UserString::default(),
        UserString::new([Token::default().with_type("otp").unwrap()]).unwrap(),
        UserString::new([
            Token::default()
                .with_type("two words")
                .unwrap()
                .with_indicators(["a", "b"])
                .unwrap(),
            Token::default()
                .with_username("o'br\\ie\"n ünï\t$(id) `id` !! ~ #")
                .unwrap(),
        ])
        .unwrap(),
        UserString::new([Token::default().with_type(vec![b'"'; 10_000]).unwrap()]).unwrap(),
    ];
    let principals = [
        "alice",
        "HTTP/www.example.com@EXAMPLE.COM",
        "two words",
        "we\"ird",
        "o'brien",
        r"a\/b",
        "$(id)",
    ];
    for principal in principals {
        realm.add(principal);
        for user_string in &user_strings {
            let json = user_string.to_json();

            // At the prompt.
            let line = user_string.kadmin_line(principal).unwrap();
            realm.run(realm.command("kadmin.local", &[]), &format!("{line}\n"));
            assert_eq!(realm.take(principal), json, "{principal}: prompt");

            // The same line after -q.
            realm.run(realm.command("kadmin.local", &["-q", &line]), "");
            assert_eq!(realm.take(principal), json, "{principal}: -q");

            // Through a shell.
            let command = user_string.kadmin_command(principal).unwrap();
            realm.run(realm.command("sh", &["-c", &command]), "");
            assert_eq!(realm.take(principal), json, "{principal}: shell");

            // Without a shell.
            let [program, arguments @ ..] = user_string.kadmin_argv(principal).unwrap();
            let arguments = arguments.each_ref().map(String::as_str);
            realm.run(realm.command(&program, &arguments), "");
            assert_eq!(realm.take(principal), json, "{principal}: words");
        }
    }
}

#[test]
fn the_longest_user_string_fits_the_database() {
    let realm = Realm::create();
    realm.add("alice");
    let frame = r#"[{"type":""}]"#.len();
    let longest = Token::default()
        .with_type(vec![b'a'; UserString::MAX_LENGTH - frame])
        .unwrap();
    let json = UserString::new([longest]).unwrap().to_json();
    realm.run(
        realm.command("kadmin.local", &["setstr", "alice", "otp", &json]),
        "",
    );
    assert_eq!(realm.take("alice"), json);

    // One octet more is an error of the database.
    let output = realm
        .command("kadmin.local", &["setstr", "alice", "otp", &format!("{json} ")])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Too much string mapping data"),
        "{output:?}"
    );
    assert!(Path::new(&realm.file("principal")).exists());
}
