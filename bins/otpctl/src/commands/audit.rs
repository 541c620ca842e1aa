//! `otpctl audit`.

use std::{thread, time::Duration};

use otp_store::{Broken, Head, HeadError};
use otp_validation::UnixTime;
use serde_json::{Value, json};

use crate::{
    Exit,
    context::Context,
    failure::Failure,
    progress::Progress,
    text::{Tone, count},
    trail::{Pages, Told},
    utc::{self, Moment},
};

/// Between two looks for what is new.
const POLL: Duration = Duration::from_millis(500);

/// Show the audit trail: who was let in or refused and why, and what administrators did.
///
/// A line has the time (UTC), what it was, why or what exactly, who it was about, through which client or by whom, and
/// the number that `otpctl why` takes. It holds no password and no code.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  otpctl audit --since 2h --user alice
  otpctl audit --follow
  otpctl audit verify"
)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Option<Command>,
    /// Nothing older: 2h, 30m, 7d, or 2026-11-22T03:12 in UTC.
    #[arg(long, value_name = "TIME", value_parser = utc::parse)]
    since: Option<Moment>,
    /// Only this user, by the stored name or as it was sent.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only this client.
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// So many records at most: the newest.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Go on with what is recorded from now on, until Ctrl-C.
    #[arg(long)]
    follow: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(Verify),
}

impl Audit {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match &self.command {
            Some(Command::Verify(command)) => command.run(context),
            None => self.list(context),
        }
    }

    fn list(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let now = context.now();
        let since = self.since.map_or(UnixTime(0), |moment| moment.time(now));
        let pages = Pages::new(&store)?;
        let mut position = pages.position();
        for told in pages.newest(self.limit, since, |told| self.wants(told))? {
            show(&told, context)?;
        }
        if !self.follow {
            return Ok(Exit::Ok);
        }
        loop {
            thread::sleep(POLL);
            for told in Pages::new(&store)?.appended(&mut position)? {
                if self.wants(&told) {
                    show(&told, context)?;
                }
            }
        }
    }

    fn wants(&self, told: &Told) -> bool {
        self.user.as_ref().is_none_or(|user| told.is_about_user(user))
            && self
                .client
                .as_ref()
                .is_none_or(|client| told.is_about_client(client))
    }
}

/// One record as one line.
pub(super) fn show(told: &Told, context: &mut Context) -> Result<(), Failure> {
    let text = format!("{}\n", told.line(context.out));
    context.result(&told.json(), &text)
}

/// Look at every record: whether any was changed, moved or taken away.
///
/// The end of a chain can be cut off together with what tells of it. Note the heads that this prints where nobody who can
/// write to the database can change them, and give them back with --head.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl audit verify
  otpctl audit verify --json >> /mnt/other-machine/heads
  otpctl audit verify --head 6f…:1042:9a…

The status is 0 if the trail is whole, 1 if it is not.")]
struct Verify {
    /// A head that was noted earlier; may be given several times.
    #[arg(long = "head", value_name = "CHAIN:NUMBER:LINK", value_parser = parse_head)]
    heads: Vec<Head>,
}

fn parse_head(text: &str) -> Result<Head, HeadError> {
    text.parse()
}

impl Verify {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let total: u64 = store.audit_heads()?.iter().map(|head| head.number).sum();
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        let progress = Progress::of(context, total, "verifying");
        let found = store.verify_audit(&self.heads, |done, total| progress.at(done, total))?;
        drop(progress);
        let heads: Vec<_> = found.heads.iter().map(ToString::to_string).collect();
        let value = json!({
            "sound": found.is_sound(),
            "records": found.records,
            "first": found.first.map(utc::show),
            "last": found.last.map(utc::show),
            "heads": heads,
            "broken": found.broken.iter().map(view).collect::<Vec<_>>(),
        });
        let period = match (found.first, found.last) {
            (Some(first), Some(last)) => format!(", {} to {}", utc::show(first), utc::show(last)),
            _ => String::new(),
        };
        let records = usize::try_from(found.records).unwrap_or(usize::MAX);
        let verdict = if found.is_sound() {
            context.out.paint(Tone::Good, "whole")
        } else {
            context.out.paint(Tone::Bad, "broken")
        };
        let mut text = format!(
            "The audit trail is {verdict}: {} in {}{period}.\n",
            count(records, "record"),
            count(heads.len(), "chain")
        );
        for Broken {
            chain, number, why, ..
        } in &found.broken
        {
            text.push_str(&format!("  chain {chain}, record {number}: {why}\n"));
        }
        if found.is_sound() {
            text.push_str("Note elsewhere, and check later with --head:\n");
            heads
                .iter()
                .for_each(|head| text.push_str(&format!("  {head}\n")));
        }
        context.result(&value, &text)?;
        if found.is_sound() {
            return Ok(Exit::Ok);
        }
        context.warn(
            "somebody has written to the database with something else than this program, or a part of it was restored or lost; \
             what stands before the record is as it was written",
        );
        Ok(Exit::No)
    }
}

fn view(broken: &Broken) -> Value {
    json!({
        "chain": broken.chain.to_string(),
        "number": broken.number,
        "why": broken.why.to_string(),
    })
}
