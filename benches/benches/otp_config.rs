//! `kdc-otp-config` reads and lints the configuration of a KDC: what `otpctl kdc check` does. Beside the reading of the
//! same files alone.
#![allow(missing_docs, reason = "criterion's macros make public items")]
#![allow(clippy::expect_used, reason = "a bench of a failure measures nothing")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use kdc_otp_config::{Filesystem, FinalRule, KdcBuild, check};
use krb5_profile::Profile;

#[path = "samples/mod.rs"]
mod samples;

fn read_and_lint(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).expect("the directory can be written");
        file
    };
    let files = [
        write("kdc.conf", samples::KDC_CONF),
        write("krb5.conf", samples::KRB5_CONF),
    ];
    write("vpn.secret", "correct horse battery staple\n");
    write("partner.secret", "staple battery horse correct\n");
    let build = KdcBuild::new(directory.path(), "/run/krb5kdc", FinalRule::Before1_22);
    assert_eq!(
        check(&files, &Filesystem, &build).types().len(),
        4,
        "three and DEFAULT"
    );

    let mut group = c.benchmark_group("[otp], three token types");
    group.bench_function("read and lint", |b| {
        b.iter(|| check(black_box(&files), &Filesystem, &build));
    });
    group.bench_function("read the profile alone", |b| {
        b.iter(|| Profile::load(black_box(&files), &Filesystem, FinalRule::Before1_22));
    });
    group.finish();

    // A site with a server for each of a hundred departments.
    let sections: String = (0..100)
        .map(|n| {
            format!(" type{n} = {{\n  server = /run/otp/{n}.socket\n  indicator = otp\n  timeout = 5\n }}\n")
        })
        .collect();
    let files = [write("large.conf", &format!("[otp]\n{sections}"))];
    assert_eq!(check(&files, &Filesystem, &build).types().len(), 101);
    let mut group = c.benchmark_group("[otp], a hundred token types");
    group.bench_function("read and lint", |b| {
        b.iter(|| check(black_box(&files), &Filesystem, &build));
    });
    group.bench_function("read the profile alone", |b| {
        b.iter(|| Profile::load(black_box(&files), &Filesystem, FinalRule::Before1_22));
    });
    group.finish();
}

criterion_group!(benches, read_and_lint);
criterion_main!(benches);
