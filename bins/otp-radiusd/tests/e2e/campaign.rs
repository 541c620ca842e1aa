//! What campaigns have in common: how much of it, from which seed, and a line for the ledger.

use std::{env, fmt::Write as _, fs::OpenOptions, io::Write as _, time::Instant};

/// How often, from the environment variable `name`; a few times where it is not set.
pub fn scale(name: &str, by_default: u64) -> u64 {
    env::var(name).map_or(by_default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text}: not a number"))
    })
}

/// `CAMPAIGN_SEED`, or one of this moment.
pub fn seed() -> u64 {
    let seed = env::var("CAMPAIGN_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| rand::random::<u64>() >> 16);
    println!("CAMPAIGN_SEED={seed}");
    seed
}

/// What a campaign has seen. It is printed, and appended to the file `CAMPAIGN_LEDGER` names, if any.
pub struct Ledger {
    campaign: &'static str,
    seed: u64,
    counts: String,
}

impl Ledger {
    pub fn new(campaign: &'static str, seed: u64) -> Self {
        Self {
            campaign,
            seed,
            counts: String::new(),
        }
    }

    pub fn count(mut self, what: &str, count: u64) -> Self {
        let separator = if self.counts.is_empty() { "" } else { "; " };
        write!(self.counts, "{separator}{what}: {count}").unwrap();
        self
    }

    pub fn finish(self, started: Instant) {
        let Self {
            campaign,
            seed,
            counts,
        } = self;
        let line = format!("{campaign},{seed},{counts},{}", started.elapsed().as_secs());
        println!("ledger: {line}");
        if let Some(file) = env::var_os("CAMPAIGN_LEDGER") {
            let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
            writeln!(file, "{line}").unwrap();
        }
    }
}
