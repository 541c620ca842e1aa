//! The dump programs at the edges of their input: nothing, half lines, blank lines, NULs, directories, a reader that has left.

use std::io::{ErrorKind, Write as _};
use std::process::Stdio;

use crate::programs::{example, run};

/// A packet of libkrad's client without a password, and what is shown of it.
const PACKET: &str = "foo 012a0017ac9dc16208c4c78ba12f250ac41d3641010361";
const SHOWN: &str = "ok 1 1:0=61\n";
const TOKEN: &str = "[{\"type\":\"DEFAULT\",\"username\":null,\"indicators\":null}]\n";

/// What `program` prints for `input`, whatever that is; it succeeds and says nothing else.
fn printed(program: &str, input: &[u8]) -> String {
    let done = run(example(program), input);
    assert!(
        done.status.success() && done.stderr.is_empty(),
        "{program}: {done:?}"
    );
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn lines_of_packets() {
    let of = |input: &str| printed("radius_dump", input.as_bytes());
    assert_eq!(of(""), "");
    assert_eq!(of(PACKET), SHOWN, "no newline at the end");
    assert_eq!(of(&format!("{PACKET}\n")), SHOWN);
    assert_eq!(of(&format!("{PACKET}\r\n{PACKET}\r\n")), SHOWN.repeat(2));
    let malformed = "err not SECRET HEX\n";
    assert_eq!(of("\n"), malformed);
    assert_eq!(
        of(&format!("\n\r\n{PACKET}\n\n")),
        [malformed, malformed, SHOWN, malformed].concat()
    );
    assert_eq!(
        of(&PACKET.to_uppercase().replace("FOO", "foo")),
        SHOWN,
        "capitals are digits"
    );
    assert_eq!(of(&PACKET.replace("foo ", "- ")), SHOWN);
    assert_eq!(
        of(&PACKET.replace("foo ", "two words ")),
        SHOWN,
        "the secret ends at the last blank"
    );
    for odd in [
        format!("{PACKET} "),
        format!("{PACKET}\0"),
        format!("{PACKET}\t"),
        format!("\0{}", PACKET.replace(' ', "\0")),
        format!("foo {}", "00".repeat(1 << 20)),
        "foo \u{ff11}".to_owned(),
    ] {
        let line = of(&odd);
        assert!(line.starts_with("err ") && line.lines().count() == 1, "{line:?}");
    }
    let not_utf8 = [b"\xff\xfe", &PACKET.as_bytes()[3..]].concat();
    assert_eq!(printed("radius_dump", &not_utf8), SHOWN, "a secret is octets");
}

#[test]
fn lines_of_user_strings() {
    let of = |input: &str| printed("userstring_dump", input.as_bytes());
    assert_eq!(of(""), "");
    assert_eq!(of("[{}]"), TOKEN, "no newline at the end");
    assert_eq!(of("[{}]\n[]\n"), TOKEN.repeat(2));
    assert_eq!(of("[{}]\r\n[]\r\n"), TOKEN.repeat(2), "CR is a blank");
    let lines = of("\n[{}]\n\r\n \n");
    let lines: Vec<&str> = lines.lines().collect();
    assert_eq!((lines.len(), lines[1]), (4, TOKEN.trim_end()));
    for blank in [lines[0], lines[2], lines[3]] {
        assert!(blank.starts_with("err "), "{blank}");
    }
    assert_eq!(of("[{}]\0anything\n"), TOKEN, "a text ends at a NUL");
    assert!(of("\0[{}]\n").starts_with("err "));
    assert!(of(&format!("[{{}}]{}", " ".repeat(1 << 20))).starts_with("err "));
    assert_eq!(printed("userstring_dump", b"[{\"x\":\"\xff\"}]\n"), TOKEN);
}

#[test]
fn files_that_are_odd() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for (name, text) in [
        ("empty", &b""[..]),
        ("half", b"[a]\n x = 1"),
        ("nul", b"[a]\n x = 1\0 2\n\0\n y = \0\n}\n"),
    ] {
        std::fs::write(path(name), text).unwrap();
    }
    std::fs::create_dir(path("conf.d")).unwrap();
    for (name, text) in [
        ("b.conf", "[a]\n x = b\n"),
        ("a", "[a]\n x = a\n"),
        ("a~", "}\n"),
        (".hidden", "}\n"),
    ] {
        std::fs::write(path("conf.d").join(name), text).unwrap();
    }
    std::fs::create_dir(path("nothing")).unwrap();
    let dump = |names: &[&str]| {
        let mut command = example("profile_dump");
        command.args(names.iter().map(|name| path(name)));
        let done = run(command, b"");
        assert!(done.stderr.is_empty(), "{done:?}");
        (
            done.status.code().unwrap(),
            String::from_utf8(done.stdout).unwrap(),
        )
    };
    for (names, expected) in [
        (&["empty"][..], ""),
        (&["half"], "a/x = 1\n"),
        (&["conf.d"], "a/x = a\na/x = b\n"),
        (&["nothing"], ""),
        (
            &["nothing", "half", "none", "conf.d"],
            "a/x = 1\na/x = a\na/x = b\n",
        ),
        (&["half", "half"], "a/x = 1\na/x = 1\n"),
    ] {
        assert_eq!(dump(names), (0, expected.to_owned()), "{names:?}");
    }
    // The NUL ends the line, so that the value of y is not there, and a brace must follow.
    let (code, line) = dump(&["nul"]);
    assert_eq!((code, line.lines().count()), (1, 1), "{line:?}");
    assert!(line.starts_with("ERROR ") && line.contains("nul:5: "), "{line:?}");
    // A name with a newline in it does not break the line of the refusal.
    std::fs::write(path("new\nline"), "[a]\n}\n").unwrap();
    let (code, line) = dump(&["new\nline"]);
    assert_eq!((code, line.lines().count()), (1, 1), "{line:?}");
    assert!(line.contains(r"new\nline:2: "), "{line:?}");
}

/// Like any other filter: it ends without a word when nobody reads any more.
#[test]
fn a_reader_that_has_left_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long");
    std::fs::write(&file, format!("[a]\n{}", " x = 1\n".repeat(100_000))).unwrap();
    for (program, argument, line) in [
        ("radius_dump", None, PACKET),
        ("userstring_dump", None, "[{}]"),
        ("profile_dump", Some(&file), ""),
    ] {
        let mut child = example(program)
            .args(argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let input = format!("{line}\n").repeat(100_000);
        let written = child.stdin.take().unwrap().write_all(input.as_bytes());
        assert!(written.is_ok() || written.unwrap_err().kind() == ErrorKind::BrokenPipe);
        let done = child.wait_with_output().unwrap();
        assert!(
            done.status.success() && done.stderr.is_empty(),
            "{program}: {done:?}"
        );
    }
}
