//! What replies carry.

use krad::AttributeType;
use krad_tokio::{AccessRequest, Answer};
use otp_store::UpstreamAnswer;
use otp_validation::ReplyAttributes;

use crate::upstream::{Told, fits};

/// An answer that an upstream has decided: with what passes of its attributes, and in an Access-Accept with those of the user and
/// the client here, which take the place of the upstream's as a user's take the place of a client's. `None` if that does not fit.
pub(crate) fn forwarded(
    request: &AccessRequest,
    clients: Option<&ReplyAttributes>,
    users: &ReplyAttributes,
    told: &Told,
) -> Option<Answer> {
    let (is_accept, answer) = match told.answer {
        UpstreamAnswer::Accept => (true, Answer::accept()),
        // A proxy holds nothing back: who has decided has done so.
        UpstreamAnswer::Reject => (false, Answer::reject()),
        UpstreamAnswer::Challenge => (false, Answer::bare_challenge()),
    };
    let Some(clients) = clients.filter(|_| !request.as_request().is_of_kdc()) else {
        return Some(answer);
    };
    let own: Vec<_> = if is_accept {
        users.and_client(clients).collect()
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

/// An Access-Accept with the attributes of the user and then of the client, but for a KDC.
///
/// libkrad discards a reply that has an attribute which it does not know, so to a KDC nothing is added: not at its socket,
/// where `clients` is `None`, nor to what it asks over a network. Users keep their attributes for other clients.
pub(crate) fn accept(
    request: &AccessRequest,
    clients: Option<&ReplyAttributes>,
    users: &ReplyAttributes,
) -> Answer {
    let answer = Answer::accept();
    let Some(clients) = clients else {
        return answer;
    };
    if (users.is_empty() && clients.is_empty()) || request.as_request().is_of_kdc() {
        return answer;
    }
    users.and_client(clients).fold(answer, |answer, attribute| {
        answer.with(AttributeType(attribute.kind), attribute.value.as_slice())
    })
}
