//! What is kept of a decision: everything that was seen and concluded, nothing that anybody could log in with.

use otp_validation::{PacketDigest, Reason, Token, TokenStatus, UnixTime, Verdict};

use super::line::Line;

/// Octets of the longest record.
pub const LONGEST_RECORD: usize = 1024;

/// Octets that are kept of a user's name, escapes included.
const NAME: usize = 144;
/// … of every other text: client's names and labels fit.
const TEXT: usize = 64;
/// … of the list of tokens.
const TOKENS: usize = 112;

/// One record of the audit trail, before it has its place in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(crate) at: UnixTime,
    pub(crate) request: Option<u64>,
    /// Whether it tells that somebody was let in: such a record is kept however many others there are.
    pub(crate) accepts: bool,
    pub(crate) text: Box<str>,
}

/// What there is to say about a decision. No credential, no code, no key has a place in it.
#[derive(Clone, Copy, Debug)]
pub struct DecisionFacts<'a> {
    /// When it was decided.
    pub at: UnixTime,
    /// The number of the request in the log, by which `otpctl why` finds it.
    pub request: Option<u64>,
    /// The name of the client.
    pub client: &'a str,
    /// Where the packet came from.
    pub peer: Option<&'a str>,
    /// NAS-Identifier as received.
    pub nas_identifier: Option<&'a [u8]>,
    /// User-Name as received.
    pub user_name: &'a [u8],
    /// The stored name of the user, if there is one.
    pub user: Option<&'a str>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// Which server decided in place of this one, and what it said, if the request was forwarded.
    pub upstream: Option<UpstreamFacts<'a>>,
    /// The label of the token whose code was recognised.
    pub token: Option<&'a str>,
    /// What was spent, if anything was.
    pub spent: Option<Spent>,
    /// The user's tokens: worth their space where none of them has let the user in.
    pub tokens: &'a [Token],
    /// Failures in a row at this client as they are after this decision, if there are any.
    pub failures: Option<FailureFacts>,
    /// The packet.
    pub packet: Option<PacketDigest>,
    /// The packet that was accepted first, if this one is a twin of it.
    pub twin_of: Option<PacketDigest>,
    /// How often it was decided, because the account changed meanwhile; 1 in most cases.
    pub rounds: u32,
    /// How long the decision took, in microseconds.
    pub micros: u64,
}

/// What became of a request that was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamFacts<'a> {
    /// The name of the upstream.
    pub name: &'a str,
    /// User-Name as it was sent there, where it is another one than that of the request.
    pub user_name: Option<&'a [u8]>,
    /// The server that has answered, or was asked last.
    pub server: Option<&'a str>,
    /// What the client was answered.
    pub answer: UpstreamAnswer,
}

/// What the client is answered to a request that was forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamAnswer {
    /// Let in, by the upstream. It is no acceptance of this store's: nothing was spent, nothing is remembered.
    Accept,
    /// Refused.
    Reject,
    /// Asked.
    Challenge,
}

/// What an acceptance has spent. Not the code: how far it was from the expected one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    /// A code by event.
    Hotp {
        /// How many counters after the expected one.
        skipped: u64,
    },
    /// A code by time.
    Totp {
        /// How many steps after the present one; negative before it.
        offset: i64,
    },
}

/// Failures in a row at one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureFacts {
    /// Wrong codes.
    pub codes: u32,
    /// Wrong passwords.
    pub passwords: u32,
    /// The end of the lock there or at all clients, if there is one.
    pub locked_until: Option<UnixTime>,
}

impl Record {
    /// The record of a decision.
    pub fn of_decision(facts: &DecisionFacts<'_>) -> Self {
        let mut line = Line::new();
        let decision = match (facts.verdict, facts.upstream.map(|upstream| upstream.answer)) {
            (Verdict::Accept, _) | (Verdict::Forward, Some(UpstreamAnswer::Accept)) => "accept",
            (Verdict::Challenge(_), _) | (Verdict::Forward, Some(UpstreamAnswer::Challenge)) => "challenge",
            (Verdict::Reject, _) | (Verdict::Forward, Some(UpstreamAnswer::Reject)) => "reject",
            // `otpctl auth` says what would be done.
            (Verdict::Forward, None) => "forward",
        };
        let accepts = decision == "accept";
        line.word("decision", decision);
        line.word("reason", facts.reason.code());
        line.text("client", facts.client, TEXT);
        if let Some(peer) = facts.peer {
            line.text("peer", peer, TEXT);
        }
        if let Some(nas) = facts.nas_identifier {
            line.octets("nas", nas, TEXT);
        }
        line.octets("name", facts.user_name, NAME);
        // Most names are stored as they are sent.
        if let Some(user) = facts.user {
            if user.as_bytes() == facts.user_name {
                line.plain("user", true);
            } else {
                line.text("user", user, NAME);
            }
        }
        if let Some(upstream) = facts.upstream {
            line.text("upstream", upstream.name, TEXT);
            if let Some(user_name) = upstream.user_name {
                line.octets("as", user_name, TEXT);
            }
            if let Some(server) = upstream.server {
                line.text("server", server, TEXT);
            }
        }
        // Whatever others have decided, nothing of this store was looked at.
        if facts.upstream.is_none() {
            write_findings(&mut line, facts);
        }
        line.plain("rounds", facts.rounds);
        line.plain("micros", facts.micros);
        Self {
            at: facts.at,
            request: facts.request,
            accepts,
            text: line.end(),
        }
    }

    /// Tells that so many records of refusals were left out, up to the moment of `last`.
    pub(super) fn of_left_out(left_out: u64, at: UnixTime) -> Self {
        let mut line = Line::new();
        line.plain("left_out", left_out);
        Self {
            at,
            request: None,
            accepts: false,
            text: line.end(),
        }
    }

    /// The text: one JSON object.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What was looked at and concluded here.
fn write_findings(line: &mut Line, facts: &DecisionFacts<'_>) {
    if let Some(token) = facts.token {
        line.text("token", token, TEXT);
    }
    match facts.spent {
        Some(Spent::Hotp { skipped }) => line.plain("hotp_skipped", skipped),
        Some(Spent::Totp { offset }) => line.plain("totp_offset", offset),
        None => line,
    };
    if !facts.tokens.is_empty() {
        let tokens = facts
            .tokens
            .iter()
            .map(|token| (token.label.as_str(), state(token)));
        line.list("tokens", tokens, TOKENS);
    }
    if let Some(failures) = facts.failures {
        line.plain("wrong_codes", failures.codes);
        line.plain("wrong_passwords", failures.passwords);
        if let Some(until) = failures.locked_until {
            line.plain("locked_until", until.0);
        }
    }
    if let Some(packet) = facts.packet {
        line.digest("packet", &packet.0);
    }
    if let Some(first) = facts.twin_of {
        line.digest("twin_of", &first.0);
    }
}

fn state(token: &Token) -> &'static str {
    match (token.enabled, token.status) {
        (false, _) => "disabled",
        (true, TokenStatus::Pending) => "pending",
        (true, TokenStatus::Active) => "active",
    }
}

#[cfg(test)]
mod tests {
    use otp_core::{Hotp, HotpState, TokenKey};
    use otp_validation::{TokenId, TokenMode};
    use proptest::prelude::*;

    use super::*;

    pub(super) fn facts() -> DecisionFacts<'static> {
        DecisionFacts {
            at: UnixTime(1_800_000_000),
            request: Some(7),
            client: "vpn",
            peer: Some("192.0.2.1:4711"),
            nas_identifier: None,
            user_name: b"alice",
            user: Some("alice"),
            verdict: Verdict::Accept,
            reason: Reason::Accepted,
            upstream: None,
            token: Some("phone"),
            spent: Some(Spent::Totp { offset: -1 }),
            tokens: &[],
            failures: None,
            packet: Some(PacketDigest([0xab; 32])),
            twin_of: None,
            rounds: 1,
            micros: 812,
        }
    }

    fn token(label: &str, enabled: bool, status: TokenStatus) -> Token {
        Token {
            id: TokenId(1),
            label: label.into(),
            enabled,
            status,
            key: TokenKey::from(*b"12345678901234567890"),
            mode: TokenMode::Hotp {
                hotp: Hotp::default(),
                state: HotpState { next: 0 },
                look_ahead: 10,
            },
        }
    }

    #[test]
    fn an_acceptance_is_a_short_line() {
        assert_eq!(
            Record::of_decision(&facts()).text(),
            r#"{"decision":"accept","reason":"accepted","client":"vpn","peer":"192.0.2.1:4711","name":"alice","user":true,"token":"phone","totp_offset":-1,"packet":"abababababababab","rounds":1,"micros":812}"#
        );
    }

    #[test]
    fn a_refusal_names_the_tokens_and_the_failures() {
        let tokens = [
            token("phone", true, TokenStatus::Active),
            token("old \"one\"", false, TokenStatus::Active),
            token("new", true, TokenStatus::Pending),
        ];
        let refusal = DecisionFacts {
            user_name: b"Alice\x1b[31m\xff",
            verdict: Verdict::Reject,
            reason: Reason::WrongCode,
            token: None,
            spent: None,
            tokens: &tokens,
            failures: Some(FailureFacts {
                codes: 3,
                passwords: 0,
                locked_until: Some(UnixTime(1_800_000_004)),
            }),
            peer: None,
            packet: None,
            ..facts()
        };
        assert_eq!(
            Record::of_decision(&refusal).text(),
            r#"{"decision":"reject","reason":"wrong-code","client":"vpn","name":"Alice\u001b[31m�","user":"alice","tokens":["phone active","old \"one\" disabled","new pending"],"wrong_codes":3,"wrong_passwords":0,"locked_until":1800000004,"rounds":1,"micros":812}"#
        );
    }

    proptest! {
        /// Whatever a peer sends: a record is one JSON object of bounded length, without a control character.
        #[test]
        fn a_record_is_bounded_whatever_it_tells_of(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..=300), 3),
            names in proptest::collection::vec(".{0,300}", 3),
            labels in proptest::collection::vec("\\PC{1,64}|[\"\\\\]{1,64}", 0..12),
            number in any::<u64>(),
            is_forwarded: bool,
        ) {
            let tokens: Vec<_> = labels.iter().map(|label| token(label, true, TokenStatus::Active)).collect();
            let record = Record::of_decision(&DecisionFacts {
                request: Some(number),
                client: &names[0],
                peer: Some(&names[1]),
                nas_identifier: Some(&texts[0]),
                user_name: &texts[1],
                user: Some(&names[2]),
                reason: Reason::DeadlineExceeded,
                upstream: is_forwarded.then_some(UpstreamFacts {
                    name: &names[0],
                    user_name: Some(&texts[2]),
                    server: Some(&names[1]),
                    answer: UpstreamAnswer::Reject,
                }),
                token: labels.first().map(String::as_str),
                spent: Some(Spent::Hotp { skipped: number }),
                tokens: &tokens,
                failures: Some(FailureFacts { codes: u32::MAX, passwords: u32::MAX, locked_until: Some(UnixTime(number)) }),
                twin_of: Some(PacketDigest([0xff; 32])),
                rounds: u32::MAX,
                micros: number,
                ..facts()
            });
            prop_assert!(record.text().len() <= LONGEST_RECORD, "{} octets: {}", record.text().len(), record.text());
            prop_assert!(!record.text().chars().any(char::is_control));
            prop_assert!(is_object(record.text()), "{}", record.text());
        }

        #[test]
        fn what_is_cut_ends_in_an_ellipsis(text in "[a\"\\\\\u{7}é山]{0,40}", longest in 3_usize..24) {
            let mut line = Line::new();
            line.text("x", &text, longest);
            let written = line.end();
            let value = written.strip_prefix(r#"{"x":""#).unwrap().strip_suffix(r#""}"#).unwrap();
            prop_assert!(value.len() <= longest, "{value}");
            prop_assert!(is_object(&written), "{written}");
        }
    }

    /// Whether every text ends where its quotes say, and every escape is one of those that are written.
    fn is_object(text: &str) -> bool {
        let mut characters = text.chars();
        let (mut quoted, mut depth) = (false, 0_i32);
        while let Some(character) = characters.next() {
            match (quoted, character) {
                (true, '\\') => match characters.next() {
                    Some('"' | '\\') => {}
                    Some('u') => {
                        if !characters.by_ref().take(4).all(|digit| digit.is_ascii_hexdigit()) {
                            return false;
                        }
                    }
                    _ => return false,
                },
                (_, '"') => quoted = !quoted,
                (false, '{' | '[') => depth += 1,
                (false, '}' | ']') => depth -= 1,
                _ => {}
            }
        }
        !quoted && depth == 0 && text.starts_with('{') && text.ends_with('}')
    }
}
