//! Between RADIUS and the validation service: which client a packet is from, what it asks, what it is answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use krad::{AttributeType, MessageAuthenticatorRule, ReplyStyle, SharedSecret};
use krad_tokio::{AccessRequest, Answer, ClientTerms, Discard, Peer, RadiusService};
use otp_service::{Outcome, Request, Service};
use otp_store::{AccountStore, ClientRecord, MessageAuthenticatorRule as StoredRule, Source, Store};
use otp_validation::{Channel, Client, Reason};
use tokio::time::Instant;
use tracing::error;

use crate::report::{Decided, Discards, Reporter};

/// The client whose requests arrive on the UNIX sockets; `otpctl init` makes it.
pub const KDC_CLIENT: &str = "kdc";
/// What is left of the deadline for encoding and sending when everything else was slow.
const MARGIN: Duration = Duration::from_millis(50);

/// Answers RADIUS requests from a validation service.
pub struct Radius<R, S = Store> {
    service: Service<S>,
    reporter: R,
    discards: Discards,
    /// Number of the next request.
    next_id: AtomicU64,
    /// Drawn by lot, so that two runs share neither numbers of requests nor channels.
    run: u32,
}

impl<R: Reporter, S: AccountStore> Radius<R, S> {
    /// Answers from `service`; `run` is drawn by lot for every run of the program.
    pub fn new(service: Service<S>, reporter: R, run: u32) -> Self {
        Self {
            service,
            reporter,
            discards: Discards::default(),
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

    pub(crate) fn discards(&self) -> &Discards {
        &self.discards
    }

    /// Validates before the deadline, or rejects.
    async fn validate(&self, request: &AccessRequest, client: &Client) -> Outcome {
        let credential = match request.user_password() {
            Ok(Some(credential)) => credential,
            // Something else than PAP, or nothing at all.
            Ok(None) => return Outcome::reject(unsupported(request)),
            Err(_) => return Outcome::reject(Reason::NoCredential),
        };
        let packet = self.service.store().digests().packet(client.id, request.octets());
        let user_name = request.user_name().unwrap_or_default().to_vec();
        let deadline = request
            .deadline()
            .checked_sub(MARGIN)
            .unwrap_or_else(|| request.deadline());
        let request_in = Request {
            user_name,
            credential: Some(credential),
            packet,
            channel: self.channel(request.peer()),
            patience: deadline.saturating_duration_since(Instant::now()),
        };
        let decided = tokio::time::timeout_at(deadline, self.service.validate(request_in, client)).await;
        decided.unwrap_or_else(|_elapsed| {
            error!(
                client = client.name,
                "no decision before the deadline; the request is rejected. Is the disk slow, or does another program hold the database?"
            );
            Outcome::reject(Reason::DeadlineExceeded)
        })
    }
}

/// Why a request without User-Password cannot be validated.
fn unsupported(request: &AccessRequest) -> Reason {
    let has_other = request.as_request().attributes().iter().any(|attribute| {
        matches!(
            attribute.kind,
            AttributeType::CHAP_PASSWORD | AttributeType::EAP_MESSAGE
        )
    });
    if has_other {
        Reason::UnsupportedMethod
    } else {
        Reason::NoCredential
    }
}

/// A client as this program looks at it.
pub enum RadiusClient {
    /// One that the store knows.
    Known {
        /// Its rules.
        policy: Client,
        /// How long after receipt a rejection leaves.
        reject_delay: Duration,
    },
    /// Whoever is at the UNIX socket while the store cannot say. A KDC that hears nothing waits for seconds, so it is
    /// told no.
    Refused(Reason),
}

impl RadiusClient {
    fn name(&self) -> &str {
        match self {
            Self::Known { policy, .. } => &policy.name,
            Self::Refused(_) => KDC_CLIENT,
        }
    }

    fn reject_delay(&self) -> Duration {
        match self {
            Self::Known { reject_delay, .. } => *reject_delay,
            Self::Refused(_) => Duration::ZERO,
        }
    }
}

/// How the packets of a stored client are to be treated.
fn terms(record: &ClientRecord) -> (ClientTerms, Arc<RadiusClient>) {
    let mut terms = match &record.secret {
        None => ClientTerms::kdc_socket(),
        Some(secret) => ClientTerms::network(SharedSecret::new(secret.expose())),
    };
    if record.secret.is_some() && record.message_authenticator == StoredRule::IfPresent {
        // Proxy-State without Message-Authenticator is what the forgery needs (CVE-2024-3596).
        terms.message_authenticator = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        // The client may be a KDC, which would discard the Message-Authenticator of our reply.
        terms.reply_style = ReplyStyle::NetworkOrLibkrad;
    }
    (
        terms,
        Arc::new(RadiusClient::Known {
            policy: record.policy(),
            reject_delay: record.reject_delay,
        }),
    )
}

impl<R: Reporter, S: AccountStore> RadiusService for Radius<R, S> {
    type Client = RadiusClient;

    async fn client(&self, peer: &Peer) -> Option<(ClientTerms, Arc<RadiusClient>)> {
        let source = match peer {
            Peer::Udp(address) => Source::Address(address.ip().to_canonical()),
            _ => Source::Listener(KDC_CLIENT.into()),
        };
        let refused = match self.service.store().client_for(&source).await {
            Ok(Some(record)) => return Some(terms(&record)),
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

    async fn respond(&self, request: AccessRequest, client: Arc<RadiusClient>) -> Answer {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let outcome = match &*client {
            RadiusClient::Known { policy, .. } => self.validate(&request, policy).await,
            RadiusClient::Refused(reason) => Outcome::reject(*reason),
        };
        self.reporter.decided(&Decided {
            id,
            peer: request.peer(),
            client: client.name(),
            user_name: request.user_name().unwrap_or_default(),
            nas_identifier: request.nas_identifier(),
            outcome: &outcome,
            elapsed: Instant::now().saturating_duration_since(request.received_at()),
        });
        match outcome.answer {
            otp_service::Answer::Accept(_durable) => Answer::accept(),
            otp_service::Answer::Reject => {
                Answer::reject().not_before(client.reject_delay().max(outcome.hold))
            }
        }
    }

    /// While the store does not commit, Status-Server stays unanswered, so that a client asks another server.
    fn is_available(&self) -> bool {
        self.service.is_available()
    }

    fn discarded(&self, peer: &Peer, client: Option<&RadiusClient>, cause: &Discard) {
        self.discards
            .count(peer, client.map(RadiusClient::name), cause, self.service.now());
    }
}
