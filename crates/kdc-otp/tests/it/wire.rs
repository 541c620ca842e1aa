//! The octets of requests, and which replies count.

use std::time::Duration;

use kdc_otp::{OtpModule, Outcome};
use kdc_otp_config::{FinalRule, KdcBuild, MemoryFiles, TokenType, check};
use krad::{
    AttributeType, Code, MessageAuthenticatorRule, Packet, ReplyError, ReplyStyle, SharedSecret, VerifyError,
};
use rand::{SeedableRng as _, rngs::StdRng};

use crate::network::{accepts, alice, module_of, run, start};

const UDP: &str = "127.0.0.1:1812";

fn types() -> String {
    format!(
        " udp = {{\n  server = {UDP}\n  secret = secret\n }}\n unix = {{\n  server = /u\n }}\n \
         keyed = {{\n  server = /k\n  secret = secret\n }}"
    )
}

/// Every attribute of the first request: its type, and its value unless it is hidden.
fn request(rule: FinalRule, name: &str, server: &'static str, secret: &'static str) -> Vec<(u8, Vec<u8>)> {
    let servers = [crate::network::Server {
        secret,
        ..accepts(server, "123456")
    }];
    let user_string = format!(r#"[{{"type":"{name}"}}]"#);
    let run = run(&module_of(&types(), rule), &user_string, "123456", &servers).unwrap();
    assert!(run.outcome.is_granted(), "{run:?}");
    let packet = Packet::decode(&run.sent[0].octets).unwrap();
    assert_eq!(packet.code(), Code::ACCESS_REQUEST);
    let hidden = [AttributeType::USER_PASSWORD, AttributeType::MESSAGE_AUTHENTICATOR];
    packet
        .attributes()
        .iter()
        .map(|attribute| match hidden.contains(&attribute.kind) {
            true => (attribute.kind.0, vec![0; attribute.value.len()]),
            false => (attribute.kind.0, attribute.value.to_vec()),
        })
        .collect()
}

#[test]
fn attributes_stand_in_the_order_of_the_kdc() {
    let plain = [
        (32, b"kdc".to_vec()),
        (6, vec![0, 0, 0, 8]),
        (2, vec![0; 16]),
        (1, b"alice".to_vec()),
    ];
    let signed = [&[(80, vec![0; 16])][..], &plain].concat();
    for (rule, name, server, secret, expected) in [
        (FinalRule::Before1_22, "udp", UDP, "otptest", &plain[..]),
        (FinalRule::Since1_22, "udp", UDP, "otptest", &signed),
        (FinalRule::Before1_22, "unix", "/u", "", &plain),
        (FinalRule::Since1_22, "unix", "/u", "", &plain),
        (FinalRule::Before1_22, "keyed", "/k", "otptest", &plain),
        (FinalRule::Since1_22, "keyed", "/k", "otptest", &signed),
    ] {
        assert_eq!(request(rule, name, server, secret), expected, "{rule:?} {name}");
    }
}

/// Asks for `udp`, and hands in what `reply` makes of the request.
fn reply_counts(
    rule: FinalRule,
    reply: impl FnOnce(&krad::Request<'_>) -> Vec<u8>,
) -> Result<bool, ReplyError> {
    let now = start();
    let module = module_of(&types(), rule);
    let mut verification = module
        .verify(&alice(), Some(br#"[{"type":"udp"}]"#), b"1", now)
        .unwrap();
    assert!(verification.poll_server().is_some());
    verification.handle_addresses(std::num::NonZeroUsize::MIN, now);
    let mut rng = StdRng::seed_from_u64(1);
    let octets = verification.poll_transmit(now, &mut rng).unwrap().octets.to_vec();
    let secret = SharedSecret::new(b"otptest");
    let if_present = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: false,
    };
    let request = Packet::decode(&octets)
        .unwrap()
        .authenticate(&secret, if_present)
        .unwrap();
    let result = verification.handle_packet(0, &reply(&request), now);
    let granted = verification.outcome().is_some_and(Outcome::is_granted);
    if granted {
        assert_eq!(verification.poll_timeout(), None);
        assert!(verification.poll_transmit(now, &mut rng).is_none());
        assert_eq!(
            verification.handle_packet(0, &octets, now),
            Err(ReplyError::Unsolicited)
        );
        assert!(verification.current().is_none());
    } else {
        assert_eq!(verification.outcome(), None, "a discarded packet decides nothing");
        verification.handle_timeout(now + Duration::from_secs(5));
        assert!(!verification.outcome().unwrap().is_granted());
    }
    result.map(|()| granted)
}

#[test]
fn replies_are_read_as_libkrad_reads_them() {
    let (before, since) = (FinalRule::Before1_22, FinalRule::Since1_22);
    let sign =
        |style| move |request: &krad::Request<'_>| request.reply(Code::ACCESS_ACCEPT).sign(style).unwrap();
    assert_eq!(reply_counts(before, sign(ReplyStyle::Libkrad)), Ok(true));
    assert_eq!(reply_counts(since, sign(ReplyStyle::Libkrad)), Ok(true));
    // With a Message-Authenticator: not known before 1.22, so that the whole reply is discarded.
    assert_eq!(reply_counts(since, sign(ReplyStyle::Network)), Ok(true));
    let discarded = reply_counts(before, sign(ReplyStyle::Network));
    assert!(matches!(discarded, Err(ReplyError::Decode(_))), "{discarded:?}");

    let flipped = |at: usize| {
        move |request: &krad::Request<'_>| {
            let mut octets = sign(ReplyStyle::Network)(request);
            octets[at] ^= 1;
            octets
        }
    };
    for at in 4..38 {
        let result = reply_counts(since, flipped(at));
        assert!(result.is_err(), "octet {at}");
    }
    let other = |request: &krad::Request<'_>| {
        let mut octets = sign(ReplyStyle::Libkrad)(request);
        octets[1] ^= 1;
        octets
    };
    let expected = ReplyError::Verify(VerifyError::UnexpectedIdentifier);
    assert_eq!(reply_counts(since, other), Err(expected));
    assert!(reply_counts(since, |_| Vec::new()).is_err());
}

#[test]
fn a_host_name_has_1_to_253_octets() {
    let build = KdcBuild::debian();
    let types: Vec<TokenType> = check(["none"], &MemoryFiles::default(), &build).types().to_vec();
    for (length, fits) in [(0, false), (1, true), (253, true), (254, false)] {
        let module = OtpModule::new(types.clone(), vec![b'h'; length], &build);
        assert_eq!(module.is_ok(), fits, "{length}");
    }
}

#[test]
fn nothing_secret_is_shown() {
    let module = module_of(&types(), FinalRule::Before1_22);
    let now = start();
    let mut verification = module
        .verify(&alice(), Some(br#"[{"type":"udp"}]"#), b"987654", now)
        .unwrap();
    verification.handle_addresses(std::num::NonZeroUsize::MIN, now);
    let shown = format!("{verification:?} {module:?}");
    for secret in [
        "987654",
        "otptest",
        &format!("{:?}", b"987654"),
        &format!("{:?}", b"otptest"),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
