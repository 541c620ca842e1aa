//! `otpctl token import`.

mod plan;
mod secrets;

use std::{collections::BTreeSet, fs::File, io::Read, path::PathBuf};

use otp_store::MissingUsers;
use otp_validation::UserName;
use pskc::KeySource;
use serde_json::json;
use zeroize::Zeroizing;

use crate::{
    Echo, Exit,
    context::Context,
    csv_import::{self, Column, LineError, Row, ShortKeys},
    failure::Failure,
    progress::Progress,
    pskc_import::{self, ImportError, Options},
    text::count,
    values::parse_user,
};
use plan::Plan;
use secrets::Repeated;

/// The largest file: some million tokens.
const LARGEST_FILE: u64 = 256 * 1024 * 1024;

/// Import tokens from CSV or PSKC: all of them, or none.
///
/// CSV: the first line names the columns, in any order: user, label, type, secret, algorithm, digits, period, counter.
/// Only user and secret are needed; what is missing or empty is the default. Secrets are base32, or hexadecimal after
/// "hex:".
///
/// PSKC (RFC 6030), plain or encrypted: the user is the UserId of the key or its device (of a distinguished name, its
/// UID), the label the FriendlyName or the serial number. The passphrase or pre-shared key (in hexadecimal) of an
/// encrypted container is asked for.
///
/// Every line that is wrong is reported, and nothing is stored unless every line is right. The tokens are active. A secret
/// that occurs twice, or that the user has a token of already, is warned of: the file may have been imported before.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl token import tokens.csv --dry-run
  otpctl token import tokens.csv --create-users
  gpg -d tokens.csv.gpg | otpctl token import -
  otpctl token import delivery.pskcxml --user alice
  otpctl token import delivery.pskcxml --container-key-file passphrase.txt

A CSV file:
  user,label,type,secret,digits,counter
  alice,phone,totp,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,,
  bob,keyring,hotp,hex:3132333435363738393031323334353637383930,8,42")]
pub(crate) struct Import {
    /// The file; "-" is standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How the file is written; "auto" is PSKC if it begins with "<".
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    format: Format,
    /// Add the users that are missing.
    #[arg(long)]
    create_users: bool,
    /// PSKC: whose all the tokens are, whatever the container says.
    #[arg(long, value_name = "USER", value_parser = parse_user)]
    user: Option<UserName>,
    /// PSKC: a file with the passphrase or the pre-shared key (in hexadecimal) of an encrypted container.
    #[arg(long, value_name = "FILE")]
    container_key_file: Option<PathBuf>,
    /// PSKC: read a signed container without verifying the signature: anyone may have made it.
    #[arg(long)]
    dangerous_ignore_signature: bool,
    /// Check everything, store nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take keys of less than 16 octets (RFC 4226 forbids them): guessing them from codes becomes feasible.
    #[arg(long)]
    dangerous_allow_short_keys: bool,
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// What the file looks like.
    Auto,
    /// Comma-separated values.
    Csv,
    /// Portable Symmetric Key Container (RFC 6030).
    Pskc,
}

impl Import {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let file = self.read(context)?;
        let is_pskc = match self.format {
            Format::Auto => pskc_import::is_xml(&file),
            format => format == Format::Pskc,
        };
        let rows = if is_pskc {
            self.read_pskc(&file, context)?
        } else {
            self.read_csv(&file, context)?
        };
        drop(file);
        let repeated = Repeated::find(
            &rows,
            &store,
            &Progress::of(context, rows.len(), "comparing secrets"),
        )?;
        let progress = Progress::of(context, rows.len(), "checking");
        let planned = Plan::new(rows, self.create_users, &store, context.now(), &progress)?;
        drop(progress);
        let plan = match planned {
            Ok(plan) => plan,
            Err(mut errors) => {
                if is_pskc {
                    errors.iter_mut().for_each(|error| error.column = None);
                }
                return Err(self.refuse(errors.into_iter().map(Refused::from).collect(), context));
            }
        };
        // Before anything is stored, so that there is still time to stop it.
        repeated.warn(context);
        if !self.dry_run {
            let missing = if self.create_users {
                MissingUsers::Create
            } else {
                MissingUsers::Refuse
            };
            let progress = Progress::unmeasured(context, plan.tokens.len(), "storing");
            let stored = store.add_tokens(&plan.tokens, missing, &mut context.io.rng);
            drop(progress);
            stored.map_err(|error| plan.locate(error))?;
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

    fn short_keys(&self) -> ShortKeys {
        if self.dangerous_allow_short_keys {
            ShortKeys::DangerousAllow
        } else {
            ShortKeys::Refuse
        }
    }

    fn read_csv(&self, file: &[u8], context: &mut Context) -> Result<Vec<Row>, Failure> {
        if self.user.is_some() || self.container_key_file.is_some() || self.dangerous_ignore_signature {
            return Err(Failure::usage(
                "--user, --container-key-file and --dangerous-ignore-signature are for PSKC",
            )
            .with_remedy("leave them out, or say --format pskc"));
        }
        csv_import::parse(file, self.short_keys())
            .map_err(|errors| self.refuse(errors.into_iter().map(Refused::from).collect(), context))
    }

    fn read_pskc(&self, file: &[u8], context: &mut Context) -> Result<Vec<Row>, Failure> {
        let options = Options {
            short_keys: self.short_keys(),
            ignore_signature: self.dangerous_ignore_signature,
            user: self.user.clone(),
            now: context.now().0,
        };
        let mut read = pskc_import::parse(file, None, &options);
        if let Err(errors) = &read
            && let [ImportError::Container(error)] = errors.as_slice()
            && let pskc::Problem::KeyNeeded { kind, name } = &error.problem
        {
            let source = self.container_key(*kind, name.as_deref(), context)?;
            read = pskc_import::parse(file, Some(&source), &options);
        }
        let tokens = read.map_err(|errors| {
            use pskc::Problem::{KeyLength, NotAuthentic};
            match errors.as_slice() {
                // It is not the file that has to be corrected.
                [ImportError::Container(error)]
                    if matches!(error.problem, KeyLength { .. } | NotAuthentic) =>
                {
                    Failure::data(error.problem.to_string()).with_remedy(error.problem.remedy())
                }
                _ => self.refuse(errors.into_iter().map(Refused::from).collect(), context),
            }
        })?;
        if let Some((number, date)) = tokens.expiring {
            context.warn(&format!(
                "{} of the file has an expiry date, the earliest at {date}: it is not kept; disable the tokens in time",
                count(number, "key"),
            ));
        }
        Ok(tokens.rows)
    }

    /// The passphrase or key that opens a container: from its file, or else asked for.
    fn container_key(
        &self,
        kind: pskc::KeyKind,
        name: Option<&str>,
        context: &mut Context,
    ) -> Result<KeySource, Failure> {
        let name = name.map(|name| format!(" {name}")).unwrap_or_default();
        let octets = match &self.container_key_file {
            Some(path) => {
                let mut octets = Zeroizing::new(Vec::with_capacity(4096));
                File::open(path)
                    .and_then(|file| file.take(4096).read_to_end(&mut octets))
                    .map_err(|error| Failure::file("read", path, error))?;
                let line = octets.strip_suffix(b"\n").unwrap_or(&octets);
                Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec())
            }
            None if self.file.as_os_str() == "-" => {
                return Err(Failure::usage(format!(
                    "the container on standard input needs the {kind}{name}"
                ))
                .with_remedy("say --container-key-file, or give the container as a file"));
            }
            None => context.ask(&format!("The {kind}{name} of the container: "), Echo::Hidden)?,
        };
        let source = match kind {
            pskc::KeyKind::Passphrase => pskc::Passphrase::new(&octets).map(KeySource::from),
            _ => {
                let text = str::from_utf8(&octets).map(str::trim).unwrap_or_default();
                let key = otp_core::hex::decode(text).map_err(|error| {
                    Failure::data(format!("the {kind} is not hexadecimal: {error}"))
                        .with_remedy("write 32, 48 or 64 digits 0-9 and a-f")
                })?;
                pskc::PreSharedKey::new(&key).map(KeySource::from)
            }
        };
        source.map_err(|error| Failure::data(error).with_remedy("check which key belongs to the container"))
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
        Err(Failure::data("the file is larger than 256 MiB").with_remedy("split it"))
    }

    /// Reports every line, then the whole.
    fn refuse(&self, errors: Vec<Refused>, context: &mut Context) -> Failure {
        let file = if self.file.as_os_str() == "-" {
            "standard input".to_owned()
        } else {
            self.file.display().to_string()
        };
        if context.json {
            for error in &errors {
                let line = json!({ "line_error": error.json });
                let _ = writeln!(context.io.stderr, "{line}");
            }
        } else {
            for error in &errors {
                let _ = writeln!(
                    context.io.stderr,
                    "{}",
                    crate::text::escape(&format!("{file}: {}", error.text))
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
}

/// What is wrong in one place of a file, as it is reported.
struct Refused {
    line: u64,
    text: String,
    json: serde_json::Value,
}

impl From<LineError> for Refused {
    fn from(error: LineError) -> Self {
        let json = json!({
            "line": error.line,
            "column": error.column.map(Column::name),
            "message": error.problem.to_string(),
            "remedy": error.problem.remedy(),
        });
        Self {
            line: error.line,
            text: error.to_string(),
            json,
        }
    }
}

impl From<ImportError> for Refused {
    fn from(error: ImportError) -> Self {
        let line = error.position().line;
        let json = json!({
            "line": line,
            "column": null,
            "message": error.problem().to_string(),
            "remedy": error.remedy(),
        });
        Self {
            line,
            text: error.to_string(),
            json,
        }
    }
}
