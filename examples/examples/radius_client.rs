//! Asks a RADIUS server about a user: `radius_client ADDR USER`, as in `radius_client 127.0.0.1:1812 alice`.
//!
//! The shared secret and the password are read from standard input, one a line, because arguments are visible
//! to every user of the machine. Socket and clock are here; what to send when is `krad::Transaction`'s. For many
//! requests at once and servers that stand in for each other, see `krad_tokio::client`.

use std::env;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use krad::{
    AttributeType, MAX_PACKET_LENGTH, Remote, ReplyBuf, RequestTemplate, RetrySchedule, SharedSecret,
    Transaction,
};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [server, user] = arguments.as_slice() else {
        return Err("usage: radius_client ADDR USER".into());
    };
    let server = server.to_socket_addrs()?.next().ok_or("no address")?;
    let secret = SharedSecret::new(prompt("Shared secret: ")?.as_bytes());
    let template = RequestTemplate::access_request()
        .with(AttributeType::NAS_IDENTIFIER, b"radius_client")?
        .user_name(user.as_bytes())?
        .user_password(prompt("Password: ")?.as_bytes())?;

    let socket = UdpSocket::bind(if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(server)?;
    let reply = ask(&socket, Remote::udp(secret), template)?;
    println!("{}", reply.code());
    for message in reply.as_reply().reply_messages() {
        println!("{}", message.escape_ascii());
    }
    Ok(())
}

/// Does what the transaction says until it has an outcome.
#[expect(
    clippy::disallowed_methods,
    reason = "a program takes the time from somewhere"
)]
fn ask(socket: &UdpSocket, server: Remote, template: RequestTemplate) -> Result<ReplyBuf, Box<dyn Error>> {
    let mut rng = StdRng::try_from_rng(&mut SysRng)?;
    let schedule = RetrySchedule::new(Duration::from_secs(6), 2);
    let mut transaction = Transaction::new(template, vec![server], schedule, Instant::now());
    let mut buffer = [0; MAX_PACKET_LENGTH];
    while let Some(wake) = transaction.poll_timeout() {
        let sent = transaction
            .poll_transmit(Instant::now(), &mut rng)
            .map_or(Ok(0), |packet| socket.send(packet.octets));
        let wait = wake.saturating_duration_since(Instant::now());
        socket.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match sent.and_then(|_| socket.recv(&mut buffer)) {
            Ok(length) => {
                let octets = buffer.get(..length).unwrap_or_default();
                if let Err(discarded) = transaction.handle_packet(0, octets, Instant::now()) {
                    eprintln!("discarded a packet: {discarded}");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => transaction.handle_timeout(Instant::now()),
            Err(_) => transaction.handle_connect_error(0, Instant::now()),
        }
    }
    let outcome = transaction.into_outcome().ok_or("no outcome")?;
    outcome.map_err(|e| {
        format!("{e}: is the server there, does it know this client, is the secret right?").into()
    })
}

fn prompt(text: &str) -> io::Result<String> {
    eprint!("{text}");
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
