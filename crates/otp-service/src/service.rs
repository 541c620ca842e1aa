//! One request from its snapshot to a durable verdict.

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use otp_store::{Accept, AccountStore, Commit, Snapshot, Store, StoreError};
use otp_validation::{
    Account, Attempt, Channel, Client, Decision, PacketDigest, PasswordHash, Progress, Reason, TokenId,
    UnixTime, UserName, decide,
};
use tracing::{debug, error};
use zeroize::Zeroizing;

use crate::{
    Clock, password,
    watch::{ClockWatch, Reading},
};

/// How often a decision is made anew because the account changed under it. Whoever loses that often is one of many
/// requests at once for one user, and learns nothing from being refused.
const ROUNDS: u32 = 8;

/// One attempt to log in, however it came in.
#[derive(Debug)]
pub struct Request {
    /// User-Name as received.
    pub user_name: Vec<u8>,
    /// User-Password, unhidden; `None` if the request has none.
    pub credential: Option<Zeroizing<Vec<u8>>>,
    /// Digest of the packet ([`otp_store::Digests::packet`]); something unique where there is no packet.
    pub packet: PacketDigest,
    /// What it came through, where that tells a twin from a second login.
    pub channel: Option<Channel>,
}

/// What the caller may answer.
#[derive(Debug)]
pub enum Answer {
    /// Let in: the proof that the acceptance is durable.
    Accept(Accept),
    /// Refuse.
    Reject,
}

/// A verdict, and what there is to say about it in a log.
#[derive(Debug)]
pub struct Outcome {
    /// What may be answered.
    pub answer: Answer,
    /// Why. Never for the wire.
    pub reason: Reason,
    /// The stored name of the user, if there is one.
    pub user: Option<UserName>,
    /// The label of the token whose code was recognised.
    pub token: Option<String>,
}

impl Outcome {
    /// A rejection before anybody was looked up.
    pub fn reject(reason: Reason) -> Self {
        Self {
            answer: Answer::Reject,
            reason,
            user: None,
            token: None,
        }
    }

    /// Whether the user is let in.
    pub fn is_accept(&self) -> bool {
        matches!(self.answer, Answer::Accept(_))
    }
}

/// Validates credentials on a store.
#[derive(Clone)]
pub struct Service<S = Store> {
    store: S,
    clock: Arc<dyn Clock>,
    watch: ClockWatch,
    passwords: password::Checker,
}

impl<S: AccountStore> Service<S> {
    /// A service on `store` that reads the time from `clock` and checks as many passwords at once as there are cores.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self::with_checker(store, clock, password::Checker::new(cores))
    }

    /// A service that checks passwords in the task of their request, so that a single-threaded run on virtual time
    /// repeats itself exactly. Under load, it would keep its runtime from everything else.
    pub fn single_threaded(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::with_checker(store, clock, password::Checker::in_place())
    }

    fn with_checker(store: S, clock: Arc<dyn Clock>, passwords: password::Checker) -> Self {
        Self {
            store,
            watch: ClockWatch::new(clock.elapsed()),
            clock,
            passwords,
        }
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The service's time.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// Whether anybody can be accepted now: the store has committed what it was given last.
    pub fn is_available(&self) -> bool {
        self.store.is_available()
    }

    /// To be called about once a second: sees what requests see too, while there are none.
    ///
    /// A store that has failed is tried again, so that [`is_available`](Self::is_available) tells when it has recovered. A
    /// clock that was set back makes the store forget the verdicts that may be asked for again.
    ///
    /// # Errors
    ///
    /// What keeps the store from committing, reading or forgetting; until it works, requests fail with
    /// [`Reason::StoreFailure`].
    pub async fn watch(&self) -> Result<(), StoreError> {
        if !self.store.is_available() {
            self.store.check().await?;
        }
        let asked = self.clock.elapsed();
        let reading = self.reading(asked, self.store.time().await?);
        if self.watch.is_onward(reading) {
            return Ok(());
        }
        self.watch.settle(&self.store, reading).await
    }

    /// Decides `request`; an [`Answer::Accept`] is durable when this returns.
    ///
    /// Fails closed: whatever cannot be confirmed is a Reject whose reason says so. Dropping the future abandons the
    /// request; a commit under way may still spend the code.
    pub async fn validate(&self, request: Request, client: &Client) -> Outcome {
        let Ok(name) = UserName::parse(&request.user_name) else {
            return Outcome::reject(Reason::InvalidUserName);
        };
        let Some(credential) = request.credential else {
            return Outcome::reject(Reason::NoCredential);
        };
        let presented = Presented {
            credential: &credential,
            packet: request.packet,
            channel: request.channel,
        };
        match self.settle(name, presented, client).await {
            Ok(outcome) => outcome,
            Err(cause) => {
                error!(
                    error = &cause as &dyn std::error::Error,
                    client = client.name,
                    "the store failed; the request is rejected, nothing is accepted until it works again"
                );
                Outcome::reject(Reason::StoreFailure)
            }
        }
    }

    /// Snapshot, decision, commit; again on a fresh snapshot when the account changed in between.
    async fn settle(
        &self,
        name: UserName,
        presented: Presented<'_>,
        client: &Client,
    ) -> Result<Outcome, StoreError> {
        let mut checked = None;
        for round in 0..ROUNDS {
            // The clock is read anew in every round: a decision is about the moment at which it is committed.
            let (account, now) = self.snapshot(&name).await?;
            let decision = self
                .decide(account.as_ref(), client, presented, now, &mut checked)
                .await;
            let Some(account) = account else {
                return Ok(Outcome::reject(decision.reason));
            };
            let (reason, token) = (decision.reason, decision.token);
            let answer = match self
                .store
                .commit(account.user.id, account.version, decision)
                .await?
            {
                Commit::Accepted(accept) => Answer::Accept(accept),
                Commit::Recorded => Answer::Reject,
                Commit::Conflict => {
                    debug!(round, "the account changed; deciding again");
                    continue;
                }
            };
            return Ok(outcome(account, answer, reason, token));
        }
        Ok(Outcome {
            user: Some(name),
            ..Outcome::reject(Reason::Contended)
        })
    }

    /// The account and the time of the decision, by a clock that has not gone back under what is remembered.
    async fn snapshot(&self, name: &UserName) -> Result<(Option<Account>, UnixTime), StoreError> {
        loop {
            let asked = self.clock.elapsed();
            let Snapshot { account, taken_at } = self.store.account(name).await?;
            let reading = self.reading(asked, taken_at);
            if self.watch.is_onward(reading) {
                return Ok((account, reading.time));
            }
            self.watch.settle(&self.store, reading).await?;
        }
    }

    /// The time, by the store's clock if it has one for all who share it, else by this machine's.
    fn reading(&self, asked: Duration, by_store: Option<UnixTime>) -> Reading {
        let answered = self.clock.elapsed();
        match by_store {
            Some(time) => Reading {
                time,
                asked,
                answered,
            },
            None => Reading {
                time: self.clock.now(),
                asked: answered,
                answered: self.clock.elapsed(),
            },
        }
    }

    async fn decide(
        &self,
        account: Option<&Account>,
        client: &Client,
        presented: Presented<'_>,
        now: UnixTime,
        checked: &mut Option<Checked>,
    ) -> Decision {
        let client = &self.without_earlier_twins(client);
        let Some(account) = account else {
            return Decision::reject(Reason::UnknownUser);
        };
        let credential_digest = self
            .store
            .digests()
            .credential(account.user.id, presented.credential);
        let attempt = Attempt {
            credential: presented.credential,
            credential_digest,
            packet: presented.packet,
            channel: presented.channel,
        };
        match decide(account, client, &attempt, now) {
            Progress::Decided(decision) => decision,
            Progress::NeedsPassword(check) => {
                let right = self.check(check.password(), check.hash(), checked).await;
                check.conclude(right)
            }
        }
    }

    /// The client, with a grace that does not reach back beyond the start of this service.
    ///
    /// A twin is asked for by somebody who still waits for the first answer, and nobody waits through a restart: the
    /// connections are gone. A code that was spent before the start is spent.
    fn without_earlier_twins(&self, client: &Client) -> Client {
        // Acceptances are of whole seconds.
        let running = self.clock.elapsed().saturating_sub(self.watch.since());
        let running = running.as_secs().saturating_sub(1);
        let repeat_grace =
            u32::try_from(running).map_or(client.repeat_grace, |running| running.min(client.repeat_grace));
        Client {
            repeat_grace,
            ..client.clone()
        }
    }

    /// Checks a password at most once per request, however many rounds the decision takes.
    async fn check(&self, password: &[u8], hash: &PasswordHash, checked: &mut Option<Checked>) -> bool {
        if let Some(known) = checked.as_ref().filter(|known| known.is_about(password, hash)) {
            return known.right;
        }
        let password = Zeroizing::new(password.to_vec());
        let right = self.passwords.verify(password.clone(), hash.clone()).await;
        *checked = Some(Checked {
            password,
            hash: hash.clone(),
            right,
        });
        right
    }
}

/// What a request presents for its user.
#[derive(Clone, Copy)]
struct Presented<'a> {
    credential: &'a [u8],
    packet: PacketDigest,
    channel: Option<Channel>,
}

/// The outcome of this request's password check.
struct Checked {
    password: Zeroizing<Vec<u8>>,
    hash: PasswordHash,
    right: bool,
}

impl Checked {
    /// Whether it answers the question for these: both come from the same request and store, nothing is leaked by
    /// comparing them.
    fn is_about(&self, password: &[u8], hash: &PasswordHash) -> bool {
        *self.password == password && self.hash.as_str() == hash.as_str()
    }
}

fn outcome(account: Account, answer: Answer, reason: Reason, token: Option<TokenId>) -> Outcome {
    let label = account
        .tokens
        .into_iter()
        .find(|candidate| Some(candidate.id) == token)
        .map(|found| found.label);
    Outcome {
        answer,
        reason,
        user: Some(account.user.name),
        token: label,
    }
}
