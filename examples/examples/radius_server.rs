//! A complete PAP server over UDP: `radius_server ADDR USERS`, as in `radius_server 127.0.0.1:1812 users.txt`.
//!
//! Each line of USERS is a name, a blank and a password. The secret that all clients share is the first line of
//! standard input. It serves until Ctrl-C, and then answers what is in flight.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::fs;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use krad::SharedSecret;
use krad_tokio::{AccessRequest, Answer, ClientTerms, Discard, Peer, RadiusService, Settings, serve_udp};
use subtle::ConstantTimeEq;
use tokio::net::UdpSocket;
use tokio_util::sync::CancellationToken;

struct Pap {
    secret: SharedSecret,
    passwords: HashMap<Vec<u8>, Vec<u8>>,
}

impl RadiusService for Pap {
    type Client = ();

    /// Whoever knows the secret is a client; a server on the network of others looks at the address too.
    async fn client(&self, _peer: &Peer) -> Option<(ClientTerms, Arc<()>)> {
        Some((ClientTerms::network(self.secret.clone()), Arc::new(())))
    }

    async fn respond(&self, request: AccessRequest, _client: Arc<()>) -> Answer {
        let name = request.user_name().unwrap_or_default();
        // An unknown user costs the same time as a wrong password, and has none that is right.
        let known = self.passwords.get(name);
        let expected = known.map_or(&[][..], Vec::as_slice);
        let given = request.user_password().ok().flatten();
        let is_equal = given.is_some_and(|given| bool::from(given.as_slice().ct_eq(expected)));
        let granted = known.is_some() && is_equal;
        println!("{}: {}: {granted}", request.peer(), name.escape_ascii());
        if granted {
            Answer::accept()
        } else {
            Answer::reject().not_before(Duration::from_secs(1))
        }
    }

    fn discarded(&self, peer: &Peer, _client: Option<&()>, cause: &Discard) {
        eprintln!("{peer}: discarded: {cause}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [address, users] = arguments.as_slice() else {
        return Err("usage: radius_server ADDR USERS".into());
    };
    let users = fs::read_to_string(users)?;
    let users = users.lines().filter_map(|line| line.split_once(' '));
    let passwords = users
        .map(|(name, password)| (name.into(), password.into()))
        .collect();
    let mut secret = String::new();
    io::stdin().read_line(&mut secret)?;
    let secret = SharedSecret::new(secret.trim_end_matches(['\r', '\n']).as_bytes());

    let socket = UdpSocket::bind(address).await?;
    eprintln!("serving on {}", socket.local_addr()?);
    let shutdown = CancellationToken::new();
    let service = Arc::new(Pap { secret, passwords });
    let server = tokio::spawn(serve_udp(socket, service, Settings::default(), shutdown.clone()));
    tokio::signal::ctrl_c().await?;
    shutdown.cancel();
    Ok(server.await?)
}
