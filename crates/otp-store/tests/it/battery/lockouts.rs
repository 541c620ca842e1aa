//! Failures and locks at each client, and over all of them.

use otp_store::Commit;
use otp_validation::{Client, ClientId, Effect, Factor, Lockout, Lockouts, Reason};

use crate::support::{Fixture, SEED, attempt, code, kdc, name, nas};

fn lockouts(fixture: &Fixture, user: &str) -> Lockouts {
    let account = fixture.store.account(&name(user)).unwrap().unwrap();
    let record = fixture.store.user(&name(user)).unwrap().unwrap();
    assert_eq!(account.lockouts, record.lockouts, "two ways to one thing");
    account.lockouts
}

#[test]
fn failures_are_counted_at_their_client_and_survive_a_restart() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "key ring", SEED, 0);
    for _ in 0..3 {
        attempt(&fixture.store, "alice", &nas(), "000000", b"packet");
    }
    let locked = lockouts(&fixture, "alice");
    assert_eq!(locked.at(nas().id).otp_failures, 3);
    assert!(locked.at(nas().id).locked_until > 0 && locked.at(nas().id).failed_at > 0);
    assert_eq!(
        (locked.at(kdc().id), locked.locked_until),
        (Lockout::default(), 0)
    );

    let again = fixture.reopen();
    let (_, reason) = attempt(&again, "alice", &nas(), &code(SEED, 0), b"another");
    assert_eq!(reason, Reason::Locked);
    let (_, reason) = attempt(&again, "alice", &kdc(), "000000", b"another");
    assert_eq!(reason, Reason::WrongCode, "the KDC looks at it");
    assert_eq!(lockouts(&fixture, "alice").failures(Factor::Otp), 4);
    let (accepted, _) = attempt(&again, "alice", &kdc(), &code(SEED, 0), b"a third");
    assert!(accepted);
    assert_eq!(lockouts(&fixture, "alice"), locked, "forgiven at the KDC alone");
}

#[test]
fn what_is_set_is_what_is_read() {
    let mut fixture = Fixture::new();
    for user in ["alice", "bob"] {
        let seed = format!("{user:.>20}");
        fixture.add_hotp(user, "key ring", seed.as_bytes(), 0);
    }
    let mut expected = Lockouts::default();
    let rows = [
        (1, 3, 0, 5, 9),
        (2, 0, 1, u64::MAX, 0),
        (1, 4, 1, 6, u64::MAX),
        (3, u32::MAX, u32::MAX, 7, 7),
        (2, 0, 0, 0, 0),
    ];
    for (client, otp_failures, password_failures, failed_at, locked_until) in rows {
        let lockout = Lockout {
            otp_failures,
            password_failures,
            failed_at,
            locked_until,
        };
        let at = fixture.store.account(&name("alice")).unwrap().unwrap();
        let effect = Effect::SetLockout {
            client: ClientId(client),
            lockout,
            locked_until: u64::from(otp_failures),
        };
        let committed = fixture.store.commit_effects(&at, &[effect]);
        assert_eq!(committed.unwrap(), Commit::Recorded);
        // Times beyond those of SQL are its last one.
        let last = i64::MAX.cast_unsigned();
        let stored = Lockout {
            failed_at: failed_at.min(last),
            locked_until: locked_until.min(last),
            ..lockout
        };
        expected.set(ClientId(client), stored);
        expected.locked_until = u64::from(otp_failures);
        assert_eq!(lockouts(&fixture, "alice"), expected);
    }
    let listed = fixture.store.users().unwrap();
    let of_each: Vec<_> = listed
        .iter()
        .map(|user| (user.name.as_str(), &user.lockouts))
        .collect();
    assert_eq!(of_each, [("alice", &expected), ("bob", &Lockouts::default())]);
}

#[test]
fn unlocking_forgets_all_clients() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "key ring", SEED, 0);
    for id in 100..120 {
        let client = Client {
            id: ClientId(id),
            ..nas()
        };
        attempt(&fixture.store, "alice", &client, "000000", b"packet");
    }
    assert!(lockouts(&fixture, "alice").locked_until > 0, "twenty in all");
    let (_, reason) = attempt(&fixture.store, "alice", &kdc(), &code(SEED, 0), b"another");
    assert_eq!(reason, Reason::Locked);
    fixture.store.unlock_user(&name("alice")).unwrap();
    assert_eq!(lockouts(&fixture, "alice"), Lockouts::default());
    let (accepted, _) = attempt(&fixture.store, "alice", &kdc(), &code(SEED, 0), b"another");
    assert!(accepted);
}
