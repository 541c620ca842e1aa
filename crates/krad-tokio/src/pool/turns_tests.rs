//! Turns on a clock that is moved by hand.

use proptest::prelude::*;

use super::*;

/// The clock of a test. Its beginning is of no account.
fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Everything that is sent until the end, in milliseconds from the start, and the end itself.
fn run(turns: &mut Turns, start: Instant) -> (Vec<(u128, Step)>, Step, u128) {
    let (mut now, mut sent) = (start, Vec::new());
    loop {
        match turns.step(now) {
            Step::Wait(until) => {
                assert!(until > now, "no step before its time, no step twice");
                now = until;
            }
            step @ (Step::Ask(_) | Step::Again(_)) => sent.push(((now - start).as_millis(), step)),
            end => return (sent, end, (now - start).as_millis()),
        }
    }
}

#[test]
fn one_silent_server_is_asked_three_times_and_waited_for_to_the_end() {
    let start = start();
    let mut turns = Turns::new([Carrier::Datagrams], start, start + millis(3900));
    let (sent, end, at) = run(&mut turns, start);
    assert_eq!(
        sent,
        [(0, Step::Ask(0)), (1300, Step::Again(0)), (2600, Step::Again(0))]
    );
    assert_eq!((end, at), (Step::TimedOut, 3900));
}

#[test]
fn silent_servers_share_the_time() {
    let start = start();
    let servers = [Carrier::Stream, Carrier::Datagrams, Carrier::Datagrams];
    let mut turns = Turns::new(servers, start, start + millis(3900));
    let (sent, end, _) = run(&mut turns, start);
    let order: Vec<_> = sent
        .iter()
        .filter(|(_, step)| matches!(step, Step::Ask(_)))
        .copied()
        .collect();
    assert_eq!(
        order,
        [(0, Step::Ask(0)), (1300, Step::Ask(1)), (2600, Step::Ask(2))]
    );
    assert_eq!(end, Step::TimedOut);
}

#[test]
fn who_cannot_be_reached_costs_no_time() {
    let start = start();
    let mut turns = Turns::new([Carrier::Stream, Carrier::Stream], start, start + millis(4000));
    assert_eq!(turns.step(start), Step::Ask(0));
    turns.unreachable(0, start);
    assert_eq!(turns.step(start), Step::Ask(1), "the next one at once");
    turns.unreachable(1, start);
    assert_eq!(
        turns.step(start),
        Step::Ask(1),
        "the last one once more, on another stream"
    );
    turns.unreachable(1, start);
    assert_eq!(turns.step(start), Step::Unreachable);
}

#[test]
fn a_port_where_nobody_listens_yet_is_tried_again() {
    let start = start();
    let mut turns = Turns::new([Carrier::Datagrams], start, start + millis(3000));
    assert_eq!(turns.step(start), Step::Ask(0));
    turns.unreachable(0, start);
    assert_eq!(turns.step(start), Step::Wait(start + millis(1000)));
    assert_eq!(turns.step(start + millis(1000)), Step::Again(0));
    assert_eq!(turns.step(start + millis(2000)), Step::Again(0));
    turns.unreachable(0, start + millis(2000));
    assert_eq!(turns.step(start + millis(2000)), Step::Unreachable);
}

#[test]
fn who_has_no_room_has_no_turn() {
    let start = start();
    let mut turns = Turns::new(
        [Carrier::Datagrams, Carrier::Datagrams],
        start,
        start + millis(4000),
    );
    assert_eq!(turns.step(start), Step::Ask(0));
    turns.unavailable(0, start);
    assert_eq!(turns.step(start), Step::Ask(1));
    turns.unavailable(1, start);
    assert_eq!(turns.step(start), Step::Unreachable);
}

#[test]
fn more_servers_than_seconds_are_not_asked() {
    let start = start();
    let mut turns = Turns::new([Carrier::Stream; 9], start, start + millis(3900));
    let (sent, _, _) = run(&mut turns, start);
    assert_eq!(sent.len(), 3);
}

#[test]
fn no_server_is_no_answer() {
    let start = start();
    assert_eq!(
        Turns::new([], start, start + millis(4000)).step(start),
        Step::Unreachable
    );
}

fn carrier() -> impl Strategy<Value = Carrier> {
    prop_oneof![Just(Carrier::Datagrams), Just(Carrier::Stream)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever fails, and however late the caller is: nothing is sent at or after the deadline, nor so late that no answer
    /// can come; each server is asked in its order, never more often than it may be; and it ends.
    #[test]
    fn nothing_is_sent_that_cannot_be_answered(
        servers in proptest::collection::vec(carrier(), 0..6),
        patience in 1_u64..10_000,
        events in proptest::collection::vec((0_u8..4, 0_usize..6, 0_u64..900), 0..60),
    ) {
        let start = start();
        let deadline = start + millis(patience);
        let mut turns = Turns::new(servers.clone(), start, deadline);
        let (mut now, mut events) = (start, events.into_iter());
        let (mut asked, mut sent) = (Vec::new(), vec![0_u32; servers.len()]);
        for _ in 0..200 {
            match turns.step(now) {
                Step::Ask(index) => {
                    prop_assert!(now + LAST_MOMENT < deadline);
                    asked.push(index);
                    sent[index] += 1;
                    let most = if servers[index] == Carrier::Stream { 2 } else { TRIES };
                    prop_assert!(sent[index] <= most);
                }
                Step::Again(index) => {
                    prop_assert!(now + LAST_MOMENT < deadline);
                    prop_assert_eq!(servers[index], Carrier::Datagrams);
                    prop_assert_eq!(asked.last(), Some(&index), "only whose turn it is");
                    sent[index] += 1;
                    prop_assert!(sent[index] <= TRIES);
                }
                Step::Wait(until) => {
                    prop_assert!(until > now && until <= deadline);
                    now = match events.next() {
                        Some((0, index, _)) => { turns.unreachable(index, now); now }
                        Some((1, index, _)) => { turns.unavailable(index, now); now }
                        // Late, or early.
                        Some((_, _, by)) => now + millis(by),
                        None => until,
                    };
                }
                Step::TimedOut => {
                    prop_assert!(now + LAST_MOMENT >= deadline);
                    break;
                }
                Step::Unreachable => {
                    prop_assert_eq!(turns.awaited().count(), 0);
                    break;
                }
            }
        }
        prop_assert!(matches!(turns.step(now), Step::TimedOut | Step::Unreachable), "it ends");
        prop_assert!(asked.windows(2).all(|pair| pair[0] <= pair[1]), "in order: {asked:?}");
    }
}
