//! The service on a real store, with a clock that stands where the test puts it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use otp_core::{Digits, Hotp, HotpState, TokenKey, hotp};
use otp_service::{Clock, Outcome, Request, Service, password};
use otp_store::{MissingUsers, NewToken, NewUser, Paths, Source, Store};
use otp_validation::{Client, PacketDigest, Reason, TokenMode, TokenStatus, UnixTime, UserName};
use tempfile::TempDir;

const START: UnixTime = UnixTime(1_700_000_000);

/// What it shows, and what has passed.
struct TestClock(AtomicU64, AtomicU64);

impl Clock for TestClock {
    fn now(&self) -> UnixTime {
        UnixTime(self.0.load(Ordering::Relaxed))
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.1.load(Ordering::Relaxed))
    }
}

impl TestClock {
    /// Time passes, as it does where nobody touches the clock.
    fn pass(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
        self.1.fetch_add(seconds, Ordering::Relaxed);
    }
}

struct World {
    service: Service,
    clock: Arc<TestClock>,
    packets: AtomicU64,
    client: Client,
    dir: TempDir,
}

fn key() -> TokenKey {
    TokenKey::from(*b"12345678901234567890")
}

fn code(counter: u64) -> String {
    hotp(&key(), counter, Digits::SIX).as_str().to_owned()
}

impl World {
    /// Alice with an HOTP token, and the KDC's client with the given grace.
    fn new(repeat_grace: u32) -> Self {
        let dir = TempDir::new().unwrap();
        let paths = Paths::new(dir.path().join("state"));
        Store::init(&paths, START, &mut rand::rng()).unwrap();
        let store = Store::open(&paths).unwrap();
        let name = UserName::parse(b"alice").unwrap();
        store
            .add_user(&NewUser::new(name.clone(), START), &mut rand::rng())
            .unwrap();
        let token = NewToken {
            user: name,
            label: "ring".into(),
            key: key(),
            mode: TokenMode::Hotp {
                hotp: Hotp::default(),
                state: HotpState { next: 0 },
                look_ahead: 10,
            },
            status: TokenStatus::Active,
            created_at: START,
        };
        store
            .add_tokens(&[token], MissingUsers::Refuse, &mut rand::rng())
            .unwrap();
        let client = store
            .client_for(&Source::Listener("kdc".into()))
            .unwrap()
            .unwrap()
            .policy();
        let clock = Arc::new(TestClock(AtomicU64::new(START.0), AtomicU64::new(0)));
        let service = Service::new(store, Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            service,
            clock,
            packets: AtomicU64::new(0),
            client: Client {
                repeat_grace,
                ..client
            },
            dir,
        }
    }

    fn request(&self, user: &str, credential: &str) -> Request {
        let mut packet = [0; 32];
        packet[..8].copy_from_slice(&self.packets.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Request {
            user_name: user.as_bytes().to_vec(),
            credential: Some(credential.as_bytes().to_vec().into()),
            packet: PacketDigest(packet),
            channel: None,
        }
    }

    async fn ask(&self, user: &str, credential: &str) -> Outcome {
        self.service
            .validate(self.request(user, credential), &self.client)
            .await
    }

    /// All of `credentials` at the same time; how often each reason was given.
    async fn storm(&self, credentials: &[String]) -> BTreeMap<&'static str, usize> {
        let tasks: Vec<_> = credentials
            .iter()
            .map(|credential| {
                let (service, client) = (self.service.clone(), self.client.clone());
                let request = self.request("alice", credential);
                tokio::spawn(async move { service.validate(request, &client).await })
            })
            .collect();
        let mut reasons = BTreeMap::new();
        for task in tasks {
            let outcome = task.await.unwrap();
            assert_eq!(
                outcome.is_accept(),
                matches!(
                    outcome.reason,
                    Reason::Accepted | Reason::Twin | Reason::SamePacket
                ),
                "{outcome:?}"
            );
            *reasons.entry(outcome.reason.code()).or_default() += 1;
        }
        reasons
    }

    fn failures(&self) -> u32 {
        self.service
            .store()
            .user(&UserName::parse(b"alice").unwrap())
            .unwrap()
            .unwrap()
            .lockout
            .otp_failures
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_requests_with_one_code_one_is_accepted() {
    let world = World::new(0);
    for round in 0..20 {
        let reasons = world.storm(&vec![code(round); 100]).await;
        assert_eq!(reasons.get("accepted"), Some(&1), "{reasons:?}");
        assert_eq!(reasons.get("twin"), None, "{reasons:?}");
    }
    assert_eq!(world.failures(), 0, "a right code is no guess");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twins_get_one_acceptance_and_three_repetitions() {
    let world = World::new(5);
    world.clock.pass(60);
    let mut twins = 0;
    for round in 0..20 {
        let reasons = world.storm(&vec![code(round); 30]).await;
        assert_eq!(reasons.get("accepted"), Some(&1), "{reasons:?}");
        let seen = reasons.get("twin").copied().unwrap_or_default();
        assert!(seen <= 3, "{reasons:?}");
        twins += seen;
    }
    assert!(twins > 0, "a storm of repetitions has twins");
}

#[tokio::test]
async fn what_was_spent_before_the_start_has_no_twins() {
    let world = World::new(5);
    world.clock.pass(60);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Accepted);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Twin, "control");
    let store = Store::open(world.service.store().paths()).unwrap();
    let restarted = Service::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>);
    for seconds in 0..6 {
        let outcome = restarted
            .validate(world.request("alice", &code(0)), &world.client)
            .await;
        assert_eq!(
            outcome.reason,
            Reason::ReplayedCode,
            "{seconds} s after the start"
        );
        world.clock.pass(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_at_once_cost_as_much_as_one_after_the_other() {
    let world = World::new(0);
    let guesses: Vec<_> = (0..100).map(|n| format!("{:06}", 900_000 + n)).collect();
    let reasons = world.storm(&guesses).await;
    // Three are looked at before the lock; the rest learns nothing.
    assert_eq!(reasons.get("wrong-code"), Some(&3), "{reasons:?}");
    assert_eq!(world.failures(), 3);
    assert_eq!(
        world.ask("alice", &code(0)).await.reason,
        Reason::Locked,
        "even the right one"
    );
    world.clock.pass(1);
    assert_eq!(
        world.ask("alice", &code(0)).await.reason,
        Reason::Accepted,
        "a lock ends by itself"
    );
    assert_eq!(world.failures(), 0);
}

#[tokio::test]
async fn a_lock_survives_a_restart() {
    let world = World::new(0);
    for _ in 0..3 {
        world.ask("alice", "000000").await;
    }
    let store = Store::open(world.service.store().paths()).unwrap();
    let again = Service::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>);
    let outcome = again
        .validate(world.request("alice", &code(0)), &world.client)
        .await;
    assert_eq!(outcome.reason, Reason::Locked);
}

#[tokio::test]
async fn names_find_their_user() {
    let world = World::new(0);
    for (counter, name) in (0..).zip(["alice", "alice@EXAMPLE.COM", r"EXAMPLE\alice"]) {
        let outcome = world.ask(name, &code(counter)).await;
        assert_eq!(outcome.reason, Reason::Accepted, "{name}");
        assert_eq!(outcome.user.unwrap().as_str(), "alice");
        assert_eq!(outcome.token.as_deref(), Some("ring"));
    }
    for (name, reason) in [
        ("Alice", Reason::UnknownUser),
        ("", Reason::InvalidUserName),
        ("a\nb", Reason::InvalidUserName),
    ] {
        assert_eq!(world.ask(name, &code(9)).await.reason, reason, "{name:?}");
    }
    let nothing = Request {
        credential: None,
        ..world.request("alice", "")
    };
    assert_eq!(
        world.service.validate(nothing, &world.client).await.reason,
        Reason::NoCredential
    );
}

#[tokio::test]
async fn the_password_decides_after_the_code() {
    let world = World::new(0);
    let name = UserName::parse(b"alice").unwrap();
    let hash = password::hash(b"correct horse", &mut rand::rng()).unwrap();
    world
        .service
        .store()
        .set_user_password(&name, Some(&hash), &mut rand::rng())
        .unwrap();
    for (credential, reason) in [
        (format!("wrong horse{}", code(0)), Reason::WrongPassword),
        (code(0), Reason::WrongPassword),
        ("correct horse000000".into(), Reason::WrongCode),
        (format!("correct horse{}", code(0)), Reason::Accepted),
        (format!("correct horse{}", code(0)), Reason::ReplayedCode),
    ] {
        assert_eq!(
            world.ask("alice", &credential).await.reason,
            reason,
            "{credential}"
        );
    }
}

#[tokio::test]
async fn a_database_that_somebody_holds_accepts_nobody_and_recovers() {
    let world = World::new(0);
    let database = world.dir.path().join("state").join("otp.db");
    let foreign = rusqlite::Connection::open(database).unwrap();
    foreign.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = world.ask("alice", &code(0)).await;
    assert!(!outcome.is_accept());
    assert_eq!(outcome.reason, Reason::StoreFailure);
    foreign.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        world.ask("alice", &code(0)).await.reason,
        Reason::Accepted,
        "nothing was spent"
    );
}

/// A clock that was set back must not make an old acceptance young again: neither for the same packet nor for a twin.
#[tokio::test]
async fn a_clock_that_was_set_back_brings_no_acceptance_back() {
    let world = World::new(5);
    let at = |seconds: u64| world.clock.0.store(START.0 + seconds, Ordering::Relaxed);
    at(60);
    let credential = code(0);
    let packet = world.request("alice", &credential).packet;
    let same_packet = || Request {
        packet,
        ..world.request("alice", &credential)
    };
    let ask = async |request| world.service.validate(request, &world.client).await.reason;
    assert_eq!(ask(same_packet()).await, Reason::Accepted);
    assert_eq!(ask(same_packet()).await, Reason::SamePacket, "control");

    at(3600);
    assert_eq!(ask(same_packet()).await, Reason::ReplayedCode, "an hour later");
    at(61);
    assert_eq!(
        ask(same_packet()).await,
        Reason::ReplayedCode,
        "set back: the packet"
    );
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::ReplayedCode,
        "set back: a twin"
    );

    // The other way round: the clock ran ahead when the code was spent, was put right, and gets there at last.
    at(7200);
    let credential = code(1);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::Accepted);
    at(100);
    assert_eq!(world.ask("nobody", "").await.reason, Reason::UnknownUser);
    at(7201);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::ReplayedCode);
    assert_eq!(
        world.ask("alice", &code(2)).await.reason,
        Reason::Accepted,
        "control"
    );
}

/// Every second that comes again is noticed, also the last one.
#[tokio::test]
async fn a_clock_that_goes_back_by_one_second_brings_no_acceptance_back() {
    let world = World::new(5);
    world.clock.pass(60);
    let credential = code(0);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::Accepted);
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::Twin,
        "control"
    );
    // Twenty seconds later, the clock shows the second after the login.
    world.clock.pass(20);
    world.clock.0.fetch_sub(19, Ordering::Relaxed);
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::ReplayedCode,
        "although the clock never showed less than at the login"
    );
}

/// Twins need the grace again soon after, not only once the clock is past the start of the service.
#[tokio::test]
async fn a_clock_that_was_put_right_after_the_start_leaves_the_grace() {
    let world = World::new(5);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Accepted);
    world.clock.0.fetch_sub(86_400, Ordering::Relaxed);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::ReplayedCode);
    world.clock.pass(10);
    assert_eq!(world.ask("alice", &code(1)).await.reason, Reason::Accepted);
    assert_eq!(world.ask("alice", &code(1)).await.reason, Reason::Twin);
}

#[tokio::test]
async fn a_clock_that_is_behind_after_a_restart_brings_no_acceptance_back() {
    let world = World::new(5);
    world.clock.0.fetch_add(7200, Ordering::Relaxed);
    let credential = code(0);
    let packet = world.request("alice", &credential).packet;
    let same_packet = || Request {
        packet,
        ..world.request("alice", &credential)
    };
    let outcome = world.service.validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::Accepted);

    let store = Store::open(world.service.store().paths()).unwrap();
    let restarted = |store| Service::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>);
    let service = restarted(store.clone());
    let outcome = service.validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::SamePacket, "control");

    world.clock.0.fetch_sub(10, Ordering::Relaxed);
    let outcome = restarted(store).validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::ReplayedCode);
}

#[test]
fn a_request_does_not_show_its_credential() {
    let request = Request {
        user_name: b"alice".to_vec(),
        credential: Some(b"correct horse755224".to_vec().into()),
        packet: PacketDigest([0; 32]),
        channel: None,
    };
    let shown = format!("{request:?}");
    let octets = format!("{:?}", b"correct horse");
    let octets = octets.trim_matches(['[', ']']);
    assert!(
        !shown.contains("correct horse") && !shown.contains(octets),
        "{shown}"
    );
}
