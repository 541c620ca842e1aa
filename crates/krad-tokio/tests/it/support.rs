//! A service whose answers follow from the user name, and clients that talk to it.

use std::{
    collections::BTreeSet,
    future::pending,
    io::ErrorKind,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, ReplyStyle, Request,
    RequestBuilder, SharedSecret,
};
use krad_tokio::{AccessRequest, Answer, ClientTerms, Discard, Peer, Proof, RadiusService};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixStream,
    sync::{mpsc, oneshot, watch},
};

/// A name in certificates of nobody's clients.
pub const STRANGER: &str = "stranger.example";

pub const SECRET: &[u8] = b"a secret of this client alone";

/// `accept`, `reject`, `challenge`, `slow-reject` (after 1 s), `hold…` (accepted when released), `never`,
/// `panic`, `oversize`; anything else is rejected.
pub struct TestService {
    pub decisions: AtomicUsize,
    pub repeated: AtomicUsize,
    /// Connections.
    pub open: AtomicUsize,
    pub available: AtomicBool,
    /// User names whose requests were begun, in order.
    pub begun: mpsc::UnboundedSender<Vec<u8>>,
    pub discards: mpsc::UnboundedSender<(Peer, bool, Discard)>,
    pub released: watch::Sender<BTreeSet<Vec<u8>>>,
    /// Who a UDP source is: `unknown`, or what its packets are treated as.
    pub terms: Option<ClientTerms>,
    pub lookup_panics: AtomicBool,
    /// What proved the packets that were authentic, in order.
    pub proofs: Mutex<Vec<Proof>>,
    /// What left, in order.
    pub answered: Mutex<Vec<Code>>,
}

/// The receiving ends of a [`TestService`].
pub struct Observed {
    pub begun: mpsc::UnboundedReceiver<Vec<u8>>,
    pub discards: mpsc::UnboundedReceiver<(Peer, bool, Discard)>,
}

impl Observed {
    /// The cause of the next discard, and whether the client was known.
    pub async fn discard(&mut self) -> (Discard, bool) {
        let (_, known, cause) = self.discards.recv().await.unwrap();
        (cause, known)
    }
}

pub fn service(terms: Option<ClientTerms>) -> (Arc<TestService>, Observed) {
    let (begun, begun_receiver) = mpsc::unbounded_channel();
    let (discards, discards_receiver) = mpsc::unbounded_channel();
    let service = TestService {
        decisions: AtomicUsize::new(0),
        repeated: AtomicUsize::new(0),
        open: AtomicUsize::new(0),
        available: AtomicBool::new(true),
        begun,
        discards,
        released: watch::Sender::new(BTreeSet::new()),
        terms,
        lookup_panics: AtomicBool::new(false),
        proofs: Mutex::default(),
        answered: Mutex::default(),
    };
    (
        Arc::new(service),
        Observed {
            begun: begun_receiver,
            discards: discards_receiver,
        },
    )
}

/// Terms of a KDC socket, but with Proxy-State so that replies can be made long.
pub fn kdc_terms() -> ClientTerms {
    let rule = MessageAuthenticatorRule::IfPresent {
        limit_proxy_state: false,
    };
    ClientTerms {
        message_authenticator: rule,
        ..ClientTerms::kdc_socket()
    }
}

pub fn network_terms() -> ClientTerms {
    ClientTerms::network(SharedSecret::new(SECRET))
}

impl TestService {
    pub fn release(&self, user: &[u8]) {
        self.released.send_modify(|released| {
            released.insert(user.to_vec());
        });
    }

    pub fn decisions(&self) -> usize {
        self.decisions.load(Ordering::SeqCst)
    }
}

impl RadiusService for TestService {
    type Client = &'static str;

    async fn client(&self, peer: &Peer) -> Option<(ClientTerms, Arc<&'static str>)> {
        assert!(
            !self.lookup_panics.swap(false, Ordering::SeqCst),
            "a lookup that panics on purpose"
        );
        if let Peer::Tls {
            certificate: Some(certificate),
            ..
        } = peer
            && certificate.has_name(STRANGER)
        {
            return None;
        }
        self.terms.clone().map(|terms| (terms, Arc::new("client")))
    }

    async fn respond(&self, request: AccessRequest, client: Arc<&'static str>) -> Answer {
        assert_eq!(*client, "client");
        self.decisions.fetch_add(1, Ordering::SeqCst);
        let user = request.user_name().unwrap_or_default().to_vec();
        let _ = self.begun.send(user.clone());
        match &user[..] {
            b"accept" => Answer::accept(),
            b"challenge" => Answer::challenge("state"),
            b"slow-reject" => Answer::reject().not_before(Duration::from_secs(1)),
            b"late-reject" => Answer::reject().not_before(Duration::from_secs(60)),
            b"never" => pending().await,
            b"panic" => panic!("a decision that panics on purpose"),
            b"oversize" => Answer::accept().with(AttributeType::CLASS, vec![0; 254]),
            held if held.starts_with(b"hold") => {
                let mut released = self.released.subscribe();
                released
                    .wait_for(|released| released.contains(held))
                    .await
                    .unwrap();
                Answer::accept()
            }
            _ => Answer::reject(),
        }
    }

    fn authenticated(&self, _peer: &Peer, _client: &&'static str, _request: Request<'_>, proof: Proof) {
        self.proofs.lock().unwrap().push(proof);
    }

    fn discarded(&self, peer: &Peer, client: Option<&&'static str>, cause: &Discard) {
        let _ = self.discards.send((peer.clone(), client.is_some(), *cause));
    }

    fn repeated(&self, _peer: &Peer, _client: &&'static str) {
        self.repeated.fetch_add(1, Ordering::SeqCst);
    }

    fn answered(&self, _peer: &Peer, _client: &&'static str, code: Code, _elapsed: Duration) {
        self.answered.lock().unwrap().push(code);
    }

    fn opened(&self, _peer: &Peer) {
        self.open.fetch_add(1, Ordering::SeqCst);
    }

    fn closed(&self, _peer: &Peer) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    fn is_available(&self) -> bool {
        self.available.load(Ordering::SeqCst)
    }
}

/// A request for `user` whose authenticator consists of `fill`.
pub fn request(secret: &[u8], user: &str, identifier: u8, fill: u8) -> PendingRequest {
    let secret = SharedSecret::new(secret);
    let builder = RequestBuilder::access_request(Identifier(identifier), [fill; 16].into(), &secret);
    let builder = if secret.is_empty() {
        builder.dangerous_omit_message_authenticator()
    } else {
        builder
    };
    builder
        .user_name(user.as_bytes())
        .and_then(|b| b.user_password(b"755224"))
        .unwrap()
        .build()
        .unwrap()
}

/// What comes of `future`, which is expected soon by the clock on the wall: that of a test's runtime stands still or runs ahead.
pub async fn soon<F: Future>(future: F) -> F::Output {
    let (ring, alarm) = oneshot::channel();
    let clock = thread::spawn(move || {
        thread::park_timeout(PATIENCE);
        let _ = ring.send(());
    });
    let output = tokio::select! {
        biased;
        output = future => output,
        _ = alarm => panic!("nothing came within {PATIENCE:?}"),
    };
    clock.thread().unpark();
    // Not detached: glibc may look at a thread that is detached while it ends after its memory is gone.
    clock.join().unwrap();
    output
}

const PATIENCE: Duration = Duration::from_secs(20);

/// The code of a reply that is authentic, in the style of its transport.
pub fn verified(pending: &PendingRequest, octets: &[u8], style: ReplyStyle) -> Code {
    let packet = Packet::decode(octets).unwrap();
    let rule = match style {
        ReplyStyle::Network => MessageAuthenticatorRule::Required,
        ReplyStyle::Libkrad | ReplyStyle::NetworkOrLibkrad => MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: false,
        },
    };
    if style == ReplyStyle::Network {
        let first = packet.attributes().iter().next().unwrap();
        assert_eq!(first.kind, AttributeType::MESSAGE_AUTHENTICATOR);
    }
    pending.verify(packet, rule).unwrap().code()
}

/// A client's end of a stream.
pub struct Kdc<T = UnixStream>(pub T);

impl<T: AsyncRead + AsyncWrite + Unpin> Kdc<T> {
    pub async fn send(&mut self, octets: &[u8]) {
        self.0.write_all(octets).await.unwrap();
    }

    /// The next packet, `None` at the end of the stream.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 4];
        match soon(self.0.read_exact(&mut packet)).await {
            Ok(_) => {}
            Err(error) if is_end(&error) => return None,
            Err(error) => panic!("{error}"),
        }
        packet.resize(usize::from(u16::from_be_bytes([packet[2], packet[3]])), 0);
        soon(self.0.read_exact(&mut packet[4..])).await.unwrap();
        Some(packet)
    }

    /// Receives the reply to `pending`.
    pub async fn reply_to(&mut self, pending: &PendingRequest) -> Code {
        verified(pending, &self.receive().await.unwrap(), ReplyStyle::Libkrad)
    }

    /// Receives the reply to `pending`, whose first attribute is its Message-Authenticator.
    pub async fn signed_reply_to(&mut self, pending: &PendingRequest) -> Code {
        verified(pending, &self.receive().await.unwrap(), ReplyStyle::Network)
    }
}

/// A server that closes a connection with something unread resets it.
fn is_end(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}
