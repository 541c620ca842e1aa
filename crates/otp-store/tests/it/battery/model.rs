//! Random operations on a store and on a model of a few lines.

use std::collections::{BTreeMap, BTreeSet};

use otp_store::{Commit, MissingUsers};
use otp_validation::{Account, Decision, Effect, TokenId, TokenMode, Verdict};
use proptest::prelude::*;

use crate::support::{Fixture, code, commit, decision, hotp_token, name, nas, random_packet};

const USERS: [&str; 3] = ["alice", "bob", "carol"];
const LABELS: [&str; 2] = ["one", "two"];
const SEEDS: [&[u8]; 2] = [b"the first of 2 seeds", b"the other of 2 seeds"];

#[derive(Clone, Debug)]
enum Operation {
    Add {
        user: usize,
        label: usize,
        seed: usize,
        next: u64,
    },
    Remove {
        user: usize,
        label: usize,
    },
    /// Decides on a code some counters ahead (or behind), and keeps the decision.
    Decide {
        user: usize,
        seed: usize,
        ahead: i8,
    },
    /// Commits the oldest decision that was kept, however stale.
    CommitOldest,
    CommitNewest,
    Enable {
        user: usize,
        enabled: bool,
    },
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    let (user, label, seed) = (0..USERS.len(), 0..LABELS.len(), 0..SEEDS.len());
    prop_oneof![
        3 => (user.clone(), label.clone(), seed.clone(), 0..6_u64)
            .prop_map(|(user, label, seed, next)| Operation::Add { user, label, seed, next }),
        1 => (user.clone(), label).prop_map(|(user, label)| Operation::Remove { user, label }),
        6 => (user.clone(), seed, -2..4_i8).prop_map(|(user, seed, ahead)| Operation::Decide { user, seed, ahead }),
        3 => Just(Operation::CommitOldest),
        3 => Just(Operation::CommitNewest),
        1 => (user, any::<bool>()).prop_map(|(user, enabled)| Operation::Enable { user, enabled }),
        1 => Just(Operation::Reopen),
    ]
}

#[derive(Debug, Default)]
struct Model {
    /// Seed of each token.
    tokens: BTreeMap<(usize, usize), usize>,
    /// The same by number, of removed tokens too.
    seeds: BTreeMap<TokenId, usize>,
    users: BTreeSet<usize>,
    /// Smallest counter of each seed that may still be accepted.
    next: BTreeMap<usize, u64>,
    accepted: BTreeSet<(usize, u64)>,
}

struct Run {
    fixture: Fixture,
    model: Model,
    /// Decisions that were not committed yet.
    kept: Vec<(Account, Decision)>,
}

impl Run {
    fn take(&mut self, operation: Operation) -> Result<(), TestCaseError> {
        let Self { fixture, model, kept } = self;
        match operation {
            Operation::Add {
                user,
                label,
                seed,
                next,
            } => {
                let token = hotp_token(USERS[user], LABELS[label], SEEDS[seed], next);
                let added = fixture
                    .store
                    .add_tokens(&[token], MissingUsers::Create, &mut fixture.rng);
                prop_assert_eq!(
                    added.is_err(),
                    model.tokens.contains_key(&(user, label)),
                    "{:?}",
                    added
                );
                if let Ok(ids) = added {
                    model.tokens.insert((user, label), seed);
                    model.seeds.insert(ids[0], seed);
                    model.users.insert(user);
                    let state = model.next.entry(seed).or_default();
                    *state = next.max(*state);
                }
            }
            Operation::Remove { user, label } => {
                let removed = fixture.store.remove_token(&name(USERS[user]), LABELS[label]);
                prop_assert_eq!(removed.is_ok(), model.tokens.remove(&(user, label)).is_some());
            }
            Operation::Decide { user, seed, ahead } if model.users.contains(&user) => {
                let present = model.next.get(&seed).copied().unwrap_or_default();
                let code = code(SEEDS[seed], present.saturating_add_signed(ahead.into()));
                let packet = random_packet(&mut fixture.rng);
                kept.push(decision(&fixture.store, USERS[user], &nas(), &code, &packet));
            }
            Operation::Decide { .. } => {}
            Operation::CommitOldest if !kept.is_empty() => {
                let (at, decision) = kept.remove(0);
                self.commit(at, decision)?;
            }
            Operation::CommitOldest => {}
            Operation::CommitNewest => {
                if let Some((at, decision)) = kept.pop() {
                    self.commit(at, decision)?;
                }
            }
            Operation::Enable { user, enabled } => {
                let known = fixture.store.set_user_enabled(&name(USERS[user]), enabled);
                prop_assert_eq!(known.is_ok(), model.users.contains(&user));
            }
            Operation::Reopen => fixture.store = fixture.reopen(),
        }
        self.compare()
    }

    fn commit(&mut self, at: Account, decision: Decision) -> Result<(), TestCaseError> {
        let verdict = decision.verdict;
        let spent = decision.effects.iter().find_map(|effect| match effect {
            Effect::Consume { token, matched, .. } => Some((*token, *matched)),
            _ => None,
        });
        match commit(&self.fixture.store, &at, decision).unwrap() {
            Commit::Accepted(accept) => {
                let (token, matched) = spent.expect("a code that was spent");
                prop_assert_eq!(accept.token(), token);
                let seed = self.model.seeds[&token];
                prop_assert!(matched >= self.model.next[&seed], "below the replay state");
                prop_assert!(self.model.accepted.insert((seed, matched)), "accepted twice");
                self.model.next.insert(seed, matched + 1);
            }
            Commit::Recorded => prop_assert_eq!(verdict, Verdict::Reject),
            Commit::Conflict => {}
        }
        Ok(())
    }

    /// Store and model hold the same tokens with the same replay state.
    fn compare(&self) -> Result<(), TestCaseError> {
        let stored = self.fixture.store.tokens(None).unwrap();
        prop_assert_eq!(stored.len(), self.model.tokens.len());
        for token in stored {
            let TokenMode::Hotp { state, .. } = token.mode else {
                panic!("{token:?}")
            };
            prop_assert_eq!(state.next, self.model.next[&self.model.seeds[&token.id]]);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: super::ENGINE.cases(32), max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_code_is_accepted_twice_and_no_replay_state_falls(operations in prop::collection::vec(operation(), 1..40)) {
        let mut run = Run { fixture: Fixture::on(super::ENGINE), model: Model::default(), kept: Vec::new() };
        for operation in operations {
            run.take(operation)?;
        }
    }
}
