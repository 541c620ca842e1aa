//! Asking RADIUS servers.
//!
//! [`Client`] drives [`krad::Transaction`] on tokio: any number of requests at once over one socket to each
//! server, over UDP or a UNIX stream socket.

mod connection;
mod server;

use std::{fmt, sync::Arc};

use krad::{NoReply, Remote, ReplyBuf, RequestTemplate, RetrySchedule, Transaction};
use rand::CryptoRng;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use self::connection::{Arrival, Registration, Waiter};

pub use server::Server;

/// A client of one or more RADIUS servers that stand in for each other.
///
/// Cheap to clone. Clones share the sockets: one to each server, opened when it is first asked, and kept. Up to
/// 256 requests can wait for one server at a time; for more make a second `Client` from servers of its own.
///
/// ```
/// # use krad::{NoReply, RequestTemplate, RetrySchedule, SharedSecret};
/// # use krad_tokio::client::{Client, Server};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = SharedSecret::new(b"a secret of this client alone");
/// let servers = vec![Server::udp("127.0.0.1:9".parse()?, secret), Server::unix("/run/nobody.socket")];
/// let client = Client::new(servers, RetrySchedule::new(Duration::from_millis(50), 1));
/// let template = RequestTemplate::access_request().user_name(b"alice")?.user_password(b"755224")?;
/// let no_reply = client.request(template, &mut rand::rng()).await.unwrap_err();
/// assert!(matches!(no_reply, NoReply::TimedOut | NoReply::Unreachable)); // nobody listens there
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    servers: Arc<[Server]>,
    schedule: RetrySchedule,
}

/// A reply, and who sent it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Which server, as an index of the list that [`Client::new`] took.
    pub server: usize,
    /// The reply, authentic.
    pub reply: ReplyBuf,
}

impl Client {
    /// A client that asks `servers` in this order. Nothing is opened yet.
    #[must_use]
    pub fn new(servers: Vec<Server>, schedule: RetrySchedule) -> Self {
        Self {
            servers: servers.into(),
            schedule,
        }
    }

    /// Asks the servers and waits for the first authentic reply, for [`RetrySchedule::timeout`] at most.
    ///
    /// Dropping the future gives the request up: nothing more is sent, and its Identifiers are free again. What
    /// was sent may still have its effect at the server.
    ///
    /// `rng` makes the Request Authenticators: take the one of the operating system, or one seeded from it.
    ///
    /// # Errors
    ///
    /// [`NoReply`]: fail closed, since what the servers have decided is unknown.
    pub async fn request(
        &self,
        template: RequestTemplate,
        rng: &mut impl CryptoRng,
    ) -> Result<Answered, NoReply> {
        let remotes: Vec<Remote> = self
            .servers
            .iter()
            .map(|server| server.remote().clone())
            .collect();
        let mut transaction = Transaction::new(template, remotes, self.schedule, now());
        let (arrivals, mut arrived) = mpsc::channel(ARRIVALS);
        let mut registrations = Vec::new();
        loop {
            self.transmit(&mut transaction, &arrivals, &mut registrations, rng);
            let Some(wake) = transaction.poll_timeout() else {
                let server = transaction.replied_by().unwrap_or_default();
                let outcome = transaction.into_outcome().unwrap_or(Err(NoReply::TimedOut));
                return outcome.map(|reply| Answered { server, reply });
            };
            tokio::select! {
                Some((server, arrival)) = arrived.recv() => match arrival {
                    Arrival::Packet(octets) => {
                        if let Err(error) = transaction.handle_packet(server, &octets, now()) {
                            tracing::debug!(server, %error, "discarding a packet");
                        }
                    }
                    Arrival::Error => transaction.handle_connect_error(server, now()),
                },
                () = sleep_until(Instant::from_std(wake)) => transaction.handle_timeout(now()),
            }
        }
    }

    /// Hands over what is to be sent now. It waits for nothing.
    fn transmit(
        &self,
        transaction: &mut Transaction,
        arrivals: &mpsc::Sender<(usize, Arrival)>,
        registrations: &mut Vec<Registration>,
        rng: &mut impl CryptoRng,
    ) {
        while let Some(transmit) = transaction.poll_transmit(now(), rng) {
            let index = transmit.remote;
            let waiter = Waiter::new(index, arrivals.clone());
            let server = self.servers.get(index);
            match server.and_then(|server| server.send(transmit.identifier, transmit.octets, waiter)) {
                Some(registration) => registrations.push(registration),
                None => transaction.handle_connect_error(index, now()),
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("servers", &self.servers)
            .field("schedule", &self.schedule)
            .finish()
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// How many packets may wait for one request to look at them. More than a few are forged, or it is not polled.
const ARRIVALS: usize = 16;
