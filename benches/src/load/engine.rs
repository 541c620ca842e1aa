//! Sends, receives, times.

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use krad::{Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest};
use rand::{RngExt as _, rngs::StdRng};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{
    Latencies, Mode, Options, Report,
    lane::Lane,
    now, process,
    report::{float, seconds},
    traffic::Traffic,
};

/// After this, a request counts as lost: longer than a server may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long replies are waited for at the end.
const DRAIN: Duration = Duration::from_millis(1_500);
/// How often lost requests are looked for.
const SWEEP: Duration = Duration::from_millis(100);

pub(super) struct Engine<'a> {
    options: &'a Options,
    traffic: &'a mut Traffic,
    lanes: Vec<Lane>,
    rng: StdRng,
    slots: Vec<Slot>,
    /// Slots that have no request outstanding.
    free: VecDeque<usize>,
    outstanding: usize,
    /// Open loop: when requests were due for which no slot was free yet, and when the next one is.
    due: VecDeque<Instant>,
    next_due: Instant,
    /// Slots of each lane whose requests are about to be sent.
    outgoing: Vec<Vec<usize>>,
    begin: Instant,
    end: Instant,
    seen: Seen,
}

/// One of the requests that may be outstanding.
#[derive(Default)]
struct Slot {
    /// Since when, if it is.
    since: Option<Instant>,
    /// What every duplicate has to be answered.
    first_reply: Option<Box<[u8]>>,
}

/// What was seen between the end of the warm-up and the end.
struct Seen {
    histogram: Histogram<u64>,
    accepts: u64,
    rejects: u64,
    wrong: u64,
    lost: u64,
}

/// Processor times so far.
struct Costs {
    server: Option<Duration>,
    own: Option<Duration>,
}

impl<'a> Engine<'a> {
    pub(super) fn new(
        options: &'a Options,
        traffic: &'a mut Traffic,
        lanes: Vec<Lane>,
        rng: StdRng,
    ) -> anyhow::Result<Self> {
        // From a microsecond to a minute, to three digits.
        let histogram = Histogram::new_with_bounds(1_000, 60_000_000_000, 3).context("no histogram")?;
        let (slots, start) = (traffic.slots(), now());
        let begin = start + Duration::try_from_secs_f64(options.warm_up)?;
        Ok(Self {
            options,
            traffic,
            outgoing: lanes.iter().map(|_| Vec::new()).collect(),
            lanes,
            rng,
            slots: (0..slots).map(|_| Slot::default()).collect(),
            free: (0..slots).collect(),
            outstanding: 0,
            due: VecDeque::new(),
            next_due: start,
            begin,
            end: begin + Duration::try_from_secs_f64(options.seconds)?,
            seen: Seen {
                histogram,
                accepts: 0,
                rejects: 0,
                wrong: 0,
                lost: 0,
            },
        })
    }

    pub(super) fn run(mut self) -> anyhow::Result<Report> {
        let mut before = None;
        let mut next_sweep = now() + SWEEP;
        loop {
            let at = now();
            if at >= self.begin && before.is_none() {
                before = Some(self.costs());
            }
            if at >= self.end {
                break;
            }
            if at >= next_sweep {
                next_sweep = at + SWEEP;
                self.sweep(at);
            }
            self.dispatch(at)?;
            self.collect(self.time_to_wait(at))?;
        }
        let after = self.costs();
        let measured = seconds(now().saturating_duration_since(self.begin));
        while self.outstanding > 0 && now() < self.end + DRAIN {
            self.collect(SWEEP)?;
        }
        // None of them can be early any more, and so they are lost.
        self.sweep(now() + PATIENCE);
        Ok(self.report(measured, &before.unwrap_or(Costs::NONE), &after))
    }

    /// Sends what is due and has a slot.
    fn dispatch(&mut self, at: Instant) -> anyhow::Result<()> {
        if let Some(rate) = self.options.rate {
            while self.next_due <= at {
                self.due.push_back(self.next_due);
                // Intervals of a Poisson process; `random` is below 1.
                let interval = -(1.0 - self.rng.random::<f64>()).ln() / rate;
                self.next_due += Duration::try_from_secs_f64(interval)?;
            }
        }
        while let Some(&slot) = self.free.front() {
            let since = match self.options.rate {
                None => at,
                Some(_) => match self.due.pop_front() {
                    Some(due) => due,
                    None => break,
                },
            };
            self.free.pop_front();
            let repeats = self.options.mode == Mode::Duplicates && self.traffic.current(slot).is_some();
            if !repeats {
                self.traffic.next(slot, &mut self.rng)?;
            }
            if let Some(slot) = self.slots.get_mut(slot) {
                slot.since = Some(since);
                self.outstanding = self.outstanding.saturating_add(1);
            }
            if let Some(outgoing) = self.outgoing.get_mut(self.traffic.lane(slot)) {
                outgoing.push(slot);
            }
        }
        for (lane, outgoing) in self.lanes.iter_mut().zip(&mut self.outgoing) {
            if !outgoing.is_empty() {
                let traffic = &*self.traffic;
                let packets: Vec<&[u8]> = outgoing
                    .drain(..)
                    .filter_map(|slot| traffic.current(slot).map(PendingRequest::octets))
                    .collect();
                lane.send(&packets)?;
            }
        }
        Ok(())
    }

    /// How long nothing but replies has to be waited for.
    fn time_to_wait(&self, at: Instant) -> Duration {
        if self.options.rate.is_some() && !self.free.is_empty() {
            self.next_due.saturating_duration_since(at).min(SWEEP)
        } else {
            SWEEP
        }
    }

    /// Waits for replies, and takes all that have come.
    fn collect(&mut self, at_most: Duration) -> anyhow::Result<()> {
        let timeout = Timespec::try_from(at_most).context("no time to wait")?;
        let mut lanes = mem::take(&mut self.lanes);
        let mut polled: Vec<PollFd<'_>> = Vec::with_capacity(lanes.len());
        for lane in &lanes {
            let mut interest = PollFlags::IN;
            interest.set(PollFlags::OUT, lane.is_blocked());
            polled.push(PollFd::from_borrowed_fd(lane.as_fd(), interest));
        }
        match poll(&mut polled, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for replies"),
        }
        let events: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        drop(polled);
        for (number, (lane, events)) in lanes.iter_mut().zip(events).enumerate() {
            if events.contains(PollFlags::OUT) {
                lane.flush()?;
            }
            if events.intersects(PollFlags::IN | PollFlags::ERR | PollFlags::HUP) {
                lane.receive(|octets| self.take(number, octets))?;
            }
        }
        self.lanes = lanes;
        Ok(())
    }

    /// Takes a reply. One that nobody waits for came too late, and was counted as lost.
    fn take(&mut self, lane: usize, octets: &[u8]) {
        let at = now();
        let [code, identifier, ..] = octets else {
            return self.seen.wrong = self.seen.wrong.saturating_add(1);
        };
        let identifier = Identifier(*identifier);
        let Some(number) = self.traffic.slot(lane, identifier) else {
            return;
        };
        let (Some(slot), Some(request)) = (self.slots.get_mut(number), self.traffic.current(number)) else {
            return;
        };
        if request.identifier() != identifier {
            return;
        }
        let Some(since) = slot.since.take() else {
            return;
        };
        self.outstanding = self.outstanding.saturating_sub(1);
        self.free.push_back(number);

        let is_right = match (self.options.mode, &slot.first_reply) {
            (Mode::Duplicates, Some(first)) => **first == *octets,
            (Mode::Duplicates, None) => {
                slot.first_reply = Some(octets.into());
                is_authentic(request, octets)
            }
            (Mode::Fresh, _) => {
                // Counted by the reply, so that all slots have their turn.
                let number = self.seen.accepts.saturating_add(self.seen.rejects);
                number.checked_rem(self.options.verify_every) != Some(0) || is_authentic(request, octets)
            }
        };
        if at < self.begin || at >= self.end {
            return;
        }
        let counter = match Code(*code) {
            Code::ACCESS_ACCEPT if is_right => &mut self.seen.accepts,
            Code::ACCESS_REJECT if is_right => &mut self.seen.rejects,
            _ => &mut self.seen.wrong,
        };
        *counter = counter.saturating_add(1);
        let taken = at.saturating_duration_since(since).as_nanos();
        self.seen
            .histogram
            .saturating_record(u64::try_from(taken).unwrap_or(u64::MAX));
    }

    /// Gives up requests that have waited too long.
    fn sweep(&mut self, at: Instant) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            if slot
                .since
                .is_some_and(|since| at.saturating_duration_since(since) >= PATIENCE)
            {
                slot.since = None;
                self.free.push_back(number);
                self.outstanding = self.outstanding.saturating_sub(1);
                self.seen.lost = self.seen.lost.saturating_add(1);
            }
        }
    }

    fn costs(&self) -> Costs {
        Costs {
            server: self
                .options
                .pid
                .and_then(|pid| process::processor_time(Some(pid))),
            own: process::processor_time(None),
        }
    }

    fn report(self, measured: f64, before: &Costs, after: &Costs) -> Report {
        let Seen {
            histogram,
            accepts,
            rejects,
            wrong,
            lost,
        } = self.seen;
        let replies = float(accepts.saturating_add(rejects));
        let per_reply = |before: Option<Duration>, after: Option<Duration>| {
            let spent = after?.saturating_sub(before?);
            Some(seconds(spent) * 1e6 / replies.max(1.0))
        };
        Report {
            seconds: measured,
            accepts,
            rejects,
            wrong,
            lost,
            rate: replies / measured.max(1e-9),
            latencies: Latencies::of(&histogram),
            server_cpu_micros: per_reply(before.server, after.server),
            own_cpu_micros: per_reply(before.own, after.own).unwrap_or_default(),
            server_resident_kib: self.options.pid.and_then(|pid| process::resident_kib(Some(pid))),
        }
    }
}

impl Costs {
    const NONE: Self = Self {
        server: None,
        own: None,
    };
}

/// Whether the reply is from somebody who knows the secret (RFC 2865 §3).
fn is_authentic(request: &PendingRequest, octets: &[u8]) -> bool {
    let rule = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: true,
    };
    Packet::decode(octets).is_ok_and(|packet| request.verify(packet, rule).is_ok())
}
