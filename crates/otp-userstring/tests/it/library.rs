//! The same texts through the JSON library of the installed MIT krb5.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use otp_userstring::json::{self, Member, Node, Value};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use crate::properties::almost_json;

/// Random texts per run.
const RANDOM_TEXTS: usize = 4_000;

/// Texts at the edges of the dialect.
const EDGES: [&[u8]; 34] = [
    b"",
    b" ",
    b"[]",
    b"{}",
    b" [ { } ] ",
    b"[[[[{\"a\":[{}]}]]]]",
    br#"["v1","v2",["v3","v4",["v 5"," v 7 "]],-123456789,null,true,false,123456789,""]"#,
    br#""\\abc\"\nde\b\r/\ff\tghi\u0001\u001F""#,
    br#"{"k":1,"l":2,"k":{"m":null}}"#,
    br#"{"k":1,}"#,
    br#"{,}"#,
    b"007",
    b"-007",
    b"-0",
    b"-",
    b"+1",
    b"1.5",
    b"1e3",
    b"9223372036854775807",
    b"9223372036854775808",
    b"-9223372036854775808",
    b"-9223372036854775809",
    b"18446744073709551616",
    b"nulltrue",
    b"Null",
    b"\"\x01\x1F\x7F\xC3\xA9\xFF\"",
    br#""\u00E9\u00FF\u0041""#,
    br#""\u00e9""#,
    br#""\u0100""#,
    br#""\u0041\u0000\u0042""#,
    br#"{"k\u0000l":1,"k":2}"#,
    br#""\x""#,
    b"\"a",
    b"\xEF\xBB\xBF1",
];

#[test]
fn the_library_of_the_kdc_reads_the_same() {
    let mut runner = TestRunner::deterministic();
    let strategy = almost_json();
    let random = (0..RANDOM_TEXTS).map(|_| strategy.new_tree(&mut runner).unwrap().current().into_bytes());
    let nested = |depth: usize| [vec![b'{'; 1], b"\"k\":{".repeat(depth), vec![b'}'; depth + 1]].concat();
    let texts: Vec<Vec<u8>> = EDGES
        .iter()
        .map(|text| text.to_vec())
        .chain([nested(62), nested(63)])
        .chain(random)
        .collect();

    let mut accepted = 0_u32;
    for (text, theirs) in texts.iter().zip(decode_with_library(&texts)) {
        match (json::decode(text), theirs) {
            (Ok(ours), Some(theirs)) => {
                accepted += 1;
                let theirs = json::decode(&theirs).unwrap();
                assert_eq!(
                    as_c_strings(ours.value),
                    as_c_strings(theirs.value),
                    "{}",
                    text.escape_ascii()
                );
            }
            (Err(_), None) => {}
            // The library goes on after an array that it could not read; what it then makes of the text is refused here.
            (Err(_), Some(_)) => assert!(text.contains(&b'['), "refused: {}", text.escape_ascii()),
            (Ok(_), None) => panic!("not refused: {}", text.escape_ascii()),
        }
    }
    assert!(accepted > 100, "only {accepted} texts say anything");
}

/// The canonical text for each of `texts` that the library accepts.
fn decode_with_library(texts: &[Vec<u8>]) -> Vec<Option<Vec<u8>>> {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("decode");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/decode.c");
    let compiled = Command::new("gcc")
        .args(["-Wall", "-Werror", "-o"])
        .args([&program, &source])
        .arg("-lkrb5support")
        .status()
        .expect("gcc; Debian has the compiler and its libraries in gcc, libc6-dev and libkrb5-dev");
    assert!(compiled.success(), "{source:?} needs libkrb5-dev");

    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let answers = thread::scope(|scope| {
        scope.spawn(move || {
            for text in texts {
                let length = u32::try_from(text.len()).unwrap();
                input.write_all(&length.to_ne_bytes()).unwrap();
                input.write_all(&[u8::from(json::decode(text).is_ok())]).unwrap();
                input.write_all(text).unwrap();
            }
        });
        let mut answers = Vec::with_capacity(texts.len());
        for _ in texts {
            let mut word = [0; 4];
            output.read_exact(&mut word).unwrap();
            let code = i32::from_ne_bytes(word);
            output.read_exact(&mut word).unwrap();
            let mut canonical = vec![0; usize::try_from(u32::from_ne_bytes(word)).unwrap()];
            output.read_exact(&mut canonical).unwrap();
            answers.push((code == 0).then_some(canonical));
        }
        answers
    });
    assert!(child.wait().unwrap().success());
    answers
}

/// The value as C sees it: strings end at the first NUL, the last of equal keys counts, offsets do not matter.
fn as_c_strings(value: Value) -> Value {
    let until_nul = |octets: Vec<u8>| {
        octets
            .into_iter()
            .take_while(|&octet| octet != 0)
            .collect::<Vec<u8>>()
    };
    let node = |node: Node| Node {
        at: 0,
        value: as_c_strings(node.value),
    };
    match value {
        Value::String(octets) => Value::String(until_nul(octets)),
        Value::Array(items) => Value::Array(items.into_iter().map(node).collect()),
        Value::Object(members) => {
            let mut last: Vec<Member> = Vec::new();
            for member in members {
                let member = Member {
                    at: 0,
                    key: until_nul(member.key),
                    node: node(member.node),
                };
                match last.iter_mut().find(|earlier| earlier.key == member.key) {
                    Some(earlier) => *earlier = member,
                    None => last.push(member),
                }
            }
            Value::Object(last)
        }
        scalar => scalar,
    }
}
