//! When which server is asked for one request: no socket, no clock, no packet.

use std::time::{Duration, Instant};

/// How often a datagram is sent to one server (RFC 5080 §2.2.1). A stream delivers or breaks.
const TRIES: u32 = 3;
/// No server gets less than this while others stand behind it: who needs longer is not slow but gone.
const SHORTEST_TURN: Duration = Duration::from_secs(1);
/// Nothing is sent in the last moment: no answer to it could be in time.
const LAST_MOMENT: Duration = Duration::from_millis(100);

/// What carries packets to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// Datagrams get lost, so that requests are sent again.
    Datagrams,
    /// A stream delivers or breaks; when it breaks, the request is sent once more, on another one.
    Stream,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Send the request to this server, in a packet of its own; an index into the list of [`Turns::new`].
    Ask(usize),
    /// Send the same octets to this server again.
    Again(usize),
    /// Nothing before this moment, unless an answer or an error comes.
    Wait(Instant),
    /// Nothing more can come of it: no server can be reached.
    Unreachable,
    /// The time is over.
    TimedOut,
}

/// The turns of the servers that one request may be sent to, in order.
///
/// Each has an equal share of the time that is left when its turn comes, the last one all of it. While a later server has its
/// turn, the answer of an earlier one is still good.
///
/// ```
/// # use krad_tokio::pool::{Carrier, Step, Turns};
/// # use std::time::{Duration, Instant};
/// # fn now() -> Instant { Instant::now() }
/// let start = now();
/// let after = |millis| start + Duration::from_millis(millis);
/// let mut turns = Turns::new([Carrier::Datagrams, Carrier::Stream], start, after(3900));
/// assert_eq!(turns.step(start), Step::Ask(0));
/// assert_eq!(turns.step(start), Step::Wait(after(650)));
/// assert_eq!(turns.step(after(650)), Step::Again(0));
/// assert_eq!(turns.step(after(1950)), Step::Ask(1));
/// assert_eq!(turns.step(after(1950)), Step::Wait(after(3900)));
/// assert_eq!(turns.step(after(3900)), Step::TimedOut);
/// ```
#[derive(Clone, Debug)]
pub struct Turns {
    servers: Vec<Server>,
    /// Whose turn it is.
    current: usize,
    began: Instant,
    ends: Instant,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Server {
    carrier: Carrier,
    /// How often it was sent to, or should have been.
    tries: u32,
    /// It has to be sent a packet of its own, now.
    is_due: bool,
    /// It has been asked and may still answer.
    is_awaited: bool,
}

impl Turns {
    /// The turns of `servers`, from `now` to `deadline`. Where there is not a second for each, the last ones have none.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = Carrier>, now: Instant, deadline: Instant) -> Self {
        let time = deadline.saturating_duration_since(now).as_millis();
        let most = time.checked_div(SHORTEST_TURN.as_millis()).unwrap_or(1).max(1);
        let servers = servers.into_iter().map(|carrier| Server {
            carrier,
            tries: 0,
            is_due: true,
            is_awaited: false,
        });
        let mut turns = Self {
            servers: servers
                .take(usize::try_from(most).unwrap_or(usize::MAX))
                .collect(),
            current: 0,
            began: now,
            ends: deadline,
            deadline,
        };
        turns.begin(now);
        turns
    }

    /// What is to be done at `now`. Do it, and ask again until it is to wait or to end.
    ///
    /// A caller that is late skips what it has missed: it never sends a burst.
    pub fn step(&mut self, now: Instant) -> Step {
        if now >= self.deadline {
            return Step::TimedOut;
        }
        if now >= self.ends && self.has_next() {
            self.next(now);
        }
        let can_be_answered = later(now, LAST_MOMENT) < self.deadline;
        let (current, began, per_try) = (self.current, self.began, self.per_try());
        if let Some(server) = self.servers.get_mut(current) {
            if server.is_due && can_be_answered {
                server.is_due = false;
                server.is_awaited = true;
                server.tries = server.tries.saturating_add(1);
                return Step::Ask(current);
            }
            let due = passed(now.saturating_duration_since(began), per_try);
            let most = server.most_tries();
            if server.carrier == Carrier::Datagrams
                && server.is_awaited
                && server.tries < due.min(most)
                && can_be_answered
            {
                server.tries = due.min(most);
                return Step::Again(current);
            }
        }
        if !self.servers.iter().any(|server| server.is_awaited) {
            return if self.servers.iter().any(|server| server.is_due) && !can_be_answered {
                Step::TimedOut
            } else {
                Step::Unreachable
            };
        }
        Step::Wait(self.next_event(now))
    }

    /// Takes note that a server cannot be reached: it refused the connection, or broke it, or has no address.
    ///
    /// The next one is asked at once. The last one is asked again: a datagram at its next try, on a stream once and at once,
    /// because a connection may have been about to end when it was used.
    pub fn unreachable(&mut self, index: usize, now: Instant) {
        let is_current = index == self.current;
        let has_next = self.has_next();
        let Some(server) = self.servers.get_mut(index) else {
            return;
        };
        if !is_current || has_next {
            server.is_awaited = false;
            if is_current {
                self.next(now);
            }
            return;
        }
        match server.carrier {
            Carrier::Datagrams if server.tries < TRIES => {}
            Carrier::Stream if server.tries < server.most_tries() => {
                server.is_awaited = false;
                server.is_due = true;
            }
            Carrier::Datagrams | Carrier::Stream => server.is_awaited = false,
        }
    }

    /// Takes note that a server cannot be asked at all, such as one that has as many requests as it can have. It gets no turn
    /// any more.
    pub fn unavailable(&mut self, index: usize, now: Instant) {
        if let Some(server) = self.servers.get_mut(index) {
            server.is_awaited = false;
            server.is_due = false;
            server.tries = server.most_tries();
        }
        if index == self.current && self.has_next() {
            self.next(now);
        }
    }

    /// Which servers were asked and have not answered.
    pub fn awaited(&self) -> impl Iterator<Item = usize> {
        let servers = self.servers.iter().enumerate();
        servers
            .filter(|(_, server)| server.is_awaited)
            .map(|(index, _)| index)
    }

    fn has_next(&self) -> bool {
        self.current.saturating_add(1) < self.servers.len()
    }

    fn next(&mut self, now: Instant) {
        if let Some(server) = self.servers.get_mut(self.current) {
            server.is_due = false;
        }
        self.current = self.current.saturating_add(1);
        self.begin(now);
    }

    fn begin(&mut self, now: Instant) {
        let left = self.servers.len().saturating_sub(self.current);
        let time = self.deadline.saturating_duration_since(now);
        let share = u32::try_from(left).ok().and_then(|left| time.checked_div(left));
        self.began = now;
        self.ends = if left > 1 {
            later(now, share.unwrap_or(time))
        } else {
            self.deadline
        };
    }

    fn per_try(&self) -> Duration {
        let turn = self.ends.saturating_duration_since(self.began);
        turn.checked_div(TRIES).unwrap_or(turn)
    }

    fn next_event(&self, now: Instant) -> Instant {
        let mut event = self.ends;
        if let Some(server) = self.servers.get(self.current)
            && server.carrier == Carrier::Datagrams
            && server.tries < TRIES
        {
            let due = self.per_try().checked_mul(server.tries).unwrap_or(Duration::MAX);
            let due = later(self.began, due);
            // A try of the last moment is left out, and so is one that was missed until then.
            if due > now && later(due, LAST_MOMENT) < self.deadline {
                event = event.min(due);
            }
        }
        event
    }
}

impl Server {
    const fn most_tries(&self) -> u32 {
        match self.carrier {
            Carrier::Datagrams => TRIES,
            Carrier::Stream => 2,
        }
    }
}

/// How many tries are due after `elapsed`, the first one at once.
fn passed(elapsed: Duration, per_try: Duration) -> u32 {
    let passed = elapsed
        .as_nanos()
        .checked_div(per_try.as_nanos())
        .unwrap_or(u128::MAX);
    u32::try_from(passed).unwrap_or(u32::MAX).saturating_add(1)
}

/// `duration` after `instant`; the same instant if that cannot be said.
pub(super) fn later(instant: Instant, duration: Duration) -> Instant {
    instant.checked_add(duration).unwrap_or(instant)
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
