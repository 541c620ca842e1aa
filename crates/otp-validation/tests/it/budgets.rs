//! Failures are counted, locks follow and end, whatever is done in whichever order.

use otp_core::{Digits, Hotp, HotpState, hotp};
use otp_validation::{
    Account, ClientId, Factor, Lockout, Lockouts, Reason, TokenMode, TokenStatus, UnixTime, Verdict,
};
use proptest::{collection::vec, prelude::*};

use crate::support::{account, client, count, decided, key, token};

const NOW: UnixTime = UnixTime(1_700_000_000);
const LONGEST: u64 = 15 * 60;

/// What happens to one user.
#[derive(Clone, Copy, Debug)]
enum Event {
    Fails(i64, Factor),
    Succeeds(i64),
    Passes(u64),
}

fn factor() -> impl Strategy<Value = Factor> {
    prop_oneof![Just(Factor::Otp), Just(Factor::Password)]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..6_i64, factor()).prop_map(|(client, factor)| Event::Fails(client, factor)),
        1 => (0..6_i64).prop_map(Event::Succeeds),
        2 => prop_oneof![0..10_u64, 0..2000_u64, 0..200_000_u64].prop_map(Event::Passes),
    ]
}

/// The same by the simplest means: every failure that is not made up for.
#[derive(Default)]
struct Ledger(Vec<(i64, Factor)>);

impl Ledger {
    fn failures(&self, client: i64, factor: Factor) -> u32 {
        let these = self.0.iter().filter(|entry| **entry == (client, factor));
        u32::try_from(these.count()).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_failure_counts_at_its_client_until_a_success_there(events in vec(event(), 0..120)) {
        let (mut lockouts, mut ledger, mut now) = (Lockouts::default(), Ledger::default(), NOW);
        for event in events {
            let before = lockouts.clone();
            match event {
                Event::Fails(id, factor) => {
                    lockouts = lockouts.after_failure(ClientId(id), factor, now);
                    ledger.0.push((id, factor));
                    for other in 0..6 {
                        let other = ClientId(other);
                        let was_locked = before.seconds_left(other, now);
                        prop_assert!(lockouts.seconds_left(other, now) >= was_locked, "no lock is shortened");
                    }
                }
                Event::Succeeds(id) if !lockouts.is_locked(ClientId(id), now) => {
                    lockouts = lockouts.after_success(ClientId(id));
                    ledger.0.retain(|(client, _)| *client != id);
                    prop_assert_eq!(lockouts.at(ClientId(id)), Lockout::default());
                    for other in (0..6).filter(|other| *other != id).map(ClientId) {
                        prop_assert_eq!(lockouts.at(other), before.at(other));
                    }
                }
                Event::Succeeds(_) => {}
                Event::Passes(seconds) => now = UnixTime(now.0 + seconds),
            }
            for id in 0..6 {
                let at = lockouts.at(ClientId(id));
                prop_assert_eq!(at.otp_failures, ledger.failures(id, Factor::Otp));
                prop_assert_eq!(at.password_failures, ledger.failures(id, Factor::Password));
                // Locks end by themselves, a quarter of an hour from now at the latest.
                prop_assert!(lockouts.seconds_left(ClientId(id), now) <= LONGEST);
                prop_assert!(!lockouts.is_locked(ClientId(id), UnixTime(now.0 + LONGEST)));
            }
            let in_all = lockouts.failures(Factor::Otp) + lockouts.failures(Factor::Password);
            prop_assert_eq!(usize::try_from(in_all).unwrap(), ledger.0.len());
        }
    }

    #[test]
    fn one_client_alone_locks_nobody_out_elsewhere(
        failures in vec((factor(), 0..2000_u64), 0..200),
        own in 0..3_u32,
    ) {
        let (mut lockouts, mut now) = (Lockouts::default(), NOW);
        for _ in 0..own {
            lockouts = lockouts.after_failure(ClientId(1), Factor::Otp, now);
        }
        let own_lock = lockouts.at(ClientId(1)).locked_until;
        for (factor, pause) in failures {
            lockouts = lockouts.after_failure(ClientId(2), factor, now);
            prop_assert_eq!(lockouts.locked_until, 0);
            prop_assert_eq!(lockouts.at(ClientId(1)).locked_until, own_lock);
            prop_assert!(!lockouts.is_locked(ClientId(3), now));
            now = UnixTime(now.0 + pause);
        }
    }
}

fn alice() -> Account {
    let mode = TokenMode::Hotp {
        hotp: Hotp::default(),
        state: HotpState { next: 0 },
        look_ahead: 10,
    };
    account(token(mode, TokenStatus::Active))
}

fn right() -> String {
    hotp(&key(), 0, Digits::SIX).as_str().to_owned()
}

#[test]
fn guessing_locks_at_its_client_and_success_there_forgives() {
    let (mut account, vpn, kdc) = (alice(), client(2), client(1));
    for _ in 0..3 {
        let decision = decided(&account, &vpn, "000000", NOW);
        assert_eq!(decision.reason, Reason::WrongCode);
        count(&mut account, &decision);
    }
    let locked = decided(&account, &vpn, &right(), NOW);
    assert_eq!(locked.reason, Reason::Locked, "even the right code");
    assert!(locked.effects.is_empty(), "what is not looked at is not counted");
    let elsewhere = decided(&account, &kdc, &right(), NOW);
    assert_eq!(elsewhere.verdict, Verdict::Accept, "not at the KDC");
    let mut other = alice();
    other.lockouts = account.lockouts.clone();
    count(&mut other, &elsewhere);
    assert_eq!(
        other.lockouts, account.lockouts,
        "which forgives nothing at the VPN"
    );

    let later = UnixTime(account.lockouts.at(vpn.id).locked_until);
    let decision = decided(&account, &vpn, &right(), later);
    assert_eq!(decision.verdict, Verdict::Accept);
    count(&mut account, &decision);
    assert_eq!(account.lockouts, Lockouts::default());
}

#[test]
fn guesses_spread_over_many_clients_lock_at_all_of_them() {
    let mut account = alice();
    for id in 10..30 {
        let decision = decided(&account, &client(id), "000000", NOW);
        assert_eq!(decision.reason, Reason::WrongCode, "client {id}");
        count(&mut account, &decision);
    }
    for id in [1, 10, 99] {
        assert_eq!(
            decided(&account, &client(id), &right(), NOW).reason,
            Reason::Locked
        );
    }
    let later = UnixTime(NOW.0 + 1);
    let decision = decided(&account, &client(1), &right(), later);
    assert_eq!(decision.verdict, Verdict::Accept, "a lock ends by itself");
}
