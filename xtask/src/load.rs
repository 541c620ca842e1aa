//! `cargo xtask load`: `otp-radiusd` under load, beside FreeRADIUS and beside a server that accepts everything.
//!
//! All three run on loopback with the same load, in turns, so that what else the machine does falls on all of them. Each
//! figure is the median of the rounds.

mod certificates;
mod freeradius;
mod options;
mod proxies;
mod render;
mod seen;
mod server;
mod state;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context;

pub(crate) use options::Options;

use crate::{
    machine,
    packages::{LOADED, Package},
    step::Step,
};
use options::{Subject, Transport, Work};
use seen::{Seen, median_of};
use server::{Kind, PASSWORD, Server};
use state::State;

/// Where states, configurations and logs of a run are; emptied at its begin. It has to be on a disk, for commits to cost
/// what they cost.
const DIRECTORY: &str = "target/load";
/// Sizes that `--scale` compares.
const SCALE: [u32; 3] = [1_000, 100_000, 1_000_000];

/// Measures and prints. A goal that is missed is told, but no failure: it says as much about the machine as about the code.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    let needed: &[Package] = if options.has_freeradius() { &LOADED } else { &[] };
    machine::provide_packages(needed)?;
    let build = Step::new("programs", "cargo build --release --bins")
        .arg("--package=otp-radiusd")
        .arg("--package=otpctl")
        .arg("--package=benches");
    if !build.run(&mut std::io::stdout())?.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    let directory = PathBuf::from(DIRECTORY);
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("cannot empty {DIRECTORY}"))?;
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot make {DIRECTORY}"))?;
    let directory = directory.canonicalize().context(DIRECTORY)?;
    let text = match options.subject {
        Subject::Servers => compare(options, &directory)?,
        Subject::Transports => transports(options, &directory)?,
        Subject::Proxies => proxies(options, &directory)?,
        Subject::Sizes => {
            let mut rows = Vec::new();
            for users in SCALE {
                let options = Options {
                    users,
                    ..options.clone()
                };
                rows.push(scale(&options, &directory.join(users.to_string()))?);
            }
            render::scale(&rows)
        }
    };
    print!("\n{text}");
    Ok(ExitCode::SUCCESS)
}

/// A state for the work.
fn state(options: &Options, directory: &Path) -> anyhow::Result<State> {
    let state = State::make(directory, options.users)?;
    if options.work == Work::PasswordAndOtp {
        state.set_passwords(PASSWORD)?;
    }
    Ok(state)
}

/// The servers in turns, each time in another round; the medians.
fn in_turns(servers: &[Server], options: &Options) -> anyhow::Result<Vec<(Kind, Seen)>> {
    let mut rounds: Vec<Vec<Seen>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 1..=options.rounds {
        for (server, seen) in servers.iter().zip(&mut rounds) {
            let one = server.load(options, &[])?;
            println!(
                "round {round}, {}, {}: {one}",
                options.transport.name(),
                server.kind
            );
            seen.push(one);
        }
    }
    let medians = servers.iter().zip(&rounds);
    Ok(medians
        .filter_map(|(server, seen)| Some((server.kind, median_of(seen)?)))
        .collect())
}

/// FreeRADIUS and ours on each transport.
fn transports(options: &Options, directory: &Path) -> anyhow::Result<String> {
    let state = state(options, directory)?;
    let mut rows = Vec::new();
    for transport in Transport::ALL {
        let options = Options {
            transport,
            subject: Subject::Servers,
            ..options.clone()
        };
        let mut servers = vec![Server::start(Kind::OtpRadiusd, &options, &state)?];
        if options.has_freeradius() {
            servers.push(Server::start(Kind::FreeRadius, &options, &state)?);
            servers.push(Server::start(Kind::FreeRadiusOnDisk, &options, &state)?);
        }
        rows.push((transport, in_turns(&servers, &options)?));
    }
    Ok(render::transports(&rows))
}

/// radsecproxy, FreeRADIUS and ours in front of a server that accepts everything.
fn proxies(options: &Options, directory: &Path) -> anyhow::Result<String> {
    let options = Options {
        transport: Transport::Udp,
        ..options.clone()
    };
    let state = State::make(directory, options.users)?;
    let home = Server::start(Kind::AcceptAll, &options, &state)?;
    let mut servers = Vec::new();
    for kind in [Kind::RadsecProxy, Kind::FreeRadiusProxy, Kind::OtpRadiusdProxy] {
        servers.push(Server::proxy(kind, &home, &options, &state)?);
    }
    Ok(render::proxies(&in_turns(&servers, &options)?))
}

/// The servers in turns; then ours alone: at half of a rate, and with duplicates.
fn compare(options: &Options, directory: &Path) -> anyhow::Result<String> {
    let state = state(options, directory)?;
    let mut servers = Vec::new();
    if options.has_freeradius() {
        servers.push(Server::start(Kind::FreeRadius, options, &state)?);
        servers.push(Server::start(Kind::FreeRadiusOnDisk, options, &state)?);
    }
    // It has no certificates.
    if options.transport != Transport::Tls {
        servers.push(Server::start(Kind::AcceptAll, options, &state)?);
    }
    servers.push(Server::start(Kind::OtpRadiusd, options, &state)?);
    let medians = in_turns(&servers, options)?;
    let rate_of = |kind| {
        medians
            .iter()
            .find(|(of, _)| *of == kind)
            .map(|(_, seen)| seen.rate)
    };
    let ours = servers.pop().context("no server was started")?;
    let own = rate_of(Kind::OtpRadiusd).unwrap_or_default();
    let half_of_freeradius = rate_of(Kind::FreeRadius).map(|rate| rate / 2.0);

    let mut at_rates = Vec::new();
    let sustained = half_of_freeradius.filter(|half| *half < own);
    for rate in [sustained, Some(own / 2.0)].into_iter().flatten() {
        let rate = format!("{:.0}", rate.max(1.0));
        let seen = ours.load(options, &["--rate", &rate])?;
        println!("{rate} requests/s: {seen}");
        at_rates.push((rate, seen));
    }
    let duplicates = ours.load(options, &["--mode", "duplicates"])?;
    println!("duplicates: {duplicates}");
    Ok(render::comparison(
        &medians,
        half_of_freeradius,
        &at_rates,
        &duplicates,
    ))
}

/// One size of the store: import, cold start, rate, memory.
fn scale(options: &Options, directory: &Path) -> anyhow::Result<render::Scale> {
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let state = State::make(directory, options.users)?;
    println!(
        "{} users: imported in {:.1} s",
        options.users, state.import_seconds
    );
    let mut starts = Vec::new();
    let mut seen = Vec::new();
    for round in 1..=options.rounds {
        let server = Server::start(Kind::OtpRadiusd, options, &state)?;
        starts.push(server.seconds_to_first_answer);
        let one = server.load(options, &[])?;
        println!("round {round}, {} users: {one}", options.users);
        seen.push(one);
    }
    Ok(render::Scale {
        users: options.users,
        import_seconds: state.import_seconds,
        start_seconds: seen::median(&mut starts).unwrap_or_default(),
        seen: median_of(&seen).context("--rounds has to be 1 or more")?,
    })
}

/// Now, for people to read what took how long.
#[expect(clippy::disallowed_methods, reason = "measuring is what this command is for")]
fn now() -> Instant {
    Instant::now()
}
