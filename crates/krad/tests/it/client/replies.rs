//! Which replies count, and which do not.

use super::*;

#[test]
fn each_code_is_an_outcome() {
    for code in [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE] {
        let mut run = Run::new(vec![udp()], 1000, 3);
        assert_eq!(
            run.receive(0, &reply(&run.sent[0].2, &secret(), code), 10),
            Ok(())
        );
        assert_eq!((run.code(), run.transaction.replied_by()), (Some(code), Some(0)));
        assert_eq!((run.next(), run.until(u64::MAX)), (None, 0));
        assert_eq!(run.times(), [(0, 0)], "nothing is sent afterwards");
    }
}

#[test]
fn any_code_is_an_outcome_where_the_server_is_allowed_to_send_it() {
    for code in [
        Code::ACCESS_ACCEPT,
        Code::ACCESS_REQUEST,
        Code::ACCOUNTING_RESPONSE,
        Code(0),
    ] {
        let mut run = Run::new(vec![udp().allow_any_code()], 1000, 3);
        let authentic = reply(&run.sent[0].2, &secret(), code);
        let mut altered = authentic.clone();
        altered[5] ^= 1;
        assert!(matches!(run.receive(0, &altered, 9), Err(ReplyError::Verify(_))));
        assert_eq!(run.receive(0, &authentic, 10), Ok(()));
        assert_eq!(run.code(), Some(code));
    }
}

#[test]
fn a_late_reply_of_an_earlier_server_counts_until_the_deadline() {
    let mut run = Run::new(vec![udp(), udp()], 4000, 1);
    run.until(3999);
    let late = reply(&run.sent[0].2, &secret(), Code::ACCESS_ACCEPT);
    assert_eq!(run.receive(0, &late, 3999), Ok(()));
    assert_eq!(
        (run.code(), run.transaction.replied_by()),
        (Some(Code::ACCESS_ACCEPT), Some(0))
    );

    let mut run = Run::new(vec![udp(), udp()], 4000, 1);
    run.until(3999);
    let later = reply(&run.sent[0].2, &secret(), Code::ACCESS_ACCEPT);
    assert_eq!(run.receive(0, &later, 4000), Err(ReplyError::Unsolicited));
    assert_eq!(run.failure(), Some(NoReply::TimedOut));
}

#[test]
fn the_first_outcome_stays() {
    let mut run = Run::new(vec![udp()], 4000, 1);
    let (accept, reject) = (
        reply(&run.sent[0].2, &secret(), Code::ACCESS_ACCEPT),
        reply(&run.sent[0].2, &secret(), Code::ACCESS_REJECT),
    );
    assert_eq!(run.receive(0, &reject, 1), Ok(()));
    assert_eq!(run.receive(0, &accept, 2), Err(ReplyError::Unsolicited));
    run.connect_error(0, 3);
    run.until(u64::MAX);
    assert_eq!(run.code(), Some(Code::ACCESS_REJECT));
    assert_eq!(
        run.transaction.into_outcome().unwrap().unwrap().code(),
        Code::ACCESS_REJECT
    );
}

#[test]
fn what_is_not_authentic_leaves_the_timers_alone() {
    let mut run = Run::new(vec![udp(), udp()], 4000, 1);
    let next = run.next();
    let request = run.sent[0].2.clone();
    let good = reply(&request, &secret(), Code::ACCESS_ACCEPT);
    let of_another_secret = {
        let other = SharedSecret::new(b"bar");
        let mut unprotected = Run::new(vec![Remote::udp(other.clone())], 4000, 1);
        let request = std::mem::take(&mut unprotected.sent[0].2);
        reply(&request, &other, Code::ACCESS_ACCEPT)
    };
    let mut other_identifier = good.clone();
    other_identifier[1] ^= 1;
    let without_mac = {
        // As a server before 2024 replies: the style leaves it out if the request has none.
        let remote = udp().dangerous_omit_message_authenticator();
        let bare = Run::new(vec![remote], 4000, 1);
        let octets = &bare.sent[0].2;
        let secret = secret();
        let request = Packet::decode(octets)
            .unwrap()
            .authenticate(&secret, LENIENT)
            .unwrap();
        request
            .reply(Code::ACCESS_ACCEPT)
            .sign(ReplyStyle::Libkrad)
            .unwrap()
    };
    let refused = [
        (
            0,
            of_another_secret,
            ReplyError::Verify(VerifyError::WrongMessageAuthenticator),
        ),
        (
            0,
            other_identifier,
            ReplyError::Verify(VerifyError::UnexpectedIdentifier),
        ),
        (
            0,
            without_mac,
            ReplyError::Verify(VerifyError::MissingMessageAuthenticator),
        ),
        (
            0,
            request.clone(),
            ReplyError::Verify(VerifyError::UnexpectedCode(Code::ACCESS_REQUEST)),
        ),
        (1, good.clone(), ReplyError::Unsolicited),
        (7, good.clone(), ReplyError::Unsolicited),
    ];
    for (server, octets, error) in refused {
        assert_eq!(run.receive(server, &octets, 10), Err(error));
        assert_eq!((run.next(), run.failure()), (next, None));
    }
    for cut in 0..good.len() {
        assert!(matches!(
            run.receive(0, &good[..cut], 10),
            Err(ReplyError::Decode(_))
        ));
    }
    for bit in 0..good.len() * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(run.receive(0, &flipped, 10).is_err(), "bit {bit}");
    }
    assert_eq!(run.receive(0, &good, 11), Ok(()));
}

#[test]
fn weaker_rules_are_named() {
    let remote = udp()
        .dangerous_omit_message_authenticator()
        .dangerous_allow_missing_message_authenticator();
    let mut run = Run::new(vec![remote], 4000, 1);
    let secret = secret();
    let octets = run.sent[0].2.clone();
    let request = Packet::decode(&octets)
        .unwrap()
        .authenticate(&secret, LENIENT)
        .unwrap();
    assert!(!request.has_message_authenticator());
    let bare = request
        .reply(Code::ACCESS_ACCEPT)
        .sign(ReplyStyle::Libkrad)
        .unwrap();
    assert_eq!(run.receive(0, &bare, 1), Ok(()));
}

#[test]
fn a_reply_that_libkrad_cannot_read_is_no_reply_under_its_policy() {
    let secret = secret();
    let of = |remote: Remote| {
        let mut run = Run::new(vec![remote], 4000, 1);
        let octets = run.sent[0].2.clone();
        let request = Packet::decode(&octets)
            .unwrap()
            .authenticate(&secret, LENIENT)
            .unwrap();
        let accept = request.reply(Code::ACCESS_ACCEPT);
        let accept = accept
            .with(AttributeType::CHARGEABLE_USER_IDENTITY, b"x")
            .unwrap();
        run.receive(0, &accept.sign(ReplyStyle::Network).unwrap(), 1)
    };
    assert_eq!(of(udp()), Ok(()));
    let refused = of(udp().with_length_policy(LengthPolicy::Libkrad));
    assert!(matches!(refused, Err(ReplyError::Decode(_))), "{refused:?}");
}

#[test]
fn a_status_server_always_carries_a_message_authenticator() {
    let (start, mut rng) = (start(), StdRng::seed_from_u64(1));
    let remotes = vec![Remote::unix()];
    let schedule = RetrySchedule::default();
    let mut transaction = Transaction::new(RequestTemplate::status_server(), remotes, schedule, start);
    let transmit = transaction.poll_transmit(start, &mut rng).unwrap();
    let (packet, secret) = (Packet::decode(transmit.octets).unwrap(), SharedSecret::empty());
    assert!(
        packet
            .authenticate(&secret, LENIENT)
            .unwrap()
            .has_message_authenticator()
    );
}

#[test]
fn debug_shows_neither_password_nor_secret() {
    let run = Run::new(vec![udp()], 4000, 3);
    let text = format!("{:?} {:?}", run.transaction, template());
    assert!(
        !text.contains("accept") && !text.contains("foo") && !text.contains("97, 99"),
        "{text}"
    );
}
