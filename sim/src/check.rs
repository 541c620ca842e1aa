//! What must hold of every run, judged from the wire and from the disk.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::AddAssign,
    time::Duration,
};

use krad::Code;
use otp_validation::{ClientId, Effect, Lockout, Lockouts, PacketDigest, UnixTime, UserId};
use tokio::time::Instant;

use crate::{
    clock::BEGIN,
    disk::{Committed, Disk, lock},
    history::{Genuine, History, Sent},
    people::is_right,
    world::World,
};

/// Seconds of the client `kdc`'s grace, and the one more that whole seconds may hide.
const GRACE: Duration = Duration::from_secs(6);
/// What clocks that are a little wrong may add to it.
const SKEW: Duration = Duration::from_secs(4);
/// Packets that may share one acceptance: the first and its twins.
const SHARES: usize = 4;
/// For how long a refusal is held back, and a little for the decision.
const REJECT_DELAY: Duration = Duration::from_millis(1050);
/// For how long the same packet gets its verdict again.
const SAME_PACKET: Duration = Duration::from_secs(30);

/// How often each invariant was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Runs.
    pub runs: u64,
    /// Packets that reached a daemon.
    pub packets: u64,
    /// Accepts on the wire.
    pub accepts: u64,
    /// Crashes.
    pub crashes: u64,
    /// Codes of which it was seen that they were accepted at most once.
    pub never_twice: u64,
    /// Accepts of which it was seen that they left after their commit.
    pub durable_first: u64,
    /// Packets whose acceptance was durable, of which it was seen that they were not refused afterwards.
    pub never_lost: u64,
    /// Further packets that shared an acceptance, within the rules.
    pub twins: u64,
    /// Commits that spent a code, of which it was seen that the replay state grew.
    pub monotone: u64,
    /// Failures that were counted one by one.
    pub counted: u64,
    /// Logins of honest people on a calm day, all of them let in.
    pub honest: u64,
}

impl AddAssign for Checked {
    fn add_assign(&mut self, other: Self) {
        self.runs += other.runs;
        self.packets += other.packets;
        self.accepts += other.accepts;
        self.crashes += other.crashes;
        self.never_twice += other.never_twice;
        self.durable_first += other.durable_first;
        self.never_lost += other.never_lost;
        self.twins += other.twins;
        self.monotone += other.monotone;
        self.counted += other.counted;
        self.honest += other.honest;
    }
}

impl Checked {
    /// Every count and what it is of.
    #[must_use]
    pub const fn counts(&self) -> [(&'static str, u64); 11] {
        [
            ("runs", self.runs),
            ("packets that reached a daemon", self.packets),
            ("accepts on the wire", self.accepts),
            ("crashes", self.crashes),
            ("never twice: codes accepted at most once", self.never_twice),
            (
                "durable first: accepts that left after their commit",
                self.durable_first,
            ),
            (
                "never lost: committed packets that nobody refused",
                self.never_lost,
            ),
            (
                "twins: packets that shared an acceptance by the rules",
                self.twins,
            ),
            ("monotone: commits that moved replay state on", self.monotone),
            ("counted: failures counted one by one", self.counted),
            ("honest: logins on calm days that were let in", self.honest),
        ]
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in self.counts() {
            writeln!(f, "{count:>12}  {what}")?;
        }
        Ok(())
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: &'static str,
    /// What was seen.
    pub seen: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.seen)
    }
}

/// Judges a run that has ended.
pub(crate) fn judge(world: &World) -> Result<Checked, Violation> {
    let (history, disk) = (lock(&world.surroundings.history), lock(&world.surroundings.disk));
    let judge = Judge {
        world,
        history: &history,
        disk: &disk,
        acceptances: acceptances(&disk),
    };
    let mut checked = Checked {
        runs: 1,
        crashes: world
            .nodes
            .iter()
            .map(|node| node.crashes.load(std::sync::atomic::Ordering::Relaxed))
            .sum(),
        ..Checked::default()
    };
    judge.run_is_whole()?;
    judge.durable_first(&mut checked)?;
    judge.never_twice(&mut checked)?;
    judge.never_lost(&mut checked)?;
    judge.monotone(&mut checked)?;
    judge.counted(&mut checked)?;
    judge.honest(&mut checked)?;
    Ok(checked)
}

struct Judge<'a> {
    world: &'a World,
    history: &'a History,
    disk: &'a Disk,
    /// When each packet's acceptance became durable.
    acceptances: HashMap<PacketDigest, Instant>,
}

fn acceptances(disk: &Disk) -> HashMap<PacketDigest, Instant> {
    let mut found = HashMap::new();
    for Committed { at, effects, .. } in &disk.log {
        for effect in effects {
            let packet = match effect {
                Effect::Remember(acceptance) => acceptance.packet,
                Effect::Twin { twin, .. } => twin.packet,
                _ => continue,
            };
            found.entry(packet).or_insert(*at);
        }
    }
    found
}

impl Judge<'_> {
    fn run_is_whole(&self) -> Result<(), Violation> {
        if !self.world.is_up() {
            return violation("recovery", "a daemon is still down".into());
        }
        if self.history.stray > 0 {
            return violation("replies", format!("{} belong to no request", self.history.stray));
        }
        Ok(())
    }

    fn durable_at(&self, packet: &Sent) -> Option<Instant> {
        let digest = self
            .disk
            .model
            .digests()
            .packet(packet.client, packet.pending.octets());
        self.acceptances.get(&digest).copied()
    }

    fn after(&self, at: Instant) -> String {
        format!("{:.3} s", at.duration_since(self.world.started).as_secs_f64())
    }

    /// No Accept leaves before the commit that it stands for, and none without one.
    fn durable_first(&self, checked: &mut Checked) -> Result<(), Violation> {
        for (number, packet) in self.history.packets.iter().enumerate() {
            checked.packets += u64::try_from(packet.arrived.len()).unwrap_or(u64::MAX);
            for answer in packet
                .answers
                .iter()
                .filter(|answer| answer.code == Code::ACCESS_ACCEPT)
            {
                checked.accepts += 1;
                match self.durable_at(packet) {
                    Some(durable) if durable <= answer.at => checked.durable_first += 1,
                    durable => {
                        return violation(
                            "durable first",
                            format!(
                                "packet {number} was accepted at {}; its commit: {}",
                                self.after(answer.at),
                                durable.map_or("none".into(), |at| self.after(at))
                            ),
                        );
                    }
                }
                if packet.genuine.is_none() && !self.was_lucky(packet) {
                    return violation("never guessed", format!("packet {number} holds no genuine code"));
                }
            }
        }
        Ok(())
    }

    /// Whether a guess was accepted for the code that it happened to be.
    fn was_lucky(&self, packet: &Sent) -> bool {
        let digest = self
            .disk
            .model
            .digests()
            .packet(packet.client, packet.pending.octets());
        let is_its = |effect: &Effect| matches!(effect, Effect::Remember(kept) if kept.packet == digest);
        let mut spent = self
            .disk
            .log
            .iter()
            .filter(|committed| committed.effects.iter().any(is_its))
            .flat_map(|committed| &committed.effects);
        spent.any(|effect| match effect {
            Effect::Consume { matched, .. } => is_right(packet.user, &packet.credential, *matched),
            _ => false,
        })
    }

    /// Of all packets with one code, one was accepted; or one and its twins.
    fn never_twice(&self, checked: &mut Checked) -> Result<(), Violation> {
        let mut by_code: BTreeMap<Genuine, Vec<(Instant, usize, &Sent)>> = BTreeMap::new();
        for (number, packet) in self.history.packets.iter().enumerate() {
            let Some(genuine) = packet.genuine else { continue };
            let accepted = by_code.entry(genuine).or_default();
            if packet.accepted_at().is_some()
                && let Some(durable) = self.durable_at(packet)
            {
                accepted.push((durable, number, packet));
            }
        }
        for (code, mut accepted) in by_code {
            checked.never_twice += 1;
            accepted.sort_by_key(|(at, number, _)| (*at, *number));
            let Some(((first_at, first_number, first), twins)) = accepted.split_first() else {
                continue;
            };
            let twice = |number: &usize, why: &str| {
                violation(
                    "never twice",
                    format!(
                        "seed {} moment {}: packets {first_number} (at {}) and {number} were accepted, {why}",
                        code.seed,
                        code.moment,
                        self.after(*first_at)
                    ),
                )
            };
            let mut places = vec![first.endpoint];
            for (_, number, twin) in twins {
                if !(first.is_kdc && twin.is_kdc && first.user == twin.user) {
                    return twice(number, "and they are no twins");
                }
                if places.contains(&twin.endpoint) {
                    return twice(number, "through one connection");
                }
                places.push(twin.endpoint);
                let arrived = twin.arrived.first().copied().unwrap_or(*first_at);
                let grace = if self.world.plan.clocks {
                    GRACE + SKEW
                } else {
                    GRACE
                };
                if arrived.saturating_duration_since(*first_at) > grace {
                    return twice(number, "long after one another");
                }
                checked.twins += 1;
            }
            if accepted.len() > SHARES {
                return violation(
                    "never twice",
                    format!(
                        "seed {} moment {}: {} packets",
                        code.seed,
                        code.moment,
                        accepted.len()
                    ),
                );
            }
        }
        Ok(())
    }

    /// Once a packet's acceptance is durable, nobody says no to that packet.
    fn never_lost(&self, checked: &mut Checked) -> Result<(), Violation> {
        if self.world.plan.may_refuse() || self.world.plan.clocks {
            // A store that does not answer, or a clock that was set back, is a reason to say no.
            return Ok(());
        }
        for (number, packet) in self.history.packets.iter().enumerate() {
            let Some(durable) = self.durable_at(packet) else {
                continue;
            };
            let refused = packet.rejected_at();
            if refused.is_some_and(|at| at < durable) {
                // It was refused once (locked out, say), and a duplicate of that answer may come at any time.
                continue;
            }
            checked.never_lost += 1;
            let refused = refused.filter(|at| {
                !packet.arrived.iter().any(|came| {
                    // Another daemon had it before the commit, refused it then, and held the refusal back as it has to.
                    *came < durable && at.saturating_duration_since(*came) <= REJECT_DELAY
                })
            });
            if let Some(at) = refused.filter(|at| at.duration_since(durable) <= SAME_PACKET) {
                return violation(
                    "never lost",
                    format!(
                        "packet {number} was accepted for good at {}, and refused at {}; it came at {:?}",
                        self.after(durable),
                        self.after(at),
                        packet
                            .arrived
                            .iter()
                            .map(|came| self.after(*came))
                            .collect::<Vec<_>>()
                    ),
                );
            }
        }
        Ok(())
    }

    /// Every code that is spent is newer than all that were spent before.
    fn monotone(&self, checked: &mut Checked) -> Result<(), Violation> {
        let mut states = BTreeMap::new();
        for (number, Committed { effects, .. }) in self.disk.log.iter().enumerate() {
            for effect in effects {
                let Effect::Consume { token, matched, next } = effect else {
                    continue;
                };
                checked.monotone += 1;
                let state = states.entry(*token).or_insert(0);
                if matched < state || next <= matched {
                    return violation(
                        "monotone",
                        format!("commit {number} spent {matched} of {token:?}, which stood at {state}"),
                    );
                }
                *state = *next;
            }
        }
        let durable = self.disk.model.replay_state();
        match states
            .iter()
            .find(|(token, next)| durable.get(token) < Some(next))
        {
            Some((token, next)) => violation("monotone", format!("{token:?} stood at {next} and fell back")),
            None => Ok(()),
        }
    }

    /// Failures go up one by one, never while the account is locked at their client, and down only with a code that is spent
    /// there.
    fn counted(&self, checked: &mut Checked) -> Result<(), Violation> {
        let mut known: BTreeMap<UserId, Lockouts> = BTreeMap::new();
        for (number, Committed { at, user, effects }) in self.disk.log.iter().enumerate() {
            let Some((client, lockout, locked_until)) = effects.iter().find_map(set_lockout) else {
                continue;
            };
            let before = known.remove(user).unwrap_or_default();
            let mut after = before.clone();
            after.set(client, lockout);
            after.locked_until = locked_until;
            known.insert(*user, after.clone());
            let spends = effects
                .iter()
                .any(|effect| matches!(effect, Effect::Consume { .. }));
            if spends && after == before.after_success(client) {
                continue;
            }
            checked.counted += 1;
            let failures = |lockouts: &Lockouts| {
                let at = lockouts.at(client);
                at.otp_failures + at.password_failures
            };
            let now = UnixTime(BEGIN + at.duration_since(self.world.started).as_secs());
            let was_locked = !self.world.plan.clocks && before.is_locked(client, now);
            if spends || failures(&after) != failures(&before) + 1 || was_locked {
                return violation(
                    "counted",
                    format!("commit {number} made {after:?} of {before:?} at {now:?}"),
                );
            }
        }
        Ok(())
    }

    /// Where nothing goes wrong, everybody with a right code is let in.
    fn honest(&self, checked: &mut Checked) -> Result<(), Violation> {
        if !self.world.plan.is_calm() {
            return Ok(());
        }
        for (number, packet) in self.history.packets.iter().enumerate() {
            let Some(login) = packet.login else { continue };
            checked.honest += 1;
            if packet.accepted_at().is_none() {
                return violation(
                    "honest",
                    format!("login {login}, packet {number}: {:?}", packet.answers),
                );
            }
        }
        Ok(())
    }
}

fn set_lockout(effect: &Effect) -> Option<(ClientId, Lockout, u64)> {
    match effect {
        Effect::SetLockout {
            client,
            lockout,
            locked_until,
        } => Some((*client, *lockout, *locked_until)),
        _ => None,
    }
}

fn violation<T>(invariant: &'static str, seen: String) -> Result<T, Violation> {
    Err(Violation { invariant, seen })
}
