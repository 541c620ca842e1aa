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

/// What libprofile says of each list of files, in the form of [`dump`].
fn libprofile(lists: &[Vec<String>]) -> Vec<String> {
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
    let dumps: Vec<String> = output.split_terminator(".\n").map(str::to_owned).collect();
    assert_eq!(dumps.len(), lists.len());
    dumps
}

/// Fails unless both read `list` alike; returns what they read.
fn assert_alike(list: &[String], theirs: &str) -> String {
    let ours = dump(&Profile::load(list, &Filesystem, FinalRule::Before1_22));
    let shown = || {
        list.iter()
            .map(|file| krb5_profile::text(&std::fs::read(file).unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(ours, theirs, "{list:?}: {:#?}", shown());
    ours
}

#[test]
fn generated_files_read_as_libprofile_reads_them() {
    let directory = generate::directory();
    let lists = generate::write_groups(directory.path(), GROUPS);
    let lists: Vec<Vec<String>> = lists.into_iter().map(Vec::from).collect();
    let (mut refused, mut relations) = (0, 0);
    for (list, theirs) in lists.iter().zip(libprofile(&lists)) {
        let ours = assert_alike(list, &theirs);
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

/// A file with something of everything. `@` stands for the directory of the files.
const EVERYTHING: &str = "free text\ninclude @/inc\n[otp]\n vpn = {\n  server = 127.0.0.1:1812 \n  secret* = \"a\\tb\\\" c\" # d\n  \
     indicator = one\r\n; comment\n }\nincludedir @/dir\n DEFAULT =\n {\n  sub* = {\n   strip_realm = no\n  }*\n } x\n[otp]*\n \
     vpn = {\n  indicator = two\n }\n[last]\n x = y";

/// Cut anywhere, a file is often a file; then both read the same, and refuse the same where it is none.
#[test]
fn truncated_files_read_as_libprofile_reads_them() {
    let directory = generate::directory();
    let place = directory.path().to_str().unwrap();
    std::fs::create_dir(format!("{place}/dir")).unwrap();
    std::fs::write(format!("{place}/inc"), "[inc]\n x = {\n").unwrap();
    std::fs::write(format!("{place}/dir/x.conf"), "[dir]\n y = 1\n").unwrap();
    std::fs::create_dir(format!("{place}/cut")).unwrap();
    // The place is put in after the cut: half a path may be anything.
    let lists: Vec<Vec<String>> = (0..=EVERYTHING.len())
        .map(|length| {
            let file = format!("{place}/cut/{length}");
            std::fs::write(&file, EVERYTHING[..length].replace('@', place)).unwrap();
            vec![file]
        })
        .collect();
    let mut read = 0;
    for (list, theirs) in lists.iter().zip(libprofile(&lists)) {
        read += usize::from(!assert_alike(list, &theirs).starts_with("error"));
    }
    println!(
        "{} prefixes, {read} of them read alike, the others refused alike",
        lists.len()
    );
    assert!((lists.len() / 5..lists.len() * 4 / 5).contains(&read), "{read}");
}
