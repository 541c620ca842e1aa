//! One run: daemons, people, a network, and everything that may go wrong.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use ipnet::{IpNet, Ipv4Net};
use krad::{
    AttributeType, Code, Identifier, MessageAuthenticatorRule, Packet, PendingRequest, RequestAuthenticator,
    RequestBuilder, SharedSecret,
};
use otp_radiusd::KDC_CLIENT;
use otp_store::{ClientSecret, NewClient, model::Model};
use otp_validation::{ClientId, UnixTime, UserId};
use rand::{RngExt as _, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout_at},
};

use crate::{
    clock::{BEGIN, SimClock},
    disk::{Disk, lock},
    history::{Genuine, Sent},
    kdc::Worker,
    net::{Endpoint, Net},
    node::{Node, Surroundings},
    people::Person,
    plan::{Control, Plan},
};

const SECRET: &[u8] = b"a secret of thirty-two octets...";
/// A NAS sends this often, with this much time in between.
const TRIES: u32 = 4;
const AGAIN: Duration = Duration::from_secs(1);

/// Everything that a run's tasks share.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) started: Instant,
    pub(crate) surroundings: Surroundings,
    pub(crate) nodes: Vec<Arc<Node>>,
    /// Of the daemons, and of the store they share.
    clocks: Vec<Arc<SimClock>>,
    workers: Vec<Worker>,
    kdc: ClientId,
    nas: [ClientId; 2],
    /// Of packets: authenticators and the like.
    chance: Mutex<StdRng>,
    ports: AtomicU64,
    logins: AtomicUsize,
    /// What people typed, for those who capture it.
    pub(crate) typed: Mutex<Vec<Typed>>,
}

/// A credential that was typed somewhere.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) name: String,
    pub(crate) user: UserId,
    pub(crate) credential: String,
    pub(crate) genuine: Option<Genuine>,
}

impl World {
    /// Builds the world of a plan, and starts its daemons.
    pub(crate) fn build(plan: &Plan, control: Control) -> (Arc<Self>, Vec<Person>) {
        let mut model = Model::new(&[7; 32]);
        let created = UnixTime(BEGIN);
        let kdc = model.add_client(&NewClient::unix(KDC_CLIENT, created));
        let nas = [0, 1].map(|number| {
            let network = IpNet::V4(Ipv4Net::new_assert(nas_address(number), 32));
            let secret = ClientSecret::new(SECRET.to_vec());
            model.add_client(&NewClient::network(
                format!("nas{number}"),
                network,
                secret,
                created,
            ))
        });
        let people = (0..plan.users)
            .filter_map(|number| Person::enrol(&mut model, number))
            .collect();
        // A store that is shared has a clock of its own.
        let clock = (plan.nodes > 1).then(|| Arc::new(SimClock::new(0)));
        let disk = Disk::new(model, clock.clone(), (plan.disk, control), plan.rng(2));
        let surroundings = Surroundings {
            net: Net::new(plan),
            disk: Arc::new(Mutex::new(disk)),
            history: Arc::default(),
        };
        let mut chance = plan.rng(3);
        let (mut nodes, mut killed) = (Vec::new(), Vec::new());
        for number in 0..plan.nodes {
            let ahead = if plan.clocks {
                chance.random_range(-2..=2)
            } else {
                0
            };
            let address = SocketAddr::new(
                IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
                1812 + u16::try_from(number).unwrap_or_default(),
            );
            let (node, kill) = Node::new(address, SimClock::new(ahead), &surroundings);
            node.start();
            nodes.push(node);
            killed.push(kill);
        }
        let connections = Arc::new(AtomicU64::new(1));
        let workers = (0..4).filter_map(|number| nodes.get(number % nodes.len().max(1)));
        let workers = workers.map(|node| Worker::new(node, &connections)).collect();
        for (number, (node, mut kill)) in nodes.iter().zip(killed).enumerate() {
            let node = Arc::clone(node);
            let mut chance = plan.rng(100 + u64::try_from(number).unwrap_or_default());
            tokio::spawn(async move {
                while kill.recv().await.is_some() {
                    node.crash().await;
                    sleep(Duration::from_millis(chance.random_range(10..3000))).await;
                    // Whoever wanted to kill it in the meantime found it dead.
                    while kill.try_recv().is_ok() {}
                    node.start();
                }
            });
        }
        let clocks = nodes
            .iter()
            .map(|node| Arc::clone(&node.clock))
            .chain(clock)
            .collect();
        let world = Self {
            clocks,
            plan: plan.clone(),
            started: Instant::now(),
            surroundings,
            nodes,
            workers,
            kdc,
            nas,
            chance: Mutex::new(chance),
            ports: AtomicU64::new(1024),
            logins: AtomicUsize::new(0),
            typed: Mutex::default(),
        };
        (Arc::new(world), people)
    }

    /// The time of a clock that is right.
    pub(crate) fn true_time(&self) -> u64 {
        SimClock::true_time(self.started)
    }

    /// Lets everything happen that is to happen.
    pub(crate) async fn live(self: &Arc<Self>, people: Vec<Person>) {
        let mut tasks = JoinSet::new();
        for (number, person) in people.into_iter().enumerate() {
            let rng = self.plan.rng(1000 + u64::try_from(number).unwrap_or_default());
            tasks.spawn(Arc::clone(self).person(person, rng));
        }
        let mut rng = self.plan.rng(4);
        for _ in 0..self.plan.crashes {
            let (world, after) = (Arc::clone(self), rng.random_range(0..40_000));
            let which = rng.random_range(0..self.plan.nodes);
            tasks.spawn(async move {
                sleep(Duration::from_millis(after)).await;
                world.nodes.get(which).into_iter().for_each(|node| node.kill());
            });
        }
        if self.plan.clocks {
            for _ in 0..rng.random_range(1..4) {
                let after = rng.random_range(0..40_000);
                let clock = self.clocks.get(rng.random_range(0..self.clocks.len())).cloned();
                // By little, by about a time step, and by so much that somebody must have mistyped.
                let seconds = match rng.random_range(0..4) {
                    0 => rng.random_range(-3..=3),
                    1 | 2 => rng.random_range(-40..=40),
                    _ => rng.random_range(-100_000..=100_000),
                };
                tasks.spawn(async move {
                    sleep(Duration::from_millis(after)).await;
                    clock.into_iter().for_each(|clock| clock.step(seconds));
                });
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// Ends all trouble, waits until everybody has given up, and offers every code once more.
    pub(crate) async fn settle(self: &Arc<Self>) {
        lock(&self.surroundings.net).heal();
        lock(&self.surroundings.disk).heal();
        sleep(Duration::from_secs(40)).await;
        let typed = lock(&self.typed).clone();
        for again in typed {
            let _ = self.ask_nas(&again, 1, None, &mut self.plan.rng(5)).await;
        }
    }

    /// Whether all daemons run.
    pub(crate) fn is_up(&self) -> bool {
        self.nodes.iter().all(|node| node.is_running())
    }

    async fn person(self: Arc<Self>, mut person: Person, mut rng: StdRng) {
        let mut thieves = JoinSet::new();
        for _ in 0..self.plan.logins {
            sleep(Duration::from_millis(rng.random_range(0..6000))).await;
            sleep(Duration::from_secs(person.waits(self.true_time()))).await;
            let (credential, genuine) = person.types(self.true_time());
            let typed = Typed {
                name: person.name.clone(),
                user: person.user,
                credential,
                genuine: Some(genuine),
            };
            lock(&self.typed).push(typed.clone());
            if self.plan.attackers {
                for _ in 0..rng.random_range(0..3) {
                    let rng = self.plan.rng(rng.random());
                    thieves.spawn(Arc::clone(&self).thief(typed.clone(), rng));
                }
                if rng.random_ratio(1, 4) {
                    let guess = Typed {
                        credential: person.guess(rng.random_range(0..1_000_000)),
                        genuine: None,
                        ..typed.clone()
                    };
                    let rng = self.plan.rng(rng.random());
                    thieves.spawn(Arc::clone(&self).thief(guess, rng));
                }
            }
            let login = self.logins.fetch_add(1, Ordering::Relaxed);
            if rng.random_ratio(1, 2) {
                self.log_in_by_kdc(&typed, Some(login), &mut rng).await;
            } else {
                let _ = self.ask_nas(&typed, 0, Some(login), &mut rng).await;
            }
        }
        while thieves.join_next().await.is_some() {}
    }

    /// Offers what somebody else has typed.
    async fn thief(self: Arc<Self>, typed: Typed, mut rng: StdRng) {
        // Where clocks are set back, the past comes round again.
        let latest = if self.plan.clocks { 70_000 } else { 8_000 };
        sleep(Duration::from_millis(rng.random_range(0..latest))).await;
        if rng.random_ratio(1, 3) {
            self.log_in_by_kdc(&typed, None, &mut rng).await;
        } else {
            let nas = rng.random_range(0..2);
            let _ = self.ask_nas(&typed, nas, None, &mut rng).await;
        }
    }

    /// As `kinit` does it: the same AS-REQ goes to one process of the KDC after the other, a second apart.
    async fn log_in_by_kdc(self: &Arc<Self>, typed: &Typed, login: Option<usize>, rng: &mut StdRng) {
        let mut asked = JoinSet::new();
        let mut order: Vec<usize> = (0..self.workers.len()).collect();
        for place in (1..order.len()).rev() {
            order.swap(place, rng.random_range(0..=place));
        }
        for worker in order.into_iter().take(3) {
            let (world, typed) = (Arc::clone(self), typed.clone());
            asked.spawn(async move { world.ask_kdc(worker, &typed, login).await });
            let again = Instant::now() + AGAIN;
            while let Ok(Some(answered)) = timeout_at(again, asked.join_next()).await {
                if matches!(answered, Ok(Some(_))) {
                    // The other processes are not told that nobody waits any more.
                    asked.detach_all();
                    return;
                }
            }
        }
        while let Some(answered) = asked.join_next().await {
            if matches!(answered, Ok(Some(_))) {
                asked.detach_all();
                return;
            }
        }
    }

    async fn ask_kdc(&self, worker: usize, typed: &Typed, login: Option<usize>) -> Option<Code> {
        let worker = self.workers.get(worker)?;
        let request = worker.ask(|slot| {
            let secret = SharedSecret::empty();
            let builder = self.builder(Identifier(slot.identifier), &secret);
            let pending = builder
                .dangerous_omit_message_authenticator()
                .user_name(typed.name.as_bytes())
                .ok()?
                .user_password(typed.credential.as_bytes())
                .ok()?
                .with(AttributeType::NAS_IDENTIFIER, b"kdc.example.com")
                .ok()?
                .build()
                .ok()?;
            lock(&self.surroundings.history).add(Sent {
                pending: pending.clone(),
                client: self.kdc,
                is_kdc: true,
                user: typed.user,
                genuine: typed.genuine,
                credential: typed.credential.clone(),
                endpoint: Endpoint::Connection(slot.connection),
                login,
                arrived: Vec::new(),
                answers: Vec::new(),
            });
            Some(pending)
        });
        request.await
    }

    /// As a NAS does it: the same octets several times; to another server the same ones, or a packet of its own.
    async fn ask_nas(
        &self,
        typed: &Typed,
        nas: usize,
        login: Option<usize>,
        rng: &mut StdRng,
    ) -> Option<Code> {
        // From a port of its own, so that no two requests are taken for one.
        let port = 1024 + self.ports.fetch_add(1, Ordering::Relaxed) % 60_000;
        let address = SocketAddr::new(IpAddr::V4(nas_address(nas)), u16::try_from(port).unwrap_or(1024));
        let mut inbox = Net::bind(&self.surroundings.net, address);
        let mut node = rng.random_range(0..self.nodes.len());
        let mut requests = vec![self.compose_nas(typed, nas, address, login)?];
        for _ in 0..TRIES {
            let target = self.nodes.get(node)?.address;
            Net::send(&self.surroundings.net, address, target, requests.last()?.octets());
            let again = Instant::now() + AGAIN;
            while let Ok(Some((octets, _))) = timeout_at(again, inbox.recv()).await {
                let Ok(packet) = Packet::decode(&octets) else {
                    continue;
                };
                let proven = requests
                    .iter()
                    .find_map(|request| request.verify(packet, MessageAuthenticatorRule::Required).ok());
                if let Some(reply) = proven {
                    return Some(reply.code());
                }
            }
            if self.nodes.len() > 1 && rng.random_ratio(1, 2) {
                node = (node + 1) % self.nodes.len();
                if rng.random_ratio(1, 2) {
                    requests.push(self.compose_nas(typed, nas, address, login)?);
                }
            }
        }
        None
    }

    fn compose_nas(
        &self,
        typed: &Typed,
        nas: usize,
        address: SocketAddr,
        login: Option<usize>,
    ) -> Option<PendingRequest> {
        let secret = SharedSecret::new(SECRET);
        let identifier = Identifier(lock(&self.chance).random());
        let pending = self
            .builder(identifier, &secret)
            .user_name(typed.name.as_bytes())
            .ok()?
            .user_password(typed.credential.as_bytes())
            .ok()?
            .build()
            .ok()?;
        lock(&self.surroundings.history).add(Sent {
            pending: pending.clone(),
            client: *self.nas.get(nas)?,
            is_kdc: false,
            user: typed.user,
            genuine: typed.genuine,
            credential: typed.credential.clone(),
            endpoint: Endpoint::Datagrams(address),
            login,
            arrived: Vec::new(),
            answers: Vec::new(),
        });
        Some(pending)
    }

    fn builder<'s>(&self, identifier: Identifier, secret: &'s SharedSecret) -> RequestBuilder<'s> {
        let authenticator = RequestAuthenticator::random(&mut *lock(&self.chance));
        RequestBuilder::access_request(identifier, authenticator, secret)
    }
}

fn nas_address(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 1, u8::try_from(number).unwrap_or_default())
}
