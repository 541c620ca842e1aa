//! What `cargo xtask load` is told.

use anyhow::{Context, bail, ensure};

/// The arguments of `cargo xtask load`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    pub(super) users: u32,
    pub(super) seconds: f64,
    pub(super) rounds: u32,
    pub(super) window: u32,
    pub(super) lanes: u32,
    pub(super) transport: Transport,
    /// Compare sizes of the store instead of servers.
    pub(super) scale: bool,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    /// The KDC's socket. FreeRADIUS has none.
    Unix,
}

impl Options {
    /// Reads `[--users N] [--seconds S] [--rounds N] [--window N] [--lanes N] [--transport udp|unix] [--scale]`.
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            users: 10_000,
            seconds: 5.0,
            rounds: 5,
            window: 256,
            lanes: 8,
            transport: Transport::Udp,
            scale: false,
        };
        let mut arguments = arguments.iter();
        while let Some(&name) = arguments.next() {
            if name == "--scale" {
                options.scale = true;
                continue;
            }
            let value = *arguments
                .next()
                .with_context(|| format!("{name}: no such option, or no value; see `cargo xtask help`"))?;
            let number = || {
                value
                    .parse::<u32>()
                    .ok()
                    .filter(|number| *number > 0)
                    .with_context(|| format!("{name} {value}: not a number from 1 on"))
            };
            match name {
                "--users" => options.users = number()?,
                "--rounds" => options.rounds = number()?,
                "--window" => options.window = number()?,
                "--lanes" => options.lanes = number()?,
                "--seconds" => {
                    options.seconds = value.parse().with_context(|| format!("--seconds {value}"))?
                }
                "--transport" => {
                    options.transport = match value {
                        "udp" => Transport::Udp,
                        "unix" => Transport::Unix,
                        _ => bail!("--transport {value}: neither udp nor unix"),
                    };
                }
                _ => bail!("{name}: no such option; see `cargo xtask help`"),
            }
        }
        ensure!(
            options.seconds > 0.0 && options.seconds <= 600.0,
            "--seconds is outside 0..=600"
        );
        Ok(options)
    }

    /// Whether FreeRADIUS takes part.
    pub(super) fn has_freeradius(&self) -> bool {
        self.transport == Transport::Udp && !self.scale
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let options = Options::parse(&["--users", "7", "--seconds", "0.5", "--transport", "unix"]).unwrap();
        assert_eq!((options.users, options.seconds), (7, 0.5));
        assert!(!options.has_freeradius());
        assert!(Options::parse(&[]).unwrap().has_freeradius());
        assert!(Options::parse(&["--scale"]).unwrap().scale);
        for wrong in [
            &["--users"][..],
            &["--users", "0"],
            &["--users", "x"],
            &["--seconds", "0"],
            &["--seconds", "NaN"],
            &["--transport", "tcp"],
            &["--fast", "1"],
            &["7"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
