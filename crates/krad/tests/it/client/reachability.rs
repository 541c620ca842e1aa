//! Servers that cannot be reached, Identifiers that run out, templates that do not fit.

use super::*;

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
