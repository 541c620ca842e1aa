//! Requests, built before the clock starts.

use krad::{AttributeType, Identifier, PendingRequest, RequestAuthenticator, RequestBuilder, SharedSecret};
use rand::rngs::StdRng;

use super::{
    Users,
    options::{IDENTIFIERS, Options, Target},
};

/// What every slot sends, in order. A slot is one of the requests that are outstanding at a time.
///
/// Slot `s` of `n` sends for the users `s`, `s + n`, `s + 2n` … and over again: so nobody has two requests outstanding, and
/// the codes of a token come in order.
pub(super) struct Traffic {
    users: Users,
    slots: Vec<Slot>,
    lanes: usize,
    per_lane: usize,
    secret: SharedSecret,
    /// A KDC's requests carry none.
    has_message_authenticator: bool,
    fixed_password: Option<String>,
    password: String,
    realm: Option<String>,
    /// The time step whose codes are sent, for all that are prepared.
    time_step: Option<u64>,
}

struct Slot {
    requests: Vec<PendingRequest>,
    /// How many of them were sent.
    sent: usize,
}

impl Traffic {
    pub(super) fn new(options: &Options, users: Users, rng: &mut StdRng) -> anyhow::Result<Self> {
        let secret = match options.target {
            Target::Udp(_) | Target::Tcp(_) => SharedSecret::new(options.secret.as_bytes()),
            // What everybody knows (RFC 6614 §2.3).
            Target::Tls(_) => SharedSecret::new(b"radsec"),
            Target::Unix(_) => SharedSecret::empty(),
        };
        let each = options.prepared().div_ceil(options.window);
        let mut traffic = Self {
            users,
            slots: Vec::new(),
            lanes: options.lanes,
            per_lane: options.slots_per_lane(),
            secret,
            has_message_authenticator: !matches!(options.target, Target::Unix(_)),
            fixed_password: options.fixed_password.clone(),
            password: options.password.clone(),
            realm: options.realm.clone(),
            time_step: options.totp.then(time_step).transpose()?,
        };
        traffic.slots.extend((0..options.window).map(|_| Slot {
            requests: Vec::with_capacity(each),
            sent: 0,
        }));
        for slot in 0..options.window {
            for index in 0..each {
                let request = traffic.build(slot, index, rng)?;
                if let Some(slot) = traffic.slots.get_mut(slot) {
                    slot.requests.push(request);
                }
            }
        }
        Ok(traffic)
    }

    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The lane of a slot.
    pub(super) fn lane(&self, slot: usize) -> usize {
        slot.checked_rem(self.lanes).unwrap_or_default()
    }

    /// The slot whose request on `lane` has `identifier`, if there is such a slot.
    pub(super) fn slot(&self, lane: usize, identifier: Identifier) -> Option<usize> {
        let local = usize::from(identifier.0).checked_rem(self.per_lane)?;
        let slot = local.checked_mul(self.lanes)?.checked_add(lane)?;
        (slot < self.slots.len()).then_some(slot)
    }

    /// Moves on to the next request of a slot.
    pub(super) fn next(&mut self, slot: usize, rng: &mut StdRng) -> anyhow::Result<()> {
        let Some(Slot { requests, sent }) = self.slots.get_mut(slot) else {
            return Ok(());
        };
        let index = *sent;
        *sent = index.saturating_add(1);
        if index < requests.len() {
            return Ok(());
        }
        let request = self.build(slot, index, rng)?;
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.requests.push(request);
        }
        Ok(())
    }

    /// The request that a slot has moved on to.
    pub(super) fn current(&self, slot: usize) -> Option<&PendingRequest> {
        let slot = self.slots.get(slot)?;
        slot.requests.get(slot.sent.checked_sub(1)?)
    }

    /// The users, with the counters after all that was sent.
    pub(super) fn into_users(mut self) -> Users {
        for (number, slot) in self.slots.iter().enumerate() {
            let users = self.users_of(number);
            for (place, user) in users.clone().enumerate() {
                // Of `sent` requests in turn, each user has had his share; the first ones one more.
                let shown = slot.sent.saturating_add(users.len()).saturating_sub(place + 1) / users.len();
                self.users.advance(user, u64::try_from(shown).unwrap_or(u64::MAX));
            }
        }
        self.users
    }

    fn users_of(&self, slot: usize) -> std::iter::StepBy<std::ops::Range<usize>> {
        (slot..self.users.all().end).step_by(self.slots.len().max(1))
    }

    fn build(&self, slot: usize, index: usize, rng: &mut StdRng) -> anyhow::Result<PendingRequest> {
        let mut users = self.users_of(slot);
        let (rounds, place) = (
            index / users.len().max(1),
            index.checked_rem(users.len()).unwrap_or_default(),
        );
        let user = users.nth(place).unwrap_or_default();
        let identifier = self.identifier(slot, index);
        let authenticator = RequestAuthenticator::random(rng);
        let request = RequestBuilder::access_request(identifier, authenticator, &self.secret)
            .user_name(self.login(user).as_bytes())?;
        let request = match &self.fixed_password {
            Some(password) => request.user_password(password.as_bytes())?,
            None => {
                let code = match self.time_step {
                    Some(step) => self.users.code_at(user, step),
                    None => self.users.code(user, u64::try_from(rounds).unwrap_or(u64::MAX)),
                };
                request.user_password(format!("{}{}", self.password, code.as_str()).as_bytes())?
            }
        };
        let request = request.with(AttributeType::NAS_IDENTIFIER, b"load")?;
        let request = if self.has_message_authenticator {
            request
        } else {
            request.dangerous_omit_message_authenticator()
        };
        Ok(request.build()?)
    }

    /// What a user calls himself.
    fn login(&self, user: usize) -> String {
        let name = self.users.name(user);
        match &self.realm {
            Some(realm) => format!("{name}@{realm}"),
            None => name,
        }
    }

    /// Slots of one lane share its Identifiers, and each slot takes its own in turn.
    fn identifier(&self, slot: usize, index: usize) -> Identifier {
        let local = slot.checked_div(self.lanes).unwrap_or_default();
        let own = (IDENTIFIERS / self.per_lane.max(1)).max(1);
        let number = local.saturating_add(self.per_lane.saturating_mul(index % own));
        Identifier(u8::try_from(number).unwrap_or(u8::MAX))
    }
}

/// The time step of now (RFC 6238 §4), 30 s long.
fn time_step() -> anyhow::Result<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the servers that are measured look at the same clock"
    )]
    let now = std::time::SystemTime::now();
    Ok(now.duration_since(std::time::UNIX_EPOCH)?.as_secs() / 30)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use clap::Parser as _;
    use krad::{MessageAuthenticatorRule, Packet};
    use rand::SeedableRng as _;

    use super::*;

    fn traffic(line: &str) -> (Traffic, StdRng) {
        let options = Options::try_parse_from(format!("x {line}").split_whitespace()).unwrap();
        options.check().unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let traffic = Traffic::new(&options, Users::new(options.users), &mut rng).unwrap();
        (traffic, rng)
    }

    /// Each user's codes come in the order of their counters, whether they were prepared or are built on the way.
    #[test]
    fn every_code_is_sent_once_and_in_order() {
        let (mut traffic, mut rng) =
            traffic("udp://127.0.0.1:1 --users 23 --window 5 --lanes 2 --prepare 40");
        let fresh = Users::new(23);
        let mut shown: BTreeMap<String, u64> = BTreeMap::new();
        for _ in 0..13 {
            for slot in 0..5 {
                traffic.next(slot, &mut rng).unwrap();
                let packet = Packet::decode(traffic.current(slot).unwrap().octets()).unwrap();
                let request = packet
                    .authenticate(&traffic.secret, MessageAuthenticatorRule::Required)
                    .unwrap();
                let name = String::from_utf8(request.user_name().unwrap().to_vec()).unwrap();
                let user: usize = name[1..].parse().unwrap();
                assert_eq!(user % 5, slot);
                let counter = shown.entry(name).or_default();
                let code = request.user_password().unwrap().unwrap();
                assert_eq!(*code, fresh.code(user, *counter).as_str().as_bytes());
                *counter += 1;
            }
        }
        let users = traffic.into_users();
        let expected: String = (0..23)
            .map(|user| format!("{}\n", shown.get(&users.name(user)).copied().unwrap_or_default()))
            .collect();
        assert_eq!(users.write_counters(), expected);
    }

    #[test]
    fn replies_find_their_slots() {
        for line in [
            "udp://127.0.0.1:1 --users 700 --window 700 --lanes 3 --prepare 1",
            "udp://127.0.0.1:1 --users 9 --window 7 --lanes 2 --prepare 100",
            "udp://127.0.0.1:1 --users 9 --window 1 --lanes 4 --prepare 100",
        ] {
            let (traffic, _) = traffic(line);
            let mut outstanding = BTreeSet::new();
            for slot in 0..traffic.slots() {
                let lane = traffic.lane(slot);
                for index in 0..300 {
                    let identifier = traffic.identifier(slot, index);
                    assert_eq!(traffic.slot(lane, identifier), Some(slot), "{line}: {index}");
                }
                assert!(
                    outstanding.insert((lane, traffic.identifier(slot, 0).0)),
                    "{line}"
                );
            }
        }
    }

    #[test]
    fn what_a_kdc_would_send_has_no_message_authenticator() {
        let (mut traffic, mut rng) = traffic("unix:/x --users 1 --window 1 --fixed-password 123456");
        traffic.next(0, &mut rng).unwrap();
        let packet = Packet::decode(traffic.current(0).unwrap().octets()).unwrap();
        assert!(
            packet
                .attributes()
                .first(AttributeType::MESSAGE_AUTHENTICATOR)
                .is_none()
        );
        let rule = MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        };
        let secret = SharedSecret::empty();
        let request = packet.authenticate(&secret, rule).unwrap();
        assert_eq!(*request.user_password().unwrap().unwrap(), b"123456".to_vec());
    }
}
