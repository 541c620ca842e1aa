use std::{
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use otp_store::Commit;
use otp_validation::{Reason, UnixTime};
use tokio::task::JoinSet;

use crate::{
    support::{
        Engine, Fixture, NOW, SEED, attempt, code, commit, decision, decision_at, kdc, name, nas,
        next_counter, record_of,
    },
    together::Together,
};

/// Threads on two handles that share nothing but files try each code at the same moment; half of them through the
/// writer thread, half on their own. `users` all have tokens of the same seed.
fn race(users: &[&str], rounds: u64) {
    const THREADS: usize = 6;
    let mut fixture = Fixture::on(super::ENGINE);
    for user in users {
        fixture.add_hotp(user, "key ring", SEED, 0);
    }
    let stores = [fixture.store.clone(), fixture.reopen()];
    let start = Barrier::new(THREADS);
    let accepts: Vec<AtomicU64> = (0..rounds).map(|_| AtomicU64::new(0)).collect();
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (store, user) = (&stores[number % 2], users[number % users.len()]);
            let (start, accepts) = (&start, &accepts);
            scope.spawn(move || {
                for (counter, accepts) in (0_u64..).zip(accepts) {
                    let (code, packet) = (
                        code(SEED, counter),
                        [&counter.to_be_bytes()[..], &[number as u8]].concat(),
                    );
                    // Acceptances grow old and are forgotten, as they are when nobody logs in hundreds of times a second.
                    let now = UnixTime(NOW.0 + 40 * counter);
                    start.wait();
                    loop {
                        let (at, decided) = decision_at(now, store, user, &nas(), &code, &packet);
                        let outcome = if number < THREADS / 2 {
                            commit(store, &at, decided)
                        } else {
                            store.commit_blocking(&at, decided.clone(), record_of(&decided))
                        };
                        match outcome.unwrap() {
                            Commit::Accepted(_) => {
                                accepts.fetch_add(1, Ordering::Relaxed);
                            }
                            Commit::Recorded => {}
                            Commit::Conflict => continue,
                        }
                        break;
                    }
                }
            });
        }
    });
    let accepts: Vec<_> = accepts.into_iter().map(AtomicU64::into_inner).collect();
    assert_eq!(
        accepts,
        vec![1; accepts.len()],
        "each code is accepted exactly once"
    );
    assert_eq!(next_counter(&fixture.store, users[0]), rounds);
}

#[test]
fn of_all_that_race_for_a_code_one_wins() {
    race(&["alice"], 1000);
}

#[test]
fn of_all_that_share_a_seed_one_wins() {
    race(&["alice", "bob", "carol"], 500);
}

#[test]
fn retransmissions_at_once_are_all_accepted_and_spend_one_code() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let stores = [fixture.store.clone(), fixture.reopen()];
    for counter in 0..50 {
        let code = code(SEED, counter);
        let packet = counter.to_be_bytes();
        let reasons: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|number| {
                    scope.spawn({
                        let (stores, code) = (&stores, &code);
                        move || attempt(&stores[number % 2], "alice", &kdc(), code, &packet)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(reasons.iter().all(|(accepted, _)| *accepted), "{reasons:?}");
        let spent = reasons
            .iter()
            .filter(|(_, reason)| *reason == Reason::Accepted)
            .count();
        assert_eq!(spent, 1, "{reasons:?}");
    }
    assert_eq!(next_counter(&fixture.store, "alice"), 50);
}

#[test]
fn those_who_wait_together_are_committed_together() {
    const USERS: u64 = 200;
    let mut fixture = Fixture::on(super::ENGINE);
    for number in 0..USERS {
        let seed = [&[0; 12][..], &(number + 1).to_be_bytes()].concat();
        fixture.add_hotp(&format!("user{number}"), "hotp", &seed, 0);
    }
    let store = fixture.store.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for number in 0..USERS {
            let seed = [&[0; 12][..], &(number + 1).to_be_bytes()].concat();
            let (at, decided) = decision(
                &store,
                &format!("user{number}"),
                &nas(),
                &code(&seed, 0),
                b"packet",
            );
            let store = store.clone();
            let record = record_of(&decided);
            tasks.spawn(async move { store.commit(&at, decided, record).await });
        }
        while let Some(outcome) = tasks.join_next().await {
            assert!(matches!(outcome.unwrap().unwrap(), Commit::Accepted(_)));
        }
    });
    let stats = fixture.store.stats().unwrap();
    assert_eq!(
        (stats.changes, stats.conflicts, stats.failed_groups),
        (USERS, 0, 0)
    );
    assert!(
        stats.groups <= USERS / 4,
        "{} transactions for {USERS} decisions",
        stats.groups
    );
}

#[test]
fn a_busy_daemon_lets_an_administrator_in() {
    let mut fixture = Fixture::on(super::ENGINE);
    for user in ["a", "b", "c", "d"] {
        fixture.add_hotp(user, "hotp", user.repeat(20).as_bytes(), 0);
    }
    let administrator = fixture.reopen();
    let together = Together::default();
    let longest = thread::scope(|scope| {
        let _member = together.member();
        for user in ["a", "b", "c", "d"] {
            let (store, together) = (&fixture.store, &together);
            scope.spawn(move || {
                let _member = together.member();
                let seed = user.repeat(20);
                for counter in 0.. {
                    if together.is_over() {
                        break;
                    }
                    let packet = u64::to_be_bytes(counter);
                    attempt(store, user, &nas(), &code(seed.as_bytes(), counter), &packet);
                }
            });
        }
        let groups = || fixture.store.stats().unwrap().groups;
        let longest = (0..40).map(|round| {
            // Only beside a daemon that is at work does the turn mean anything.
            let seen = groups();
            while groups() == seen && !together.is_over() {
                thread::sleep(Duration::from_millis(1));
            }
            let begun = groups();
            administrator
                .set_user_enabled(&name("d"), round % 2 == 1)
                .unwrap();
            groups().saturating_sub(begun)
        });
        let longest = longest.max().unwrap();
        together.end();
        longest
    });
    // In turns, so that the speed of the machine does not matter: one that is under way, one that has queued before, and
    // those that fit between looking and queueing, which takes longer where the queue is a server's. Without turns it is
    // hundreds.
    let most = if super::ENGINE == Engine::Sqlite { 20 } else { 100 };
    assert!(longest <= most, "the administrator waited for {longest} commits");
}
