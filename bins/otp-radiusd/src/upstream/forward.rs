//! One request on its way to an upstream and back.
//!
//! Everything in a request goes on, in its order, but what belongs to one hop: the password is hidden anew, the
//! Message-Authenticator made anew, and a Proxy-State of this server's is added, by which it knows a request that comes back to it.
//! Of a reply passes what the upstream's rule permits.

use krad::{AttributeType, Code, EncodeError, RequestTemplate, radius11::Version};
use krad_tokio::{
    AccessRequest, Peer,
    pool::{Answered, NoAnswerCause, Reply, Scheme},
};
use otp_store::UpstreamAnswer;
use otp_validation::{Client, Reason, Upstream};
use tokio::time::Instant;

use super::AtWork;

/// A request that is to go on.
#[derive(Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) request: &'a AccessRequest,
    pub(crate) client: &'a Client,
    /// By which this run of the program knows its own Proxy-State again.
    pub(crate) mark: &'a [u8; 16],
    /// When whoever waits has to have an answer.
    pub(crate) deadline: Instant,
}

/// What is to be answered, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) answer: UpstreamAnswer,
    pub(crate) reason: Reason,
    /// The server that has answered, or was asked last.
    pub(crate) server: Option<String>,
    /// What the reply carries, State among it.
    pub(crate) attributes: Vec<(AttributeType, Vec<u8>)>,
}

impl Told {
    /// A refusal of this server's own.
    pub(crate) const fn refusal(reason: Reason) -> Self {
        Self {
            answer: UpstreamAnswer::Reject,
            reason,
            server: None,
            attributes: Vec::new(),
        }
    }

    /// The least that an acceptance says.
    pub(crate) fn bare_acceptance() -> Self {
        Self {
            answer: UpstreamAnswer::Accept,
            ..Self::refusal(Reason::UpstreamAccepted)
        }
    }

    /// The same; a refusal instead of a yes or a question for which there is no room in the reply.
    pub(crate) fn if_usable(self, fits: impl FnOnce(&Self) -> bool) -> Self {
        if self.answer == UpstreamAnswer::Reject || fits(&self) {
            return self;
        }
        Self {
            server: self.server,
            ..Self::refusal(Reason::UpstreamUnusable)
        }
    }
}

impl AtWork {
    /// Lets the servers decide on a request, as `upstream` says.
    pub(crate) async fn forward(&self, arrived: Arrived<'_>, upstream: &Upstream) -> Told {
        let request = arrived.request.as_request();
        if request.proxy_states().any(|state| state == arrived.mark) {
            return Told::refusal(Reason::ForwardLoop);
        }
        let (only, state) = match request.state().map(|state| self.untagged(state)) {
            None => (None, None),
            Some(None) => return Told::refusal(Reason::NoSuchDialogue),
            Some(Some((server, state))) => (Some(server), Some(state)),
        };
        let Some(template) = compose(arrived, upstream, state) else {
            return Told::refusal(Reason::NotForwardable);
        };
        let is_protected = matches!(arrived.request.peer(), Peer::Tls { .. });
        let may_ask =
            |index| only.is_none_or(|only| only == index) && (!is_protected || self.protects(index));
        let servers = self.pool.choose(may_ask);
        if servers.is_empty() {
            return Told::refusal(Reason::NotForwardable);
        }
        match self.pool.request(template, servers, arrived.deadline).await {
            Ok(answered) => self.told(&answered, arrived.client),
            Err(no_answer) => Told {
                server: no_answer.server.and_then(|index| self.server(index)),
                ..Told::refusal(match no_answer.cause {
                    NoAnswerCause::Unreachable => Reason::UpstreamUnreachable,
                    _ => Reason::UpstreamSilent,
                })
            },
        }
    }

    /// Whether a request that came over TLS may go to this server.
    fn protects(&self, index: usize) -> bool {
        let server = self.material.servers().get(index);
        self.material.config.allow_insecure_hop
            || server.is_some_and(|server| server.scheme == Scheme::Tls || server.is_loopback())
    }

    fn server(&self, index: usize) -> Option<String> {
        self.material.servers().get(index).map(ToString::to_string)
    }

    /// Which server has asked by this State, and what its State was; `None` if it is none of them.
    fn untagged<'a>(&self, state: &'a [u8]) -> Option<(usize, &'a [u8])> {
        let (tag, state) = state.split_first()?;
        let server = self.tags.iter().position(|known| known == tag)?;
        Some((server, state))
    }

    fn told(&self, answered: &Answered, client: &Client) -> Told {
        if let Some(times) = self.times.get(answered.server) {
            times.record(u64::try_from(answered.elapsed.as_micros()).unwrap_or(u64::MAX));
        }
        let Answered { server, reply, .. } = answered;
        let (answer, reason) = match reply.code() {
            Code::ACCESS_ACCEPT => (UpstreamAnswer::Accept, Reason::UpstreamAccepted),
            Code::ACCESS_CHALLENGE if client.can_challenge => {
                (UpstreamAnswer::Challenge, Reason::UpstreamChallenged)
            }
            Code::ACCESS_CHALLENGE => (UpstreamAnswer::Reject, Reason::ChallengeImpossible),
            _ => (UpstreamAnswer::Reject, Reason::UpstreamRejected),
        };
        let mut attributes = match reason {
            Reason::ChallengeImpossible => Vec::new(),
            _ => self.permitted(reply),
        };
        let mut told = Told {
            answer,
            reason,
            server: self.server(*server),
            attributes: Vec::new(),
        };
        if answer == UpstreamAnswer::Challenge {
            let Some(state) = self.tagged(*server, reply) else {
                return Told {
                    server: told.server,
                    ..Told::refusal(Reason::UpstreamUnusable)
                };
            };
            attributes.push((AttributeType::STATE, state));
        }
        told.attributes = attributes;
        told
    }

    fn permitted(&self, reply: &Reply) -> Vec<(AttributeType, Vec<u8>)> {
        let permitted = reply.attributes().filter(|(kind, value)| {
            self.filter()
                .permits(reply.code(), krad::Attribute { kind: *kind, value })
        });
        permitted.map(|(kind, value)| (kind, value.to_vec())).collect()
    }

    /// The State of a question, with what leads its answer to the same server; `None` if both together do not fit.
    fn tagged(&self, server: usize, reply: &Reply) -> Option<Vec<u8>> {
        let tag = self.tags.get(server)?;
        let state = reply.first(AttributeType::STATE).unwrap_or_default();
        (state.len() < MAX_VALUE).then(|| [&[*tag], state].concat())
    }
}

/// The longest value of an attribute (RFC 2865 §5).
const MAX_VALUE: usize = 253;

/// The request as the upstream gets it; `state` is what its server has sent. `None` if it cannot be said to others.
fn compose(arrived: Arrived<'_>, upstream: &Upstream, state: Option<&[u8]>) -> Option<RequestTemplate> {
    let request = arrived.request.as_request();
    let password = request.user_password().ok()?;
    let mut template = RequestTemplate::access_request();
    let (mut has_chap, mut has_challenge) = (false, false);
    for attribute in request.attributes() {
        template = match attribute.kind {
            // It needs keys of the hop from there to here, hidden in the reply.
            AttributeType::EAP_MESSAGE => return None,
            AttributeType::MESSAGE_AUTHENTICATOR => Ok(template),
            AttributeType::USER_PASSWORD => match &password {
                Some(password) => template.user_password(password),
                None => Ok(template),
            },
            AttributeType::USER_NAME => match &upstream.user_name {
                Some(user_name) => template.user_name(user_name.as_str().as_bytes()),
                None => template.with(attribute.kind, attribute.value),
            },
            AttributeType::STATE => match state {
                Some(state) if !state.is_empty() => template.with(attribute.kind, state),
                _ => Ok(template),
            },
            // Of no meaning, and not to be sent (RFC 2865 §5).
            _ if attribute.value.is_empty() => Ok(template),
            kind => {
                has_chap |= kind == AttributeType::CHAP_PASSWORD;
                has_challenge |= kind == AttributeType::CHAP_CHALLENGE;
                template.with(kind, attribute.value)
            }
        }
        .ok()?;
    }
    if has_chap && !has_challenge {
        // What stood in for it is the authenticator of this hop (RFC 2865 §5.3); RADIUS/1.1 has none.
        if request.version() != Version::Historic {
            return None;
        }
        let challenge = request.authenticator();
        template = template
            .with(AttributeType::CHAP_CHALLENGE, challenge.as_bytes())
            .ok()?;
    }
    with_mark(template, arrived.mark).ok()
}

fn with_mark(template: RequestTemplate, mark: &[u8; 16]) -> Result<RequestTemplate, EncodeError> {
    template.with(AttributeType::PROXY_STATE, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_refused() {
        let told = |answer| Told {
            answer,
            server: Some("udp://192.0.2.1".to_owned()),
            attributes: vec![(AttributeType::CLASS, vec![1])],
            ..Told::bare_acceptance()
        };
        for answer in [UpstreamAnswer::Accept, UpstreamAnswer::Challenge] {
            let told = told(answer);
            assert_eq!(told.clone().if_usable(|_| true), told);
            let refused = told.if_usable(|told| told.attributes.is_empty());
            assert_eq!(
                (refused.answer, refused.reason, refused.attributes.len()),
                (UpstreamAnswer::Reject, Reason::UpstreamUnusable, 0)
            );
            assert_eq!(refused.server.as_deref(), Some("udp://192.0.2.1"));
        }
        let rejection = told(UpstreamAnswer::Reject);
        assert_eq!(rejection.clone().if_usable(|_| false), rejection);
    }
}
