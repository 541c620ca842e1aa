use std::{net::IpAddr, sync::Arc, time::Duration};

use otp_store::{
    ClientRecord, ClientSecret, ClientSettings, ClientSource, ClientUsage, Kind, MessageAuthenticatorRule,
    NewClient, Seen, Source, Store, StoreError, UsageReport,
};
use otp_validation::{ClientId, Grammar, UnixTime};

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

/// The client at 192.0.2.1, as a daemon sees it.
fn nas(daemon: &Store) -> Arc<ClientRecord> {
    let from = Source::Address("192.0.2.1".parse().unwrap());
    daemon.client_for(&from).unwrap().unwrap()
}

/// The present secret and the one before.
fn secrets(client: &ClientRecord) -> (Vec<u8>, Option<Vec<u8>>) {
    let octets = |secret: &Option<ClientSecret>| secret.as_ref().unwrap().expose().to_vec();
    let old = client.old_secret.as_ref();
    (octets(&client.secret), old.map(|old| octets(&old.secret)))
}

fn secret(text: &str) -> ClientSecret {
    ClientSecret::new(text.as_bytes().to_vec())
}

fn why(refused: Result<(), StoreError>) -> &'static str {
    match refused {
        Err(StoreError::Invalid { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_secrets_hold_until_a_rotation_is_finished() {
    let mut fixture = Fixture::on(super::ENGINE);
    let (store, daemon) = (fixture.store.clone(), fixture.reopen());
    store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    let first = b"secret of nas".to_vec();
    assert_eq!(secrets(&nas(&daemon)), (first.clone(), None));

    let until = UnixTime(NOW.0 + 100);
    let mut rotate =
        |to: &str, now| store.rotate_client_secret("nas", &secret(to), now, until, &mut fixture.rng);
    rotate("the second", NOW).unwrap();
    assert_eq!(secrets(&nas(&daemon)), (b"the second".to_vec(), Some(first)));
    let old = nas(&daemon).old_secret.clone().unwrap();
    assert_eq!((old.since, old.until), (NOW, until));
    assert!(old.holds(UnixTime(NOW.0 + 99)) && !old.holds(until));
    let listed = store.client("nas").unwrap().unwrap().old_secret.unwrap();
    assert!(listed.secret.is_none(), "administrators see that there is one");

    // One at a time; but one whose time is over gives way.
    assert!(why(rotate("the third", UnixTime(NOW.0 + 99))).contains("is being rotated"));
    rotate("the third", until).unwrap();
    assert_eq!(
        secrets(&nas(&daemon)),
        (b"the third".to_vec(), Some(b"the second".to_vec()))
    );
    store.finish_client_secret("nas").unwrap();
    assert_eq!(secrets(&nas(&daemon)), (b"the third".to_vec(), None));
    assert!(why(store.finish_client_secret("nas")).contains("is not being rotated"));
}

#[test]
fn a_secret_that_is_replaced_holds_no_more() {
    let mut fixture = Fixture::on(super::ENGINE);
    let (store, daemon) = (fixture.store.clone(), fixture.reopen());
    store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    let until = UnixTime(NOW.0 + 100);
    store
        .rotate_client_secret("nas", &secret("the second"), NOW, until, &mut fixture.rng)
        .unwrap();
    store
        .replace_client_secret("nas", &secret("leaked no more"), &mut fixture.rng)
        .unwrap();
    assert_eq!(secrets(&nas(&daemon)), (b"leaked no more".to_vec(), None));
}

#[test]
fn what_cannot_be_told_apart_is_not_rotated() {
    let mut fixture = Fixture::on(super::ENGINE);
    let store = fixture.store.clone();
    store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    let until = UnixTime(NOW.0 + 100);
    let mut rotate =
        |name: &str, to: &str| store.rotate_client_secret(name, &secret(to), NOW, until, &mut fixture.rng);
    let rule = |rule| store.change_client("nas", |settings| settings.message_authenticator = rule);
    for exempt in [
        MessageAuthenticatorRule::IfPresent,
        MessageAuthenticatorRule::OffUntil(UnixTime(NOW.0 + 1)),
    ] {
        rule(exempt).unwrap();
        assert!(why(rotate("nas", "new")).contains("Message-Authenticator"));
    }
    rule(MessageAuthenticatorRule::OffUntil(NOW)).unwrap();
    assert!(why(rotate("nas", "")).contains("empty"));
    rotate("nas", "new").unwrap();
    // And what is being rotated is not exempted.
    assert!(why(rule(MessageAuthenticatorRule::IfPresent)).contains("being rotated"));
    assert!(why(rotate("kdc", "new")).contains("UNIX"));
    assert!(matches!(
        rotate("nobody", "new"),
        Err(StoreError::NotFound { .. })
    ));
    assert!(matches!(
        store.finish_client_secret("nobody"),
        Err(StoreError::NotFound { .. })
    ));
}

fn seen(count: u64, last: u64) -> Seen {
    Seen {
        count,
        last: Some(UnixTime(last)),
    }
}

fn report(client: ClientId, since: u64, usage: ClientUsage) -> UsageReport {
    UsageReport {
        client,
        since: UnixTime(since),
        learning: 0,
        usage,
    }
}

#[test]
fn what_daemons_have_counted_adds_up() {
    let mut fixture = Fixture::on(super::ENGINE);
    let (store, other) = (fixture.store.clone(), fixture.reopen());
    let id = store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    assert!(store.client_usage().unwrap().is_empty());
    let one = ClientUsage {
        requests: seen(5, 1000),
        new_secret_at: Some(UnixTime(900)),
        old_secret: seen(1, 800),
        asked: 3,
        ..ClientUsage::default()
    };
    let two = ClientUsage {
        requests: seen(7, 950),
        new_secret_at: Some(UnixTime(990)),
        unprotected: seen(2, 940),
        proxy_state: seen(3, 930),
        discarded: seen(4, 920),
        asked: 2,
        answered: seen(1, 910),
        ..ClientUsage::default()
    };
    store.report_client_usage(&[report(id, 500, one)]).unwrap();
    // A client that is gone by now is of no account.
    let gone = report(ClientId(id.0 + 100), 400, two);
    other.report_client_usage(&[report(id, 400, two), gone]).unwrap();
    store.report_client_usage(&[]).unwrap();
    let both = ClientUsage {
        requests: seen(12, 1000),
        new_secret_at: Some(UnixTime(990)),
        old_secret: seen(1, 800),
        asked: 5,
        ..two
    };
    let all = store.client_usage().unwrap();
    assert_eq!(all.values().collect::<Vec<_>>(), [&report(id, 400, both)]);

    store.remove_client("nas").unwrap();
    assert!(store.client_usage().unwrap().is_empty());
}

/// What a daemon has counted before it heard of it is of the past.
#[test]
fn whether_a_client_answers_is_learned_anew() {
    let mut fixture = Fixture::on(super::ENGINE);
    let (store, daemon) = (fixture.store.clone(), fixture.reopen());
    let id = store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    let before = ClientUsage {
        requests: seen(5, 1000),
        asked: 5,
        answered: seen(1, 990),
        ..ClientUsage::default()
    };
    let asked = || {
        let all = store.client_usage().unwrap();
        let report = all[&id];
        (
            report.learning,
            report.usage.asked,
            report.usage.answered,
            report.usage.requests.count,
        )
    };
    daemon.report_client_usage(&[report(id, 500, before)]).unwrap();
    assert_eq!(asked(), (0, 5, seen(1, 990), 5));

    store.learn_client_anew("nas").unwrap();
    assert_eq!(asked(), (1, 0, Seen::default(), 5));
    daemon.report_client_usage(&[report(id, 500, before)]).unwrap();
    assert_eq!(asked(), (1, 0, Seen::default(), 10), "it had not heard of it");
    let heard = UsageReport {
        learning: 1,
        ..report(id, 500, before)
    };
    daemon.report_client_usage(&[heard]).unwrap();
    assert_eq!(asked(), (1, 5, seen(1, 990), 15));
    let source = Source::Address("192.0.2.1".parse().unwrap());
    assert_eq!(daemon.client_for(&source).unwrap().unwrap().learning, 1);
    assert!(matches!(
        store.learn_client_anew("nobody"),
        Err(StoreError::NotFound { .. })
    ));
}

/// The word is the client's; a user who has it has nothing of the kind.
#[test]
fn auto_is_a_grammar_of_clients_that_can_be_asked() {
    let mut fixture = Fixture::on(super::ENGINE);
    let store = fixture.store.clone();
    store
        .add_client(&network("nas", "192.0.2.0/24"), &mut fixture.rng)
        .unwrap();
    store
        .change_client("nas", |settings| settings.grammar = Some(Grammar::Auto))
        .unwrap();
    assert_eq!(store.client("nas").unwrap().unwrap().grammar, Some(Grammar::Auto));
    let refused = store.change_client("kdc", |settings| settings.grammar = Some(Grammar::Auto));
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    let alice = otp_validation::UserName::parse(b"alice").unwrap();
    let mut user = otp_store::NewUser::new(alice.clone(), UnixTime(0));
    user.grammar = Some(Grammar::Auto);
    store.add_user(&user, &mut fixture.rng).unwrap();
    assert_eq!(store.user(&alice).unwrap().unwrap().grammar, None);
    store.set_user_grammar(&alice, Some(Grammar::Auto)).unwrap();
    assert_eq!(store.user(&alice).unwrap().unwrap().grammar, None);
}

#[test]
fn clients_of_one_network_are_told_apart_by_nas_identifier() {
    let mut fixture = Fixture::on(super::ENGINE);
    let (store, daemon) = (fixture.store.clone(), fixture.reopen());
    let named = |name: &str, prefix: &str, identifier: Option<&str>| NewClient {
        nas_identifier: identifier.map(str::to_owned),
        ..network(name, prefix)
    };
    let mut add = |client: NewClient| store.add_client(&client, &mut fixture.rng);
    add(named("one", "192.0.2.1/32", Some("branch1"))).unwrap();
    add(named("two", "192.0.2.1/32", Some("branch2"))).unwrap();
    add(named("wide", "192.0.2.0/24", None)).unwrap();
    let of = |identifier: &str| {
        let address = "192.0.2.1".parse().unwrap();
        let source = match identifier {
            "" => Source::Address(address),
            _ => Source::Nas(address, identifier.as_bytes().to_vec()),
        };
        daemon
            .client_for(&source)
            .unwrap()
            .map(|client| client.name.clone())
    };
    // Where no client of the narrow network wants the request, the wider one has it.
    for (identifier, expected) in [
        ("branch1", "one"),
        ("branch2", "two"),
        ("Branch2", "wide"),
        ("", "wide"),
    ] {
        assert_eq!(of(identifier).as_deref(), Some(expected), "{identifier}");
    }
    add(named("rest", "192.0.2.1/32", None)).unwrap();
    assert_eq!(of("branch1").as_deref(), Some("one"));
    assert_eq!(of("branch3").as_deref(), Some("rest"));
    assert_eq!(of("").as_deref(), Some("rest"));
    let mut at: Vec<_> = daemon.clients_at("192.0.2.1".parse().unwrap()).unwrap();
    at.sort_by_key(|client| client.id.0);
    let at: Vec<_> = at.iter().map(|client| client.name.as_str()).collect();
    assert_eq!(at, ["one", "two", "wide", "rest"]);

    let taken = |refused: Result<ClientId, StoreError>| match refused {
        Err(StoreError::Exists {
            kind: Kind::Network,
            name,
        }) => name,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        taken(add(named("again", "192.0.2.1/32", None))),
        "192.0.2.1/32 (rest)"
    );
    assert_eq!(
        taken(add(named("again", "192.0.2.1/32", Some("branch2")))),
        "192.0.2.1/32 with NAS-Identifier \"branch2\" (two)"
    );
    for wrong in ["", "a\nb", &"x".repeat(254)] {
        assert!(matches!(
            add(named("wrong", "198.51.100.0/24", Some(wrong))),
            Err(StoreError::Invalid { .. })
        ));
    }
    // It can be changed as long as it is nobody else's.
    let set = |identifier| store.set_client_nas_identifier("two", identifier);
    assert!(matches!(set(Some("branch1")), Err(StoreError::Exists { .. })));
    assert!(matches!(set(None), Err(StoreError::Exists { .. })));
    set(Some("branch2")).unwrap();
    set(Some("hq")).unwrap();
    assert_eq!(
        (of("hq").as_deref(), of("branch2").as_deref()),
        (Some("two"), Some("rest"))
    );
    assert!(matches!(
        store.set_client_nas_identifier("kdc", Some("x")),
        Err(StoreError::Invalid { .. })
    ));
    assert_eq!(
        store.client("two").unwrap().unwrap().nas_identifier.as_deref(),
        Some("hq")
    );
}
