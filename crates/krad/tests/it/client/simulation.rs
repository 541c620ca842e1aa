//! Many requests at once against servers in memory, through a network that loses, repeats, delays and reorders.

use std::{cmp::Reverse, collections::BinaryHeap, time::Instant};

use krad::{
    AttributeType, Code, MessageAuthenticatorRule, NoReply, Packet, Remote, ReplyStyle, RequestTemplate,
    RetrySchedule, SharedSecret, Transaction, Transport,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use crate::clock::{ms, start};

/// How bad the network of one run is.
struct Weather {
    /// Of a hundred datagrams, how many get lost.
    loss: u32,
    /// Of a hundred datagrams, how many arrive twice.
    repetition: u32,
    /// Milliseconds that a packet takes at most.
    delay: u64,
    /// Of a hundred transmissions, how many end with an error of the socket.
    refusal: u32,
}

/// What happens at some time, by millisecond and then in the order in which it was caused.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Timeout { transaction: usize },
    AtServer { remote: usize, octets: Vec<u8> },
    AtClient { remote: usize, octets: Vec<u8> },
    Refused { transaction: usize, remote: usize },
}

struct Requester {
    transaction: Transaction,
    user: String,
    deadline: u64,
    /// (server, octets), in order.
    sent: Vec<(usize, Vec<u8>)>,
    ended_at: Option<u64>,
}

struct World {
    rng: StdRng,
    weather: Weather,
    start: Instant,
    remotes: Vec<Remote>,
    secrets: Vec<SharedSecret>,
    schedule: RetrySchedule,
    requesters: Vec<Requester>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    caused: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let weather = Weather {
            loss: rng.random_range(0..60),
            repetition: rng.random_range(0..50),
            delay: rng.random_range(1..3000),
            refusal: if rng.random_ratio(1, 3) {
                rng.random_range(0..40)
            } else {
                0
            },
        };
        let mut secrets = Vec::new();
        let mut remotes = Vec::new();
        for server in 0..rng.random_range(1..4_u8) {
            if rng.random_ratio(1, 4) {
                secrets.push(SharedSecret::empty());
                remotes.push(Remote::unix());
            } else {
                secrets.push(SharedSecret::new(&[b's', server]));
                remotes.push(Remote::udp(SharedSecret::new(&[b's', server])));
            }
        }
        let schedule = RetrySchedule::new(ms(rng.random_range(0..6000)), rng.random_range(0..5));
        Self {
            rng,
            weather,
            start: start(),
            remotes,
            secrets,
            schedule,
            requesters: Vec::new(),
            events: BinaryHeap::new(),
            caused: 0,
        }
    }

    fn later(&mut self, at: u64, event: Event) {
        self.caused += 1;
        self.events.push(Reverse((at, self.caused, event)));
    }

    fn begin(&mut self, number: usize) {
        let user = format!("{}-{number}", ["accept", "reject", "challenge"][number % 3]);
        let template = RequestTemplate::access_request()
            .user_name(user.as_bytes())
            .and_then(|t| t.user_password(b"755224"))
            .unwrap();
        let at = self.rng.random_range(0..500);
        let now = self.start + ms(at);
        let transaction = Transaction::new(template, self.remotes.clone(), self.schedule, now);
        let deadline = u64::try_from((transaction.deadline() - self.start).as_millis()).unwrap();
        let (sent, ended_at) = (Vec::new(), None);
        self.requesters.push(Requester {
            transaction,
            user,
            deadline,
            sent,
            ended_at,
        });
        self.later(at, Event::Timeout { transaction: number });
    }

    /// Lets everything happen; a run ends because every request does.
    fn run(&mut self) {
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            let now = self.start + ms(at);
            match event {
                Event::Timeout { transaction } => {
                    self.requesters[transaction].transaction.handle_timeout(now);
                    self.step(transaction, at);
                }
                Event::Refused { transaction, remote } => {
                    self.requesters[transaction]
                        .transaction
                        .handle_connect_error(remote, now);
                    self.step(transaction, at);
                }
                Event::AtServer { remote, octets } => {
                    let reply = self.answer(remote, &octets);
                    self.travel(
                        at,
                        remote,
                        Event::AtClient {
                            remote,
                            octets: reply.clone(),
                        },
                        || Event::AtClient {
                            remote,
                            octets: reply.clone(),
                        },
                    );
                }
                // A socket does not know whose packet it is, so everyone sees it.
                Event::AtClient { remote, octets } => {
                    for number in 0..self.requesters.len() {
                        let _ = self.requesters[number]
                            .transaction
                            .handle_packet(remote, &octets, now);
                        self.step(number, at);
                    }
                }
            }
        }
    }

    /// What a driver does after each call.
    fn step(&mut self, number: usize, at: u64) {
        let now = self.start + ms(at);
        loop {
            let requester = &mut self.requesters[number];
            let Some(transmit) = requester.transaction.poll_transmit(now, &mut self.rng) else {
                break;
            };
            assert!(
                at < requester.deadline && requester.ended_at.is_none(),
                "sent after the end"
            );
            let (remote, octets) = (transmit.remote, transmit.octets.to_vec());
            let identifier = transmit.identifier.0;
            assert!(
                !self.others_use(number, remote, identifier),
                "Identifier {identifier} is outstanding already"
            );
            let requester = &mut self.requesters[number];
            requester.sent.push((remote, octets.clone()));
            if self.weather.refusal > 0 && self.rng.random_ratio(self.weather.refusal, 100) {
                let after = at + self.rng.random_range(0..20);
                self.later(
                    after,
                    Event::Refused {
                        transaction: number,
                        remote,
                    },
                );
            } else {
                self.travel(
                    at,
                    remote,
                    Event::AtServer {
                        remote,
                        octets: octets.clone(),
                    },
                    || Event::AtServer {
                        remote,
                        octets: octets.clone(),
                    },
                );
            }
        }
        let requester = &mut self.requesters[number];
        match requester.transaction.poll_timeout() {
            Some(next) => {
                let next = u64::try_from((next - self.start).as_millis()).unwrap();
                assert!(next <= requester.deadline && requester.transaction.outcome().is_none());
                self.later(next.max(at), Event::Timeout { transaction: number });
            }
            None if requester.ended_at.is_none() => {
                assert!(
                    requester.transaction.outcome().is_some(),
                    "it ends with an outcome"
                );
                requester.ended_at = Some(at);
            }
            None => {}
        }
    }

    /// Whether another request that goes on has this Identifier at this server.
    fn others_use(&self, number: usize, remote: usize, identifier: u8) -> bool {
        let others = self
            .requesters
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let outstanding = others.filter(|(_, requester)| requester.ended_at.is_none());
        outstanding
            .flat_map(|(_, requester)| &requester.sent)
            .any(|(to, octets)| *to == remote && octets[1] == identifier)
    }

    /// Sends a packet through the network. A stream keeps what it carries.
    fn travel(&mut self, at: u64, remote: usize, event: Event, again: impl Fn() -> Event) {
        let delay = |world: &mut Self| at + world.rng.random_range(0..world.weather.delay);
        if self.remotes[remote].transport() == Transport::Stream {
            let arrival = delay(self);
            return self.later(arrival, event);
        }
        if !self.rng.random_ratio(self.weather.loss, 100) {
            let arrival = delay(self);
            self.later(arrival, event);
        }
        if self.rng.random_ratio(self.weather.repetition, 100) {
            let arrival = delay(self);
            self.later(arrival, again());
        }
    }

    /// A server without memory: its reply follows from the request alone, and names the user.
    fn answer(&self, remote: usize, octets: &[u8]) -> Vec<u8> {
        let secret = &self.secrets[remote];
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        let request = Packet::decode(octets)
            .unwrap()
            .authenticate(secret, rule)
            .unwrap();
        assert_eq!(*request.user_password().unwrap().unwrap(), b"755224");
        let user = request.user_name().unwrap();
        let style = if secret.is_empty() {
            ReplyStyle::Libkrad
        } else {
            ReplyStyle::Network
        };
        let reply = request
            .reply(expected_code(user))
            .with(AttributeType::REPLY_MESSAGE, user);
        reply.unwrap().sign(style).unwrap()
    }

    /// What must hold of every request, however the network was.
    fn check(&self, seed: u64) -> Tally {
        let mut tally = Tally::default();
        for requester in &self.requesters {
            let Requester {
                transaction,
                user,
                deadline,
                sent,
                ended_at,
            } = requester;
            let ended_at = ended_at.unwrap_or_else(|| panic!("seed {seed}: {user} has no outcome"));
            assert!(
                ended_at <= *deadline,
                "seed {seed}: {user} ended {ended_at}, after {deadline}"
            );
            match transaction.outcome().unwrap() {
                Ok(reply) => {
                    tally.replies += 1;
                    assert!(ended_at < *deadline);
                    assert_eq!(reply.code(), expected_code(user.as_bytes()), "seed {seed}");
                    let named = reply.as_reply().reply_messages().next().map(<[u8]>::to_vec);
                    assert_eq!(
                        named.as_deref(),
                        Some(user.as_bytes()),
                        "seed {seed}: another's reply"
                    );
                    let from = transaction.replied_by().unwrap();
                    assert!(sent.iter().any(|(remote, _)| *remote == from), "seed {seed}");
                }
                Err(NoReply::TimedOut) => {
                    tally.timeouts += 1;
                    assert_eq!(ended_at, *deadline, "seed {seed}: {user} gave up early");
                }
                Err(NoReply::Unreachable) => {
                    tally.unreachable += 1;
                    assert!(self.weather.refusal > 0, "seed {seed}");
                }
                Err(other) => panic!("seed {seed}: {user}: {other}"),
            }
            self.check_transmissions(seed, sent);
        }
        for remote in &self.remotes {
            assert_eq!(
                remote.identifiers().outstanding(),
                0,
                "seed {seed}: an Identifier was lost"
            );
        }
        tally
    }

    fn check_transmissions(&self, seed: u64, sent: &[(usize, Vec<u8>)]) {
        assert!(
            sent.is_sorted_by_key(|(remote, _)| *remote),
            "seed {seed}: went back to an earlier server"
        );
        for (remote, known) in self.remotes.iter().enumerate() {
            let mut octets = sent
                .iter()
                .filter(|(to, _)| *to == remote)
                .map(|(_, octets)| octets);
            let count = octets.clone().count();
            let most = match known.transport() {
                Transport::Datagram => self.schedule.retries() + 1,
                Transport::Stream => 1,
            };
            assert!(
                count <= usize::try_from(most).unwrap(),
                "seed {seed}: {count} sent, {most} allowed"
            );
            let first = octets.next();
            assert!(
                octets.all(|again| Some(again) == first),
                "seed {seed}: not the same octets again"
            );
        }
        let mut authenticators: Vec<&[u8]> = sent.iter().map(|(_, octets)| &octets[4..20]).collect();
        authenticators.dedup();
        let asked: std::collections::BTreeSet<usize> = sent.iter().map(|(remote, _)| *remote).collect();
        assert_eq!(
            authenticators.len(),
            asked.len(),
            "seed {seed}: a packet for each server"
        );
    }
}

#[derive(Default, Debug)]
struct Tally {
    replies: u32,
    timeouts: u32,
    unreachable: u32,
}

fn expected_code(user: &[u8]) -> Code {
    match user.first() {
        Some(b'a') => Code::ACCESS_ACCEPT,
        Some(b'c') => Code::ACCESS_CHALLENGE,
        _ => Code::ACCESS_REJECT,
    }
}

#[test]
fn each_request_has_one_outcome_however_bad_the_network() {
    let mut total = Tally::default();
    for seed in 0..2000 {
        let mut world = World::new(seed);
        let requests = world.rng.random_range(1..9);
        for number in 0..requests {
            world.begin(number);
        }
        world.run();
        let tally = world.check(seed);
        total.replies += tally.replies;
        total.timeouts += tally.timeouts;
        total.unreachable += tally.unreachable;
    }
    // Each kind of ending was seen often, or the worlds are not what they should be.
    assert!(
        total.replies > 3000 && total.timeouts > 500 && total.unreachable > 100,
        "{total:?}"
    );
}

#[test]
fn a_perfect_network_loses_nothing() {
    for seed in 0..40 {
        let mut world = World::new(seed);
        world.schedule = RetrySchedule::new(ms(4000), 3);
        world.weather = Weather {
            loss: 0,
            repetition: 0,
            delay: 400,
            refusal: 0,
        };
        for number in 0..100 {
            world.begin(number);
        }
        world.run();
        assert_eq!(world.check(seed).replies, 100);
    }
}
