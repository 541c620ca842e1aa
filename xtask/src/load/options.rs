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
    pub(super) work: Work,
    /// What is compared.
    pub(super) subject: Subject,
}

/// How requests travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp,
    /// With certificates on both sides.
    Tls,
    /// The KDC's socket. FreeRADIUS has none.
    Unix,
}

impl Transport {
    pub(super) const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Unix];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Unix => "unix",
        }
    }
}

/// What servers have to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// A code.
    Otp,
    /// A password and a code after it; the password is kept as a slow hash.
    PasswordAndOtp,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// Servers.
    Servers,
    /// Servers, on each transport.
    Transports,
    /// Proxies, over UDP.
    Proxies,
    /// Sizes of the store.
    Sizes,
}

impl Options {
    /// Reads `[--users N] [--seconds S] [--rounds N] [--window N] [--lanes N] [--transport udp|tcp|tls|unix]
    /// [--work otp|password+otp] [--scale|--transports|--proxies]`.
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            users: 0,
            seconds: 5.0,
            rounds: 5,
            window: 0,
            lanes: 8,
            transport: Transport::Udp,
            work: Work::Otp,
            subject: Subject::Servers,
        };
        let (mut users, mut window) = (None, None);
        let mut arguments = arguments.iter();
        while let Some(&name) = arguments.next() {
            let subject = match name {
                "--scale" => Some(Subject::Sizes),
                "--transports" => Some(Subject::Transports),
                "--proxies" => Some(Subject::Proxies),
                _ => None,
            };
            if let Some(subject) = subject {
                options.subject = subject;
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
                "--users" => users = Some(number()?),
                "--rounds" => options.rounds = number()?,
                "--window" => window = Some(number()?),
                "--lanes" => options.lanes = number()?,
                "--seconds" => {
                    options.seconds = value.parse().with_context(|| format!("--seconds {value}"))?
                }
                "--transport" => {
                    options.transport = Transport::ALL
                        .into_iter()
                        .find(|transport| transport.name() == value)
                        .with_context(|| format!("--transport {value}: neither udp, tcp, tls nor unix"))?;
                }
                "--work" => {
                    options.work = match value {
                        "otp" => Work::Otp,
                        "password+otp" => Work::PasswordAndOtp,
                        _ => bail!("--work {value}: neither otp nor password+otp"),
                    };
                }
                _ => bail!("{name}: no such option; see `cargo xtask help`"),
            }
        }
        ensure!(
            options.seconds > 0.0 && options.seconds <= 600.0,
            "--seconds is outside 0..=600"
        );
        // Each password is hashed once before the measurement; and a hash keeps a core busy for so long that more requests at
        // a time would measure nothing but the wait.
        let (usual_users, usual_window) = match options.work {
            Work::Otp => (10_000, 256),
            Work::PasswordAndOtp => (100, 8),
        };
        options.users = users.unwrap_or(usual_users);
        options.window = window.unwrap_or(usual_window);
        Ok(options)
    }

    /// Whether FreeRADIUS takes part.
    pub(super) fn has_freeradius(&self) -> bool {
        match self.subject {
            Subject::Servers => self.transport != Transport::Unix,
            Subject::Transports | Subject::Proxies => true,
            Subject::Sizes => false,
        }
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
        assert_eq!(Options::parse(&["--scale"]).unwrap().subject, Subject::Sizes);
        assert!(Options::parse(&["--transports"]).unwrap().has_freeradius());
        let slow = Options::parse(&["--work", "password+otp", "--transport", "tls"]).unwrap();
        assert_eq!(
            (slow.users, slow.window, slow.transport),
            (100, 8, Transport::Tls)
        );
        for wrong in [
            &["--users"][..],
            &["--users", "0"],
            &["--users", "x"],
            &["--seconds", "0"],
            &["--seconds", "NaN"],
            &["--transport", "dtls"],
            &["--work", "nothing"],
            &["--fast", "1"],
            &["7"],
        ] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
