//! Clients of our own, octet by octet, for what real ones would never send, and where nothing else is at stake.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, UdpSocket},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator,
    RequestBuilder, SharedSecret,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accept,
    Reject,
}

/// One persistent connection, as libkrad keeps it.
pub struct Connection {
    stream: UnixStream,
    secret: SharedSecret,
    next: u8,
}

impl Connection {
    pub fn to(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self {
            stream,
            secret: SharedSecret::empty(),
            next: 0,
        }
    }

    /// Sends an Access-Request as the KDC does, waits for the answer to it.
    pub fn ask(&mut self, user: &str, password: &str) -> Verdict {
        let request = self.request(user, password);
        self.send(request.octets());
        self.answer(&request)
    }

    /// The attributes of a KDC's request, in its order.
    pub fn request(&mut self, user: &str, password: &str) -> PendingRequest {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        RequestBuilder::access_request(Identifier(self.next), authenticator, &self.secret)
            .dangerous_omit_message_authenticator()
            .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
            .and_then(|request| request.with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes()))
            .and_then(|request| request.user_password(password.as_bytes()))
            .and_then(|request| request.user_name(user.as_bytes()))
            .and_then(RequestBuilder::build)
            .unwrap()
    }

    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
    }

    /// Reads one packet and checks that it answers `request`.
    pub fn answer(&mut self, request: &PendingRequest) -> Verdict {
        let octets = self.read_packet();
        let packet = Packet::decode(&octets).unwrap();
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        let reply = request.verify(packet, rule).unwrap();
        assert_eq!(
            octets.len(),
            20,
            "a KDC before 1.22 discards replies with attributes that it does not know"
        );
        match reply.code() {
            Code::ACCESS_ACCEPT => Verdict::Accept,
            Code::ACCESS_REJECT => Verdict::Reject,
            code => panic!("{code:?}"),
        }
    }

    pub fn read_packet(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 4];
        self.stream.read_exact(&mut packet).unwrap();
        let length = usize::from(u16::from_be_bytes([packet[2], packet[3]]));
        packet.resize(length, 0);
        self.stream.read_exact(&mut packet[4..]).unwrap();
        packet
    }
}

/// Calls again what a signal broke off: a socket with a timeout is not taken up again by the kernel.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => return ended,
        }
    }
}

/// A RADIUS client on UDP that sends Message-Authenticator and demands it.
pub struct Datagrams {
    socket: UdpSocket,
    secret: SharedSecret,
    next: u8,
}

impl Datagrams {
    pub fn to(server: SocketAddr, secret: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self {
            socket,
            secret: SharedSecret::new(secret.as_bytes()),
            next: 0,
        }
    }

    /// Asks with Status-Server whether the server works (RFC 5997); `false` if it says nothing for half a second.
    pub fn status(&mut self) -> bool {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        let request = RequestBuilder::status_server(Identifier(self.next), authenticator, &self.secret);
        let request = request.build().unwrap();
        self.socket.send(request.octets()).unwrap();
        self.socket
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        let mut buffer = [0; 4096];
        let received = uninterrupted(|| self.socket.recv(&mut buffer));
        self.socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        received.is_ok_and(|length| {
            let packet = Packet::decode(&buffer[..length]).unwrap();
            let reply = request.verify(packet, MessageAuthenticatorRule::Required);
            reply.unwrap().code() == Code::ACCESS_ACCEPT
        })
    }

    pub fn ask(&mut self, user: &str, password: &str) -> Verdict {
        self.next = self.next.wrapping_add(1);
        let authenticator = RequestAuthenticator::random(&mut rand::rng());
        let request = RequestBuilder::access_request(Identifier(self.next), authenticator, &self.secret)
            .user_name(user.as_bytes())
            .and_then(|request| request.user_password(password.as_bytes()))
            .and_then(RequestBuilder::build)
            .unwrap();
        self.socket.send(request.octets()).unwrap();
        let mut buffer = [0; 4096];
        let length = uninterrupted(|| self.socket.recv(&mut buffer)).unwrap();
        let packet = Packet::decode(&buffer[..length]).unwrap();
        let reply = request
            .verify(packet, MessageAuthenticatorRule::Required)
            .unwrap();
        match reply.code() {
            Code::ACCESS_ACCEPT => Verdict::Accept,
            Code::ACCESS_REJECT => Verdict::Reject,
            code => panic!("{code:?}"),
        }
    }
}
