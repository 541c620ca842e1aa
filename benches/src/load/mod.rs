//! A load generator for RADIUS servers.
//!
//! One thread keeps a number of Access-Requests outstanding (closed loop), or sends them at a rate whatever becomes of
//! them (open loop), over UDP, TCP, TLS or UNIX stream sockets, and tells rate, latencies and what they cost the server. Its
//! users have HOTP tokens, so that every code is fresh, in any number and at any speed. It checks what it is answered.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`Options`] | the command line |
//! | [`Users`] | who logs in: names, keys, counters |
//! | `traffic` | requests, built before the clock starts |
//! | `lane`, `stream` | sockets |
//! | `engine` | sends, receives, times |
//! | `first` | waits for a server that starts |
//! | [`Report`] | what it saw |

mod engine;
mod first;
mod lane;
mod options;
mod process;
mod report;
mod stream;
mod traffic;
mod users;

use std::{fs, io, path::Path, time::Instant};

use anyhow::Context as _;
use rand::{SeedableRng as _, rngs::StdRng};

pub use options::{Mode, Options, Target};
pub use report::{Latencies, Report};
pub use users::Users;

use engine::Engine;
use traffic::Traffic;

/// Puts the load on the target that `options` describe.
///
/// # Errors
///
/// What keeps the sockets from being opened or used, and files from being read or written. A server that does not answer
/// is no error: its requests are counted as lost.
pub fn run(options: &Options) -> anyhow::Result<Report> {
    let (mut traffic, rng) = prepare(options)?;
    let lanes = lane::connect(options)?;
    let report = Engine::new(options, &mut traffic, lanes, rng)?.run()?;
    finish(options, traffic)?;
    Ok(report)
}

/// Sends the first request of `options` until it is answered.
///
/// # Errors
///
/// As [`run`], and if there is no answer within a minute.
pub fn until_answered(options: &Options) -> anyhow::Result<()> {
    let (mut traffic, mut rng) = prepare(options)?;
    first::until_answered(options, &mut traffic, &mut rng)?;
    finish(options, traffic)
}

fn prepare(options: &Options) -> anyhow::Result<(Traffic, StdRng)> {
    options.check()?;
    let mut users = Users::new(options.users);
    if let Some(path) = &options.counters
        && path.exists()
    {
        users
            .read_counters(&read(path)?)
            .with_context(|| path.display().to_string())?;
    }
    let mut rng = StdRng::seed_from_u64(options.seed);
    let traffic = Traffic::new(options, users, &mut rng)?;
    Ok((traffic, rng))
}

fn finish(options: &Options, traffic: Traffic) -> anyhow::Result<()> {
    let Some(path) = &options.counters else {
        return Ok(());
    };
    let counters = traffic.into_users().write_counters();
    fs::write(path, counters).with_context(|| format!("cannot write {}", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes the tokens of `users` as `otpctl token import` reads them.
///
/// # Errors
///
/// Those of `out`.
pub fn write_tokens(users: &Users, out: &mut impl io::Write) -> io::Result<()> {
    writeln!(out, "user,type,secret")?;
    for user in users.all() {
        let key = users.key(user);
        writeln!(out, "{},hotp,{}", users.name(user), *key.to_base32())?;
    }
    out.flush()
}

/// Now, by the clock that everything is measured with.
#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
