//! One request from its snapshot to a durable verdict.

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use otp_core::Otp;
use otp_store::{AccountStore, Commit, Freshness, Store, StoreError, UpstreamAnswer};
use otp_validation::{
    Account, Attempt, Channel, Client, Decision, Destination, PacketDigest, Progress, Reason,
    ReplyAttributes, TokenId, UnixTime, Upstream, UserName, Verdict, decide, decide_chap, destination,
    proven_code,
};
use tracing::{debug, error};
use zeroize::Zeroizing;

use crate::{
    Answer, Clock, Credential, Forwarded, Origin, Outcome, PasswordCache, Request, Room,
    checker::Checker,
    dialogue::{self, Answered},
    password,
    passwords::{Finding, Inquiry, Passwords, Question},
    trail::Asked,
    watch::{ClockWatch, Reading},
};

/// How often a decision is made anew because the account changed under it. Whoever loses that often is one of many
/// requests at once for one user, and learns nothing from being refused.
const ROUNDS: u32 = 8;

/// Validates credentials on a store.
#[derive(Clone)]
pub struct Service<S = Store> {
    store: S,
    clock: Arc<dyn Clock>,
    watch: ClockWatch,
    passwords: Passwords,
}

impl<S: AccountStore> Service<S> {
    /// A service on `store` that reads the time from `clock`. It checks passwords on all cores, in threads that give way to
    /// those of requests without them.
    pub fn new(store: S, clock: Arc<dyn Clock>) -> Self {
        let cores = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let checker = Checker::pool(password::verify, cores, Arc::clone(&clock));
        Self::with_checker(store, clock, checker)
    }

    /// A service that checks passwords in the task of their request, so that a single-threaded run on virtual time
    /// repeats itself exactly. Under load, it would keep its runtime from everything else.
    pub fn single_threaded(store: S, clock: Arc<dyn Clock>) -> Self {
        Self::with_checker(store, clock, Checker::in_place(password::verify))
    }

    /// The same service, which remembers for a while which passwords were right.
    #[must_use]
    pub fn with_password_cache(self, cache: PasswordCache) -> Self {
        self.set_password_cache(Some(cache));
        self
    }

    /// Remembers in `cache` from now on which passwords were right, or nowhere; what was remembered until now is forgotten.
    /// This holds for all clones of the service.
    pub fn set_password_cache(&self, cache: Option<PasswordCache>) {
        self.passwords.set_cache(cache);
    }

    fn with_checker(store: S, clock: Arc<dyn Clock>, checker: Checker) -> Self {
        Self {
            store,
            watch: ClockWatch::new(clock.elapsed()),
            passwords: Passwords::new(checker, Arc::clone(&clock)),
            clock,
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

    /// How many password checks run, or wait for a core.
    pub fn password_checks(&self) -> u32 {
        self.passwords.checks()
    }

    /// How many times a clock has jumped, or has been found apart from the store's, since the start.
    pub fn clock_alarms(&self) -> u64 {
        self.watch.alarms()
    }

    /// Whether anybody can be accepted now: the store has committed what it was given last.
    pub fn is_available(&self) -> bool {
        self.store.is_available()
    }

    /// To be called about once a second: sees what requests see too, while there are none.
    ///
    /// A store that has failed is tried again, so that [`is_available`](Self::is_available) tells when it has recovered. A
    /// clock that was set back makes the store forget the verdicts that may be asked for again. A clock that jumped by more
    /// than a step of TOTP (30 s), either way, is told in the log, and so are a machine's clock and a shared store's that are
    /// further apart than that.
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
        let by_store = self.store.time().await?;
        let reading = self.reading(asked, by_store);
        self.watch.compare(self.by_machine(), by_store.map(|_| reading));
        if self.watch.is_onward(reading) {
            return Ok(());
        }
        self.watch.settle(&self.store, reading).await
    }

    /// Decides `request`; an [`Answer::Accept`] is durable when this returns.
    ///
    /// Fails closed: whatever cannot be confirmed is a Reject whose reason says so. Dropping the future abandons the
    /// request; a commit under way may still spend the code.
    pub async fn validate(&self, request: Request<'_>, client: &Client) -> Outcome {
        let began = self.clock.elapsed();
        // Kept to the end: whose turn it is changes when the verdict is durable.
        let mut inquiry = Inquiry::default();
        let answered = request
            .state
            .as_deref()
            .and_then(|state| Answered::open(&self.store.digests(), state));
        let outcome = self
            .verdict(&request, client, answered.as_ref(), began, &mut inquiry)
            .await;
        self.passwords
            .settled(&inquiry, self.clock.elapsed().saturating_sub(began));
        Outcome {
            answers: answered.is_some_and(|answered| answered.was_asked_of(client.id)),
            hold: self.passwords.hold(),
            ..outcome
        }
    }

    /// Refuses a request that was never looked at, or whose decision did not come in time; the audit trail tells of it.
    pub fn refuse(
        &self,
        origin: &Origin,
        client: &str,
        user_name: &[u8],
        reason: Reason,
        waited: Duration,
    ) -> Outcome {
        let asked = Asked {
            origin,
            client,
            user_name,
            packet: None,
        };
        self.store
            .record(asked.refused(reason, None, self.clock.now(), waited));
        Outcome::reject(reason)
    }

    /// Takes note of what an upstream has said to a request that [`validate`](Self::validate) left to it, `waited` after its
    /// receipt; the audit trail tells of it. `decided` is what `validate` has returned.
    pub fn forwarded(
        &self,
        decided: Outcome,
        forwarded: Forwarded,
        origin: &Origin,
        client: &str,
        user_name: &[u8],
        waited: Duration,
    ) -> Outcome {
        let asked = Asked {
            origin,
            client,
            user_name,
            packet: None,
        };
        let user = decided.user.as_ref().map(UserName::as_str);
        self.store
            .record(asked.forwarded(&forwarded, user, self.clock.now(), waited));
        let outcome = Outcome {
            answer: Answer::Upstream(forwarded.answer),
            user: decided.user,
            reply: match forwarded.answer {
                UpstreamAnswer::Accept => decided.reply,
                _ => ReplyAttributes::none(),
            },
            hold: decided.hold,
            ..Outcome::reject(forwarded.reason)
        };
        Outcome {
            forwarded: Some(Box::new(forwarded)),
            ..outcome
        }
    }

    async fn verdict(
        &self,
        request: &Request<'_>,
        client: &Client,
        answered: Option<&Answered>,
        began: Duration,
        inquiry: &mut Inquiry,
    ) -> Outcome {
        let asked = Asked::new(request, &client.name);
        let refuse = |reason, user: Option<&UserName>| {
            let took = self.clock.elapsed().saturating_sub(began);
            let user = user.map(UserName::as_str);
            self.store
                .record(asked.refused(reason, user, self.clock.now(), took));
            Outcome::reject(reason)
        };
        if let Some(outcome) = self.elsewhere(request, client).await {
            return outcome;
        }
        let digests = self.store.digests();
        if request.state.is_some() && answered.is_none() {
            return refuse(Reason::NoSuchDialogue, None);
        }
        let refuse_or_ask = |reason| {
            let refused = refuse(reason, None);
            let hidden = match answered {
                None => dialogue::instead_of_refusal(&digests, client, None, reason, self.clock.now()),
                Some(_) => None,
            };
            Outcome {
                answer: hidden.unwrap_or(Answer::Reject),
                ..refused
            }
        };
        let Ok(name) = UserName::parse(&request.user_name) else {
            return refuse_or_ask(Reason::InvalidUserName);
        };
        let Some(credential) = &request.credential else {
            return refuse_or_ask(Reason::NoCredential);
        };
        let presented = Presented {
            answered,
            credential,
            packet: request.packet,
            channel: request.channel,
            room: request.room,
            began,
            deadline: began.saturating_add(request.patience),
        };
        match self.settle(&name, asked, presented, client, inquiry).await {
            Ok(Settled::As(outcome)) => outcome,
            Ok(Settled::UnknownUser) => refuse_or_ask(Reason::UnknownUser),
            Ok(Settled::NotAtAll) => Outcome {
                user: Some(name.clone()),
                ..refuse(Reason::Contended, Some(&name))
            },
            Err(cause) => self.store_failed(&cause, client, refuse),
        }
    }

    fn store_failed(
        &self,
        cause: &StoreError,
        client: &Client,
        refuse: impl Fn(Reason, Option<&UserName>) -> Outcome,
    ) -> Outcome {
        error!(
            error = cause as &dyn std::error::Error,
            client = client.name,
            "the store failed; the request is rejected, nothing is accepted until it works again"
        );
        refuse(Reason::StoreFailure, None)
    }

    /// Whether others decide on `request`, or it is refused before they could; `None` if it is decided here.
    ///
    /// This is for requests with a credential of which this service understands nothing, such as EAP: [`validate`](Self::validate)
    /// does it by itself.
    pub async fn elsewhere(&self, request: &Request<'_>, client: &Client) -> Option<Outcome> {
        let began = self.clock.elapsed();
        let refuse = |reason, user: Option<&UserName>| {
            let took = self.clock.elapsed().saturating_sub(began);
            let asked = Asked::new(request, &client.name);
            let user = user.map(UserName::as_str);
            self.store
                .record(asked.refused(reason, user, self.clock.now(), took));
            Outcome::reject(reason)
        };
        match self.whose(request, client).await {
            Ok(Elsewhere::No) => None,
            Ok(Elsewhere::Refused(reason, user)) => {
                let refused = refuse(reason, user.as_ref());
                Some(Outcome { user, ..refused })
            }
            Ok(Elsewhere::Forward(outcome)) => Some(outcome),
            Err(cause) => Some(self.store_failed(&cause, client, refuse)),
        }
    }

    /// Whether others decide, where that has to be known before anything else is looked at: the realm of the name is theirs, or
    /// the request holds what only they understand, such as their State.
    ///
    /// A request with a password and nothing else goes the usual way: [`decide`] leaves it to the user's upstream.
    async fn whose(&self, request: &Request<'_>, client: &Client) -> Result<Elsewhere, StoreError> {
        if request.realm.is_none() && request.state.is_none() && request.credential.is_some() {
            return Ok(Elsewhere::No);
        }
        let Ok(name) = UserName::parse(&request.user_name) else {
            return Ok(Elsewhere::No);
        };
        let (account, now, _) = self.snapshot(&name, Freshness::Fresh).await?;
        let account = account.as_deref();
        Ok(match destination(account, request.realm.as_ref(), client, now) {
            Destination::Here => Elsewhere::No,
            Destination::Refused(reason) => {
                Elsewhere::Refused(reason, account.map(|account| account.user.name.clone()))
            }
            Destination::Upstream(upstream) => Elsewhere::Forward(forward(account, upstream)),
        })
    }

    /// Snapshot, decision, commit; again on a fresh snapshot when the account changed in between.
    async fn settle(
        &self,
        name: &UserName,
        asked: Asked<'_>,
        presented: Presented<'_>,
        client: &Client,
        inquiry: &mut Inquiry,
    ) -> Result<Settled, StoreError> {
        let mut freshness = Freshness::Any;
        for round in 0..ROUNDS {
            // The clock is read anew in every round: a decision is about the moment at which it is committed.
            let (account, now, is_fresh) = self.snapshot(name, freshness).await?;
            // Whatever comes of this round, the next one is for looking closely.
            freshness = Freshness::Fresh;
            let Some(account) = account else {
                return Ok(Settled::UnknownUser);
            };
            let shown = Shown::of(presented.credential, &account, now);
            let decided = self
                .decide(&account, client, presented, &shown, now, inquiry)
                .await;
            let Some(decision) = decided else {
                debug!(round, "others of this user came first; deciding again");
                continue;
            };
            let user = &account.user;
            let decision = match decision.verdict {
                // Whoever is not told of an acceptance has lost the code.
                Verdict::Accept if !presented.room.has(&user.name, &user.reply) => decision.untold(),
                _ => decision,
            };
            if decision.effects.is_empty() && !is_fresh {
                // Nothing would be compared with what is there now.
                continue;
            }
            if decision.verdict == Verdict::Forward
                && let Some(upstream) = &account.user.upstream
            {
                return Ok(Settled::As(forward(Some(&account), upstream)));
            }
            let (reason, token) = (decision.reason, decision.token);
            let took = self.clock.elapsed().saturating_sub(presented.began);
            let record = asked.decided(&account, client.id, &decision, now, took, round);
            let digests = self.store.digests();
            let question = dialogue::wanted(&digests, &account, client.id, &decision, shown.octets(), now)?;
            let answer = match self.store.commit(&account, decision, record).await? {
                Commit::Accepted(accept) => Answer::Accept(accept),
                Commit::Recorded => {
                    let hidden = || match presented.answered {
                        None => dialogue::instead_of_refusal(&digests, client, Some(&account), reason, now),
                        Some(_) => None,
                    };
                    question.or_else(hidden).unwrap_or(Answer::Reject)
                }
                Commit::Conflict => {
                    debug!(round, "the account changed; deciding again");
                    continue;
                }
            };
            return Ok(Settled::As(outcome(&account, answer, reason, token)));
        }
        Ok(Settled::NotAtAll)
    }

    /// The account and the time of the decision, by a clock that has not gone back under what is remembered.
    async fn snapshot(
        &self,
        name: &UserName,
        mut freshness: Freshness,
    ) -> Result<(Option<Arc<Account>>, UnixTime, bool), StoreError> {
        loop {
            let asked = self.clock.elapsed();
            let snapshot = self.store.account(name, freshness).await?;
            let reading = self.reading(asked, snapshot.taken_at);
            if self.watch.is_onward(reading) {
                return Ok((snapshot.account, reading.time, snapshot.is_fresh));
            }
            freshness = Freshness::Fresh;
            self.watch.settle(&self.store, reading).await?;
        }
    }

    /// The time, by the store's clock if it has one for all who share it, else by this machine's.
    fn reading(&self, asked: Duration, by_store: Option<UnixTime>) -> Reading {
        match by_store {
            Some(time) => Reading {
                time,
                asked,
                answered: self.clock.elapsed(),
            },
            None => self.by_machine(),
        }
    }

    fn by_machine(&self) -> Reading {
        let asked = self.clock.elapsed();
        Reading {
            time: self.clock.now(),
            asked,
            answered: self.clock.elapsed(),
        }
    }

    /// `None` if the account is to be looked at anew.
    async fn decide(
        &self,
        account: &Account,
        client: &Client,
        presented: Presented<'_>,
        shown: &Shown<'_>,
        now: UnixTime,
        inquiry: &mut Inquiry,
    ) -> Option<Decision> {
        let client = &self.without_earlier_twins(client);
        let user = account.user.id;
        let digests = self.store.digests();
        let credential_digest = digests.credential(user, shown.octets());
        let dialogue = presented
            .answered
            .map(|answered| answered.with(&digests, account));
        let attempt = Attempt {
            credential: shown.octets(),
            credential_digest,
            packet: presented.packet,
            channel: presented.channel,
            dialogue: dialogue.as_ref(),
        };
        if let Shown::Proven(_) = shown {
            return Some(decide_chap(account, client, &attempt, now));
        }
        let check = match decide(account, client, &attempt, now) {
            Progress::Decided(decision) => return Some(decision),
            Progress::NeedsPassword(check) => check,
        };
        let question = Question {
            user,
            password: check.password(),
            hash: check.hash(),
            deadline: presented.deadline,
        };
        match self.passwords.ask(question, inquiry).await {
            Finding::Right => Some(check.conclude(true)),
            Finding::Wrong => Some(check.conclude(false)),
            Finding::OthersCameFirst => None,
            Finding::Refused(reason) => Some(Decision::reject(reason)),
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
}

/// Where a request is decided, as far as that is known before anything else.
enum Elsewhere {
    /// Here, or it will be found out.
    No,
    /// Nowhere: the user is refused.
    Refused(Reason, Option<UserName>),
    /// By an upstream.
    Forward(Outcome),
}

/// What became of a request whose name and credential could be read.
enum Settled {
    /// It was decided, and the trail has the decision.
    As(Outcome),
    /// Nobody has the name.
    UnknownUser,
    /// The account kept changing.
    NotAtAll,
}

/// What a request shows to this account.
enum Shown<'a> {
    /// All that it carries.
    Password(&'a [u8]),
    /// By CHAP, a code; `None` if it is none that could be right.
    Proven(Option<Zeroizing<Otp>>),
}

impl<'a> Shown<'a> {
    fn of(credential: &'a Credential, account: &Account, now: UnixTime) -> Self {
        match credential {
            Credential::Password(octets) => Self::Password(octets),
            Credential::Chap(response) => {
                let proven = proven_code(account, now, |otp| response.proves(otp));
                Self::Proven(proven.map(Zeroizing::new))
            }
        }
    }

    /// The password, or the code as if it had been sent; nothing if there is none.
    fn octets(&self) -> &[u8] {
        match self {
            Self::Password(octets) => octets,
            Self::Proven(code) => code.as_ref().map_or(b"", |code| code.as_str().as_bytes()),
        }
    }
}

/// What a request presents for its user.
#[derive(Clone, Copy)]
struct Presented<'a> {
    /// The question that it answers, if it answers one.
    answered: Option<&'a Answered>,
    credential: &'a Credential,
    packet: PacketDigest,
    channel: Option<Channel>,
    room: Room<'a>,
    /// When it came in, by [`Clock::elapsed`].
    began: Duration,
    /// By [`Clock::elapsed`].
    deadline: Duration,
}

/// Leaves the decision to `upstream`. What the user brings into an acceptance goes with it.
fn forward(account: Option<&Account>, upstream: &Upstream) -> Outcome {
    let user = account.map(|account| &account.user);
    Outcome {
        answer: Answer::Forward(upstream.clone()),
        user: user.map(|user| user.name.clone()),
        reply: user.map_or(ReplyAttributes::none(), |user| user.reply.clone()),
        ..Outcome::reject(Reason::Forwarded)
    }
}

fn outcome(account: &Account, answer: Answer, reason: Reason, token: Option<TokenId>) -> Outcome {
    let label = account
        .tokens
        .iter()
        .find(|candidate| Some(candidate.id) == token)
        .map(|found| found.label.clone());
    let reply = match &answer {
        Answer::Accept(_) => account.user.reply.clone(),
        _ => ReplyAttributes::none(),
    };
    Outcome {
        answer,
        user: Some(account.user.name.clone()),
        token: label,
        reply,
        ..Outcome::reject(reason)
    }
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "watch_tests.rs"]
mod watch_tests;
