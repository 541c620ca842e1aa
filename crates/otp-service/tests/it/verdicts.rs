//! Requests at once, names, stores that are held.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use otp_service::{Clock, Origin, Request, Room, Service};
use otp_store::Store;
use otp_validation::{Client, ClientId, PacketDigest, Reason, ReplyAttributes, UserName};

use crate::world::{World, code};

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

/// Whoever guesses through one client leaves the user alone at another, and nobody is harmed by a name that is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_lock_at_their_client_alone() {
    let world = World::new(0);
    let vpn = Client {
        id: ClientId(77),
        name: "vpn".into(),
        ..world.client.clone()
    };
    for _ in 0..20 {
        let guess = world.request("alice", "000000");
        world.service.validate(guess, &vpn).await;
        world.clock.pass(900);
    }
    assert_eq!(world.failures(), 20);
    for name in ["", " ", "alic", "alice ", "Alice", "\u{0}"] {
        world.ask(name, "000000").await;
    }
    assert_eq!(world.failures(), 20);
    let guess = world.request("alice", "000000");
    world.service.validate(guess, &vpn).await;
    let honest = world.request("alice", &code(0));
    let outcome = world.service.validate(honest, &vpn).await;
    assert_eq!(outcome.reason, Reason::Locked, "at the VPN");
    assert_eq!(
        world.ask("alice", &code(0)).await.reason,
        Reason::Accepted,
        "at the KDC"
    );
    assert_eq!(world.failures(), 21, "which forgives nothing at the VPN");
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

#[tokio::test]
async fn what_cannot_be_told_is_not_spent() {
    let world = World::new(0);
    let asked = Mutex::new(Vec::new());
    let no_room = |user: &UserName, _: &ReplyAttributes| {
        asked.lock().unwrap().push(user.to_string());
        false
    };
    let ask = async |credential: &str, room| {
        let request = Request {
            room,
            ..world.request("alice", credential)
        };
        world.service.validate(request, &world.client).await
    };
    let outcome = ask(&code(0), Room::of(&no_room)).await;
    assert!(!outcome.is_accept());
    assert_eq!(outcome.reason, Reason::ReplyTooLong);
    // Whoever guesses does not see it, and is counted.
    assert_eq!(ask("000000", Room::of(&no_room)).await.reason, Reason::WrongCode);
    assert_eq!(ask(&code(0), Room::UNLIMITED).await.reason, Reason::Accepted);
    assert_eq!(
        ask(&code(0), Room::of(&no_room)).await.reason,
        Reason::ReplayedCode
    );
    let asked = asked.into_inner().unwrap();
    assert!(
        !asked.is_empty() && asked.iter().all(|user| user == "alice"),
        "{asked:?}"
    );
}

#[test]
fn a_request_does_not_show_its_credential() {
    let request = Request {
        user_name: b"alice".to_vec(),
        credential: Some(b"correct horse755224".to_vec().into()),
        state: None,
        packet: PacketDigest([0; 32]),
        channel: None,
        realm: None,
        patience: Duration::ZERO,
        room: Room::UNLIMITED,
        origin: Origin::default(),
    };
    let shown = format!("{request:?}");
    let octets = format!("{:?}", b"correct horse");
    let octets = octets.trim_matches(['[', ']']);
    assert!(
        !shown.contains("correct horse") && !shown.contains(octets),
        "{shown}"
    );
}
