//! `profile_dump` prints what the iterator of the installed libkrb5 gives.

use std::process::Command;

use crate::generate;
use crate::programs::{compile, example, run};

/// How many groups of files are generated.
const GROUPS: usize = 2000;

#[test]
fn the_iterator_of_libprofile_gives_the_same_lines() {
    let directory = generate::directory();
    let mut lists: Vec<Vec<String>> = Vec::new();
    for (number, list) in generate::write_groups(directory.path(), GROUPS)
        .iter()
        .enumerate()
    {
        // A directory stands for the files in it.
        if number.is_multiple_of(10) {
            lists.push(vec![list[0].replace("/one", "/dir")]);
        }
        lists.push(list[..1].to_vec());
        lists.push(list.to_vec());
    }
    let requests: String = lists.iter().map(|list| list.join(":") + "\n").collect();
    let theirs = run(Command::new(compile("iterate", &[])), requests.as_bytes());
    assert!(theirs.status.success(), "the helper failed: {:?}", theirs.status);
    let mut theirs = theirs.stdout.as_slice();

    let (mut refused, mut lines) = (0, 0);
    for list in &lists {
        let end = if theirs.starts_with(b".\n") {
            0
        } else {
            1 + theirs.windows(3).position(|octets| octets == b"\n.\n").unwrap()
        };
        let (expected, rest) = theirs.split_at(end);
        theirs = &rest[2..];

        let mut command = example("profile_dump");
        command.args(list);
        let ours = run(command, b"");
        if expected == b"ERROR\n" {
            refused += 1;
            assert_eq!(ours.status.code(), Some(1), "{list:?}");
            assert!(ours.stdout.starts_with(b"ERROR "), "{list:?}");
            assert_eq!(
                ours.stdout.iter().filter(|octet| **octet == b'\n').count(),
                1,
                "{list:?}"
            );
        } else {
            lines += expected.split(|octet| *octet == b'\n').count() - 1;
            assert_eq!(ours.status.code(), Some(0), "{list:?}");
            assert_eq!(
                ours.stdout.escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "{list:?}"
            );
        }
    }
    println!(
        "{} runs: {refused} refused alike, {lines} lines alike in the others",
        lists.len()
    );
    assert!(refused > GROUPS / 5, "{refused} refused");
    assert!(lines > GROUPS, "{lines} lines");
}

#[test]
fn the_format_is_exact() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let one = file(
        "one",
        b"ignored\n[b]\n z = \"\"\n y = {\n  t\\ = \"a\\tb\\nc\\bd\\\\e\\\"\" # f\n }\n x = 1\n[a c]\n k = \xe9 \n[b]\n x* = 2\n x = 3\n",
    );
    let two = file("two", b"[b]\n w = 4\n x = 5\n");
    let mut command = example("profile_dump");
    command.args([&one, &two, &directory.path().join("none")]);
    let done = run(command, b"");
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let expected: [&[u8]; 8] = [
        b"a c/k = \xe9\n",
        b"b/x = 1\n",
        b"b/x = 2\n",
        b"b/x = 3\n",
        b"b/y/t\\\\ = a\\tb\\nc\\bd\\\\e\"\n",
        b"b/z = \n",
        b"b/w = 4\n",
        b"b/x = 5\n",
    ];
    assert_eq!(
        done.stdout.escape_ascii().to_string(),
        expected.concat().escape_ascii().to_string()
    );

    let wrong = file("wrong", b"[a]\nno relation\n");
    for (path, reason) in [
        (
            wrong.clone(),
            format!("ERROR {}:2: malformed line", wrong.display()),
        ),
        (
            directory.path().join("none"),
            "ERROR none of the files exists".to_owned(),
        ),
    ] {
        let mut command = example("profile_dump");
        command.arg(path);
        let done = run(command, b"");
        assert_eq!(done.status.code(), Some(1), "{done:?}");
        let line = String::from_utf8(done.stdout).unwrap();
        assert!(line.starts_with(&reason) && line.ends_with('\n'), "{line:?}");
        assert_eq!(line.lines().count(), 1, "{line:?}");
    }
    assert_eq!(run(example("profile_dump"), b"").status.code(), Some(2));
}
