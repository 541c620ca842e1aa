//! The daemon: from the store to the last answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use otp_service::{PasswordCache, Service, SystemClock};
use otp_store::{ClientRecord, ClientSource, Location, MessageAuthenticatorRule, Store};
use rand::{TryRng as _, rngs::SysRng};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use crate::{
    admin,
    config::Config,
    listeners::Listeners,
    log::Log,
    radius::Radius,
    reload::{Live, Read, Reloader},
    report::{LogReporter, Reporter},
    signals,
};

/// Runs until SIGTERM or SIGINT. `read` reads the configuration once more.
pub(crate) async fn run(config: Config, read: Read, log: &Log) -> anyhow::Result<()> {
    let location = config.location()?;
    warn_of_lost_commits(&location);
    let store = Store::open(&location)?;
    store
        .check()
        .context("the store does not take a write, so nothing could be accepted")?;
    warn_of_exemptions(&store)?;
    let shutdown = signals::stop()?;
    let (reloader, mut asked) = Reloader::new();
    signals::reload(reloader.clone())?;
    let radius = radius(service(store, &config)?, LogReporter)?;
    let admin = admin::bind(&config)?;
    let serving = Listeners::bind(&config)?.serve(Arc::clone(&radius), &config);
    let watch = AbortOnDropHandle::new(tokio::spawn(watch(radius.service().clone())));
    let admin = admin.map(|socket| AbortOnDropHandle::new(tokio::spawn(admin::serve(socket, reloader))));
    info!(
        state = %config.state_dir.display(),
        database = location.database.as_ref().map(ToString::to_string),
        config = config.file.as_ref().map(|file| file.display().to_string()),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let mut live = Live {
        read,
        config,
        log,
        radius: Arc::clone(&radius),
        serving,
    };
    let failed = loop {
        tokio::select! {
            () = shutdown.cancelled() => break None,
            failed = live.serving.failed() => break Some(failed),
            Some(ask) = asked.recv() => live.answer(ask),
        }
    };
    drop(admin);
    let finished = live.serving.finish().await;
    drop(watch);
    write_records(radius.service().store().clone()).await;
    radius.discards().summarise();
    info!("stopped");
    failed.map_or(finished, Err)
}

/// Writes what the audit trail was told last, and nobody waited for.
async fn write_records(store: Store) {
    let written = tokio::task::spawn_blocking(move || store.write_records()).await;
    if let Ok(Err(cause)) = written {
        error!(
            error = &cause as &dyn std::error::Error,
            "the last refusals are missing in the audit trail"
        );
    }
}

/// Notices what happens while nobody asks for anything: a store that works again, a clock that is set back.
async fn watch(service: Service) {
    let mut every_second = tokio::time::interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every_second.tick().await;
        if let Err(cause) = service.watch().await {
            // Requests say so loudly.
            debug!(
                error = &cause as &dyn std::error::Error,
                "the store does not work yet"
            );
        }
    }
}

/// The validation service on `store`, as configured.
pub(crate) fn service(store: Store, config: &Config) -> anyhow::Result<Service> {
    let service = Service::new(store, Arc::new(SystemClock));
    let life = config.password_cache_s.duration();
    if life.is_zero() {
        return Ok(service);
    }
    let cache = PasswordCache::new(life, &mut SysRng).context(NO_RANDOMNESS)?;
    Ok(service.with_password_cache(cache))
}

/// The RADIUS side of a validation service.
pub(crate) fn radius<R: Reporter>(service: Service, reporter: R) -> anyhow::Result<Arc<Radius<R>>> {
    let run = SysRng.try_next_u32().context(NO_RANDOMNESS)?;
    Ok(Arc::new(Radius::new(service, reporter, run)))
}

pub(crate) const NO_RANDOMNESS: &str = "the operating system gives no randomness";

/// A promise that was given up is named at every start, so that nobody forgets it.
fn warn_of_lost_commits(location: &Location) {
    if let Some(database) = location
        .database
        .as_ref()
        .filter(|database| database.accept_lost_commits)
    {
        warn!(
            database = %database,
            "LOST COMMITS ARE ACCEPTED: if this database fails over without its last commits, codes that were accepted before \
             are accepted again; replicate synchronously and take `accept_lost_commits` away"
        );
    }
}

/// A weakened client is named at every start, so that nobody forgets it.
pub(crate) fn warn_of_exemptions(store: &Store) -> anyhow::Result<()> {
    for client in store.clients()?.iter().filter(|client| is_weakened(client)) {
        warn!(
            client = client.name,
            "this client may leave Message-Authenticator out: its answers can be forged on the way (CVE-2024-3596)"
        );
    }
    Ok(())
}

/// Whether a client on a network may leave Message-Authenticator out.
pub(crate) fn is_weakened(client: &ClientRecord) -> bool {
    client.source != ClientSource::Unix && client.message_authenticator == MessageAuthenticatorRule::IfPresent
}
