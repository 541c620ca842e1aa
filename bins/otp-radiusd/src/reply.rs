//! What an Access-Accept carries.

use krad::AttributeType;
use krad_tokio::{AccessRequest, Answer};
use otp_validation::ReplyAttributes;

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
