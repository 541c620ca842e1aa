//! Between RADIUS and the validation service: which client a packet is from, what it asks, what it is answered.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use krad::{AttributeType, Code, Request as Packet, radius11::Version};
use krad_tokio::{AccessRequest, Answer, ClientTerms, Discard, Peer, Proof, RadiusService};
use otp_service::{ChapResponse, Credential, Forwarded, Origin, Outcome, Request, Room, Service};
use otp_store::{AccountStore, ClientRecord, Source, Store, UpstreamAnswer};
use otp_validation::{Channel, Client, ClientId, PacketDigest, Reason, ReplyAttributes, UserName};
use subtle::Choice;
use tokio::time::Instant;
use tracing::error;
use zeroize::Zeroizing;

use crate::{
    clients::{Clients, KDC_CLIENT, RadiusClient, Treatment},
    reply::{Sources, accept, forwarded},
    report::{Decided, Discards, Reporter},
    tls::CertificateRules,
    upstream::{Arrived, Told, Upstreams},
    usage::Usages,
};

/// What is left of the deadline for encoding and sending when everything else was slow.
const MARGIN: Duration = Duration::from_millis(50);

/// Answers RADIUS requests from a validation service.
pub struct Radius<R, S = Store> {
    service: Service<S>,
    reporter: R,
    discards: Discards,
    clients: Clients,
    usages: Usages,
    tls_terms: ClientTerms,
    certificate_rules: RwLock<Arc<CertificateRules>>,
    upstreams: RwLock<Arc<Upstreams>>,
    /// Proxy-State of what this run has forwarded.
    mark: [u8; 16],
    /// Number of the next request.
    next_id: AtomicU64,
    /// Drawn by lot, so that two runs share neither numbers of requests nor channels.
    run: u32,
}

impl<R: Reporter, S: AccountStore> Radius<R, S> {
    /// Answers from `service`; `run` and `mark` are drawn by lot for every run of the program.
    pub fn new(service: Service<S>, reporter: R, run: u32, mark: [u8; 16]) -> Self {
        Self {
            usages: Usages::new(service.now()),
            service,
            reporter,
            discards: Discards::default(),
            clients: Clients::default(),
            tls_terms: ClientTerms::tls(),
            certificate_rules: RwLock::default(),
            upstreams: RwLock::default(),
            mark,
            next_id: AtomicU64::new(u64::from(run) << 20),
            run,
        }
    }

    /// The channel behind a connection: one process of a KDC, which answers a repetition of a login by itself. Behind
    /// datagrams nothing of the kind is known.
    fn channel(&self, peer: &Peer) -> Option<Channel> {
        match peer {
            Peer::Unix { connection, .. } => {
                Some(Channel(u64::from(self.run) << 32 | connection & 0xffff_ffff))
            }
            _ => None,
        }
    }

    pub(crate) fn service(&self) -> &Service<S> {
        &self.service
    }

    /// Lets these rules hold for the certificates of clients, from the next packet on.
    pub fn set_certificate_rules(&self, rules: CertificateRules) {
        *self
            .certificate_rules
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
    }

    /// Lets these upstreams decide on their users and realms, from the next packet on.
    pub(crate) fn set_upstreams(&self, upstreams: Upstreams) {
        *self.upstreams.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(upstreams);
    }

    pub(crate) fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a client of this name may be at the other end: on TLS its certificate says so, once there is one.
    fn is_permitted(&self, peer: &Peer, client: &str) -> bool {
        match peer {
            Peer::Tls {
                certificate: Some(certificate),
                ..
            } => {
                let rules = self
                    .certificate_rules
                    .read()
                    .unwrap_or_else(PoisonError::into_inner);
                rules.permit(client, certificate)
            }
            _ => true,
        }
    }

    pub(crate) fn discards(&self) -> &Discards {
        &self.discards
    }

    /// What has come from each client.
    pub(crate) fn usages(&self) -> &Usages {
        &self.usages
    }

    /// Validates before the deadline, or rejects.
    async fn validate(&self, id: u64, request: &AccessRequest, client: &Client, room: Room<'_>) -> Outcome {
        let upstreams = self.upstreams();
        let (credential, unsupported) = match credential(request) {
            Ok(credential) => (Some(credential), None),
            // Something that is not understood here: an upstream may understand it.
            Err(reason @ Reason::UnsupportedMethod) if !upstreams.is_empty() => (None, Some(reason)),
            Err(reason) => return self.refuse(id, request, &client.name, reason),
        };
        let packet = self.packet(id, request, client.id);
        let user_name = request.user_name().unwrap_or_default().to_vec();
        let deadline = before_deadline(request);
        let request_in = Request {
            realm: upstreams.route(&user_name),
            user_name,
            credential,
            state: request.state().map(<[u8]>::to_vec),
            packet,
            channel: self.channel(request.peer()),
            patience: deadline.saturating_duration_since(Instant::now()),
            room,
            origin: origin(id, request),
        };
        let deciding = async {
            if let Some(reason) = unsupported {
                let elsewhere = self.service.elsewhere(&request_in, client).await;
                return elsewhere.unwrap_or_else(|| self.refuse(id, request, &client.name, reason));
            }
            self.service.validate(request_in, client).await
        };
        let decided = tokio::time::timeout_at(deadline, deciding).await;
        decided.unwrap_or_else(|_elapsed| {
            error!(
                client = client.name,
                "no decision before the deadline; the request is rejected. Is the disk slow, or does another program hold the database?"
            );
            self.refuse(id, request, &client.name, Reason::DeadlineExceeded)
        })
    }

    /// Lets an upstream decide on a request, if `decided` leaves it to one; returns what the reply carries besides.
    async fn forward(
        &self,
        id: u64,
        request: &AccessRequest,
        client: &Client,
        decided: Outcome,
        sources: Sources<'_>,
    ) -> (Outcome, Option<Told>) {
        let otp_service::Answer::Forward(upstream) = &decided.answer else {
            return (decided, None);
        };
        let upstream = upstream.clone();
        let told = match self.upstreams().get(&upstream.name) {
            None => Told::refusal(Reason::UpstreamUnknown),
            Some(at_work) => {
                let arrived = Arrived {
                    request,
                    client,
                    mark: &self.mark,
                    deadline: before_deadline(request),
                };
                let sources = sources.with_user(&decided.reply, decided.user.as_ref());
                let fits = |told: &Told| request.has_room_for(&forwarded(request, sources, told));
                if fits(&Told::bare_acceptance()) {
                    at_work.forward(arrived, &upstream).await.if_usable(fits)
                } else {
                    Told::refusal(Reason::ReplyTooLong)
                }
            }
        };
        let forwarded = Forwarded {
            upstream,
            server: told.server.clone(),
            answer: told.answer,
            reason: told.reason,
        };
        let user_name = request.user_name().unwrap_or_default();
        let origin = origin(id, request);
        let waited = waited(request);
        let outcome = self
            .service
            .forwarded(decided, forwarded, &origin, &client.name, user_name, waited);
        (outcome, Some(told))
    }

    /// The digest by which the store knows this packet again, at another replica or after a restart.
    ///
    /// In RADIUS/1.1 no authenticator tells a packet from another one: a client that counts its Tokens from zero on each
    /// connection sends the same octets for the same code tried again. So no packet is known again there, beyond the table of
    /// duplicates of its connection; a stream does not repeat itself anyway.
    fn packet(&self, id: u64, request: &AccessRequest, client: ClientId) -> PacketDigest {
        let digests = self.service.store().digests();
        match request.version() {
            Version::Historic => digests.packet(client, request.octets()),
            Version::Radius11 => {
                let mut octets = Zeroizing::new(id.to_be_bytes().to_vec());
                octets.extend_from_slice(request.octets());
                digests.packet(client, &octets)
            }
        }
    }

    /// The client at `source`; at the KDC's socket there always is one.
    async fn found(&self, peer: &Peer, source: Source) -> Option<Treatment> {
        let refused = match self.service.store().client_for(&source).await {
            Ok(Some(record)) if !self.is_permitted(peer, &record.name) => return None,
            Ok(Some(record)) => return Some(self.treated(peer, record)),
            Ok(None) => Reason::ClientDisabled,
            Err(cause) => {
                error!(error = &cause as &dyn std::error::Error, %peer, "the client cannot be looked up");
                Reason::StoreFailure
            }
        };
        // Without its secret nothing can be said to a client on a network.
        matches!(source, Source::Listener(_)).then(|| {
            (
                ClientTerms::kdc_socket(),
                Arc::new(RadiusClient::Refused(refused)),
            )
        })
    }

    fn treated(&self, peer: &Peer, record: Arc<ClientRecord>) -> Treatment {
        let (terms, client) = self.clients.treatment(record, self.service.now(), &self.usages);
        // The connection is what makes a client on TLS authentic; its secret is for other transports.
        let is_tls = matches!(peer, Peer::Tls { .. });
        (if is_tls { self.tls_terms.clone() } else { terms }, client)
    }

    /// Rejects without a decision.
    fn refuse(&self, id: u64, request: &AccessRequest, client: &str, reason: Reason) -> Outcome {
        let user_name = request.user_name().unwrap_or_default();
        self.service
            .refuse(&origin(id, request), client, user_name, reason, waited(request))
    }
}

/// What is answered to what was decided. `told` is what an upstream has said, if one was asked.
fn answer(
    request: &AccessRequest,
    client: &RadiusClient,
    outcome: &Outcome,
    told: Option<Told>,
    sources: Sources<'_>,
) -> Answer {
    let sources = sources.with_user(&outcome.reply, outcome.user.as_ref());
    match &outcome.answer {
        otp_service::Answer::Accept(_durable) => accept(request, sources),
        // As late as a refusal that it may hide.
        otp_service::Answer::Challenge(challenge) => Answer::challenge(challenge.state.as_slice())
            .with(AttributeType::REPLY_MESSAGE, challenge.prompt)
            .not_before(outcome.hold),
        otp_service::Answer::Reject | otp_service::Answer::Forward(_) => {
            Answer::reject().not_before(client.reject_delay().max(outcome.hold))
        }
        otp_service::Answer::Upstream(answer) => {
            let told = told.unwrap_or_else(|| Told::refusal(outcome.reason));
            let is_own = *answer == UpstreamAnswer::Reject && outcome.reason != Reason::UpstreamRejected;
            let answer = forwarded(request, sources, &told);
            if is_own {
                answer.not_before(client.reject_delay())
            } else {
                answer
            }
        }
    }
}

/// When a decision has to be there, so that its answer leaves in time.
fn before_deadline(request: &AccessRequest) -> Instant {
    let deadline = request.deadline();
    deadline.checked_sub(MARGIN).unwrap_or(deadline)
}

/// What the audit trail keeps of where a request came from.
fn origin(id: u64, request: &AccessRequest) -> Origin {
    Origin {
        request: Some(id),
        peer: Some(request.peer().to_string()),
        nas_identifier: request.nas_identifier().map(<[u8]>::to_vec),
    }
}

/// Whether nobody on the way could have forged the request: Message-Authenticator (RFC 3579 §3.2) protects it, or TLS.
fn is_protected(request: &AccessRequest) -> bool {
    let attributes = request.as_request();
    let mut attributes = attributes.attributes().iter();
    matches!(request.peer(), Peer::Tls { .. })
        || attributes.any(|attribute| attribute.kind == AttributeType::MESSAGE_AUTHENTICATOR)
}

/// How long ago a request came in.
fn waited(request: &AccessRequest) -> Duration {
    Instant::now().saturating_duration_since(request.received_at())
}

/// What a request shows for its user, by PAP or by CHAP.
fn credential(request: &AccessRequest) -> Result<Credential, Reason> {
    let attributes = request.as_request();
    if attributes.chap().map_err(|_| Reason::NoCredential)?.is_some() {
        let request = request.clone();
        return Ok(Credential::Chap(ChapResponse::new(move |code| {
            match request.as_request().chap() {
                Ok(Some(chap)) => chap.matches(code),
                _ => Choice::from(0),
            }
        })));
    }
    match request.user_password() {
        Ok(Some(password)) => Ok(Credential::Password(password)),
        Ok(None)
            if attributes
                .attributes()
                .first(AttributeType::EAP_MESSAGE)
                .is_some() =>
        {
            Err(Reason::UnsupportedMethod)
        }
        Ok(None) | Err(_) => Err(Reason::NoCredential),
    }
}

impl<R: Reporter, S: AccountStore> RadiusService for Radius<R, S> {
    type Client = RadiusClient;

    /// Where several clients share an address, any of them that may be at the other end.
    async fn client(&self, peer: &Peer) -> Option<Treatment> {
        let Some(address) = peer.ip() else {
            return self.found(peer, Source::Listener(KDC_CLIENT.into())).await;
        };
        match self.service.store().clients_at(address).await {
            Ok(records) => records
                .into_iter()
                .find(|record| self.is_permitted(peer, &record.name))
                .map(|record| self.treated(peer, record)),
            Err(cause) => {
                error!(error = &cause as &dyn std::error::Error, %peer, "the client cannot be looked up");
                None
            }
        }
    }

    async fn client_of(&self, peer: &Peer, packet: &krad::Packet<'_>) -> Option<Treatment> {
        let identifier = packet.attributes().first(AttributeType::NAS_IDENTIFIER);
        let source = match (peer.ip(), identifier) {
            (Some(address), Some(identifier)) => Source::Nas(address, identifier.to_vec()),
            (Some(address), None) => Source::Address(address),
            (None, _) => Source::Listener(KDC_CLIENT.into()),
        };
        self.found(peer, source).await
    }

    async fn respond(&self, request: AccessRequest, client: Arc<RadiusClient>) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let rules = self.service.store().reply_rules();
        let nobodys = ReplyAttributes::none();
        let sources = Sources {
            users: &nobodys,
            user: None,
            rules: &rules,
            clients: client.reply(),
            client: client.name(),
        };
        let fits = |user: &UserName, users: &ReplyAttributes| {
            let answer = accept(&request, sources.with_user(users, Some(user)));
            // A bare one always does: a login is longer.
            answer.attributes().next().is_none() || request.has_room_for(&answer)
        };
        let (outcome, told) = match &*client {
            RadiusClient::Known { policy, figures, .. } => {
                let unasked = figures.learning.unasked(policy);
                let asked = unasked.as_ref().unwrap_or(policy);
                let decided = self.validate(id, &request, asked, Room::of(&fits)).await;
                figures.learning.learn(&policy.name, &decided, self.service.now());
                // What others ask is theirs to learn.
                self.forward(id, &request, policy, decided, sources).await
            }
            RadiusClient::Refused(reason) => (self.refuse(id, &request, client.name(), *reason), None),
        };
        if outcome.reason == Reason::ReplyTooLong {
            let user = outcome.user.as_ref().map(UserName::as_str);
            error!(
                client = client.name(),
                user,
                id,
                "an Access-Accept does not fit into a packet: set fewer attributes for the user, by rules or for the client"
            );
        }
        self.reporter.decided(&Decided {
            id,
            peer: request.peer(),
            client: client.name(),
            user_name: request.user_name().unwrap_or_default(),
            nas_identifier: request.nas_identifier(),
            is_protected: is_protected(&request),
            outcome: &outcome,
            elapsed: waited(&request),
        });
        answer(&request, &client, &outcome, told, sources)
    }

    fn authenticated(&self, peer: &Peer, client: &RadiusClient, request: Packet<'_>, proof: Proof) {
        if let Some(usage) = client.usage() {
            usage.authentic(peer, request, proof, self.service.now());
        }
    }

    /// While the store does not commit, Status-Server stays unanswered, so that a client asks another server.
    fn is_available(&self) -> bool {
        self.service.is_available()
    }

    fn answered(&self, _: &Peer, _: &RadiusClient, code: Code, elapsed: Duration) {
        self.reporter.answered(code, elapsed);
    }

    fn repeated(&self, peer: &Peer, client: &RadiusClient) {
        self.reporter.repeated(peer, client.name());
    }

    fn opened(&self, peer: &Peer) {
        self.reporter.opened(peer);
    }

    fn closed(&self, peer: &Peer) {
        self.reporter.closed(peer);
    }

    fn discarded(&self, peer: &Peer, client: Option<&RadiusClient>, cause: &Discard) {
        let now = self.service.now();
        if let Some(usage) = client.and_then(RadiusClient::usage) {
            usage.discarded(cause, now);
        }
        self.discards
            .count(peer, client.map(RadiusClient::name), cause, now);
    }
}
