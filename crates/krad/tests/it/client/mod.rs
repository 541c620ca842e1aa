//! A client's request on virtual time: what it sends, and how it ends.

use std::time::{Duration, Instant};

use krad::{
    AttributeType, Code, EncodeError, LengthPolicy, MessageAuthenticatorRule, NoReply, Packet, Remote,
    ReplyError, ReplyStyle, RequestTemplate, RetrySchedule, SharedSecret, Transaction, Transport,
    VerifyError,
};
use rand::{SeedableRng, rngs::StdRng};

use crate::clock::{ms, start};

mod reachability;
mod replies;
mod schedule;
mod simulation;

const LENIENT: MessageAuthenticatorRule = MessageAuthenticatorRule::IfPresent {
    limit_proxy_state: false,
};

fn secret() -> SharedSecret {
    SharedSecret::new(b"foo")
}

fn udp() -> Remote {
    Remote::udp(secret())
}

fn template() -> RequestTemplate {
    RequestTemplate::access_request()
        .with(AttributeType::NAS_IDENTIFIER, b"kdc")
        .and_then(|t| t.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
        .and_then(|t| t.user_password(b"accept"))
        .and_then(|t| t.user_name(b"testUser"))
        .unwrap()
}

/// What a transaction does, and when, in milliseconds.
struct Run {
    transaction: Transaction,
    rng: StdRng,
    start: Instant,
    sent: Vec<(u64, usize, Vec<u8>)>,
}

impl Run {
    fn new(remotes: Vec<Remote>, timeout: u64, retries: u32) -> Self {
        let start = start();
        let schedule = RetrySchedule::new(ms(timeout), retries);
        let mut run = Self {
            transaction: Transaction::new(template(), remotes, schedule, start),
            rng: StdRng::seed_from_u64(7),
            start,
            sent: Vec::new(),
        };
        run.transmit(0);
        run
    }

    fn transmit(&mut self, at: u64) {
        let now = self.start + ms(at);
        while let Some(transmit) = self.transaction.poll_transmit(now, &mut self.rng) {
            let identifier = Packet::decode(transmit.octets).unwrap().identifier();
            assert_eq!(identifier, transmit.identifier);
            self.sent.push((at, transmit.remote, transmit.octets.to_vec()));
        }
    }

    /// The next time at which something is due.
    fn next(&self) -> Option<u64> {
        let due = self.transaction.poll_timeout()?;
        Some(u64::try_from((due - self.start).as_millis()).unwrap())
    }

    /// Goes on, as time passes, until `end` or the outcome; returns when it stopped.
    fn until(&mut self, end: u64) -> u64 {
        let mut at = 0;
        while let Some(next) = self.next().filter(|next| *next <= end) {
            at = next;
            self.transaction.handle_timeout(self.start + ms(at));
            self.transmit(at);
        }
        at
    }

    fn connect_error(&mut self, remote: usize, at: u64) {
        self.transaction.handle_connect_error(remote, self.start + ms(at));
        self.transmit(at);
    }

    fn receive(&mut self, remote: usize, octets: &[u8], at: u64) -> Result<(), ReplyError> {
        self.transaction
            .handle_packet(remote, octets, self.start + ms(at))
    }

    fn times(&self) -> Vec<(u64, usize)> {
        self.sent.iter().map(|(at, remote, _)| (*at, *remote)).collect()
    }

    fn failure(&self) -> Option<NoReply> {
        self.transaction
            .outcome()
            .and_then(|outcome| outcome.as_ref().err().copied())
    }

    fn code(&self) -> Option<Code> {
        let reply = self.transaction.outcome()?.as_ref().ok()?;
        Some(reply.code())
    }
}

/// An authentic reply to what was sent.
fn reply(request: &[u8], secret: &SharedSecret, code: Code) -> Vec<u8> {
    let request = Packet::decode(request)
        .unwrap()
        .authenticate(secret, LENIENT)
        .unwrap();
    let style = if secret.is_empty() {
        ReplyStyle::Libkrad
    } else {
        ReplyStyle::Network
    };
    request.reply(code).sign(style).unwrap()
}
