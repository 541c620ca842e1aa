//! Passwords, with real hashes.

use std::{sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, Version};
use otp_core::{Digits, Hotp, HotpState, TokenKey, hotp};
use otp_service::{Clock as _, Request, Service, SystemClock, password};
use otp_store::{MissingUsers, NewToken, NewUser, Store};
use otp_validation::{PasswordHash, Reason, TokenMode, TokenStatus, UserName};

use crate::world::{START, World, code};

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

/// A hash that takes ten times as long as the usual one.
fn slow_hash(password: &[u8]) -> PasswordHash {
    let params = Params::new(Params::DEFAULT_M_COST, 10 * Params::DEFAULT_T_COST, 1, None).unwrap();
    let slow = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = slow.hash_password_with_salt(password, &[7; 16]).unwrap();
    PasswordHash::new(phc.to_string())
}

/// A user of this name, whose key is made of it.
fn add_user(store: &Store, name: &str, password: Option<&PasswordHash>) {
    let name = UserName::parse(name.as_bytes()).unwrap();
    let user = NewUser::new(name.clone(), START);
    store.add_user(&user, &mut rand::rng()).unwrap();
    if password.is_some() {
        store
            .set_user_password(&name, password, &mut rand::rng())
            .unwrap();
    }
    let token = NewToken {
        key: key_of(name.as_str()),
        user: name,
        label: "ring".into(),
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
}

fn key_of(name: &str) -> TokenKey {
    let octets: [u8; 20] = format!("{name:.>20}").into_bytes().try_into().unwrap();
    TokenKey::from(octets)
}

fn code_of(name: &str, counter: u64) -> String {
    hotp(&key_of(name), counter, Digits::SIX).as_str().to_owned()
}

/// What fills the queue of checks for seconds must not be felt by those who have no password.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_passwords_keeps_nobody_else_waiting() {
    const FLOOD: usize = 60;
    let world = World::new(0);
    let store = world.service.store().clone();
    let hash = slow_hash(b"correct horse");
    for number in 0..FLOOD {
        add_user(&store, &format!("flood{number}"), Some(&hash));
    }
    add_user(&store, "bob", None);
    let service = Service::new(store, Arc::new(SystemClock));

    let began = SystemClock.elapsed();
    let flood: Vec<_> = (0..FLOOD)
        .map(|number| {
            let name = format!("flood{number}");
            let request = Request {
                realm: None,
                patience: Duration::from_secs(2),
                ..world.request(&name, &format!("correct horse{}", code_of(&name, 0)))
            };
            let (service, client) = (service.clone(), world.client.clone());
            tokio::spawn(async move { service.validate(request, &client).await.reason })
        })
        .collect();
    let mut took = Vec::new();
    for counter in 0..50 {
        let asked = SystemClock.elapsed();
        let request = world.request("bob", &code_of("bob", counter));
        let outcome = service.validate(request, &world.client).await;
        assert_eq!(outcome.reason, Reason::Accepted);
        took.push(SystemClock.elapsed() - asked);
    }
    let others_done = SystemClock.elapsed() - began;
    let (mut accepted, mut refused) = (0, 0);
    for login in flood {
        match login.await.unwrap() {
            Reason::Accepted => accepted += 1,
            Reason::Busy => refused += 1,
            reason => panic!("{reason}"),
        }
    }
    let flood_done = SystemClock.elapsed() - began;
    took.sort_unstable();
    let (median, worst) = (took[25], took[49]);
    println!(
        "{accepted} of the flood accepted, {refused} refused, in {flood_done:?}; others: {median:?}, {worst:?}"
    );
    assert!(accepted > 0 && accepted + refused == FLOOD);
    assert!(others_done < flood_done / 2, "{others_done:?} of {flood_done:?}");
    assert!(worst < Duration::from_secs(1), "{worst:?}");
}
