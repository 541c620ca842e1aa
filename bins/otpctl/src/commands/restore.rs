//! `otpctl restore`.

use std::{fs::File, path::PathBuf};

use otp_store::{RestoreOptions, Restored, Store};
use serde_json::json;

use crate::{
    Exit,
    commands::backup::{age, contents, view},
    context::{Context, of_the_state},
    failure::Failure,
    progress::Progress,
};

/// Make a store from a backup, where there is none; the sealing key must be there already.
///
/// Nobody knows which codes were accepted since the backup was made, so every code that may have been counts as spent. Failures
/// and locks are kept.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, on a new machine:
  install -d -o otp-radiusd -g otp-radiusd -m 0700 /var/lib/otp-radiusd
  install -o otp-radiusd -g otp-radiusd -m 0600 copy-of-seal.key /var/lib/otp-radiusd/seal.key
  sudo -u otp-radiusd otpctl restore /srv/backup/otp.backup

No otpctl init: it would make another key. With --database URL the backup fills an empty PostgreSQL database.

Codes of TOTP tokens are accepted again after a minute or two. Counters of HOTP tokens are advanced by the token's look-ahead and one
more: a device that showed fewer codes than that since the backup is refused until it has caught up (press on), and one that showed
more goes on at once, within its look-ahead. If devices may have shown many more, advance by as many with --hotp-advance: codes
beyond that could otherwise be used a second time.")]
pub(crate) struct Restore {
    /// The backup. It is read twice, so it cannot come from a pipe.
    file: PathBuf,
    /// Read it to its end, open everything in it, say what it holds, and change nothing.
    #[arg(long, conflicts_with = "hotp_advance")]
    check: bool,
    /// Advance counters of HOTP tokens by at least this [default: look-ahead + 1, which is also the least].
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    hotp_advance: u32,
}

impl Restore {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let location = context.location()?;
        let mut file = File::open(&self.file).map_err(|error| Failure::file("open", &self.file, error))?;
        let octets = file.metadata().map_or(0, |metadata| metadata.len());
        // A row takes some 200 octets.
        let rows = usize::try_from(octets / 200).unwrap_or(usize::MAX);
        if self.check {
            let bar = Progress::of(context, rows, "checking");
            let checked = Store::check_backup(&location, &mut file, |progress| {
                bar.at(progress.done, progress.total)
            });
            drop(bar);
            let summary = checked.map_err(of_the_state)?;
            let text = format!(
                "{} is sound: {}, made {}, sealed with key {}.\n",
                self.file.display(),
                contents(&summary),
                age(&summary, context),
                summary.key
            );
            context.result(&json!({ "backup": view(&summary) }), &text)?;
            return Ok(Exit::Ok);
        }
        let options = RestoreOptions {
            hotp_advance: self.hotp_advance,
        };
        let bar = Progress::of(context, rows.saturating_mul(2), "restoring");
        let now = context.now();
        let restored = Store::restore(
            &location,
            &mut file,
            now,
            options,
            &mut context.io.rng,
            |progress| {
                bar.at(progress.done, progress.total);
            },
        );
        drop(bar);
        let restored = restored.map_err(of_the_state)?;
        let text = self.text(&restored, &location.name(), context);
        let value = json!({
            "backup": view(&restored.backup),
            "store": location.name(),
            "hotp_tokens": restored.hotp_tokens,
            "totp_tokens": restored.totp_tokens,
            "totp_from": restored.totp_from.map(|time| time.0),
        });
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }

    fn text(&self, restored: &Restored, store: &str, context: &Context) -> String {
        let mut text = format!(
            "Restored {} into {store}, from a backup made {}.\n",
            contents(&restored.backup),
            age(&restored.backup, context)
        );
        if let Some(from) = restored.totp_from {
            let wait = from.0.saturating_sub(context.now().0);
            text.push_str(&format!(
                "Codes of TOTP tokens ({}) are accepted in {wait} seconds at the latest.\n",
                restored.totp_tokens
            ));
        }
        if restored.hotp_tokens > 0 {
            let by = match self.hotp_advance {
                0 => "their look-ahead and one more".to_owned(),
                count => format!("{count}, or their look-ahead and one more if that is larger"),
            };
            text.push_str(&format!(
                "Counters of HOTP tokens ({}) were advanced by {by}: a device that is refused catches up when its button is \
                 pressed that often.\n",
                restored.hotp_tokens
            ));
        }
        text.push_str("What was changed since the backup is lost: users, tokens, passwords, clients.\n");
        text
    }
}
