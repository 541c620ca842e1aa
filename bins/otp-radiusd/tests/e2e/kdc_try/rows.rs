//! Principals, their `otp` strings, and what is typed. A string that would end the KDC's process is not among them.

use std::fmt;

/// One login.
pub struct Row {
    pub principal: &'static str,
    pub user_string: String,
    pub otp: String,
}

impl Row {
    /// Whether the ticket can be used, and so shows its indicators: krb5 1.20 compares the name in the PAC with a
    /// principal whose escapes it has taken away.
    pub fn shows_indicators(&self) -> bool {
        !self.principal.contains('\\')
    }
}

/// Everybody in the table, as `kadmin` and `kinit` take the name.
pub const PRINCIPALS: [&str; 4] = ["alice", "alice/admin", r"sl\/ash", r"at\@sign"];

/// Codes: `a`, `c`, `n`, `s`, `u`, `v` and `w` know the first, `b` the second, nobody the third.
const ONE: &str = "111111";
const TWO: &str = "222222";
const WRONG: &str = "333333";

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut user_string = self.user_string.clone();
        user_string.truncate(100);
        let otp_length = self.otp.len();
        write!(f, "{} {user_string} (OTP of {otp_length})", self.principal)
    }
}

fn row(principal: &'static str, user_string: impl Into<String>, otp: impl Into<String>) -> Row {
    Row {
        principal,
        user_string: user_string.into(),
        otp: otp.into(),
    }
}

/// Tokens of these types.
fn types(names: &[&str]) -> String {
    let tokens: Vec<_> = names
        .iter()
        .map(|name| format!(r#"{{"type":"{name}"}}"#))
        .collect();
    format!("[{}]", tokens.join(","))
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    // Orders of servers that accept, reject, challenge, talk nonsense, are silent, absent or refuse.
    for (names, otp) in [
        (&["a"][..], ONE),
        (&["a"], WRONG),
        (&["b"], TWO),
        (&["u"], ONE),
        (&["u"], WRONG),
        (&["a", "b"], ONE),
        (&["a", "b"], TWO),
        (&["b", "a"], ONE),
        (&["a", "b", "u", "v"], WRONG),
        (&["v", "u"], ONE),
        (&["a", "a", "u", "b"], TWO),
        (&["c"], ONE),
        (&["c", "a"], ONE),
        (&["n"], ONE),
        (&["n", "b"], TWO),
        (&["s"], ONE),
        (&["s", "a"], ONE),
        (&["a", "s"], ONE),
        (&["v", "s", "a"], ONE),
        (&["w", "a"], ONE),
        (&["absent"], ONE),
        (&["absent", "a"], ONE),
        (&["a", "absent"], ONE),
        (&["v", "absent", "a"], ONE),
        (&["refused", "a"], ONE),
        (&["v", "refused"], ONE),
        (&["lost", "a"], ONE),
        (&["no-such-type"], ONE),
        (&["a", "no-such-type"], ONE),
        (&["A"], ONE),
        (&["DEFAULT"], ONE),
    ] {
        rows.push(row("alice", types(names), otp));
    }
    // Names.
    for principal in PRINCIPALS {
        rows.push(row(principal, types(&["v", "b"]), TWO));
        rows.push(row(
            principal,
            r#"[{"type":"b","username":"other\\/name@X"}]"#,
            TWO,
        ));
    }
    for name in [String::new(), "x".repeat(253), "x".repeat(254), "é".to_owned()] {
        rows.push(row(
            "alice",
            format!(r#"[{{"type":"a","username":"{name}"}}]"#),
            ONE,
        ));
        rows.push(row(
            "alice",
            format!(r#"[{{"type":"v"}},{{"type":"a","username":"{name}"}}]"#),
            ONE,
        ));
    }
    // Shapes and values.
    for user_string in [
        "",
        " ",
        "[]",
        "[{}]",
        "{}",
        "null",
        "7",
        "\"a\"",
        "[null]",
        "[1]",
        r#"[{"type":"a"},null]"#,
        r#"[{"type":1}]"#,
        r#"[{"Type":"a"}]"#,
        r#"[{"type":"a","username":null}]"#,
        r#"[{"type":"a","username":5}]"#,
        r#"[{"type":"a","indicators":[]}]"#,
        r#"[{"type":"a","indicators":["own"]}]"#,
        r#"[{"type":"a","indicators":["own","other","own"]}]"#,
        r#"[{"type":"a","indicators":null}]"#,
        r#"[{"type":"a","indicators":"own"}]"#,
        r#"[{"type":"a","indicators":["own",1]}]"#,
        r#"[{"type":"a"},{"type":"a","indicators":{}}]"#,
        r#"[{"type":"b","type":"a"}]"#,
        r#"[{"type":"a","x":[{"y":-07}]}]"#,
        r#"[{"type":"\u0061"}]"#,
        r#"[{"type":"\u00e9"}]"#,
        r#"[{"type":"a\u0000b"}]"#,
        r#"[{"type":"a"}] x"#,
        r#"[{type:a}]"#,
    ] {
        rows.push(row("alice", user_string, ONE));
    }
    // What a User-Password can carry.
    for length in [0, 1, 16, 128, 129, 500] {
        rows.push(row("alice", types(&["a"]), "1".repeat(length)));
    }
    rows
}
