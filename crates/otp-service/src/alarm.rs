//! Clocks that part: a wall clock from the time that passes, or the machine's from that of the store.

use std::{fmt, time::Duration};

use tracing::warn;

use crate::watch::{DRIFT, Reading};

/// Clocks that part by more than this are worth a line: a step of TOTP (RFC 6238 §5.2), beyond which right codes are refused.
const NOTABLE: Duration = Duration::from_secs(30);
/// Jumps are told no more often than this.
const BETWEEN_JUMPS: Duration = Duration::from_secs(60);
/// Two clocks that stay apart are told no more often than this.
const BETWEEN_REMINDERS: Duration = Duration::from_secs(3600);

/// Whose clock it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Of the machine that this runs on.
    Machine,
    /// Of the store that several machines share: the one that decides.
    Store,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "the clock of this machine",
            Self::Store => "the clock of the database server",
        })
    }
}

/// What somebody should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// A clock has been set, or time has passed without it: it is so many seconds off what it showed before.
    Jumped {
        whose: Whose,
        seconds: i64,
        /// How many such jumps have not been told since the last that was.
        untold: u32,
    },
    /// The machine's clock is so many seconds ahead of the store's.
    Apart {
        seconds: i64,
        /// Whose clock jumped last, if any did.
        suspect: Option<Whose>,
    },
}

impl Alarm {
    /// Writes the line.
    pub(crate) fn say(self) {
        match self {
            Self::Jumped {
                whose,
                seconds,
                untold,
            } => warn!(
                seconds,
                untold,
                "{whose} jumped {}: codes of TOTP tokens are refused while it is wrong; see to its time synchronisation \
                 (timedatectl, chronyc tracking). After a suspension of the machine this is how it catches up",
                if seconds < 0 { "back" } else { "forward" }
            ),
            Self::Apart { seconds, suspect } => warn!(
                seconds,
                suspect = suspect.map(tracing::field::display),
                "the clock of this machine and that of the database server are apart; codes of TOTP tokens are judged by the \
                 database server's. See to the time synchronisation of both (timedatectl, chronyc tracking)"
            ),
        }
    }
}

/// Sees the clocks about once a second.
#[derive(Debug, Default)]
pub(crate) struct Alarms {
    machine: Steady,
    store: Steady,
    jumps: Seldom,
    reminders: Seldom,
    jumped_last: Option<Whose>,
}

impl Alarms {
    /// What there is to tell of a reading of the machine's clock and, if it has one, the store's.
    pub(crate) fn look(&mut self, machine: Reading, store: Option<Reading>) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        let by_machine = self.machine.jumped(machine);
        let by_store = store.and_then(|store| self.store.jumped(store));
        for (whose, jump) in [(Whose::Machine, by_machine), (Whose::Store, by_store)] {
            let Some(seconds) = jump else { continue };
            self.jumped_last = Some(whose);
            if let Some(untold) = self.jumps.tell(machine.answered, BETWEEN_JUMPS) {
                alarms.push(Alarm::Jumped {
                    whose,
                    seconds,
                    untold,
                });
            }
        }
        let apart = store.and_then(|store| notable(machine.offset().minus(store.offset()).nearest_to(0)));
        match apart {
            None => self.reminders = Seldom::default(),
            Some(seconds) => {
                if self.reminders.tell(machine.answered, BETWEEN_REMINDERS).is_some() {
                    alarms.push(Alarm::Apart {
                        seconds,
                        suspect: self.jumped_last,
                    });
                }
            }
        }
        alarms
    }
}

/// How far a clock is ahead of the time that has passed, as far as its readings tell.
#[derive(Debug, Default)]
struct Steady(Option<Known>);

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Nanoseconds.
    ahead: i128,
    at: Duration,
}

impl Steady {
    /// By how many seconds the clock has jumped since it was seen before, if that is notable.
    fn jumped(&mut self, reading: Reading) -> Option<i64> {
        let offset = reading.offset();
        let Some(known) = self.0 else {
            self.0 = Some(Known {
                ahead: offset.nearest_to(offset.middle()),
                at: reading.answered,
            });
            return None;
        };
        // Clocks that are both right part slowly, and what has been taken for that is not held against them later.
        let passed = reading.answered.saturating_sub(known.at);
        let slack = nanos(passed / DRIFT);
        let parted = offset.nearest_to(known.ahead).saturating_sub(known.ahead);
        let drifted = parted.clamp(slack.saturating_neg(), slack);
        let jump = notable(parted.saturating_sub(drifted));
        self.0 = Some(Known {
            ahead: match jump {
                Some(_) => offset.middle(),
                None => known.ahead.saturating_add(drifted),
            },
            at: known.at.max(reading.answered),
        });
        jump
    }
}

/// Whole seconds, if they are many.
fn notable(nanoseconds: i128) -> Option<i64> {
    const SECOND: i128 = 1_000_000_000;
    let seconds =
        i64::try_from(nanoseconds / SECOND).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX });
    (nanoseconds.saturating_abs() > nanos(NOTABLE)).then_some(seconds)
}

/// Something between these two, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Between {
    low: i128,
    high: i128,
}

impl Between {
    fn middle(self) -> i128 {
        self.low.midpoint(self.high)
    }

    fn nearest_to(self, value: i128) -> i128 {
        value.max(self.low).min(self.high)
    }

    fn minus(self, other: Self) -> Self {
        Self {
            low: self.low.saturating_sub(other.high),
            high: self.high.saturating_sub(other.low),
        }
    }
}

impl Reading {
    /// How far the clock is ahead of the time that has passed. It shows whole seconds, at some moment between question
    /// and answer.
    fn offset(self) -> Between {
        let shown = nanos(Duration::from_secs(self.time.0));
        let next = nanos(Duration::from_secs(self.time.0.saturating_add(1)));
        Between {
            low: shown.saturating_sub(nanos(self.answered)),
            high: next.saturating_sub(nanos(self.asked)),
        }
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX)
}

/// Counts what is not told.
#[derive(Debug, Default)]
struct Seldom {
    told: Option<Duration>,
    untold: u32,
}

impl Seldom {
    /// How many have gone untold, if it is time to tell again.
    fn tell(&mut self, now: Duration, between: Duration) -> Option<u32> {
        let is_early = self.told.is_some_and(|told| now.saturating_sub(told) < between);
        if is_early {
            self.untold = self.untold.saturating_add(1);
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }
}

#[cfg(test)]
mod tests {
    use otp_validation::UnixTime;

    use super::*;

    const BEGIN: u64 = 1_700_000_000;

    /// A clock of this machine, this long after the start, so many seconds ahead of what it should show.
    fn after(passed: Duration, ahead: i64) -> Reading {
        Reading {
            time: UnixTime((BEGIN + passed.as_secs()).saturating_add_signed(ahead)),
            asked: passed,
            answered: passed,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Seconds by which the clock is set after an hour, and the jump that is told.
    const JUMPS: &[(i64, Option<i64>)] = &[
        (0, None),
        (1, None),
        (-1, None),
        (29, None),
        (-29, None),
        (33, Some(32)),
        (-33, Some(-32)),
        (86_400, Some(86_399)),
        (-86_400, Some(-86_399)),
        (31_536_000, Some(31_535_999)),
    ];

    #[test]
    fn jumps_either_way_are_told_once() {
        for (set, told) in JUMPS {
            let mut alarms = Alarms::default();
            for second in 0..3600 {
                assert_eq!(alarms.look(after(seconds(second), 0), None), [], "{second}");
            }
            let seen = alarms.look(after(seconds(3600), *set), None);
            match told {
                None => assert_eq!(seen, [], "{set}"),
                Some(told) => {
                    let [Alarm::Jumped { whose, seconds, .. }] = seen[..] else {
                        panic!("{set}: {seen:?}")
                    };
                    assert_eq!(whose, Whose::Machine);
                    // Whole seconds are shown, and one in a thousand may be drift.
                    assert!(seconds.abs_diff(*told) <= 1, "{set}: {seconds}");
                }
            }
            for second in 3601..7200 {
                assert_eq!(
                    alarms.look(after(seconds(second), *set), None),
                    [],
                    "{set} {second}"
                );
            }
        }
    }

    #[test]
    fn one_line_a_minute_at_most_and_none_is_lost() {
        let mut alarms = Alarms::default();
        let mut told = Vec::new();
        for second in 0..300 {
            let ahead = if second % 2 == 0 { 0 } else { 1000 };
            told.extend(alarms.look(after(seconds(second), ahead), None));
        }
        assert_eq!(told.len(), 5, "{told:?}");
        let (mut last, mut all) = (0, 0);
        for alarm in told {
            let Alarm::Jumped { untold, .. } = alarm else {
                panic!("{alarm:?}")
            };
            (last, all) = (untold, all + untold + 1);
        }
        assert_eq!(
            (last, all),
            (59, 241),
            "what follows the last line is told with the next"
        );
    }

    #[test]
    fn clocks_that_part_slowly_are_both_right() {
        // Half a second in a thousand, either way, over ten days: more than seven minutes in all.
        for slowly in [-1_i64, 1] {
            let mut alarms = Alarms::default();
            for second in (0..864_000_u64).step_by(10) {
                let ahead = slowly * i64::try_from(second / 2000).unwrap();
                assert_eq!(alarms.look(after(seconds(second), ahead), None), [], "{second}");
            }
        }
    }

    #[test]
    fn small_steps_add_up() {
        let mut alarms = Alarms::default();
        let told: Vec<_> = (0..600)
            .flat_map(|second| {
                // Five seconds in each minute.
                let ahead = i64::try_from(second / 60).unwrap() * 5;
                alarms.look(after(seconds(second), ahead), None)
            })
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
    }

    #[test]
    fn two_clocks_apart_are_told_with_the_one_that_jumped() {
        let mut alarms = Alarms::default();
        let remote = |passed: Duration, ahead: i64| Reading {
            asked: passed.saturating_sub(Duration::from_millis(200)),
            ..after(passed, ahead)
        };
        let mut look = |second: u64, machine: i64, store: i64| {
            let passed = seconds(second);
            alarms.look(after(passed, machine), Some(remote(passed, store)))
        };
        assert_eq!(look(1, 0, 0), []);
        assert_eq!(look(2, 29, 0), [], "less than a step");
        assert_eq!(
            look(3, 29, -20),
            [Alarm::Apart {
                seconds: 47,
                suspect: None
            }],
            "each moved a little"
        );
        assert_eq!(look(4, 29, -20), [], "told");
        assert_eq!(look(5, 0, 0), [], "together again");
        let seen = look(6, 0, 500);
        assert!(
            matches!(
                seen[..],
                [
                    Alarm::Jumped {
                        whose: Whose::Store,
                        seconds: 498..=500,
                        untold: 0
                    },
                    Alarm::Apart {
                        seconds: -500..=-498,
                        suspect: Some(Whose::Store)
                    },
                ]
            ),
            "{seen:?}"
        );
        assert_eq!(look(3605, 0, 500), [], "within the hour");
        assert!(
            matches!(look(3606, 0, 500)[..], [Alarm::Apart { .. }]),
            "and again"
        );
        let seen = look(3700, 500, 500);
        assert!(
            matches!(
                seen[..],
                [Alarm::Jumped {
                    whose: Whose::Machine,
                    ..
                }]
            ),
            "the other one follows: {seen:?}"
        );
    }

    #[test]
    fn a_slow_answer_is_no_jump() {
        let mut alarms = Alarms::default();
        let here = |second| after(seconds(second), 0);
        assert_eq!(alarms.look(here(0), Some(here(0))), []);
        // Asked at 1, answered at 91: whatever it showed in between is right.
        for shown in [1, 45, 91] {
            let late = Reading {
                time: UnixTime(BEGIN + shown),
                asked: seconds(1),
                answered: seconds(91),
            };
            assert_eq!(alarms.look(here(91), Some(late)), [], "{shown}");
        }
    }

    #[test]
    fn the_ends_of_time_are_no_trouble() {
        let mut alarms = Alarms::default();
        for (time, moment) in [
            (0, Duration::MAX),
            (u64::MAX, Duration::ZERO),
            (0, Duration::ZERO),
            (u64::MAX, Duration::MAX),
        ] {
            let reading = Reading {
                time: UnixTime(time),
                asked: moment,
                answered: moment,
            };
            let _ = alarms.look(reading, Some(reading));
        }
        assert_eq!(
            Alarms::default().look(after(seconds(1), 0), None),
            [],
            "the first reading says nothing"
        );
    }
}
