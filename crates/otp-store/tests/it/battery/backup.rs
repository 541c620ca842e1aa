//! Backups come back on every engine, and nothing that was used since can be used again.

use std::{
    fs,
    io::{self, Cursor, Write},
    os::unix::fs::DirBuilderExt as _,
    thread,
};

use otp_core::{TokenKey, Totp, TotpState, Window};
use otp_store::{
    BackupError, ClientSecret, ClientSource, Kind, Location, MissingUsers, NewClient, NewRule, NewToken,
    NewUser, Paths, RestoreOptions, Restored, Store, StoreError,
};
use otp_validation::{
    Conditions, Grammar, PasswordHash, Reason, ReplyAttributes, TokenMode, TokenStatus, UnixTime, Upstream,
};
use proptest::prelude::*;
use rand::{SeedableRng as _, rngs::StdRng};
use tempfile::TempDir;

use super::ENGINE;
use crate::{
    cluster::Cluster,
    support::{
        Engine, Fixture, NOW, SEED, attempt, code, commit, decision_at, hotp_token, location, name, nas,
        next_counter, octets_of, reply_attributes,
    },
    together::Together,
};

const TOTP_SEED: &[u8] = b"a seed that counts time";

/// A place for another store: a state directory with a copy of the sealing key, and perhaps an empty database.
struct Target {
    _dir: TempDir,
    location: Location,
}

impl Target {
    fn of(fixture: &Fixture, engine: Engine) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path().join("state"));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&paths.state_dir)
            .unwrap();
        fs::copy(&fixture.paths.key_file, &paths.key_file).unwrap();
        let url = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Cluster::shared().database()),
        };
        Self {
            location: location(&paths, url),
            _dir: dir,
        }
    }

    fn restore(&self, backup: &[u8], now: UnixTime) -> Result<Restored, StoreError> {
        let mut rng = StdRng::seed_from_u64(7);
        let options = RestoreOptions::default();
        Store::restore(
            &self.location,
            &mut Cursor::new(backup),
            now,
            options,
            &mut rng,
            |_| {},
        )
    }

    fn open(&self) -> Store {
        Store::open(&self.location).unwrap()
    }

    /// Nothing is there but the key.
    fn is_untouched(&self) -> bool {
        let files = fs::read_dir(&self.location.paths.state_dir).unwrap().count();
        let opened = Store::open(&self.location);
        files <= 3
            && !self.location.paths.state_dir.join("otp.db").exists()
            && matches!(
                opened,
                Err(StoreError::NotInitialised { .. } | StoreError::NoStoreInDatabase { .. })
            )
    }
}

fn backup(store: &Store) -> Vec<u8> {
    let mut out = Vec::new();
    store.backup(NOW, &mut out, |_| {}).unwrap();
    out
}

fn totp_token(user: &str, label: &str, seed: &[u8], drift: i64) -> NewToken {
    NewToken {
        user: name(user),
        label: label.into(),
        key: TokenKey::new(seed).unwrap(),
        mode: TokenMode::Totp {
            totp: Totp::default(),
            state: TotpState { next: 0, drift },
            window: Window::default(),
        },
        status: TokenStatus::Active,
        created_at: NOW,
    }
}

fn totp_code(seed: &[u8], at: u64) -> String {
    let key = TokenKey::new(seed).unwrap();
    Totp::default().at(&key, at).unwrap().as_str().to_owned()
}

fn attempt_at(now: UnixTime, store: &Store, user: &str, code: &str, packet: &[u8]) -> (bool, Reason) {
    let (at, decision) = decision_at(now, store, user, &nas(), code, packet);
    let (reason, is_accept) = (
        decision.reason,
        decision.verdict == otp_validation::Verdict::Accept,
    );
    let committed = commit(store, &at, decision).unwrap();
    assert_eq!(matches!(committed, otp_store::Commit::Accepted(_)), is_accept);
    (is_accept, reason)
}

/// Every kind of row, and most of what they may hold.
fn full() -> Fixture {
    let mut fixture = Fixture::on(ENGINE);
    let store = &fixture.store;
    let carol = NewUser {
        password: Some(PasswordHash::new("$argon2id$of carol".to_owned())),
        grammar: Some(Grammar::PasswordOtp),
        expires_at: Some(UnixTime(NOW.0 + 1_000_000)),
        ..NewUser::new(name("carol"), NOW)
    };
    store.add_user(&carol, &mut fixture.rng).unwrap();
    store.set_user_enabled(&name("carol"), false).unwrap();
    let pending = NewToken {
        status: TokenStatus::Pending,
        ..hotp_token("bob", "new", b"bob's other seed, 20", 0)
    };
    let tokens = [
        hotp_token("alice", "ring", SEED, 3),
        totp_token("alice", "phone", TOTP_SEED, -2),
        hotp_token("bob", "ring", b"bob's seed, 20 octet", 0),
        pending,
    ];
    store
        .add_tokens(&tokens, MissingUsers::Create, &mut fixture.rng)
        .unwrap();
    store.set_token_enabled(&name("bob"), "ring", false).unwrap();
    let reply = reply_attributes(&[("Session-Timeout", 27, &[0, 0, 14, 16])]);
    store
        .change_user_reply(&name("carol"), |_| Ok(reply.clone()))
        .unwrap();
    let upstream = Upstream {
        name: "corp".parse().unwrap(),
        user_name: Some(name("carol.smith")),
    };
    store.set_user_upstream(&name("carol"), Some(&upstream)).unwrap();
    for (client, network) in [("vpn", "192.0.2.0/24"), ("wifi", "2001:db8::/32")] {
        let secret = ClientSecret::new(client.repeat(9).into_bytes());
        let client = NewClient::network(client, network.parse().unwrap(), secret, NOW);
        store.add_client(&client, &mut fixture.rng).unwrap();
    }
    store
        .change_client("wifi", |settings| {
            settings.enabled = false;
            settings.repeat_grace = 9;
        })
        .unwrap();
    store
        .set_client_nas_identifier("wifi", Some("access-point"))
        .unwrap();
    let new = ClientSecret::new(b"vpn's second secret".to_vec());
    let until = UnixTime(NOW.0 + 100);
    store
        .rotate_client_secret("vpn", &new, NOW, until, &mut fixture.rng)
        .unwrap();
    let reply = reply_attributes(&[("Class", 25, b"vpn"), ("Idle-Timeout", 28, &[0, 0, 1, 44])]);
    store.change_client_reply("wifi", |_| Ok(reply.clone())).unwrap();
    let rule = NewRule {
        name: "guests".to_owned(),
        order: None,
        enabled: true,
        conditions: Conditions {
            clients: vec!["wi*".parse().unwrap()],
            ..Conditions::default()
        },
        reply: reply_attributes(&[("Filter-Id", 11, b"guest")]),
        created_at: NOW,
    };
    store.add_rule(&rule).unwrap();
    let bare = NewRule {
        name: "bare".to_owned(),
        order: Some(5),
        enabled: false,
        conditions: Conditions::default(),
        reply: ReplyAttributes::none(),
        created_at: UnixTime(NOW.0 + 1),
    };
    store.add_rule(&bare).unwrap();
    fixture
}

/// Everything that people see of a store, but what a restoration moves.
fn contents(store: &Store) -> String {
    let mut text = String::new();
    for user in store.users().unwrap() {
        let account = store.account(&user.name).unwrap().unwrap();
        text.push_str(&format!(
            "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?}\n",
            user.name,
            user.enabled,
            user.expires_at,
            user.grammar,
            user.created_at,
            account.lockouts.locked_until,
            account.user.password.map(|hash| hash.as_str().to_owned()),
            octets_of(&user.reply),
            user.upstream,
        ));
        for token in &account.tokens {
            let mut mode = token.mode;
            match &mut mode {
                TokenMode::Hotp { state, .. } => state.next = 0,
                TokenMode::Totp { state, .. } => state.next = 0,
            }
            text.push_str(&format!(
                "  {} {} {:?} {:?} {:?}\n",
                token.label,
                token.enabled,
                token.status,
                mode,
                token.key.as_bytes()
            ));
        }
    }
    for client in store.clients().unwrap() {
        let secret = store.client_secret(&client.name).unwrap();
        let old = match client.source {
            ClientSource::Unix => None,
            ClientSource::Network(network) => {
                let at = store.clients_at(network.network()).unwrap();
                let opened = at.iter().find(|opened| opened.id == client.id).unwrap();
                opened.old_secret.clone()
            }
        };
        text.push_str(&format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?}\n",
            client.name,
            client.source,
            client.settings(),
            client.created_at,
            secret.map(|secret| secret.expose().to_vec()),
            (octets_of(&client.reply), &client.nas_identifier),
            old.map(|old| (old.secret.unwrap().expose().to_vec(), old.since, old.until)),
        ));
    }
    for rule in store.rules().unwrap() {
        let octets = octets_of(&rule.settings.reply);
        text.push_str(&format!("{rule:?} {octets:?}\n"));
    }
    text
}

#[test]
fn everything_comes_back_on_either_engine() {
    let fixture = full();
    let octets = backup(&fixture.store);
    for secret in [SEED, TOTP_SEED, b"argon2id", b"vpnvpnvpn", b"second secret"] {
        assert!(!octets.windows(secret.len()).any(|window| window == secret));
    }
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let target = Target::of(&fixture, engine);
        let restored = target.restore(&octets, NOW).unwrap();
        assert_eq!((restored.backup.users, restored.backup.tokens), (3, 4));
        assert_eq!((restored.backup.clients, restored.backup.rules), (3, 2));
        assert_eq!((restored.hotp_tokens, restored.totp_tokens), (3, 1));
        assert_eq!(contents(&target.open()), contents(&fixture.store));
        // It works on as any store does, and a backup of it is as good.
        let store = target.open();
        store.check().unwrap();
        assert_eq!(
            attempt(&store, "alice", &nas(), &code(SEED, 14), b"p"),
            (true, Reason::Accepted)
        );
        let again = Target::of(&fixture, ENGINE);
        again.restore(&backup(&store), NOW).unwrap();
        assert_eq!(contents(&again.open()), contents(&fixture.store));
    }
}

/// Made by the version before there were attributes of replies.
#[test]
fn a_backup_of_the_first_format_comes_back() {
    let octets = include_bytes!("../golden/backup-1");
    assert!(octets.starts_with(b"otp-backup-1\n"));
    let fixture = Fixture::on(ENGINE);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let target = Target::of(&fixture, engine);
        fs::write(
            &target.location.paths.key_file,
            include_bytes!("../golden/backup-1.key"),
        )
        .unwrap();
        target.restore(octets, NOW).unwrap();
        let store = target.open();
        let alice = store.account(&name("alice")).unwrap().unwrap();
        assert!(alice.user.reply.is_empty());
        assert_eq!(alice.tokens[0].label, "ring");
        let clients: Vec<_> = store.clients().unwrap();
        assert_eq!(clients.len(), 2);
        assert!(clients.iter().all(|client| client.reply.is_empty()));
        assert!(store.rules().unwrap().is_empty());
        // What a restoration takes as spent, and the code after it.
        assert_eq!(
            attempt(&store, "alice", &nas(), &code(b"12345678901234567890", 10), b"p"),
            (false, Reason::ReplayedCode)
        );
        assert_eq!(
            attempt(&store, "alice", &nas(), &code(b"12345678901234567890", 11), b"q"),
            (true, Reason::Accepted)
        );
    }
}

#[test]
fn what_was_used_since_is_refused_and_the_next_code_works() {
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let mut fixture = full();
        let ahead = totp_token("bob", "phone", b"a seed that is ahead", 2);
        fixture
            .store
            .add_tokens(&[ahead], MissingUsers::Refuse, &mut fixture.rng)
            .unwrap();
        let octets = backup(&fixture.store);
        // Afterwards: as many HOTP codes as may be known, and each TOTP step of ten minutes.
        let mut used = Vec::new();
        for counter in 3..14 {
            used.push((NOW, "alice", code(SEED, counter)));
        }
        for minute in 0..10 {
            let now = UnixTime(NOW.0 + minute * 60);
            // One device is two steps behind, the other as many ahead; the last codes come from the future of the window.
            for shown in [now.0 - 60, now.0 - 30] {
                used.push((now, "alice", totp_code(TOTP_SEED, shown)));
            }
            for shown in [now.0 + 60, now.0 + 90] {
                used.push((now, "bob", totp_code(b"a seed that is ahead", shown)));
            }
        }
        for (index, (now, user, code)) in used.iter().enumerate() {
            let verdict = attempt_at(*now, &fixture.store, user, code, &index.to_be_bytes());
            assert_eq!(verdict, (true, Reason::Accepted), "{index}");
        }
        let end = used.last().unwrap().0;
        let target = Target::of(&fixture, engine);
        let restored = target.restore(&octets, end).unwrap();
        let store = target.open();
        for (index, (_, user, code)) in used.iter().enumerate() {
            for packet in [index.to_be_bytes(), (index + 1_000).to_be_bytes()] {
                let (accepted, reason) = attempt_at(end, &store, user, code, &packet);
                assert!(!accepted, "{index}: {reason}");
            }
            store.unlock_user(&name(user)).unwrap();
        }
        assert_eq!(
            attempt_at(end, &store, "alice", &code(SEED, 14), b"hotp"),
            (true, Reason::Accepted)
        );
        let from = restored.totp_from.unwrap();
        assert!(from > end && from.0 - end.0 <= 120, "{from:?}");
        let shown = totp_code(TOTP_SEED, from.0 - 60);
        assert_eq!(
            attempt_at(from, &store, "alice", &shown, b"totp"),
            (true, Reason::Accepted)
        );
        // Codes of a seed that was removed before the backup come back with it no more than those of others.
        fixture.store.remove_token(&name("bob"), "ring").unwrap();
        let octets = backup(&fixture.store);
        let target = Target::of(&fixture, engine);
        target.restore(&octets, end).unwrap();
        let token = hotp_token("bob", "ring", b"bob's seed, 20 octet", 0);
        let store = target.open();
        store
            .add_tokens(&[token], MissingUsers::Refuse, &mut fixture.rng)
            .unwrap();
        let bob = store.account(&name("bob")).unwrap().unwrap();
        let again = bob.tokens.iter().find(|token| token.label == "ring").unwrap();
        assert!(
            matches!(again.mode, TokenMode::Hotp { state, .. } if state.next == 11),
            "{:?}",
            again.mode
        );
    }
}

#[test]
fn more_codes_than_a_look_ahead_are_a_matter_of_an_option() {
    let fixture = full();
    let octets = backup(&fixture.store);
    let target = Target::of(&fixture, ENGINE);
    let mut rng = StdRng::seed_from_u64(7);
    let options = RestoreOptions { hotp_advance: 100 };
    Store::restore(
        &target.location,
        &mut Cursor::new(&octets),
        NOW,
        options,
        &mut rng,
        |_| {},
    )
    .unwrap();
    assert_eq!(next_counter(&target.open(), "alice"), 103);
}

#[test]
fn failures_and_locks_come_back() {
    let fixture = full();
    let record = |store: &Store| {
        store.add_client(
            &NewClient::network(
                "nas",
                "198.51.100.0/24".parse().unwrap(),
                ClientSecret::new(b"x".to_vec()),
                NOW,
            ),
            &mut StdRng::seed_from_u64(3),
        )
    };
    let id = record(&fixture.store).unwrap();
    let nas = otp_validation::Client { id, ..nas() };
    for packet in 0..5_u8 {
        let (at, decision) = decision_at(NOW, &fixture.store, "alice", &nas, "000000", &[packet]);
        let _ = commit(&fixture.store, &at, decision).unwrap();
    }
    let locked = |store: &Store| {
        let nas = otp_validation::Client {
            id: store.client("nas").unwrap().unwrap().id,
            ..nas.clone()
        };
        let (_, decision) = decision_at(NOW, store, "alice", &nas, &code(SEED, 14), b"right");
        decision.reason
    };
    let before = locked(&fixture.store);
    assert!(matches!(before, Reason::Locked), "{before}");
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let target = Target::of(&fixture, engine);
        target.restore(&backup(&fixture.store), NOW).unwrap();
        assert_eq!(locked(&target.open()), before);
    }
}

#[test]
fn what_cannot_be_restored_is_refused_before_anything_is_written() {
    let mut fixture = full();
    let octets = backup(&fixture.store);
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let target = Target::of(&fixture, engine);
        let refused = |octets: &[u8]| match target.restore(octets, NOW).unwrap_err() {
            StoreError::Backup(error) => error,
            other => panic!("{other}"),
        };
        for length in (0..octets.len()).step_by(97) {
            let error = refused(&octets[..length]);
            assert!(
                matches!(error, BackupError::Torn(_) | BackupError::NotABackup),
                "{length}: {error}"
            );
        }
        for index in (0..octets.len()).step_by(101) {
            let mut changed = octets.clone();
            changed[index] ^= 0x10;
            refused(&changed);
        }
        let newer = [b"otp-backup-7\n", &octets[13..]].concat();
        assert!(matches!(
            refused(&newer),
            BackupError::NewerFormat { found: 7, .. }
        ));
        assert!(target.is_untouched());
        // Another key.
        let other = Target::of(&Fixture::new(), engine);
        let key = format!("otp-seal-key-1 {}\n", "5e".repeat(32));
        fs::write(&other.location.paths.key_file, key).unwrap();
        let error = other.restore(&octets, NOW).unwrap_err();
        assert!(
            matches!(error, StoreError::Backup(BackupError::WrongKey { .. })),
            "{error}"
        );
        assert!(other.is_untouched());
        // A store that is there.
        target.restore(&octets, NOW).unwrap();
        let before = contents(&target.open());
        let error = target.restore(&octets, NOW).unwrap_err();
        assert!(
            matches!(
                error,
                StoreError::AlreadyInitialised { .. } | StoreError::DatabaseInUse { .. }
            ),
            "{error}"
        );
        assert_eq!(contents(&target.open()), before);
    }
    // A secret that was damaged before the backup.
    let change = "UPDATE users SET uid = (SELECT uid FROM clients WHERE name = 'vpn') WHERE name = 'carol'";
    match &fixture.url {
        None => drop(fixture.sql().execute(change, []).unwrap()),
        Some(url) => drop(
            Cluster::shared()
                .psql(url.rsplit('=').next().unwrap(), change)
                .unwrap(),
        ),
    }
    let octets = backup(&fixture.store);
    let target = Target::of(&fixture, ENGINE);
    let error = target.restore(&octets, NOW).unwrap_err();
    assert!(
        matches!(&error, StoreError::Backup(BackupError::Unsealable { kind: Kind::Password, name }) if name == "carol"),
        "{error}"
    );
    assert!(target.is_untouched());
    fixture.rng = StdRng::seed_from_u64(0);
}

#[test]
fn a_backup_can_be_checked_without_a_store() {
    let fixture = full();
    let octets = backup(&fixture.store);
    let target = Target::of(&fixture, ENGINE);
    let summary = Store::check_backup(&target.location, &mut Cursor::new(&octets), |_| {}).unwrap();
    assert_eq!((summary.users, summary.tokens, summary.clients), (3, 4, 3));
    assert!(target.is_untouched());
}

#[test]
fn an_output_that_fails_is_an_error() {
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0 = self
                .0
                .checked_sub(octets.len())
                .ok_or(io::ErrorKind::StorageFull)?;
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let fixture = full();
    let whole = backup(&fixture.store).len();
    for room in (0..whole).step_by(211) {
        let refused = fixture.store.backup(NOW, Full(room), |_| {});
        assert!(
            matches!(refused, Err(StoreError::Backup(BackupError::Write(_)))),
            "{room}: {refused:?}"
        );
    }
    fixture.store.backup(NOW, Full(whole), |_| {}).unwrap();
    fixture.store.check().unwrap();
}

/// A backup in the middle of a rotation needs both keys, and has them in the key file of that moment.
#[test]
fn two_keys_in_one_backup() {
    let mut fixture = full();
    fixture.store.prepare_key(&mut fixture.rng).unwrap();
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        fixture.store.rotate_key(&mut fixture.rng, |progress| {
            assert_eq!(progress.resealed, 0, "cut off");
        })
    }));
    assert!(cut.is_err());
    let octets = backup(&fixture.store);
    let target = Target::of(&fixture, ENGINE);
    target.restore(&octets, NOW).unwrap();
    assert_eq!(contents(&target.open()), contents(&fixture.store));
}

#[test]
fn a_backup_is_of_one_moment_while_others_write() {
    let mut fixture = Fixture::on(ENGINE);
    fixture.add_hotp("alice", "ring", SEED, 0);
    let (together, daemon) = (Together::default(), fixture.reopen());
    thread::scope(|scope| {
        let _member = together.member();
        scope.spawn(|| {
            let _member = together.member();
            // Users come with their tokens, in one transaction: a backup has both or neither.
            let mut rng = StdRng::seed_from_u64(11);
            for number in 0.. {
                if together.is_over() {
                    break;
                }
                let seed = format!("seed of user {number:08}");
                let token = hotp_token(&format!("user{number}"), "ring", seed.as_bytes(), 0);
                daemon
                    .add_tokens(&[token], MissingUsers::Create, &mut rng)
                    .unwrap();
                let packet = number.to_string();
                let code = code(SEED, number);
                assert!(attempt(&daemon, "alice", &nas(), &code, packet.as_bytes()).0);
            }
        });
        for _ in 0..5 {
            let octets = backup(&fixture.store);
            let target = Target::of(&fixture, Engine::Sqlite);
            let restored = target.restore(&octets, NOW).unwrap();
            assert_eq!(restored.backup.users, restored.backup.tokens);
            let used = next_counter(&target.open(), "alice") - 11;
            let users = restored.backup.users - 1;
            assert!(used == users || used + 1 == users, "{used} codes, {users} users");
        }
        together.end();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ENGINE.cases(12)))]

    /// Whatever was used before and after a backup, none of it is accepted once more by what was restored.
    #[test]
    fn nothing_is_accepted_twice_across_a_restoration(
        seed in any::<u64>(),
        before in 0_u64..20,
        after in 0_u64..=10,
        seconds in 0_u64..4_000,
        drift in -3_i64..=3,
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut fixture = Fixture::on(ENGINE);
        let tokens = [
            hotp_token("alice", "ring", SEED, 0),
            totp_token("bob", "phone", TOTP_SEED, drift),
        ];
        fixture.store.add_tokens(&tokens, MissingUsers::Create, &mut fixture.rng).unwrap();
        let mut used = Vec::new();
        let log_in = |store: &Store, user: &'static str, now: UnixTime, code: String, used: &mut Vec<_>| {
            let packet = used.len().to_be_bytes();
            if attempt_at(now, store, user, &code, &packet).0 {
                used.push((user, code));
            }
        };
        let mut octets = None;
        let mut now = NOW;
        for round in 0..before + after {
            if round == before {
                octets = Some(backup(&fixture.store));
            }
            log_in(&fixture.store, "alice", now, code(SEED, round), &mut used);
            now = UnixTime(NOW.0 + seconds * round / (before + after));
            let shown = (now.0 / 30).saturating_add_signed(drift + rng.random_range(-1..=1)) * 30;
            log_in(&fixture.store, "bob", now, totp_code(TOTP_SEED, shown), &mut used);
        }
        let octets = octets.unwrap_or_else(|| backup(&fixture.store));
        let engine = if rng.random() { Engine::Sqlite } else { Engine::Postgres };
        let target = Target::of(&fixture, engine);
        target.restore(&octets, now).unwrap();
        let store = target.open();
        for (index, (user, code)) in used.iter().enumerate() {
            let packet = (index + 5_000).to_be_bytes();
            let (accepted, reason) = attempt_at(now, &store, user, code, &packet);
            prop_assert!(!accepted, "{user} {index}: {reason}");
            store.unlock_user(&name(user)).unwrap();
        }
        let next = next_counter(&store, "alice");
        prop_assert!(attempt_at(now, &store, "alice", &code(SEED, next), b"next").0);
    }
}
