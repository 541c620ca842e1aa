//! When libkrad sends, sends again, and gives up.

use crate::token_type::{Server, TokenType};

/// The times of one request to one address.
///
/// ```
/// use kdc_otp_config::{KdcBuild, TokenType};
///
/// let default = TokenType::synthesized_default(&KdcBuild::debian());
/// let schedule = default.schedule().expect("the defaults are sound");
/// assert_eq!((schedule.sends, schedule.per_try_ms), (1, 5000)); // a UNIX socket knows no retries
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How often the request is sent.
    pub sends: u32,
    /// Milliseconds from one sending to the next, and from the last one to giving up.
    pub per_try_ms: u32,
}

/// A combination of `timeout` and `retries` that a KDC cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Hazard {
    /// `retries = -1`: the number of tries is zero, and the timeout cannot be divided by it. The KDC process ends.
    #[error("there are no tries to divide the timeout by, and the KDC process ends on the first request")]
    NoTries,
    /// The timeout in milliseconds is negative, by its sign or because it overflows a C `int`. The KDC process ends.
    #[error("the timeout in milliseconds is negative for the KDC, and its process ends on the first request")]
    NegativeTimer,
    /// No time passes between the tries, so that every copy is sent at once and the request fails.
    #[error("no time is left for an answer: every copy is sent at once, and the request fails")]
    NoTime,
}

impl TokenType {
    /// What `timeout` and `retries` amount to, where the server has one address.
    ///
    /// # Errors
    ///
    /// [`Hazard`]: requests of this type cannot succeed, and most of these values end the KDC process.
    pub fn schedule(&self) -> Result<Schedule, Hazard> {
        schedule(&self.server, self.timeout, self.retries)
    }
}

pub(crate) fn schedule(server: &Server, timeout: i32, retries: i32) -> Result<Schedule, Hazard> {
    // The KDC multiplies in a C int, which wraps around.
    let total = u32::try_from(timeout.wrapping_mul(1000)).map_err(|_| Hazard::NegativeTimer)?;
    let sends = match server {
        Server::Unix(_) => 1,
        // Below -1, the number of retries becomes a huge unsigned one.
        Server::Network(_) if retries < -1 => u32::MAX,
        Server::Network(_) => u32::try_from(retries).map_or(0, |retries| retries.saturating_add(1)),
    };
    let per_try_ms = total.checked_div(sends).ok_or(Hazard::NoTries)?;
    if per_try_ms == 0 {
        Err(Hazard::NoTime)
    } else {
        Ok(Schedule { sends, per_try_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules() {
        let unix = Server::from_octets("/run/x");
        let network = Server::from_octets("localhost");
        for (server, timeout, retries, expected) in [
            (&network, 5, 3, Ok((4, 1250))),
            (&network, 4, 3, Ok((4, 1000))),
            (&network, 3, 1, Ok((2, 1500))),
            (&network, 1, 0, Ok((1, 1000))),
            (&network, 1, 2, Ok((3, 333))),
            (&network, 1, 2000, Err(Hazard::NoTime)),
            (&network, 0, 0, Err(Hazard::NoTime)),
            (&network, 5, -1, Err(Hazard::NoTries)),
            (&network, 5, -2, Err(Hazard::NoTime)),
            (&network, -1, 0, Err(Hazard::NegativeTimer)),
            (&network, 2_147_483, 0, Ok((1, 2_147_483_000))),
            (&network, 2_147_484, 0, Err(Hazard::NegativeTimer)),
            // The product wraps to a positive number again.
            (&network, 4_294_968, 0, Ok((1, 704))),
            (&unix, 5, 3, Ok((1, 5000))),
            (&unix, 5, -1, Ok((1, 5000))),
            (&unix, 0, 3, Err(Hazard::NoTime)),
            (&unix, -1, 3, Err(Hazard::NegativeTimer)),
        ] {
            let expected = expected.map(|(sends, per_try_ms)| Schedule { sends, per_try_ms });
            assert_eq!(
                schedule(server, timeout, retries),
                expected,
                "{server} {timeout} {retries}"
            );
        }
    }
}
