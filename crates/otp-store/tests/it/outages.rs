//! PostgreSQL servers that fail, hang, or would lose what they were given.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use otp_store::{Commit, Postgres, Store, StoreError};
use otp_validation::{Reason, Verdict};

use crate::{
    cluster::Cluster,
    proxy::{Proxy, Trap},
    support::{Engine, Fixture, SEED, attempt, code, decision, name, nas, next_counter, record_of, recorded},
};

/// As the daemon waits: for a while, and not longer.
fn commit_in_time(
    store: &Store,
    user: &str,
    code: &str,
    packet: &[u8],
) -> (Verdict, Option<Result<Commit, StoreError>>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let (at, decision) = decision(store, user, &nas(), code, packet);
    let verdict = decision.verdict;
    let committed = runtime.block_on(async {
        let record = record_of(&decision);
        let commit = store.commit(&at, decision, record);
        tokio::time::timeout(Duration::from_secs(3), commit).await.ok()
    });
    (verdict, committed)
}

#[test]
fn a_server_that_is_killed_accepts_nobody_and_comes_back() {
    let mut cluster = Cluster::new();
    let mut fixture = Fixture::at(Some(cluster.database()));
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = fixture.store.clone();
    for counter in 0..4 {
        assert_eq!(
            attempt(
                &store,
                "alice",
                &nas(),
                &code(SEED, counter),
                &counter.to_be_bytes()
            ),
            (true, Reason::Accepted)
        );
        // Decided before, committed after the server has gone.
        let (at, decided) = decision(&store, "alice", &nas(), &code(SEED, counter + 1), b"during");
        cluster.kill();
        let refused = crate::support::commit(&store, &at, decided);
        assert!(refused.is_err(), "{refused:?}");
        assert!(!store.is_available());
        let gone = store.account(&name("alice")).unwrap_err();
        assert!(matches!(gone, StoreError::Unreachable { .. }), "{gone}");
        cluster.start();
        store.check().unwrap();
        assert!(store.is_available());
        assert_eq!(
            attempt(&store, "alice", &nas(), &code(SEED, counter), b"again"),
            (false, Reason::ReplayedCode)
        );
        assert_eq!(
            next_counter(&store, "alice"),
            counter + 1,
            "nothing was spent while it was away"
        );
    }
    assert_eq!(recorded(&store, Reason::Accepted), 4);
}

/// A connection that breaks at COMMIT leaves it open whether there was one. Whoever waits learns the truth.
#[test]
fn a_commit_without_an_answer_is_looked_for() {
    let cluster = Cluster::shared();
    let proxy = Proxy::before(cluster.socket_dir());
    let database = cluster.database();
    let (_, database) = database.rsplit_once('=').unwrap();
    let url = format!("host={} user=otp dbname={database}", proxy.socket_dir().display());
    let mut fixture = Fixture::at(Some(url));
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = fixture.store.clone();
    for (counter, trap) in (0..20).map(|counter| (counter, [Trap::Swallow, Trap::Silence][counter % 2])) {
        let sprung = proxy.sprung();
        let counter = counter as u64;
        let code = code(SEED, counter);
        let (at, accept) = decision(&store, "alice", &nas(), &code, &counter.to_be_bytes());
        proxy.set(trap);
        let committed = crate::support::commit(&store, &at, accept).unwrap();
        assert_eq!(proxy.sprung(), sprung + 1, "{trap:?}");
        assert!(
            matches!(committed, Commit::Accepted(_)),
            "{trap:?}: {committed:?}"
        );
        assert_eq!(next_counter(&store, "alice"), counter + 1);
        // Failures are counted once.
        let wrong = decision(&store, "alice", &nas(), "000000", b"wrong");
        proxy.set(trap);
        let counted = crate::support::commit(&store, &wrong.0, wrong.1).unwrap();
        assert_eq!(counted, Commit::Recorded, "{trap:?}");
        let lockouts = store.account(&name("alice")).unwrap().unwrap().lockouts;
        assert_eq!(lockouts.at(nas().id).otp_failures, 1, "{trap:?}");
        assert_eq!(
            attempt(&store, "alice", &nas(), &code, b"another packet"),
            (false, Reason::ReplayedCode)
        );
        store.unlock_user(&name("alice")).unwrap();
    }
    // Whatever became of the connection: what is durable is recorded, once.
    assert_eq!(recorded(&store, Reason::Accepted), 20);
    assert_eq!(recorded(&store, Reason::WrongCode), 20);
    // An administrator is told when nobody knows.
    proxy.set(Trap::Silence);
    let unknown = store.set_user_enabled(&name("alice"), false).unwrap_err();
    assert!(matches!(unknown, StoreError::UnknownOutcome), "{unknown}");
    store.set_user_enabled(&name("alice"), true).unwrap();
}

/// A server whose standbys do not answer holds every commit. A wait that somebody cancels ends in success and a warning.
#[test]
fn a_commit_that_no_standby_has_seen_accepts_nobody() {
    let cluster = Cluster::new();
    let database = cluster.database();
    let (_, database) = database.rsplit_once('=').unwrap();
    // Whatever the role asks for.
    cluster
        .psql("postgres", "ALTER ROLE otp SET synchronous_commit = off")
        .unwrap();
    let mut fixture = Fixture::at(Some(cluster.url(database)));
    fixture.add_hotp("alice", "ring", SEED, 0);
    let store = fixture.store.clone();
    let set = |names: &str| {
        cluster
            .psql(
                "postgres",
                &format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"),
            )
            .unwrap();
        cluster.psql("postgres", "SELECT pg_reload_conf()").unwrap();
        thread::sleep(Duration::from_millis(300));
    };
    assert!(attempt(&store, "alice", &nas(), &code(SEED, 0), b"0").0);
    set("nobody");
    let started = Instant::now();
    let (verdict, committed) = commit_in_time(&store, "alice", &code(SEED, 1), b"1");
    assert_eq!(verdict, Verdict::Accept);
    assert!(!matches!(committed, Some(Ok(_))), "{committed:?}");
    assert!(
        started.elapsed() >= Duration::from_secs(2),
        "it waited for a standby"
    );

    // Cancelled: the commit is to be seen, and may be lost yet.
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    assert_ne!(cluster.psql("postgres", cancel).unwrap(), "0");
    thread::sleep(Duration::from_millis(300));
    assert_eq!(next_counter(&store, "alice"), 2);
    let (verdict, committed) = commit_in_time(&store, "alice", &code(SEED, 1), b"1");
    assert_eq!(verdict, Verdict::Accept, "the same packet");
    assert!(
        !matches!(committed, Some(Ok(_))),
        "what may be lost is not confirmed: {committed:?}"
    );

    // A commit that is cancelled while its client waits.
    let canceller = thread::scope(|scope| {
        let canceller = scope.spawn(|| {
            for _ in 0..40 {
                thread::sleep(Duration::from_millis(50));
                let _ = cluster.psql("postgres", cancel);
            }
        });
        let (_, committed) = commit_in_time(&store, "alice", &code(SEED, 2), b"2");
        assert!(
            !matches!(committed, Some(Ok(Commit::Accepted(_)))),
            "{committed:?}"
        );
        canceller.join()
    });
    canceller.unwrap();

    set("");
    thread::sleep(Duration::from_secs(1));
    // Whoever has seen standbys goes on asking for them.
    let (at, accept) = decision(&store, "alice", &nas(), &code(SEED, 1), b"1");
    let refused = crate::support::commit(&store, &at, accept);
    assert!(
        matches!(refused, Err(StoreError::LosesCommits { .. })),
        "{refused:?}"
    );
    let store = fixture.reopen();
    assert_eq!(
        attempt(&store, "alice", &nas(), &code(SEED, 1), b"1"),
        (true, Reason::SamePacket),
        "now it is as durable as the server is"
    );
    assert_eq!(
        attempt(&store, "alice", &nas(), &code(SEED, 1), b"another"),
        (false, Reason::ReplayedCode)
    );
}

#[test]
fn a_cluster_that_may_lose_commits_is_refused_unless_wanted() {
    let cluster = Cluster::new();
    let fixture = Fixture::at(Some(cluster.database()));
    Store::open(fixture.location()).unwrap();
    cluster
        .psql(
            "postgres",
            "SELECT pg_create_physical_replication_slot('standby')",
        )
        .unwrap();
    let refused = Store::open(fixture.location()).unwrap_err();
    assert!(matches!(refused, StoreError::LosesCommits { .. }), "{refused}");
    assert!(
        refused.to_string().contains("synchronous_mode_strict"),
        "{refused}"
    );
    let mut location = fixture.location();
    if let Some(database) = &mut location.database {
        database.accept_lost_commits = true;
    }
    Store::open(&location).unwrap();
    cluster
        .psql("postgres", "SELECT pg_drop_replication_slot('standby')")
        .unwrap();

    cluster.psql("postgres", "ALTER SYSTEM SET fsync = off").unwrap();
    cluster.psql("postgres", "SELECT pg_reload_conf()").unwrap();
    thread::sleep(Duration::from_millis(300));
    let refused = Store::open(&location).unwrap_err();
    assert!(
        matches!(refused, StoreError::NotDurable { setting: "fsync", .. }),
        "{refused}"
    );
}

#[test]
fn tables_of_another_version_are_refused_and_brought_up_to_this_one() {
    let cluster = Cluster::shared();
    let mut fixture = Fixture::on(Engine::Postgres);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let database = fixture.url.clone().unwrap();
    let (_, database) = database.rsplit_once('=').unwrap();
    let known: i64 = cluster
        .psql(database, "SELECT version FROM schema")
        .unwrap()
        .parse()
        .unwrap();
    let set = |version: i64| {
        cluster
            .psql(database, &format!("UPDATE schema SET version = {version}"))
            .unwrap();
    };
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet");
    set(99);
    let newer = |refused: Option<StoreError>| {
        assert!(
            matches!(refused, Some(StoreError::NewerSchema { found: 99, .. })),
            "{refused:?}"
        );
    };
    newer(Store::open(fixture.location()).err());
    newer(Store::migrate(fixture.location()).err());
    newer(crate::support::commit(&fixture.store, &at, accept).err());
    newer(fixture.store.check().err());
    set(known);
    fixture.store.check().unwrap();
    assert_eq!(Store::migrate(fixture.location()).unwrap(), (known, known));

    let (_, empty) = (0, cluster.database());
    let mut elsewhere = fixture.location();
    elsewhere.database = Some(empty.parse::<Postgres>().unwrap());
    for refused in [Store::open(&elsewhere).err(), Store::migrate(&elsewhere).err()] {
        assert!(
            matches!(refused, Some(StoreError::NoStoreInDatabase { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(
        cluster.psql(empty.rsplit_once('=').unwrap().1, r"\dt").unwrap(),
        "",
        "nothing was made"
    );
}

#[test]
fn of_several_inits_at_once_one_fills_the_database() {
    let url = Cluster::shared().database();
    let dir = tempfile::tempdir().unwrap();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let (url, dir) = (&url, dir.path());
                scope.spawn(move || {
                    let paths = otp_store::Paths::new(dir.join(number.to_string()));
                    let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(number);
                    let location = crate::support::location(&paths, Some(url.clone()));
                    let made = Store::init(&location, crate::support::NOW, &mut rng);
                    (location, made)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let made = outcomes.iter().filter(|(_, made)| made.is_ok()).count();
    assert_eq!(made, 1);
    for (location, made) in outcomes {
        match made {
            Ok(()) => drop(Store::open(&location).unwrap()),
            Err(refused) => {
                assert!(matches!(refused, StoreError::DatabaseInUse { .. }), "{refused}");
                assert!(
                    !fs::exists(&location.paths.state_dir).unwrap(),
                    "a key without a store was left"
                );
            }
        }
    }
}
