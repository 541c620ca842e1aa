//! Servers that stand in for each other, asked for as long as somebody waits: the client's side of a proxy.
//!
//! A [`Pool`] sends each request to one of its servers, and to the next one when that one does not answer:
//!
//! - Whom to ask first follows from the [`Order`] and from what is believed of the servers ([`Health`]): those that live, then
//!   those in doubt. Silence is looked into with Status-Server (RFC 5997), so that users need not find out.
//! - One server is sent the same octets again (UDP), with the same Identifier (RFC 5080 §2.2.1); another one gets a packet of its
//!   own. Nothing is sent that could not be answered before the caller's deadline ([`Turns`]).
//! - Only authentic replies count. Whatever else comes is discarded and counted, and the waiting goes on: an answer that lies costs
//!   nothing but time.
//! - UDP sockets and TCP connections are made on demand; each has 255 requests in flight at most and one Identifier, 0, for
//!   Status-Server. TLS speaks RADIUS/1.1 (RFC 9765) where both ends do, and always verifies the server's name.
//! - Names of hosts are resolved beside the way of requests: at the start, and again while a server is in doubt.

mod configured;
mod counters;
mod datagram;
mod health;
mod link;
mod server;
mod stream;
mod tls;
mod turns;

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use krad::{RequestAuthenticator, RequestTemplate, radius11::TokenCounter};
use rand::{Rng as _, rngs::StdRng};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::task::AbortOnDropHandle;

pub use self::{
    configured::{PoolServer, Scheme, ServerAddress, ServerAddressError},
    counters::Counts,
    health::{Health, HealthTerms, Order, State, ranked},
    link::{Reply, ReplyDiscard},
    tls::{ClientTls, ClientTlsFiles},
    turns::{Carrier, Step, Turns},
};
use self::{
    counters::increment,
    link::{Ask, Event, Ticket},
    server::{Lots, NotAsked, Server},
};

/// Servers that stand in for each other. They are looked after until the pool is dropped; requests that are under way then go on.
///
/// ```
/// # use krad::{Code, RequestTemplate, SharedSecret};
/// # use krad_tokio::pool::{HealthTerms, NoAnswer, Order, Pool, PoolServer};
/// # use rand::{SeedableRng as _, rngs::{StdRng, SysRng}};
/// # use tokio::time::{Duration, Instant};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let secret = SharedSecret::new(b"a secret of this proxy alone");
/// let servers = ["udp://127.0.0.1:9", "tcp://127.0.0.1:9"]
///     .into_iter()
///     .map(|address| Ok(PoolServer::new(address.parse()?, secret.clone())))
///     .collect::<Result<_, krad_tokio::pool::ServerAddressError>>()?;
/// let rng = StdRng::try_from_rng(&mut SysRng)?;
/// let pool = Pool::new(servers, Order::Failover, HealthTerms::default(), rng);
///
/// let template = RequestTemplate::access_request().user_name(b"alice")?.user_password(b"755224")?;
/// let deadline = Instant::now() + Duration::from_millis(200);
/// match pool.request(template, pool.choose(|_| true), deadline).await {
///     Ok(answered) => println!("{:?} by server {}", answered.reply.code(), answered.server),
///     Err(NoAnswer { cause, .. }) => println!("{cause}"), // nobody listens there
/// }
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    _watches: Vec<AbortOnDropHandle<()>>,
}

struct Shared {
    servers: Vec<Arc<Server>>,
    order: Order,
    probe_time: Duration,
    turn: AtomicUsize,
    rng: Mutex<StdRng>,
}

/// An authentic reply, and who sent it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Which server, as an index of the list that [`Pool::new`] took.
    pub server: usize,
    /// The reply.
    pub reply: Reply,
    /// How long that server took.
    pub elapsed: Duration,
}

/// A request has no answer: fail closed, since what the servers have decided is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct NoAnswer {
    /// Why.
    pub cause: NoAnswerCause,
    /// The server that was asked last, if any was.
    pub server: Option<usize>,
}

/// Why a request has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAnswerCause {
    /// No authentic reply came in time.
    #[error("no authentic reply in time")]
    TimedOut,
    /// None of the servers can be reached, or there was none to ask.
    #[error("no server can be reached")]
    Unreachable,
}

/// What is known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStatus {
    /// Where it is, as configured.
    pub server: ServerAddress,
    /// The address that it has now; `None` if its name is not resolved.
    pub address: Option<SocketAddr>,
    /// What is believed of it.
    pub state: State,
    /// What happened with it.
    pub counts: Counts,
}

impl Pool {
    /// A pool of `servers`, which are looked after from now on. `rng` makes Request Authenticators: seed it from the operating
    /// system.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(servers: Vec<PoolServer>, order: Order, terms: HealthTerms, rng: StdRng) -> Self {
        let now = Instant::now();
        let servers = servers
            .into_iter()
            .map(|server| Arc::new(Server::new(server, terms, now)));
        let shared = Arc::new(Shared {
            servers: servers.collect(),
            order,
            probe_time: terms.probe_interval,
            turn: AtomicUsize::new(0),
            rng: Mutex::new(rng),
        });
        let watches = shared.servers.iter().map(|server| {
            let watch = watch(Arc::clone(&shared), Arc::clone(server));
            AbortOnDropHandle::new(tokio::spawn(watch))
        });
        let watches = watches.collect();
        Self {
            shared,
            _watches: watches,
        }
    }

    /// What is known of the servers, in the order in which they were given.
    #[must_use]
    pub fn status(&self) -> Vec<ServerStatus> {
        let servers = self.shared.servers.iter();
        servers
            .map(|server| ServerStatus {
                server: server.configured.address().clone(),
                address: server.address(),
                state: server.state(),
                counts: server.counters.counts(),
            })
            .collect()
    }

    /// Which of the servers that `may_ask` permits (by index) to ask now, best first: those that live, then those in doubt, the dead
    /// only where there is no other.
    #[must_use]
    pub fn choose(&self, may_ask: impl Fn(usize) -> bool) -> Vec<usize> {
        let servers = self.shared.servers.iter().enumerate();
        let (allowed, states): (Vec<usize>, Vec<State>) = servers
            .filter(|(index, _)| may_ask(*index))
            .map(|(index, server)| (index, server.state()))
            .unzip();
        let turn = self.shared.turn.fetch_add(1, Relaxed);
        let order = ranked(&states, self.shared.order, turn);
        order
            .into_iter()
            .filter_map(|place| allowed.get(place).copied())
            .collect()
    }

    /// Asks `servers`, which [`choose`](Self::choose) has chosen, until one answers or `deadline` comes.
    ///
    /// Dropping the future gives the request up: nothing more is sent, and its Identifiers are free again. What was sent may still
    /// have its effect at a server. The future does not need the pool: it goes on when that is dropped.
    ///
    /// # Errors
    ///
    /// [`NoAnswer`]: fail closed.
    pub fn request(
        &self,
        template: RequestTemplate,
        servers: Vec<usize>,
        deadline: Instant,
    ) -> impl Future<Output = Result<Answered, NoAnswer>> + Send + 'static + use<> {
        let shared = Arc::clone(&self.shared);
        async move {
            let mut request = Request::new(&shared, servers, template, deadline);
            let outcome = request.run().await;
            request.tell_health(outcome.as_ref().ok());
            outcome
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("servers", &self.status()).finish()
    }
}

impl Shared {
    /// Nothing is left half done under the lock.
    fn draw<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lots(&self) -> Lots {
        self.draw(|rng| Lots {
            tokens: TokenCounter::random(rng),
            pause: rng.next_u32(),
        })
    }
}

/// One request under way.
struct Request<'a> {
    shared: &'a Shared,
    template: Arc<RequestTemplate>,
    turns: Turns,
    deadline: Instant,
    /// Those that may be asked, in order.
    servers: Vec<Chosen>,
    last_asked: Option<usize>,
}

struct Chosen {
    index: usize,
    ticket: Option<Ticket>,
    asked: Option<Instant>,
}

impl<'a> Request<'a> {
    fn new(shared: &'a Shared, chosen: Vec<usize>, template: RequestTemplate, deadline: Instant) -> Self {
        let servers: Vec<_> = chosen
            .into_iter()
            .map(|index| Chosen {
                index,
                ticket: None,
                asked: None,
            })
            .collect();
        let carriers = servers.iter().filter_map(|chosen| {
            let server = shared.servers.get(chosen.index)?;
            Some(server.carrier())
        });
        Self {
            turns: Turns::new(carriers, now(), deadline.into_std()),
            shared,
            template: Arc::new(template),
            deadline,
            servers,
            last_asked: None,
        }
    }

    async fn run(&mut self) -> Result<Answered, NoAnswer> {
        let (teller, mut events) = mpsc::channel(EVENTS);
        loop {
            let wake = match self.turns.step(now()) {
                Step::Ask(place) => {
                    self.ask(place, &teller);
                    continue;
                }
                Step::Again(place) => {
                    self.again(place);
                    continue;
                }
                Step::Wait(until) => Instant::from_std(until),
                Step::TimedOut => return Err(self.no_answer(NoAnswerCause::TimedOut)),
                Step::Unreachable => return Err(self.no_answer(NoAnswerCause::Unreachable)),
            };
            tokio::select! {
                Some((place, event)) = events.recv() => match event {
                    // It came in time only if it is looked at in time.
                    Event::Answer(reply) if Instant::now() < self.deadline => {
                        if let Some(answered) = self.answered(place, reply) {
                            return Ok(answered);
                        }
                    }
                    Event::Answer(_) => {}
                    Event::Unreachable => self.unreachable(place),
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    fn ask(&mut self, place: usize, teller: &link::Teller) {
        let Some(chosen) = self.servers.get_mut(place) else {
            return;
        };
        let Some(server) = self.shared.servers.get(chosen.index) else {
            return;
        };
        let ask = Ask {
            template: Arc::clone(&self.template),
            authenticator: self.shared.draw(RequestAuthenticator::random),
            is_probe: false,
            place,
            teller: teller.clone(),
        };
        // An earlier packet to it, on a connection that broke, is forgotten first.
        chosen.ticket = None;
        match server.ask(&ask, self.shared.lots()) {
            Ok(ticket) => {
                increment(&server.counters.requests);
                chosen.ticket = Some(ticket);
                chosen.asked = Some(Instant::now());
                self.last_asked = Some(chosen.index);
            }
            Err(NotAsked::Full) => {
                increment(&server.counters.unreachable);
                self.turns.unavailable(place, now());
            }
            Err(NotAsked::Unreachable) => self.unreachable(place),
        }
    }

    fn again(&mut self, place: usize) {
        let Some(chosen) = self.servers.get(place) else {
            return;
        };
        if let (Some(ticket), Some(server)) = (&chosen.ticket, self.shared.servers.get(chosen.index)) {
            increment(&server.counters.repeated);
            ticket.again();
        }
    }

    fn unreachable(&mut self, place: usize) {
        let chosen = self.servers.get(place);
        if let Some(server) = chosen.and_then(|chosen| self.shared.servers.get(chosen.index)) {
            increment(&server.counters.unreachable);
            server.health(Health::unreachable);
        }
        self.turns.unreachable(place, now());
    }

    fn answered(&self, place: usize, reply: Reply) -> Option<Answered> {
        let chosen = self.servers.get(place)?;
        self.shared
            .servers
            .get(chosen.index)?
            .counters
            .answered(reply.code());
        let asked = chosen.asked.unwrap_or_else(Instant::now);
        Some(Answered {
            server: chosen.index,
            reply,
            elapsed: Instant::now().saturating_duration_since(asked),
        })
    }

    fn no_answer(&self, cause: NoAnswerCause) -> NoAnswer {
        NoAnswer {
            cause,
            server: self.last_asked,
        }
    }

    /// Who has answered lives; who has not, while its turn lasted, is in doubt.
    fn tell_health(&self, answered: Option<&Answered>) {
        let awaited: Vec<_> = self.turns.awaited().collect();
        for (place, chosen) in self.servers.iter().enumerate() {
            let Some(server) = self.shared.servers.get(chosen.index) else {
                continue;
            };
            if answered.is_some_and(|answered| answered.server == chosen.index) {
                server.health(Health::answered);
            } else if let Some(asked) = chosen.asked.filter(|_| awaited.contains(&place)) {
                increment(&server.counters.unanswered);
                server.health(|health, now| health.unanswered(asked.into_std(), now));
            }
        }
    }
}

/// Looks after one server: resolves its name, and asks with Status-Server whether it lives.
async fn watch(shared: Arc<Shared>, server: Arc<Server>) {
    server.resolve().await;
    loop {
        let due = server.health(|health, _| health.poll_timeout());
        let woken = server.wake.notified();
        match due {
            None => woken.await,
            Some(due) => tokio::select! {
                () = woken => {}
                () = sleep_until(Instant::from_std(due)) => {}
            },
        }
        let is_due = due.is_some_and(|due| due <= now());
        if is_due && server.state() != State::Alive {
            server.resolve().await;
        }
        if server.health(Health::handle_timeout) {
            let is_answered = probe(&shared, &server).await;
            server.health(|health, now| match is_answered {
                true => health.probe_answered(now),
                false => health.probe_unanswered(now),
            });
        }
    }
}

/// Sends one Status-Server; `true` if it was answered.
async fn probe(shared: &Shared, server: &Server) -> bool {
    let (teller, mut events) = mpsc::channel(EVENTS);
    let ask = Ask {
        template: Arc::new(RequestTemplate::status_server()),
        authenticator: shared.draw(RequestAuthenticator::random),
        is_probe: true,
        place: 0,
        teller,
    };
    increment(&server.counters.probes);
    let until = Instant::now().checked_add(shared.probe_time);
    let is_answered = match server.ask(&ask, shared.lots()) {
        Err(_) => false,
        Ok(_ticket) => {
            let answer = timeout(shared.probe_time, events.recv()).await;
            matches!(answer, Ok(Some((_, Event::Answer(_)))))
        }
    };
    if !is_answered {
        increment(&server.counters.unanswered_probes);
        // A host that refuses is not asked a thousand times a second.
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }
    is_answered
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// How many events may wait for one request to look at them. Only what is authentic is one.
const EVENTS: usize = 16;
