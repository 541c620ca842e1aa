//! Agreement with the installed libkrb5: the same files give the same relations, or the same error.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use krb5_profile::{Filesystem, FinalRule, Profile};

use crate::dump::dump;
use crate::generate;

/// How many groups of files are generated.
const GROUPS: usize = 3000;

fn helper() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libprofile-helper");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/helper.c");
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
    program
}

#[test]
fn generated_files_read_as_libprofile_reads_them() {
    let directory = generate::directory();
    let lists = generate::write_groups(directory.path(), GROUPS);
    let mut helper = Command::new(helper())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the helper starts");

    let requests: String = lists.iter().map(|list| list.join(":") + "\n").collect();
    let mut stdin = helper.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(requests.as_bytes()));
    let output = helper.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "the helper failed: {:?}", output.status);
    let output = String::from_utf8(output.stdout).unwrap();
    let theirs: Vec<&str> = output.split_terminator(".\n").collect();
    assert_eq!(theirs.len(), GROUPS);

    let (mut refused, mut relations) = (0, 0);
    for (list, theirs) in lists.iter().zip(theirs) {
        let ours = dump(&Profile::load(list, &Filesystem, FinalRule::Before1_22));
        let shown = || {
            list.iter()
                .map(|file| krb5_profile::text(&std::fs::read(file).unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(ours, theirs, "{list:?}: {:#?}", shown());
        refused += usize::from(ours.starts_with("error"));
        relations += ours
            .lines()
            .filter(|line| line.trim_start().starts_with('r'))
            .count();
    }
    println!("{GROUPS} groups of files: {refused} refused alike, {relations} relations alike in the others");
    assert!(
        (GROUPS / 5..GROUPS * 4 / 5).contains(&refused),
        "{refused} of {GROUPS} refused"
    );
    assert!(relations > GROUPS, "{relations} relations");
}
