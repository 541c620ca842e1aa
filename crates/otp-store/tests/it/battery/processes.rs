//! Several processes on one store, some of them killed.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use otp_store::{Paths, Store};
use otp_validation::Reason;

use crate::support::{Fixture, SEED, attempt, code, kdc, location, nas, next_counter, recorded};

const STATE: &str = "OTP_STORE_TEST_STATE";
const DATABASE: &str = "OTP_STORE_TEST_DATABASE";
const ROUNDS: &str = "OTP_STORE_TEST_ROUNDS";

/// The part of the tests below that runs in processes of its own: says which codes it was allowed to accept, each after
/// the commit and before the next attempt.
#[test]
fn child() {
    let (Ok(state), Ok(rounds)) = (env::var(STATE), env::var(ROUNDS)) else {
        return; // started by the test runner, not by a test
    };
    let url = env::var(DATABASE).unwrap();
    let store = Store::open(location(
        &Paths::new(state),
        Some(url).filter(|url| !url.is_empty()),
    ))
    .unwrap();
    let pid = std::process::id();
    let rounds = rounds.parse().unwrap();
    loop {
        // Always the next code: whoever falls far behind would be locked out for guessing.
        let counter = next_counter(&store, "alice");
        if counter >= rounds {
            break;
        }
        let packet = format!("{counter} of {pid}");
        let (accepted, reason) = attempt(&store, "alice", &nas(), &code(SEED, counter), packet.as_bytes());
        if accepted {
            assert_eq!(reason, Reason::Accepted);
            let mut out = std::io::stdout().lock();
            writeln!(out, "accepted {counter} {pid}").unwrap();
            out.flush().unwrap();
        }
    }
}

fn start(fixture: &Fixture, rounds: u64) -> Child {
    // The runner's names of tests begin below the crate.
    let (_, module) = module_path!().split_once("::").unwrap();
    let child = format!("{module}::child");
    Command::new(env::current_exe().unwrap())
        .args([child.as_str(), "--exact", "--nocapture", "--test-threads=1"])
        .env(STATE, &fixture.paths.state_dir)
        .env(DATABASE, fixture.url.as_deref().unwrap_or_default())
        .env(ROUNDS, rounds.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Counter and process of every acceptance that `child` reported.
fn accepted(child: &mut Child) -> Vec<(u64, u32)> {
    let lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    // The test runner writes to the same stream, without ending its line.
    let reports = lines.filter_map(|line| {
        let (_, report) = line.split_once("accepted ")?;
        let (counter, pid) = report.split_once(' ')?;
        Some((counter.parse().ok()?, pid.parse().ok()?))
    });
    reports.collect()
}

#[test]
fn of_several_processes_one_accepts_each_code() {
    const CODES: u64 = 600;
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let mut children: Vec<_> = (0..3).map(|_| start(&fixture, CODES)).collect();
    let reports = thread::scope(|scope| {
        let readers: Vec<_> = children
            .iter_mut()
            .map(|child| scope.spawn(|| accepted(child)))
            .collect();
        readers
            .into_iter()
            .flat_map(|reader| reader.join().unwrap())
            .collect::<Vec<_>>()
    });
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let mut counters: Vec<_> = reports.iter().map(|(counter, _)| *counter).collect();
    counters.sort_unstable();
    assert_eq!(
        counters,
        (0..CODES).collect::<Vec<_>>(),
        "each code was accepted by exactly one process"
    );
}

#[test]
fn a_killed_process_leaves_what_it_accepted() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let mut all = BTreeMap::new();
    for round in 0..6_u64 {
        let mut child = start(&fixture, u64::MAX);
        // Killed after a while, in the middle of whatever it does.
        let pid = child.id();
        let reports = thread::scope(|scope| {
            let mut stdout = child.stdout.take();
            let reader = scope.spawn(move || {
                let mut reading = BufReader::new(stdout.take().unwrap());
                let mut text = String::new();
                let _ = std::io::Read::read_to_string(&mut reading, &mut text);
                text
            });
            thread::sleep(Duration::from_millis(150 + 37 * round));
            child.kill().unwrap();
            child.wait().unwrap();
            reader.join().unwrap()
        });
        let reports = reports
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .filter_map(|line| {
                let (_, report) = line.trim_end().split_once("accepted ")?;
                report.split_once(' ')?.0.parse::<u64>().ok()
            });
        for counter in reports {
            assert_eq!(
                all.insert(counter, pid),
                None,
                "counter {counter} was accepted twice"
            );
        }
        let store = fixture.reopen();
        let next = loop {
            let (next, records) = (next_counter(&store, "alice"), recorded(&store, Reason::Accepted));
            // A server may end by itself what was asked of it last.
            if next_counter(&store, "alice") == next {
                assert_eq!(records as u64, next, "codes and records");
                break next;
            }
        };
        if let Some((last, _)) = all.last_key_value() {
            assert!(next > *last, "an acceptance was lost");
            let packet = format!("{last} of {}", all[last]);
            let repeated = attempt(&store, "alice", &nas(), &code(SEED, *last), packet.as_bytes());
            assert_eq!(repeated, (true, Reason::SamePacket), "the verdict was lost");
            assert!(!attempt(&store, "alice", &kdc(), &code(SEED, *last), b"a replay").0);
        }
    }
    assert!(
        all.len() > 6,
        "{} acceptances were too few to kill anything",
        all.len()
    );
}
