//! The table of duplicates against a naive one.

use std::{sync::Arc, time::Duration};

use krad_tokio::duplicates::{Admission, DuplicateTable, Ticket};
use proptest::{collection::vec, prelude::*};
use tokio::time::Instant;

const CAPACITY: usize = 4;
const LIFE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
enum Step {
    Admit {
        key: u8,
        identity: u8,
    },
    /// Answers the n-th ticket that was ever given out, perhaps again.
    Complete(usize),
    Abandon(usize),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_u8..7, 0_u8..3).prop_map(|(key, identity)| Step::Admit { key, identity }),
        3 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => (0_u64..20).prop_map(Step::Wait),
    ];
    vec(step, 0..120)
}

/// A list that is searched from end to end, oldest answers first, then work in the order of admission.
#[derive(Default)]
struct Naive(Vec<NaiveEntry>);

#[derive(Clone)]
struct NaiveEntry {
    key: u8,
    identity: u8,
    ticket: usize,
    /// When, which in order, and what.
    answer: Option<(Instant, usize, usize)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Expected {
    New,
    InFlight,
    Answered(usize),
    Full,
}

impl Naive {
    fn admit(&mut self, key: u8, identity: u8, ticket: usize, now: Instant) -> Expected {
        self.0
            .retain(|entry| entry.answer.is_none_or(|(at, ..)| now < at + LIFE));
        if let Some(entry) = self.0.iter().find(|e| (e.key, e.identity) == (key, identity)) {
            return entry
                .answer
                .map_or(Expected::InFlight, |(_, _, reply)| Expected::Answered(reply));
        }
        self.0.retain(|entry| entry.key != key);
        if self.0.len() == CAPACITY {
            let oldest = self
                .0
                .iter()
                .filter_map(|e| e.answer.map(|(_, order, _)| (order, e.ticket)))
                .min();
            let Some((_, oldest)) = oldest else {
                return Expected::Full;
            };
            self.0.retain(|entry| entry.ticket != oldest);
        }
        self.0.push(NaiveEntry {
            key,
            identity,
            ticket,
            answer: None,
        });
        Expected::New
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn as_the_naive_table(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _context = runtime.enter();
        let mut now = Instant::now();
        let mut table = DuplicateTable::new(CAPACITY, LIFE);
        let mut naive = Naive::default();
        let mut tickets: Vec<(u8, Ticket)> = Vec::new();
        for (order, step) in steps.into_iter().enumerate() {
            match step {
                Step::Admit { key, identity } => {
                    let expected = naive.admit(key, identity, tickets.len(), now);
                    let admission = table.admit(key, identity, now);
                    let seen = match admission {
                        Admission::New(ticket) => {
                            tickets.push((key, ticket));
                            Expected::New
                        }
                        Admission::InFlight => Expected::InFlight,
                        Admission::Answered(reply) => {
                            Expected::Answered(usize::from_be_bytes(reply.as_ref().try_into().unwrap()))
                        }
                        Admission::Full => Expected::Full,
                    };
                    prop_assert_eq!(seen, expected);
                    prop_assert_eq!(table.len(), naive.0.len());
                    prop_assert!(table.len() <= CAPACITY);
                }
                Step::Complete(index) if !tickets.is_empty() => {
                    let index = index % tickets.len();
                    let (key, ticket) = tickets[index];
                    table.complete(&key, ticket, Arc::from(order.to_be_bytes()), now);
                    let entry = naive.0.iter_mut().find(|entry| entry.ticket == index);
                    if let Some(entry) = entry.filter(|entry| entry.answer.is_none()) {
                        entry.answer = Some((now, order, order));
                    }
                }
                Step::Abandon(index) if !tickets.is_empty() => {
                    let index = index % tickets.len();
                    let (key, ticket) = tickets[index];
                    table.abandon(&key, ticket);
                    naive.0.retain(|entry| entry.ticket != index);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Complete(_) | Step::Abandon(_) => {}
            }
        }
    }
}
