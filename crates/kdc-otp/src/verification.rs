//! The questions about one OTP, one after the other, on the caller's clock.

use std::{
    fmt,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use kdc_otp_config::Server;
use krad::{Code, NoReply, ReplyError, RetrySchedule, Transaction};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::{Ask, Failure, OtpModule, Unreachable, failure::PREAUTH_FAILED};

/// One OTP on its way through the tokens of a principal, from the first question to the only outcome.
///
/// It has no socket, clock or random numbers of its own. The caller finds the server that
/// [`poll_server`](Self::poll_server) names, sends what [`poll_transmit`](Self::poll_transmit) returns, calls
/// [`handle_timeout`](Self::handle_timeout) when [`poll_timeout`](Self::poll_timeout) is reached, and hands in what
/// arrives, until there is an [`outcome`](Self::outcome).
///
/// - One question is open at a time. Each token's server gets the same OTP.
/// - Access-Accept ends it. Any other reply means "not accepted", an Access-Challenge too: the next token is tried.
/// - Any failure ends it, even if another server would accept.
/// - A datagram that finds no listener, and a stream that ends before the reply, are no failures: the KDC waits for as
///   long as the type says. Tell nothing of them.
pub struct Verification {
    module: OtpModule,
    otp: Zeroizing<Vec<u8>>,
    asks: Vec<Ask>,
    /// The ask whose turn it is.
    current: usize,
    began: Instant,
    stage: Stage,
    steps: Vec<Step>,
    outcome: Option<Outcome>,
}

/// What the current ask waits for.
enum Stage {
    /// The caller has to find the server.
    Server,
    /// The server has to reply.
    Reply(Box<Transaction>),
}

/// A packet to send now, once, to the server of the current token.
#[derive(Clone, Copy)]
pub struct Transmit<'a> {
    /// Which of the server's addresses, counted from 0.
    pub address: usize,
    /// The octets: a packet by itself in a datagram, or one of many in a stream.
    pub octets: &'a [u8],
}

/// What a server, or the way to it, had to say about a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Access-Accept.
    Accepted,
    /// Another authentic reply.
    NotAccepted(Code),
    /// None.
    Failed(Failure),
}

/// One token that is done with.
#[derive(Clone, Debug)]
pub struct Step {
    /// What was asked.
    pub ask: Ask,
    /// What came of it.
    pub answer: Answer,
    /// How long it took.
    pub took: Duration,
}

/// What becomes of the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A ticket, with these authentication indicators. The reply key is the FAST armor key.
    Granted {
        /// Index of the token whose server accepted, counted from 0.
        token: usize,
        /// The indicators (RFC 8129), in order, each once.
        indicators: Vec<Vec<u8>>,
    },
    /// No ticket: every server replied, and none accepted.
    NotAccepted,
    /// No ticket: a request failed, and the tokens after it were not tried.
    Failed {
        /// Index of the token, counted from 0.
        token: usize,
        /// Why.
        failure: Failure,
    },
}

impl Outcome {
    /// Whether there is a ticket.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        matches!(self, Self::Granted { .. })
    }

    /// What krb5kdc logs after `preauth (otp) verify failure: `, where that is known. The client is told
    /// `KDC_ERR_PREAUTH_FAILED` (24) whatever it is.
    #[must_use]
    pub fn logged_as(&self) -> Option<&'static str> {
        match self {
            Self::Granted { .. } => None,
            Self::NotAccepted => Some(PREAUTH_FAILED),
            Self::Failed { failure, .. } => failure.logged_as(),
        }
    }
}

impl Verification {
    pub(crate) fn new(module: OtpModule, asks: Vec<Ask>, otp: &[u8], now: Instant) -> Self {
        let mut verification = Self {
            module,
            otp: Zeroizing::new(otp.to_vec()),
            asks,
            current: 0,
            began: now,
            stage: Stage::Server,
            steps: Vec::new(),
            outcome: None,
        };
        verification.begin(now);
        verification
    }

    /// The question that is open, `None` once there is an outcome.
    #[must_use]
    pub fn current(&self) -> Option<&Ask> {
        self.asks.get(self.current).filter(|_| self.outcome.is_none())
    }

    /// The server to find now: look up its addresses, or connect to its socket. Answer with
    /// [`handle_addresses`](Self::handle_addresses) or [`handle_unreachable`](Self::handle_unreachable).
    ///
    /// A KDC keeps a connection between requests, and looks a name up for every request.
    #[must_use]
    pub fn poll_server(&self) -> Option<&Server> {
        match self.stage {
            Stage::Server => self.current().map(|ask| ask.token_type().server()),
            Stage::Reply(_) => None,
        }
    }

    /// Begins to ask: the server has so many addresses, in the order of the look-up; a socket that is connected is one.
    pub fn handle_addresses(&mut self, addresses: NonZeroUsize, now: Instant) {
        if !matches!(self.stage, Stage::Server) {
            return;
        }
        let Some(ask) = self.current() else { return };
        match self.transaction(ask, addresses, now) {
            Ok(transaction) => self.stage = Stage::Reply(Box::new(transaction)),
            Err(failure) => self.finish(Answer::Failed(failure), now),
        }
    }

    /// Ends the login: the server cannot be found or connected to.
    pub fn handle_unreachable(&mut self, cause: Unreachable, now: Instant) {
        self.finish(Answer::Failed(Failure::Unreachable(cause)), now);
    }

    /// The packet to send now, `None` if there is none for the time being. Call it until it returns `None`.
    ///
    /// `rng` makes Identifier and Request Authenticator of a new packet.
    pub fn poll_transmit(&mut self, now: Instant, rng: &mut impl CryptoRng) -> Option<Transmit<'_>> {
        let Stage::Reply(transaction) = &mut self.stage else {
            return None;
        };
        let transmit = transaction.poll_transmit(now, rng)?;
        Some(Transmit {
            address: transmit.remote,
            octets: transmit.octets,
        })
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), `None` while no reply is waited for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.stage {
            // A transaction that ended while it was sending is due at once.
            Stage::Reply(transaction) => transaction.poll_timeout().or(Some(self.began)),
            _ => None,
        }
    }

    /// Does what is due at `now`: sends again, asks the next address, gives up. Does nothing before its time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Stage::Reply(transaction) = &mut self.stage {
            transaction.handle_timeout(now);
        }
        self.settle(now);
    }

    /// Takes what arrived from an address of the current server at `now`.
    ///
    /// # Errors
    ///
    /// [`ReplyError`]: it was discarded, as libkrad discards it, and the request goes on.
    pub fn handle_packet(&mut self, address: usize, octets: &[u8], now: Instant) -> Result<(), ReplyError> {
        let Stage::Reply(transaction) = &mut self.stage else {
            return Err(ReplyError::Unsolicited);
        };
        let result = transaction.handle_packet(address, octets, now);
        self.settle(now);
        result
    }

    /// The tokens that are done with, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The outcome: `None` while it goes on, then for ever the same.
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    fn transaction(&self, ask: &Ask, addresses: NonZeroUsize, now: Instant) -> Result<Transaction, Failure> {
        let template = ask.template(&self.module, &self.otp)?;
        let schedule = ask.token_type().schedule()?;
        let timeout = Duration::from_millis(schedule.total_ms.into());
        let schedule = RetrySchedule::new(timeout, schedule.sends.saturating_sub(1));
        // Each address is a socket with Identifiers of its own.
        let remotes = (0..addresses.get()).map(|_| ask.remote(&self.module)).collect();
        Ok(Transaction::new(template, remotes, schedule, now))
    }

    /// Goes on if the transaction has ended.
    fn settle(&mut self, now: Instant) {
        let Stage::Reply(transaction) = &self.stage else {
            return;
        };
        let answer = match transaction.outcome() {
            None => return,
            Some(Ok(reply)) if reply.code() == Code::ACCESS_ACCEPT => Answer::Accepted,
            Some(Ok(reply)) => Answer::NotAccepted(reply.code()),
            Some(Err(NoReply::TimedOut)) => Answer::Failed(Failure::TimedOut),
            Some(Err(other)) => Answer::Failed(Failure::Request(*other)),
        };
        self.finish(answer, now);
    }

    /// Closes the current question; opens the next one or decides.
    fn finish(&mut self, answer: Answer, now: Instant) {
        let Some(ask) = self.current().cloned() else {
            return;
        };
        let token = ask.token();
        self.outcome = match &answer {
            Answer::Accepted => Some(Outcome::Granted {
                token,
                indicators: ask.indicators().map(<[u8]>::to_vec).collect(),
            }),
            Answer::NotAccepted(_) => {
                self.current = self.current.saturating_add(1);
                (self.current >= self.asks.len()).then_some(Outcome::NotAccepted)
            }
            Answer::Failed(failure) => Some(Outcome::Failed {
                token,
                failure: failure.clone(),
            }),
        };
        let took = now.saturating_duration_since(self.began);
        self.steps.push(Step { ask, answer, took });
        self.begin(now);
    }

    /// Opens the question whose turn it is, if there is one left. What no request can carry fails here.
    fn begin(&mut self, now: Instant) {
        self.began = now;
        self.stage = Stage::Server;
        let template = self.current().map(|ask| ask.template(&self.module, &self.otp));
        if let Some(Err(failure)) = template {
            self.finish(Answer::Failed(failure), now);
        }
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification")
            .field("current", &self.current())
            .field("steps", &self.steps)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Transmit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
