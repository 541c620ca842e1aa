//! A client's request on virtual time: what is sent when, and how it ends.

use std::time::{Duration, Instant};

use krad::{
    AttributeType, Code, EncodeError, LengthPolicy, MessageAuthenticatorRule, NoReply, Packet, Remote,
    ReplyError, ReplyStyle, RequestTemplate, RetrySchedule, SharedSecret, Transaction, Transport,
    VerifyError,
};
use rand::{SeedableRng, rngs::StdRng};

use crate::clock::{ms, start};

const LENIENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: false,
};

fn secret() -> SharedSecret {
    SharedSecret::new(b"foo")
}

fn udp() -> Remote {
    Remote::udp(secret())
}

fn template() -> RequestTemplate {
    RequestTemplate::access_request()
        .with(AttributeType::NAS_IDENTIFIER, b"kdc")
        .and_then(|t| t.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
        .and_then(|t| t.user_password(b"accept"))
        .and_then(|t| t.user_name(b"testUser"))
        .unwrap()
}

/// What a transaction does, and when, in milliseconds.
struct Run {
    transaction: Transaction,
    rng: StdRng,
    start: Instant,
    sent: Vec<(u64, usize, Vec<u8>)>,
}

impl Run {
    fn new(remotes: Vec<Remote>, timeout: u64, retries: u32) -> Self {
        let start = start();
        let schedule = RetrySchedule::new(ms(timeout), retries);
        let mut run = Self {
            transaction: Transaction::new(template(), remotes, schedule, start),
            rng: StdRng::seed_from_u64(7),
            start,
            sent: Vec::new(),
        };
        run.transmit(0);
        run
    }

    fn transmit(&mut self, at: u64) {
        let now = self.start + ms(at);
        while let Some(transmit) = self.transaction.poll_transmit(now, &mut self.rng) {
            let identifier = Packet::decode(transmit.octets).unwrap().identifier();
            assert_eq!(identifier, transmit.identifier);
            self.sent.push((at, transmit.remote, transmit.octets.to_vec()));
        }
    }

    /// The next time at which something is due.
    fn next(&self) -> Option<u64> {
        let due = self.transaction.poll_timeout()?;
        Some(u64::try_from((due - self.start).as_millis()).unwrap())
    }

    /// Goes on, as time passes, until `end` or the outcome; returns when it stopped.
    fn until(&mut self, end: u64) -> u64 {
        let mut at = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            at = next;
            self.transaction.handle_timeout(self.start + ms(at));
            self.transmit(at);
        }
        at
    }

    fn connect_error(&mut self, remote: usize, at: u64) {
        self.transaction.handle_connect_error(remote, self.start + ms(at));
        self.transmit(at);
    }

    fn receive(&mut self, remote: usize, octets: &[u8], at: u64) -> Result<(), ReplyError> {
        self.transaction
            .handle_packet(remote, octets, self.start + ms(at))
    }

    fn times(&self) -> Vec<(u64, usize)> {
        self.sent.iter().map(|(at, remote, _)| (*at, *remote)).collect()
    }

    fn failure(&self) -> Option<NoReply> {
        self.transaction
            .outcome()
            .and_then(|outcome| outcome.as_ref().err().copied())
    }

    fn code(&self) -> Option<Code> {
        let reply = self.transaction.outcome()?.as_ref().ok()?;
        Some(reply.code())
    }
}

/// An authentic reply to what was sent.
fn reply(request: &[u8], secret: &SharedSecret, code: Code) -> Vec<u8> {
    let request = Packet::decode(request)
        .unwrap()
        .authenticate(secret, LENIENT)
        .unwrap();
    let style = if secret.is_empty() {
        ReplyStyle::Libkrad
    } else {
        ReplyStyle::Network
    };
    request.reply(code).sign(style).unwrap()
}

/// Timeout in ms, retries, servers, (time of sending in ms, server): measured with libkrad 1.20 where the timeout
/// is whole seconds; computed with its formula elsewhere.
type Row = (u64, u32, Vec<Remote>, Vec<(u64, usize)>);

fn silent_servers() -> Vec<Row> {
    vec![
        (
            4000,
            3,
            vec![udp()],
            vec![(0, 0), (1000, 0), (2000, 0), (3000, 0)],
        ),
        (3000, 1, vec![udp()], vec![(0, 0), (1500, 0)]),
        (
            4000,
            1,
            vec![udp(), udp()],
            vec![(0, 0), (1000, 0), (2000, 1), (3000, 1)],
        ),
        (5000, 0, vec![udp()], vec![(0, 0)]),
        (5000, 3, vec![Remote::unix()], vec![(0, 0)]),
        (5000, 3, vec![Remote::tcp(secret())], vec![(0, 0)]),
        (
            1000,
            0,
            vec![udp(), udp(), udp()],
            vec![(0, 0), (333, 1), (666, 2)],
        ),
        (
            1000,
            1,
            vec![udp(), udp(), udp()],
            vec![(0, 0), (166, 0), (333, 1), (499, 1), (666, 2), (832, 2)],
        ),
        (
            4000,
            1,
            vec![Remote::unix(), udp()],
            vec![(0, 0), (2000, 1), (3000, 1)],
        ),
        (3, 9, vec![udp()], vec![(0, 0), (0, 0)]),
    ]
}

#[test]
fn silent_servers_are_asked_as_libkrad_asks() {
    for (timeout, retries, remotes, expected) in silent_servers() {
        let mut run = Run::new(remotes.clone(), timeout, retries);
        let end = run.until(u64::MAX);
        assert_eq!(
            (run.times(), end),
            (expected, timeout),
            "{timeout} ms, {retries} retries"
        );
        assert_eq!(run.failure(), Some(NoReply::TimedOut));
        assert!(
            remotes
                .iter()
                .all(|remote| remote.identifiers().outstanding() == 0)
        );
    }
}

#[test]
fn one_server_gets_the_same_octets_and_another_one_a_new_packet() {
    let mut run = Run::new(vec![udp(), udp()], 4000, 3);
    run.until(4000);
    let octets = |server: usize| {
        run.sent
            .iter()
            .filter(move |sent| sent.1 == server)
            .map(|sent| &sent.2)
    };
    for server in [0, 1] {
        assert_eq!(octets(server).count(), 4);
        assert!(octets(server).all(|packet| Some(packet) == octets(server).next()));
    }
    let (first, second) = (octets(0).next().unwrap(), octets(1).next().unwrap());
    let (first, second) = (Packet::decode(first).unwrap(), Packet::decode(second).unwrap());
    assert_ne!(first.authenticator(), second.authenticator());
    let hidden = |packet: &Packet<'_>| {
        packet
            .attributes()
            .first(AttributeType::USER_PASSWORD)
            .unwrap()
            .to_vec()
    };
    assert_ne!(hidden(&first), hidden(&second));
    for packet in [first, second] {
        let secret = secret();
        let request = packet
            .authenticate(&secret, MessageAuthenticatorRule::Required)
            .unwrap();
        assert_eq!(*request.user_password().unwrap().unwrap(), b"accept");
        let kinds: Vec<u8> = request
            .attributes()
            .iter()
            .map(|attribute| attribute.kind.0)
            .collect();
        assert_eq!(kinds, [80, 32, 6, 2, 1], "in the order of the template");
    }
}

#[test]
fn a_kdc_sends_nothing_else_on_a_unix_socket() {
    let run = Run::new(vec![Remote::unix()], 5000, 3);
    let packet = Packet::decode(&run.sent[0].2).unwrap();
    let kinds: Vec<u8> = packet
        .attributes()
        .iter()
        .map(|attribute| attribute.kind.0)
        .collect();
    assert_eq!(kinds, [32, 6, 2, 1]);
    assert_eq!(Remote::unix().transport(), Transport::Stream);
}

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

/// libkrad's t_remote and t_client: 1000 ms, 3 retries; accepted, rejected, given up at once, server stopped.
#[test]
fn libkrads_own_sequence() {
    let remote = udp();
    let mut run = Run::new(vec![remote.clone()], 1000, 3);
    let accept = reply(&run.sent[0].2, &secret(), Code::ACCESS_ACCEPT);
    assert_eq!(run.receive(0, &accept, 0), Ok(()));
    assert_eq!(run.code(), Some(Code::ACCESS_ACCEPT));

    let mut run = Run::new(vec![remote.clone()], 1000, 3);
    let reject = reply(&run.sent[0].2, &secret(), Code::ACCESS_REJECT);
    assert_eq!(run.receive(0, &reject, 0), Ok(()));
    assert_eq!(run.code(), Some(Code::ACCESS_REJECT));

    let run = Run::new(vec![remote.clone()], 1000, 3);
    assert_eq!(remote.identifiers().outstanding(), 1);
    drop(run);
    assert_eq!(remote.identifiers().outstanding(), 0, "given up");

    let mut run = Run::new(vec![remote], 1000, 3);
    assert_eq!(run.until(u64::MAX), 1000);
    assert_eq!(run.times(), [(0, 0), (250, 0), (500, 0), (750, 0)]);
    assert_eq!(run.failure(), Some(NoReply::TimedOut));
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
fn a_dead_server_hands_its_time_on() {
    // Two seconds each; the first is dead from the beginning, so the second has four.
    let mut run = Run::new(vec![udp(), udp()], 4000, 1);
    run.connect_error(0, 0);
    assert_eq!(run.until(u64::MAX), 4000);
    assert_eq!(run.times(), [(0, 0), (0, 1), (2000, 1)]);

    // Three servers; the second dies half-way in its turn.
    let mut run = Run::new(vec![udp(), udp(), Remote::unix()], 3000, 1);
    run.until(1000);
    run.connect_error(1, 1200);
    run.connect_error(1, 1300); // again: it is known
    assert_eq!(run.until(u64::MAX), 3000);
    assert_eq!(run.times(), [(0, 0), (500, 0), (1000, 1), (1200, 2)]);
    assert_eq!(
        run.failure(),
        Some(NoReply::TimedOut),
        "the first may still answer"
    );
}

#[test]
fn nobody_left_to_ask_ends_it_at_once() {
    let mut run = Run::new(vec![Remote::unix()], 5000, 3);
    run.connect_error(0, 0);
    assert_eq!((run.failure(), run.next()), (Some(NoReply::Unreachable), None));

    let mut run = Run::new(vec![Remote::unix(), Remote::tcp(secret())], 5000, 3);
    run.connect_error(0, 0);
    assert_eq!(run.failure(), None);
    run.connect_error(1, 20);
    assert_eq!(run.failure(), Some(NoReply::Unreachable));

    // The second one breaks first, then the first.
    let mut run = Run::new(vec![Remote::unix(), Remote::unix()], 5000, 3);
    run.until(2500);
    run.connect_error(1, 2600);
    assert_eq!(
        (run.failure(), run.next()),
        (None, Some(5000)),
        "the first may still answer"
    );
    run.connect_error(0, 2700);
    assert_eq!(run.failure(), Some(NoReply::Unreachable));

    assert_eq!(
        Run::new(Vec::new(), 5000, 3).failure(),
        Some(NoReply::Unreachable)
    );
}

#[test]
fn the_last_datagram_server_is_asked_again_while_it_has_tries() {
    let mut run = Run::new(vec![udp()], 4000, 3);
    for at in [0, 1000, 2000] {
        run.until(at);
        run.connect_error(0, at);
        assert_eq!(run.failure(), None);
    }
    run.until(3000);
    assert_eq!(run.times(), [(0, 0), (1000, 0), (2000, 0), (3000, 0)]);
    let mut restarted = Run::new(vec![udp()], 4000, 3);
    restarted.connect_error(0, 0);
    restarted.until(1000);
    let accept = reply(&restarted.sent[1].2, &secret(), Code::ACCESS_ACCEPT);
    assert_eq!(restarted.receive(0, &accept, 1001), Ok(()));

    run.connect_error(0, 3000);
    assert_eq!(run.failure(), Some(NoReply::Unreachable));
}

#[test]
fn a_late_caller_sends_no_burst() {
    let mut run = Run::new(vec![udp(), udp(), udp()], 6000, 3);
    run.transaction.handle_timeout(run.start + ms(5100)); // in the third try of the third server
    run.transmit(5100);
    assert_eq!(run.times(), [(0, 0), (5100, 2)]);
    assert_eq!(run.next(), Some(5500));
    run.transaction.handle_timeout(run.start + ms(9000));
    run.transmit(9000);
    assert_eq!((run.times().len(), run.failure()), (2, Some(NoReply::TimedOut)));
}

#[test]
fn nothing_happens_before_its_time_or_after_the_deadline() {
    let mut run = Run::new(vec![udp()], 4000, 3);
    for at in 0..1000 {
        run.transaction.handle_timeout(run.start + ms(at));
        run.transmit(at);
    }
    assert_eq!(run.times(), [(0, 0)]);
    run.transaction.handle_timeout(run.start + ms(1000));
    run.transmit(4000); // too late to send what was due
    assert_eq!(
        (run.times(), run.failure()),
        (vec![(0, 0)], Some(NoReply::TimedOut))
    );

    let mut at_once = Run::new(vec![udp()], 0, 3);
    assert_eq!(
        (at_once.times(), at_once.failure()),
        (vec![], Some(NoReply::TimedOut))
    );
    at_once.connect_error(0, 0);
    assert_eq!(at_once.failure(), Some(NoReply::TimedOut));
}

#[test]
fn identifiers_of_one_socket_are_unique_and_run_out() {
    let remote = udp();
    let mut runs: Vec<Run> = (0..256)
        .map(|_| Run::new(vec![remote.clone()], 4000, 3))
        .collect();
    let mut identifiers: Vec<u8> = runs.iter().map(|run| run.sent[0].2[1]).collect();
    identifiers.sort_unstable();
    assert_eq!(identifiers, (0..=255).collect::<Vec<u8>>());

    let none_left = Run::new(vec![remote.clone()], 4000, 3);
    assert!(matches!(
        none_left.failure(),
        Some(NoReply::IdentifiersExhausted(_))
    ));
    assert_eq!(none_left.times(), []);
    let elsewhere = Run::new(vec![remote.clone(), udp()], 4000, 3);
    assert_eq!(elsewhere.times(), [(0, 1)], "another server is asked at once");

    runs.truncate(255);
    assert_eq!(Run::new(vec![remote], 4000, 3).times(), [(0, 0)]);
}

#[test]
fn a_template_that_does_not_fit_is_refused_as_soon_as_it_is_known() {
    let nas = [b'n'; 253];
    let full = (0..15).try_fold(RequestTemplate::access_request(), |t, _| {
        t.with(AttributeType::CLASS, &nas)
    });
    let full = full.unwrap().with(AttributeType::CLASS, &[0; 249]).unwrap(); // 4096 octets
    let more = full.clone().with(AttributeType::CLASS, b"x");
    assert_eq!(more.err(), Some(EncodeError::PacketLength(4099)));
    let schedule = RetrySchedule::default();
    let (start, mut rng) = (start(), StdRng::seed_from_u64(1));
    let mut with_mac = Transaction::new(full.clone(), vec![udp()], schedule, start);
    assert!(with_mac.poll_transmit(start, &mut rng).is_none());
    let too_long = NoReply::Encode(EncodeError::PacketLength(4114));
    assert_eq!(with_mac.outcome().unwrap().as_ref().unwrap_err(), &too_long);
    let mut without = Transaction::new(full, vec![Remote::unix()], schedule, start);
    assert_eq!(without.poll_transmit(start, &mut rng).unwrap().octets.len(), 4096);

    let reserved = [AttributeType::MESSAGE_AUTHENTICATOR, AttributeType::USER_PASSWORD];
    for kind in reserved {
        let refused = RequestTemplate::access_request().with(kind, &[0; 16]);
        assert_eq!(refused.err(), Some(EncodeError::Reserved(kind)));
    }
    let long = RequestTemplate::access_request().user_password(&[b'p'; 129]);
    assert_eq!(long.err(), Some(EncodeError::PasswordLength(129)));
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

#[test]
fn the_longest_times_are_total() {
    let remotes = vec![udp(), udp()];
    let schedule = RetrySchedule::new(Duration::MAX, u32::MAX);
    let (start, mut rng) = (start(), StdRng::seed_from_u64(1));
    let mut transaction = Transaction::new(template(), remotes, schedule, start);
    assert!(transaction.poll_transmit(start, &mut rng).is_some());
    assert!(transaction.poll_timeout().is_some_and(|next| next > start));
    transaction.handle_connect_error(0, start);
    assert_eq!(
        transaction.poll_transmit(start, &mut rng).map(|t| t.remote),
        Some(1)
    );
}
