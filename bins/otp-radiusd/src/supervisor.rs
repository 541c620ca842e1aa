//! What a supervisor is told, by systemd's protocol (`sd_notify(3)`): ready, reloading, stopping, alive.
//!
//! # When the watchdog is fed
//!
//! A daemon that runs is no daemon that works. The watchdog is fed by a task of the runtime, so that a runtime that does not
//! turn starves it, and only if within the last period of the watchdog the store has given a sign of life:
//!
//! - a transaction was committed, or failed and was answered: its error is in the log, everybody is refused, and a restart would
//!   change nothing; or
//! - nothing waits for a commit, and a probe of the store came back, whatever it brought; or
//! - the store waits for another program that writes (`otpctl token import`, say): it will get its turn.

use std::{sync::Arc, time::Duration};

use otp_service::Service;
use otp_store::Store;
use sd_notify::NotifyState;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, error, info};

use crate::endpoints::Health;

/// Looks at the store, and feedings, in one period of the watchdog.
const BEATS: u32 = 4;

/// Logins are served.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status(SERVING)]);
}

/// The configuration is being read again; [`reloaded`] follows.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => debug!(%error, "no monotonic clock to tell the supervisor"),
    }
}

/// What became of it, in a line.
pub(crate) fn reloaded(outcome: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(outcome)]);
}

/// What is in flight is finished, nothing else.
pub(crate) fn stopping() {
    tell(&[
        NotifyState::Stopping,
        NotifyState::Status("Finishing what is in flight"),
    ]);
}

const SERVING: &str = "Serving";
const FAILING: &str = "The store does not commit: nobody is accepted until it does";
const AWAITING: &str = "Waiting for another program that writes to the store";

fn tell(states: &[NotifyState<'_>]) {
    // Without a supervisor this does nothing.
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the supervisor could not be told");
    }
}

/// Feeds the watchdog, if there is one, and tells the supervisor whether the store commits. It does not end.
///
/// `health` is told whether the store gives signs of life.
pub(crate) async fn attend(service: Service, health: Arc<Health>) {
    let period = sd_notify::watchdog_enabled().filter(|period| !period.is_zero());
    if let Some(period) = period {
        info!(
            period_s = period.as_secs_f64(),
            "the supervisor's watchdog is fed"
        );
    }
    let mut beats = interval((period.unwrap_or(UNWATCHED) / BEATS).max(SHORTEST));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pulse = Pulse::new(Instant::now());
    let mut probe: Option<JoinHandle<()>> = None;
    let mut status = SERVING;
    loop {
        beats.tick().await;
        let now = Instant::now();
        if probe.as_ref().is_some_and(JoinHandle::is_finished) {
            probe = None;
            pulse.probed(now);
        }
        let store = service.store();
        let activity = store.activity();
        let answered = activity
            .group_sizes
            .count()
            .saturating_add(activity.failed_groups);
        pulse.look(answered, activity.waiting, activity.turns_awaited, now);
        if probe.is_none() {
            probe = Some(tokio::spawn(check(store.clone())));
        }
        let new = match () {
            () if !service.is_available() => FAILING,
            () if activity.turns_awaited > 0 => AWAITING,
            () => SERVING,
        };
        if new != status {
            status = new;
            tell(&[NotifyState::Status(status)]);
        }
        let is_alive = pulse.is_alive(now, period.unwrap_or(UNWATCHED));
        health.set_alive(is_alive);
        if period.is_none() {
            continue;
        }
        if is_alive {
            tell(&[NotifyState::Watchdog]);
        } else {
            error!(
                waiting = activity.waiting,
                "the store gives no sign of life: the watchdog is not fed, and the supervisor will start the daemon anew"
            );
        }
    }
}

/// How often the store is looked at where no watchdog says so.
const UNWATCHED: Duration = Duration::from_secs(60);
const SHORTEST: Duration = Duration::from_millis(1);

/// Whether the store works: what it brings is in the log, and of no account here.
async fn check(store: Store) {
    let _checked = tokio::task::spawn_blocking(move || store.check()).await;
}

/// When the store has given its last sign of life.
#[derive(Debug)]
struct Pulse {
    felt: Instant,
    /// Transactions that were answered by then, whatever the answer.
    answered: Option<u64>,
    /// Nothing waited for a commit.
    is_idle: bool,
}

impl Pulse {
    fn new(now: Instant) -> Self {
        Self {
            felt: now,
            answered: None,
            is_idle: true,
        }
    }

    /// So many transactions were answered so far, so many decisions wait for theirs, and so many writers for other programs.
    fn look(&mut self, answered: u64, waiting: u64, turns_awaited: u64, now: Instant) {
        let has_moved = self
            .answered
            .replace(answered)
            .is_some_and(|before| before != answered);
        self.is_idle = waiting == 0;
        if has_moved || turns_awaited > 0 {
            self.felt = now;
        }
    }

    /// A probe came back.
    fn probed(&mut self, now: Instant) {
        if self.is_idle {
            self.felt = now;
        }
    }

    fn is_alive(&self, now: Instant, period: Duration) -> bool {
        now.saturating_duration_since(self.felt) <= period
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(30);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn commits_are_signs_of_life_and_failures_too() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        for second in 0..100 {
            pulse.look(second, 5, 0, start + seconds(second));
            assert!(pulse.is_alive(start + seconds(second), PERIOD));
        }
        for second in 100..200 {
            pulse.look(99, 5, 0, start + seconds(second));
            pulse.probed(start + seconds(second));
            let is_alive = pulse.is_alive(start + seconds(second), PERIOD);
            assert_eq!(
                is_alive,
                second <= 129,
                "decisions wait, and no transaction ends: {second}"
            );
        }
        pulse.look(100, 5, 0, start + seconds(200));
        assert!(pulse.is_alive(start + seconds(200), PERIOD));
    }

    #[test]
    fn a_store_at_rest_answers_probes() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        for second in 0..100 {
            pulse.look(7, 0, 0, start + seconds(second));
            if second < 50 {
                pulse.probed(start + seconds(second));
            }
            assert_eq!(
                pulse.is_alive(start + seconds(second), PERIOD),
                second <= 79,
                "{second}"
            );
        }
    }

    #[test]
    fn who_waits_for_another_program_lives() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        for second in 0..1000 {
            pulse.look(7, 3, 1, start + seconds(second));
            assert!(pulse.is_alive(start + seconds(second), PERIOD));
        }
    }
}
