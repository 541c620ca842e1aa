//! Attributes: Type, Length, Value (RFC 2865 §5).

use std::fmt;

use nom::{IResult, Parser, combinator::map_opt, multi::length_data, number::complete::be_u8};

use crate::{DecodeError, EncodeError, LengthPolicy, MAX_PACKET_LENGTH, MIN_PACKET_LENGTH, code::code_space};

/// What an attribute means (RFC 2865 §5). Any octet is a value; the named ones are registered.
///
/// ```
/// # use krad::AttributeType;
/// assert_eq!(AttributeType::from_name("User-Name"), Some(AttributeType::USER_NAME));
/// assert_eq!(AttributeType(200).to_string(), "Attribute 200");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttributeType(pub u8);

code_space!(AttributeType, "Attribute" {
    USER_NAME = 1, "User-Name", "RFC 2865 §5.1";
    USER_PASSWORD = 2, "User-Password", "RFC 2865 §5.2";
    CHAP_PASSWORD = 3, "CHAP-Password", "RFC 2865 §5.3";
    NAS_IP_ADDRESS = 4, "NAS-IP-Address", "RFC 2865 §5.4";
    NAS_PORT = 5, "NAS-Port", "RFC 2865 §5.5";
    SERVICE_TYPE = 6, "Service-Type", "RFC 2865 §5.6";
    FRAMED_PROTOCOL = 7, "Framed-Protocol", "RFC 2865 §5.7";
    FRAMED_IP_ADDRESS = 8, "Framed-IP-Address", "RFC 2865 §5.8";
    FRAMED_IP_NETMASK = 9, "Framed-IP-Netmask", "RFC 2865 §5.9";
    FRAMED_ROUTING = 10, "Framed-Routing", "RFC 2865 §5.10";
    FILTER_ID = 11, "Filter-Id", "RFC 2865 §5.11";
    FRAMED_MTU = 12, "Framed-MTU", "RFC 2865 §5.12";
    FRAMED_COMPRESSION = 13, "Framed-Compression", "RFC 2865 §5.13";
    LOGIN_IP_HOST = 14, "Login-IP-Host", "RFC 2865 §5.14";
    LOGIN_SERVICE = 15, "Login-Service", "RFC 2865 §5.15";
    LOGIN_TCP_PORT = 16, "Login-TCP-Port", "RFC 2865 §5.16";
    REPLY_MESSAGE = 18, "Reply-Message", "RFC 2865 §5.18";
    CALLBACK_NUMBER = 19, "Callback-Number", "RFC 2865 §5.19";
    CALLBACK_ID = 20, "Callback-Id", "RFC 2865 §5.20";
    FRAMED_ROUTE = 22, "Framed-Route", "RFC 2865 §5.22";
    FRAMED_IPX_NETWORK = 23, "Framed-IPX-Network", "RFC 2865 §5.23";
    STATE = 24, "State", "RFC 2865 §5.24";
    CLASS = 25, "Class", "RFC 2865 §5.25";
    VENDOR_SPECIFIC = 26, "Vendor-Specific", "RFC 2865 §5.26";
    SESSION_TIMEOUT = 27, "Session-Timeout", "RFC 2865 §5.27";
    IDLE_TIMEOUT = 28, "Idle-Timeout", "RFC 2865 §5.28";
    TERMINATION_ACTION = 29, "Termination-Action", "RFC 2865 §5.29";
    CALLED_STATION_ID = 30, "Called-Station-Id", "RFC 2865 §5.30";
    CALLING_STATION_ID = 31, "Calling-Station-Id", "RFC 2865 §5.31";
    NAS_IDENTIFIER = 32, "NAS-Identifier", "RFC 2865 §5.32";
    PROXY_STATE = 33, "Proxy-State", "RFC 2865 §5.33";
    LOGIN_LAT_SERVICE = 34, "Login-LAT-Service", "RFC 2865 §5.34";
    LOGIN_LAT_NODE = 35, "Login-LAT-Node", "RFC 2865 §5.35";
    LOGIN_LAT_GROUP = 36, "Login-LAT-Group", "RFC 2865 §5.36";
    FRAMED_APPLETALK_LINK = 37, "Framed-AppleTalk-Link", "RFC 2865 §5.37";
    FRAMED_APPLETALK_NETWORK = 38, "Framed-AppleTalk-Network", "RFC 2865 §5.38";
    FRAMED_APPLETALK_ZONE = 39, "Framed-AppleTalk-Zone", "RFC 2865 §5.39";
    EVENT_TIMESTAMP = 55, "Event-Timestamp", "RFC 2869 §5.3";
    CHAP_CHALLENGE = 60, "CHAP-Challenge", "RFC 2865 §5.40";
    NAS_PORT_TYPE = 61, "NAS-Port-Type", "RFC 2865 §5.41";
    PORT_LIMIT = 62, "Port-Limit", "RFC 2865 §5.42";
    LOGIN_LAT_PORT = 63, "Login-LAT-Port", "RFC 2865 §5.43";
    TUNNEL_TYPE = 64, "Tunnel-Type", "RFC 2868 §3.1";
    TUNNEL_MEDIUM_TYPE = 65, "Tunnel-Medium-Type", "RFC 2868 §3.2";
    PROMPT = 76, "Prompt", "RFC 2869 §5.10";
    CONNECT_INFO = 77, "Connect-Info", "RFC 2869 §5.11";
    EAP_MESSAGE = 79, "EAP-Message", "RFC 3579 §3.1";
    MESSAGE_AUTHENTICATOR = 80, "Message-Authenticator", "RFC 3579 §3.2";
    TUNNEL_PRIVATE_GROUP_ID = 81, "Tunnel-Private-Group-ID", "RFC 2868 §3.6";
    NAS_PORT_ID = 87, "NAS-Port-Id", "RFC 2869 §5.17";
    FRAMED_POOL = 88, "Framed-Pool", "RFC 2869 §5.18";
    CHARGEABLE_USER_IDENTITY = 89, "Chargeable-User-Identity", "RFC 4372";
    NAS_IPV6_ADDRESS = 95, "NAS-IPv6-Address", "RFC 3162 §2.1";
    ERROR_CAUSE = 101, "Error-Cause", "RFC 5176 §3.5";
    OPERATOR_NAME = 126, "Operator-Name", "RFC 5580 §4.1";
});

/// One attribute of a packet, borrowed from its octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attribute<'a> {
    /// Type.
    pub kind: AttributeType,
    /// Value: 0 to 253 octets. The Length octet is not part of it.
    pub value: &'a [u8],
}

/// Shows the type and the length only: a value can be a password or name a person.
impl fmt::Debug for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} octets)", self.kind, self.value.len())
    }
}

/// The attributes of a decoded packet, in the order of the wire, repetitions kept.
#[derive(Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Whole, well-formed attributes: only [`Attributes::decode`] and the encoder make them.
    octets: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Checks that `octets` are whole attributes, each of a length that `policy` permits. What the policy ignores
    /// at the end is not part of the result.
    pub(crate) fn decode(octets: &'a [u8], policy: LengthPolicy) -> Result<Self, DecodeError> {
        let mut rest = octets;
        while rest.len() > policy.ignored_at_end() {
            let offset = MIN_PACKET_LENGTH.saturating_add(octets.len().saturating_sub(rest.len()));
            let (next, Attribute { kind, value }) =
                attribute(rest).map_err(|_| DecodeError::Attribute(offset))?;
            if !policy.permits(kind, value.len()) {
                return Err(DecodeError::AttributeLength {
                    kind,
                    length: value.len(),
                });
            }
            rest = next;
        }
        let length = octets.len().saturating_sub(rest.len());
        let octets = octets.get(..length).unwrap_or_default();
        Ok(Self { octets })
    }

    /// The attributes of octets that [`Attributes::decode`] returned before.
    pub(crate) const fn of_decoded(octets: &'a [u8]) -> Self {
        Self { octets }
    }

    /// The octets of the attributes.
    pub(crate) const fn octets(&self) -> &'a [u8] {
        self.octets
    }

    /// Iterates over all attributes in the order of the wire.
    #[must_use]
    pub const fn iter(&self) -> AttributesIter<'a> {
        AttributesIter { rest: self.octets }
    }

    /// The value of the first attribute of this type.
    #[must_use]
    pub fn first(&self, kind: AttributeType) -> Option<&'a [u8]> {
        self.all(kind).next()
    }

    /// The values of all attributes of this type, in order.
    pub fn all(&self, kind: AttributeType) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.iter()
            .filter(move |attribute| attribute.kind == kind)
            .map(|attribute| attribute.value)
    }
}

impl fmt::Debug for Attributes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for AttributesIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl<'a> IntoIterator for Attributes<'a> {
    type Item = Attribute<'a>;
    type IntoIter = AttributesIter<'a>;

    fn into_iter(self) -> AttributesIter<'a> {
        self.iter()
    }
}

/// Iterator over [`Attributes`].
#[derive(Clone)]
pub struct AttributesIter<'a> {
    rest: &'a [u8],
}

impl<'a> AttributesIter<'a> {
    /// The octets that follow the attribute that was returned last.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for AttributesIter<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (rest, attribute) = attribute(self.rest).ok()?;
        self.rest = rest;
        Some(attribute)
    }
}

/// One attribute (RFC 2865 §5): Type, Length (its own two octets included), Value.
fn attribute(input: &[u8]) -> IResult<&[u8], Attribute<'_>> {
    let (input, kind) = be_u8.map(AttributeType).parse(input)?;
    let (input, value) = length_data(map_opt(be_u8, |length| length.checked_sub(2))).parse(input)?;
    Ok((input, Attribute { kind, value }))
}

/// Encoded attributes of a packet in the making.
#[derive(Clone, Default)]
pub(crate) struct AttributeBuffer {
    octets: zeroize::Zeroizing<Vec<u8>>,
}

impl AttributeBuffer {
    /// Appends one attribute of the application's.
    ///
    /// An empty value is refused: "text of length zero MUST NOT be sent; omit the entire attribute" (RFC 2865
    /// §5).
    pub(crate) fn push(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), EncodeError> {
        if value.is_empty() {
            return Err(EncodeError::ValueLength { kind, length: 0 });
        }
        self.echo(kind, value)
    }

    /// Appends one attribute of a peer's, which can be empty.
    pub(crate) fn echo(&mut self, kind: AttributeType, value: &[u8]) -> Result<(), EncodeError> {
        let length = u8::try_from(value.len())
            .ok()
            .and_then(|length| length.checked_add(2));
        let length = length.ok_or(EncodeError::ValueLength {
            kind,
            length: value.len(),
        })?;
        let total = self
            .octets
            .len()
            .saturating_add(usize::from(length))
            .saturating_add(MIN_PACKET_LENGTH);
        if total > MAX_PACKET_LENGTH {
            return Err(EncodeError::PacketLength(total));
        }
        self.octets.extend_from_slice(&[kind.0, length]);
        self.octets.extend_from_slice(value);
        Ok(())
    }

    /// The attributes appended so far.
    pub(crate) fn attributes(&self) -> Attributes<'_> {
        Attributes { octets: &self.octets }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        &self.octets
    }
}
