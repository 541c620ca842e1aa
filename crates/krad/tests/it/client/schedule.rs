//! What is sent when, on virtual time.

use super::*;

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
