use std::{fs, path::Path};

use otp_store::{Commit, Paths, Store, StoreError};
use otp_validation::{ACCEPTANCES_KEPT, Reason};

use crate::support::{Fixture, SEED, attempt, code, commit, decision, name, nas, next_counter};

#[test]
fn a_database_held_by_others_accepts_nobody_and_recovers() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "ring", SEED, 0);
    let foreign = fixture.sql();
    foreign.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (at, accept) = decision(&fixture.store, "alice", &nas(), &code(SEED, 0), b"packet");
    let refused = commit(&fixture.store, &at, accept.clone());
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    let refused = fixture.store.check();
    assert!(matches!(refused, Err(StoreError::Busy { .. })), "{refused:?}");
    assert_eq!(
        next_counter(&fixture.store, "alice"),
        0,
        "readers are not disturbed"
    );
    foreign.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(
        commit(&fixture.store, &at, accept),
        Ok(Commit::Accepted(_))
    ));
    fixture.store.check().unwrap();
    assert_eq!(fixture.store.stats().unwrap().failed_groups, 1);
}

#[test]
fn a_database_that_is_gone_accepts_nobody_and_comes_back() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "ring", SEED, 0);
    let daemon = fixture.reopen();
    let away = fixture.dir.path().join("away");
    let (at, accept) = decision(&daemon, "alice", &nas(), &code(SEED, 0), b"packet");
    fs::rename(&fixture.paths.state_dir, &away).unwrap();
    // The writer has not opened the database yet, and must not make one.
    let refused = commit(&daemon, &at, accept.clone());
    assert!(
        matches!(refused, Err(StoreError::NotInitialised { .. })),
        "{refused:?}"
    );
    assert!(!fixture.paths.state_dir.exists());
    fs::rename(&away, &fixture.paths.state_dir).unwrap();
    assert!(matches!(commit(&daemon, &at, accept), Ok(Commit::Accepted(_))));
}

#[test]
fn the_engine_refuses_to_lower_replay_state() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "ring", SEED, 9);
    for statement in ["UPDATE replay SET next = 3", "DELETE FROM replay"] {
        let refused = fixture.sql().execute(statement, []).unwrap_err().to_string();
        assert!(refused.contains("replay state"), "{refused}");
    }
    assert_eq!(next_counter(&fixture.store, "alice"), 9);
}

/// The files as they are on disk at this moment, as after a power cut: without the index of the log, which is memory.
fn crash_image(fixture: &Fixture, wal_octets: Option<usize>) -> (tempfile::TempDir, Paths) {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let copy = |file: &str, length: Option<usize>| {
        let from: &Path = &fixture.paths.state_dir.join(file);
        let octets = fs::read(from).unwrap();
        let length = length.unwrap_or(octets.len()).min(octets.len());
        fs::write(state.join(file), &octets[..length]).unwrap();
        fs::set_permissions(state.join(file), fs::Permissions::from_mode(0o600)).unwrap();
    };
    copy("otp.db", None);
    copy("otp.db-wal", wal_octets);
    copy("seal.key", None);
    let paths = Paths::new(state);
    (dir, paths)
}

#[test]
fn what_was_accepted_survives_a_crash() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "ring", SEED, 0);
    for counter in 0..20 {
        let packet = counter.to_string();
        assert_eq!(
            attempt(
                &fixture.store,
                "alice",
                &nas(),
                &code(SEED, counter),
                packet.as_bytes()
            )
            .1,
            Reason::Accepted
        );
        let (_dir, paths) = crash_image(&fixture, None);
        let after = Store::open(&paths).unwrap();
        assert_eq!(next_counter(&after, "alice"), counter + 1);
        let repeated = attempt(&after, "alice", &nas(), &code(SEED, counter), packet.as_bytes());
        assert_eq!(
            repeated,
            (true, Reason::SamePacket),
            "the verdict was kept with the code"
        );
        let again = attempt(&after, "alice", &nas(), &code(SEED, counter), b"another packet");
        assert_eq!(again, (false, Reason::ReplayedCode));
    }
}

#[test]
fn a_log_torn_anywhere_holds_whole_decisions() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "ring", SEED, 0);
    // Everything so far into the database, so that a short log is one of acceptances alone.
    fixture
        .sql()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    for counter in 0..12 {
        let packet = counter.to_string();
        attempt(
            &fixture.store,
            "alice",
            &nas(),
            &code(SEED, counter),
            packet.as_bytes(),
        );
    }
    let whole = fs::metadata(fixture.paths.state_dir.join("otp.db-wal"))
        .unwrap()
        .len() as usize;
    let mut last = 0;
    for length in (0..=whole).step_by(4093).chain([whole]) {
        let (_dir, paths) = crash_image(&fixture, Some(length));
        let store = Store::open(&paths).unwrap();
        let account = store.account(&name("alice")).unwrap().unwrap();
        let next = next_counter(&store, "alice");
        assert_eq!(
            account.acceptances.len() as u64,
            next.min(ACCEPTANCES_KEPT as u64),
            "codes and verdicts at {length} octets"
        );
        assert!(next >= last, "{length} octets");
        let trail = store.verify_audit(&[], |_, _| ()).unwrap();
        assert!(trail.is_sound(), "{length} octets: {trail:?}");
        assert_eq!(trail.records, next + 2, "codes and records at {length} octets");
        last = next;
    }
    assert_eq!(last, 12);
}
