//! `otpctl client report`: what comes from clients, and what is to be done about each.

use std::collections::BTreeMap;

use otp_store::{
    ClientRecord, ClientSource, ClientUsage, MessageAuthenticatorRule, OldSecret, Seen, UsageReport,
};
use otp_validation::{ClientId, Grammar, UnixTime, can_be_asked};
use serde::Serialize;
use serde_json::json;

use super::client::find;
use crate::{
    Exit,
    context::Context,
    failure::Failure,
    text::{self, ago},
    utc,
};

/// Show what comes from clients, and what is to be done about each.
///
/// The daemons count, and write it to the store every ten seconds; several daemons on one database add up.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl client report
  otpctl client report vpn
  otpctl client report --json | jq '.clients[] | select(.advice != null)'

\"without MA\" counts requests without Message-Authenticator: those that were decided and, where one is required, those that were
discarded. ANSWERS says whether the client has ever answered a question for the code (Access-Challenge), or how many that followed a right
password it has left unanswered.")]
pub(crate) struct Report {
    /// Names; all clients if there are none.
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// For how long nothing must have come without Message-Authenticator, or with an old secret, before that is said to be over.
const QUIET_DAYS: u64 = 14;
const DAY: u64 = 24 * 3600;

impl Report {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let records = if self.names.is_empty() {
            store.clients()?
        } else {
            let found = self.names.iter().map(|name| find(&store, name));
            found.collect::<Result<Vec<_>, _>>()?
        };
        let (usage, now) = (store.client_usage()?, context.now());
        let clients: Vec<_> = records
            .iter()
            .map(|record| UsageView::new(record, &usage, now))
            .collect();
        let rows = clients.iter().map(|client| client.row(now));
        let headers = [
            "CLIENT",
            "REQUESTS",
            "LAST",
            "WITHOUT MA",
            "LAST WITHOUT",
            "OLD SECRET",
            "ANSWERS",
        ];
        let mut text = text::table(headers, rows);
        for client in &clients {
            if let Some(advice) = &client.advice {
                text.push_str(&format!("{}: {advice}\n", text::escape(&client.name)));
            }
        }
        context.result(&json!({ "clients": clients }), &text)?;
        Ok(Exit::Ok)
    }
}

/// What came from a client. Times are seconds since the Unix epoch; null for never.
#[derive(Debug, Serialize)]
pub(super) struct UsageView {
    name: String,
    /// Whether it is a KDC's socket, where there is neither a secret nor a question.
    #[serde(skip)]
    is_socket: bool,
    /// Since when it is counted.
    since: Option<u64>,
    requests: u64,
    last_request: Option<u64>,
    /// Requests without Message-Authenticator that were decided.
    without_message_authenticator: u64,
    last_without_message_authenticator: Option<u64>,
    /// Those that were discarded because one is required.
    discarded: u64,
    last_discarded: Option<u64>,
    /// Those that were discarded because of a Proxy-State.
    proxy_state_discarded: u64,
    last_proxy_state_discarded: Option<u64>,
    /// Whether two secrets hold.
    rotating: bool,
    old_secret_until: Option<u64>,
    /// Since the present secret was made, while there is an old one.
    last_new_secret: Option<u64>,
    last_old_secret: Option<u64>,
    /// Questions for the code (Access-Challenge) that followed a right password.
    questions_asked: u64,
    /// Requests that answered a question.
    questions_answered: u64,
    last_question_answered: Option<u64>,
    /// Whether it answers them; null while that is not known.
    answers_questions: Option<bool>,
    /// What to do next.
    advice: Option<String>,
}

impl UsageView {
    pub(super) fn new(record: &ClientRecord, usage: &BTreeMap<ClientId, UsageReport>, now: UnixTime) -> Self {
        let report = usage.get(&record.id);
        let usage = report.map(|report| report.usage).unwrap_or_default();
        let since = report.map(|report| report.since);
        let last = |seen: Seen| seen.last.map(|at| at.0);
        let old = record.old_secret.as_ref();
        // What an earlier rotation has left is no news.
        let in_rotation = |at: Option<UnixTime>| {
            at.filter(|at| old.is_some_and(|old| *at >= old.since))
                .map(|at| at.0)
        };
        Self {
            name: record.name.clone(),
            is_socket: record.source == ClientSource::Unix,
            since: since.map(|since| since.0),
            requests: usage.requests.count,
            last_request: last(usage.requests),
            without_message_authenticator: usage.unprotected.count,
            last_without_message_authenticator: last(usage.unprotected),
            discarded: usage.discarded.count,
            last_discarded: last(usage.discarded),
            proxy_state_discarded: usage.proxy_state.count,
            last_proxy_state_discarded: last(usage.proxy_state),
            rotating: old.is_some_and(|old| old.holds(now)),
            old_secret_until: old.map(|old| old.until.0),
            last_new_secret: in_rotation(usage.new_secret_at),
            last_old_secret: in_rotation(usage.old_secret.last),
            questions_asked: usage.asked,
            questions_answered: usage.answered.count,
            last_question_answered: last(usage.answered),
            answers_questions: if usage.answered.count > 0 {
                Some(true)
            } else {
                (!can_be_asked(usage.asked, 0)).then_some(false)
            },
            advice: advice(record, since, &usage, now).or_else(|| about_questions(record, &usage)),
        }
    }

    /// Whichever way requests without Message-Authenticator ended.
    fn unprotected(&self) -> (u64, Option<u64>) {
        let count = self
            .without_message_authenticator
            .saturating_add(self.discarded)
            .saturating_add(self.proxy_state_discarded);
        let last = self
            .last_without_message_authenticator
            .max(self.last_discarded)
            .max(self.last_proxy_state_discarded);
        (count, last)
    }

    /// Whether it answers questions, and when it last did.
    fn answers(&self, now: UnixTime) -> Option<String> {
        if self.questions_answered > 0 {
            Some(format!("yes, {}", shown(self.last_question_answered, now)))
        } else if self.questions_asked > 0 {
            Some(format!("never, {} unanswered", self.questions_asked))
        } else {
            None
        }
    }

    fn row(&self, now: UnixTime) -> [String; 7] {
        let (unprotected, last_unprotected) = self.unprotected();
        let none = || "-".to_owned();
        [
            self.name.clone(),
            self.requests.to_string(),
            shown(self.last_request, now),
            if self.is_socket {
                none()
            } else {
                unprotected.to_string()
            },
            if self.is_socket {
                none()
            } else {
                shown(last_unprotected, now)
            },
            if self.old_secret_until.is_some() {
                shown(self.last_old_secret, now)
            } else {
                none()
            },
            self.answers(now).unwrap_or_else(none),
        ]
    }

    /// For `otpctl client show`.
    pub(super) fn lines(&self, now: UnixTime) -> Vec<(&'static str, String)> {
        let (unprotected, last_unprotected) = self.unprotected();
        let mut lines = vec![(
            "requests",
            format!("{}, last {}", self.requests, shown(self.last_request, now)),
        )];
        if !self.is_socket {
            let answers = self.answers(now);
            lines.extend([
                (
                    "without message-authenticator",
                    format!("{unprotected}, last {}", shown(last_unprotected, now)),
                ),
                (
                    "answers questions",
                    answers.unwrap_or_else(|| "not asked yet".to_owned()),
                ),
            ]);
        }
        if let Some(until) = self.old_secret_until {
            let end = if self.rotating {
                "holds until"
            } else {
                "has not held since"
            };
            lines.push(("old secret", format!("{end} {}", utc::show(UnixTime(until)))));
            lines.push(("old secret last used", shown(self.last_old_secret, now)));
            lines.push(("new secret last used", shown(self.last_new_secret, now)));
        }
        if let Some(advice) = &self.advice {
            lines.push(("advice", advice.clone()));
        }
        lines
    }
}

fn shown(at: Option<u64>, now: UnixTime) -> String {
    at.map_or_else(|| "never".to_owned(), |at| ago(UnixTime(at), now))
}

/// What to do next about a client, if there is anything.
fn advice(
    record: &ClientRecord,
    since: Option<UnixTime>,
    usage: &ClientUsage,
    now: UnixTime,
) -> Option<String> {
    if !record.enabled || record.source == ClientSource::Unix {
        return None;
    }
    let Some(since) = since else {
        return Some("nothing has come from it yet".to_owned());
    };
    if let Some(old) = &record.old_secret {
        return Some(about_rotation(&record.name, old, usage, now));
    }
    let days = |at: UnixTime| now.0.saturating_sub(at.0) / DAY;
    let proven = usage.new_secret_at;
    if record.message_authenticator.at(now) == MessageAuthenticatorRule::Required {
        let last = usage.discarded.last.filter(|last| proven < Some(*last));
        return last.filter(|last| days(*last) < QUIET_DAYS).map(|_| {
            "its requests without Message-Authenticator are discarded: update it so that it sends one"
                .to_owned()
        });
    }
    // Whoever has counted for a shorter time than that cannot tell.
    let last = usage.unprotected.last.max(usage.proxy_state.last);
    let quiet_since = last.map_or(since, |last| last.max(since));
    if days(quiet_since) >= QUIET_DAYS && proven > Some(quiet_since) {
        let name = text::shell_word(&record.name);
        return Some(format!(
            "otpctl client set {name} --require-message-authenticator: nothing has come without it for {QUIET_DAYS} days"
        ));
    }
    last.map(|last| {
        format!(
            "update it so that it sends Message-Authenticator: what comes without it can be forged on the way; the last came {}",
            ago(last, now)
        )
    })
}

/// What to do next about a client that is to be asked questions and does not answer.
fn about_questions(record: &ClientRecord, usage: &ClientUsage) -> Option<String> {
    let is_mute =
        record.grammar.is_some_and(Grammar::asks) && !can_be_asked(usage.asked, usage.answered.count);
    is_mute.then(|| {
        let name = text::shell_word(&record.name);
        if record.grammar == Some(Grammar::Auto) {
            format!(
                "it answers no questions: users write password and code in one field; if it has learned to pass State on: otpctl client set {name} --grammar auto"
            )
        } else {
            format!(
                "it answers no questions, so nobody gets in with a password: otpctl client set {name} --grammar password+otp, or auto"
            )
        }
    })
}

/// What to do next about a client that is being given another secret.
fn about_rotation(name: &str, old: &OldSecret, usage: &ClientUsage, now: UnixTime) -> String {
    let finish = format!("otpctl client secret {} --finish", text::shell_word(name));
    let in_rotation = |at: Option<UnixTime>| at.filter(|at| *at >= old.since);
    let old_used = in_rotation(usage.old_secret.last);
    match (in_rotation(usage.new_secret_at), old_used) {
        _ if !old.holds(now) => format!("the old secret has ended; {finish} wipes it"),
        (None, _) => {
            "give the client its new secret: nothing has come with it yet (over TLS nothing does)".to_owned()
        }
        (Some(_), Some(used)) if now.0.saturating_sub(used.0) < DAY => {
            format!("the old secret was used {}; wait before {finish}", ago(used, now))
        }
        (Some(_), _) => format!("{finish}: the new secret is in use, and the old one has not been for a day"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use otp_validation::ReplyAttributes;

    use super::*;

    const NOW: UnixTime = UnixTime(100 * DAY);

    fn record(rule: MessageAuthenticatorRule) -> ClientRecord {
        ClientRecord {
            id: ClientId(1),
            name: "vpn".to_owned(),
            enabled: true,
            source: ClientSource::Network("192.0.2.1/32".parse().unwrap()),
            nas_identifier: None,
            secret: None,
            old_secret: None,
            message_authenticator: rule,
            grammar: None,
            repeat_grace: 0,
            reject_delay: Duration::from_secs(1),
            reply: ReplyAttributes::none(),
            learning: 0,
            created_at: UnixTime(0),
        }
    }

    fn seen(last: UnixTime) -> Seen {
        Seen {
            count: 3,
            last: Some(last),
        }
    }

    fn before(days: u64) -> UnixTime {
        UnixTime(NOW.0 - days * DAY)
    }

    fn says(record: &ClientRecord, since: Option<UnixTime>, usage: &ClientUsage) -> String {
        advice(record, since, usage, NOW).unwrap_or_default()
    }

    #[test]
    fn an_exemption_that_nobody_uses_is_to_be_ended() {
        let exempt = record(MessageAuthenticatorRule::IfPresent);
        let usage = |days| ClientUsage {
            new_secret_at: Some(NOW),
            unprotected: seen(before(days)),
            ..ClientUsage::default()
        };
        let says = |since, days| says(&exempt, Some(before(since)), &usage(days));
        assert!(
            says(90, 14).contains("--require-message-authenticator"),
            "{}",
            says(90, 14)
        );
        assert!(says(90, 13).contains("13 days ago"), "{}", says(90, 13));
        // Nothing came without it, but nobody has looked for long.
        let never = ClientUsage {
            new_secret_at: Some(NOW),
            ..ClientUsage::default()
        };
        assert_eq!(advice(&exempt, Some(before(13)), &never, NOW), None);
        assert!(advice(&exempt, Some(before(14)), &never, NOW).is_some());
        // Nothing came at all.
        assert_eq!(
            advice(&exempt, Some(before(50)), &ClientUsage::default(), NOW),
            None
        );
    }

    #[test]
    fn a_client_whose_requests_are_discarded_is_to_be_updated() {
        let strict = record(MessageAuthenticatorRule::Required);
        let mut usage = ClientUsage {
            discarded: seen(before(1)),
            ..ClientUsage::default()
        };
        assert!(says(&strict, Some(before(90)), &usage).contains("update it"));
        usage.new_secret_at = Some(NOW);
        assert_eq!(
            advice(&strict, Some(before(90)), &usage, NOW),
            None,
            "it has been"
        );
        assert!(says(&strict, None, &usage).contains("nothing has come"));
    }

    #[test]
    fn a_client_that_answers_no_questions_is_not_to_be_asked_any() {
        let mut nas = record(MessageAuthenticatorRule::Required);
        let view = |record: &ClientRecord, asked, answered| {
            let usage = ClientUsage {
                asked,
                answered,
                ..ClientUsage::default()
            };
            let report = UsageReport {
                client: record.id,
                since: before(90),
                learning: 0,
                usage,
            };
            UsageView::new(record, &BTreeMap::from([(record.id, report)]), NOW)
        };
        let never = Seen::default();
        for (grammar, said) in [
            (None, ""),
            (Some(Grammar::Challenge), "--grammar password+otp"),
            (Some(Grammar::Auto), "one field"),
        ] {
            nas.grammar = grammar;
            let advice = view(&nas, 5, never).advice.unwrap_or_default();
            assert!(advice.contains(said), "{advice}");
            assert_eq!(advice.is_empty(), said.is_empty(), "{advice}");
            assert_eq!(view(&nas, 4, never).advice, None);
            assert_eq!(view(&nas, 9, seen(NOW)).advice, None);
        }
        assert_eq!(view(&nas, 5, never).answers_questions, Some(false));
        assert_eq!(view(&nas, 4, never).answers_questions, None);
        assert_eq!(view(&nas, 4, seen(NOW)).answers_questions, Some(true));
        assert_eq!(view(&nas, 4, never).row(NOW)[6], "never, 4 unanswered");
        assert_eq!(view(&nas, 0, never).row(NOW)[6], "-");
        assert!(view(&nas, 4, seen(NOW)).row(NOW)[6].starts_with("yes, "));
    }

    #[test]
    fn at_a_socket_there_is_neither_a_secret_nor_a_question() {
        let mut kdc = record(MessageAuthenticatorRule::IfPresent);
        kdc.source = ClientSource::Unix;
        let view = UsageView::new(&kdc, &BTreeMap::new(), NOW);
        assert_eq!(view.row(NOW)[3..], ["-", "-", "-", "-"]);
        assert_eq!(view.lines(NOW).len(), 1, "{:?}", view.lines(NOW));
    }

    #[test]
    fn a_rotation_is_to_be_finished_when_the_client_has_the_new_secret() {
        let mut rotated = record(MessageAuthenticatorRule::Required);
        rotated.old_secret = Some(OldSecret {
            secret: None,
            since: before(3),
            until: UnixTime(NOW.0 + DAY),
        });
        let says = |new: UnixTime, old: UnixTime| {
            let usage = ClientUsage {
                new_secret_at: Some(new),
                old_secret: seen(old),
                ..ClientUsage::default()
            };
            says(&rotated, Some(before(90)), &usage)
        };
        assert!(says(before(5), before(5)).contains("give the client its new secret"));
        assert!(says(NOW, NOW).contains("wait before"));
        assert!(says(NOW, before(2)).contains("--finish: the new secret is in use"));
        // The old secret of an earlier rotation.
        assert!(says(NOW, before(50)).contains("--finish: the new secret is in use"));
        rotated.old_secret.as_mut().unwrap().until = NOW;
        assert!(
            super::advice(&rotated, Some(before(90)), &ClientUsage::default(), NOW)
                .unwrap()
                .contains("wipes it")
        );
    }
}
