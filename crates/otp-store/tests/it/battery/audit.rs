//! The audit trail: complete, unchanged, in one transaction with what it tells of, and cheap.

use std::time::Duration;

use otp_store::{
    AuditEntry, Break, ClientSecret, Commit, DecisionFacts, Head, MissingUsers, NewClient, NewUser, Paths,
    Record, RestoreOptions, Store, Verification,
};
use otp_validation::{Decision, PasswordHash, Reason, UnixTime};

use crate::{
    cluster::Cluster,
    support::{
        Engine, Fixture, NOW, SEED, attempt, code, commit, decision, facts, hotp_token, kdc, location, name,
        nas, record_of,
    },
};

fn verify(store: &Store, noted: &[Head]) -> Verification {
    store.verify_audit(noted, |_, _| ()).unwrap()
}

/// Every record, chain by chain.
fn entries(store: &Store) -> Vec<AuditEntry> {
    let heads = store.audit_heads().unwrap().into_iter();
    heads
        .flat_map(|head| store.audit_entries(head.chain, 1..=head.number).unwrap())
        .collect()
}

fn texts(store: &Store, with: &str) -> Vec<String> {
    let mut texts: Vec<_> = entries(store).into_iter().map(|entry| entry.record).collect();
    texts.retain(|text| text.contains(with));
    texts
}

/// Alice, some acceptances, a failure and a twin.
fn fixture_with_history() -> Fixture {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    for counter in 0..5 {
        assert!(
            attempt(
                &fixture.store,
                "alice",
                &nas(),
                &code(SEED, counter),
                &[counter as u8]
            )
            .0
        );
    }
    attempt(&fixture.store, "alice", &nas(), "000000", b"wrong");
    fixture
}

/// Runs SQL on the database as somebody who may do anything.
fn sql(fixture: &Fixture, statement: &str) -> Result<(), String> {
    match &fixture.url {
        None => fixture
            .sql()
            .execute_batch(statement)
            .map_err(|error| error.to_string()),
        Some(url) => {
            let (_, database) = url.split_once("dbname=").unwrap();
            Cluster::shared().psql(database, statement).map(drop)
        }
    }
}

/// Does what nobody may, behind the back of the triggers.
fn tamper(fixture: &Fixture, statements: &[&str]) {
    let unguard = match super::ENGINE {
        Engine::Sqlite => {
            "DROP TRIGGER audit_stays; DROP TRIGGER audit_is_kept; DROP TRIGGER audit_appends;
             DROP TRIGGER audit_chains_grow; DROP TRIGGER audit_chains_stay;"
        }
        Engine::Postgres => {
            "ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_chains DISABLE TRIGGER USER;"
        }
    };
    sql(fixture, unguard).unwrap();
    for statement in statements {
        sql(fixture, statement).unwrap();
    }
}

#[test]
fn decisions_and_deeds_are_recorded_in_chains_that_verify() {
    let fixture = fixture_with_history();
    let count = |text: &str| texts(&fixture.store, text).len();
    assert_eq!(count(r#""deed":"store-made""#), 1);
    assert_eq!(
        count(r#""deed":"token-added","token":"alice/key ring","detail":"hotp, active""#),
        1
    );
    assert_eq!(count(r#""reason":"accepted""#), 5);
    assert_eq!(count(r#""reason":"wrong-code""#), 1);
    let mut steps = Vec::new();
    let verified = fixture
        .store
        .verify_audit(&[], |done, total| steps.push((done, total)))
        .unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    assert_eq!(verified.records, 8);
    assert_eq!(steps.last(), Some(&(8, 8)));
    assert!(verified.first <= Some(NOW) && verified.last >= Some(NOW));
    if super::ENGINE == Engine::Sqlite {
        assert_eq!(verified.heads.len(), 1, "whoever writes is alone");
    }
    // What was noted is found again, however much comes after it.
    attempt(&fixture.reopen(), "alice", &nas(), &code(SEED, 5), b"later");
    let later = verify(&fixture.reopen(), &verified.heads);
    assert!(later.is_sound() && later.records == 9, "{later:?}");
}

#[test]
fn whatever_is_done_to_the_trail_shows() {
    const LAST: &str = "number = (SELECT max(number) FROM audit)";
    let delete_last = &format!("DELETE FROM audit WHERE {LAST}");
    let copy_last = &format!(
        "INSERT INTO audit (chain, number, at, request, record, link)
         SELECT chain, number + 1, at, request, record, link FROM audit WHERE {LAST}"
    );
    let rows: [(&str, &[&str], Break); 12] = [
        (
            "an edited record",
            &["UPDATE audit SET record = replace(record, 'accepted', 'twin') WHERE number = 4"],
            Break::Changed,
        ),
        (
            "an edited time",
            &["UPDATE audit SET at = at - 1 WHERE number = 4"],
            Break::Changed,
        ),
        (
            "an edited request",
            &["UPDATE audit SET request = 7 WHERE number = 4"],
            Break::Changed,
        ),
        (
            "an edited link",
            &["UPDATE audit SET link = (SELECT link FROM audit b WHERE b.number = 3) WHERE number = 4"],
            Break::Changed,
        ),
        (
            "a record less",
            &["DELETE FROM audit WHERE number = 4"],
            Break::Missing,
        ),
        (
            "the first record less",
            &["DELETE FROM audit WHERE number = 1"],
            Break::Missing,
        ),
        ("the last record less", &[delete_last], Break::Missing),
        ("no record at all", &["DELETE FROM audit"], Break::Missing),
        (
            "two records in the other order",
            &[
                "UPDATE audit SET number = 1004 WHERE number = 4",
                "UPDATE audit SET number = 4 WHERE number = 3",
                "UPDATE audit SET number = 3 WHERE number = 1004",
            ],
            Break::Changed,
        ),
        (
            "a record less, and those after it moved up",
            &[
                "DELETE FROM audit WHERE number = 4",
                "UPDATE audit SET number = number + 1000 WHERE number > 4",
                "UPDATE audit SET number = number - 1001 WHERE number > 1000",
            ],
            Break::Changed,
        ),
        ("a record more", &[copy_last], Break::BehindTheEnd),
        (
            "another end",
            &[delete_last, "UPDATE audit_chains SET number = number - 1"],
            Break::End,
        ),
    ];
    for (what, statements, expected) in rows {
        let fixture = fixture_with_history();
        tamper(&fixture, statements);
        let broken = verify(&fixture.store, &[]).broken;
        assert_eq!(broken.len(), 1, "{what}: {broken:?}");
        assert_eq!(broken[0].why, expected, "{what}");
    }
}

/// Whoever has the database can cut off the end of a chain together with what tells of it. What was noted elsewhere shows it.
#[test]
fn an_end_that_was_cut_off_shows_by_what_was_noted() {
    let fixture = fixture_with_history();
    let noted = verify(&fixture.store, &[]).heads;
    tamper(
        &fixture,
        &[
            "UPDATE audit_chains SET number = number - 2,
                 link = (SELECT a.link FROM audit a WHERE a.chain = audit_chains.id AND a.number = audit_chains.number - 2)",
            "DELETE FROM audit WHERE number > (SELECT number FROM audit_chains)",
        ],
    );
    assert!(verify(&fixture.store, &[]).is_sound());
    let broken = verify(&fixture.store, &noted).broken;
    assert!(
        matches!(broken[..], [shown] if shown.why == Break::Noted && shown.number == 8),
        "{broken:?}"
    );
    // Other records in their place do not help.
    for counter in 6..9 {
        attempt(
            &fixture.store,
            "alice",
            &nas(),
            &code(SEED, counter),
            &[counter as u8],
        );
    }
    assert!(verify(&fixture.store, &[]).is_sound());
    let broken = verify(&fixture.store, &noted).broken;
    assert!(
        matches!(broken[..], [shown] if shown.why == Break::Noted && shown.number == 8),
        "{broken:?}"
    );
    // Nor does another chain.
    tamper_again(&fixture, &["DELETE FROM audit", "DELETE FROM audit_chains"]);
    assert!(verify(&fixture.store, &[]).is_sound());
    let broken = verify(&fixture.store, &noted).broken;
    assert!(
        matches!(broken[..], [shown] if shown.why == Break::Noted),
        "{broken:?}"
    );
    attempt(&fixture.store, "alice", &nas(), &code(SEED, 9), b"in a new chain");
    let after = verify(&fixture.store, &[]);
    assert!(after.is_sound() && after.records == 1, "{after:?}");
}

/// As [`tamper`], where the triggers are gone already.
fn tamper_again(fixture: &Fixture, statements: &[&str]) {
    for statement in statements {
        sql(fixture, statement).unwrap();
    }
}

#[test]
fn the_engine_refuses_to_change_the_trail() {
    let fixture = fixture_with_history();
    let mut statements = vec![
        "UPDATE audit SET record = '{}' WHERE number = 4",
        "DELETE FROM audit WHERE number = 4",
        "DELETE FROM audit",
        "UPDATE audit_chains SET number = number - 1",
        "DELETE FROM audit_chains",
    ];
    statements.extend(match super::ENGINE {
        Engine::Sqlite => [
            "REPLACE INTO audit SELECT * FROM audit WHERE number = 4",
            "INSERT OR REPLACE INTO audit_chains SELECT * FROM audit_chains",
            "UPDATE audit_chains SET link = zeroblob(32)",
        ],
        Engine::Postgres => [
            "TRUNCATE audit",
            "TRUNCATE audit_chains",
            "UPDATE audit_chains SET link = decode(repeat('00', 32), 'hex')",
        ],
    });
    for statement in statements {
        let refused = sql(&fixture, statement);
        // A REPLACE of a chain by itself is no change.
        let is_harmless = statement.contains("OR REPLACE INTO audit_chains");
        assert!(
            is_harmless
                || refused
                    .as_ref()
                    .is_err_and(|error| error.contains("only appended to")),
            "{statement}: {refused:?}"
        );
        assert!(verify(&fixture.store, &[]).is_sound(), "{statement}");
    }
}

#[test]
fn a_decision_that_does_not_happen_leaves_no_record() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let before = entries(&fixture.store).len();
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 1), b"packet");
    assert!(matches!(
        commit(&fixture.store, &at, accept.clone()).unwrap(),
        Commit::Accepted(_)
    ));
    for _ in 0..3 {
        assert_eq!(
            commit(&fixture.store, &at, accept.clone()).unwrap(),
            Commit::Conflict
        );
        let record = record_of(&accept);
        let again = fixture.store.commit_blocking(&at, accept.clone(), record);
        assert_eq!(again.unwrap(), Commit::Conflict);
    }
    assert_eq!(entries(&fixture.store).len(), before + 1);
    assert!(fixture.store.set_user_enabled(&name("nobody"), false).is_err());
    assert!(
        fixture
            .store
            .add_tokens(
                &[
                    hotp_token("alice", "other", SEED, 0),
                    hotp_token("alice", "key ring", SEED, 0)
                ],
                MissingUsers::Refuse,
                &mut fixture.rng,
            )
            .is_err()
    );
    assert_eq!(entries(&fixture.store).len(), before + 1);
}

#[test]
fn a_twin_is_recorded_with_what_it_repeats() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    for packet in [
        b"first",
        b"twin1",
        b"twin2",
        b"twin3",
        b"toomany".first_chunk().unwrap(),
    ] {
        attempt(&fixture.store, "alice", &kdc(), &code(SEED, 0), packet);
    }
    assert_eq!(texts(&fixture.store, r#""reason":"accepted""#).len(), 1);
    assert_eq!(
        texts(&fixture.store, r#""decision":"accept","reason":"twin""#).len(),
        3
    );
    fixture.store.write_records().unwrap();
    assert_eq!(texts(&fixture.store, r#""reason":"replayed-code""#).len(), 1);
    assert!(verify(&fixture.store, &[]).is_sound());
}

#[test]
fn a_request_is_found_by_its_number() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet");
    let record = |request| {
        Record::of_decision(&DecisionFacts {
            request: Some(request),
            ..facts(&accept)
        })
    };
    let committed = fixture
        .store
        .commit_blocking(&at, accept.clone(), record(u64::MAX));
    assert!(matches!(committed.unwrap(), Commit::Accepted(_)));
    fixture.store.record(record(7));
    fixture.store.write_records().unwrap();
    for request in [7, u64::MAX] {
        let found = fixture.store.audit_of_request(request).unwrap();
        assert!(
            matches!(&found[..], [entry] if entry.request == Some(request)),
            "{found:?}"
        );
    }
    assert_eq!(fixture.store.audit_of_request(8).unwrap(), []);
}

/// Whoever may send requests may have any number of them refused.
#[test]
fn a_flood_of_refusals_costs_no_transaction_each() {
    let fixture = Fixture::on(super::ENGINE);
    let unknown = Decision::reject(Reason::UnknownUser);
    let at = |second: u64| {
        Record::of_decision(&DecisionFacts {
            at: UnixTime(NOW.0 + second),
            ..facts(&unknown)
        })
    };
    let before = fixture.store.stats().unwrap().groups;
    for number in 0..20_000 {
        fixture.store.record(at(number / 10_000));
    }
    // Nobody waits for them, and nobody else comes: they are written alone, in a moment.
    let written = || texts(&fixture.store, r#""reason":"unknown-user""#).len();
    for _ in 0..200 {
        if written() > 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(written(), 2 * 256, "so many of each second");
    let left_out: u64 = texts(&fixture.store, "left_out")
        .iter()
        .map(|text| {
            text.trim_matches(|other: char| !other.is_ascii_digit())
                .parse::<u64>()
                .unwrap()
        })
        .sum();
    assert_eq!(left_out, 20_000 - 512, "and how many were not is recorded");
    let groups = fixture.store.stats().unwrap().groups - before;
    assert!((1..=3).contains(&groups), "{groups} transactions");
    assert!(verify(&fixture.store, &[]).is_sound());
}

#[test]
fn what_administrators_do_is_recorded_without_their_secrets() {
    let mut fixture = Fixture::on(super::ENGINE);
    let alice = name("alice");
    let store = fixture.store.clone();
    store.on_behalf_of("carol");
    let hash = PasswordHash::new("$argon2id$the-hash".into());
    store
        .add_user(&NewUser::new(alice.clone(), NOW), &mut fixture.rng)
        .unwrap();
    store
        .set_user_password(&alice, Some(&hash), &mut fixture.rng)
        .unwrap();
    store.set_user_password(&alice, None, &mut fixture.rng).unwrap();
    store.set_user_grammar(&alice, None).unwrap();
    store.set_user_expiry(&alice, Some(NOW)).unwrap();
    store.set_user_enabled(&alice, false).unwrap();
    store.set_user_enabled(&alice, true).unwrap();
    store.unlock_user(&alice).unwrap();
    fixture.add_hotp("alice", "ring", SEED, 0);
    store.set_token_enabled(&alice, "ring", false).unwrap();
    store.set_token_enabled(&alice, "ring", true).unwrap();
    let account = store.account(&alice).unwrap().unwrap();
    let proof = otp_validation::prove(&account.tokens[0], code(SEED, 3).as_bytes(), NOW).unwrap();
    let proven = store.commit_effects(&account, &proof.effects);
    assert_eq!(proven.unwrap(), Commit::Recorded);
    store.remove_token(&alice, "ring").unwrap();
    store.remove_user(&alice).unwrap();
    let secret = ClientSecret::new(b"the-shared-secret".to_vec());
    let vpn = NewClient::network("vpn", "192.0.2.0/24".parse().unwrap(), secret, NOW);
    store.add_client(&vpn, &mut fixture.rng).unwrap();
    store
        .change_client("vpn", |settings| settings.repeat_grace = 3)
        .unwrap();
    store.remove_client("vpn").unwrap();
    store.forget_acceptances().unwrap();
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    let by = format!(r#","uid":{uid},"for":"carol"}}"#);
    let expected = [
        r#"{"deed":"user-added","user":"alice""#,
        r#"{"deed":"user-password-set","user":"alice""#,
        r#"{"deed":"user-password-removed","user":"alice""#,
        r#"{"deed":"user-grammar-set","user":"alice","detail":"auto""#,
        r#"{"deed":"user-expiry-set","user":"alice","detail":"1800000000""#,
        r#"{"deed":"user-disabled","user":"alice""#,
        r#"{"deed":"user-enabled","user":"alice""#,
        r#"{"deed":"user-unlocked","user":"alice""#,
        r#"{"deed":"token-added","token":"alice/ring","detail":"hotp, active""#,
        r#"{"deed":"token-disabled","token":"alice/ring""#,
        r#"{"deed":"token-enabled","token":"alice/ring""#,
        r#"{"deed":"token-proven","token":"alice/ring""#,
        r#"{"deed":"token-removed","token":"alice/ring""#,
        r#"{"deed":"user-removed","user":"alice""#,
        r#"{"deed":"client-added","client":"vpn","detail":"192.0.2.0/24""#,
        r#"{"deed":"client-changed","client":"vpn","detail":"enabled=true message-authenticator=required grammar=user grace=3s delay=1000ms""#,
        r#"{"deed":"client-removed","client":"vpn""#,
        r#"{"deed":"verdicts-forgotten""#,
    ];
    let found = texts(&store, &by);
    let expected: Vec<_> = expected.iter().map(|begin| format!("{begin}{by}")).collect();
    assert_eq!(found, expected);
    for secret in ["the-hash", "the-shared-secret", &code(SEED, 3)] {
        assert_eq!(texts(&store, secret), Vec::<String>::new());
    }
    assert!(verify(&store, &[]).is_sound());
}

/// Several handles write at once, as several daemons and administrators do.
#[test]
fn writers_that_race_leave_chains_that_verify() {
    const WRITERS: u64 = 6;
    const CODES: u64 = 15;
    let mut fixture = Fixture::on(super::ENGINE);
    for writer in 0..WRITERS {
        let seed = format!("the seed of writer {writer}");
        fixture.add_hotp(&format!("user{writer}"), "ring", seed.as_bytes(), 0);
    }
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let store = fixture.reopen();
            scope.spawn(move || {
                let (user, seed) = (format!("user{writer}"), format!("the seed of writer {writer}"));
                for counter in 0..CODES {
                    let packet = counter.to_be_bytes();
                    let accepted = attempt(&store, &user, &nas(), &code(seed.as_bytes(), counter), &packet);
                    assert!(accepted.0);
                    store.record(record_of(&Decision::reject(Reason::UnknownUser)));
                }
                store.write_records().unwrap();
            });
        }
    });
    let verified = verify(&fixture.store, &[]);
    assert!(verified.is_sound(), "{verified:?}");
    let total = usize::try_from(WRITERS * CODES).unwrap();
    assert_eq!(texts(&fixture.store, r#""reason":"accepted""#).len(), total);
    assert_eq!(texts(&fixture.store, r#""reason":"unknown-user""#).len(), total);
}

/// What the backup's store recorded stays with it: the trail of the new one tells where it comes from.
#[test]
fn a_restored_store_begins_a_trail_of_its_own() {
    let mut fixture = fixture_with_history();
    let mut backup = Vec::new();
    fixture.store.backup(NOW, &mut backup, |_| ()).unwrap();
    let made = texts(
        &fixture.store,
        r#""deed":"backup-made","detail":"1 users, 1 tokens""#,
    );
    assert_eq!(made.len(), 1);
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700)
        .create(&state)
        .unwrap();
    let paths = Paths::new(state);
    std::fs::copy(&fixture.paths.key_file, &paths.key_file).unwrap();
    let url = fixture.url.as_ref().map(|_| Cluster::shared().database());
    let restored = location(&paths, url);
    let mut input = std::io::Cursor::new(backup);
    Store::restore(
        &restored,
        &mut input,
        NOW,
        RestoreOptions::default(),
        &mut fixture.rng,
        |_| (),
    )
    .unwrap();
    let store = Store::open(&restored).unwrap();
    let found = entries(&store);
    assert_eq!(found.len(), 1, "{found:?}");
    let begins = r#"{"deed":"store-restored","detail":"from a backup of "#;
    assert!(found[0].record.starts_with(begins), "{found:?}");
    assert!(!attempt(&store, "alice", &nas(), &code(SEED, 5), b"used since, perhaps").0);
    assert!(verify(&store, &[]).is_sound());
    // It is another trail, whatever was noted of the old one.
    let noted = fixture.store.audit_heads().unwrap();
    assert_eq!(verify(&store, &noted).broken.len(), noted.len());
}
