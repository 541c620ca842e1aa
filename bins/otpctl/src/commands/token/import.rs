//! `otpctl token import`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::Read,
    path::PathBuf,
};

use otp_core::{HotpState, TotpState, Window};
use otp_store::{MissingUsers, NewToken, Store, StoreError};
use otp_validation::{TokenMode, TokenStatus, UserName};
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Exit, Label,
    context::Context,
    csv_import::{self, Column, Kind, LineError, Problem, Row, ShortKeys},
    failure::Failure,
    text::count,
    values::LOOK_AHEAD,
};

/// The largest file: some hundred thousand tokens.
const LARGEST_FILE: u64 = 64 * 1024 * 1024;

/// Import tokens from CSV: all of them, or none.
///
/// The first line names the columns, in any order: user, label, type, secret, algorithm, digits, period, counter. Only
/// user and secret are needed; what is missing or empty is the default. Secrets are base32, or hexadecimal after "hex:".
/// Every line that is wrong is reported, and nothing is stored unless every line is right. The tokens are active.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl token import tokens.csv --dry-run
  otpctl token import tokens.csv --create-users
  gpg -d tokens.csv.gpg | otpctl token import -

A file:
  user,label,type,secret,digits,counter
  alice,phone,totp,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,
  bob,keyring,hotp,hex:3132333435363738393031323334353637383930,8,42")]
pub(crate) struct Import {
    /// The file; "-" is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Add the users that are missing.
    #[arg(long)]
    create_users: bool,
    /// Check everything, store nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take keys of less than 16 octets (RFC 4226 forbids them): guessing them from codes becomes feasible.
    #[arg(long)]
    dangerous_allow_short_keys: bool,
}

impl Import {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let file = self.read(context)?;
        let short_keys = if self.dangerous_allow_short_keys {
            ShortKeys::DangerousAllow
        } else {
            ShortKeys::Refuse
        };
        let rows = match csv_import::parse(&file, short_keys) {
            Ok(rows) => rows,
            Err(errors) => return Err(self.refuse(&errors, context)),
        };
        drop(file);
        let plan = match self.plan(rows, &store, context)? {
            Ok(plan) => plan,
            Err(errors) => return Err(self.refuse(&errors, context)),
        };
        if !self.dry_run {
            let missing = if self.create_users {
                MissingUsers::Create
            } else {
                MissingUsers::Refuse
            };
            store
                .add_tokens(&plan.tokens, missing, &mut context.io.rng)
                .map_err(|error| plan.locate(error))?;
        }
        let (tokens, users) = (plan.tokens.len(), plan.new_users.len());
        let verb = if self.dry_run { "Would import" } else { "Imported" };
        let mut text = format!("{verb} {}", count(tokens, "token"));
        if users > 0 {
            text.push_str(&format!(" and {}", count(users, "new user")));
        }
        text.push_str(".\n");
        let value = json!({ "imported": tokens, "created_users": plan.new_users, "dry_run": self.dry_run });
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }

    fn read(&self, context: &mut Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let failed = |error| Failure::file("read", &self.file, error);
        let mut octets = Zeroizing::new(Vec::new());
        let limit = LARGEST_FILE.saturating_add(1);
        if self.file.as_os_str() == "-" {
            context.io.stdin.as_mut().take(limit).read_to_end(&mut octets)?;
        } else {
            File::open(&self.file)
                .map_err(failed)?
                .take(limit)
                .read_to_end(&mut octets)
                .map_err(failed)?;
        }
        if u64::try_from(octets.len()).is_ok_and(|length| length <= LARGEST_FILE) {
            return Ok(octets);
        }
        Err(Failure::data("the file is larger than 64 MiB").with_remedy("split it"))
    }

    /// Reports every line, then the whole.
    fn refuse(&self, errors: &[LineError], context: &mut Context) -> Failure {
        let file = if self.file.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        };
        if context.json {
            for error in errors {
                let line = json!({ "line_error": {
                    "line": error.line,
                    "column": error.column.map(Column::name),
                    "message": error.problem.to_string(),
                    "remedy": error.problem.remedy(),
                }});
                let _ = writeln!(context.io.stderr, "{line}");
            }
        } else {
            for error in errors {
                let _ = writeln!(
                    context.io.stderr,
                    "{}",
                    crate::text::escape(&format!("{file}: {error}"))
                );
            }
        }
        let lines: BTreeSet<_> = errors.iter().map(|error| error.line).collect();
        let verb = if lines.len() == 1 { "is" } else { "are" };
        Failure::data(format!(
            "{} of {file} {verb} wrong; nothing was imported",
            count(lines.len(), "line")
        ))
        .with_remedy("correct them and import the file again")
    }

    /// Gives every row its label and checks it against the store.
    fn plan(
        &self,
        rows: Vec<Row>,
        store: &Store,
        context: &Context,
    ) -> Result<Result<Plan, Vec<LineError>>, Failure> {
        let created_at = context.now();
        let mut taken = labels(store, &rows)?;
        let mut plan = Plan::default();
        let mut errors = Vec::new();
        for row in &rows {
            let known = taken.get(&row.user).is_some_and(|labels| labels.is_some());
            if !known && !self.create_users {
                errors.push(LineError::new(
                    row.line,
                    Column::User,
                    Problem::UnknownUser(format!("{:?}", row.user.as_str())),
                ));
            } else if !known {
                plan.new_users.insert(row.user.to_string());
            }
            let exists = row.label.as_ref().is_some_and(|label| {
                taken
                    .get(&row.user)
                    .and_then(Option::as_ref)
                    .is_some_and(|labels| labels.contains(label.as_str()))
            });
            if let Some(label) = row.label.as_ref().filter(|_| exists) {
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
            let labels = taken.entry(row.user.clone()).or_default().get_or_insert_default();
            labels.extend(row.label.as_ref().map(ToString::to_string));
        }
        for row in rows {
            let labels = taken.entry(row.user.clone()).or_default().get_or_insert_default();
            let (base, mode) = mode(row.kind);
            let label = row
                .label
                .unwrap_or_else(|| Label::first_free(base, |label| labels.contains(label)))
                .to_string();
            labels.insert(label.clone());
            plan.lines.push(row.line);
            let status = TokenStatus::Active;
            plan.tokens.push(NewToken {
                user: row.user,
                label,
                key: row.key,
                mode,
                status,
                created_at,
            });
        }
        Ok(Ok(plan))
    }
}

/// What is to be stored, with the lines where it stands.
#[derive(Default)]
struct Plan {
    tokens: Vec<NewToken>,
    lines: Vec<u64>,
    new_users: BTreeSet<String>,
}

impl Plan {
    /// Says which line the store refused: somebody else may have added a token in the meantime.
    fn locate(&self, error: StoreError) -> Failure {
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

/// The labels of every user in the file; `None` for users that do not exist.
fn labels(store: &Store, rows: &[Row]) -> Result<BTreeMap<UserName, Option<BTreeSet<String>>>, Failure> {
    let mut labels: BTreeMap<_, _> = rows.iter().map(|row| (row.user.clone(), None)).collect();
    for (name, labels) in &mut labels {
        if store.user(name)?.is_some() {
            *labels = Some(
                store
                    .tokens(Some(name))?
                    .into_iter()
                    .map(|token| token.label)
                    .collect(),
            );
        }
    }
    Ok(labels)
}

/// The default label and the stored form of a row's algorithm.
fn mode(kind: Kind) -> (&'static str, TokenMode) {
    match kind {
        Kind::Totp(totp) => (
            "totp",
            TokenMode::Totp {
                totp,
                state: TotpState::default(),
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
