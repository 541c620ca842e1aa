//! The daemon: from the store to the last answer.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use otp_service::{Clock as _, PasswordCache, Service, SystemClock};
use otp_store::{ClientRecord, ClientSource, Location, MessageAuthenticatorRule, Store};
use rand::{TryRng as _, rngs::SysRng};
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, error, info, warn};

use crate::{
    activation::Passed,
    admin,
    config::{Config, ConfigError},
    endpoints::{self, Endpoints},
    floods,
    listeners::Listeners,
    log::Log,
    metrics::Metrics,
    radius::Radius,
    reload::{Live, Read, Reloader},
    report::Reporter,
    signals, supervisor,
    upstream::Upstreams,
};

/// Runs until SIGTERM or SIGINT. `passed` is what systemd has bound; `read` reads the configuration once more.
pub(crate) async fn run(config: Config, passed: Passed, read: Read, log: &Log) -> anyhow::Result<()> {
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
    let metrics = Arc::new(Metrics::new(SystemClock.now()));
    let radius = radius(service(store, &config)?, Arc::clone(&metrics))?;
    radius.usages().begin(radius.service().store())?;
    radius.set_certificate_rules(config.tls.clients.clone());
    radius.set_upstreams(upstreams(&config, &Upstreams::default())?);
    let endpoints = Endpoints {
        radius: Arc::clone(&radius),
        metrics,
        health: Arc::default(),
        shutdown: shutdown.clone(),
    };
    let admin = admin::bind(&config)?;
    let shown = config.metrics.listen.as_ref().map(endpoints::bind).transpose()?;
    let serving = Listeners::bind(&config, passed)?.serve(Arc::clone(&radius), &config);
    let watch = spawn(watch(radius.service().clone()));
    let attendance = spawn(supervisor::attend(
        radius.service().clone(),
        Arc::clone(&endpoints.health),
    ));
    let floods = spawn(tell_floods(Arc::clone(&radius)));
    let usage = spawn(report_usage(Arc::clone(&radius)));
    let admin = admin.map(|socket| spawn(admin::serve(socket, reloader, endpoints.clone())));
    info!(
        state = %config.state_dir.display(),
        database = location.database.as_ref().map(ToString::to_string),
        config = config.file.as_ref().map(|file| file.display().to_string()),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    supervisor::ready();
    let mut live = Live {
        read,
        config,
        log,
        metrics: shown.map(|socket| endpoints::spawn(socket, &endpoints)),
        endpoints,
        serving,
    };
    let failed = loop {
        tokio::select! {
            () = shutdown.cancelled() => break None,
            failed = live.serving.failed() => break Some(failed),
            Some(ask) = asked.recv() => live.answer(ask),
        }
    };
    supervisor::stopping();
    // Whoever asks for metrics is told until the end that this daemon stops.
    let finished = live.serving.finish().await;
    drop((admin, watch, attendance, floods, usage, live.metrics));
    write_usage(Arc::clone(&radius)).await;
    write_records(radius.service().store().clone()).await;
    radius.discards().summarise();
    info!("stopped");
    failed.map_or(finished, Err)
}

/// Tells now and then of what was discarded by the thousand.
async fn tell_floods(radius: Arc<Radius<Arc<Metrics>>>) {
    let mut windows = tokio::time::interval(floods::WINDOW);
    windows.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        windows.tick().await;
        radius.discards().tell_floods();
    }
}

/// How often the store is told what came from clients: seldom enough to cost nothing, often enough to watch a client that is being
/// set up.
const USAGE: Duration = Duration::from_secs(10);

/// Tells the store now and then what came from clients.
async fn report_usage(radius: Arc<Radius<Arc<Metrics>>>) {
    let mut windows = tokio::time::interval(USAGE);
    windows.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        windows.tick().await;
        write_usage(Arc::clone(&radius)).await;
    }
}

/// Tells the store what came from clients since the last time.
async fn write_usage(radius: Arc<Radius<Arc<Metrics>>>) {
    let store = radius.service().store().clone();
    let written = tokio::task::spawn_blocking(move || radius.usages().report(&store)).await;
    if let Ok(Err(cause)) = written {
        // Requests say so loudly; what was counted is kept for the next time.
        debug!(
            error = &cause as &dyn std::error::Error,
            "what came from clients is not written yet"
        );
    }
}

/// Runs until what is returned is dropped.
fn spawn(work: impl Future<Output = ()> + Send + 'static) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(work))
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

/// The upstreams as configured, at work; those that are as `before` go on as they are.
pub(crate) fn upstreams(config: &Config, before: &Upstreams) -> Result<Upstreams, ConfigError> {
    let started = config.upstreams()?.start(before);
    started.map_err(|source| config.upstream_error(source))
}

/// The RADIUS side of a validation service.
pub(crate) fn radius<R: Reporter>(service: Service, reporter: R) -> anyhow::Result<Arc<Radius<R>>> {
    let run = SysRng.try_next_u32().context(NO_RANDOMNESS)?;
    let mut mark = [0; 16];
    SysRng.try_fill_bytes(&mut mark).context(NO_RANDOMNESS)?;
    Ok(Arc::new(Radius::new(service, reporter, run, mark)))
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
    client.source != ClientSource::Unix
        && client.message_authenticator.at(SystemClock.now()) == MessageAuthenticatorRule::IfPresent
}
