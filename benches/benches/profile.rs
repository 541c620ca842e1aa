//! `krb5-profile` reads the files of a KDC and a large one, and looks a value up; beside libkrb5 on the same files.
//!
//! `--features libkrb5` adds the library (Debian: `libkrb5-dev`).
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use krb5_profile::{Filesystem, FinalRule, Profile};

#[cfg(feature = "libkrb5")]
#[path = "libkrb5/profile.rs"]
mod libkrb5;
#[path = "samples/mod.rs"]
mod samples;

fn load(files: &[PathBuf]) -> Profile {
    Profile::load(files, &Filesystem, FinalRule::Before1_22).expect("the files are well-formed")
}

fn read(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).expect("the directory can be written");
        file
    };
    let usual = [
        write("kdc.conf", samples::KDC_CONF),
        write("krb5.conf", samples::KRB5_CONF),
    ];
    let large = [write("large.conf", &large_profile())];

    for (name, files, relations) in [
        ("profile, kdc.conf and krb5.conf", &usual[..], 41),
        ("profile, 10,000 relations", &large[..], 10_000),
    ] {
        assert_eq!(relations_of(&load(files)), relations);
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(relations));
        group.bench_function("krb5-profile", |b| b.iter(|| load(black_box(files))));
        #[cfg(feature = "libkrb5")]
        group.bench_function("libkrb5", |b| b.iter(|| libkrb5::Profile::load(black_box(files))));
        group.finish();
    }
    look_up(c, &large);
}

/// The last relation of the last section.
fn look_up(c: &mut Criterion, files: &[PathBuf]) {
    let profile = load(files);
    let length = || {
        let path = black_box(["realms", "REALM99.EXAMPLE.COM", "key99"]);
        profile.value(path).map(<[u8]>::len)
    };
    assert_eq!(length(), Some("value 99 of realm 99".len()));
    let mut group = c.benchmark_group("profile, a value among 10,000");
    group.bench_function("krb5-profile", |b| b.iter(length));
    #[cfg(feature = "libkrb5")]
    {
        let profile = libkrb5::Profile::load(files);
        let path = [c"realms", c"REALM99.EXAMPLE.COM", c"key99"];
        assert_eq!(Some(profile.value_length(path)), length());
        group.bench_function("libkrb5", |b| b.iter(|| profile.value_length(black_box(path))));
    }
    group.finish();
}

fn relations_of(profile: &Profile) -> u64 {
    fn below(section: krb5_profile::Section<'_>) -> u64 {
        let here = section.relations().map(|_| 1).sum::<u64>();
        here + section.sections().map(below).sum::<u64>()
    }
    profile.trees().iter().map(|tree| below(tree.root())).sum()
}

/// A hundred realms of a hundred relations each.
fn large_profile() -> String {
    let mut text = "[realms]\n".to_owned();
    for realm in 0..100 {
        let _ = writeln!(text, "    REALM{realm}.EXAMPLE.COM = {{");
        for relation in 0..100 {
            let _ = writeln!(text, "        key{relation} = value {relation} of realm {realm}");
        }
        text.push_str("    }\n");
    }
    text
}

criterion_group!(benches, read);
criterion_main!(benches);
