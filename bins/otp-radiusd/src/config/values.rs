//! Values of keys: each refuses what makes no sense, and says what does.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use serde::Deserialize;

use super::DEFAULT_ADMIN_SOCKET;

/// Permissions of a socket file, written as an octal string such as `"0660"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SocketMode(pub u32);

impl TryFrom<String> for SocketMode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // Digits alone: the parser would also take a sign.
        let digits = text.bytes().all(|octet| octet.is_ascii_digit());
        let mode = u32::from_str_radix(&text, 8).ok().filter(|_| digits);
        match mode {
            Some(mode) if mode & 0o600 != 0o600 => Err(format!(
                "socket_mode {text:?} locks out the owner of the socket; write \"0600\" or \"0660\""
            )),
            Some(mode) if mode & 0o007 != 0 => Err(format!(
                "socket_mode {text:?} lets everybody in, and the socket has no shared secret; write \"0600\" or \"0660\""
            )),
            Some(mode) if mode <= 0o770 => Ok(Self(mode)),
            _ => Err(format!(
                "socket_mode {text:?} is not an octal mode; write \"0600\" or \"0660\""
            )),
        }
    }
}

/// Path of a socket of this machine, from the root on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct SocketPath(PathBuf);

impl SocketPath {
    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for SocketPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.starts_with('/') {
            true => Ok(Self(text.into())),
            false => Err(format!(
                "{text:?} is no absolute path; write e.g. {DEFAULT_ADMIN_SOCKET:?}"
            )),
        }
    }
}

impl TryFrom<String> for SocketPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A deadline in milliseconds, between 100 and 30,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct DeadlineMillis(u64);

/// Less than the patience of a KDC.
impl Default for DeadlineMillis {
    fn default() -> Self {
        Self(4_000)
    }
}

impl DeadlineMillis {
    /// The deadline as a duration from receipt.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl TryFrom<u64> for DeadlineMillis {
    type Error = String;

    fn try_from(millis: u64) -> Result<Self, Self::Error> {
        if (100..=30_000).contains(&millis) {
            return Ok(Self(millis));
        }
        Err(format!(
            "deadline_ms {millis} is outside 100..=30000; an MIT KDC gives up after 5000, so 4000 is a good value"
        ))
    }
}

/// A number of sockets, between 1 and 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "usize")]
pub struct UdpSockets(usize);

impl UdpSockets {
    /// The number.
    pub fn get(self) -> usize {
        self.0
    }
}

impl TryFrom<usize> for UdpSockets {
    type Error = String;

    fn try_from(sockets: usize) -> Result<Self, Self::Error> {
        if (1..=64).contains(&sockets) {
            return Ok(Self(sockets));
        }
        Err(format!(
            "udp_sockets {sockets} is outside 1..=64; leave it out for one socket per processor"
        ))
    }
}

/// A time in seconds, between ten seconds and a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct IdleSeconds(u64);

/// A quarter of an hour.
impl Default for IdleSeconds {
    fn default() -> Self {
        Self(900)
    }
}

impl IdleSeconds {
    /// The time as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for IdleSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if (10..=86_400).contains(&seconds) {
            return Ok(Self(seconds));
        }
        Err(format!(
            "idle_s {seconds} is outside 10..=86400; a proxy that asks with Status-Server twice a minute is never idle"
        ))
    }
}

/// A time in seconds, at most an hour; none by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct CacheSeconds(u64);

impl CacheSeconds {
    /// The time as a duration.
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl TryFrom<u64> for CacheSeconds {
    type Error = String;

    fn try_from(seconds: u64) -> Result<Self, Self::Error> {
        if seconds <= 3_600 {
            return Ok(Self(seconds));
        }
        Err(format!(
            "password_cache_s {seconds} is outside 0..=3600; 300 spares devices that come back every few minutes their hash, 0 remembers nothing"
        ))
    }
}
