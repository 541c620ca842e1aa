//! What passwords cost, on a store in memory that can be made to change under a decision.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use otp_validation::{PasswordHash, UserId};
use rand::{SeedableRng as _, rngs::StdRng};

use super::*;
use crate::{
    SystemClock,
    checker::Verify,
    testing::{ModelStore, SetClock, ask, code, store},
};

fn service(store: ModelStore, verify: Verify) -> Service<ModelStore> {
    on_clock(store, verify, Arc::new(SystemClock))
}

fn on_clock(store: ModelStore, verify: Verify, clock: Arc<dyn Clock>) -> Service<ModelStore> {
    let two = NonZeroUsize::new(2).unwrap();
    let checker = Checker::pool(verify, two, Arc::clone(&clock));
    Service::with_checker(store, clock, checker)
}

#[tokio::test]
async fn a_request_costs_one_check_however_often_it_is_decided() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let store = store(&["alice"]);
    store.conflicts.store(5, SeqCst);
    let service = service(store, |password, hash| {
        CHECKS.fetch_add(1, SeqCst);
        password == hash.as_str().as_bytes()
    });
    let outcome = ask(&service, "alice", &format!("horse{}", code("alice", 0))).await;
    assert_eq!((outcome.reason, CHECKS.load(SeqCst)), (Reason::Accepted, 1));
    service.store.conflicts.store(5, SeqCst);
    let outcome = ask(&service, "alice", &format!("mouse{}", code("alice", 1))).await;
    assert_eq!((outcome.reason, CHECKS.load(SeqCst)), (Reason::WrongPassword, 2));
}

#[tokio::test]
async fn a_password_that_changes_under_a_request_is_not_checked_again() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let mut store = store(&["alice"]);
    store.conflicts.store(1, SeqCst);
    store.change = |model| model.set_password(UserId(1), Some(PasswordHash::new("mouse".into())));
    let service = service(store, |password, hash| {
        CHECKS.fetch_add(1, SeqCst);
        password == hash.as_str().as_bytes()
    });
    let outcome = ask(&service, "alice", &format!("horse{}", code("alice", 0))).await;
    assert_eq!((outcome.reason, CHECKS.load(SeqCst)), (Reason::Contended, 1));
    let outcome = ask(&service, "alice", &format!("mouse{}", code("alice", 0))).await;
    assert_eq!(outcome.reason, Reason::Accepted, "nothing was spent");
}

#[tokio::test]
async fn without_a_right_code_nothing_is_checked() {
    let service = service(store(&["alice"]), |_, _| panic!("no password is to be checked"));
    let spent = code("alice", 3);
    {
        let mut model = service.store.model();
        let account = model.account(&UserName::parse(b"alice").unwrap()).unwrap();
        let decision = Decision {
            verdict: otp_validation::Verdict::Reject,
            reason: Reason::Accepted,
            token: None,
            effects: vec![otp_validation::Effect::Consume {
                token: account.tokens[0].id,
                matched: 3,
                next: 4,
            }],
        };
        let committed = model.commit(&account, &decision);
        assert!(matches!(committed, Ok(Commit::Recorded)));
    }
    for (credential, reason) in [
        (format!("horse{spent}"), Reason::ReplayedCode),
        ("horse".to_owned(), Reason::NotACode),
        (String::new(), Reason::NoCredential),
        ("horse000000".to_owned(), Reason::WrongCode),
        ("horse000001".to_owned(), Reason::WrongCode),
        ("horse000002".to_owned(), Reason::WrongCode),
        (format!("horse{}", code("alice", 4)), Reason::Locked),
    ] {
        assert_eq!(
            ask(&service, "alice", &credential).await.reason,
            reason,
            "{credential}"
        );
    }
    assert_eq!(
        ask(&service, "nobody", "horse000000").await.reason,
        Reason::UnknownUser
    );
}

#[tokio::test]
async fn guesses_at_once_behind_one_right_code_cost_three_checks() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let service = service(store(&["alice"]), |password, hash| {
        CHECKS.fetch_add(1, SeqCst);
        std::thread::sleep(Duration::from_millis(5));
        password == hash.as_str().as_bytes()
    });
    let guesses: Vec<_> = (0..100)
        .map(|guess| {
            let service = service.clone();
            tokio::spawn(async move {
                let credential = format!("mouse{guess}-{}", code("alice", 0));
                ask(&service, "alice", &credential).await.reason
            })
        })
        .collect();
    let mut wrong = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Reason::WrongPassword => wrong += 1,
            reason => assert!(matches!(reason, Reason::Locked | Reason::Contended), "{reason}"),
        }
    }
    assert_eq!((wrong, CHECKS.load(SeqCst)), (3, 3));
}

#[tokio::test]
async fn a_proven_password_is_not_checked_again_while_it_lives() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let clock = Arc::new(SetClock::default());
    let cache = PasswordCache::new(Duration::from_secs(300), &mut StdRng::seed_from_u64(1)).unwrap();
    let service = on_clock(
        store(&["alice"]),
        |password, hash| {
            CHECKS.fetch_add(1, SeqCst);
            password == hash.as_str().as_bytes()
        },
        Arc::clone(&clock) as Arc<dyn Clock>,
    )
    .with_password_cache(cache);
    let mut counter = 0..;
    let mut ask = async |password: &str| {
        let counter = counter.next().unwrap();
        let credential = format!("{password}{}", code("alice", counter));
        (
            ask(&service, "alice", &credential).await.reason,
            CHECKS.load(SeqCst),
        )
    };
    assert_eq!(ask("horse").await, (Reason::Accepted, 1));
    assert_eq!(ask("horse").await, (Reason::Accepted, 1), "remembered");
    assert_eq!(
        ask("mouse").await,
        (Reason::WrongPassword, 2),
        "another is checked"
    );
    assert_eq!(
        ask("mouse").await,
        (Reason::WrongPassword, 3),
        "and never remembered"
    );
    assert_eq!(
        ask("horse").await,
        (Reason::Accepted, 3),
        "a wrong one forgets nothing"
    );
    clock.pass(300);
    assert_eq!(ask("horse").await, (Reason::Accepted, 4), "its life is over");
    let changed = Some(PasswordHash::new("mouse".into()));
    service.store.model().set_password(UserId(1), changed);
    assert_eq!(
        ask("horse").await,
        (Reason::WrongPassword, 5),
        "changed: gone at once"
    );
    assert_eq!(ask("mouse").await, (Reason::Accepted, 6));
}

#[tokio::test]
async fn without_a_cache_every_login_is_checked() {
    static CHECKS: AtomicUsize = AtomicUsize::new(0);
    let service = service(store(&["alice"]), |_, _| {
        CHECKS.fetch_add(1, SeqCst);
        true
    });
    for counter in 0..3 {
        let credential = format!("horse{}", code("alice", counter));
        assert_eq!(ask(&service, "alice", &credential).await.reason, Reason::Accepted);
    }
    assert_eq!(CHECKS.load(SeqCst), 3);
}

/// A rejection leaves when both its work and its hold are over. What has no check must not leave before what has one.
#[tokio::test]
async fn a_rejection_without_a_check_is_held_as_long_as_one_with_a_check_takes() {
    let users: Vec<_> = (0..20).map(|number| format!("user{number}")).collect();
    let names: Vec<_> = users.iter().map(String::as_str).collect();
    let service = service(store(&names), |_, _| {
        std::thread::sleep(Duration::from_millis(30));
        false
    });
    let before = ask(&service, "user0", "horse000000").await;
    assert_eq!(
        (before.reason, before.hold),
        (Reason::WrongCode, Duration::from_millis(100))
    );
    for user in &names {
        let began = SystemClock.elapsed();
        let slow = ask(&service, user, &format!("mouse{}", code(user, 0))).await;
        let took = SystemClock.elapsed() - began;
        assert_eq!(slow.reason, Reason::WrongPassword);
        let reasons = [
            (*user, "horse000000", Reason::WrongCode),
            (*user, "horse", Reason::NotACode),
            ("nobody", "horse000000", Reason::UnknownUser),
            ("", "", Reason::InvalidUserName),
        ];
        for (name, credential, reason) in reasons {
            let quick = ask(&service, name, credential).await;
            assert_eq!(quick.reason, reason);
            assert!(
                quick.hold >= took,
                "{reason} after {:?}, a check took {took:?}",
                quick.hold
            );
        }
    }
}

#[tokio::test]
async fn nobody_is_held_for_ever() {
    let clock = Arc::new(SetClock::default());
    let service = on_clock(
        store(&["alice"]),
        |_, _| true,
        Arc::clone(&clock) as Arc<dyn Clock>,
    );
    for seconds in [0, 1, 3, 3600] {
        let inquiry = &mut Inquiry::default();
        let hash = PasswordHash::new("horse".into());
        let question = Question {
            user: UserId(1),
            password: b"horse",
            hash: &hash,
            deadline: Duration::MAX,
        };
        assert_eq!(service.passwords.ask(question, inquiry).await, Finding::Right);
        service.passwords.settled(inquiry, Duration::from_secs(seconds));
        let expected = Duration::from_millis(seconds * 1250).min(Duration::from_secs(2));
        assert_eq!(service.passwords.hold(), expected);
    }
    service
        .passwords
        .settled(&Inquiry::default(), Duration::from_secs(9));
    for _ in 0..32 {
        service.passwords.settled(&Inquiry::default(), Duration::ZERO);
    }
    let hold = service.passwords.hold();
    assert_eq!(
        hold,
        Duration::from_secs(2),
        "requests without a check say nothing"
    );
}

/// What a client with the grammar `auto` is told; the State of a question, if it is one.
async fn automatic(
    service: &Service<ModelStore>,
    id: i64,
    credential: &str,
    state: Option<&[u8]>,
) -> (Outcome, Option<Vec<u8>>) {
    static PACKETS: AtomicUsize = AtomicUsize::new(0);
    let mut packet = [0xa0; 32];
    packet[..8].copy_from_slice(&PACKETS.fetch_add(1, SeqCst).to_be_bytes());
    let nas = Client {
        id: otp_validation::ClientId(id),
        name: "nas".into(),
        enabled: true,
        grammar: Some(otp_validation::Grammar::Auto),
        repeat_grace: 0,
        can_challenge: true,
    };
    let (user, credential) = credential.split_once(' ').unwrap();
    let request = Request {
        user_name: user.as_bytes().to_vec(),
        credential: Some(credential.as_bytes().to_vec().into()),
        state: state.map(<[u8]>::to_vec),
        packet: PacketDigest(packet),
        channel: None,
        realm: None,
        patience: Duration::from_secs(60),
        room: Room::UNLIMITED,
        origin: Origin::default(),
    };
    let outcome = service.validate(request, &nas).await;
    let state = match &outcome.answer {
        Answer::Challenge(challenge) => Some(challenge.state.clone()),
        _ => None,
    };
    (outcome, state)
}

#[tokio::test]
async fn a_question_is_earned_by_a_password_alone_and_tells_nothing() {
    let service = service(store(&["alice"]), |password, hash| {
        password == hash.as_str().as_bytes()
    });
    let both = format!("alice horse{}", code("alice", 0));
    assert!(automatic(&service, 7, &both, None).await.0.is_accept());
    for (credential, reason, earned) in [
        ("alice horse", Reason::CodeAsked, true),
        ("alice mouse", Reason::WrongPassword, false),
        ("nobody horse", Reason::UnknownUser, false),
        // The same as for any other wrong credential: whoever guesses does not learn that it was a code.
        (&*both, Reason::ReplayedCode, false),
    ] {
        let (outcome, _) = automatic(&service, 7, credential, None).await;
        assert_eq!(outcome.reason, reason);
        let Answer::Challenge(challenge) = &outcome.answer else {
            panic!("{credential}: {:?}", outcome.answer)
        };
        assert_eq!(challenge.is_earned, earned, "{credential}");
        assert!(!outcome.answers);
    }
}

#[tokio::test]
async fn an_answer_shows_that_the_client_that_was_asked_passes_state_on() {
    let service = service(store(&["alice"]), |password, hash| {
        password == hash.as_str().as_bytes()
    });
    let (_, state) = automatic(&service, 7, "alice horse", None).await;
    let state = state.as_deref();
    let (other, _) = automatic(&service, 8, "alice 000000", state).await;
    assert!(!other.answers, "another client's");
    let (forged, _) = automatic(&service, 7, "alice 000000", Some(&[7; 80])).await;
    assert_eq!((forged.reason, forged.answers), (Reason::NoSuchDialogue, false));
    let right = format!("alice {}", code("alice", 0));
    let (outcome, _) = automatic(&service, 7, &right, state).await;
    assert!(outcome.is_accept() && outcome.answers, "{outcome:?}");
    // Late or twice is an answer still.
    let (again, _) = automatic(&service, 7, &right, state).await;
    assert!(!again.is_accept() && again.answers, "{again:?}");
    // Of a question that hides a refusal, too.
    let (_, hidden) = automatic(&service, 7, "nobody horse", None).await;
    let (refused, _) = automatic(&service, 7, "nobody 000000", hidden.as_deref()).await;
    assert!(refused.answers, "{refused:?}");
}
