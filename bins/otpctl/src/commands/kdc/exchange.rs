//! Carries the packets of a verification to real servers and back.

use std::time::{Duration, Instant};

use kdc_otp::{Unreachable, Verification};
use rand::CryptoRng;
use tokio::{select, time};

use super::link::{Link, Trouble};

/// Something worth telling about the question of a token.
#[derive(Debug)]
pub(super) struct Note {
    /// Index of the token, counted from 0.
    pub(super) token: usize,
    /// What it is.
    pub(super) text: String,
}

/// What happened on the way to an outcome.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// How many packets were sent for each token.
    pub(super) sent: Vec<(usize, u32)>,
    /// What a KDC does not act upon.
    pub(super) notes: Vec<Note>,
}

impl Exchange {
    /// Carries packets until there is an outcome.
    pub(super) async fn run(verification: &mut Verification, rng: &mut impl CryptoRng) -> Self {
        let mut exchange = Self::default();
        let mut link = None;
        while let Some(ask) = verification.current() {
            let token = ask.token();
            if let Some(server) = verification.poll_server() {
                let limit =
                    Duration::from_secs(u64::try_from(ask.token_type().timeout()).unwrap_or_default());
                match Link::to(server, limit).await {
                    Ok(found) => {
                        verification.handle_addresses(found.addresses(), now());
                        link = Some(found);
                    }
                    Err(cause) => verification.handle_unreachable(cause, now()),
                }
                continue;
            }
            let (Some(link), Some(due)) = (&mut link, verification.poll_timeout()) else {
                // Neither a server to find nor one to wait for: there is an outcome.
                break;
            };
            if let Err(cause) = exchange.transmit(token, verification, link, rng).await {
                verification.handle_unreachable(cause, now());
                continue;
            }
            select! {
                (address, received) = link.receive() => match received {
                    Ok(packet) => {
                        if let Err(reason) = verification.handle_packet(address, &packet, now()) {
                            exchange.note(token, format!("a reply was discarded, as the KDC discards it: {reason}"));
                        }
                    }
                    Err(trouble) => exchange.trouble(token, &trouble),
                },
                () = time::sleep_until(due.into()) => verification.handle_timeout(now()),
            }
        }
        exchange
    }

    /// How many packets were sent for a token.
    pub(super) fn sent_for(&self, token: usize) -> u32 {
        let sent = self.sent.iter().find(|(index, _)| *index == token);
        sent.map_or(0, |(_, count)| *count)
    }

    async fn transmit(
        &mut self,
        token: usize,
        verification: &mut Verification,
        link: &mut Link,
        rng: &mut impl CryptoRng,
    ) -> Result<(), Unreachable> {
        while let Some(transmit) = verification.poll_transmit(now(), rng) {
            match link.send(transmit.address, transmit.octets).await {
                Ok(()) => self.count(token),
                Err(Ok(cause)) => return Err(cause),
                Err(Err(trouble)) => self.trouble(token, &trouble),
            }
        }
        Ok(())
    }

    fn count(&mut self, token: usize) {
        match self.sent.last_mut() {
            Some((index, count)) if *index == token => *count = count.saturating_add(1),
            _ => self.sent.push((token, 1)),
        }
    }

    fn trouble(&mut self, token: usize, trouble: &Trouble) {
        self.note(token, trouble.to_string());
    }

    /// Each only once: a dead port is heard of after every packet.
    fn note(&mut self, token: usize, text: String) {
        if !self
            .notes
            .iter()
            .any(|note| note.token == token && note.text == text)
        {
            self.notes.push(Note { token, text });
        }
    }
}

/// The monotonic clock of the runtime, so that a test can stop it.
pub(super) fn now() -> Instant {
    time::Instant::now().into_std()
}
