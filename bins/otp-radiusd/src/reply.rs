//! What replies carry.

use krad::AttributeType;
use krad_tokio::{AccessRequest, Answer};
use otp_store::UpstreamAnswer;
use otp_validation::{
    Login, ReplyAttribute, ReplyAttributes, ReplyRules, RequestAttribute, UserName, VendorAttribute, merged,
};

use crate::upstream::{Told, fits};

/// Whose attributes an Access-Accept carries. Those of the user come first, then those of the rules that are about the login, in
/// their order, then those of the client; an earlier one takes the place of a later one of its name.
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
    /// The client's own, if anything may be added to the answer to `request`; `None` if it is a KDC's.
    ///
    /// libkrad discards a reply that has an attribute which it does not know, so to a KDC nothing is added: not at its socket, nor
    /// to what it asks over a network. Users keep their attributes for other clients.
    fn of_client(&self, request: &AccessRequest) -> Option<&'a ReplyAttributes> {
        self.clients.filter(|_| !request.as_request().is_of_kdc())
    }

    /// What is added to an Access-Accept, with what is the client's.
    fn attributes(&self, request: &AccessRequest, clients: &'a ReplyAttributes) -> Vec<&'a ReplyAttribute> {
        let rules = if self.rules.is_empty() {
            Vec::new()
        } else {
            self.rules.about(&self.login(request))
        };
        let sources = [self.users]
            .into_iter()
            .chain(rules.into_iter().map(|rule| &rule.reply))
            .chain([clients]);
        let all = merged(sources.map(|source| ((), source)));
        all.into_iter().map(|((), attribute)| attribute).collect()
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
/// take the place of the upstream's as a user's take the place of a client's. `None` if that does not fit.
pub(crate) fn forwarded(request: &AccessRequest, sources: Sources<'_>, told: &Told) -> Option<Answer> {
    let (is_accept, answer) = match told.answer {
        UpstreamAnswer::Accept => (true, Answer::accept()),
        // A proxy holds nothing back: who has decided has done so.
        UpstreamAnswer::Reject => (false, Answer::reject()),
        UpstreamAnswer::Challenge => (false, Answer::bare_challenge()),
    };
    let Some(clients) = sources.of_client(request) else {
        return Some(answer);
    };
    let own = if is_accept {
        sources.attributes(request, clients)
    } else {
        Vec::new()
    };
    let upstreams = told.attributes.iter().filter(|(kind, _)| {
        !own.iter()
            .any(|own| own.overrides && own.kind == kind.0 && !is_vendors(*kind))
    });
    let all: Vec<(AttributeType, &[u8])> = upstreams
        .map(|(kind, value)| (*kind, value.as_slice()))
        .chain(
            own.iter()
                .map(|own| (AttributeType(own.kind), own.value.as_slice())),
        )
        .collect();
    fits(request, all.iter().map(|(_, value)| *value)).then(|| {
        all.into_iter()
            .fold(answer, |answer, (kind, value)| answer.with(kind, value))
    })
}

fn is_vendors(kind: AttributeType) -> bool {
    kind == AttributeType::VENDOR_SPECIFIC
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
    let Some(clients) = sources.of_client(request) else {
        return answer;
    };
    let attributes = sources.attributes(request, clients).into_iter();
    attributes.fold(answer, |answer, attribute| {
        answer.with(AttributeType(attribute.kind), attribute.value.as_slice())
    })
}
