use otp_core::{Hotp, HotpState, TokenKey};
use otp_validation::{
    Acceptance, Account, AccountVersion, ClientId, CredentialDigest, Decision, Effect, PacketDigest, Reason,
    TokenId, TokenMode, TokenStatus, UnixTime, UserId, UserName, Verdict,
};
use rand::{SeedableRng as _, rngs::StdRng};
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::*;
use crate::{MissingUsers, NewToken, Record, Store, commit::Change};

const NOW: UnixTime = UnixTime(1_800_000_000);

fn alice() -> UserName {
    UserName::parse(b"alice").unwrap()
}

fn store_with_alice(dir: &tempfile::TempDir, limits: &Arc<Limits>) -> Store {
    let mut rng = StdRng::seed_from_u64(1);
    let paths = Paths::new(dir.path().join("state"));
    Store::init(&paths, NOW, &mut rng).unwrap();
    let store = Store::open_with((&paths).into(), Arc::clone(limits)).unwrap();
    let token = NewToken {
        user: alice(),
        label: "hotp".into(),
        key: TokenKey::from(*b"12345678901234567890"),
        mode: TokenMode::Hotp {
            hotp: Hotp::default(),
            state: HotpState { next: 0 },
            look_ahead: 10,
        },
        status: TokenStatus::Active,
        created_at: NOW,
    };
    store
        .add_tokens(&[token], MissingUsers::Create, &mut rng)
        .unwrap();
    store
}

/// What is written if these effects are decided on `account`.
fn change(account: &Account, effects: &[Effect]) -> Result<Change, StoreError> {
    let becomes = AccountVersion(account.version.0 + 1);
    Ok(Change::of(account, effects, becomes)?
        .expect("effects on what there is")
        .0)
}

/// Accepts the next counter of alice's token.
fn acceptance(account: &Account, at: UnixTime) -> Decision {
    let token = &account.tokens[0];
    let TokenMode::Hotp {
        state: HotpState { next: matched },
        ..
    } = token.mode
    else {
        panic!("a HOTP token")
    };
    let mut packet = [0; 32];
    packet[..8].copy_from_slice(&matched.to_be_bytes());
    let remember = Effect::Remember(Acceptance {
        packet: PacketDigest(packet),
        credential: CredentialDigest([1; 32]),
        client: ClientId(1),
        token: token.id,
        at,
        channel: None,
        twins: Vec::new(),
    });
    let consume = Effect::Consume {
        token: token.id,
        matched,
        next: matched + 1,
    };
    Decision {
        verdict: Verdict::Accept,
        reason: Reason::Accepted,
        token: Some(token.id),
        effects: vec![consume, remember],
    }
}

fn accept_next(store: &Store, at: UnixTime) -> Result<Commit, StoreError> {
    let account = store.account(&alice())?.unwrap();
    let decision = acceptance(&account, at);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.commit(&account, decision, record()))
}

fn next_counter(store: &Store) -> u64 {
    match store.account(&alice()).unwrap().unwrap().tokens[0].mode {
        TokenMode::Hotp { state, .. } => state.next,
        TokenMode::Totp { .. } => panic!("a HOTP token"),
    }
}

fn trail_of(store: &Store) -> Arc<Trail> {
    let trail = Arc::<Trail>::default();
    trail.begin(store.digests());
    trail
}

fn record() -> Record {
    Record {
        at: NOW,
        request: Some(7),
        accepts: false,
        text: "{}".into(),
    }
}

/// Hands all of `jobs` over and runs a writer in the test's own thread until none is left.
fn write_all(store: &Store, jobs: impl IntoIterator<Item = Job>) -> Arc<Counters> {
    let queue = Arc::new(Queue::new(QUEUE));
    let mut started = None;
    for job in jobs {
        let start = |groups| {
            started = Some(groups);
            Ok(())
        };
        queue.push(job, start).unwrap();
    }
    queue.close();
    let counters = Arc::<Counters>::default();
    let mut thread = WriterThread {
        paths: Arc::new(store.paths().clone()),
        limits: Arc::default(),
        counters: Arc::clone(&counters),
        trail: trail_of(store),
        session: None,
    };
    let groups: Groups<Job> = started.unwrap();
    groups.serve(&mut thread);
    counters
}

#[test]
fn a_full_disk_accepts_nobody_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    let store = store_with_alice(&dir, &limits);
    limits.set_pages(1); // the engine takes the present size instead
    let (mut accepted, mut refusals) = (0, 0);
    while refusals < 3 {
        match accept_next(&store, NOW) {
            Ok(Commit::Accepted(_)) if refusals == 0 => accepted += 1,
            Err(StoreError::Full { .. }) => refusals += 1,
            other => panic!("{other:?} after {accepted} acceptances and {refusals} refusals"),
        }
        assert_eq!(next_counter(&store), accepted);
        assert!(accepted < 10_000, "the disk does not become full");
    }
    limits.set_pages(1_000_000);
    assert!(matches!(accept_next(&store, NOW), Ok(Commit::Accepted(_))));
    assert_eq!(next_counter(&store), accepted + 1);
    assert_eq!(store.stats().unwrap().failed_groups, 3);
}

/// What nobody waits for is not lost either: it is written when there is room again.
#[test]
fn records_wait_for_a_disk_that_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    let store = store_with_alice(&dir, &limits);
    limits.set_pages(1); // the engine takes the present size instead
    while accept_next(&store, NOW).is_ok() {}
    let waiting = Record {
        request: Some(4711),
        ..record()
    };
    store.record(waiting);
    assert!(accept_next(&store, NOW).is_err());
    assert_eq!(store.audit_of_request(4711).unwrap(), []);
    limits.set_pages(1_000_000);
    assert!(matches!(accept_next(&store, NOW), Ok(Commit::Accepted(_))));
    assert_eq!(store.audit_of_request(4711).unwrap().len(), 1);
    assert!(store.verify_audit(&[], |_, _| ()).unwrap().is_sound());
}

#[test]
fn a_large_log_is_emptied_when_its_readers_have_gone() {
    const LIMIT: u64 = 200_000;
    let dir = tempfile::tempdir().unwrap();
    let limits = Arc::new(Limits::default());
    limits.set_log_octets(LIMIT);
    let store = store_with_alice(&dir, &limits);
    let log = || std::fs::metadata(store.paths().wal()).unwrap().len();
    let mut largest = 0;
    for _ in 0..100 {
        assert!(matches!(accept_next(&store, NOW), Ok(Commit::Accepted(_))));
        // The answer comes before the tidying: the next commit finds it done.
        largest = largest.max(log());
    }
    assert!(largest < 2 * LIMIT, "{largest} octets");

    let reader = Connection::open(store.paths().database()).unwrap();
    reader.execute_batch("BEGIN; SELECT * FROM replay").unwrap();
    for _ in 0..100 {
        assert!(matches!(accept_next(&store, NOW), Ok(Commit::Accepted(_))));
    }
    assert!(log() > LIMIT, "what a reader sees cannot be emptied");
    reader.execute_batch("COMMIT").unwrap();
    for _ in 0..100 {
        assert!(matches!(accept_next(&store, NOW), Ok(Commit::Accepted(_))));
    }
    assert!(log() <= 2 * LIMIT, "{} octets", log());
    assert_eq!(next_counter(&store), 300);
}

#[test]
fn what_nobody_can_ask_for_any_more_is_forgotten() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let acceptances = |at: u64| {
        assert!(matches!(
            accept_next(&store, UnixTime(at)),
            Ok(Commit::Accepted(_))
        ));
        let account = store.account(&alice()).unwrap().unwrap();
        account
            .acceptances
            .iter()
            .map(|acceptance| acceptance.at.0 - NOW.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(acceptances(NOW.0), [0]);
    assert_eq!(acceptances(NOW.0 + 10), [0, 10]);
    assert_eq!(acceptances(NOW.0 + 300), [0, 10, 300]);
    assert_eq!(acceptances(NOW.0 + 360), [300, 360]);
}

#[test]
fn whoever_has_gone_away_spends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let account = store.account(&alice()).unwrap().unwrap();
    let (abandoned, _) = oneshot::channel();
    let (waiting, mut answer) = oneshot::channel();
    let job = |reply| {
        let change = change(&account, &acceptance(&account, NOW).effects).unwrap();
        Job {
            change,
            record: record(),
            accepts: Some(account.tokens[0].id),
            reply,
        }
    };
    let jobs = [abandoned, waiting].map(job);
    let counters = write_all(&store, jobs);
    assert!(
        matches!(answer.try_recv(), Ok(Ok(Commit::Accepted(_)))),
        "the first one did not spend the code"
    );
    assert_eq!(counters.changes(), 1);
}

#[test]
fn everything_that_waits_is_one_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let account = store.account(&alice()).unwrap().unwrap();
    let (jobs, answers): (Vec<_>, Vec<_>) = (0..600)
        .map(|_| {
            let (reply, answer) = oneshot::channel();
            let change = change(&account, &acceptance(&account, NOW).effects).unwrap();
            let job = Job {
                change,
                record: record(),
                accepts: Some(account.tokens[0].id),
                reply,
            };
            (job, answer)
        })
        .unzip();
    let counters = write_all(&store, jobs);
    let outcomes: Vec<_> = answers
        .into_iter()
        .map(|mut answer| answer.try_recv().unwrap().unwrap())
        .collect();
    assert!(matches!(outcomes[0], Commit::Accepted(_)));
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Commit::Conflict));
    let seen = counters.activity(0);
    let sizes: Vec<_> = seen.group_sizes.up_to().collect();
    assert_eq!(sizes[6..9], [(64, 0), (128, 1), (256, 3)], "256, 256, 88");
    assert_eq!(
        (counters.groups(), counters.changes(), seen.conflicts),
        (3, 600, 599)
    );
}

#[test]
fn more_than_the_queue_holds_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let account = store.account(&alice()).unwrap().unwrap();
    let writer = Writer::new(
        Arc::new(store.paths().clone()),
        Arc::default(),
        Arc::default(),
        trail_of(&store),
    );
    let turnstile = crate::sqlite::Turnstile::open(&store.paths().state_dir).unwrap();
    let turn = turnstile.enter().unwrap();
    let mut answers = Vec::new();
    let refused = loop {
        let (reply, answer) = oneshot::channel();
        let change = change(&account, &acceptance(&account, NOW).effects).unwrap();
        match writer.submit(Job {
            change,
            record: record(),
            accepts: Some(account.tokens[0].id),
            reply,
        }) {
            Ok(()) => answers.push(answer),
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, StoreError::Overloaded), "{refused}");
    // The thread may have taken one out, and waits for its turn with it.
    assert!((QUEUE..=QUEUE + 1).contains(&answers.len()), "{}", answers.len());
    drop(turn);
    // The last handle is dropped: what was taken is still answered.
    drop(writer);
    let outcomes: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.blocking_recv().unwrap().unwrap())
        .collect();
    let accepted = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, Commit::Accepted(_)))
        .count();
    assert_eq!(accepted, 1);
}

#[test]
fn what_cannot_be_committed_is_not_handed_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let account = store.account(&alice()).unwrap().unwrap();
    let token = account.tokens[0].id;
    let too_far = Effect::Consume {
        token,
        matched: u64::MAX - 1,
        next: u64::MAX,
    };
    let refused = change(&account, &[too_far]);
    assert!(
        matches!(refused, Err(StoreError::OutOfRange { .. })),
        "{refused:?}"
    );
    let without_code = change(&account, &[acceptance(&account, NOW).effects.remove(1)]);
    assert!(
        matches!(without_code, Err(StoreError::Unproven)),
        "{without_code:?}"
    );
    let elsewhere = Effect::Activate {
        token: TokenId(token.0 + 1),
    };
    let becomes = AccountVersion(account.version.0 + 1);
    assert!(Change::of(&account, &[elsewhere], becomes).unwrap().is_none());
}

#[test]
fn a_change_that_no_longer_fits_harms_no_other_of_its_group() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_alice(&dir, &Arc::default());
    let account = store.account(&alice()).unwrap().unwrap();
    let mut unknown_user = account.clone();
    unknown_user.user.id = UserId(account.user.id.0 + 1);
    let mut older = account.clone();
    older.version = AccountVersion(account.version.0 - 1);
    let mut jobs = Vec::new();
    let answers = [&unknown_user, &older, &account].map(|snapshot| {
        let (reply, answer) = oneshot::channel();
        jobs.push(Job {
            change: change(snapshot, &acceptance(&account, NOW).effects).unwrap(),
            record: record(),
            accepts: Some(account.tokens[0].id),
            reply,
        });
        answer
    });
    let counters = write_all(&store, jobs);
    let [unknown_user, older, accepted] = answers.map(|mut answer| answer.try_recv().unwrap().unwrap());
    assert_eq!((unknown_user, older), (Commit::Conflict, Commit::Conflict));
    assert!(matches!(accepted, Commit::Accepted(_)), "{accepted:?}");
    assert_eq!(counters.groups(), 1);
}
