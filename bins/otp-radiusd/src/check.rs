//! `otp-radiusd --check`: would it start, and is there something to look at?

use anyhow::Context as _;
use otp_store::{ClientSource, Store};

use crate::{config::Config, daemon::is_weakened};

/// Prints what was found; fails if the daemon would not start.
pub(crate) fn run(config: &Config) -> anyhow::Result<()> {
    let store = Store::open(&config.paths())?;
    store
        .check()
        .context("the store does not take a write, so nothing could be accepted")?;
    println!(
        "state      {} is sound and takes writes",
        config.state_dir.display()
    );
    for transport in &config.listen {
        println!("listener   {transport}");
    }
    let users = store.users()?;
    println!("users      {}", users.len());
    for client in store.clients()? {
        println!("client     {}  {}", client.name, from(&client.source));
        if is_weakened(&client) {
            println!(
                "warning: client {} may leave Message-Authenticator out; its answers can be forged on the way (CVE-2024-3596)",
                client.name
            );
        }
    }
    if users.is_empty() {
        println!("note: there is no user yet; start with `otpctl user add NAME`");
    }
    println!("ok");
    Ok(())
}

fn from(source: &ClientSource) -> String {
    match source {
        ClientSource::Unix => "UNIX socket".into(),
        ClientSource::Network(network) => network.to_string(),
    }
}
