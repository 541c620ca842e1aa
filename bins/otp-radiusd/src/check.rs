//! `otp-radiusd --check`: would it start, and is there something to look at?

use anyhow::{Context as _, bail};
use otp_service::{Clock as _, SystemClock};
use otp_store::{ClientRecord, ClientSource, Location, Store};

use crate::{
    clients::KDC_CLIENT,
    config::{Config, DEFAULT_FILE, KDC_PATIENCE},
    daemon::is_weakened,
    log,
    probe::{Availability, probe},
    transport::Transport,
    upstream::SHORTEST_GOOD,
};

/// Prints what was found; fails if the daemon would not start.
pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    match &config.file {
        Some(file) => println!("config     {}", file.display()),
        None => println!("config     none ({DEFAULT_FILE} does not exist): the defaults hold"),
    }
    log::filter(&config.log)?;
    let location = config.location()?;
    database(&location)?;
    let store = Store::open(&location)?;
    store
        .check()
        .context("the store does not take a write, so nothing could be accepted")?;
    println!("state      {} is sound and takes writes", location.name());
    println!("key        {}", location.paths.key_file.display());
    let (users, clients) = (store.users()?, store.clients()?);
    let refused = listeners(config);
    tls(config, &clients)?;
    upstreams(config)?;
    println!("users      {}", users.len());
    for client in &clients {
        println!("client     {:<15} {}", client.name, from(client));
    }

    for client in clients.iter().filter(|client| is_weakened(client)) {
        println!(
            "warning: client {} may leave Message-Authenticator out; its answers can be forged on the way (CVE-2024-3596)",
            client.name
        );
    }
    kdc(config, &clients);
    if users.is_empty() {
        println!("note: there is no user yet; start with `otpctl user add NAME`");
    }
    if refused > 0 {
        bail!("{refused} of {} listeners cannot be had", config.listen.len());
    }
    println!("ok");
    Ok(())
}

/// Prints what keeps the rows, and what its promises rest on.
fn database(location: &Location) -> anyhow::Result<()> {
    let status = Store::status(location)?;
    let settings: Vec<_> = status
        .durability
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    println!(
        "database   {} {}, {}",
        status.engine,
        status.version,
        settings.join(", ")
    );
    if let Some(server) = &status.server {
        println!("server     {server}");
    }
    if let Some(replication) = &status.replication {
        println!("standbys   {}", replication);
    }
    let is_exempt = location
        .database
        .as_ref()
        .is_some_and(|database| database.accept_lost_commits);
    if is_exempt {
        println!(
            "warning: accept_lost_commits: if this database fails over without its last commits, codes that were accepted \
             before are accepted again"
        );
    }
    Ok(())
}

/// Prints every listener; returns how many cannot be had.
fn listeners(config: &Config) -> usize {
    let mut refused = 0_usize;
    for (index, transport) in config.listen.iter().enumerate() {
        if config
            .listen
            .iter()
            .take(index)
            .any(|earlier| earlier == transport)
        {
            println!("listener   {transport}\nerror: {transport} is listed twice");
            refused = refused.saturating_add(1);
            continue;
        }
        match probe(transport) {
            Ok(Availability::Free) => println!("listener   {transport}"),
            Ok(Availability::Passed) => println!("listener   {transport} (passed by systemd at the start)"),
            Ok(Availability::InUse) => println!("listener   {transport} (in use: is the daemon running?)"),
            Err(error) => {
                println!("listener   {transport}\nerror: {error:#}");
                refused = refused.saturating_add(1);
            }
        }
    }
    refused
}

/// Reads what `[tls]` names, and prints until when it holds and whom it is about.
fn tls(config: &Config, clients: &[ClientRecord]) -> anyhow::Result<()> {
    let Some(terms) = config.tls_terms()? else {
        return Ok(());
    };
    let left = terms
        .expires()
        .map(|expires| expires.as_secs().saturating_sub(SystemClock.now().0) / SECONDS_PER_DAY);
    match left {
        Some(0) => println!(
            "warning: the certificate of `[tls]` is expired, or will be within a day; clients refuse it then"
        ),
        Some(days @ 1..WARNING_DAYS) => {
            println!("warning: the certificate of `[tls]` is valid for {days} more days")
        }
        Some(days) => println!("tls        the certificate is valid for {days} more days"),
        None => println!("tls        the certificate and its key belong together"),
    }
    for name in config.tls.clients.clients() {
        if !clients.iter().any(|client| client.name == name) {
            println!(
                "warning: `[tls.clients]` names {name:?}, which is no client; `otpctl client list` shows them"
            );
        }
    }
    Ok(())
}

/// Reads what `[upstream.NAME]` names, and prints who decides for whom. Nobody is asked anything.
fn upstreams(config: &Config) -> anyhow::Result<()> {
    for (name, upstream) in config.upstreams()?.upstreams() {
        let servers: Vec<_> = upstream.servers().iter().map(ToString::to_string).collect();
        println!("upstream   {:<15} {}", name.as_str(), servers.join(", "));
        if upstream.has_short_secret() {
            println!(
                "warning: the secret of [upstream.{name}] has fewer than {SHORTEST_GOOD} octets; `openssl rand -base64 24` makes a good one"
            );
        }
        if upstream.takes_replies_without_message_authenticator() {
            println!(
                "warning: [upstream.{name}] takes replies without Message-Authenticator; they can be forged on the way (CVE-2024-3596)"
            );
        }
    }
    for (realm, upstream) in config.realms.shown() {
        println!("realm      {realm:<15} upstream {upstream}");
    }
    Ok(())
}

const SECONDS_PER_DAY: u64 = 86_400;
/// How long before the end of the server's certificate there is a warning.
const WARNING_DAYS: u64 = 30;

/// What a KDC on the UNIX socket would run into.
fn kdc(config: &Config, clients: &[ClientRecord]) {
    if !config.listen.iter().any(|transport| {
        matches!(
            transport,
            Transport::Unix(_) | Transport::Systemd { tls: false, .. }
        )
    }) {
        return;
    }
    match clients.iter().find(|client| client.name == KDC_CLIENT) {
        Some(client) if client.enabled => {}
        _ => println!(
            "warning: the client {KDC_CLIENT} is disabled, so that every login through the KDC is rejected; \
             `otpctl client enable {KDC_CLIENT}`"
        ),
    }
    let deadline = config.deadline_ms.duration();
    if deadline >= KDC_PATIENCE {
        println!(
            "warning: deadline_ms {} is not less than what an MIT KDC waits ({}), unless `timeout` in its [otp] says otherwise",
            deadline.as_millis(),
            KDC_PATIENCE.as_millis()
        );
    }
}

fn from(client: &ClientRecord) -> String {
    let source = match &client.source {
        ClientSource::Unix => "UNIX socket".to_owned(),
        ClientSource::Network(network) => network.to_string(),
    };
    if client.enabled {
        source
    } else {
        format!("{source} (disabled)")
    }
}
