//! One request to one of several servers, on the caller's clock.

use std::{
    fmt,
    time::{Duration, Instant},
};

use rand::CryptoRng;

use super::schedule::divided;
use crate::{
    Code, DecodeError, EncodeError, Identifier, IdentifierLease, IdentifiersExhausted, Packet,
    PendingRequest, Remote, ReplyBuf, RequestAuthenticator, RequestTemplate, RetrySchedule, Transport,
    VerifyError,
};

/// One request, from the first packet to its only outcome.
///
/// It has no socket, clock or random numbers of its own. The caller sends what
/// [`poll_transmit`](Self::poll_transmit) returns, calls [`handle_timeout`](Self::handle_timeout) when
/// [`poll_timeout`](Self::poll_timeout) is reached, hands in what arrives, and after each step asks for the
/// [`outcome`](Self::outcome). Dropping it gives its Identifiers back.
///
/// - The servers are asked in order, each for its share of the time ([`RetrySchedule`]); one that cannot be
///   reached hands the rest of the time to those after it.
/// - To one server the same octets are sent again. Another server gets a packet of its own: Identifier,
///   authenticator, hidden password.
/// - An authentic reply ends the request, whichever server it comes from and however late, until the deadline.
///   Nothing is sent or accepted from then on.
///
/// A caller that is late skips what it has missed: it never sends a burst.
///
/// ```
/// # use krad::*;
/// # use std::time::{Duration, Instant};
/// # fn now() -> Instant { Instant::now() }
/// # let mut rng = rand::rng();
/// let remote = Remote::udp(SharedSecret::new(b"a secret of this client alone"));
/// let template = RequestTemplate::access_request().user_name(b"alice")?.user_password(b"755224")?;
/// let schedule = RetrySchedule::new(Duration::from_secs(4), 3);
/// let start = now();
/// let mut transaction = Transaction::new(template, vec![remote], schedule, start);
///
/// assert!(transaction.poll_transmit(start, &mut rng).is_some_and(|transmit| transmit.remote == 0));
/// assert!(transaction.poll_transmit(start, &mut rng).is_none(), "until the first retry");
/// assert_eq!(transaction.poll_timeout(), Some(start + Duration::from_secs(1)));
///
/// transaction.handle_timeout(start + Duration::from_secs(4));
/// assert!(matches!(transaction.outcome(), Some(Err(NoReply::TimedOut))));
/// # Ok::<(), EncodeError>(())
/// ```
pub struct Transaction {
    template: RequestTemplate,
    remotes: Vec<Remote>,
    schedule: RetrySchedule,
    deadline: Instant,
    /// The server whose turn it is; past the last one while only late replies are waited for.
    current: usize,
    turn: Turn,
    /// What was sent, at most one packet per server.
    exchanges: Vec<Exchange>,
    outcome: Option<Result<ReplyBuf, NoReply>>,
    replied_by: Option<usize>,
}

/// The turn of one server.
struct Turn {
    began: Instant,
    length: Duration,
    /// How many transmissions were due so far; the first one at once.
    tries: u32,
    /// The last of them was not sent yet.
    is_due: bool,
}

/// A packet that was sent to a server.
struct Exchange {
    remote: usize,
    pending: PendingRequest,
    /// Keeps the Identifier until the request ends.
    _lease: IdentifierLease,
    /// Nothing more is expected of it, though it may still come.
    is_broken: bool,
}

/// A packet to send now, once.
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    /// Which server, as an index of the list that [`Transaction::new`] took.
    pub remote: usize,
    /// Its Identifier. A reply with another one belongs to another request on the same socket.
    pub identifier: Identifier,
    /// The octets, the same ones each time for one server.
    pub octets: &'a [u8],
}

/// Why a request has no reply. Whether a server has acted on it is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// No authentic reply came in time.
    #[error("no authentic reply in time")]
    TimedOut,
    /// None of the servers can be reached, or there was none to ask.
    #[error("no server can be reached")]
    Unreachable,
    /// The last server left to ask had 256 outstanding requests on its socket already.
    #[error(transparent)]
    IdentifiersExhausted(#[from] IdentifiersExhausted),
    /// The template does not make a packet.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why a packet that arrived was discarded. The request goes on, its timers untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// It is not a packet.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// It is not the authentic reply to this request.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// This server was not asked, or the request has ended.
    #[error("nothing was asked")]
    Unsolicited,
}

impl Transaction {
    /// Begins a request at `now` to `remotes`, in this order.
    #[must_use]
    pub fn new(
        template: RequestTemplate,
        remotes: Vec<Remote>,
        schedule: RetrySchedule,
        now: Instant,
    ) -> Self {
        let outcome = remotes.is_empty().then_some(Err(NoReply::Unreachable));
        Self {
            template,
            schedule,
            deadline: after(now, schedule.timeout()),
            current: 0,
            turn: Turn::new(now, schedule.per_remote(remotes.len())),
            remotes,
            exchanges: Vec::new(),
            outcome,
            replied_by: None,
        }
    }

    /// The packet to send now, `None` if there is none for the time being. Call it until it returns `None`.
    ///
    /// `rng` makes the Request Authenticator of a packet to a server that was not asked before.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Transmit<'_>> {
        self.end_at_deadline(now);
        while self.outcome.is_none() && self.turn.is_due {
            let Some(remote) = self.remotes.get(self.current) else {
                break;
            };
            if self.exchange(self.current).is_none() {
                match Exchange::begin(self.current, remote, &self.template, rng) {
                    Ok(exchange) => self.exchanges.push(exchange),
                    Err(cause) => {
                        self.fall_over(now, cause);
                        continue;
                    }
                }
            }
            self.turn.is_due = false;
            return self.exchange(self.current).map(Exchange::transmit);
        }
        None
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), `None` once the request has ended.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.outcome.is_some() {
            return None;
        }
        let next_try = (self.turn.tries < self.tries()).then(|| {
            let elapsed = self.per_try().checked_mul(self.turn.tries);
            after(self.turn.began, elapsed.unwrap_or(Duration::MAX))
        });
        let next_turn = self.has_next().then(|| self.turn.end());
        let events = [next_try, next_turn, Some(self.deadline)];
        events.into_iter().flatten().min()
    }

    /// Does what is due at `now`: the next try, the next server, the end. Does nothing before its time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.end_at_deadline(now);
        if self.outcome.is_some() {
            return;
        }
        while self.has_next() && self.turn.end() <= now {
            self.current = self.current.saturating_add(1);
            self.turn = Turn::new(self.turn.end(), self.turn.length);
        }
        let elapsed = now.saturating_duration_since(self.turn.began).as_millis();
        // A share of no time at all has passed as soon as it has begun.
        let passed = elapsed.checked_div(self.per_try().as_millis());
        let passed = u32::try_from(passed.unwrap_or(u128::MAX)).unwrap_or(u32::MAX);
        let tries = passed.saturating_add(1).min(self.tries());
        if tries > self.turn.tries {
            self.turn.tries = tries;
            self.turn.is_due = true;
        }
    }

    /// Takes what arrived from a server at `now`. An authentic reply ends the request.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]: it was discarded, and the request goes on.
    pub fn handle_packet(&mut self, remote: usize, octets: &[u8], now: Instant) -> Result<(), ReplyError> {
        self.end_at_deadline(now);
        let from = self.remotes.get(remote).ok_or(ReplyError::Unsolicited)?;
        let exchange = self.exchange(remote).ok_or(ReplyError::Unsolicited)?;
        let packet = Packet::decode_with(octets, from.length_policy())?;
        let reply = if from.allows_any_code() {
            exchange.pending.verify_any_code(packet, from.rule())
        } else {
            exchange.pending.verify(packet, from.rule())
        };
        let reply = reply?.to_buf();
        self.replied_by = Some(remote);
        self.end(Ok(reply));
        Ok(())
    }

    /// Takes note that a server cannot be reached: connecting or sending failed, the connection broke, or the
    /// host answered that nobody listens there.
    ///
    /// The next server is asked at once, and those that are left share the time that is left. The last one is
    /// asked again at its next try if it has one, since it may be just starting; a stream has none.
    pub fn handle_connect_error(&mut self, remote: usize, now: Instant) {
        self.end_at_deadline(now);
        if self.outcome.is_some() || remote > self.current {
            return;
        }
        if remote == self.current && !self.has_next() && self.turn.tries < self.tries() {
            self.turn.is_due = false;
            return;
        }
        let mut exchanges = self.exchanges.iter_mut();
        if let Some(exchange) = exchanges.find(|exchange| exchange.remote == remote) {
            exchange.is_broken = true;
        }
        if remote == self.current {
            self.fall_over(now, NoReply::Unreachable);
        } else {
            self.end_if_hopeless(NoReply::Unreachable);
        }
    }

    /// The outcome: `None` while the request goes on, then for ever the same.
    #[must_use]
    pub const fn outcome(&self) -> Option<&Result<ReplyBuf, NoReply>> {
        self.outcome.as_ref()
    }

    /// The outcome, given away.
    #[must_use]
    pub fn into_outcome(self) -> Option<Result<ReplyBuf, NoReply>> {
        self.outcome
    }

    /// Which server the reply came from.
    #[must_use]
    pub const fn replied_by(&self) -> Option<usize> {
        self.replied_by
    }

    /// When the request ends at the latest.
    #[must_use]
    pub const fn deadline(&self) -> Instant {
        self.deadline
    }

    fn exchange(&self, remote: usize) -> Option<&Exchange> {
        self.exchanges.iter().find(|exchange| exchange.remote == remote)
    }

    fn has_next(&self) -> bool {
        self.current.saturating_add(1) < self.remotes.len()
    }

    /// How often the current server is sent its packet.
    fn tries(&self) -> u32 {
        match self.remotes.get(self.current).map(Remote::transport) {
            Some(Transport::Datagram) => self.schedule.tries(),
            Some(Transport::Stream) => 1,
            None => 0,
        }
    }

    fn per_try(&self) -> Duration {
        divided(self.turn.length, self.tries().into())
    }

    /// Goes on to the next server at once.
    fn fall_over(&mut self, now: Instant, cause: NoReply) {
        self.current = self.current.saturating_add(1);
        let left = self.remotes.len().saturating_sub(self.current);
        let time_left = self.deadline.saturating_duration_since(now);
        self.turn = Turn::new(now, divided(time_left, left.try_into().unwrap_or(u64::MAX)));
        self.end_if_hopeless(cause);
    }

    /// Ends the request if all servers were asked and none of them can be expected to reply.
    fn end_if_hopeless(&mut self, cause: NoReply) {
        let all_asked = self.current >= self.remotes.len();
        if all_asked && self.exchanges.iter().all(|exchange| exchange.is_broken) {
            self.end(Err(cause));
        }
    }

    fn end_at_deadline(&mut self, now: Instant) {
        if now >= self.deadline && self.outcome.is_none() {
            self.end(Err(NoReply::TimedOut));
        }
    }

    /// Ends the request and gives the Identifiers back.
    fn end(&mut self, outcome: Result<ReplyBuf, NoReply>) {
        self.outcome = Some(outcome);
        self.exchanges.clear();
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("template", &self.template)
            .field("remotes", &self.remotes)
            .field("current", &self.current)
            .field("tries", &self.turn.tries)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Turn {
    const fn new(began: Instant, length: Duration) -> Self {
        Self {
            began,
            length,
            tries: 1,
            is_due: true,
        }
    }

    fn end(&self) -> Instant {
        after(self.began, self.length)
    }
}

impl Exchange {
    fn begin(
        index: usize,
        remote: &Remote,
        template: &RequestTemplate,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, NoReply> {
        let lease = remote.identifiers().lease()?;
        // Every Status-Server carries one (RFC 5997 §3).
        let with_message_authenticator =
            remote.sends_message_authenticator() || template.code() == Code::STATUS_SERVER;
        let pending = template.compose(
            lease.identifier(),
            RequestAuthenticator::random(rng),
            remote.secret(),
            with_message_authenticator,
        )?;
        Ok(Self {
            remote: index,
            pending,
            _lease: lease,
            is_broken: false,
        })
    }

    fn transmit(&self) -> Transmit<'_> {
        Transmit {
            remote: self.remote,
            identifier: self.pending.identifier(),
            octets: self.pending.octets(),
        }
    }
}

impl fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("remote", &self.remote)
            .field("identifier", &self.identifier)
            .finish_non_exhaustive()
    }
}

/// `duration` after `instant`; as good as never if that cannot be said.
fn after(instant: Instant, duration: Duration) -> Instant {
    let never = || instant.checked_add(Duration::from_secs(365 * 24 * 3600));
    instant.checked_add(duration).or_else(never).unwrap_or(instant)
}
