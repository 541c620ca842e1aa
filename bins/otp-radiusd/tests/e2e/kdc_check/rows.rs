//! The table: every key's default, every rule of reading, every number that has no range.

use super::{Behavior, LONG, RUN_DEFAULT, RUN_T, Row, SOCKET, Seen, UDP};

/// Secret files of a row, and files to include, in what the KDC takes for `/etc/krb5kdc`.
pub(super) fn secret_files() -> Vec<(&'static str, Vec<u8>)> {
    let long = |tail: &str| format!("{LONG}{tail}").into_bytes();
    vec![
        ("secret", b"testing123".to_vec()),
        ("crlf", b"testing123\r\n".to_vec()),
        ("blanks", b" \t\x0b\x0ctesting123 \t\n".to_vec()),
        ("inner", b"inner blank\n".to_vec()),
        ("lines", b"testing123\nsecond\n".to_vec()),
        ("nul", b"testing123\0more\n".to_vec()),
        ("utf8", "\u{e9}\n".into()),
        ("long", long("more\n")),
        ("blank", b" \t \n".to_vec()),
        ("blank-first", b"\ntesting123\n".to_vec()),
        ("empty", Vec::new()),
        ("types", b" t = {\n }\n[otp]\n t = {\n }\n".to_vec()),
        ("types-bom", b"\xef\xbb\xbf[otp]\n t = {\n }\n".to_vec()),
        ("types-indented", b" [otp]\n t = {\n }\n".to_vec()),
    ]
}

/// A type `t` with these lines, in `[otp]`.
fn t(name: &str, lines: &str, expected: Seen) -> Row {
    otp(
        name,
        &format!(" t = {{\n  {}\n }}", lines.replace("; ", "\n  ")),
        expected,
    )
}

/// An `[otp]` section.
fn otp(name: &str, text: &str, expected: Seen) -> Row {
    tail(name, &format!("[otp]\n{text}\n"), expected)
}

/// The end of `kdc.conf`, section headers included.
fn tail(name: &str, kdc_conf: &str, expected: Seen) -> Row {
    let silent = matches!(
        expected,
        Seen::Sends { .. } | Seen::Floods { .. } | Seen::Holds { .. } | Seen::Dies
    );
    Row {
        name: name.to_owned(),
        kdc_conf: kdc_conf.to_owned(),
        krb5_conf: String::new(),
        user: "alice",
        server: if silent {
            Behavior::Silent
        } else {
            Behavior::Accept
        },
        expected,
    }
}

impl Row {
    fn and_krb5_conf(mut self, text: &str) -> Self {
        text.clone_into(&mut self.krb5_conf);
        self
    }

    fn by_default(mut self) -> Self {
        self.user = "default";
        self
    }
}

fn asks(server: &'static str, user: &str, secret: &str, indicators: &[&'static str]) -> Seen {
    Seen::Asks {
        server,
        user: user.to_owned(),
        secret: secret.to_owned(),
        indicators: indicators.to_vec(),
    }
}

fn sends(server: &'static str, times: u32, every_ms: u32) -> Seen {
    Seen::Sends {
        server,
        times,
        every_ms,
    }
}

const NO_BOOLEAN: Seen = Seen::WithoutOtp("Invalid boolean value");
const NO_INTEGER: Seen = Seen::WithoutOtp("Invalid integer value");
const NO_FILE: Seen = Seen::WithoutOtp("No such file or directory");
const NO_OCTETS: Seen = Seen::WithoutOtp("Input/output error");
/// The text that the KDC logs for a missing secret can be that of another module.
const NO_SECRET: Seen = Seen::WithoutOtp("");

pub(super) fn rows() -> Vec<Row> {
    // What takes longest comes first, so that the rest runs beside it.
    [
        timers(),
        dangers(),
        defaults(),
        reading(),
        secrets(),
        values(),
        several_types(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn timers() -> Vec<Row> {
    vec![
        t(
            "the timeout is 5 s by default",
            "server = @/socket",
            sends(SOCKET, 1, 5000),
        ),
        t(
            "4 sends by default",
            "server = %; secret = secret; timeout = 2",
            sends(UDP, 4, 500),
        ),
        t(
            "the timeout is for all tries",
            "server = %; secret = secret; timeout = 3; retries = 1",
            sends(UDP, 2, 1500),
        ),
        t(
            "retries = 0 sends once",
            "server = %; secret = secret; timeout = 1; retries = 0",
            sends(UDP, 1, 1000),
        ),
        t(
            "a socket has no retries",
            "server = @/socket; timeout = 1; retries = 3",
            sends(SOCKET, 1, 1000),
        ),
        t(
            "010 is ten",
            "server = %; secret = secret; timeout = 2; retries = 010",
            sends(UDP, 11, 181),
        ),
        t(
            "milliseconds wrap around",
            "server = @/socket; timeout = 4294968",
            sends(SOCKET, 1, 704),
        ),
    ]
}

fn dangers() -> Vec<Row> {
    let udp = "server = %; secret = secret";
    vec![
        t("retries = -1 on UDP", &format!("{udp}; retries = -1"), Seen::Dies),
        t("timeout = -1 on UDP", &format!("{udp}; timeout = -1"), Seen::Dies),
        t(
            "timeout = -1 and retries = 2",
            &format!("{udp}; timeout = -1; retries = 2"),
            Seen::Holds { server: UDP },
        ),
        t(
            "timeout = -1 and retries = 0",
            &format!("{udp}; timeout = -1; retries = 0"),
            Seen::Dies,
        ),
        t(
            "retries = -2 on UDP",
            &format!("{udp}; retries = -2"),
            Seen::Floods { server: UDP },
        ),
        t(
            "timeout = -1 on a socket",
            "server = @/socket; timeout = -1",
            Seen::Dies,
        ),
        t(
            "timeout = 2147484 overflows",
            &format!("{udp}; timeout = 2147484"),
            Seen::Dies,
        ),
        t(
            "timeout = 0 on UDP",
            &format!("{udp}; timeout = 0"),
            Seen::Floods { server: UDP },
        ),
        t(
            "no time for 2000 retries",
            &format!("{udp}; timeout = 1; retries = 2000"),
            Seen::Floods { server: UDP },
        ),
        t(
            "retries = -1 on a socket",
            "server = @/socket; retries = -1",
            asks(SOCKET, "alice", "", &[]),
        ),
        t(
            "the longest timeout",
            "server = @/socket; timeout = 2147483",
            asks(SOCKET, "alice", "", &[]),
        ),
    ]
}

fn defaults() -> Vec<Row> {
    let synthesized = asks(RUN_DEFAULT, "default@KRBTEST.COM", "", &[]);
    vec![
        t(
            "every default of a type",
            "# nothing",
            asks(RUN_T, "alice", "", &[]),
        ),
        t(
            "a path begins with a slash",
            "server = @/socket",
            asks(SOCKET, "alice", "", &[]),
        ),
        t(
            "anything else is a host",
            "server = %; secret = secret",
            asks(UDP, "alice", "testing123", &[]),
        ),
        t(
            "strip_realm = false",
            "strip_realm = false",
            asks(RUN_T, "alice@KRBTEST.COM", "", &[]),
        ),
        t(
            "indicators",
            "indicator = two; indicator = one",
            asks(RUN_T, "alice", "", &["one", "two"]),
        ),
        tail("no [otp] at all", "", synthesized.clone()).by_default(),
        otp("an empty [otp]", "", synthesized.clone()).by_default(),
        otp("DEFAULT in another case", " default = {\n }", synthesized.clone()).by_default(),
        otp("another type beside it", " t = {\n }", synthesized).by_default(),
        otp(
            "a configured DEFAULT",
            " DEFAULT = {\n }",
            asks(RUN_DEFAULT, "default", "", &[]),
        )
        .by_default(),
        otp("a type in another case", " T = {\n }", Seen::AsksNobody),
        tail(
            "a section in another case",
            "[OTP]\n t = {\n }\n",
            Seen::AsksNobody,
        ),
    ]
}

fn reading() -> Vec<Row> {
    let long = format!("server = @/{}", "x".repeat(108));
    vec![
        otp(
            "a relation in [otp] itself",
            " server = /none\n t = {\n }",
            asks(RUN_T, "alice", "", &[]),
        ),
        t(
            "unknown keys",
            "servers = /none; Server = /none; x = {; }",
            asks(RUN_T, "alice", "", &[]),
        ),
        t(
            "the first value counts",
            "server = @/socket; server = /none",
            asks(SOCKET, "alice", "", &[]),
        ),
        t(
            "no slash, no path",
            "server = run/t.socket; secret = secret",
            Seen::AsksNobody,
        ),
        t("no slash, no secret", "server = run/t.socket", NO_SECRET),
        t("a path that is too long", &long, Seen::AsksNobody),
        t(
            "an empty server",
            "server = \"\"; secret = secret",
            Seen::AsksNobody,
        ),
        t("an empty server without a secret", "server = \"\"", NO_SECRET),
        t(
            "server without a value",
            "server =; secret = secret",
            Seen::DoesNotStart,
        ),
        t(
            "IPv6 in brackets",
            "server = [::1]:1812; secret = secret",
            Seen::AsksNobody,
        ),
        t(
            "IPv6 without brackets",
            "server = ::1; secret = secret",
            Seen::AsksNobody,
        ),
        t(
            "text after a quoted value",
            "server = \"@/socket\" # there",
            asks(SOCKET, "alice", "", &[]),
        ),
        t(
            "a comment is part of the value",
            "timeout = 5 # seconds",
            NO_INTEGER,
        ),
        otp("a brace too many", " t = {\n }\n }", Seen::DoesNotStart),
        otp("a brace too few", " t = {", asks(RUN_T, "alice", "", &[])),
        otp(
            "a brace on the next line",
            " t =\n {\n  strip_realm = no\n }",
            asks(RUN_T, "alice@KRBTEST.COM", "", &[]),
        ),
        otp(
            "a line that is cut",
            &format!(" t = {{\n#{}strip_realm=no\n }}", "x".repeat(2046)),
            asks(RUN_T, "alice@KRBTEST.COM", "", &[]),
        ),
        otp(
            "an included file",
            "include @/etc/types",
            asks(RUN_T, "alice", "", &[]),
        ),
        otp("a byte order mark", "include @/etc/types-bom", Seen::AsksNobody),
        otp(
            "an indented header",
            "include @/etc/types-indented",
            Seen::AsksNobody,
        ),
        otp("a missing include", "include @/none", Seen::DoesNotStart),
    ]
}

fn secrets() -> Vec<Row> {
    let udp = |name: &str, file: &str, expected| t(name, &format!("server = %; secret = {file}"), expected);
    let taken = |secret| asks(UDP, "alice", secret, &[]);
    vec![
        udp("a relative name", "secret", taken("testing123")),
        udp("an absolute name", "@/etc/secret", taken("testing123")),
        udp("a line end is cut", "crlf", taken("testing123")),
        udp("outer blanks are cut", "blanks", taken("testing123")),
        udp("inner blanks are kept", "inner", taken("inner blank")),
        udp("the first line only", "lines", taken("testing123")),
        udp("a NUL ends it", "nul", taken("testing123")),
        udp("octets are octets", "utf8", taken("\u{e9}")),
        udp("1023 octets at most", "long", taken(LONG)),
        udp("a blank line is an empty secret", "blank", taken("")),
        udp("a blank first line too", "blank-first", taken("")),
        udp("an empty file", "empty", NO_OCTETS),
        udp("a directory", "directory", NO_OCTETS),
        udp("no name is the directory", "\"\"", NO_OCTETS),
        udp("no such file", "none", NO_FILE),
        t("no secret on UDP", "server = %", NO_SECRET),
        t(
            "a secret on a socket",
            "server = @/socket; secret = secret",
            asks(SOCKET, "alice", "testing123", &[]),
        ),
        t(
            "a socket's secret must be there",
            "server = @/socket; secret = none",
            NO_FILE,
        ),
    ]
}

fn values() -> Vec<Row> {
    let mut rows = Vec::new();
    for (words, user) in [
        (["y", "yes", "TRUE", "t", "1", "On"], "alice"),
        (["n", "No", "false", "NIL", "0", "off"], "alice@KRBTEST.COM"),
    ] {
        for word in words {
            rows.push(t(
                &format!("strip_realm = {word}"),
                &format!("strip_realm = {word}"),
                asks(RUN_T, user, "", &[]),
            ));
        }
    }
    for word in ["f", "maybe", "\"true \"", "\"\"", "2"] {
        rows.push(t(
            &format!("strip_realm = {word}"),
            &format!("strip_realm = {word}"),
            NO_BOOLEAN,
        ));
    }
    for key in ["timeout", "retries"] {
        for number in ["+5", "05", "\" 5\"", "5 \t"] {
            rows.push(t(
                &format!("{key} = {number}"),
                &format!("{key} = {number}"),
                asks(RUN_T, "alice", "", &[]),
            ));
        }
        for number in [
            "0x10",
            "5s",
            "1.5",
            "\"5 \"",
            "\"\"",
            "- 5",
            "2147483648",
            "-2147483649",
            "five",
        ] {
            rows.push(t(
                &format!("{key} = {number}"),
                &format!("{key} = {number}"),
                NO_INTEGER,
            ));
        }
    }
    rows
}

fn several_types() -> Vec<Row> {
    let in_krb5_conf = "[otp]\n t = {\n  server = @/socket\n  strip_realm = no\n  indicator = two\n }\n";
    vec![
        otp(
            "a bad value in another type",
            " t = {\n }\n u = {\n  timeout = x\n }",
            NO_INTEGER,
        ),
        otp(
            "a missing secret in another type",
            " t = {\n }\n u = {\n  server = h\n }",
            NO_SECRET,
        ),
        otp(
            "the first mistake counts",
            " t = {\n  secret = none\n  retries = x\n  strip_realm = x\n }",
            NO_BOOLEAN,
        ),
        otp(
            "one type twice in a file",
            " t = {\n  indicator = one\n }\n t = {\n  indicator = two\n }",
            asks(RUN_T, "alice", "", &["one", "two"]),
        ),
        otp(
            "kdc.conf comes first",
            " t = {\n  server = %\n  secret = secret\n  indicator = one\n }",
            asks(UDP, "alice@KRBTEST.COM", "testing123", &["one", "two"]),
        )
        .and_krb5_conf(in_krb5_conf),
        tail(
            "krb5.conf alone",
            "",
            asks(SOCKET, "alice@KRBTEST.COM", "", &["two"]),
        )
        .and_krb5_conf(in_krb5_conf),
        otp(
            "a final type ends the search",
            " t* = {\n  indicator = one\n }",
            asks(RUN_T, "alice", "", &["one"]),
        )
        .and_krb5_conf(in_krb5_conf),
        otp(
            "a final relation does not",
            " t = {\n  indicator* = one\n }",
            asks(SOCKET, "alice@KRBTEST.COM", "", &["one", "two"]),
        )
        .and_krb5_conf(in_krb5_conf),
        otp("a mistake in krb5.conf", " t = {\n }", NO_BOOLEAN)
            .and_krb5_conf("[otp]\n t = {\n  strip_realm = x\n }\n"),
        otp("syntax in krb5.conf", " t = {\n }", Seen::DoesNotStart).and_krb5_conf("[otp]\n t {\n"),
        tail(
            "a byte order mark in krb5.conf is in its middle",
            "",
            Seen::DoesNotStart,
        )
        .and_krb5_conf("\u{feff}[otp]\n t = {\n }\n"),
    ]
}
