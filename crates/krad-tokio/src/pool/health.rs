//! Whether a server lives: what its answers, its silence and its answers to Status-Server (RFC 5997) say. No socket, no clock.

use std::time::{Duration, Instant};

use super::turns::later;

/// How silence is told from death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthTerms {
    /// Whether the server answers Status-Server. If it does not, a dead one is tried again with a user's request.
    pub status_server: bool,
    /// After how long without an authentic packet a server is asked whether it lives (RFC 3539 §3.4.1: 30 s).
    pub watchdog: Duration,
    /// How long an answer to Status-Server may take, and how long after it the next one is sent to a server in doubt.
    pub probe_interval: Duration,
    /// How many Status-Servers in a row make a server dead that are not answered; where there are none, how many requests.
    pub failures: u32,
    /// How many Status-Servers in a row a dead one has to answer.
    pub recoveries: u32,
    /// After how long a dead server that does not know Status-Server is tried again.
    pub revive_after: Duration,
}

impl Default for HealthTerms {
    fn default() -> Self {
        Self {
            status_server: true,
            watchdog: Duration::from_secs(30),
            probe_interval: Duration::from_secs(3),
            failures: 3,
            recoveries: 2,
            revive_after: Duration::from_secs(60),
        }
    }
}

/// What is believed of a server. The better ones are asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It answers.
    Alive,
    /// A request was not answered; Status-Server will tell.
    Suspect,
    /// It is asked only if no other one lives.
    Dead,
}

impl State {
    /// One word: `alive`, `suspect`, `dead`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Dead => "dead",
        }
    }
}

/// The health of one server.
///
/// An authentic answer to a request is the best sign of life: it ends every doubt. What is not authentic is no sign at all.
#[derive(Clone, Debug)]
pub struct Health {
    terms: HealthTerms,
    state: State,
    /// The last authentic packet.
    heard: Option<Instant>,
    /// What counts and was not answered since.
    failures: u32,
    /// Status-Servers that a dead one has answered in a row.
    recoveries: u32,
    /// When to send the next Status-Server, or to try a dead one again.
    due: Option<Instant>,
    /// A Status-Server is on its way.
    is_probing: bool,
}

impl Health {
    /// A server of which nothing is known at `now`: it is believed to live, and asked whether it does.
    #[must_use]
    pub fn new(terms: HealthTerms, now: Instant) -> Self {
        Self {
            terms,
            state: State::Alive,
            heard: None,
            failures: 0,
            recoveries: 0,
            due: terms.status_server.then_some(now),
            is_probing: false,
        }
    }

    /// What is believed.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; `None` if nothing is planned.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        if self.is_probing { None } else { self.due }
    }

    /// Whether a Status-Server is to be sent at `now`; its outcome has to be told. Does nothing before its time.
    #[must_use]
    pub fn handle_timeout(&mut self, now: Instant) -> bool {
        if self.is_probing || self.due.is_none_or(|due| now < due) {
            return false;
        }
        self.due = None;
        if self.terms.status_server {
            self.is_probing = true;
            return true;
        }
        // One request tries it: if that has no answer either, it is dead again.
        self.state = State::Alive;
        self.failures = self.terms.failures.saturating_sub(1);
        false
    }

    /// An authentic answer to a request.
    pub fn answered(&mut self, now: Instant) {
        self.heard = Some(now);
        self.live(now);
    }

    /// A request that was sent at `asked` has no answer.
    pub fn unanswered(&mut self, asked: Instant, now: Instant) {
        // Whoever has answered others meanwhile is not dead: it has something against this request.
        if self.heard.is_some_and(|heard| heard >= asked) {
            return;
        }
        if !self.terms.status_server {
            return self.fail(now);
        }
        // Many requests may end in one moment of silence: what they mean, Status-Server will tell.
        if self.state == State::Alive {
            self.state = State::Suspect;
            self.due = Some(now);
        }
    }

    /// The server cannot be reached at all: its host refuses, or it broke the connection.
    pub fn unreachable(&mut self, now: Instant) {
        self.unanswered(now, now);
    }

    /// The Status-Server was answered.
    pub fn probe_answered(&mut self, now: Instant) {
        self.is_probing = false;
        self.heard = Some(now);
        if self.state != State::Dead {
            return self.live(now);
        }
        self.recoveries = self.recoveries.saturating_add(1);
        if self.recoveries >= self.terms.recoveries {
            self.live(now);
        } else {
            // Once more, soon, to be sure.
            self.due = Some(later(
                now,
                self.terms.probe_interval.checked_div(3).unwrap_or_default(),
            ));
        }
    }

    /// The Status-Server was not answered.
    pub fn probe_unanswered(&mut self, now: Instant) {
        self.is_probing = false;
        self.recoveries = 0;
        if self.state == State::Alive {
            self.state = State::Suspect;
        }
        self.fail(now);
        self.due = Some(match self.state {
            State::Dead => later(now, self.terms.probe_interval),
            State::Alive | State::Suspect => now,
        });
    }

    fn live(&mut self, now: Instant) {
        self.state = State::Alive;
        self.failures = 0;
        self.recoveries = 0;
        self.due = self.terms.status_server.then(|| later(now, self.terms.watchdog));
    }

    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if self.failures < self.terms.failures || self.state == State::Dead {
            return;
        }
        self.state = State::Dead;
        self.recoveries = 0;
        let wait = if self.terms.status_server {
            self.terms.probe_interval
        } else {
            self.terms.revive_after
        };
        self.due = Some(later(now, wait));
    }
}

/// In which order the servers of a pool are asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As they are listed: the next one only where the one before it does not answer.
    #[default]
    Failover,
    /// By turns.
    Spread,
}

/// Which of the servers in these states to ask, best first: those that live, then those in doubt; the dead if there is no other.
///
/// `turn` counts requests, for [`Order::Spread`].
#[must_use]
pub fn ranked(states: &[State], order: Order, turn: usize) -> Vec<usize> {
    let count = states.len();
    let first = match order {
        Order::Failover => 0,
        Order::Spread => turn.checked_rem(count).unwrap_or(0),
    };
    let mut all: Vec<(State, usize)> = (0..count)
        .filter_map(|place| {
            let index = first.saturating_add(place).checked_rem(count)?;
            Some((*states.get(index)?, index))
        })
        .collect();
    // Stable: within one state, the order stays.
    all.sort_by_key(|(state, _)| *state);
    let only_dead = all.iter().all(|(state, _)| *state == State::Dead);
    all.into_iter()
        .filter(|(state, _)| only_dead || *state != State::Dead)
        .map(|(_, index)| index)
        .collect()
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
