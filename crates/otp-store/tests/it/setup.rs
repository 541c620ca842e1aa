use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use otp_store::{ClientSource, Paths, Store, StoreError};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::support::{Fixture, NOW, SEED, name};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn entries(path: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_new_store_holds_the_kdc_and_lets_nobody_look() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "key ring", SEED, 0);
    let dir = &fixture.paths.state_dir;
    assert_eq!(mode(dir), 0o700);
    assert_eq!(
        entries(dir),
        [
            "main.lock",
            "next.lock",
            "otp.db",
            "otp.db-shm",
            "otp.db-wal",
            "seal.key"
        ]
    );
    for file in entries(dir) {
        assert_eq!(mode(&dir.join(&file)), 0o600, "{file}");
    }
    let clients = fixture.store.clients().unwrap();
    assert_eq!(clients.len(), 1);
    let kdc = &clients[0];
    assert_eq!(
        (kdc.name.as_str(), kdc.enabled, kdc.source),
        ("kdc", true, ClientSource::Unix)
    );
    assert_eq!((kdc.repeat_grace, kdc.reject_delay.as_millis()), (5, 250));
}

#[test]
fn a_second_init_is_refused_and_touches_nothing() {
    let mut fixture = Fixture::new();
    fixture.add_hotp("alice", "key ring", SEED, 3);
    let files = ["otp.db", "otp.db-wal", "seal.key"];
    let read = || files.map(|file| fs::read(fixture.paths.state_dir.join(file)).unwrap());
    let before = read();
    let refused = Store::init(&fixture.paths, NOW, &mut StdRng::seed_from_u64(2));
    let Err(StoreError::AlreadyInitialised { path }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(path, fixture.paths.state_dir.join("otp.db"));
    assert_eq!(read(), before);
    assert!(
        fixture
            .reopen()
            .token(&name("alice"), "key ring")
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_key_without_its_database_is_not_overwritten() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.paths.state_dir.join("otp.db")).unwrap();
    let key = fs::read(&fixture.paths.key_file).unwrap();
    let refused = Store::init(&fixture.paths, NOW, &mut StdRng::seed_from_u64(2));
    assert!(
        matches!(&refused, Err(StoreError::AlreadyInitialised { path }) if *path == fixture.paths.key_file)
    );
    assert_eq!(fs::read(&fixture.paths.key_file).unwrap(), key);
}

#[test]
fn a_failed_init_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(1);
    // The key cannot be written: there is no such directory.
    let state = dir.path().join("state");
    let paths = Paths::new(&state).with_key_file(dir.path().join("nowhere/seal.key"));
    assert!(matches!(
        Store::init(&paths, NOW, &mut rng),
        Err(StoreError::Io { .. })
    ));
    assert!(!state.exists());
    // The database cannot be made: something stands where its draft would be.
    let paths = Paths::new(&state);
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    fs::create_dir(state.join("otp.db.new")).unwrap();
    assert!(Store::init(&paths, NOW, &mut rng).is_err());
    assert_eq!(entries(&state), ["otp.db.new"]);
    fs::remove_dir(state.join("otp.db.new")).unwrap();
    // What was killed half way does not stand in the way.
    fs::write(state.join("otp.db.new"), "half a database").unwrap();
    Store::init(&paths, NOW, &mut rng).unwrap();
    assert_eq!(entries(&state), ["main.lock", "next.lock", "otp.db", "seal.key"]);
    Store::open(&paths).unwrap().check().unwrap();
}

#[test]
fn several_inits_at_once_make_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path().join("state"));
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let init = |seed| Store::init(&paths, NOW, &mut StdRng::seed_from_u64(seed));
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || init(seed))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(
        outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
        1,
        "{outcomes:?}"
    );
    Store::open(&paths).unwrap().check().unwrap();
}

#[test]
fn opening_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path().join("state"));
    let refused = Store::open(&paths);
    assert!(matches!(refused, Err(StoreError::NotInitialised { .. })));
    assert!(refused.unwrap_err().to_string().contains("otpctl init"));
    fs::create_dir(&paths.state_dir).unwrap();
    fs::set_permissions(&paths.state_dir, fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(
        Store::open(&paths),
        Err(StoreError::NotInitialised { .. })
    ));
    assert_eq!(entries(&paths.state_dir), Vec::<String>::new());
}

#[test]
fn permissions_that_let_others_in_are_refused_with_the_remedy() {
    let fixture = Fixture::new();
    let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    chmod(&fixture.paths.key_file, 0o640);
    let refused = Store::open(&fixture.paths).unwrap_err();
    assert!(
        matches!(refused, StoreError::KeyFilePermissions { mode: 0o640, .. }),
        "{refused}"
    );
    assert!(
        refused
            .to_string()
            .contains(&format!("chmod 600 {}", fixture.paths.key_file.display())),
        "{refused}"
    );
    chmod(&fixture.paths.key_file, 0o400);
    Store::open(&fixture.paths).unwrap();
    chmod(&fixture.paths.state_dir, 0o750);
    let refused = Store::open(&fixture.paths).unwrap_err();
    assert!(
        matches!(refused, StoreError::DirectoryPermissions { mode: 0o750, .. }),
        "{refused}"
    );
    chmod(&fixture.paths.state_dir, 0o700);
    Store::open(&fixture.paths).unwrap();
}

#[test]
fn another_stores_key_is_refused() {
    let (fixture, other) = (Fixture::new(), tempfile::tempdir().unwrap());
    let others = Paths::new(other.path().join("state"));
    Store::init(&others, NOW, &mut StdRng::seed_from_u64(99)).unwrap();
    let mixed = fixture.paths.clone().with_key_file(&others.key_file);
    let Err(StoreError::WrongKey { found, expected, .. }) = Store::open(&mixed) else {
        panic!("the wrong key")
    };
    assert!(!found.is_empty() && !found.contains(&expected));
    fs::remove_file(&fixture.paths.key_file).unwrap();
    let missing = Store::open(&fixture.paths);
    assert!(matches!(&missing, Err(StoreError::KeyFileMissing { path }) if *path == fixture.paths.key_file));
}

#[test]
fn databases_that_are_not_ours_or_not_durable_are_refused() {
    let fixture = Fixture::new();
    let paths = fixture.paths.clone();
    let read = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let newest = fixture.sql().pragma_query_value(None, "user_version", read);
    fixture.sql().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(
        Store::open(&paths),
        Err(StoreError::NewerSchema { found: 99, .. })
    ));
    let running = fixture.store.check();
    assert!(
        matches!(running, Err(StoreError::NewerSchema { found: 99, .. })),
        "{running:?}"
    );
    fixture
        .sql()
        .pragma_update(None, "user_version", newest.unwrap())
        .unwrap();
    fixture.store.check().unwrap();

    fixture.sql().pragma_update(None, "application_id", 1).unwrap();
    assert!(matches!(
        Store::open(&paths),
        Err(StoreError::ForeignDatabase { .. })
    ));
    fixture
        .sql()
        .pragma_update(None, "application_id", 0x4f54_5073)
        .unwrap();
    let Fixture { dir, store, .. } = fixture;
    drop(store);

    let sql = rusqlite::Connection::open(paths.state_dir.join("otp.db")).unwrap();
    sql.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
        .unwrap();
    drop(sql);
    assert!(matches!(
        Store::open(&paths),
        Err(StoreError::NotDurable {
            setting: "journal_mode",
            ..
        })
    ));

    fs::write(paths.state_dir.join("otp.db"), [0x55; 8192]).unwrap();
    assert!(matches!(Store::open(&paths), Err(StoreError::Corrupt { .. })));
    fs::write(paths.state_dir.join("otp.db"), []).unwrap();
    assert!(matches!(
        Store::open(&paths),
        Err(StoreError::ForeignDatabase { .. })
    ));
    drop(dir);
}
