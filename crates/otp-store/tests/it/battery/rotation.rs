//! The sealing key is rotated while others work, and cut off anywhere.

use std::{
    env, fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Stdio},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use otp_store::{
    ClientSecret, KeyStatus, MissingUsers, NewClient, NewUser, Paths, Source, Store, StoreError,
};
use otp_validation::{PasswordHash, Reason, UnixTime};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::ENGINE;
use crate::{
    support::{Fixture, NOW, attempt, code, hotp_token, location, name, nas},
    together::Together,
};

const USERS: u64 = 210;

fn seed(user: u64) -> Vec<u8> {
    format!("seed {user:016}").into_bytes()
}

/// A store with everything that is sealed, more than fits into a batch.
fn full() -> Fixture {
    let mut fixture = Fixture::on(ENGINE);
    let tokens: Vec<_> = (0..USERS)
        .map(|user| hotp_token(&format!("user{user}"), "ring", &seed(user), 0))
        .collect();
    let store = &fixture.store;
    store
        .add_tokens(&tokens, MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    let carol = NewUser {
        password: Some(PasswordHash::new("$argon2id$of carol".to_owned())),
        ..NewUser::new(name("carol"), NOW)
    };
    store.add_user(&carol, &mut fixture.rng).unwrap();
    let secret = ClientSecret::new(b"testing123".to_vec());
    let vpn = NewClient::network("vpn", "192.0.2.0/24".parse().unwrap(), secret, NOW);
    store.add_client(&vpn, &mut fixture.rng).unwrap();
    // Two sealed secrets in one row.
    let (wifi, old) = ("wifi", ClientSecret::new(b"the old one".to_vec()));
    let wifi_network = NewClient::network(wifi, "198.51.100.0/24".parse().unwrap(), old, NOW);
    store.add_client(&wifi_network, &mut fixture.rng).unwrap();
    let new = ClientSecret::new(b"the new one".to_vec());
    store
        .rotate_client_secret(wifi, &new, NOW, UnixTime(NOW.0 + 100), &mut fixture.rng)
        .unwrap();
    fixture
}

/// Everything that is sealed opens.
fn opens(store: &Store) {
    for user in 0..USERS {
        let account = store.account(&name(&format!("user{user}"))).unwrap().unwrap();
        assert_eq!(account.tokens[0].key.as_bytes(), seed(user));
    }
    let carol = store.account(&name("carol")).unwrap().unwrap();
    assert_eq!(carol.user.password.unwrap().as_str(), "$argon2id$of carol");
    assert_eq!(
        store.client_secret("vpn").unwrap().unwrap().expose(),
        b"testing123"
    );
    let wifi = Source::Address("198.51.100.1".parse().unwrap());
    let wifi = store.client_for(&wifi).unwrap().unwrap();
    assert_eq!(wifi.secret.as_ref().unwrap().expose(), b"the new one");
    let old = wifi.old_secret.as_ref().unwrap().secret.as_ref().unwrap();
    assert_eq!(old.expose(), b"the old one");
}

fn status(store: &Store) -> KeyStatus {
    store.key_status().unwrap()
}

/// Another machine: a state directory of its own with a copy of the key file. On SQLite the key file alone is another.
fn other_machine(fixture: &Fixture) -> Paths {
    let dir = fixture.dir.path().join("other");
    fs::DirBuilder::new().mode(0o700).create(&dir).unwrap();
    let key_file = dir.join("seal.key");
    fs::copy(&fixture.paths.key_file, &key_file).unwrap();
    match &fixture.url {
        Some(_) => Paths::new(dir),
        None => fixture.paths.clone().with_key_file(key_file),
    }
}

#[test]
fn nobody_who_logs_in_meanwhile_notices() {
    let mut fixture = full();
    let daemon = fixture.reopen();
    let (together, accepted) = (Together::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let _member = together.member();
        for thread in 0..4 {
            let (daemon, together, accepted) = (daemon.clone(), &together, &accepted);
            scope.spawn(move || {
                let _member = together.member();
                let mut counter = 0;
                while !together.is_over() {
                    for user in (thread..USERS).step_by(64) {
                        let packet = format!("{counter} of {user}");
                        let user_name = format!("user{user}");
                        let code = code(&seed(user), counter);
                        let verdict = attempt(&daemon, &user_name, &nas(), &code, packet.as_bytes());
                        assert_eq!(verdict, (true, Reason::Accepted), "{packet}");
                        accepted.fetch_add(1, Ordering::Relaxed);
                    }
                    let vpn = Source::Address("192.0.2.1".parse().unwrap());
                    let client = daemon.client_for(&vpn).unwrap().unwrap();
                    assert_eq!(client.secret.as_ref().unwrap().expose(), b"testing123");
                    counter += 1;
                }
            });
        }
        let mut rotations = 0;
        while (rotations < 3 || accepted.load(Ordering::Relaxed) < 150) && !together.is_over() {
            rotations += 1;
            let old = status(&fixture.store).current;
            let new = fixture.store.prepare_key(&mut fixture.rng).unwrap();
            let mut told = Vec::new();
            let rotation = fixture
                .store
                .rotate_key(&mut fixture.rng, |progress| told.push(progress.resealed))
                .unwrap();
            assert_eq!((rotation.current, rotation.forgotten), (new, Some(old)));
            assert_eq!(rotation.resealed, USERS + 4);
            assert!(told.len() >= 5 && told.is_sorted(), "{told:?}");
        }
        together.end();
    });
    opens(&daemon);
    opens(&fixture.reopen());
}

#[test]
fn the_old_key_alone_opens_nothing_any_more() {
    let mut fixture = full();
    let old = fixture.dir.path().join("old.key");
    fs::copy(&fixture.paths.key_file, &old).unwrap();
    let before = status(&fixture.store);
    assert_eq!((before.prepared(), before.is_unfinished()), (None, false));
    let refused = fixture.store.rotate_key(&mut fixture.rng, |_| {});
    assert!(matches!(refused, Err(StoreError::NoPreparedKey)), "{refused:?}");

    let new = fixture.store.prepare_key(&mut fixture.rng).unwrap();
    assert_eq!(fixture.store.prepare_key(&mut fixture.rng).unwrap(), new, "once");
    assert_eq!(status(&fixture.store).prepared(), Some(new));
    fixture.store.rotate_key(&mut fixture.rng, |_| {}).unwrap();

    let after = status(&fixture.store);
    assert_eq!(after.in_file, [new]);
    let trail = fixture
        .store
        .audit_heads()
        .unwrap()
        .into_iter()
        .flat_map(|head| fixture.store.audit_entries(head.chain, 1..=head.number).unwrap());
    let deed = format!(
        r#""deed":"sealing-key-rotated","detail":"{} to {new}""#,
        before.current
    );
    assert_eq!(trail.filter(|entry| entry.record.contains(&deed)).count(), 1);
    assert_eq!((after.current, after.other_records), (new, 0));
    let mode = fs::metadata(&fixture.paths.key_file)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let with_old = location(&fixture.paths.clone().with_key_file(old), fixture.url.clone());
    let refused = Store::open(with_old);
    let Err(StoreError::WrongKey { found, expected, .. }) = refused else {
        panic!("the old key opens it")
    };
    assert_eq!((found, expected), (before.in_file, new));
    opens(&fixture.reopen());
}

/// Whoever opened the store before seals with the new key, too.
#[test]
fn others_seal_with_the_new_key() {
    let mut fixture = full();
    let other = fixture.reopen();
    fixture.store.prepare_key(&mut fixture.rng).unwrap();
    fixture.store.rotate_key(&mut fixture.rng, |_| {}).unwrap();
    let token = hotp_token("dave", "ring", &seed(9_999), 0);
    other
        .add_tokens(&[token], MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    let password = PasswordHash::new("$argon2id$of dave".to_owned());
    other
        .set_user_password(&name("dave"), Some(&password), &mut fixture.rng)
        .unwrap();
    assert_eq!(status(&fixture.store).other_records, 0);
    let dave = fixture.store.account(&name("dave")).unwrap().unwrap();
    assert_eq!(dave.tokens[0].key.as_bytes(), seed(9_999));
}

#[test]
fn a_machine_without_the_new_key_gets_it_without_a_restart() {
    let mut fixture = full();
    let machine = other_machine(&fixture);
    let daemon = Store::open(location(&machine, fixture.url.clone())).unwrap();
    fixture.store.prepare_key(&mut fixture.rng).unwrap();
    let both = fs::read(&fixture.paths.key_file).unwrap();
    fixture.store.rotate_key(&mut fixture.rng, |_| {}).unwrap();

    let refused = daemon.account(&name("user1"));
    assert!(matches!(refused, Err(StoreError::WrongKey { .. })), "{refused:?}");
    fs::write(&machine.key_file, both).unwrap();
    opens(&daemon);

    // There the rotation is at its end: nothing is sealed anew, and never back to the old key.
    let unfinished = status(&daemon);
    assert!(unfinished.is_unfinished() && unfinished.prepared().is_none());
    let refused = daemon.prepare_key(&mut fixture.rng);
    assert!(
        matches!(refused, Err(StoreError::RotationUnfinished)),
        "{refused:?}"
    );
    let rotation = daemon.rotate_key(&mut fixture.rng, |_| {}).unwrap();
    assert_eq!(rotation.resealed, 0);
    assert_eq!(Some(rotation.current), status(&daemon).in_file.first().copied());
    opens(&daemon);
    opens(&fixture.store);
}

#[test]
fn a_rotation_that_is_cut_off_goes_on() {
    let mut steps = 0;
    for cut in 0.. {
        let mut fixture = full();
        let new = fixture.store.prepare_key(&mut fixture.rng).unwrap();
        opens(&fixture.reopen());
        let mut step = 0;
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            fixture.store.rotate_key(&mut fixture.rng, |_| {
                assert!(step != cut, "cut off");
                step += 1;
            })
        }));
        opens(&fixture.reopen());
        if attempt.is_ok() {
            break;
        }
        steps += 1;
        let after = fixture.reopen();
        assert!(status(&after).is_unfinished(), "step {cut}");
        assert_eq!(status(&after).in_file.len(), 2, "step {cut}");
        after.rotate_key(&mut fixture.rng, |_| {}).unwrap();
        assert_eq!(status(&after).in_file, [new], "step {cut}");
        opens(&fixture.reopen());
    }
    assert!(steps >= 5, "{steps}");
}

/// A row that somebody has changed stops the rotation before anything is lost.
#[test]
fn a_record_that_does_not_open_is_named_and_keeps_its_key() {
    let mut fixture = full();
    let change = "UPDATE users SET uid = (SELECT uid FROM clients WHERE name = 'vpn') WHERE name = 'carol'";
    match &fixture.url {
        None => drop(fixture.sql().execute(change, []).unwrap()),
        Some(url) => {
            let database = url.rsplit('=').next().unwrap();
            crate::cluster::Cluster::shared().psql(database, change).unwrap();
        }
    }
    fixture.store.prepare_key(&mut fixture.rng).unwrap();
    let refused = fixture.store.rotate_key(&mut fixture.rng, |_| {});
    assert!(
        matches!(&refused, Err(StoreError::Unsealable { name, .. }) if name == "carol"),
        "{refused:?}"
    );
    assert_eq!(status(&fixture.store).in_file.len(), 2);
    fixture.store.remove_user(&name("carol")).unwrap();
    fixture.store.rotate_key(&mut fixture.rng, |_| {}).unwrap();
    assert_eq!(status(&fixture.store).in_file.len(), 1);
}

const STATE: &str = "OTP_STORE_TEST_ROTATES";
const DATABASE: &str = "OTP_STORE_TEST_ROTATES_IN";

/// The part of the test below that runs in a process of its own: rotates until it is killed.
#[test]
fn child() {
    let Ok(state) = env::var(STATE) else {
        return; // started by the test runner, not by a test
    };
    let url = env::var(DATABASE).unwrap();
    let paths = Paths::new(state);
    let store = Store::open(location(&paths, Some(url).filter(|url| !url.is_empty()))).unwrap();
    let mut rng = StdRng::seed_from_u64(std::process::id().into());
    println!("rotating");
    std::io::stdout().flush().unwrap();
    loop {
        match store.prepare_key(&mut rng) {
            Ok(_) | Err(StoreError::RotationUnfinished) => {}
            Err(error) => panic!("{error}"),
        }
        store.rotate_key(&mut rng, |_| {}).unwrap();
    }
}

#[test]
fn a_rotation_that_is_killed_loses_nothing() {
    let mut fixture = full();
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut unfinished = 0;
    for _ in 0..8 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args([
                &format!("{module}::child"),
                "--exact",
                "--nocapture",
                "--test-threads=1",
            ])
            .env(STATE, &fixture.paths.state_dir)
            .env(DATABASE, fixture.url.as_deref().unwrap_or_default())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("rotating")));
        thread::sleep(Duration::from_millis(fixture.rng.random_range(0..150)));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = fixture.reopen();
        opens(&after);
        unfinished += u64::from(status(&after).is_unfinished());
    }
    assert!(unfinished > 0, "no rotation was cut off");
    if status(&fixture.store).is_unfinished() {
        fixture.store.rotate_key(&mut fixture.rng, |_| {}).unwrap();
    }
    opens(&fixture.reopen());
}
