//! What a seed stands for.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

/// What goes wrong in one run, drawn from its seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// Daemons on the one store.
    pub nodes: usize,
    /// Users: one with HOTP, one with TOTP, then the same with passwords, and so on.
    pub users: usize,
    /// Logins of each user.
    pub logins: u32,
    /// Datagrams lost, in a hundred.
    pub loss: u32,
    /// Datagrams that arrive twice, in a hundred.
    pub repetition: u32,
    /// The longest that a datagram takes.
    pub delay: Duration,
    /// What the disk does.
    pub disk: DiskPlan,
    /// Crashes at moments of their own.
    pub crashes: u32,
    /// Whether clocks differ and are stepped.
    pub clocks: bool,
    /// Whether somebody offers captured codes and guesses.
    pub attackers: bool,
}

/// What the disk does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskPlan {
    /// The longest that an operation takes, if nothing is wrong.
    pub latency: Duration,
    /// Operations that take seconds, in a thousand.
    pub slow: u32,
    /// Operations that fail and have done nothing, in a thousand.
    pub fails: u32,
    /// Commits that fail and are durable all the same, in a thousand.
    pub ambiguous: u32,
    /// Commits after which the daemon dies before it learns of them, in a thousand.
    pub fatal: u32,
}

impl DiskPlan {
    const WELL: Self = Self {
        latency: Duration::from_millis(3),
        slow: 0,
        fails: 0,
        ambiguous: 0,
        fatal: 0,
    };
}

impl Plan {
    /// The plan of `seed`.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut plan = Self {
            seed,
            nodes: rng.random_range(1..=2),
            users: rng.random_range(1..=4),
            logins: rng.random_range(2..=5),
            loss: 0,
            repetition: 0,
            delay: Duration::from_millis(rng.random_range(1..=40)),
            disk: DiskPlan::WELL,
            crashes: 0,
            clocks: false,
            attackers: rng.random_ratio(1, 2),
        };
        // One run in eight is calm, so that it is also seen that honest people are let in.
        if seed.is_multiple_of(8) {
            plan.attackers = false;
            return plan;
        }
        if rng.random_ratio(1, 2) {
            plan.loss = rng.random_range(0..50);
            plan.repetition = rng.random_range(0..50);
            plan.delay = Duration::from_millis(rng.random_range(1..3000));
        }
        if rng.random_ratio(1, 2) {
            plan.disk = DiskPlan {
                fatal: rng.random_range(0..250),
                ..DiskPlan::WELL
            };
            // In the other half the disk does its work, and only the daemon dies over it: then nothing may be lost.
            if rng.random_ratio(1, 2) {
                plan.disk.latency = Duration::from_millis(rng.random_range(1..300));
                plan.disk.slow = rng.random_range(0..60);
                plan.disk.fails = rng.random_range(0..80);
                plan.disk.ambiguous = rng.random_range(0..80);
            }
        }
        if rng.random_ratio(1, 2) {
            plan.crashes = rng.random_range(1..6);
        }
        plan.clocks = rng.random_ratio(1, 4);
        plan
    }

    /// Whether nothing goes wrong, and nobody does wrong.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        let network = self.loss == 0 && self.repetition == 0;
        network && self.disk == DiskPlan::WELL && self.crashes == 0 && !self.clocks && !self.attackers
    }

    /// Whether the store may refuse work, or be slower than anybody waits.
    #[must_use]
    pub fn may_refuse(&self) -> bool {
        self.disk.slow > 0 || self.disk.fails > 0 || self.disk.ambiguous > 0
    }

    /// A source of chance for one `purpose` of this run.
    #[must_use]
    pub fn rng(&self, purpose: u64) -> StdRng {
        StdRng::seed_from_u64(
            self.seed
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_add(purpose),
        )
    }
}

/// A defect that is put into a run on purpose, to see that the checks notice it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// None.
    #[default]
    Sound,
    /// Commits are reported before they are durable, as under asynchronous replication; a crash loses them.
    AcknowledgesEarly,
    /// A commit does not look whether the account has changed since it was read.
    DoesNotCompare,
    /// Verdicts are not kept.
    ForgetsVerdicts,
}

impl Control {
    /// All defects.
    pub const DEFECTS: [Self; 3] = [
        Self::AcknowledgesEarly,
        Self::DoesNotCompare,
        Self::ForgetsVerdicts,
    ];

    /// Its name on a command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::AcknowledgesEarly => "acknowledges-early",
            Self::DoesNotCompare => "does-not-compare",
            Self::ForgetsVerdicts => "forgets-verdicts",
        }
    }
}
