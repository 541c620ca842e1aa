//! One packet's way to its reply, whatever the transport.

use std::{
    any::Any,
    hash::{BuildHasher, Hash, RandomState},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, PoisonError},
    task::{Context, Poll},
};

use arc_swap::Guard;
use krad::{
    Code, EncodeError, Packet, ReplyStyle, RequestAuthenticator, RequestBuf, VerifyError, radius11::Version,
};
use pin_project_lite::pin_project;
use tokio::time::{Instant, sleep_until, timeout_at};
use zeroize::Zeroizing;

use crate::{
    AccessRequest, Answer, ClientTerms, Discard, LiveSettings, Peer, Proof, RadiusService, Settings,
    duplicates::{Admission, DuplicateTable},
    settings::after,
    sync::{Mutex, MutexGuard},
};

/// What the packets of one UDP socket or of one connection share.
pub(crate) struct Exchange<S, K> {
    service: Arc<S>,
    settings: LiveSettings,
    version: Version,
    duplicates: Mutex<DuplicateTable<K, Identity>>,
    /// Keyed by chance, so that nobody can aim at a collision.
    digests: RandomState,
}

/// Request Authenticator, and a digest of the packet.
type Identity = (RequestAuthenticator, u64);

/// A packet as it arrived. `K` tells it apart from others of the same [`Exchange`].
pub(crate) struct Arrival<K> {
    pub(crate) peer: Peer,
    pub(crate) key: K,
    pub(crate) octets: Zeroizing<Vec<u8>>,
    pub(crate) received_at: Instant,
}

impl<S: RadiusService, K: Hash + Eq + Clone> Exchange<S, K> {
    /// For packets of `version`, with a table of duplicates for `capacity` of them.
    pub(crate) fn new(service: Arc<S>, settings: LiveSettings, version: Version, capacity: usize) -> Self {
        let life = settings.glance().duplicate_life;
        let duplicates = Mutex::new(DuplicateTable::new(capacity, life));
        Self {
            service,
            settings,
            version,
            duplicates,
            digests: RandomState::new(),
        }
    }

    pub(crate) fn service(&self) -> &S {
        &self.service
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.glance()
    }

    /// Decodes a packet that is worth a task; others are discarded.
    pub(crate) fn decode<'a>(&self, peer: &Peer, octets: &'a [u8]) -> Option<Packet<'a>> {
        Packet::decode(octets)
            .map_err(|error| self.discard(peer, None, error.into()))
            .ok()
    }

    /// Reports a packet that gets no reply.
    pub(crate) fn discard(&self, peer: &Peer, client: Option<&S::Client>, cause: Discard) {
        discard(&*self.service, peer, client, cause);
    }

    /// Takes a packet to the octets of its reply, `None` if it gets none.
    pub(crate) async fn answer(&self, arrival: Arrival<K>) -> Option<Arc<[u8]>> {
        let Arrival {
            peer,
            key,
            octets,
            received_at,
        } = arrival;
        let deadline = after(received_at, self.settings().deadline);
        let packet = self.decode(&peer, &octets)?;
        let (terms, client) = match look_up(&*self.service, &peer, Some(&packet), deadline).await {
            Ok(found) => found,
            Err(cause) => return self.silence(&peer, None, cause),
        };
        let (request, proof) = match authenticate(packet, self.version, &terms) {
            Ok(authentic) => authentic,
            Err(cause) => return self.silence(&peer, Some(&client), cause),
        };
        drop(octets);
        guarded(|| {
            self.service
                .authenticated(&peer, &client, request.as_request(), proof);
        });
        if request.as_request().code() == Code::STATUS_SERVER {
            return self.answer_status_server(&peer, &client, &request);
        }

        let ticket = match self.admit(&key, &request) {
            Admission::New(ticket) => ticket,
            Admission::InFlight => return self.silence(&peer, Some(&client), Discard::InFlight),
            Admission::Full => return self.silence(&peer, Some(&client), Discard::DuplicateTableFull),
            Admission::Answered(reply) => {
                guarded(|| self.service.repeated(&peer, &client));
                return Some(reply);
            }
        };
        let for_service = AccessRequest::new(request.clone(), peer.clone(), received_at, deadline);
        let answer = self.decide(for_service, Arc::clone(&client)).await;
        sleep_until(after(received_at, answer.delay()).min(deadline)).await;
        match encode(&answer, &request, terms.reply_style, &peer) {
            Ok((code, reply)) => {
                let reply = Arc::from(reply);
                self.duplicates()
                    .complete(&key, ticket, Arc::clone(&reply), Instant::now());
                let elapsed = Instant::now().saturating_duration_since(received_at);
                guarded(|| self.service.answered(&peer, &client, code, elapsed));
                Some(reply)
            }
            Err(error) => {
                self.duplicates().abandon(&key, ticket);
                self.silence(&peer, Some(&client), Discard::Unanswerable(error))
            }
        }
    }

    /// The service's answer, or Access-Reject if it has none in time.
    async fn decide(&self, request: AccessRequest, client: Arc<S::Client>) -> Answer {
        let (peer, deadline) = (request.peer().clone(), request.deadline());
        let decision = unwind_safe(async { self.service.respond(request, client).await });
        match timeout_at(deadline, decision).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(panic)) => {
                tracing::error!(%peer, panic = panic_message(&*panic), "decision panicked: Access-Reject");
                Answer::reject()
            }
            Err(_) => {
                tracing::warn!(%peer, "no decision before the deadline: Access-Reject");
                Answer::reject()
            }
        }
    }

    /// RFC 5997 §4.2. It stays out of the table of duplicates: Status-Server has Identifiers of its own.
    fn answer_status_server(
        &self,
        peer: &Peer,
        client: &S::Client,
        request: &RequestBuf,
    ) -> Option<Arc<[u8]>> {
        if !guarded(|| self.service.is_available()).unwrap_or(false) {
            return self.silence(peer, Some(client), Discard::Unavailable);
        }
        match request
            .as_request()
            .reply(Code::ACCESS_ACCEPT)
            .sign(ReplyStyle::Network)
        {
            Ok(reply) => Some(Arc::from(reply)),
            Err(error) => self.silence(peer, Some(client), Discard::Unanswerable(error)),
        }
    }

    fn admit(&self, key: &K, request: &RequestBuf) -> Admission {
        let request = request.as_request();
        let identity = (request.authenticator(), self.digests.hash_one(request.octets()));
        self.duplicates().admit(key.clone(), identity, Instant::now())
    }

    fn duplicates(&self) -> MutexGuard<'_, DuplicateTable<K, Identity>> {
        self.duplicates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silence(&self, peer: &Peer, client: Option<&S::Client>, cause: Discard) -> Option<Arc<[u8]>> {
        self.discard(peer, client, cause);
        None
    }
}

/// Asks the service who is at `peer`, and has sent `packet` if there is one yet.
pub(crate) async fn look_up<S: RadiusService>(
    service: &S,
    peer: &Peer,
    packet: Option<&Packet<'_>>,
    deadline: Instant,
) -> Result<(ClientTerms, Arc<S::Client>), Discard> {
    let asked = async {
        match packet {
            Some(packet) => service.client_of(peer, packet).await,
            None => service.client(peer).await,
        }
    };
    let lookup = timeout_at(deadline, unwind_safe(asked));
    match lookup.await {
        Ok(Ok(found)) => found.ok_or(Discard::UnknownClient),
        Ok(Err(panic)) => {
            tracing::error!(%peer, panic = panic_message(&*panic), "client lookup panicked");
            Err(Discard::ClientLookup)
        }
        Err(_) => Err(Discard::ClientLookup),
    }
}

/// Reports a packet that gets no reply.
pub(crate) fn discard<S: RadiusService>(
    service: &S,
    peer: &Peer,
    client: Option<&S::Client>,
    cause: Discard,
) {
    guarded(|| service.discarded(peer, client, &cause));
}

fn authenticate(
    packet: Packet<'_>,
    version: Version,
    terms: &ClientTerms,
) -> Result<(RequestBuf, Proof), Discard> {
    if version == Version::Radius11 {
        return Ok((packet.authenticated_by_tls()?.to_buf(), Proof::NothingInIt));
    }
    let rule = terms.message_authenticator;
    let (request, proof) = match (packet.authenticate(&terms.secret, rule), &terms.old_secret) {
        (Err(VerifyError::WrongMessageAuthenticator), Some(old)) => {
            (packet.authenticate(old, rule)?, Proof::OldSecret)
        }
        (verified, _) => (verified?, Proof::Secret),
    };
    let proof = if request.has_message_authenticator() {
        proof
    } else {
        Proof::NothingInIt
    };
    Ok((request.to_buf(), proof))
}

/// Encodes an answer, and tells its code; one that cannot be encoded becomes a bare Access-Reject.
fn encode(
    answer: &Answer,
    request: &RequestBuf,
    style: ReplyStyle,
    peer: &Peer,
) -> Result<(Code, Vec<u8>), EncodeError> {
    let request = request.as_request();
    match answer.encode(request, style) {
        Ok(octets) => Ok((answer.code(), octets)),
        Err(error) => {
            tracing::error!(%peer, %error, code = %answer.code(), "answer cannot be encoded: Access-Reject");
            let rejection = request.reply(Code::ACCESS_REJECT).sign(style)?;
            Ok((Code::ACCESS_REJECT, rejection))
        }
    }
}

pin_project! {
    /// Turns a panic of the application's future into a value.
    pub(crate) struct UnwindSafe<F> {
        #[pin]
        future: F,
    }
}

pub(crate) fn unwind_safe<F: Future>(future: F) -> UnwindSafe<F> {
    UnwindSafe { future }
}

impl<F: Future> Future for UnwindSafe<F> {
    type Output = Result<F::Output, Box<dyn Any + Send>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let future = self.project().future;
        // A future that panicked is not polled again, so nobody sees what it left half done.
        match catch_unwind(AssertUnwindSafe(|| future.poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

/// Calls into the application; `None` if it panicked.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|panic| tracing::error!(panic = panic_message(&*panic), "the service panicked"))
        .ok()
}

pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod schedules;
