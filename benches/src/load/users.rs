//! Who logs in.

use std::ops::Range;

use anyhow::{Context as _, ensure};
use otp_core::{Hotp, TokenKey};
use sha2::{Digest as _, Sha256};

/// Users `u0000000`, `u0000001` … with an HOTP token each. Keys follow from the number of the user, so that nothing but
/// the counters has to be kept between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Users {
    /// The next counter of each.
    counters: Vec<u64>,
}

impl Users {
    /// `count` users whose tokens have shown no code yet.
    #[must_use]
    pub fn new(count: u32) -> Self {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        Self {
            counters: vec![0; count],
        }
    }

    /// Their numbers.
    #[must_use]
    pub fn all(&self) -> Range<usize> {
        0..self.counters.len()
    }

    /// The name of a user: of the same length for all of them.
    #[must_use]
    pub fn name(&self, user: usize) -> String {
        format!("u{user:07}")
    }

    /// The key of a user's token. It is as public as this program: for loads alone.
    #[must_use]
    pub fn key(&self, user: usize) -> TokenKey {
        let number = u64::try_from(user).unwrap_or(u64::MAX);
        let digest: [u8; 32] = Sha256::new()
            .chain_update(b"otp-radiusd load")
            .chain_update(number.to_be_bytes())
            .finalize()
            .into();
        let mut key = [0; 20];
        key.copy_from_slice(digest.first_chunk::<20>().unwrap_or(&[0; 20]));
        TokenKey::from(key)
    }

    /// The code that is `ahead` counters after the next one.
    #[must_use]
    pub fn code(&self, user: usize, ahead: u64) -> otp_core::Otp {
        let next = self.counters.get(user).copied().unwrap_or_default();
        self.code_at(user, next.saturating_add(ahead))
    }

    /// The code of a counter or of a time step.
    #[must_use]
    pub fn code_at(&self, user: usize, factor: u64) -> otp_core::Otp {
        Hotp::default().generate(&self.key(user), factor)
    }

    /// `shown` more codes of a user have been shown.
    pub fn advance(&mut self, user: usize, shown: u64) {
        if let Some(counter) = self.counters.get_mut(user) {
            *counter = counter.saturating_add(shown);
        }
    }

    /// Takes the counters from what [`write_counters`](Self::write_counters) has written.
    ///
    /// # Errors
    ///
    /// If it is not one number for each of the users.
    pub fn read_counters(&mut self, text: &str) -> anyhow::Result<()> {
        let counters = text
            .lines()
            .map(str::parse)
            .collect::<Result<Vec<u64>, _>>()
            .context("a counter is no number")?;
        ensure!(
            counters.len() == self.counters.len(),
            "{} counters for {} users",
            counters.len(),
            self.counters.len()
        );
        self.counters = counters;
        Ok(())
    }

    /// The counters as text, one a line.
    #[must_use]
    pub fn write_counters(&self) -> String {
        let mut text = String::new();
        for counter in &self.counters {
            text.push_str(&counter.to_string());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_key_and_the_counter() {
        let mut users = Users::new(3);
        let code = |users: &Users, ahead| users.code(2, ahead).as_str().to_owned();
        let third = code(&users, 2);
        users.advance(2, 2);
        assert_eq!(code(&users, 0), third);
        assert_eq!(third, Hotp::default().generate(&users.key(2), 2).as_str());
        assert_ne!(users.key(0).as_bytes(), users.key(1).as_bytes());
        assert_eq!(users.name(2).len(), users.name(1_000_000).len());
    }

    #[test]
    fn counters_are_kept() {
        let mut users = Users::new(3);
        users.advance(1, 7);
        assert_eq!(users.write_counters(), "0\n7\n0\n");
        let mut again = Users::new(3);
        again.read_counters(&users.write_counters()).unwrap();
        assert_eq!(again, users);
        for wrong in ["0\n7\n", "0\n7\nx\n", "0\n-1\n0\n"] {
            assert!(again.read_counters(wrong).is_err(), "{wrong:?}");
        }
    }
}
