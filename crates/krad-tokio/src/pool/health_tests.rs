//! The health of servers on a clock that is moved by hand.

use proptest::prelude::*;

use super::*;

fn start() -> Instant {
    tokio::time::Instant::now().into_std()
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const WITHOUT: HealthTerms = HealthTerms {
    status_server: false,
    watchdog: seconds(30),
    probe_interval: seconds(3),
    failures: 3,
    recoveries: 2,
    revive_after: seconds(60),
};

#[test]
fn a_server_that_answers_is_asked_after_silence() {
    let start = start();
    let mut health = Health::new(HealthTerms::default(), start);
    assert!(
        health.handle_timeout(start),
        "nothing is known: it is asked at once"
    );
    assert_eq!(
        health.poll_timeout(),
        None,
        "while the Status-Server is on its way"
    );
    health.probe_answered(start);
    assert_eq!(health.poll_timeout(), Some(start + seconds(30)));
    health.answered(start + seconds(20));
    assert!(!health.handle_timeout(start + seconds(30)), "it was heard since");
    assert!(health.handle_timeout(start + seconds(50)));
}

#[test]
fn silence_is_looked_into_and_three_times_is_death() {
    let start = start();
    let mut health = Health::new(HealthTerms::default(), start);
    health.answered(start);
    health.unanswered(start + seconds(1), start + seconds(3));
    assert_eq!(health.state(), State::Suspect);
    let mut now = start + seconds(3);
    for expected in [State::Suspect, State::Suspect, State::Dead] {
        assert!(health.handle_timeout(now), "at once");
        now += seconds(3);
        health.probe_unanswered(now);
        assert_eq!(health.state(), expected);
    }
    assert_eq!(
        health.poll_timeout(),
        Some(now + seconds(3)),
        "from now on every three seconds"
    );
    now += seconds(3);
    assert!(health.handle_timeout(now));
    health.probe_answered(now);
    assert_eq!(health.state(), State::Dead, "once may be chance");
    assert_eq!(health.poll_timeout(), Some(now + seconds(1)));
    assert!(health.handle_timeout(now + seconds(1)));
    health.probe_answered(now + seconds(1));
    assert_eq!(health.state(), State::Alive);
}

#[test]
fn a_request_that_is_not_answered_among_others_that_are_says_nothing() {
    let start = start();
    let mut health = Health::new(HealthTerms::default(), start);
    health.answered(start + seconds(2));
    health.unanswered(start + seconds(1), start + seconds(4));
    assert_eq!(health.state(), State::Alive);
}

#[test]
fn an_answer_to_a_request_ends_every_doubt() {
    let start = start();
    let mut health = Health::new(HealthTerms::default(), start);
    for second in 0..100 {
        health.unreachable(start);
        assert_eq!(
            health.state(),
            State::Suspect,
            "{second}: only Status-Server tells"
        );
    }
    for _ in 0..3 {
        assert!(health.handle_timeout(start));
        health.probe_unanswered(start);
    }
    assert_eq!(health.state(), State::Dead);
    health.answered(start + seconds(6));
    assert_eq!(health.state(), State::Alive);
}

#[test]
fn without_status_server_a_dead_one_is_tried_with_one_request() {
    let start = start();
    let mut health = Health::new(WITHOUT, start);
    assert_eq!(health.poll_timeout(), None, "it is never asked");
    for _ in 0..2 {
        health.unanswered(start, start + seconds(4));
        assert_eq!(health.state(), State::Alive);
    }
    health.unanswered(start, start + seconds(4));
    assert_eq!(health.state(), State::Dead);
    assert_eq!(health.poll_timeout(), Some(start + seconds(64)));
    assert!(!health.handle_timeout(start + seconds(64)), "no Status-Server");
    assert_eq!(health.state(), State::Alive);
    health.unanswered(start + seconds(65), start + seconds(69));
    assert_eq!(health.state(), State::Dead, "one more is enough");
}

#[test]
fn the_living_come_first_and_the_dead_only_alone() {
    use State::{Alive, Dead, Suspect};
    for (states, order, turn, expected) in [
        (&[Alive, Alive, Alive][..], Order::Failover, 7, &[0, 1, 2][..]),
        (&[Suspect, Alive, Dead], Order::Failover, 0, &[1, 0]),
        (&[Dead, Dead], Order::Failover, 0, &[0, 1]),
        (&[Alive, Alive, Alive], Order::Spread, 1, &[1, 2, 0]),
        (&[Alive, Dead, Alive], Order::Spread, 4, &[2, 0]),
        (&[Dead, Dead], Order::Spread, 3, &[1, 0]),
        (&[], Order::Spread, 3, &[]),
    ] {
        assert_eq!(
            ranked(states, order, turn),
            expected,
            "{states:?} {order:?} {turn}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever happens: a server in doubt is looked at again, a Status-Server is never sent while another one is on its
    /// way, and none at all to a server that does not know it.
    #[test]
    fn nobody_is_dead_for_ever(
        status_server: bool,
        events in proptest::collection::vec((0_u8..5, 0_u64..40), 0..60),
    ) {
        let terms = HealthTerms { status_server, ..HealthTerms::default() };
        let mut now = start();
        let mut health = Health::new(terms, now);
        let mut probing = false;
        for (event, by) in events {
            now += seconds(by);
            match event {
                0 => health.answered(now),
                1 => health.unanswered(now - seconds(2), now),
                2 => health.unreachable(now),
                _ if probing && event == 3 => { health.probe_answered(now); probing = false; }
                _ if probing => { health.probe_unanswered(now); probing = false; }
                _ => {
                    let sends = health.handle_timeout(now);
                    prop_assert!(!sends || (status_server && !probing));
                    probing |= sends;
                }
            }
            prop_assert!(
                health.state() == State::Alive || probing || health.poll_timeout().is_some(),
                "{health:?} is left alone"
            );
        }
        // Whoever answers is alive in the end.
        for _ in 0..5 {
            if probing {
                health.probe_answered(now);
                probing = false;
            }
            if let Some(due) = health.poll_timeout() {
                now = now.max(due);
                probing = health.handle_timeout(now);
            }
        }
        prop_assert_eq!(health.state(), State::Alive);
    }
}
