use std::net::IpAddr;

use otp_store::{ClientSecret, Kind, NewClient, NewUser, Source, StoreError};
use otp_validation::PasswordHash;

use crate::support::{Fixture, NOW, SEED, name};

const BOBS: &[u8] = b"bob's seed, 20 octet";

fn two_users() -> Fixture {
    let mut fixture = Fixture::new();
    for (user, seed) in [("alice", SEED), ("bob", BOBS)] {
        let password = Some(PasswordHash::new(format!("$argon2id$of {user}")));
        let new = NewUser {
            password,
            ..NewUser::new(name(user), NOW)
        };
        fixture.store.add_user(&new, &mut fixture.rng).unwrap();
        fixture.add_hotp(user, "key ring", seed, 0);
    }
    fixture
}

#[test]
fn secrets_come_back_as_they_were_put_in() {
    let fixture = two_users();
    let account = fixture.store.account(&name("bob@EXAMPLE.COM")).unwrap().unwrap();
    assert_eq!(account.tokens[0].key.as_bytes(), BOBS);
    assert_eq!(account.user.password.unwrap().as_str(), "$argon2id$of bob");
}

#[test]
fn no_file_holds_a_secret_in_clear() {
    let mut fixture = two_users();
    let nas = NewClient::network(
        "nas",
        "192.0.2.0/24".parse().unwrap(),
        ClientSecret::new(b"testing123".to_vec()),
        NOW,
    );
    fixture.store.add_client(&nas, &mut fixture.rng).unwrap();
    for file in ["otp.db", "otp.db-wal"] {
        let octets = std::fs::read(fixture.paths.state_dir.join(file)).unwrap();
        for secret in [SEED, BOBS, b"argon2id", b"testing123"] {
            assert!(
                !octets.windows(secret.len()).any(|window| window == secret),
                "{file}"
            );
        }
    }
}

#[test]
fn rows_that_were_changed_or_moved_are_refused() {
    // What somebody with a hand in the database might try, and whose account is refused then.
    let rows = [
        (
            "UPDATE tokens SET key_sealed = (SELECT key_sealed FROM tokens WHERE label = 'key ring' AND user_id = 2) WHERE user_id = 1",
            "alice",
        ),
        (
            "UPDATE tokens SET user_id = 1, label = 'moved' WHERE user_id = 2",
            "alice",
        ),
        (
            "UPDATE tokens SET algorithm = 'SHA256' WHERE user_id = 1",
            "alice",
        ),
        (
            "UPDATE tokens SET kind = 'totp', step = 30, t0 = 0, window_past = 1, window_future = 1, drift = 0 WHERE user_id = 1",
            "alice",
        ),
        (
            "UPDATE tokens SET replay_id = (SELECT replay_id FROM tokens WHERE user_id = 2) WHERE user_id = 1",
            "alice",
        ),
        (
            "UPDATE tokens SET key_sealed = substr(key_sealed, 1, length(key_sealed) - 1) WHERE user_id = 1",
            "alice",
        ),
        ("UPDATE tokens SET key_sealed = x'' WHERE user_id = 1", "alice"),
        (
            "UPDATE users SET password_sealed = (SELECT password_sealed FROM users WHERE id = 2) WHERE id = 1",
            "alice",
        ),
        (
            "UPDATE users SET password_sealed = (SELECT key_sealed FROM tokens WHERE user_id = 1) WHERE id = 1",
            "alice",
        ),
        (
            "UPDATE users SET uid = x'00000000000000000000000000000000' WHERE id = 1",
            "alice",
        ),
    ];
    for (statement, user) in rows {
        let fixture = two_users();
        assert_eq!(fixture.sql().execute(statement, []).unwrap(), 1, "{statement}");
        let refused = fixture.store.account(&name(user));
        let Err(StoreError::Unsealable { kind, name: row }) = refused else {
            panic!("{statement}: {refused:?}")
        };
        assert!(
            matches!(kind, Kind::Token | Kind::Password) && row.starts_with(user),
            "{statement}: {kind} {row}"
        );
        if !statement.contains("moved") {
            assert!(
                fixture.store.account(&name("bob")).unwrap().is_some(),
                "{statement}: bob is not affected"
            );
        }
    }
}

#[test]
fn values_that_were_never_written_are_damage_not_a_panic() {
    let rows = [
        "UPDATE users SET name = '' WHERE id = 1",
        "UPDATE users SET grammar = 'otp+pin' WHERE id = 1",
        "UPDATE users SET expires_at = -1 WHERE id = 1",
        "UPDATE accounts SET locked_until = -1 WHERE user_id = 1",
        "UPDATE tokens SET algorithm = 'MD5' WHERE user_id = 1",
        "UPDATE tokens SET digits = 9 WHERE user_id = 1",
        "UPDATE tokens SET kind = 'totp', step = 0, t0 = 0 WHERE user_id = 1",
    ];
    for statement in rows {
        let fixture = two_users();
        assert_eq!(fixture.sql().execute(statement, []).unwrap(), 1, "{statement}");
        let lookup = if statement.contains("name") {
            fixture.store.users().map(drop)
        } else {
            fixture.store.account(&name("alice")).map(drop)
        };
        assert!(
            matches!(lookup, Err(StoreError::Corrupt { .. })),
            "{statement}: {lookup:?}"
        );
        fixture.store.check().unwrap();
    }
}

#[test]
fn one_clients_damaged_secret_harms_no_other() {
    let mut fixture = Fixture::new();
    for (client, network) in [("one", "192.0.2.1/32"), ("two", "192.0.2.2/32")] {
        let secret = ClientSecret::new(client.as_bytes().to_vec());
        let new = NewClient::network(client, network.parse().unwrap(), secret, NOW);
        fixture.store.add_client(&new, &mut fixture.rng).unwrap();
    }
    let swap = "UPDATE clients SET secret_sealed = (SELECT secret_sealed FROM clients WHERE name = 'two') WHERE name = 'one'";
    assert_eq!(fixture.sql().execute(swap, []).unwrap(), 1);
    let from = |address: &str| {
        fixture
            .store
            .client_for(&Source::Address(address.parse::<IpAddr>().unwrap()))
    };
    assert!(
        matches!(from("192.0.2.1"), Err(StoreError::Unsealable { kind: Kind::Client, name }) if name == "one")
    );
    assert_eq!(
        from("192.0.2.2")
            .unwrap()
            .unwrap()
            .secret
            .as_ref()
            .unwrap()
            .expose(),
        b"two"
    );
    assert!(matches!(
        fixture.store.client_secret("one"),
        Err(StoreError::Unsealable { .. })
    ));
    assert_eq!(
        fixture.store.clients().unwrap().len(),
        3,
        "it can still be seen, and removed"
    );
    fixture.store.remove_client("one").unwrap();
    assert!(from("192.0.2.1").unwrap().is_none());
}

/// The empty secret is that of a UNIX socket: packets of a network that are checked with it could be anybody's.
#[test]
fn a_network_without_its_secret_is_no_client() {
    let mut fixture = Fixture::new();
    let secret = ClientSecret::new(b"xyzzy5461".to_vec());
    let new = NewClient::network("vpn", "192.0.2.0/24".parse().unwrap(), secret, NOW);
    fixture.store.add_client(&new, &mut fixture.rng).unwrap();
    let erase = "UPDATE clients SET secret_sealed = NULL WHERE name = 'vpn'";
    assert_eq!(fixture.sql().execute(erase, []).unwrap(), 1);
    let source = Source::Address("192.0.2.1".parse().unwrap());
    for found in [
        fixture.store.client_for(&source).map(drop),
        fixture.store.client_secret("vpn").map(drop),
    ] {
        assert!(
            matches!(&found, Err(StoreError::Unsealable { kind: Kind::Client, name }) if name == "vpn"),
            "{found:?}"
        );
    }
}
