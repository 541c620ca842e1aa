//! What campaigns drive the daemon with: users whose codes are known, and a client on UDP that outlives daemons.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    ops::Range,
    time::{Duration, Instant},
};

use krad::{
    Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator, RequestBuilder,
    SharedSecret,
};
use otp_core::{Digits, Hotp, TokenKey};

use crate::{system::System, wire::uninterrupted};

/// How long a client waits before it sends the same octets again.
pub const AGAIN: Duration = Duration::from_millis(400);
/// How long after its first packet a client is entitled to its verdict: for so long the store keeps it.
pub const PATIENCE: Duration = Duration::from_secs(25);
/// As many requests at once as there are Identifiers, and a few less.
const AT_ONCE: usize = 200;

/// A user with a token; both follow from a number.
///
/// Its codes have eight digits: one of six is that of another counter of the window too often, for campaigns that see many.
pub struct User {
    pub name: String,
    pub key: TokenKey,
}

impl User {
    pub fn new(number: usize) -> Self {
        let mut key = [0x42; 20];
        key[..8].copy_from_slice(&number.to_be_bytes());
        Self {
            name: format!("user{number}"),
            key: TokenKey::from(key),
        }
    }

    /// The code of a counter, or of a time step.
    pub fn code(&self, counter: u64) -> String {
        let hotp = Hotp {
            digits: Digits::EIGHT,
            ..Hotp::default()
        };
        hotp.generate(&self.key, counter).as_str().to_owned()
    }

    /// Users with tokens of a type, `hotp` or `totp`, as `otpctl token import --create-users` reads them.
    pub fn import_file(token_type: &str, numbers: Range<usize>) -> String {
        let mut file = String::from("user,label,type,secret,digits\n");
        for number in numbers {
            let user = Self::new(number);
            let secret = user.key.to_base32();
            writeln!(file, "{},ring,{token_type},{},8", user.name, secret.as_str()).unwrap();
        }
        file
    }
}

/// A system with so many users and one client; the client's secret.
pub fn system_with_users(count: usize) -> (System, String) {
    let system = System::new();
    system.otpctl(
        &["token", "import", "--create-users", "-"],
        &User::import_file("hotp", 0..count),
    );
    let secret = system.radius_client("vpn", &[]);
    (system, secret)
}

/// A RADIUS client on UDP. It is not connected: the daemon may die, and come back on another port.
pub struct UdpClient {
    socket: UdpSocket,
    server: SocketAddr,
    secret: SharedSecret,
    next: u8,
}

impl UdpClient {
    pub fn to(server: SocketAddr, secret: &str) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, server, secret)
    }

    /// A client with this address of loopback.
    pub fn from(address: Ipv4Addr, server: SocketAddr, secret: &str) -> Self {
        Self {
            socket: UdpSocket::bind((address, 0)).unwrap(),
            server,
            secret: SharedSecret::new(secret.as_bytes()),
            next: 0,
        }
    }

    /// After a restart the daemon listens on another port.
    pub fn connect(&mut self, server: SocketAddr) {
        self.server = server;
    }

    pub fn server(&self) -> SocketAddr {
        self.server
    }

    pub fn compose(&mut self, user: &str, code: &str) -> PendingRequest {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        RequestBuilder::access_request(Identifier(self.next), authenticator, &self.secret)
            .user_name(user.as_bytes())
            .and_then(|request| request.user_password(code.as_bytes()))
            .and_then(RequestBuilder::build)
            .unwrap()
    }

    pub fn send(&self, request: &PendingRequest) {
        // Nobody there: as if it were lost.
        let _ = self.socket.send_to(request.octets(), self.server);
    }

    pub fn ask(&mut self, user: &str, code: &str) -> Option<Code> {
        let request = self.compose(user, code);
        self.send(&request);
        self.verdict(&request, Duration::from_secs(10))
    }

    /// Whether Status-Server (RFC 5997) is answered within `patience`.
    pub fn status(&mut self, patience: Duration) -> bool {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        let request = RequestBuilder::status_server(Identifier(self.next), authenticator, &self.secret);
        let request = request.build().unwrap();
        self.send(&request);
        self.verdict(&request, patience) == Some(Code::ACCESS_ACCEPT)
    }

    /// The verdict on `request`, if it comes in time.
    pub fn verdict(&self, request: &PendingRequest, within: Duration) -> Option<Code> {
        let end = Instant::now() + within;
        let mut buffer = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            let Ok(packet) = Packet::decode(&buffer[..length]) else {
                continue;
            };
            if let Ok(reply) = request.verify(packet, MessageAuthenticatorRule::Required) {
                return Some(reply.code());
            }
        }
    }

    /// One packet for each code, many at once, each sent until it has a verdict; the verdicts in this order.
    pub fn ask_all(&mut self, codes: &[(usize, u64)]) -> Vec<Code> {
        let mut verdicts = Vec::with_capacity(codes.len());
        for some in codes.chunks(AT_ONCE) {
            let mut waiting = BTreeMap::new();
            for (place, &(user, counter)) in some.iter().enumerate() {
                let user = User::new(user);
                let request = self.compose(&user.name, &user.code(counter));
                waiting.insert(request.identifier().0, (place, request));
            }
            let mut found = vec![None; some.len()];
            let began = Instant::now();
            while !waiting.is_empty() {
                assert!(
                    began.elapsed() < PATIENCE,
                    "{} codes without a verdict",
                    waiting.len()
                );
                waiting.values().for_each(|(_, request)| self.send(request));
                self.collect(&mut waiting, &mut found);
            }
            verdicts.extend(found.into_iter().flatten());
        }
        verdicts
    }

    /// Takes answers until everybody has one, or none has come for a while.
    fn collect(&self, waiting: &mut BTreeMap<u8, (usize, PendingRequest)>, found: &mut [Option<Code>]) {
        self.socket.set_read_timeout(Some(AGAIN)).unwrap();
        let mut buffer = [0; 4096];
        while !waiting.is_empty() {
            let Ok((length, _)) = uninterrupted(|| self.socket.recv_from(&mut buffer)) else {
                return;
            };
            let Ok(packet) = Packet::decode(&buffer[..length]) else {
                continue;
            };
            let identifier = packet.identifier().0;
            let Some((place, request)) = waiting.get(&identifier) else {
                continue;
            };
            if let Ok(reply) = request.verify(packet, MessageAuthenticatorRule::Required) {
                found[*place] = Some(reply.code());
                waiting.remove(&identifier);
            }
        }
    }

    /// Offers codes that were accepted, each in a packet of its own: all must be refused. How many they were.
    pub fn offer_again(&mut self, codes: &[(usize, u64)]) -> u64 {
        for (code, verdict) in codes.iter().zip(self.ask_all(codes)) {
            assert_eq!(verdict, Code::ACCESS_REJECT, "{code:?} was accepted twice");
        }
        u64::try_from(codes.len()).unwrap()
    }
}
