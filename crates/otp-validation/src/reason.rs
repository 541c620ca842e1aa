//! Why a request was decided as it was: one list for logs, audit and `otpctl`, never for the wire.

use std::fmt;

/// Why a request was accepted or rejected.
///
/// [`Reason::code`] is stable and meant for logs, filters and scripts; [`Reason::explain`] is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The code was right and new, and so was everything else.
    Accepted,
    /// The very packet that was accepted a moment ago: same verdict, nothing spent.
    SamePacket,
    /// Another packet with the credential accepted a moment ago (a KDC or client that sent again): same verdict, nothing spent.
    Twin,
    /// The password was right, or there is none: the code is asked for.
    CodeAsked,
    /// The code is further ahead than a token's window: the one after it is asked for, to be sure.
    NextCodeAsked,
    /// The client that sent the request is disabled.
    ClientDisabled,
    /// The request has no User-Name, or one that cannot name a user.
    InvalidUserName,
    /// No such user.
    UnknownUser,
    /// The user is disabled.
    UserDisabled,
    /// The user's time has run out.
    UserExpired,
    /// Too many failures; the lock ends by itself.
    Locked,
    /// The request carries no User-Password (or one that cannot be decoded).
    NoCredential,
    /// The authentication method cannot be used here (EAP …).
    UnsupportedMethod,
    /// A password is part of the credential, and CHAP proves a code alone.
    ChapWithPassword,
    /// The State of the request is none that may be answered here and now: expired, answered before, another user's or client's.
    NoSuchDialogue,
    /// The login was refused in its first step already.
    RefusedBefore,
    /// The user has no enabled, proven token.
    NoActiveToken,
    /// There is no code in the credential, and the client has answered no question that it was asked.
    NeverAnswers,
    /// The credential does not contain a code of any of the user's tokens.
    NotACode,
    /// The code is none of those that could be right now.
    WrongCode,
    /// The code was right, but a code at or after it has been accepted already.
    ReplayedCode,
    /// The password was wrong; a code that came with it was right.
    WrongPassword,
    /// The grammar asks for a password, the user has none.
    NoPassword,
    /// The account kept changing under the decision.
    Contended,
    /// The password could not be checked in time: too many others were to be checked before it.
    Busy,
    /// The acceptance cannot be told: it would be longer than a packet may be.
    ReplyTooLong,
    /// The store did not confirm the acceptance: no disk, no Accept.
    StoreFailure,
    /// The deadline passed before there was a decision.
    DeadlineExceeded,
    /// The decision is left to the upstream of the user or realm.
    Forwarded,
    /// The upstream has accepted.
    UpstreamAccepted,
    /// The upstream has rejected.
    UpstreamRejected,
    /// The upstream asks its user something.
    UpstreamChallenged,
    /// No server of the upstream has answered in time.
    UpstreamSilent,
    /// No server of the upstream can be reached.
    UpstreamUnreachable,
    /// The user's upstream is not configured.
    UpstreamUnknown,
    /// What the upstream has answered cannot be passed on.
    UpstreamUnusable,
    /// The upstream asks its user something, and the client cannot.
    ChallengeImpossible,
    /// The request cannot be sent to the upstream.
    NotForwardable,
    /// The request has been forwarded from here before.
    ForwardLoop,
}

impl Reason {
    /// Every reason, for documentation and for tests.
    pub const ALL: [Self; 39] = [
        Self::Accepted,
        Self::SamePacket,
        Self::Twin,
        Self::CodeAsked,
        Self::NextCodeAsked,
        Self::ClientDisabled,
        Self::InvalidUserName,
        Self::UnknownUser,
        Self::UserDisabled,
        Self::UserExpired,
        Self::Locked,
        Self::NoCredential,
        Self::UnsupportedMethod,
        Self::ChapWithPassword,
        Self::NoSuchDialogue,
        Self::RefusedBefore,
        Self::NoActiveToken,
        Self::NeverAnswers,
        Self::NotACode,
        Self::WrongCode,
        Self::ReplayedCode,
        Self::WrongPassword,
        Self::NoPassword,
        Self::Contended,
        Self::Busy,
        Self::ReplyTooLong,
        Self::StoreFailure,
        Self::DeadlineExceeded,
        Self::Forwarded,
        Self::UpstreamAccepted,
        Self::UpstreamRejected,
        Self::UpstreamChallenged,
        Self::UpstreamSilent,
        Self::UpstreamUnreachable,
        Self::UpstreamUnknown,
        Self::UpstreamUnusable,
        Self::ChallengeImpossible,
        Self::NotForwardable,
        Self::ForwardLoop,
    ];

    /// The stable name: lower case, words joined by hyphens.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::SamePacket => "same-packet",
            Self::Twin => "twin",
            Self::CodeAsked => "code-asked",
            Self::NextCodeAsked => "next-code-asked",
            Self::ClientDisabled => "client-disabled",
            Self::InvalidUserName => "invalid-user-name",
            Self::UnknownUser => "unknown-user",
            Self::UserDisabled => "user-disabled",
            Self::UserExpired => "user-expired",
            Self::Locked => "locked",
            Self::NoCredential => "no-credential",
            Self::UnsupportedMethod => "unsupported-method",
            Self::ChapWithPassword => "chap-with-password",
            Self::NoSuchDialogue => "no-such-dialogue",
            Self::RefusedBefore => "refused-before",
            Self::NoActiveToken => "no-active-token",
            Self::NeverAnswers => "never-answers",
            Self::NotACode => "not-a-code",
            Self::WrongCode => "wrong-code",
            Self::ReplayedCode => "replayed-code",
            Self::WrongPassword => "wrong-password",
            Self::NoPassword => "no-password",
            Self::Contended => "contended",
            Self::Busy => "busy",
            Self::ReplyTooLong => "reply-too-long",
            Self::StoreFailure => "store-failure",
            Self::DeadlineExceeded => "deadline-exceeded",
            Self::Forwarded => "forwarded",
            Self::UpstreamAccepted => "upstream-accepted",
            Self::UpstreamRejected => "upstream-rejected",
            Self::UpstreamChallenged => "upstream-challenged",
            Self::UpstreamSilent => "upstream-silent",
            Self::UpstreamUnreachable => "upstream-unreachable",
            Self::UpstreamUnknown => "upstream-unknown",
            Self::UpstreamUnusable => "upstream-unusable",
            Self::ChallengeImpossible => "challenge-impossible",
            Self::NotForwardable => "not-forwardable",
            Self::ForwardLoop => "forward-loop",
        }
    }

    /// One sentence for a person: what happened and, where there is something to do, what.
    pub const fn explain(self) -> &'static str {
        match self {
            Self::Accepted => "The code was right and had not been used; it is spent now.",
            Self::SamePacket => {
                "The same packet again: it gets the answer it had, and nothing more is spent."
            }
            Self::Twin => {
                "A second packet with the credential that was accepted a moment ago: it gets the same answer, and nothing more is spent."
            }
            Self::CodeAsked => "The password was right, or the user has none; the code is asked for.",
            Self::NextCodeAsked => {
                "The code is that of a token which has run ahead; it counts as a failure, and the next code is asked for, which sets it right."
            }
            Self::ClientDisabled => "The client is disabled.",
            Self::InvalidUserName => {
                "The request does not name a user (empty, not UTF-8, or control characters)."
            }
            Self::UnknownUser => "There is no such user; `otpctl user add` makes one.",
            Self::UserDisabled => "The user is disabled; `otpctl user enable` changes that.",
            Self::UserExpired => "The user has expired.",
            Self::Locked => "Too many failures in a row; the lock ends by itself.",
            Self::NoCredential => "The request carries no User-Password.",
            Self::UnsupportedMethod => "Only PAP (User-Password) and CHAP can carry this credential.",
            Self::ChapWithPassword => {
                "CHAP proves a code alone, and a password is part of this credential; let the client use PAP, or set its grammar to otp."
            }
            Self::NoSuchDialogue => {
                "The answer is to a question that was not asked here, was answered before, or was asked more than two minutes ago; log in anew."
            }
            Self::RefusedBefore => {
                "The login was refused in its first step; so that nobody learns why, the code was asked for all the same."
            }
            Self::NoActiveToken => {
                "The user has no enabled token that has proven a code; see `otpctl token list` and `otpctl token verify`."
            }
            Self::NeverAnswers => {
                "There is no code in the credential, and the client has left unanswered what it was asked; write the code directly after the password. Where the client has learned to ask: `otpctl client set NAME --grammar auto`."
            }
            Self::NotACode => "The credential holds no code of the length that the user's tokens show.",
            Self::WrongCode => "The code is none of those that could be right now.",
            Self::ReplayedCode => {
                "The code was used before, or a later one was; each code is accepted once. Wait for the next one."
            }
            Self::WrongPassword => {
                "The password was wrong, or, where the client's grammar is auto, the code after it; no code is spent."
            }
            Self::NoPassword => "A password is asked for, but the user has none; `otpctl user add` sets one.",
            Self::Contended => "Too many requests for this user at the same moment; try again.",
            Self::Busy => {
                "Too many passwords were to be checked before this one; try again. See `password_cache_s` of the daemon."
            }
            Self::ReplyTooLong => {
                "The Access-Accept would be longer than a packet may be (4096 octets) with the attributes of user, rules and client, so that nobody was asked and no code is spent. Set fewer or shorter ones: `otpctl user show`, `otpctl rule list`, `otpctl client show`."
            }
            Self::StoreFailure => {
                "The store could not confirm the decision (disk full? database locked?); see the log."
            }
            Self::DeadlineExceeded => "There was no decision before the deadline; see the log.",
            Self::Forwarded => "Another RADIUS server decides on the user (`otpctl user show`, `[[realm]]`).",
            Self::UpstreamAccepted => {
                "The upstream has accepted the user; nothing was decided or spent here."
            }
            Self::UpstreamRejected => "The upstream has rejected the user; its log says why.",
            Self::UpstreamChallenged => "The upstream asks the user a question, which was passed on.",
            Self::UpstreamSilent => {
                "No server of the upstream has answered before the deadline with a packet that is authentic; see `otpctl upstream list`: is the shared secret the same on both sides?"
            }
            Self::UpstreamUnreachable => {
                "No server of the upstream can be reached; see `otpctl upstream list` and the log."
            }
            Self::UpstreamUnknown => {
                "The user's upstream is not in the daemon's configuration: add `[upstream.NAME]`, or change the user with `otpctl user set`."
            }
            Self::UpstreamUnusable => {
                "The upstream has answered with what cannot be passed on: a State of 253 octets, or more attributes than fit beside those that are set here; see `reply` of the upstream."
            }
            Self::ChallengeImpossible => {
                "The upstream asks the user a question, and this client (a KDC) cannot."
            }
            Self::NotForwardable => {
                "The request cannot be forwarded: its method needs keys of this hop (EAP), it is too long, or it came over TLS and the upstream is on UDP or TCP (`allow_insecure_hop`)."
            }
            Self::ForwardLoop => {
                "The request was forwarded from here and has come back: two servers forward this realm to each other."
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_greppable() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|code| {
            code.bytes()
                .all(|octet| octet.is_ascii_lowercase() || octet == b'-')
        }));
    }
}
