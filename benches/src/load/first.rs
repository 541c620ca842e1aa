//! Waits for a server that starts.

use std::{thread, time::Duration};

use anyhow::bail;
use rand::rngs::StdRng;

use super::{Options, lane, now, traffic::Traffic};

/// Between two tries.
const EVERY: Duration = Duration::from_millis(5);
/// For how long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends one request until something comes back: the same octets again, as any client does.
pub(super) fn until_answered(
    options: &Options,
    traffic: &mut Traffic,
    rng: &mut StdRng,
) -> anyhow::Result<()> {
    traffic.next(0, rng)?;
    let options = Options {
        lanes: 1,
        ..options.clone()
    };
    let end = now() + PATIENCE;
    let mut lanes = Vec::new();
    while now() < end {
        if lanes.is_empty() {
            // There is no socket file before the server has made it.
            lanes = lane::connect(&options).unwrap_or_default();
        }
        let mut is_answered = false;
        for lane in &mut lanes {
            if let Some(request) = traffic.current(0) {
                lane.send(&[request.octets()])?;
            }
            thread::sleep(EVERY);
            lane.receive(|_| is_answered = true)?;
        }
        if is_answered {
            return Ok(());
        }
        if lanes.is_empty() {
            thread::sleep(EVERY);
        }
    }
    bail!("no answer from {:?} within {PATIENCE:?}", options.target)
}
