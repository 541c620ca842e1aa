//! What of a file is to be stored: every row with its label, checked against the store.

use std::collections::{BTreeMap, BTreeSet};

use otp_core::{HotpState, Window};
use otp_store::{NewToken, Store, StoreError};
use otp_validation::{TokenMode, TokenStatus, UnixTime, UserName};

use crate::{
    Label,
    csv_import::{Column, Kind, LineError, Problem, Row},
    failure::Failure,
    progress::Progress,
    values::LOOK_AHEAD,
};

/// For so many users and more, all that the store has are read at once.
const MANY_USERS: usize = 200;

/// What is to be stored, with the lines where it stands.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) tokens: Vec<NewToken>,
    pub(super) new_users: BTreeSet<String>,
    lines: Vec<u64>,
}

/// The labels of every user in the file; `None` for users that do not exist.
type Labels = BTreeMap<UserName, Option<BTreeSet<String>>>;

impl Plan {
    /// Gives every row its label; or says what is wrong with the rows, without having done anything.
    pub(super) fn new(
        rows: Vec<Row>,
        create_users: bool,
        store: &Store,
        created_at: UnixTime,
        progress: &Progress,
    ) -> Result<Result<Self, Vec<LineError>>, Failure> {
        let mut taken = labels(store, &rows)?;
        let mut plan = Self::default();
        let mut errors = Vec::new();
        for row in &rows {
            let known = taken.get(&row.user).and_then(Option::as_ref);
            if known.is_none() && !create_users {
                errors.push(LineError::new(
                    row.line,
                    Column::User,
                    Problem::UnknownUser(format!("{:?}", row.user.as_str())),
                ));
            } else if known.is_none() {
                plan.new_users.insert(row.user.to_string());
            }
            let exists = |label: &&Label| known.is_some_and(|labels| labels.contains(label.as_str()));
            if let Some(label) = row.label.as_ref().filter(exists) {
                let name = format!("{}/{label}", row.user);
                errors.push(LineError::new(
                    row.line,
                    Column::Label,
                    Problem::TokenExists(name),
                ));
            }
        }
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        // Labels that the file gives are taken before any default is chosen.
        for row in &rows {
            if let Some(label) = &row.label {
                labels_of(&mut taken, &row.user).insert(label.to_string());
            }
        }
        for row in rows {
            progress.step();
            let labels = labels_of(&mut taken, &row.user);
            let (base, mode) = mode(row.kind);
            let label = row
                .label
                .unwrap_or_else(|| Label::first_free(base, |label| labels.contains(label)))
                .to_string();
            labels.insert(label.clone());
            plan.lines.push(row.line);
            plan.tokens.push(NewToken {
                user: row.user,
                label,
                key: row.key,
                mode,
                status: TokenStatus::Active,
                created_at,
            });
        }
        Ok(Ok(plan))
    }

    /// Says which line the store refused: somebody else may have added a token in the meantime.
    pub(super) fn locate(&self, error: StoreError) -> Failure {
        let line = match &error {
            StoreError::Batch { index, .. } => self.lines.get(*index).copied(),
            _ => None,
        };
        let failure = Failure::from(error);
        match line {
            Some(line) => failure.with_remedy(format!("see line {line}; nothing was imported")),
            None => failure,
        }
    }
}

fn labels(store: &Store, rows: &[Row]) -> Result<Labels, Failure> {
    let mut labels: Labels = rows.iter().map(|row| (row.user.clone(), None)).collect();
    if labels.len() >= MANY_USERS {
        for user in store.users()? {
            labels
                .entry(user.name)
                .and_modify(|labels| *labels = Some(BTreeSet::new()));
        }
        for token in store.tokens(None)? {
            if let Some(labels) = labels.get_mut(&token.user) {
                labels.get_or_insert_default().insert(token.label);
            }
        }
        return Ok(labels);
    }
    for (name, labels) in &mut labels {
        if store.user(name)?.is_some() {
            let tokens = store.tokens(Some(name))?;
            *labels = Some(tokens.into_iter().map(|token| token.label).collect());
        }
    }
    Ok(labels)
}

fn labels_of<'a>(taken: &'a mut Labels, user: &UserName) -> &'a mut BTreeSet<String> {
    taken.entry(user.clone()).or_default().get_or_insert_default()
}

/// The default label and the stored form of a row's algorithm.
fn mode(kind: Kind) -> (&'static str, TokenMode) {
    match kind {
        Kind::Totp { totp, state } => (
            "totp",
            TokenMode::Totp {
                totp,
                state,
                window: Window::default(),
            },
        ),
        Kind::Hotp { hotp, counter } => (
            "hotp",
            TokenMode::Hotp {
                hotp,
                state: HotpState { next: counter },
                look_ahead: LOOK_AHEAD,
            },
        ),
    }
}
