//! Rules: what acceptances of logins of a kind carry.

use otp_store::{ClientSecret, Kind, NewClient, NewRule, RuleRecord, Source, Store, StoreError};
use otp_validation::{
    AttributeCondition, Conditions, Login, Pattern, ReplyAttributes, ReplyError, RequestAttribute,
    VendorAttribute,
};

use crate::support::{Fixture, NOW, octets_of, reply_attributes};

fn rule(name: &str) -> NewRule {
    NewRule {
        name: name.to_owned(),
        order: None,
        enabled: true,
        conditions: Conditions::default(),
        reply: reply_attributes(&[("Filter-Id", 11, name.as_bytes())]),
        created_at: NOW,
    }
}

fn conditions() -> Conditions {
    Conditions {
        clients: vec!["switch-*".parse().unwrap(), "vpn".parse().unwrap()],
        realms: vec!["corp.example".parse().unwrap()],
        users: vec!["a*".parse().unwrap()],
        attributes: vec![
            AttributeCondition {
                name: "Called-Station-Id".to_owned(),
                text: "*:guest".to_owned(),
                kind: 30,
                vendor: None,
                pattern: Pattern::glob(b"*:guest"),
            },
            AttributeCondition {
                name: "Cisco-AVPair".to_owned(),
                text: "\"a*\"".to_owned(),
                kind: 26,
                vendor: Some(VendorAttribute { vendor: 9, kind: 1 }),
                pattern: Pattern::exact(*b"a*"),
            },
        ],
    }
}

fn names(rules: &[RuleRecord]) -> Vec<(&str, u32)> {
    rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.settings.order))
        .collect()
}

/// The rules about a login through `client`, as the daemon finds them.
fn about(store: &Store, client: &str) -> Vec<String> {
    let attributes = vec![RequestAttribute {
        kind: 1,
        vendor: None,
        value: b"alice",
    }];
    let login = Login {
        client,
        name: None,
        user: None,
        attributes,
    };
    let rules = store.reply_rules().unwrap();
    rules.about(&login).iter().map(|rule| rule.name.clone()).collect()
}

#[test]
fn they_have_an_order_and_come_back_as_they_were_added() {
    let fixture = Fixture::on(super::ENGINE);
    let store = &fixture.store;
    assert!(store.rules().unwrap().is_empty() && store.reply_rules().unwrap().is_empty());
    let full = NewRule {
        conditions: conditions(),
        ..rule("full")
    };
    store.add_rule(&full).unwrap();
    store
        .add_rule(&NewRule {
            order: Some(7),
            enabled: false,
            ..rule("off")
        })
        .unwrap();
    store.add_rule(&rule("b")).unwrap();
    store
        .add_rule(&NewRule {
            order: Some(20),
            ..rule("B")
        })
        .unwrap();
    let rules = store.rules().unwrap();
    assert_eq!(names(&rules), [("off", 7), ("full", 10), ("B", 20), ("b", 20)]);
    let found = store.rule("full").unwrap().unwrap();
    assert_eq!(found.settings.conditions, full.conditions);
    assert_eq!(octets_of(&found.settings.reply), octets_of(&full.reply));
    assert!(found.settings.enabled && found.created_at == NOW);
    assert!(!store.rule("off").unwrap().unwrap().settings.enabled);
    assert!(store.rule("nobody").unwrap().is_none());
    assert_eq!(about(store, "vpn"), ["B", "b"]);
}

#[test]
fn a_change_is_seen_by_whoever_answers_in_this_process_and_in_others() {
    let mut fixture = Fixture::on(super::ENGINE);
    let store = fixture.store.clone();
    let secret = ClientSecret::new(b"a secret of sixteen".to_vec());
    let vpn = NewClient::network("vpn", "192.0.2.0/24".parse().unwrap(), secret, NOW);
    store.add_client(&vpn, &mut fixture.rng).unwrap();
    let other = Store::open(store.location().clone()).unwrap();
    let source = Source::Address([192, 0, 2, 7].into());
    // As a daemon does: it looks up a client, and then nothing is asked of the database.
    let known = |store: &Store| {
        store.client_for(&source).unwrap().unwrap();
        let login = Login {
            client: "vpn",
            name: None,
            user: None,
            attributes: Vec::new(),
        };
        let rules = store.reply_rules();
        rules.unwrap().about(&login).len()
    };
    assert_eq!((known(&store), known(&other)), (0, 0));
    store.add_rule(&rule("all")).unwrap();
    store
        .add_rule(&NewRule {
            conditions: conditions(),
            ..rule("guests")
        })
        .unwrap();
    assert_eq!((known(&store), known(&other)), (1, 1));
    let remembered = |store: &Store| otp_store::AccountStore::reply_rules(store);
    assert!(!remembered(&other).is_empty());
    store
        .change_rule("guests", |settings| {
            settings.conditions = Conditions::default();
            Ok(())
        })
        .unwrap();
    assert_eq!((known(&store), known(&other)), (2, 2));
    for (enabled, expected) in [(false, 1), (true, 2)] {
        store
            .change_rule("all", |settings| {
                settings.enabled = enabled;
                Ok(())
            })
            .unwrap();
        assert_eq!((known(&store), known(&other)), (expected, expected));
    }
    other.remove_rule("all").unwrap();
    other.remove_rule("guests").unwrap();
    assert_eq!((known(&store), known(&other)), (0, 0));
    assert!(remembered(&store).is_empty());
}

#[test]
fn what_was_done_is_in_the_audit_trail() {
    let fixture = Fixture::on(super::ENGINE);
    let store = &fixture.store;
    store.add_rule(&rule("guests")).unwrap();
    let disable = |settings: &mut otp_store::RuleSettings| {
        settings.enabled = false;
        Ok(())
    };
    store.change_rule("guests", disable).unwrap();
    store.change_rule("guests", disable).unwrap();
    store
        .change_rule("guests", |settings| {
            settings.enabled = true;
            settings.order = 3;
            settings.conditions = conditions();
            settings.reply = reply_attributes(&[("Class", 25, b"x")]);
            Ok(())
        })
        .unwrap();
    store
        .change_rule("guests", |settings| {
            settings.conditions.clients.pop();
            Ok(())
        })
        .unwrap();
    store.remove_rule("guests").unwrap();
    let heads = store.audit_heads().unwrap().into_iter();
    let trail: Vec<String> = heads
        .flat_map(|head| store.audit_entries(head.chain, 1..=head.number).unwrap())
        .map(|entry| entry.record)
        .collect();
    for deed in [
        r#"{"deed":"rule-added","rule":"guests","detail":"order=10""#,
        r#"{"deed":"reply-attribute-set","rule":"guests","detail":"Filter-Id = "#,
        r#"{"deed":"rule-disabled","rule":"guests","uid""#,
        r#"{"deed":"rule-enabled","rule":"guests","uid""#,
        r#"{"deed":"rule-changed","rule":"guests","detail":"order=3""#,
        r#"{"deed":"rule-condition-set","rule":"guests","detail":"client=switch-*""#,
        r#"{"deed":"rule-condition-set","rule":"guests","detail":"user=a*""#,
        r#"{"deed":"rule-condition-set","rule":"guests","detail":"Cisco-AVPair=\"a*\"""#,
        r#"{"deed":"rule-condition-removed","rule":"guests","detail":"client=vpn""#,
        r#"{"deed":"reply-attribute-removed","rule":"guests","detail":"Filter-Id = "#,
        r#"{"deed":"reply-attribute-set","rule":"guests","detail":"Class = [120]""#,
        r#"{"deed":"rule-removed","rule":"guests","uid""#,
    ] {
        let times = trail.iter().filter(|record| record.starts_with(deed)).count();
        assert_eq!(times, 1, "{deed} in {trail:#?}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let fixture = Fixture::on(super::ENGINE);
    let store = &fixture.store;
    store
        .add_rule(&NewRule {
            order: Some(u32::MAX),
            ..rule("last")
        })
        .unwrap();
    let exists = store.add_rule(&NewRule {
        order: Some(1),
        ..rule("last")
    });
    assert!(
        matches!(&exists, Err(StoreError::Exists { kind: Kind::Rule, name }) if name == "last"),
        "{exists:?}"
    );
    for refused in [
        // Nothing is behind the last.
        rule("behind"),
        NewRule {
            order: Some(1),
            ..rule("a/b")
        },
        NewRule {
            order: Some(1),
            conditions: Conditions {
                users: vec!["alice".parse().unwrap(); 101],
                ..Conditions::default()
            },
            ..rule("long")
        },
    ] {
        let refused = store.add_rule(&refused);
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    }
    let nobody = |refused: Result<(), StoreError>| {
        matches!(refused, Err(StoreError::NotFound { kind: Kind::Rule, .. }))
    };
    assert!(nobody(store.change_rule("nobody", |_| Ok(()))));
    assert!(nobody(store.remove_rule("nobody")));
    let refused = store.change_rule("last", |settings| {
        settings.order = 1;
        settings.reply = ReplyAttributes::none();
        Err(ReplyError::TooLong(1501))
    });
    assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{refused:?}");
    assert_eq!(names(&store.rules().unwrap()), [("last", u32::MAX)]);
}
