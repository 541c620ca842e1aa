use otp_core::{Hotp, HotpState, Totp, TotpState, Window};
use otp_store::{ClientSettings, Commit, MissingUsers, NewToken, NewUser, StoreError};
use otp_validation::{
    ACCEPTANCES_KEPT, Decision, DialogueId, Effect, EndedDialogue, Grammar, Lockout, Lockouts, PasswordHash,
    Reason, TokenMode, TokenStatus, Verdict, prove,
};

use crate::support::{
    Fixture, NOW, SEED, attempt, code, commit, decision, hotp_token, kdc, name, nas, next_counter, record_of,
};

#[test]
fn a_decision_is_committed_once() {
    let mut fixture = Fixture::on(super::ENGINE);
    let token = fixture.add_hotp("alice", "key ring", SEED, 0);
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 1), b"packet");
    assert_eq!(accept.verdict, Verdict::Accept);
    let Commit::Accepted(proof) = commit(&fixture.store, &at, accept.clone()).unwrap() else {
        panic!("the first commit")
    };
    assert_eq!(proof.token(), token);
    assert_eq!(
        commit(&fixture.store, &at, accept.clone()).unwrap(),
        Commit::Conflict
    );
    assert_eq!(
        fixture
            .store
            .commit_blocking(&at, accept.clone(), record_of(&accept))
            .unwrap(),
        Commit::Conflict
    );
    assert_eq!(next_counter(&fixture.reopen(), "alice"), 2);
}

/// Even if a snapshot had the present version and an old replay state, the conditional update would stand in the way.
#[test]
fn the_replay_state_decides_whatever_the_snapshot_says() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 5);
    let (at, _) = decision(&fixture.store, "alice", &nas(), &code(SEED, 5), b"packet");
    let token = fixture
        .store
        .token(&name("alice"), "key ring")
        .unwrap()
        .unwrap()
        .id;
    for (matched, next) in [(4, 5), (0, 1), (4, 9)] {
        let effects = vec![Effect::Consume { token, matched, next }];
        assert_eq!(
            fixture.store.commit_effects(&at, &effects).unwrap(),
            Commit::Conflict
        );
    }
    let backwards = vec![Effect::Consume {
        token,
        matched: 9,
        next: 9,
    }];
    let refused = fixture.store.commit_effects(&at, &backwards);
    assert!(matches!(refused, Err(StoreError::Unproven)), "{refused:?}");
    assert_eq!(next_counter(&fixture.store, "alice"), 5);
}

#[test]
fn a_conflict_takes_back_the_whole_decision_and_nothing_else() {
    let mut fixture = Fixture::on(super::ENGINE);
    let alice = fixture.add_hotp("alice", "key ring", SEED, 0);
    let bob = fixture.add_hotp("bob", "key ring", b"another seed of bob ", 0);
    let (at, _) = decision(&fixture.store, "alice", &nas(), "000000", b"packet");
    let locked = Lockout {
        otp_failures: 9,
        password_failures: 9,
        failed_at: u64::MAX,
        locked_until: u64::MAX,
    };
    // The second effect is refused: bob's token is not alice's.
    let effects = vec![
        Effect::SetLockout {
            client: nas().id,
            lockout: locked,
            locked_until: u64::MAX,
        },
        Effect::Consume {
            token: alice,
            matched: 0,
            next: 1,
        },
        Effect::Consume {
            token: bob,
            matched: 0,
            next: 1,
        },
    ];
    assert_eq!(
        fixture.store.commit_effects(&at, &effects).unwrap(),
        Commit::Conflict
    );
    let account = fixture.store.account(&name("alice")).unwrap().unwrap();
    assert_eq!(
        (account.version, account.lockouts),
        (at.version, Lockouts::default())
    );
    assert_eq!(
        (
            next_counter(&fixture.store, "alice"),
            next_counter(&fixture.store, "bob")
        ),
        (0, 0)
    );
}

#[test]
fn failures_are_durable_and_move_the_version() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    for failures in 1..=3 {
        assert_eq!(
            attempt(&fixture.store, "alice", &nas(), "000000", b"packet"),
            (false, Reason::WrongCode)
        );
        let record = fixture.reopen().user(&name("alice")).unwrap().unwrap();
        assert_eq!(record.lockouts.at(nas().id).otp_failures, failures);
    }
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet"),
        (false, Reason::Locked)
    );
}

#[test]
fn the_same_packet_and_twins_get_the_verdict_that_there_was() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let (code, kdc) = (code(SEED, 0), kdc());
    assert_eq!(
        attempt(&fixture.store, "alice", &kdc, &code, b"first"),
        (true, Reason::Accepted)
    );
    let before = fixture.store.user(&name("alice")).unwrap().unwrap().version;
    let elsewhere = fixture.reopen();
    assert_eq!(
        attempt(&elsewhere, "alice", &kdc, &code, b"first"),
        (true, Reason::SamePacket)
    );
    assert_eq!(
        elsewhere.user(&name("alice")).unwrap().unwrap().version,
        before,
        "a repetition writes nothing"
    );
    for twin in [b"twin 1", b"twin 2", b"twin 3"] {
        assert_eq!(
            attempt(&elsewhere, "alice", &kdc, &code, twin),
            (true, Reason::Twin)
        );
    }
    assert_eq!(
        attempt(&elsewhere, "alice", &kdc, &code, b"twin 4"),
        (false, Reason::ReplayedCode)
    );
    assert_eq!(
        attempt(&elsewhere, "alice", &kdc, &code, b"twin 2"),
        (true, Reason::SamePacket)
    );
    let account = fixture.store.account(&name("alice")).unwrap().unwrap();
    assert_eq!(
        (account.acceptances.len(), account.acceptances[0].twins.len()),
        (1, 3)
    );
    assert_eq!(next_counter(&fixture.store, "alice"), 1);
}

#[test]
fn an_acceptance_that_proves_nothing_is_refused() {
    let mut fixture = Fixture::on(super::ENGINE);
    let token = fixture.add_hotp("alice", "key ring", SEED, 0);
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet");
    let remember = accept
        .effects
        .iter()
        .find(|effect| matches!(effect, Effect::Remember(_)))
        .unwrap()
        .clone();
    let unproven = [
        Decision {
            effects: vec![],
            ..accept.clone()
        },
        Decision {
            token: None,
            ..accept.clone()
        },
        Decision {
            effects: vec![remember.clone()],
            ..accept.clone()
        },
        Decision {
            effects: vec![Effect::Activate { token }],
            ..accept.clone()
        },
    ];
    for decision in unproven {
        for outcome in [
            commit(&fixture.store, &at, decision.clone()),
            fixture
                .store
                .commit_blocking(&at, decision.clone(), record_of(&decision)),
        ] {
            assert!(
                matches!(outcome, Err(StoreError::Unproven)),
                "{decision:?}: {outcome:?}"
            );
        }
    }
    let kept = fixture.store.commit_effects(&at, &[remember]);
    assert!(
        matches!(kept, Err(StoreError::Unproven)),
        "a verdict is kept only with its code: {kept:?}"
    );
    assert!(
        fixture
            .store
            .account(&name("alice"))
            .unwrap()
            .unwrap()
            .acceptances
            .is_empty()
    );
    assert!(matches!(
        commit(&fixture.store, &at, accept).unwrap(),
        Commit::Accepted(_)
    ));
}

#[test]
fn the_last_counters_are_never_accepted() {
    let mut fixture = Fixture::on(super::ENGINE);
    let last = u64::try_from(i64::MAX).unwrap();
    let token = fixture.add_hotp("alice", "key ring", SEED, last - 1);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, last - 1), b"a"),
        (true, Reason::Accepted)
    );
    let (at, beyond) = decision(&fixture.store, "alice", &nas(), &code(SEED, last), b"b");
    let Effect::Consume { matched, next, .. } = beyond.effects[0] else {
        panic!("{beyond:?}")
    };
    assert_eq!((matched, next), (last, last + 1));
    let refused = commit(&fixture.store, &at, beyond);
    assert!(
        matches!(refused, Err(StoreError::OutOfRange { value, .. }) if value == last + 1),
        "{refused:?}"
    );
    let too_far = hotp_token("alice", "second", b"a second seed, 20 oc", last + 1);
    let refused = fixture
        .store
        .add_tokens(&[too_far], MissingUsers::Refuse, &mut fixture.rng);
    let Err(StoreError::Batch { index: 0, source }) = refused else {
        panic!("{refused:?}")
    };
    assert!(matches!(*source, StoreError::OutOfRange { .. }), "{source}");
    assert_eq!(
        fixture
            .store
            .token(&name("alice"), "key ring")
            .unwrap()
            .unwrap()
            .id,
        token
    );
}

#[test]
fn a_pending_token_is_proven_by_its_first_code() {
    let mut fixture = Fixture::on(super::ENGINE);
    let pending = NewToken {
        status: TokenStatus::Pending,
        ..hotp_token("alice", "new", SEED, 0)
    };
    fixture
        .store
        .add_tokens(&[pending], MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    let first = code(SEED, 0);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &first, b"a"),
        (false, Reason::NoActiveToken)
    );
    let account = fixture.store.account(&name("alice")).unwrap().unwrap();
    let proof = prove(&account.tokens[0], first.as_bytes(), NOW).unwrap();
    assert_eq!(
        fixture.store.commit_effects(&account, &proof.effects).unwrap(),
        Commit::Recorded
    );
    assert_eq!(
        fixture.store.commit_effects(&account, &proof.effects).unwrap(),
        Commit::Conflict
    );
    let token = fixture.store.token(&name("alice"), "new").unwrap().unwrap();
    assert_eq!(token.status, TokenStatus::Active);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &first, b"b"),
        (false, Reason::ReplayedCode)
    );
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, 1), b"c"),
        (true, Reason::Accepted)
    );
}

#[test]
fn one_seed_has_one_replay_state_whoever_has_it() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let eight = NewToken {
        mode: TokenMode::Hotp {
            hotp: Hotp {
                digits: otp_core::Digits::EIGHT,
                ..Hotp::default()
            },
            state: HotpState { next: 0 },
            look_ahead: 10,
        },
        ..hotp_token("bob", "copy", SEED, 0)
    };
    fixture
        .store
        .add_tokens(&[eight], MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    fixture.add_hotp("carol", "copy", SEED, 0);
    // Carol's decision is made before, and committed after alice's.
    let (at, carols) = decision(&fixture.store, "carol", &nas(), &code(SEED, 3), b"carol");
    assert_eq!(carols.verdict, Verdict::Accept);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, 3), b"alice"),
        (true, Reason::Accepted)
    );
    assert_eq!(commit(&fixture.store, &at, carols).unwrap(), Commit::Conflict);
    assert_eq!(
        attempt(&fixture.store, "carol", &nas(), &code(SEED, 3), b"carol"),
        (false, Reason::ReplayedCode)
    );
    assert_eq!(next_counter(&fixture.store, "bob"), 4);
    assert_eq!(
        attempt(&fixture.store, "carol", &nas(), &code(SEED, 4), b"carol"),
        (true, Reason::Accepted)
    );
    assert_eq!(next_counter(&fixture.store, "alice"), 5);
}

#[test]
fn replay_state_outlives_its_token() {
    let mut fixture = Fixture::on(super::ENGINE);
    let first = fixture.add_hotp("alice", "key ring", SEED, 0);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, 7), b"a"),
        (true, Reason::Accepted)
    );
    fixture.store.remove_token(&name("alice"), "key ring").unwrap();
    assert!(
        fixture
            .store
            .account(&name("alice"))
            .unwrap()
            .unwrap()
            .acceptances
            .is_empty()
    );
    let second = fixture.add_hotp("alice", "key ring", SEED, 0);
    assert_ne!(first, second, "numbers are not used again");
    assert_eq!(next_counter(&fixture.store, "alice"), 8);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code(SEED, 7), b"a"),
        (false, Reason::ReplayedCode)
    );
    fixture.store.remove_token(&name("alice"), "key ring").unwrap();
    fixture.add_hotp("alice", "key ring", SEED, 20);
    assert_eq!(
        next_counter(&fixture.store, "alice"),
        20,
        "whichever is the later holds"
    );
}

/// One seed in two tokens that count from different T0: in most seconds both show the code of the same step.
#[test]
fn another_t0_does_not_bring_a_code_back() {
    let mut fixture = Fixture::on(super::ENGINE);
    for (user, t0) in [("alice", 0), ("bob", 1)] {
        let user = NewUser::new(name(user), NOW);
        fixture.store.add_user(&user, &mut fixture.rng).unwrap();
        let token = NewToken {
            mode: TokenMode::Totp {
                totp: Totp::default().with_t0(t0),
                state: TotpState::default(),
                window: Window::default(),
            },
            ..hotp_token(user.name.as_str(), "app", SEED, 0)
        };
        let added = fixture
            .store
            .add_tokens(&[token], MissingUsers::Refuse, &mut fixture.rng);
        added.unwrap();
    }
    let code = code(SEED, NOW.0 / 30);
    assert_eq!(
        attempt(&fixture.store, "alice", &nas(), &code, b"1"),
        (true, Reason::Accepted)
    );
    assert_eq!(
        attempt(&fixture.store, "bob", &nas(), &code, b"2"),
        (false, Reason::ReplayedCode)
    );
}

/// A verdict is repeated for as long as what it rests on stays as it was.
#[test]
fn a_change_of_the_rules_ends_what_is_remembered() {
    type Change = fn(&mut Fixture);
    let changes: [(&str, Change); 4] = [
        ("password", |fixture| {
            let hash = PasswordHash::new("$argon2id$another".into());
            let Fixture { store, rng, .. } = fixture;
            store.set_user_password(&name("alice"), Some(&hash), rng).unwrap();
        }),
        ("grammar of the user", |fixture| {
            let grammar = Some(Grammar::PasswordOtp);
            fixture.store.set_user_grammar(&name("alice"), grammar).unwrap();
        }),
        ("grammar of the client", |fixture| {
            let change = |settings: &mut ClientSettings| settings.grammar = Some(Grammar::PasswordOtp);
            fixture.store.change_client("kdc", change).unwrap();
        }),
        ("disabled for a moment", |fixture| {
            for enabled in [false, true] {
                fixture.store.set_user_enabled(&name("alice"), enabled).unwrap();
            }
        }),
    ];
    for (what, change) in changes {
        let mut fixture = Fixture::on(super::ENGINE);
        for user in ["alice", "bob"] {
            fixture.add_hotp(user, "key ring", user.repeat(10).as_bytes(), 0);
        }
        let code = |user: &str| code(user.repeat(10).as_bytes(), 0);
        for user in ["alice", "bob"] {
            let first = attempt(&fixture.store, user, &kdc(), &code(user), user.as_bytes());
            assert_eq!(first, (true, Reason::Accepted));
        }
        change(&mut fixture);
        for packet in [b"alice".as_slice(), b"another"] {
            let (accepted, reason) = attempt(&fixture.store, "alice", &kdc(), &code("alice"), packet);
            assert!(!accepted, "{what}: {reason}");
        }
        if !what.contains("client") {
            let (_, reason) = attempt(&fixture.store, "bob", &kdc(), &code("bob"), b"bob");
            assert_eq!(reason, Reason::SamePacket, "{what}: nobody else's");
        }
    }
}

/// Octets that come round again after minutes, now as a twin: they have the new verdict, and the old one is gone.
#[test]
fn a_packet_of_long_ago_is_a_twin_like_any_other() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let store = fixture.store.clone();
    let steps = [
        (0, 0, &b"one"[..], Reason::Accepted),
        (1, 100, b"two", Reason::Accepted),
        (1, 101, b"one", Reason::Twin),
        (1, 102, b"one", Reason::SamePacket),
    ];
    for (counter, later, packet, reason) in steps {
        let now = otp_validation::UnixTime(NOW.0 + later);
        let code = code(SEED, counter);
        let (at, decided) = crate::support::decision_at(now, &store, "alice", &kdc(), &code, packet);
        assert_eq!(decided.reason, reason, "{later}");
        assert!(
            matches!(commit(&store, &at, decided), Ok(Commit::Accepted(_))),
            "{later}"
        );
    }
    let account = store.account(&name("alice")).unwrap().unwrap();
    let twins: Vec<_> = account.acceptances.iter().map(|kept| kept.twins.len()).collect();
    assert_eq!(twins, [1]);
}

/// A machine that logs in all the time: the latest verdicts are kept, and the codes of all the others are spent all the same.
#[test]
fn the_latest_verdicts_of_an_account_are_kept() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let logins = ACCEPTANCES_KEPT as u64 + 2;
    let packet = |counter: u64| counter.to_be_bytes();
    for counter in 0..logins {
        let first = attempt(
            &fixture.store,
            "alice",
            &kdc(),
            &code(SEED, counter),
            &packet(counter),
        );
        assert_eq!(first, (true, Reason::Accepted));
    }
    let elsewhere = fixture.reopen();
    for counter in 0..logins {
        let again = attempt(
            &elsewhere,
            "alice",
            &kdc(),
            &code(SEED, counter),
            &packet(counter),
        );
        let expected = if counter < 2 {
            (false, Reason::ReplayedCode)
        } else {
            (true, Reason::SamePacket)
        };
        assert_eq!(again, expected, "{counter}");
    }
}

/// A question that was answered stays answered, whatever makes the store forget its verdicts.
#[test]
fn an_answered_question_outlives_the_verdicts() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let (at, mut accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet");
    let ended = EndedDialogue {
        id: DialogueId([7; 16]),
        expires_at: otp_validation::UnixTime(NOW.0 + 120),
    };
    accept.effects.push(Effect::EndDialogue { ended, at: NOW });
    assert!(matches!(
        commit(&fixture.store, &at, accept),
        Ok(Commit::Accepted(_))
    ));
    let account = |store: &otp_store::Store| store.account(&name("alice")).unwrap().unwrap();
    assert_eq!(account(&fixture.store).acceptances.len(), 1);
    fixture.store.forget_acceptances().unwrap();
    for store in [fixture.store.clone(), fixture.reopen()] {
        let kept = account(&store);
        assert_eq!((kept.acceptances.len(), kept.ended_dialogues), (0, vec![ended]));
    }
    fixture.store.set_user_enabled(&name("alice"), true).unwrap();
    assert_eq!(account(&fixture.store).ended_dialogues, [ended]);
}
