//! Message-Authenticator (RFC 3579 §3.2), in both directions.

use hmac::{Hmac, Mac};
use md5::Md5;

use crate::{
    Attribute, AttributeType, Packet, RequestAuthenticator, SharedSecret, VerifyError, packet::Header,
};

/// Whether a packet without Message-Authenticator is authentic. One that is present is verified under every
/// rule.
///
/// Without it, anyone on the path between client and server can turn an Access-Reject into an Access-Accept
/// (CVE-2024-3596), whatever the shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum MessageAuthenticatorRule {
    /// Discard a packet without it.
    #[default]
    Required,
    /// Take a packet without it, as clients older than 2024 send. On a network this is for a transition.
    IfPresent {
        /// Discard a packet that carries Proxy-State but no Message-Authenticator. A client that is no proxy
        /// never sends Proxy-State, and the known attack needs it in the request and in the reply.
        limit_proxy_state: bool,
    },
}

/// `HMAC-MD5(Code, Identifier, Length, Request Authenticator, Attributes)` with the value itself taken as
/// zero.
pub(crate) fn message_authenticator(
    header: Header,
    length: u16,
    request_authenticator: &RequestAuthenticator,
    attributes: &[&[u8]],
    secret: &SharedSecret,
) -> [u8; 16] {
    keyed_over(header, length, request_authenticator, attributes, secret)
        .finalize()
        .into_bytes()
        .into()
}

/// Applies `rule` to a packet and verifies its Message-Authenticator; returns whether there was one.
pub(crate) fn verify_message_authenticator(
    packet: &Packet<'_>,
    request_authenticator: &RequestAuthenticator,
    rule: MessageAuthenticatorRule,
    secret: &SharedSecret,
) -> Result<bool, VerifyError> {
    let Some(found) = Found::search(packet)? else {
        return permit_absence(packet, rule).map(|()| false);
    };
    let length = u16::try_from(packet.octets().len()).map_err(|_| VerifyError::WrongMessageAuthenticator)?;
    keyed_over(
        packet.header(),
        length,
        request_authenticator,
        &[found.before, &[0; 16], found.after],
        secret,
    )
    .verify_slice(found.value)
    .map_err(|_| VerifyError::WrongMessageAuthenticator)?;
    Ok(true)
}

/// Whether the packet, which has no Message-Authenticator, may do without.
fn permit_absence(packet: &Packet<'_>, rule: MessageAuthenticatorRule) -> Result<(), VerifyError> {
    let carries = |kind| packet.attributes().first(kind).is_some();
    match rule {
        MessageAuthenticatorRule::Required => Err(VerifyError::MissingMessageAuthenticator),
        _ if carries(AttributeType::EAP_MESSAGE) => Err(VerifyError::EapMessageWithoutMessageAuthenticator),
        MessageAuthenticatorRule::IfPresent {
            limit_proxy_state: true,
        } if carries(AttributeType::PROXY_STATE) => Err(VerifyError::ProxyStateWithoutMessageAuthenticator),
        MessageAuthenticatorRule::IfPresent { .. } => Ok(()),
    }
}

/// The one Message-Authenticator of a packet, wherever it stands, and what surrounds its value.
struct Found<'a> {
    before: &'a [u8],
    value: &'a [u8; 16],
    after: &'a [u8],
}

impl<'a> Found<'a> {
    fn search(packet: &Packet<'a>) -> Result<Option<Self>, VerifyError> {
        let mut found = None;
        let all = packet.attributes().iter();
        let mut attributes = all.clone();
        while let Some(Attribute { kind, value }) = attributes.next() {
            if kind != AttributeType::MESSAGE_AUTHENTICATOR {
                continue;
            }
            if found.is_some() {
                return Err(VerifyError::DuplicateMessageAuthenticator);
            }
            let value = value
                .try_into()
                .map_err(|_| VerifyError::MessageAuthenticatorLength(value.len()))?;
            let covered = packet.after_header();
            let end = all.rest().len().saturating_sub(attributes.rest().len());
            let before = covered.get(..end.saturating_sub(16)).unwrap_or_default();
            let after = covered.get(end..).unwrap_or_default();
            found = Some(Self { before, value, after });
        }
        Ok(found)
    }
}

fn keyed_over(
    header: Header,
    length: u16,
    request_authenticator: &RequestAuthenticator,
    attributes: &[&[u8]],
    secret: &SharedSecret,
) -> Hmac<Md5> {
    let mut hmac = secret.hmac();
    hmac.update(&header.to_octets(length, request_authenticator));
    attributes.iter().for_each(|piece| hmac.update(piece));
    hmac
}
