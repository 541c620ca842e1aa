//! Whether a client answers the questions that it is asked (Access-Challenge): learned from what it does, for clients whose grammar is
//! `auto`.
//!
//! What is learned belongs to a client and to one beginning: an administrator may have it begun anew. All daemons on one store, and
//! those before them, learn together; what this one has seen counts at once, what others have seen when they have told the store.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use otp_service::{Answer, Outcome};
use otp_store::{ClientRecord, ClientUsage, Seen, UsageReport};
use otp_validation::{Client, Grammar, UNANSWERED_QUESTIONS, UnixTime, can_be_asked};
use tracing::{info, warn};

use crate::usage::Tally;

/// What is known of one client since the last beginning.
#[derive(Debug, Default)]
pub(crate) struct Learning {
    /// Which beginning that was.
    number: u64,
    /// Whether anything follows from it.
    is_auto: AtomicBool,
    asked: AtomicU64,
    answered: Tally,
    /// What others have seen, and daemons before this one.
    elsewhere: Elsewhere,
    /// Whether the log has it that the client does not answer.
    is_told: AtomicBool,
}

#[derive(Debug, Default)]
struct Elsewhere {
    asked: AtomicU64,
    answered: AtomicU64,
}

impl Learning {
    /// What is known of the client of `record`; `all` is what the store has of it.
    pub(crate) fn begin(record: &ClientRecord, all: Option<&UsageReport>) -> Self {
        let learning = Self {
            number: record.learning,
            ..Self::default()
        };
        if let Some(all) = all {
            learning.hear(all, None);
        }
        learning.follow(record);
        // A daemon before this one has said it.
        learning.is_told.store(!learning.can_be_asked(), Relaxed);
        learning
    }

    /// Whether it is that of this record still.
    pub(crate) fn is_of(&self, record: &ClientRecord) -> bool {
        self.number == record.learning
    }

    /// Takes the grammar of the client from its record.
    pub(crate) fn follow(&self, record: &ClientRecord) {
        self.is_auto.store(record.grammar == Some(Grammar::Auto), Relaxed);
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Whether it matters what others have seen.
    pub(crate) fn is_open(&self) -> bool {
        self.is_auto.load(Relaxed) && self.answers() == 0
    }

    /// Takes over what the store has, `reported` of which this daemon has told it.
    pub(crate) fn hear(&self, all: &UsageReport, reported: Option<&UsageReport>) {
        if all.learning != self.number {
            return;
        }
        let own = reported
            .filter(|own| own.learning == self.number)
            .map_or_else(ClientUsage::default, |own| own.usage);
        let others = |all: u64, own: u64| all.saturating_sub(own);
        self.elsewhere
            .asked
            .store(others(all.usage.asked, own.asked), Relaxed);
        self.elsewhere
            .answered
            .store(others(all.usage.answered.count, own.answered.count), Relaxed);
    }

    /// Questions that rested on a right password, and answers, that this daemon has seen.
    pub(crate) fn so_far(&self) -> (u64, Seen) {
        (self.asked.load(Relaxed), self.answered.seen())
    }

    fn answers(&self) -> u64 {
        let elsewhere = self.elsewhere.answered.load(Relaxed);
        self.answered.seen().count.saturating_add(elsewhere)
    }

    fn can_be_asked(&self) -> bool {
        let elsewhere = self.elsewhere.asked.load(Relaxed);
        let asked = self.asked.load(Relaxed).saturating_add(elsewhere);
        can_be_asked(asked, self.answers())
    }

    /// The rules of a client that is not asked any more, where it has been learned that it does not answer.
    pub(crate) fn unasked(&self, policy: &Client) -> Option<Client> {
        let does_not_answer = policy.grammar == Some(Grammar::Auto) && !self.can_be_asked();
        does_not_answer.then(|| Client {
            can_challenge: false,
            ..policy.clone()
        })
    }

    /// Learns from a request of `client` and what was made of it.
    pub(crate) fn learn(&self, client: &str, outcome: &Outcome, now: UnixTime) {
        match &outcome.answer {
            _ if outcome.answers => self.answered.add(now),
            Answer::Challenge(question) if question.is_earned => {
                self.asked.fetch_add(1, Relaxed);
            }
            _ => return,
        }
        if !self.is_auto.load(Relaxed) {
            return;
        }
        let is_mute = !self.can_be_asked();
        if self.is_told.swap(is_mute, Relaxed) == is_mute {
            return;
        }
        if is_mute {
            warn!(
                client,
                unanswered = UNANSWERED_QUESTIONS,
                remedy = format!(
                    "let users write password and code in one field, or let the client pass State on and say: otpctl client set {client} --grammar auto"
                ),
                "this client has never answered a question; a password without a code is refused there from now on"
            );
        } else {
            info!(client, "this client answers questions; it is asked again");
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use otp_service::Challenge;
    use otp_store::{ClientSource, MessageAuthenticatorRule};
    use otp_validation::{ClientId, Reason, ReplyAttributes};

    use super::*;

    const NOW: UnixTime = UnixTime(1_800_000_000);

    pub(crate) fn record(learning: u64) -> ClientRecord {
        ClientRecord {
            id: ClientId(7),
            name: "vpn".to_owned(),
            enabled: true,
            source: ClientSource::Network("192.0.2.1/32".parse().unwrap()),
            nas_identifier: None,
            secret: None,
            old_secret: None,
            message_authenticator: MessageAuthenticatorRule::Required,
            grammar: Some(Grammar::Auto),
            repeat_grace: 0,
            reject_delay: Duration::from_secs(1),
            reply: ReplyAttributes::none(),
            learning,
            created_at: UnixTime(0),
        }
    }

    fn report(learning: u64, asked: u64, answered: u64) -> UsageReport {
        UsageReport {
            client: ClientId(7),
            since: NOW,
            learning,
            usage: ClientUsage {
                asked,
                answered: Seen {
                    count: answered,
                    last: (answered > 0).then_some(NOW),
                },
                ..ClientUsage::default()
            },
        }
    }

    fn question(is_earned: bool) -> Outcome {
        Outcome {
            answer: Answer::Challenge(Challenge {
                prompt: "Enter your one-time password.",
                state: vec![7; 80],
                is_earned,
            }),
            ..Outcome::reject(Reason::CodeAsked)
        }
    }

    fn answer() -> Outcome {
        Outcome {
            answers: true,
            ..Outcome::reject(Reason::WrongCode)
        }
    }

    /// Whether the client is asked on.
    fn is_asked(learning: &Learning) -> bool {
        learning.unasked(&record(0).policy()).is_none()
    }

    #[test]
    fn who_leaves_five_questions_unanswered_is_not_asked() {
        let learning = Learning::begin(&record(0), None);
        for asked in 0..5 {
            assert!(is_asked(&learning), "{asked}");
            // Guesses say nothing about the client.
            learning.learn("vpn", &question(false), NOW);
            learning.learn("vpn", &question(true), NOW);
        }
        let unasked = learning.unasked(&record(0).policy()).unwrap();
        assert!(!unasked.can_challenge);
        let other = Client {
            grammar: Some(Grammar::Challenge),
            ..record(0).policy()
        };
        assert!(
            learning.unasked(&other).is_none(),
            "an administrator knows better"
        );
        // An answer that was still on its way.
        learning.learn("vpn", &answer(), NOW);
        assert!(is_asked(&learning));
        for _ in 0..50 {
            learning.learn("vpn", &question(true), NOW);
        }
        assert!(is_asked(&learning), "who has answered once can answer");
    }

    #[test]
    fn daemons_learn_together_and_from_those_before_them() {
        let learning = Learning::begin(&record(3), Some(&report(3, 4, 0)));
        assert!(is_asked(&learning));
        learning.learn("vpn", &question(true), NOW);
        assert!(!is_asked(&learning));
        // Of the six that the store has now, this daemon has told it one.
        learning.hear(&report(3, 4, 0), Some(&report(3, 1, 0)));
        assert!(is_asked(&learning), "its own question counts once");
        learning.hear(&report(3, 6, 0), Some(&report(3, 1, 0)));
        assert!(!is_asked(&learning));
        learning.hear(&report(3, 6, 1), Some(&report(3, 1, 0)));
        assert!(is_asked(&learning), "another daemon was answered");
        assert!(!learning.is_open());
    }

    #[test]
    fn what_was_learned_before_the_last_beginning_is_forgotten() {
        let learning = Learning::begin(&record(3), Some(&report(2, 9, 0)));
        assert!(is_asked(&learning));
        learning.hear(&report(2, 9, 0), None);
        assert!(is_asked(&learning));
        assert!(!learning.is_of(&record(4)));
        let begun = Learning::begin(&record(3), Some(&report(3, 9, 0)));
        assert!(!is_asked(&begun), "after a restart");
    }
}
