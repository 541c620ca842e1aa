//! Packets as clients send them, and everything that can be wrong with one.

use hmac::{Hmac, KeyInit as _, Mac as _};
use krad::{AttributeType, Identifier, RequestAuthenticator, RequestBuilder, SharedSecret};
use md5::Md5;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};

const HEADER: usize = 20;
/// Type, length and value of Message-Authenticator.
const MESSAGE_AUTHENTICATOR: u8 = 80;
const SIGNATURE: usize = 16;

/// A packet as a client sends it.
pub struct Valid {
    pub what: &'static str,
    pub octets: Vec<u8>,
}

type Built<'a> = Result<RequestBuilder<'a>, krad::EncodeError>;

fn pap<'a>(request: RequestBuilder<'a>, user: &str, code: &str) -> Built<'a> {
    request.user_name(user.as_bytes())?.user_password(code.as_bytes())
}

/// One packet of each kind, signed with `secret`; `code` would be accepted from `user`, once.
pub fn corpus(secret: &str, user: &str, code: &str) -> Vec<Valid> {
    let secret = SharedSecret::new(secret.as_bytes());
    let mut packets = Vec::new();
    let mut add =
        |what, build: &dyn Fn(RequestBuilder<'_>) -> Result<RequestBuilder<'_>, krad::EncodeError>| {
            let identifier = Identifier(u8::try_from(packets.len()).unwrap());
            let authenticator = RequestAuthenticator::random(&mut rand::rng());
            let request = RequestBuilder::access_request(identifier, authenticator, &secret);
            let octets = build(request).unwrap().build().unwrap().octets().to_vec();
            packets.push(Valid { what, octets });
        };
    add("PAP", &|request| pap(request, user, code));
    add("PAP without Message-Authenticator", &|request| {
        Ok(pap(request, user, code)?.dangerous_omit_message_authenticator())
    });
    add("a long password", &|request| {
        request.user_name(user.as_bytes())?.user_password(&[b'x'; 128])
    });
    add("through proxies", &|request| {
        (0..3_u8).try_fold(pap(request, user, code)?, |request, hop| {
            request.with(AttributeType::PROXY_STATE, &[hop; 9])
        })
    });
    add("an answer to a challenge", &|request| {
        pap(request, user, code)?.with(AttributeType::STATE, &[0x5a; 80])
    });
    add("CHAP", &|request| {
        request
            .user_name(user.as_bytes())?
            .with(AttributeType::CHAP_PASSWORD, &[7; 17])?
            .with(AttributeType::CHAP_CHALLENGE, &[8; 16])
    });
    add("EAP identity", &|request| {
        request
            .user_name(user.as_bytes())?
            .with(AttributeType::EAP_MESSAGE, b"\x02\x01\x00\x0b\x01user0")
    });
    add("vendor attributes", &|request| {
        pap(request, user, code)?
            .with(AttributeType::VENDOR_SPECIFIC, b"\x00\x00\x00\x09\x01\x08shell:")?
            .with(
                AttributeType::VENDOR_SPECIFIC,
                b"\x00\x00\x01\x37\x0b\x06\x00\x00\x00\x01",
            )
    });
    add("a NAS with much to say", &|request| {
        pap(request, user, code)?
            .with(AttributeType::NAS_IDENTIFIER, b"nas.example.com")?
            .with(AttributeType::SERVICE_TYPE, &8_u32.to_be_bytes())?
            .with(AttributeType(4), &[192, 0, 2, 1])?
            .with(AttributeType(5), &[0, 0, 0, 9])?
            .with(AttributeType(31), b"00-11-22-33-44-55")?
            .with(AttributeType(61), &19_u32.to_be_bytes())
    });
    add("4096 octets", &|request| {
        (0..15).try_fold(pap(request, user, code)?, |request, _| {
            request.with(AttributeType::PROXY_STATE, &[0xee; 253])
        })
    });
    let status = RequestBuilder::status_server(
        Identifier(200),
        RequestAuthenticator::random(&mut rand::rng()),
        &secret,
    );
    packets.push(Valid {
        what: "Status-Server",
        octets: status.build().unwrap().octets().to_vec(),
    });
    // Codes that no client should send here (RFC 2865 §4, RFC 2866 §4.1, RFC 5176 §2.3).
    for (what, code) in [
        ("Access-Accept", 2),
        ("Accounting-Request", 4),
        ("Access-Challenge", 11),
        ("CoA-Request", 43),
    ] {
        let mut octets = packets.first().unwrap().octets.clone();
        octets[0] = code;
        packets.push(Valid { what, octets });
    }
    packets
}

/// Everything of one kind that can be wrong with a packet of `length` octets: octet for octet another value, an octet
/// too many or too few, an end too early with and without a header that says so, an attribute that is gone, there
/// twice or in another place.
#[derive(Clone, Copy, Debug)]
enum Mutation {
    Substitute { at: usize, value: u8 },
    Repeat { at: usize },
    Remove { at: usize },
    Truncate { length: usize },
    Shorten { length: usize },
    Lengthen { by: usize },
    DropAttribute { number: usize },
    RepeatAttribute { number: usize },
    SwapAttributes { number: usize },
}

impl Mutation {
    /// How many there are of a packet.
    fn count(packet: &[u8]) -> usize {
        packet.len() * (256 + 5) + attributes(packet).len() * 3
    }

    fn nth(packet: &[u8], number: usize) -> Self {
        let (length, attributes) = (packet.len(), attributes(packet).len());
        let (kind, at) = (number / length, number % length);
        match kind {
            0..256 => Self::Substitute {
                at,
                value: u8::try_from(kind).unwrap(),
            },
            256 => Self::Repeat { at },
            257 => Self::Remove { at },
            258 => Self::Truncate { length: at },
            259 => Self::Shorten { length: at },
            260 => Self::Lengthen { by: at + 1 },
            _ => {
                let number = number - length * 261;
                match (number / attributes, number % attributes) {
                    (0, number) => Self::DropAttribute { number },
                    (1, number) => Self::RepeatAttribute { number },
                    (_, number) => Self::SwapAttributes { number },
                }
            }
        }
    }

    fn apply(self, packet: &mut Vec<u8>) {
        match self {
            Self::Substitute { at, value } => packet[at] = value,
            Self::Repeat { at } => packet.insert(at, packet[at]),
            Self::Remove { at } => drop(packet.remove(at)),
            Self::Truncate { length } => packet.truncate(length),
            Self::Shorten { length } => {
                packet.truncate(length);
                write_length(packet);
            }
            Self::Lengthen { by } => packet.resize((packet.len() + by).min(5000), 0x1a),
            Self::DropAttribute { number } => {
                packet.drain(attributes(packet)[number].clone());
                write_length(packet);
            }
            Self::RepeatAttribute { number } => {
                let again = packet[attributes(packet)[number].clone()].to_vec();
                packet.extend(again);
                write_length(packet);
            }
            Self::SwapAttributes { number } => {
                let attribute = attributes(packet)[number].clone();
                packet[HEADER..attribute.end].rotate_right(attribute.len());
            }
        }
    }
}

/// Where the attributes of a packet stand, as far as they can be told apart.
fn attributes(packet: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = HEADER;
    while let Some(length @ 2..) = packet.get(start + 1).copied().map(usize::from) {
        if start + length > packet.len() {
            break;
        }
        found.push(start..start + length);
        start += length;
    }
    found
}

/// Lets the header tell the length of the packet.
fn write_length(packet: &mut [u8]) {
    let length = u16::try_from(packet.len()).unwrap_or(u16::MAX);
    if let Some(field) = packet.get_mut(2..4) {
        field.copy_from_slice(&length.to_be_bytes());
    }
}

/// Signs what a client that has the secret would sign, if there is a place for it.
fn sign(packet: &mut [u8], secret: &[u8]) {
    let place = attributes(packet)
        .into_iter()
        .find(|range| packet[range.start] == MESSAGE_AUTHENTICATOR && range.len() == SIGNATURE + 2);
    if let Some(range) = place {
        packet[range.start + 2..range.end].fill(0);
        let mut mac = Hmac::<Md5>::new_from_slice(secret).unwrap();
        mac.update(packet);
        let signature = mac.finalize().into_bytes();
        packet[range.start + 2..range.end].copy_from_slice(&signature);
    }
}

/// Malformed packets in order: each mutation of each valid packet, once as it is and once signed anew, and when there
/// are no more, two to four mutations of one packet, by lot.
pub struct Malformed {
    valid: Vec<Valid>,
    secret: Vec<u8>,
    lots: StdRng,
}

impl Malformed {
    pub fn new(secret: &str, user: &str, code: &str, seed: u64) -> Self {
        Self {
            valid: corpus(secret, user, code),
            secret: secret.as_bytes().to_vec(),
            lots: StdRng::seed_from_u64(seed),
        }
    }

    /// How many differ from a valid packet in one thing.
    pub fn singles(&self) -> usize {
        self.valid
            .iter()
            .map(|valid| Mutation::count(&valid.octets) * 2)
            .sum()
    }

    /// The packet of this number, and what it was made of.
    pub fn nth(&mut self, number: usize) -> (&'static str, Vec<u8>) {
        let mut left = number;
        for valid in &self.valid {
            let count = Mutation::count(&valid.octets);
            if left < count * 2 {
                let mut packet = valid.octets.clone();
                Mutation::nth(&packet, left / 2).apply(&mut packet);
                if left % 2 == 1 {
                    sign(&mut packet, &self.secret);
                }
                return (valid.what, packet);
            }
            left -= count * 2;
        }
        let valid = &self.valid[self.lots.random_range(0..self.valid.len())];
        let mut packet = valid.octets.clone();
        for _ in 0..self.lots.random_range(2..=4) {
            if packet.len() > HEADER {
                let lot = self.lots.random_range(0..Mutation::count(&packet));
                Mutation::nth(&packet, lot).apply(&mut packet);
            }
        }
        if self.lots.next_u32() & 1 == 1 {
            sign(&mut packet, &self.secret);
        }
        (valid.what, packet)
    }
}

/// Whether a stream can go on after it: the header tells the length that it has.
pub fn is_framed(packet: &[u8]) -> bool {
    (HEADER..=4096).contains(&packet.len())
        && usize::from(u16::from_be_bytes([packet[2], packet[3]])) == packet.len()
}

#[test]
fn each_mutation_is_applied_and_signed_ones_verify() {
    let mut malformed = Malformed::new("a secret", "alice", "755224", 1);
    let (mut framed, mut authentic) = (0, 0);
    let singles = malformed.singles();
    for number in (0..singles).step_by(211) {
        let (what, packet) = malformed.nth(number);
        framed += usize::from(is_framed(&packet));
        let rule = krad::MessageAuthenticatorRule::Required;
        authentic += usize::from(krad::Packet::decode(&packet).is_ok_and(|decoded| {
            decoded
                .authenticate(&SharedSecret::new(b"a secret"), rule)
                .is_ok()
        }));
        assert!(packet.len() <= 5000, "{what}");
    }
    let tried = singles.div_ceil(211);
    assert!(framed * 10 > tried * 9, "{framed} of {tried} are framed");
    assert!(
        authentic * 10 > tried && authentic * 2 < tried,
        "{authentic} of {tried} are authentic"
    );
}
