//! What replies carry.

use krad::{Attribute, AttributeType, VendorId};
use krad_tokio::{AccessRequest, Answer};
use otp_store::UpstreamAnswer;
use otp_validation::{
    Login, ReplyAttribute, ReplyAttributes, ReplyRules, RequestAttribute, UserName, VendorAttribute,
};

use crate::upstream::Told;

/// Whose attributes an Access-Accept carries ([`ReplyRules::sent`]).
#[derive(Clone, Copy)]
pub(crate) struct Sources<'a> {
    /// What the user has.
    pub(crate) users: &'a ReplyAttributes,
    /// The stored name of the user; `None` for one whom others know.
    pub(crate) user: Option<&'a UserName>,
    /// The rules that hold.
    pub(crate) rules: &'a ReplyRules,
    /// What the client has; `None` at the KDC's socket.
    pub(crate) clients: Option<&'a ReplyAttributes>,
    /// Name of the client.
    pub(crate) client: &'a str,
}

impl<'a> Sources<'a> {
    /// The same, with what a user has. `user` is the stored name; `None` for one whom others know.
    pub(crate) fn with_user(self, users: &'a ReplyAttributes, user: Option<&'a UserName>) -> Self {
        Self { users, user, ..self }
    }

    /// The client's own; `None` if nothing may be added to the answer to `request`, because it is a KDC's.
    ///
    /// libkrad discards a reply that has an attribute which it does not know, so to a KDC nothing is added: not at its socket, nor
    /// to what it asks over a network. Users keep their attributes for other clients.
    fn unless_of_kdc(&self, request: &AccessRequest) -> Option<&'a ReplyAttributes> {
        self.clients.filter(|_| !request.as_request().is_of_kdc())
    }

    /// What is added to an Access-Accept, with what is the client's.
    fn attributes(&self, request: &AccessRequest, clients: &'a ReplyAttributes) -> Vec<&'a ReplyAttribute> {
        let all = self.rules.sent(&self.login(request), self.users, clients);
        all.into_iter().map(|(_, attribute)| attribute).collect()
    }

    /// What rules look at.
    fn login<'r>(&self, request: &'r AccessRequest) -> Login<'r>
    where
        'a: 'r,
    {
        let attributes = request.as_request().attributes().iter().flat_map(|attribute| {
            attribute.values().map(move |(vendor, value)| RequestAttribute {
                kind: attribute.kind.0,
                vendor: vendor.map(|(vendor, kind)| VendorAttribute {
                    vendor: vendor.0,
                    kind,
                }),
                value,
            })
        });
        Login {
            client: self.client,
            name: UserName::parse(request.user_name().unwrap_or_default()).ok(),
            user: self.user,
            attributes: attributes.collect(),
        }
    }
}

/// An answer that an upstream has decided: with what passes of its attributes, and in an Access-Accept with those from here, which
/// take the place of the upstream's as a user's take the place of a client's.
pub(crate) fn forwarded(request: &AccessRequest, sources: Sources<'_>, told: &Told) -> Answer {
    let (is_accept, answer) = match told.answer {
        UpstreamAnswer::Accept => (true, Answer::accept()),
        // A proxy holds nothing back: who has decided has done so.
        UpstreamAnswer::Reject => (false, Answer::reject()),
        UpstreamAnswer::Challenge => (false, Answer::bare_challenge()),
    };
    let Some(clients) = sources.unless_of_kdc(request) else {
        return answer;
    };
    let own = if is_accept {
        sources.attributes(request, clients)
    } else {
        Vec::new()
    };
    let upstreams = told
        .attributes
        .iter()
        .filter(|(kind, value)| !own.iter().any(|own| takes_place(own, *kind, value)));
    let answer = upstreams.fold(answer, |answer, (kind, value)| {
        answer.with(*kind, value.as_slice())
    });
    with_all(answer, own)
}

/// Whether an attribute from here takes the place of an upstream's: they have the same type, or a vendor's type in common.
fn takes_place(own: &ReplyAttribute, kind: AttributeType, value: &[u8]) -> bool {
    own.overrides
        && types(AttributeType(own.kind), &own.value).any(|own| types(kind, value).any(|other| other == own))
}

/// The type of an attribute; of Vendor-Specific those in it, as far as they can be told.
fn types(
    kind: AttributeType,
    value: &[u8],
) -> impl Iterator<Item = (AttributeType, Option<(VendorId, u32)>)> {
    let values = Attribute { kind, value }.values();
    let types = values.map(move |(vendor, _)| (kind, vendor));
    types.filter(|(kind, vendor)| *kind != AttributeType::VENDOR_SPECIFIC || vendor.is_some())
}

/// An Access-Accept with the attributes from all sources.
pub(crate) fn accept(request: &AccessRequest, sources: Sources<'_>) -> Answer {
    let answer = Answer::accept();
    let is_bare = sources.users.is_empty()
        && sources.rules.is_empty()
        && sources.clients.is_none_or(ReplyAttributes::is_empty);
    if is_bare {
        return answer;
    }
    let Some(clients) = sources.unless_of_kdc(request) else {
        return answer;
    };
    with_all(answer, sources.attributes(request, clients))
}

fn with_all(answer: Answer, attributes: Vec<&ReplyAttribute>) -> Answer {
    attributes.into_iter().fold(answer, |answer, attribute| {
        answer.with(AttributeType(attribute.kind), attribute.value.as_slice())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_here_takes_the_place_of_what_an_upstream_says_of_the_same() {
        const SESSION_TIMEOUT: u8 = 27;
        const VENDOR_SPECIFIC: u8 = 26;
        let cisco: &[u8] = &[0, 0, 0, 9, 1, 3, b'a'];
        let packed: &[u8] = &[0, 0, 0, 9, 2, 3, b'x', 1, 3, b'b'];
        let other_type: &[u8] = &[0, 0, 0, 9, 2, 3, b'a'];
        let other_vendor: &[u8] = &[0, 0, 0x3a, 0x8c, 1, 3, b'a'];
        let opaque: &[u8] = &[0, 0, 0, 9, 1, 9, b'a'];
        for (own, upstreams, expected) in [
            (
                (SESSION_TIMEOUT, &[0, 0, 0, 1][..]),
                (SESSION_TIMEOUT, &[0, 0, 0, 2][..]),
                true,
            ),
            ((SESSION_TIMEOUT, &[0, 0, 0, 1]), (28, &[0, 0, 0, 1]), false),
            ((VENDOR_SPECIFIC, cisco), (VENDOR_SPECIFIC, cisco), true),
            ((VENDOR_SPECIFIC, cisco), (VENDOR_SPECIFIC, packed), true),
            ((VENDOR_SPECIFIC, cisco), (VENDOR_SPECIFIC, other_type), false),
            ((VENDOR_SPECIFIC, cisco), (VENDOR_SPECIFIC, other_vendor), false),
            ((VENDOR_SPECIFIC, opaque), (VENDOR_SPECIFIC, opaque), false),
        ] {
            for overrides in [true, false] {
                let own = ReplyAttribute {
                    name: String::new(),
                    text: String::new(),
                    kind: own.0,
                    value: own.1.to_vec(),
                    overrides,
                };
                let takes_place = takes_place(&own, AttributeType(upstreams.0), upstreams.1);
                assert_eq!(
                    takes_place,
                    expected && overrides,
                    "{:?} {upstreams:?}",
                    own.value
                );
            }
        }
    }
}
