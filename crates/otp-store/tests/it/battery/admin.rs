use otp_core::{Algorithm, Digits, HotpState, TokenKey, Totp, TotpState, Window};
use otp_store::{Kind, MissingUsers, NewToken, NewUser, StoreError};
use otp_validation::{Effect, Grammar, PasswordHash, TokenMode, TokenStatus, UnixTime, Upstream};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::support::{Engine, Fixture, NOW, SEED, hotp_token, name};

#[test]
fn a_user_comes_back_as_it_was_added_and_changed() {
    let mut fixture = Fixture::on(super::ENGINE);
    let alice = name("alice");
    let new = NewUser {
        password: Some(PasswordHash::new("$argon2id$first".into())),
        grammar: Some(Grammar::OtpPassword),
        expires_at: Some(UnixTime(NOW.0 + 10)),
        ..NewUser::new(alice.clone(), NOW)
    };
    let id = fixture.store.add_user(&new, &mut fixture.rng).unwrap();
    let record = fixture.store.user(&alice).unwrap().unwrap();
    assert_eq!((record.id, record.enabled, record.has_password), (id, true, true));
    assert_eq!((record.grammar, record.expires_at), (new.grammar, new.expires_at));
    let store = &fixture.store;
    store.set_user_enabled(&alice, false).unwrap();
    store.set_user_grammar(&alice, None).unwrap();
    store.set_user_expiry(&alice, None).unwrap();
    let second = PasswordHash::new("$argon2id$second".into());
    store
        .set_user_password(&alice, Some(&second), &mut fixture.rng)
        .unwrap();
    let user = store.account(&alice).unwrap().unwrap().user;
    assert_eq!((user.enabled, user.grammar, user.expires_at), (false, None, None));
    assert_eq!(user.password.unwrap().as_str(), second.as_str());
    store.set_user_password(&alice, None, &mut fixture.rng).unwrap();
    assert!(!store.user(&alice).unwrap().unwrap().has_password);
    let upstream = |text: &str, user_name: Option<&str>| Upstream {
        name: text.parse().unwrap(),
        user_name: user_name.map(name),
    };
    for upstream in [
        Some(upstream("corp", Some("alice.smith"))),
        Some(upstream("other", None)),
        None,
    ] {
        store.set_user_upstream(&alice, upstream.as_ref()).unwrap();
        assert_eq!(store.user(&alice).unwrap().unwrap().upstream, upstream);
        assert_eq!(store.account(&alice).unwrap().unwrap().user.upstream, upstream);
    }
    let refused = store.add_user(&new, &mut fixture.rng);
    assert!(matches!(refused, Err(StoreError::Exists { kind: Kind::User, name }) if name == "alice"));
}

#[test]
fn every_change_moves_the_version() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "one", SEED, 0);
    let (alice, store) = (name("alice"), fixture.store.clone());
    let mut rng = StdRng::seed_from_u64(2);
    let another = hotp_token("alice", "two", b"another seed, 20 oct", 0);
    type Change<'a> = (&'static str, Box<dyn FnMut() + 'a>);
    let mut changes: Vec<Change<'_>> = vec![
        (
            "enabled",
            Box::new(|| store.set_user_enabled(&alice, true).unwrap()),
        ),
        (
            "upstream",
            Box::new(|| store.set_user_upstream(&alice, None).unwrap()),
        ),
        (
            "grammar",
            Box::new(|| store.set_user_grammar(&alice, Some(Grammar::Otp)).unwrap()),
        ),
        (
            "expiry",
            Box::new(|| store.set_user_expiry(&alice, Some(NOW)).unwrap()),
        ),
        (
            "password",
            Box::new(|| store.set_user_password(&alice, None, &mut rng).unwrap()),
        ),
        (
            "token enabled",
            Box::new(|| store.set_token_enabled(&alice, "one", false).unwrap()),
        ),
        (
            "token removed",
            Box::new(|| store.remove_token(&alice, "one").unwrap()),
        ),
    ];
    let version = || fixture.store.account(&alice).unwrap().unwrap().version;
    for (what, change) in &mut changes {
        let before = version();
        change();
        assert_ne!(version(), before, "{what}");
    }
    let before = version();
    fixture
        .store
        .add_tokens(&[another], MissingUsers::Refuse, &mut fixture.rng)
        .unwrap();
    assert_ne!(version(), before, "token added");
}

#[test]
fn names_are_looked_up_with_their_realm_first() {
    let mut fixture = Fixture::on(super::ENGINE);
    for user in ["alice", "alice@B.EXAMPLE"] {
        fixture
            .store
            .add_user(&NewUser::new(name(user), NOW), &mut fixture.rng)
            .unwrap();
    }
    let found = |typed: &str| {
        fixture
            .store
            .account(&name(typed))
            .unwrap()
            .map(|account| account.user.name.to_string())
    };
    assert_eq!(found("alice@A.EXAMPLE").as_deref(), Some("alice"));
    assert_eq!(found("alice@B.EXAMPLE").as_deref(), Some("alice@B.EXAMPLE"));
    assert_eq!(found(r"A\alice").as_deref(), Some("alice"));
    assert_eq!(found("Alice"), None);
    assert!(
        fixture.store.user(&name("alice@A.EXAMPLE")).unwrap().is_none(),
        "administrators name a user exactly"
    );
    let names: Vec<_> = fixture
        .store
        .users()
        .unwrap()
        .into_iter()
        .map(|user| user.name.to_string())
        .collect();
    assert_eq!(names, ["alice", "alice@B.EXAMPLE"]);
}

#[test]
fn tokens_come_back_as_they_were_added() {
    let mut fixture = Fixture::on(super::ENGINE);
    let totp = Totp::default()
        .with_algorithm(Algorithm::Sha512)
        .with_digits(Digits::EIGHT)
        .with_step(60.try_into().unwrap())
        .with_t0(1000);
    let mode = TokenMode::Totp {
        totp,
        state: TotpState { next: 42, drift: -2 },
        window: Window { past: 3, future: 2 },
    };
    let key = || TokenKey::dangerous_allow_short(&[7; 10]).unwrap();
    let app = NewToken {
        mode,
        key: key(),
        status: TokenStatus::Pending,
        ..hotp_token("alice", "app", SEED, 0)
    };
    let ring = hotp_token("alice", "ring", SEED, 9);
    let ids = fixture
        .store
        .add_tokens(&[app, ring], MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    let account = fixture.reopen().account(&name("alice")).unwrap().unwrap();
    assert_eq!(
        account.tokens.iter().map(|token| token.id).collect::<Vec<_>>(),
        ids
    );
    let (app, ring) = (&account.tokens[0], &account.tokens[1]);
    assert_eq!(
        (app.label.as_str(), app.enabled, app.status),
        ("app", true, TokenStatus::Pending)
    );
    assert_eq!(app.key.as_bytes(), key().as_bytes());
    let TokenMode::Totp {
        totp: kept,
        state,
        window,
    } = app.mode
    else {
        panic!("{app:?}")
    };
    assert_eq!((kept, state), (totp, TotpState { next: 42, drift: -2 }));
    assert_eq!((window.past, window.future), (3, 2));
    let TokenMode::Hotp {
        state: HotpState { next },
        look_ahead,
        ..
    } = ring.mode
    else {
        panic!("{ring:?}")
    };
    assert_eq!((next, look_ahead), (9, 10));
    let records = fixture.store.tokens(Some(&name("alice"))).unwrap();
    assert_eq!(records.iter().map(|record| record.id).collect::<Vec<_>>(), ids);
    fixture
        .store
        .set_token_enabled(&name("alice"), "app", false)
        .unwrap();
    assert!(
        !fixture
            .store
            .token(&name("alice"), "app")
            .unwrap()
            .unwrap()
            .enabled
    );
    assert_eq!(fixture.store.tokens(None).unwrap().len(), 2);
    assert!(fixture.store.tokens(Some(&name("bob"))).unwrap().is_empty());
}

#[test]
fn a_batch_is_added_whole_or_not_at_all() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "taken", SEED, 5);
    let seed = |number: u8| [number; 20];
    let good = |number: u8| hotp_token("new", &format!("token {number}"), &seed(number), 0);
    type Expected = fn(&StoreError) -> bool;
    let cases: [(NewToken, Expected); 4] = [
        (hotp_token("alice", "taken", &seed(9), 0), |error| {
            matches!(
                error,
                StoreError::Exists {
                    kind: Kind::Token,
                    ..
                }
            )
        }),
        (hotp_token("new", "token 1", &seed(9), 0), |error| {
            matches!(
                error,
                StoreError::Exists {
                    kind: Kind::Token,
                    ..
                }
            )
        }),
        (hotp_token("alice", "a/b", &seed(9), 0), |error| {
            matches!(error, StoreError::Invalid { .. })
        }),
        (hotp_token("alice", "far", &seed(9), u64::MAX), |error| {
            matches!(error, StoreError::OutOfRange { .. })
        }),
    ];
    for (bad, expected) in cases {
        let what = format!("{bad:?}");
        let batch = [good(1), good(2), bad, good(3)];
        let refused = fixture
            .store
            .add_tokens(&batch, MissingUsers::Create, &mut fixture.rng);
        let Err(StoreError::Batch { index: 2, source }) = refused else {
            panic!("{what}: {refused:?}")
        };
        assert!(expected(&source), "{what}: {source}");
        assert!(fixture.store.user(&name("new")).unwrap().is_none(), "{what}");
        assert_eq!(fixture.store.tokens(None).unwrap().len(), 1, "{what}");
    }
    let missing = fixture
        .store
        .add_tokens(&[good(1)], MissingUsers::Refuse, &mut fixture.rng);
    let Err(StoreError::Batch { index: 0, source }) = missing else {
        panic!("{missing:?}")
    };
    assert!(matches!(*source, StoreError::NotFound { kind: Kind::User, .. }));
    let many: Vec<_> = (1..=200).map(good).collect();
    assert_eq!(
        fixture
            .store
            .add_tokens(&many, MissingUsers::Create, &mut fixture.rng)
            .unwrap()
            .len(),
        200
    );
    assert!(
        fixture
            .store
            .add_tokens(&[], MissingUsers::Refuse, &mut fixture.rng)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn what_is_not_there_is_named() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let (alice, bob, store) = (name("alice"), name("bob"), &fixture.store);
    let users = [
        store.set_user_enabled(&bob, true),
        store.set_user_grammar(&bob, None),
        store.set_user_expiry(&bob, None),
        store.set_user_password(&bob, None, &mut fixture.rng),
    ];
    for refused in users {
        assert!(
            matches!(&refused, Err(StoreError::NotFound { kind: Kind::User, name }) if name == "bob"),
            "{refused:?}"
        );
    }
    let tokens = [
        store.set_token_enabled(&alice, "none", true),
        store.remove_token(&alice, "none"),
        store.remove_token(&bob, "ring"),
    ];
    for refused in tokens {
        let text = refused.unwrap_err().to_string();
        assert!(
            text == "there is no token alice/none" || text == "there is no token bob/ring",
            "{text}"
        );
    }
    assert!(store.account(&bob).unwrap().is_none());
}

#[test]
fn figures_count_what_there_is() {
    let mut fixture = Fixture::on(super::ENGINE);
    let token = fixture.add_hotp("alice", "ring", SEED, 0);
    fixture.add_hotp("bob", "ring", b"another seed, 20 oct", 0);
    let account = fixture.store.account(&name("alice")).unwrap().unwrap();
    let spend = vec![Effect::Consume {
        token,
        matched: 0,
        next: 1,
    }];
    let _ = fixture.store.commit_effects(&account, &spend).unwrap();
    let stats = fixture.store.stats().unwrap();
    assert_eq!((stats.users, stats.tokens, stats.clients), (2, 2, 1));
    // A server's log is its own.
    assert_eq!(stats.wal_octets > 0, super::ENGINE == Engine::Sqlite);
    for _ in 0..3 {
        fixture.store.check().unwrap();
    }
}
