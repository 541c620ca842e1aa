//! Attributes of acceptances, of users and of clients.

use otp_store::{ClientSecret, Kind, NewClient, Source, StoreError};
use otp_validation::{Reason, ReplyAttributes, ReplyError};

use crate::support::{
    Fixture, NOW, SEED, attempt, code, commit, decision, name, nas, octets_of, reply_attributes,
};

#[test]
fn they_come_with_the_account_and_with_the_client() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = fixture.store.clone();
    let secret = ClientSecret::new(b"a secret of sixteen".to_vec());
    let vpn = NewClient::network("vpn", "192.0.2.0/24".parse().unwrap(), secret, NOW);
    store.add_client(&vpn, &mut fixture.rng).unwrap();
    let alice = name("alice");
    let source = Source::Address([192, 0, 2, 7].into());
    let of_client = || octets_of(&store.client_for(&source).unwrap().unwrap().reply);
    assert!(store.account(&alice).unwrap().unwrap().user.reply.is_empty());
    assert!(of_client().is_empty());

    let timeout = reply_attributes(&[("Session-Timeout", 27, &[0, 0, 14, 16])]);
    store.change_user_reply(&alice, |_| Ok(timeout.clone())).unwrap();
    let both = reply_attributes(&[("Class", 25, b"vpn"), ("Idle-Timeout", 28, &[0, 0, 1, 44])]);
    store.change_client_reply("vpn", |_| Ok(both.clone())).unwrap();
    assert_eq!(store.account(&alice).unwrap().unwrap().user.reply, timeout);
    assert_eq!(store.user(&alice).unwrap().unwrap().reply, timeout);
    assert_eq!(of_client(), octets_of(&both));
    assert_eq!(store.client("vpn").unwrap().unwrap().reply, both);

    // What is there is what is changed.
    store
        .change_client_reply("vpn", |before| {
            assert_eq!(*before, both);
            Ok(ReplyAttributes::none())
        })
        .unwrap();
    store
        .change_user_reply(&alice, |before| {
            assert_eq!(*before, timeout);
            Ok(ReplyAttributes::none())
        })
        .unwrap();
    assert!(store.user(&alice).unwrap().unwrap().reply.is_empty());
    assert!(of_client().is_empty());

    let heads = store.audit_heads().unwrap().into_iter();
    let trail: Vec<String> = heads
        .flat_map(|head| store.audit_entries(head.chain, 1..=head.number).unwrap())
        .map(|entry| entry.record)
        .collect();
    for deed in [
        r#"{"deed":"reply-attribute-set","user":"alice","detail":"Session-Timeout = [0, 0, 14, 16]""#,
        r#"{"deed":"reply-attribute-removed","user":"alice","detail":"Session-Timeout = [0, 0, 14, 16]""#,
        r#"{"deed":"reply-attribute-set","client":"vpn","detail":"Class = [118, 112, 110]""#,
        r#"{"deed":"reply-attribute-set","client":"vpn","detail":"Idle-Timeout = [0, 0, 1, 44]""#,
        r#"{"deed":"reply-attribute-removed","client":"vpn","detail":"Class = [118, 112, 110]""#,
    ] {
        let times = trail.iter().filter(|record| record.starts_with(deed)).count();
        assert_eq!(times, 1, "{deed} in {trail:#?}");
    }
}

#[test]
fn a_change_leaves_verdicts_alone_and_is_seen_by_whoever_decides() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = &fixture.store;
    assert!(attempt(store, "alice", &nas(), &code(SEED, 0), b"first").0);
    // Decided on what was there before …
    let (before, decided) = decision(store, "alice", &nas(), &code(SEED, 1), b"second");
    let timeout = reply_attributes(&[("Session-Timeout", 27, &[0, 0, 14, 16])]);
    store
        .change_user_reply(&name("alice"), |_| Ok(timeout.clone()))
        .unwrap();
    // … which does not count any more.
    let outcome = commit(store, &before, decided).unwrap();
    assert!(matches!(outcome, otp_store::Commit::Conflict), "{outcome:?}");
    assert_eq!(
        attempt(store, "alice", &nas(), &code(SEED, 0), b"first"),
        (true, Reason::SamePacket)
    );
}

#[test]
fn who_is_not_there_has_none_and_what_fails_changes_nothing() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = &fixture.store;
    let none = |_: &ReplyAttributes| Ok(ReplyAttributes::none());
    assert!(matches!(
        store.change_user_reply(&name("nobody"), none),
        Err(StoreError::NotFound { kind: Kind::User, .. })
    ));
    assert!(matches!(
        store.change_client_reply("nobody", none),
        Err(StoreError::NotFound {
            kind: Kind::Client,
            ..
        })
    ));
    let version = store.account(&name("alice")).unwrap().unwrap().version;
    let refused = store.change_user_reply(&name("alice"), |_| Err(ReplyError::TooLong(1501)));
    assert!(
        matches!(
            refused,
            Err(StoreError::Invalid {
                what: "the attributes of replies",
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(store.account(&name("alice")).unwrap().unwrap().version, version);
}
