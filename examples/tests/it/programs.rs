//! The examples as built programs, and helpers in C.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The built example; `cargo test -p examples` builds them all.
pub fn example(name: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(2).unwrap();
    let program = target.join("examples").join(name);
    assert!(
        program.is_file(),
        "{program:?} is missing; run: cargo build -p examples --examples"
    );
    Command::new(program)
}

/// Runs a program with `input`.
pub fn run(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not read its input is allowed to close it.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

/// Compiles `tests/it/<name>.c` against libkrb5 and other libraries.
pub fn compile(name: &str, libraries: &[&str]) -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/{name}.c"));
    let built = Command::new("cc")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .args(libraries)
        .arg("-lkrb5")
        .status();
    assert!(
        built.is_ok_and(|status| status.success()),
        "cannot compile against libkrb5 {libraries:?}; install a C compiler and the libraries: \
         apt-get install gcc libkrb5-dev krb5-otp"
    );
    program
}
