//! The command line of the load generator.

use std::{net::SocketAddr, path::PathBuf, str::FromStr};

use anyhow::ensure;

/// Identifiers of one source port or connection (RFC 2865 §3).
pub(super) const IDENTIFIERS: usize = 256;

/// Puts a load of Access-Requests on a RADIUS server and measures it.
#[derive(Debug, Clone, clap::Parser)]
pub struct Options {
    /// Where the server listens: udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT or unix:/PATH.
    pub target: Target,
    /// How many users log in, one after the other.
    #[arg(long, default_value_t = 1000, value_name = "N")]
    pub users: u32,
    /// For how many seconds requests are measured.
    #[arg(long, default_value_t = 5.0, value_name = "S")]
    pub seconds: f64,
    /// For how many seconds before, the same load is put on unmeasured.
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    pub warm_up: f64,
    /// How many requests are outstanding: exactly, or with --rate at most.
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub window: usize,
    /// From how many source ports, or over how many connections.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub lanes: usize,
    /// Send this many requests a second at random intervals (a Poisson process), whatever becomes of them. Latencies
    /// count from when a request was due.
    #[arg(long, value_name = "PER_SECOND")]
    pub rate: Option<f64>,
    /// What is sent.
    #[arg(long, value_enum, default_value_t = Mode::Fresh)]
    pub mode: Mode,
    /// Send this password for everybody in place of codes: for servers that know no HOTP.
    #[arg(long, value_name = "PASSWORD")]
    pub fixed_password: Option<String>,
    /// The realm of all users: they log in as USER@REALM.
    #[arg(long, value_name = "REALM")]
    pub realm: Option<String>,
    /// Send this before each code.
    #[arg(
        long,
        default_value = "",
        value_name = "PASSWORD",
        conflicts_with = "fixed_password"
    )]
    pub password: String,
    /// Send the codes of this time (RFC 6238, 30 s) in place of those of counters, as long as they are the same: for
    /// servers that know no HOTP.
    #[arg(long, conflicts_with = "fixed_password")]
    pub totp: bool,
    /// Directory of ca.pem, client.pem and client.key (TLS).
    #[arg(long, value_name = "DIRECTORY")]
    pub certificates: Option<PathBuf>,
    /// The shared secret (UDP, TCP).
    #[arg(long, default_value = "the secret of a load generator", value_name = "TEXT")]
    pub secret: String,
    /// The server's process, for its processor time and its memory.
    #[arg(long, value_name = "PID")]
    pub pid: Option<u32>,
    /// The next counters of the tokens, read before and written after.
    #[arg(long, value_name = "FILE")]
    pub counters: Option<PathBuf>,
    /// How many requests are built before the clock starts; later ones are built on the way.
    #[arg(long, value_name = "N")]
    pub prepare: Option<usize>,
    /// Verify one in so many replies; Identifier and Code are looked at in all of them.
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub verify_every: u64,
    /// Seed of Request Authenticators and intervals.
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    pub seed: u64,
    /// Print the report as one line of JSON.
    #[arg(long)]
    pub json: bool,
    /// Send one request every 5 ms until it is answered, for a minute at most, and do nothing else.
    #[arg(long)]
    pub until_answered: bool,
    /// Print the tokens of the users as CSV for `otpctl token import`, and do nothing else.
    #[arg(long)]
    pub tokens: bool,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// A new request with a code that was never shown before.
    Fresh,
    /// The octets of a request that was answered, again and again.
    Duplicates,
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// RADIUS over UDP.
    Udp(SocketAddr),
    /// RADIUS over TCP (RFC 6613).
    Tcp(SocketAddr),
    /// RADIUS over TLS (RFC 6614).
    Tls(SocketAddr),
    /// RADIUS over a UNIX stream socket, as a KDC speaks it: no shared secret, no Message-Authenticator.
    Unix(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unix = text.strip_prefix("unix:").map(|path| Self::Unix(path.into()));
        let network = || {
            let (scheme, address) = text.split_once("://")?;
            let of: fn(SocketAddr) -> Self = match scheme {
                "udp" => Self::Udp,
                "tcp" => Self::Tcp,
                "tls" => Self::Tls,
                _ => return None,
            };
            address.parse().ok().map(of)
        };
        unix.or_else(network).ok_or_else(|| {
            format!("{text:?} is neither udp://, tcp:// or tls:// with ADDRESS:PORT nor unix:/PATH")
        })
    }
}

impl Options {
    /// What no type says.
    ///
    /// # Errors
    ///
    /// Which option is wrong, and within what it has to be.
    pub fn check(&self) -> anyhow::Result<()> {
        let users = usize::try_from(self.users).unwrap_or(usize::MAX);
        ensure!(
            (1..=10_000_000).contains(&self.users),
            "--users is outside 1..=10000000"
        );
        ensure!(self.lanes >= 1, "--lanes has to be 1 or more");
        ensure!(
            (1..=users).contains(&self.window),
            "--window is outside 1..={users}: nobody logs in twice at a time"
        );
        ensure!(
            self.slots_per_lane() <= IDENTIFIERS,
            "--window {} needs {} --lanes or more: each has {IDENTIFIERS} Identifiers",
            self.window,
            self.window.div_ceil(IDENTIFIERS)
        );
        let is_duration = |seconds: f64| (0.0..=3600.0).contains(&seconds);
        ensure!(
            is_duration(self.seconds) && self.seconds > 0.0 && is_duration(self.warm_up),
            "--seconds and --warm-up are times of up to an hour"
        );
        ensure!(
            self.rate.is_none_or(|rate| (1.0..=1e6).contains(&rate)),
            "--rate is outside 1..=1000000"
        );
        ensure!(self.verify_every >= 1, "--verify-every has to be 1 or more");
        Ok(())
    }

    /// How many requests a lane has outstanding at most.
    pub(super) fn slots_per_lane(&self) -> usize {
        self.window.div_ceil(self.lanes)
    }

    /// How many requests are built before the clock starts: what a fast server answers in the time.
    pub(super) fn prepared(&self) -> usize {
        /// Requests a second that no server on two cores has exceeded, and more than which is of no use in memory.
        const FAST: f64 = 40_000.0;
        const MOST: f64 = 1_000_000.0;
        let wanted = (self.rate.unwrap_or(FAST) * 1.05 * (self.seconds + self.warm_up)).min(MOST);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and a million"
        )]
        let wanted = wanted as usize;
        match self.mode {
            _ if self.until_answered => 1,
            Mode::Fresh => self.prepare.unwrap_or(wanted),
            Mode::Duplicates => self.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn options(line: &str) -> Options {
        Options::try_parse_from(line.split_whitespace()).unwrap()
    }

    #[test]
    fn targets_are_addresses_and_paths() {
        let udp = Target::Udp("127.0.0.1:1812".parse().unwrap());
        assert_eq!("udp://127.0.0.1:1812".parse(), Ok(udp));
        assert_eq!("unix:/run/x".parse(), Ok(Target::Unix("/run/x".into())));
        for wrong in ["127.0.0.1:1812", "udp://localhost", "dtls://127.0.0.1:1"] {
            assert!(wrong.parse::<Target>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let usual = "x udp://127.0.0.1:1";
        options(usual).check().unwrap();
        options("x udp://127.0.0.1:1 --window 256 --lanes 1")
            .check()
            .unwrap();
        for (more, named) in [
            ("--users 0", "--users"),
            ("--users 10 --window 11", "--window"),
            ("--window 0", "--window"),
            ("--lanes 0", "--lanes"),
            ("--window 257 --lanes 1", "--lanes"),
            ("--seconds 0", "--seconds"),
            ("--seconds NaN", "--seconds"),
            ("--warm-up 1e9", "--warm-up"),
            ("--rate 0", "--rate"),
            ("--verify-every 0", "--verify-every"),
        ] {
            let refused = options(&format!("{usual} {more}")).check().unwrap_err();
            assert!(refused.to_string().contains(named), "{more}: {refused}");
        }
    }

    #[test]
    fn enough_is_prepared() {
        assert_eq!(options("x udp://127.0.0.1:1 --rate 1000").prepared(), 6300);
        assert_eq!(options("x udp://127.0.0.1:1 --prepare 7").prepared(), 7);
        assert_eq!(options("x udp://127.0.0.1:1 --mode duplicates").prepared(), 256);
        assert_eq!(
            options("x udp://127.0.0.1:1 --seconds 3600").prepared(),
            1_000_000
        );
    }
}
