//! A RADIUS server that a test looks into: it answers a KDC as it is told and remembers what it was sent.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{SocketAddr, UdpSocket},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use krad::{Code, MessageAuthenticatorRule, Packet, ReplyStyle, SharedSecret, StreamDecoder};

/// What a responder does with a request that holds the expected password. Any other password is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    Accept,
    Reject,
    /// Challenges, whatever the request holds.
    Challenge,
    /// Replies with a Code that no Access-Request asks for.
    Nonsense,
    /// Never answers, whatever the request holds.
    Silent,
}

/// One Access-Request, as often as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub octets: Vec<u8>,
    /// User-Name, made printable.
    pub user: String,
    /// Which of the responder's secrets gave back the expected password; `None` if none did.
    pub secret: Option<&'static str>,
}

/// A running responder; it ends when dropped.
pub struct Responder {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

struct Shared {
    behavior: Behavior,
    password: &'static str,
    secrets: Vec<&'static str>,
    received: Mutex<Vec<Received>>,
    stop: AtomicBool,
}

impl Responder {
    /// Listens on a UNIX stream socket. `secrets` are tried in order; the first that gives back `password` is used.
    pub fn unix(path: &Path, secrets: &[&'static str], password: &'static str, behavior: Behavior) -> Self {
        let mut responder = Self::new(secrets, password, behavior);
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&responder.shared);
        responder.thread = Some(thread::spawn(move || {
            let mut streams = Vec::new();
            while !shared.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&shared);
                        streams.push(thread::spawn(move || shared.serve_stream(stream)));
                    }
                    Err(_) => thread::sleep(TICK),
                }
            }
            streams.into_iter().for_each(|stream| stream.join().unwrap());
        }));
        responder
    }

    /// Listens on a free UDP port of loopback, which is returned.
    pub fn udp(secrets: &[&'static str], password: &'static str, behavior: Behavior) -> (Self, SocketAddr) {
        let mut responder = Self::new(secrets, password, behavior);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let shared = Arc::clone(&responder.shared);
        responder.thread = Some(thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !shared.stop.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                if let Some(reply) = shared.answer(&buffer[..length]) {
                    socket.send_to(&reply, peer).unwrap();
                }
            }
        }));
        (responder, address)
    }

    /// Forgets what has come so far, and returns it.
    pub fn take_received(&self) -> Vec<Received> {
        std::mem::take(&mut self.shared.received.lock().unwrap())
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    fn new(secrets: &[&'static str], password: &'static str, behavior: Behavior) -> Self {
        let secrets = secrets.to_vec();
        let (received, stop) = (Mutex::default(), AtomicBool::new(false));
        Self {
            shared: Arc::new(Shared {
                behavior,
                password,
                secrets,
                received,
                stop,
            }),
            thread: None,
        }
    }
}

impl Drop for Responder {
    /// Nothing is answered any more once this returns.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        if !thread::panicking() {
            assert!(!matches!(ended, Some(Err(_))), "a responder panicked");
        }
    }
}

impl Shared {
    fn serve_stream(&self, mut stream: UnixStream) {
        stream.set_read_timeout(Some(TICK)).unwrap();
        let mut decoder = StreamDecoder::new();
        while !self.stop.load(Ordering::Relaxed) {
            match stream.read(decoder.space()) {
                Ok(0) => return,
                Ok(length) => decoder.filled(length),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => continue,
                Err(_) => return,
            }
            while let Some(octets) = decoder.next_packet().expect("the KDC frames its packets") {
                if let Some(reply) = self.answer(octets) {
                    stream.write_all(&reply).unwrap();
                }
            }
        }
    }

    fn answer(&self, octets: &[u8]) -> Option<Vec<u8>> {
        let at = Instant::now();
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: false,
        };
        let (mut user, mut reply, mut known) = (String::new(), None, None);
        for secret in &self.secrets {
            let key = SharedSecret::new(secret.as_bytes());
            let packet = Packet::decode(octets).expect("the KDC sends packets");
            let Ok(request) = packet.authenticate(&key, rule) else {
                continue;
            };
            user = String::from_utf8_lossy(request.user_name().unwrap_or_default()).into_owned();
            let password = request.user_password().ok().flatten();
            let is_expected = password.is_some_and(|password| *password == self.password.as_bytes());
            let code = match self.behavior {
                Behavior::Accept if is_expected => Code::ACCESS_ACCEPT,
                Behavior::Challenge => Code::ACCESS_CHALLENGE,
                Behavior::Nonsense => Code::ACCOUNTING_RESPONSE,
                _ => Code::ACCESS_REJECT,
            };
            reply = Some(request.reply(code).sign(ReplyStyle::Libkrad).unwrap());
            if is_expected {
                known = Some(*secret);
                break;
            }
        }
        self.received.lock().unwrap().push(Received {
            at,
            octets: octets.to_vec(),
            user,
            secret: known,
        });
        reply.filter(|_| self.behavior != Behavior::Silent)
    }
}

/// How often a thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(5);
