use std::{net::IpAddr, time::Duration};

use otp_store::{
    ClientSecret, ClientSettings, ClientSource, Kind, MessageAuthenticatorRule, NewClient, Source, Store,
    StoreError,
};
use otp_validation::{Grammar, UnixTime};

use crate::support::{Fixture, NOW};

fn network(name: &str, network: &str) -> NewClient {
    NewClient::network(
        name,
        network.parse().unwrap(),
        ClientSecret::new(format!("secret of {name}").into_bytes()),
        NOW,
    )
}

fn found(store: &Store, address: &str) -> Option<String> {
    let address: IpAddr = address.parse().unwrap();
    store
        .client_for(&Source::Address(address))
        .unwrap()
        .map(|client| client.name.clone())
}

#[test]
fn the_longest_prefix_counts() {
    let mut fixture = Fixture::on(super::ENGINE);
    for (name, prefix) in [
        ("world", "0.0.0.0/0"),
        ("ten", "10.0.0.0/8"),
        ("rack", "10.1.2.0/24"),
        ("nas", "10.1.2.3/32"),
        ("doc", "2001:db8::/32"),
        ("host", "2001:db8::1/128"),
        ("mapped", "::ffff:192.0.2.0/120"),
    ] {
        fixture
            .store
            .add_client(&network(name, prefix), &mut fixture.rng)
            .unwrap();
    }
    let rows = [
        ("10.1.2.3", Some("nas")),
        ("10.1.2.4", Some("rack")),
        ("10.1.3.4", Some("ten")),
        ("11.0.0.1", Some("world")),
        ("::ffff:10.1.2.3", Some("nas")),
        ("2001:db8::1", Some("host")),
        ("2001:db8::2", Some("doc")),
        ("2001:db9::2", None),
        ("192.0.2.7", Some("mapped")),
        ("::1", None),
    ];
    for (address, expected) in rows {
        assert_eq!(found(&fixture.store, address).as_deref(), expected, "{address}");
    }
}

#[test]
fn a_network_has_one_client_and_a_name_too() {
    let mut fixture = Fixture::on(super::ENGINE);
    let store = fixture.store.clone();
    let mut add = |client: NewClient| store.add_client(&client, &mut fixture.rng);
    add(network("one", "10.0.0.0/8")).unwrap();
    for taken in ["10.0.0.0/8", "10.1.2.3/8", "::ffff:10.0.0.0/104"] {
        let refused = add(network("two", taken));
        let Err(StoreError::Exists {
            kind: Kind::Network,
            name,
        }) = refused
        else {
            panic!("{taken}: {refused:?}")
        };
        assert_eq!(name, "10.0.0.0/8 (one)");
    }
    assert!(matches!(
        add(network("one", "10.0.0.0/9")),
        Err(StoreError::Exists {
            kind: Kind::Client,
            ..
        })
    ));
    assert!(matches!(
        add(NewClient::unix("kdc", NOW)),
        Err(StoreError::Exists {
            kind: Kind::Client,
            ..
        })
    ));
    add(network("three", "10.0.0.0/9")).unwrap();
    let malformed = [
        network("", "192.0.2.0/24"),
        network("a/b", "192.0.2.0/24"),
        network("a\nb", "192.0.2.0/24"),
        network(&"n".repeat(65), "192.0.2.0/24"),
        NewClient {
            secret: None,
            ..network("x", "192.0.2.0/24")
        },
        NewClient {
            secret: Some(ClientSecret::new(vec![])),
            ..network("x", "192.0.2.0/24")
        },
        NewClient {
            secret: Some(ClientSecret::new(vec![1])),
            ..NewClient::unix("x", NOW)
        },
    ];
    for client in malformed {
        let refused = add(client.clone());
        assert!(
            matches!(refused, Err(StoreError::Invalid { .. })),
            "{client:?}: {refused:?}"
        );
    }
    assert_eq!(store.clients().unwrap().len(), 3);
}

#[test]
fn changes_are_seen_at_once_by_another_handle() {
    let mut fixture = Fixture::on(super::ENGINE);
    let daemon = fixture.reopen();
    assert_eq!(found(&daemon, "192.0.2.1"), None);
    fixture
        .store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    assert_eq!(found(&daemon, "192.0.2.1").as_deref(), Some("nas"));
    fixture
        .store
        .change_client("nas", |settings| settings.enabled = false)
        .unwrap();
    let from = Source::Address("192.0.2.1".parse().unwrap());
    assert!(!daemon.client_for(&from).unwrap().unwrap().policy().enabled);
    let secret = daemon.client_for(&from).unwrap().unwrap().secret.clone().unwrap();
    fixture
        .store
        .change_client("nas", |settings| {
            settings.message_authenticator = MessageAuthenticatorRule::IfPresent;
            settings.grammar = Some(Grammar::PasswordOtp);
            settings.repeat_grace = 3;
            settings.reject_delay = Duration::from_millis(7);
        })
        .unwrap();
    let changed = daemon.client_for(&from).unwrap().unwrap();
    let expected = ClientSettings {
        enabled: false,
        message_authenticator: MessageAuthenticatorRule::IfPresent,
        grammar: Some(Grammar::PasswordOtp),
        repeat_grace: 3,
        reject_delay: Duration::from_millis(7),
    };
    assert_eq!(changed.settings(), expected);
    assert_eq!(
        changed.secret.as_ref().unwrap().expose(),
        secret.expose(),
        "the secret stays"
    );
    fixture.store.remove_client("nas").unwrap();
    assert_eq!(found(&daemon, "192.0.2.1"), None);
    for refused in [
        fixture.store.remove_client("nas"),
        fixture
            .store
            .change_client("nas", |settings| settings.enabled = true),
    ] {
        assert!(matches!(
            refused,
            Err(StoreError::NotFound {
                kind: Kind::Client,
                ..
            })
        ));
    }
}

#[test]
fn listeners_are_found_by_name() {
    let mut fixture = Fixture::on(super::ENGINE);
    fixture
        .store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    let listener = |name: &str| fixture.store.client_for(&Source::Listener(name.into())).unwrap();
    let kdc = listener("kdc").unwrap();
    assert!(kdc.secret.is_none());
    assert_eq!(
        (kdc.policy().name.as_str(), kdc.policy().repeat_grace),
        ("kdc", 5)
    );
    assert!(
        listener("nas").is_none(),
        "a client of the network is no listener"
    );
    assert!(listener("other").is_none());
}

#[test]
fn a_client_comes_back_as_it_was_added() {
    let mut fixture = Fixture::on(super::ENGINE);
    let new = NewClient {
        message_authenticator: MessageAuthenticatorRule::IfPresent,
        grammar: Some(Grammar::OtpPassword),
        repeat_grace: 7,
        reject_delay: Duration::from_millis(1500),
        ..network("nas", "192.0.2.77/24")
    };
    let id = fixture.store.add_client(&new, &mut fixture.rng).unwrap();
    let record = fixture.reopen().client("nas").unwrap().unwrap();
    assert_eq!(record.id, id);
    assert_eq!(
        record.source,
        ClientSource::Network("192.0.2.0/24".parse().unwrap())
    );
    assert_eq!(record.message_authenticator, new.message_authenticator);
    assert_eq!(
        (record.grammar, record.repeat_grace),
        (new.grammar, new.repeat_grace)
    );
    assert_eq!((record.reject_delay, record.created_at), (new.reject_delay, NOW));
    assert!(record.secret.is_none() && record.enabled);
    assert_eq!(
        fixture.store.client_secret("nas").unwrap().unwrap().expose(),
        b"secret of nas"
    );
    assert!(fixture.store.client_secret("kdc").unwrap().is_none());
    assert!(matches!(
        fixture.store.client_secret("none"),
        Err(StoreError::NotFound { .. })
    ));
    let default = network("default", "198.51.100.0/24");
    assert_eq!(
        (default.repeat_grace, default.reject_delay),
        (0, Duration::from_secs(1))
    );
    assert_eq!(default.message_authenticator, MessageAuthenticatorRule::Required);
    assert_eq!(format!("{:?}", default.secret), "Some(ClientSecret(..))");
}

#[test]
fn an_exemption_ends_by_itself() {
    let mut fixture = Fixture::on(super::ENGINE);
    let end = UnixTime(NOW.0 + 86_400);
    let rule = MessageAuthenticatorRule::OffUntil(end);
    let new = NewClient {
        message_authenticator: rule,
        ..network("old", "192.0.2.0/24")
    };
    fixture.store.add_client(&new, &mut fixture.rng).unwrap();
    let found = || {
        fixture
            .store
            .client("old")
            .unwrap()
            .unwrap()
            .message_authenticator
    };
    assert_eq!(found(), rule);
    assert_eq!(
        found().at(UnixTime(end.0 - 1)),
        MessageAuthenticatorRule::IfPresent
    );
    assert_eq!(found().at(end), MessageAuthenticatorRule::Required);
    let later = MessageAuthenticatorRule::OffUntil(UnixTime(end.0 + 1));
    fixture
        .store
        .change_client("old", |settings| settings.message_authenticator = later)
        .unwrap();
    assert_eq!(found(), later);
    for always in [
        MessageAuthenticatorRule::Required,
        MessageAuthenticatorRule::IfPresent,
    ] {
        assert_eq!(always.at(NOW), always);
    }
}
