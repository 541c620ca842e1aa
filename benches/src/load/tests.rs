use std::{sync::mpsc, thread};

use clap::Parser as _;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::responder;

const SECRET: &str = "the secret of a load generator";

/// Runs the load of `arguments` on a responder that listens on `target`.
fn load_on(target: Target, arguments: &str) -> Report {
    load_with(target, arguments, run).unwrap()
}

fn load_with<T>(target: Target, arguments: &str, load: impl FnOnce(&Options) -> T) -> T {
    let shutdown = CancellationToken::new();
    let (bound, address) = mpsc::channel();
    let server = thread::spawn({
        let shutdown = shutdown.clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let tell = move |target| bound.send(target).unwrap();
            runtime
                .block_on(responder::serve(target, SECRET, tell, shutdown))
                .unwrap();
        }
    });
    let mut options = options(arguments);
    options.target = address.recv().unwrap();
    let seen = load(&options);
    shutdown.cancel();
    server.join().unwrap();
    seen
}

fn options(arguments: &str) -> Options {
    let line = format!("radius-load udp://127.0.0.1:1 --prepare 100 {arguments}");
    Options::try_parse_from(line.split_whitespace()).unwrap()
}

fn loopback() -> Target {
    "udp://127.0.0.1:0".parse().unwrap()
}

#[test]
fn every_reply_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let tcp = "tcp://127.0.0.1:0".parse().unwrap();
    for target in [loopback(), tcp, Target::Unix(dir.path().join("socket"))] {
        let counters = dir.path().join("counters");
        let report = load_on(
            target,
            &format!(
                "--users 40 --window 20 --lanes 2 --seconds 0.2 --warm-up 0 --verify-every 1 --counters {} --pid {}",
                counters.display(),
                std::process::id(),
            ),
        );
        assert!(report.accepts > 20, "{report}");
        assert_eq!((report.rejects, report.wrong, report.lost), (0, 0, 0), "{report}");
        let Latencies { p50, p99, p999, max } = report.latencies;
        assert!(0.0 < p50 && p50 <= p99 && p99 <= p999 && p999 <= max, "{report}");
        assert!(report.server_resident_kib.is_some() && report.server_cpu_micros.is_some());
        let shown: u64 = fs::read_to_string(&counters)
            .unwrap()
            .lines()
            .map(|line| line.parse::<u64>().unwrap())
            .sum();
        assert!(shown >= report.accepts, "{shown} codes: {report}");
        fs::remove_file(counters).unwrap();
    }
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let report = load_on(
        loopback(),
        "--rate 500 --users 100 --window 100 --seconds 1 --warm-up 0",
    );
    assert!((300.0..700.0).contains(&report.rate), "{report}");
    assert_eq!((report.rejects, report.wrong, report.lost), (0, 0, 0), "{report}");
}

#[test]
fn duplicates_have_the_first_answer_again() {
    let report = load_on(
        loopback(),
        "--mode duplicates --users 10 --window 10 --seconds 0.2 --warm-up 0.1",
    );
    assert!(report.accepts > 20, "{report}");
    assert_eq!((report.rejects, report.wrong, report.lost), (0, 0, 0), "{report}");
}

#[test]
fn what_is_not_answered_is_lost() {
    // A responder that does not know this secret discards.
    let report = load_on(
        loopback(),
        "--secret wrong --users 5 --window 5 --seconds 0.1 --warm-up 0",
    );
    assert_eq!((report.accepts, report.wrong, report.lost), (0, 0, 5), "{report}");
}

#[test]
fn a_server_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    for target in [loopback(), Target::Unix(dir.path().join("socket"))] {
        let waited = load_with(target, "--users 3 --window 1", until_answered);
        waited.unwrap();
    }
}

#[test]
fn tokens_are_written_as_they_are_imported() {
    let mut out = Vec::new();
    write_tokens(&Users::new(2), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], "user,type,secret");
    assert!(lines[2].starts_with("u0000001,hotp,"), "{text}");
    assert_eq!(lines[2].len(), "u0000001,hotp,".len() + 32);
}
