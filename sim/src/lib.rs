#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod check;
mod clock;
mod disk;
mod history;
mod kdc;
mod net;
mod node;
mod people;
mod plan;
mod world;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Context as _;

pub use crate::{
    check::{Checked, Violation},
    plan::{Control, DiskPlan, Plan},
};
use crate::{disk::lock, world::World};

/// What one run has come to.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was seen to hold, or what did not.
    pub verdict: Result<Checked, Violation>,
    /// Of everything that was sent, answered and committed, and when: equal for equal seeds.
    pub fingerprint: u64,
}

/// Runs one seed.
///
/// # Errors
///
/// If the runtime cannot be built.
pub fn run(seed: u64, control: Control) -> anyhow::Result<Run> {
    let plan = Plan::of(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .context("cannot build a runtime")?;
    Ok(runtime.block_on(async {
        let (world, people) = World::build(&plan, control);
        world.live(people).await;
        world.settle().await;
        Run {
            verdict: check::judge(&world),
            fingerprint: fingerprint(&world),
        }
    }))
}

fn fingerprint(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    for packet in &lock(&world.surroundings.history).packets {
        packet.pending.octets().hash(&mut hasher);
        let arrivals = packet.arrived.iter().copied();
        let answers = packet.answers.iter().map(|answer| {
            answer.code.0.hash(&mut hasher);
            answer.at
        });
        let times: Vec<_> = arrivals.chain(answers).collect();
        for at in times {
            at.duration_since(world.started).hash(&mut hasher);
        }
    }
    for committed in &lock(&world.surroundings.disk).log {
        committed.at.duration_since(world.started).hash(&mut hasher);
        committed.user.hash(&mut hasher);
        committed.effects.len().hash(&mut hasher);
    }
    hasher.finish()
}
