//! `userstring_dump` prints what the KDC makes of a user string, row by row.

use otp_userstring::UserString;
use proptest::prelude::*;

use crate::programs::{example, run};

const DEFAULT: &str = r#"[{"type":"DEFAULT","username":null,"indicators":null}]"#;
const VPN: &str = r#"[{"type":"vpn","username":null,"indicators":null}]"#;

/// User strings that a KDC uses, and what it uses.
const USABLE: [(&[u8], &str); 25] = [
    (b"[{}]", DEFAULT),
    (b"[]", DEFAULT),
    (b" [ { } ]\t\r", DEFAULT),
    (br#"[{"type":null}]"#, DEFAULT),
    (br#"[{"type":1}]"#, DEFAULT),
    (br#"[{"Type":"vpn"}]"#, DEFAULT),
    (br#"[{"comment":[{"a":-1}],"username":true}]"#, DEFAULT),
    (br#"[{"username":["alice"]}]"#, DEFAULT),
    (br#"[{"type":"vpn"}]"#, VPN),
    (br#"[{"type":"otp","type":"vpn"}]"#, VPN),
    (br#"[{"type":"vpn\u0000otp"}]"#, VPN),
    (b"[{\"type\":\"vpn\"}]\0]", VPN),
    (br#"[{"\u0074ype":"\u0076pn"}]"#, VPN),
    (
        br#"[{"type":""}]"#,
        r#"[{"type":"","username":null,"indicators":null}]"#,
    ),
    (
        br#"[{"indicators":[],"username":"custom","type":"udp"}]"#,
        r#"[{"type":"udp","username":"custom","indicators":[]}]"#,
    ),
    (
        br#"[{"type":"udp","indicators":["indtok1","indtok2"]}]"#,
        r#"[{"type":"udp","username":null,"indicators":["indtok1","indtok2"]}]"#,
    ),
    (
        br#"[{"type":"udp"},{"type":"unix"}]"#,
        r#"[{"type":"udp","username":null,"indicators":null},{"type":"unix","username":null,"indicators":null}]"#,
    ),
    (
        br#"[{"username":""}]"#,
        r#"[{"type":"DEFAULT","username":"","indicators":null}]"#,
    ),
    (
        br#"[{"username":"\\a\/\"b\b\f\n\r\t\u007F"}]"#,
        r#"[{"type":"DEFAULT","username":"\\a/\"b\u0008\u000C\u000A\u000D\u0009\u007F","indicators":null}]"#,
    ),
    (
        b"[{\"username\":\"\x01\x1F\x7F~\xC3\xA9\xFF\"}]",
        r#"[{"type":"DEFAULT","username":"\u0001\u001F\u007F~\u00C3\u00A9\u00FF","indicators":null}]"#,
    ),
    (
        br#"[{"username":"\u00E9\u0041"}]"#,
        r#"[{"type":"DEFAULT","username":"\u00E9A","indicators":null}]"#,
    ),
    (
        br#"[{"indicators":["a","a",""]}]"#,
        r#"[{"type":"DEFAULT","username":null,"indicators":["a","a",""]}]"#,
    ),
    (br#"[{"x":007}]"#, DEFAULT),
    (br#"[{"x":-9223372036854775808}]"#, DEFAULT),
    (br#"[{"x":{"y":[null,true,false,""]}}]"#, DEFAULT),
];

/// User strings that no KDC can use.
const UNUSABLE: [&[u8]; 36] = [
    b"",
    b"  \t",
    b"{}",
    b"null",
    b"1",
    b"\"vpn\"",
    b"[null]",
    b"[1]",
    b"[[]]",
    b"[{},\"vpn\"]",
    b"[",
    b"[{}",
    br#"[{"type":"x"}"#,
    b"[1,",
    b"[[1,]",
    b"[{},]",
    br#"[{"indicators":["a"}]"#,
    br#"[{"indicators":null}]"#,
    br#"[{"indicators":"a"}]"#,
    br#"[{"indicators":{}}]"#,
    br#"[{"indicators":["a",1]}]"#,
    b"[{type:x}]",
    b"[{\"type\":\"x\",}]",
    b"[{}] x",
    b"[{}][{}]",
    b"\xEF\xBB\xBF[{}]",
    b"// [{}]",
    br#"[{"type":"\u00e9"}]"#,
    br#"[{"type":"\u0100"}]"#,
    br#"[{"type":"\x"}]"#,
    br#"[{"x":1.5}]"#,
    br#"[{"x":1e3}]"#,
    br#"[{"x":+1}]"#,
    br#"[{"x":9223372036854775808}]"#,
    br#"[{"x":Null}]"#,
    br#"[{"x":nulltrue}]"#,
];

fn dump(lines: &[u8]) -> Vec<String> {
    let done = run(example("userstring_dump"), lines);
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_row_of_the_tables() {
    let mut input = Vec::new();
    for (line, _) in USABLE {
        input.extend([line, b"\n"].concat());
    }
    for line in UNUSABLE {
        input.extend([line, b"\n"].concat());
    }
    let output = dump(&input);
    assert_eq!(output.len(), USABLE.len() + UNUSABLE.len());
    let (usable, unusable) = output.split_at(USABLE.len());
    for ((line, expected), printed) in USABLE.iter().zip(usable) {
        assert_eq!(printed, expected, "{}", line.escape_ascii());
    }
    for (line, printed) in UNUSABLE.iter().zip(unusable) {
        let reason = printed.strip_prefix("err ").unwrap_or_default();
        assert!(!reason.is_empty(), "{}: {printed}", line.escape_ascii());
    }
}

#[test]
fn nesting_and_length_have_their_limits() {
    let nested = |depth: usize| format!("[{{\"x\":{}{}}}]\n", "[".repeat(depth), "]".repeat(depth));
    let long = |length: usize| {
        let padding = length - r#"[{"type":""}]"#.len();
        format!("[{{\"type\":\"{}\"}}]\n", "x".repeat(padding))
    };
    let limit = UserString::MAX_LENGTH;
    let input = [nested(61), nested(62), long(limit), long(limit + 1)].concat();
    let output = dump(input.as_bytes());
    assert_eq!(output[0], DEFAULT);
    assert!(output[1].starts_with("err "), "{}", output[1]);
    assert!(output[2].starts_with(r#"[{"type":"xxx"#));
    assert!(output[3].starts_with("err "), "{}", output[3]);
}

/// Without a newline at the end, the last line counts; an empty input has no lines.
#[test]
fn lines_end_at_newlines_alone() {
    assert_eq!(dump(b"[{}]\n[]"), [DEFAULT, DEFAULT]);
    assert!(dump(b"").is_empty());
    assert!(dump(b"\n")[0].starts_with("err "));
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    // Newlines divide the input, and a NUL ends a text.
    prop::collection::vec(any::<u8>().prop_filter("a NUL", |octet| *octet != 0), 0..8)
}

fn spelled(octets: &[u8]) -> String {
    let octets = octets.iter().map(|octet| format!("\\u{octet:04X}"));
    format!("\"{}\"", octets.collect::<String>())
}

/// What a reader of RFC 8259 JSON sees, octets as the characters of Latin-1.
fn latin1(octets: &[u8]) -> serde_json::Value {
    octets.iter().copied().map(char::from).collect::<String>().into()
}

#[test]
fn any_token_comes_back_as_json_with_every_key() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let token = (
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(prop::collection::vec(text(), 0..3)),
    );
    let tokens: Vec<_> = (0..2000)
        .map(|_| token.new_tree(&mut runner).unwrap().current())
        .collect();
    let mut input = String::new();
    for (token_type, username, indicators) in &tokens {
        let mut members = Vec::new();
        if let Some(name) = token_type {
            members.push(format!("\"type\":{}", spelled(name)));
        }
        if let Some(name) = username {
            members.push(format!("\"username\":{}", spelled(name)));
        }
        if let Some(names) = indicators {
            let names: Vec<_> = names.iter().map(|name| spelled(name)).collect();
            members.push(format!("\"indicators\":[{}]", names.join(",")));
        }
        input += &format!("[{{{}}}]\n", members.join(","));
    }
    for ((token_type, username, indicators), line) in tokens.iter().zip(dump(input.as_bytes())) {
        assert!(line.bytes().all(|octet| (b' '..=b'~').contains(&octet)), "{line}");
        let expected = serde_json::json!([{
            "type": token_type.as_deref().map_or("DEFAULT".into(), latin1),
            "username": username.as_deref().map(latin1),
            "indicators": indicators.as_ref().map(|all| all.iter().map(|one| latin1(one)).collect::<Vec<_>>()),
        }]);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            expected,
            "{line}"
        );
    }
}
