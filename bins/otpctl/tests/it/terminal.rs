//! The library on a terminal that answers by itself, at a time that stands still.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Write},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use otp_core::{OtpauthUri, Totp};
use otp_service::Clock;
use otp_validation::UnixTime;
use otpctl::{Cli, Echo, Exit, Io, Prompt};
use rand::{SeedableRng, rngs::StdRng};
use zeroize::Zeroizing;

use crate::harness::{KEY, State, key};

/// No two commands draw the same octets.
static SEED: AtomicU64 = AtomicU64::new(0);

const NOW: UnixTime = UnixTime(1_800_000_000);

struct Still;

impl Clock for Still {
    fn now(&self) -> UnixTime {
        NOW
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Answers in order, and notes what was asked.
struct Answers {
    answers: VecDeque<&'static str>,
    asked: Rc<RefCell<Vec<(String, Echo)>>>,
}

impl Prompt for Answers {
    fn ask(&mut self, question: &str, echo: Echo) -> io::Result<Zeroizing<String>> {
        self.asked.borrow_mut().push((question.to_owned(), echo));
        let answer = self.answers.pop_front().ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(Zeroizing::new(answer.to_owned()))
    }
}

#[derive(Clone, Default)]
struct Screen(Rc<RefCell<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

struct Session {
    exit: Exit,
    stdout: String,
    stderr: String,
    asked: Vec<(String, Echo)>,
}

/// Runs a command with a terminal on all three streams.
fn session(state: &State, arguments: &[&str], answers: &[&'static str]) -> Session {
    let directory = state.path();
    let global = ["otpctl", "--state-dir", directory.to_str().unwrap()];
    let cli = Cli::parse_from(global.iter().chain(arguments));
    let (stdout, stderr, asked) = (Screen::default(), Screen::default(), Rc::default());
    let answers = Answers {
        answers: answers.iter().copied().collect(),
        asked: Rc::clone(&asked),
    };
    let io = Io {
        stdin: Box::new(io::empty()),
        stdout: Box::new(stdout.clone()),
        stderr: Box::new(stderr.clone()),
        terminal: Some(Box::new(answers)),
        stdout_is_terminal: true,
        stderr_is_terminal: true,
        no_color: true,
        on_behalf_of: None,
        home: None,
        clock: Arc::new(Still),
        rng: Box::new(StdRng::seed_from_u64(SEED.fetch_add(1, Ordering::Relaxed))),
    };
    let exit = otpctl::run(&cli, io);
    let asked = asked.borrow().clone();
    Session {
        exit,
        stdout: stdout.text(),
        stderr: stderr.text(),
        asked,
    }
}

#[test]
fn passwords_are_asked_for_twice_and_never_shown() {
    let state = State::new();
    let done = session(
        &state,
        &["user", "add", "alice", "--password"],
        &["secret", "secret"],
    );
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    assert_eq!(done.asked.len(), 2);
    assert!(done.asked.iter().all(|(_, echo)| *echo == Echo::Hidden));
    let done = session(
        &state,
        &["user", "add", "bob", "--password"],
        &["secret", "sceret"],
    );
    assert_eq!(done.exit, Exit::Data);
    assert!(done.stderr.contains("the two entries differ"));
    assert_eq!(session(&state, &["user", "show", "bob"], &[]).exit, Exit::Object);
}

#[test]
fn a_new_token_is_drawn_and_then_proven() {
    let state = State::new();
    session(&state, &["user", "add", "alice"], &[]);
    let done = session(&state, &["token", "add", "alice"], &[]);
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    assert!(
        done.stdout.contains('█') && done.stdout.contains("otpctl token verify alice/totp"),
        "{}",
        done.stdout
    );
    let uri = done
        .stdout
        .lines()
        .find(|line| line.starts_with("otpauth://"))
        .unwrap();
    let uri = OtpauthUri::parse(uri).unwrap();
    let plain = session(&state, &["token", "add", "alice", "--no-qr"], &[]);
    assert!(!plain.stdout.contains('█') && plain.stdout.contains("otpauth://"));

    let code = Totp::default().at(uri.key(), NOW.0).unwrap();
    let code: &'static str = Box::leak(code.as_str().to_owned().into_boxed_str());
    let done = session(&state, &["token", "verify", "alice/totp"], &[code]);
    assert_eq!(
        (done.exit, done.stdout.as_str()),
        (Exit::Ok, "alice/totp is active.\n")
    );
    assert_eq!(done.asked, [("Code of alice/totp: ".to_owned(), Echo::Shown)]);
    let next = session(&state, &["auth", "alice"], &[code]);
    assert_eq!(next.exit, Exit::No);
    assert_eq!(next.asked, [("Credential: ".to_owned(), Echo::Hidden)]);
}

#[test]
fn a_clock_that_is_off_is_named() {
    let state = State::new();
    state.run(["user", "add", "alice"]).ok();
    state.run_with(["token", "add", "alice", "--secret"], KEY).ok();
    let late = Totp::default().at(&key(), NOW.0 - 3_600).unwrap();
    let late: &'static str = Box::leak(late.as_str().to_owned().into_boxed_str());
    let done = session(&state, &["token", "verify", "alice/totp"], &[late]);
    assert_eq!(done.exit, Exit::Data);
    assert!(
        done.stderr.contains("clock is 120 time steps behind"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("try: compare the clocks"), "{}", done.stderr);
}

#[test]
fn keys_that_are_typed_are_neither_shown_nor_drawn() {
    let state = State::new();
    session(&state, &["user", "add", "alice"], &[]);
    let done = session(&state, &["token", "add", "alice", "--secret"], &[KEY]);
    assert_eq!(done.exit, Exit::Ok, "{}", done.stderr);
    assert_eq!(done.asked[0].1, Echo::Hidden);
    assert!(
        !done.stdout.contains("otpauth") && !done.stdout.contains('█'),
        "{}",
        done.stdout
    );
    assert!(done.stdout.starts_with("added alice/totp"));
}
