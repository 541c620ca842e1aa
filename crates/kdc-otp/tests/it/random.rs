//! Any tokens and any servers: the outcome is what the rules in one sentence say.

use std::time::Duration;

use kdc_otp::{Answer, Outcome, Principal};
use krad::Code;
use proptest::{collection::vec, prelude::*, sample::select};

use crate::network::{Behavior, module, run, server};

const SERVERS: [&str; 4] = ["/a", "/b", "/c", "/d"];

fn behavior() -> impl Strategy<Value = Behavior> {
    use std::io::ErrorKind;
    prop_oneof![
        3 => (select(vec!["1", "2"]), 0_u64..6000)
            .prop_map(|(password, delay)| Behavior::Password(password, Duration::from_millis(delay))),
        2 => select(vec![Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE]).prop_map(Behavior::Reply),
        1 => Just(Behavior::Silent),
        1 => Just(Behavior::Unreachable(kdc_otp::Unreachable::Connect(ErrorKind::NotFound))),
    ]
}

proptest! {
    #[test]
    fn the_first_token_that_does_not_say_no_decides(
        behaviors in vec(behavior(), 4),
        tokens in vec(0_usize..4, 1..6),
    ) {
        let types: String = SERVERS.iter().map(|name| format!(" {} = {{\n server = {name}\n }}\n", &name[1..])).collect();
        let servers: Vec<_> = SERVERS.iter().zip(&behaviors).map(|(name, behavior)| server(name, behavior.clone())).collect();
        let list: Vec<_> = tokens.iter().map(|token| format!(r#"{{"type":"{}"}}"#, &SERVERS[*token][1..])).collect();
        let run = run(&module(&types), &format!("[{}]", list.join(",")), "1", &servers).unwrap();

        // Whether a server says no; anything else ends it.
        let in_time = Duration::from_secs(5);
        let says_no = |behavior: &Behavior| match behavior {
            Behavior::Password(password, delay) => *password != "1" && *delay < in_time,
            Behavior::Reply(_) => true,
            _ => false,
        };
        let end = tokens.iter().position(|token| !says_no(&behaviors[*token]));
        let asked = end.map_or(tokens.len(), |end| end + 1);
        prop_assert_eq!(run.steps.len(), asked);
        for (step, token) in run.steps.iter().zip(&tokens) {
            prop_assert_eq!(step.ask.token_type().server().to_string(), SERVERS[*token]);
        }
        match (end, &run.outcome) {
            (None, Outcome::NotAccepted) => {}
            (Some(end), Outcome::Granted { token, .. }) => {
                prop_assert_eq!(end, *token);
                prop_assert!(matches!(behaviors[tokens[end]], Behavior::Password("1", delay) if delay < in_time));
            }
            (Some(end), Outcome::Failed { token, .. }) => {
                prop_assert_eq!(end, *token);
                let answered = matches!(behaviors[tokens[end]], Behavior::Password("1", delay) if delay < in_time);
                prop_assert!(!answered);
            }
            other => prop_assert!(false, "{:?}", other),
        }
        let (last, before) = run.steps.split_last().unwrap();
        prop_assert!(before.iter().all(|step| matches!(step.answer, Answer::NotAccepted(_))));
        prop_assert_eq!(matches!(last.answer, Answer::NotAccepted(_)), run.outcome == Outcome::NotAccepted);
        // One packet per token at most, and never more time than the types allow.
        prop_assert!(run.sent.len() <= asked);
        prop_assert!(run.took <= in_time * u32::try_from(asked).unwrap());
    }
}

fn octets() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![3 => any::<u8>(), 1 => select(b"/@\\\n\t\x08\0 ".to_vec())];
    vec(octet, 0..12)
}

proptest! {
    #[test]
    fn principals_round_trip(components in vec(octets(), 1..4), realm in octets()) {
        let principal = Principal::new(components, realm.clone());
        let text = principal.unparse();
        prop_assert_eq!(Principal::parse(&text, None).unwrap(), principal.clone());
        // Cut anywhere, it is another principal or none.
        for length in 0..text.len() {
            if let Ok(other) = Principal::parse(&text[..length], Some(&realm)) {
                prop_assert!(other.unparse().len() <= text.len() + 1 + 2 * realm.len());
                prop_assert_eq!(Principal::parse(&other.unparse(), None).unwrap(), other);
            }
        }
    }
}
