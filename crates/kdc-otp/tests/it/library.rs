//! Principals through the installed libkrb5.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use kdc_otp::Principal;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

const NAMES: usize = 10_000;

#[test]
fn libkrb5_reads_and_writes_the_same_principals() {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[3; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let octet = prop_oneof![
        6 => prop::sample::select(b"abR\\\\@/nt0b \t\n\x08".to_vec()),
        1 => 1..=u8::MAX,
    ];
    let name = prop::collection::vec(octet, 0..12);
    let mut names: Vec<Vec<u8>> = (0..NAMES)
        .map(|_| name.new_tree(&mut runner).unwrap().current())
        .collect();
    names.extend([
        b"alice@EXAMPLE.COM".to_vec(),
        b"".to_vec(),
        b"@".to_vec(),
        b"/@".to_vec(),
    ]);

    let hex = |octets: &[u8]| {
        octets
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<String>()
    };
    let input: String = names.iter().map(|name| hex(name) + "\n").collect();
    let theirs = run_helper(&input);
    assert_eq!(theirs.lines().count(), names.len());
    let mut parsed = 0;
    for (name, theirs) in names.iter().zip(theirs.lines()) {
        let ours = match Principal::parse(name, Some(b"DEFAULT.REALM")) {
            Ok(principal) => {
                parsed += 1;
                format!(
                    "{} {}",
                    hex(&principal.unparse()),
                    hex(&principal.unparse_without_realm())
                )
            }
            Err(_) => "error".to_owned(),
        };
        assert_eq!(ours, theirs, "{}", name.escape_ascii());
    }
    println!(
        "{parsed} of {} names are principals, the same for both",
        names.len()
    );
    assert!((NAMES / 5..NAMES * 19 / 20).contains(&parsed), "{parsed}");
}

fn run_helper(input: &str) -> String {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("names-helper");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/names.c");
    let built = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .arg("-lkrb5")
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "cannot compile against libkrb5; install a C compiler and its headers: apt-get install gcc libkrb5-dev"
    );
    let mut helper = Command::new(program)
        .env("KRB5_CONFIG", "/dev/null")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = helper.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input.as_bytes()).unwrap());
        helper.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
