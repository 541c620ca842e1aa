//! `radius-accept`: answers every authentic Access-Request with Access-Accept.
#![forbid(unsafe_code)]

use benches::{load::Target, responder};
use clap::Parser;
use tokio_util::sync::CancellationToken;

/// Accepts every request with the right shared secret, without looking at it: the floor for measurements of servers.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen: udp://ADDRESS:PORT, tcp://ADDRESS:PORT or unix:/PATH.
    listen: Target,
    /// The shared secret (UDP, TCP).
    #[arg(long, default_value = "the secret of a load generator", value_name = "TEXT")]
    secret: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    responder::serve(options.listen, &options.secret, |_| (), CancellationToken::new()).await
}
