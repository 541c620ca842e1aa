//! A client and its servers, driven by a script: one outcome, in time, never from a packet that is not authentic.

use std::time::{Duration, Instant};

use krad::{
    Code, MessageAuthenticatorRule, NoReply, Packet, Remote, ReplyStyle, RequestTemplate, RetrySchedule,
    SharedSecret, Transaction, Transport,
};
use rand::{SeedableRng, rngs::StdRng};

use crate::structured;

struct World {
    rng: StdRng,
    now: Instant,
    transaction: Transaction,
    remotes: Vec<Remote>,
    schedule: RetrySchedule,
    /// Everything that was ever sent and replied, with the server: the network delivers any of it at any time.
    sent: Vec<(usize, Vec<u8>)>,
    replies: Vec<(usize, Vec<u8>)>,
}

fn secret(remote: usize, transport: Transport) -> SharedSecret {
    match transport {
        Transport::Stream => SharedSecret::empty(),
        Transport::Datagram => SharedSecret::new(&[b's', u8::try_from(remote).unwrap()]),
    }
}

impl World {
    fn begin(timeout: u16, retries: u8, streams: &[bool]) -> Self {
        let remotes = streams
            .iter()
            .take(4)
            .enumerate()
            .map(|(index, is_stream)| match is_stream {
                true => Remote::unix(),
                false => Remote::udp(secret(index, Transport::Datagram)),
            });
        let remotes: Vec<Remote> = remotes.collect();
        let template = RequestTemplate::access_request().user_name(b"alice").unwrap();
        let template = template.user_password(b"755224").unwrap();
        let schedule = RetrySchedule::new(Duration::from_millis(timeout.into()), retries.into());
        #[expect(
            clippy::disallowed_methods,
            reason = "an instant to begin with; what happens is told by the script"
        )]
        let now = Instant::now();
        let transaction = Transaction::new(template, remotes.clone(), schedule, now);
        let (sent, replies) = (Vec::new(), Vec::new());
        Self {
            rng: StdRng::seed_from_u64(1),
            now,
            transaction,
            remotes,
            schedule,
            sent,
            replies,
        }
    }

    fn transmit(&mut self) {
        while let Some(transmit) = self.transaction.poll_transmit(self.now, &mut self.rng) {
            let (remote, octets) = (transmit.remote, transmit.octets.to_vec());
            assert!(self.now < self.transaction.deadline(), "sent too late");
            let mut earlier = self.sent.iter().filter(|(to, _)| *to == remote);
            assert!(
                earlier.all(|(_, same)| *same == octets),
                "not the same octets again"
            );
            self.sent.push((remote, octets));
        }
        assert_eq!(
            self.transaction.poll_timeout().is_none(),
            self.transaction.outcome().is_some()
        );
        assert!(
            self.transaction
                .poll_timeout()
                .is_none_or(|next| next <= self.transaction.deadline())
        );
    }

    fn serve(&mut self, which: usize, code: Code) {
        let Some((remote, octets)) = pick(&self.sent, which) else {
            return;
        };
        let secret = secret(*remote, self.remotes[*remote].transport());
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        let request = Packet::decode(octets)
            .unwrap()
            .authenticate(&secret, rule)
            .unwrap();
        assert_eq!(*request.user_password().unwrap().unwrap(), b"755224");
        let style = if secret.is_empty() {
            ReplyStyle::Libkrad
        } else {
            ReplyStyle::Network
        };
        self.replies
            .push((*remote, request.reply(code).sign(style).unwrap()));
    }

    /// Hands octets in as from `remote`; they are taken exactly if they are a reply of that server, in time.
    fn receive(&mut self, remote: usize, octets: &[u8]) {
        let is_reply = self
            .replies
            .iter()
            .any(|(from, reply)| *from == remote && reply == octets);
        let goes_on = self.transaction.outcome().is_none() && self.now < self.transaction.deadline();
        let taken = self.transaction.handle_packet(remote, octets, self.now);
        assert_eq!(taken.is_ok(), is_reply && goes_on, "{taken:?}");
        if taken.is_ok() {
            let reply = self.transaction.outcome().unwrap().as_ref().unwrap();
            assert_eq!(reply.code().0, octets[0]);
            assert_eq!(self.transaction.replied_by(), Some(remote));
        }
    }
}

fn pick<T>(from: &[T], which: usize) -> Option<&T> {
    from.get(which.checked_rem(from.len())?)
}

const CODES: [Code; 3] = [Code::ACCESS_ACCEPT, Code::ACCESS_REJECT, Code::ACCESS_CHALLENGE];

/// Checks any script.
pub fn check(input: &[u8]) {
    structured(input, run);
}

/// Timeout in milliseconds, retries, which servers are streams, and what happens: an action, what with, how.
type Script = (u16, u8, Vec<bool>, Vec<(u8, u8, u16)>);

fn run(input: Script) {
    let (timeout, retries, streams, script) = input;
    let mut world = World::begin(timeout, retries, &streams);
    world.transmit();
    for (action, which, argument) in script {
        let which = usize::from(which);
        let ended = world
            .transaction
            .outcome()
            .map(|outcome| outcome.as_ref().map(|reply| reply.code()).map_err(|e| *e));
        match action % 7 {
            0 => world.now += Duration::from_millis(argument.into()),
            1 => {
                world.now = world
                    .transaction
                    .poll_timeout()
                    .unwrap_or(world.now)
                    .max(world.now)
            }
            2 => world.serve(which, CODES[usize::from(argument) % 3]),
            3 => {
                let reply = pick(&world.replies, which).cloned();
                reply
                    .into_iter()
                    .for_each(|(remote, octets)| world.receive(remote, &octets));
            }
            4 => {
                // As from any server, with a bit changed or none.
                let Some((_, mut octets)) = pick(&world.replies, which).cloned() else {
                    continue;
                };
                let (remote, bit) = (usize::from(argument % 5), usize::from(argument / 5));
                if let Some(octet) = octets.get_mut(bit / 8) {
                    *octet ^= 1 << (bit % 8);
                }
                world.receive(remote, &octets);
            }
            5 => {
                let request = pick(&world.sent, which).cloned();
                request
                    .into_iter()
                    .for_each(|(remote, octets)| world.receive(remote, &octets));
            }
            _ => world
                .transaction
                .handle_connect_error(usize::from(argument % 5), world.now),
        }
        world.transaction.handle_timeout(world.now);
        world.transmit();
        if let Some(ended) = ended {
            let still = world.transaction.outcome().unwrap();
            assert_eq!(
                still.as_ref().map(|reply| reply.code()).map_err(|e| *e),
                ended,
                "another outcome"
            );
        }
    }

    // However it went, it ends by the deadline, was within its limits, and gives everything back.
    world.now = world.now.max(world.transaction.deadline());
    world.transaction.handle_timeout(world.now);
    world.transmit();
    match world.transaction.outcome().unwrap() {
        Ok(_) => assert!(world.transaction.replied_by().is_some()),
        Err(error) => assert!(
            matches!(error, NoReply::TimedOut | NoReply::Unreachable),
            "{error}"
        ),
    }
    for (index, remote) in world.remotes.iter().enumerate() {
        let most = match remote.transport() {
            Transport::Stream => 1,
            Transport::Datagram => usize::try_from(world.schedule.retries()).unwrap() + 1,
        };
        assert!(world.sent.iter().filter(|(to, _)| *to == index).count() <= most);
        assert_eq!(remote.identifiers().outstanding(), 0);
    }
}
