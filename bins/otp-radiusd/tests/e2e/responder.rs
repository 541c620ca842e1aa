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

/// What a responder does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Accepts this password and rejects any other.
    Accept(&'static str),
    /// Never answers.
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
}

struct Shared {
    behavior: Behavior,
    password: &'static str,
    secrets: Vec<&'static str>,
    received: Mutex<Vec<Received>>,
    stop: AtomicBool,
}

impl Responder {
    /// Listens on a UNIX stream socket. `secrets` are tried in order; the first that makes sense of a request is used.
    pub fn unix(path: &Path, secrets: &[&'static str], password: &'static str, behavior: Behavior) -> Self {
        let responder = Self::new(secrets, password, behavior);
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&responder.shared);
        thread::spawn(move || {
            while !shared.stop.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let shared = Arc::clone(&shared);
                        thread::spawn(move || shared.serve_stream(stream));
                    }
                    Err(_) => thread::sleep(TICK),
                }
            }
        });
        responder
    }

    /// Listens on a free UDP port of loopback, which is returned.
    pub fn udp(secrets: &[&'static str], password: &'static str, behavior: Behavior) -> (Self, SocketAddr) {
        let responder = Self::new(secrets, password, behavior);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let shared = Arc::clone(&responder.shared);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !shared.stop.load(Ordering::Relaxed) {
                let Ok((length, peer)) = socket.recv_from(&mut buffer) else { continue };
                if let Some(reply) = shared.answer(&buffer[..length]) {
                    socket.send_to(&reply, peer).unwrap();
                }
            }
        });
        (responder, address)
    }

    /// What has come so far.
    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    fn new(secrets: &[&'static str], password: &'static str, behavior: Behavior) -> Self {
        let secrets = secrets.to_vec();
        let (received, stop) = (Mutex::default(), AtomicBool::new(false));
        Self { shared: Arc::new(Shared { behavior, password, secrets, received, stop }) }
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
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
        let rule = MessageAuthenticatorRule::IfPresent { limit_proxy_state: false };
        let keys = self.secrets.iter().map(|secret| (*secret, SharedSecret::new(secret.as_bytes())));
        let (mut user, mut known) = (String::new(), None);
        for (secret, key) in keys {
            let packet = Packet::decode(octets).expect("the KDC sends packets");
            let Ok(request) = packet.authenticate(&key, rule) else { continue };
            user = String::from_utf8_lossy(request.user_name().unwrap_or_default()).into_owned();
            let password = request.user_password().ok().flatten();
            if password.is_some_and(|password| *password == self.password.as_bytes()) {
                known = Some((secret, key));
                break;
            }
        }
        let secret = known.as_ref().map(|(secret, _)| *secret);
        self.received.lock().unwrap().push(Received { at, octets: octets.to_vec(), user, secret });
        let Behavior::Accept(accepted) = self.behavior else { return None };
        let code = if accepted == self.password { Code::ACCESS_ACCEPT } else { Code::ACCESS_REJECT };
        let (_, key) = known?;
        let request = Packet::decode(octets).ok()?.authenticate(&key, rule).ok()?;
        Some(request.reply(code).sign(ReplyStyle::Libkrad).unwrap())
    }
}

/// How often a thread looks whether it is to end.
const TICK: Duration = Duration::from_millis(5);
