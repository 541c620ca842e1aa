//! Asks a RADIUS server about a user: `radius_client ADDR USER`, as in `radius_client 127.0.0.1:1812 alice`.
//!
//! The shared secret and the password are read from standard input, one a line, because arguments are visible
//! to every user of the machine.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::time::Duration;

use krad::{
    AttributeType, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator,
    RequestBuilder, SharedSecret,
};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, user] = arguments.as_slice() else {
        return Err("usage: radius_client ADDR USER".into());
    };
    let server = server
        .to_socket_addrs()?
        .next()
        .ok_or("the name of the server has no address")?;
    let secret = SharedSecret::new(prompt("Shared secret: ")?.as_bytes());
    let password = prompt("Password: ")?;

    let mut rng = StdRng::try_from_rng(&mut SysRng)?;
    let authenticator = RequestAuthenticator::random(&mut rng);
    let pending = RequestBuilder::access_request(Identifier(0), authenticator, &secret)
        .with(AttributeType::NAS_IDENTIFIER, b"radius_client")?
        .user_name(user.as_bytes())?
        .user_password(password.as_bytes())?
        .build()?;

    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    for _ in 0..3 {
        // The same octets each time, so that the server takes it for the one request that it is.
        socket.send(pending.octets())?;
        if let Some(answer) = receive(&socket, &pending)? {
            println!("{answer}");
            return Ok(());
        }
    }
    Err("no authentic reply: is the server there, does it know this client, is the secret right?".into())
}

/// Waits for the reply. What is not authentic is discarded, as if it had not come.
fn receive(socket: &UdpSocket, pending: &PendingRequest) -> Result<Option<String>, Box<dyn Error>> {
    let mut buffer = [0; krad::MAX_PACKET_LENGTH];
    loop {
        let length = match socket.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let octets = buffer.get(..length).unwrap_or_default();
        let packet = Packet::decode(octets).ok();
        let reply = packet.and_then(|p| pending.verify(p, MessageAuthenticatorRule::Required).ok());
        let Some(reply) = reply else { continue };
        let mut answer = reply.code().to_string();
        for message in reply.reply_messages() {
            answer = format!("{answer}\n{}", message.escape_ascii());
        }
        return Ok(Some(answer));
    }
}

fn prompt(text: &str) -> io::Result<String> {
    eprint!("{text}");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
