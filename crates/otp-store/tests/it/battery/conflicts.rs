//! Decisions that no longer fit the account, or never did.

use otp_store::Commit;
use otp_validation::{Decision, Effect, Factor, PacketDigest, Reason, Twin, Verdict};

use crate::support::{Fixture, SEED, attempt, code, commit, decision, kdc, name, nas};

/// Of two decisions on one snapshot, whatever they are, the second is to be made again: two guesses count as two.
#[test]
fn a_snapshot_serves_one_decision() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let (wrong, right) = ("000000".to_owned(), code(SEED, 0));
    for (first, second) in [(&wrong, &wrong), (&wrong, &right)] {
        let (before, one) = decision(&fixture.store, "alice", &nas(), first, b"one");
        let (after, other) = decision(&fixture.store, "alice", &nas(), second, b"other");
        assert_eq!(before.version, after.version);
        assert_eq!(commit(&fixture.store, &before, one).unwrap(), Commit::Recorded);
        assert_eq!(commit(&fixture.store, &after, other).unwrap(), Commit::Conflict);
    }
    let record = fixture.store.user(&name("alice")).unwrap().unwrap();
    assert_eq!(record.lockouts.failures(Factor::Otp), 2);
}

#[test]
fn nobody_has_a_twin_in_another_account() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    fixture.add_hotp("bob", "key ring", b"another seed of 160b", 0);
    let code = code(SEED, 0);
    assert!(attempt(&fixture.store, "alice", &kdc(), &code, b"first").0);
    let of = fixture
        .store
        .account(&name("alice"))
        .unwrap()
        .unwrap()
        .acceptances[0]
        .packet;
    let (at, rejected) = decision(&fixture.store, "bob", &kdc(), &code, b"second");
    let packet = PacketDigest([9; 32]);
    let twin = Decision {
        verdict: Verdict::Accept,
        reason: Reason::Twin,
        token: Some(fixture.store.account(&name("bob")).unwrap().unwrap().tokens[0].id),
        effects: vec![Effect::Twin {
            of,
            twin: Twin {
                packet,
                channel: None,
            },
        }],
    };
    assert_eq!(rejected.verdict, Verdict::Reject);
    assert_eq!(commit(&fixture.store, &at, twin).unwrap(), Commit::Conflict);
}
