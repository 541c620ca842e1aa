//! `otpctl why`.

mod steps;

use otp_store::{AuditEntry, Store};
use otp_validation::UnixTime;
use serde_json::{Value, json};

use super::audit;
use crate::{
    Exit,
    context::Context,
    failure::Failure,
    text::{self, Paint, Tone, ago, escape},
    trail::{Pages, Told},
    utc,
};
use steps::{Mark, advice, steps};

/// Refusals that are shown where no request is named.
const NEWEST: usize = 10;
/// For how many seconds a packet is looked for again: the longest grace for twins, and what clients take to give up.
const REPEATED: u64 = 60;
/// Records of each chain that are looked at for it.
const LOOKED_AT: u64 = 50_000;

/// Explain a decision: everything that was looked at, in order, and what to do about it.
///
/// The number of a request stands in the daemon's log (`id`) and in `otpctl audit`. Without one, the last refusals are
/// listed. No password and no code is shown, because none was recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl why
  otpctl why 2251799813685249

The status is 0 if the request was accepted, 1 if it was rejected, 3 if nothing is known of it.")]
pub(crate) struct Why {
    /// Number of the request.
    #[arg(value_name = "ID")]
    request: Option<u64>,
}

impl Why {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        match self.request {
            Some(request) => explain(&store, request, context),
            None => last_refusals(&store, context),
        }
    }
}

fn last_refusals(store: &Store, context: &mut Context) -> Result<Exit, Failure> {
    let refusals = Pages::new(store)?.newest(NEWEST, UnixTime(0), Told::is_reject)?;
    for told in &refusals {
        audit::show(told, context)?;
    }
    match refusals.iter().rev().find_map(|told| told.entry.request) {
        Some(request) => context.note(&format!("the whole story of the last one: otpctl why {request}")),
        None => context.note("nobody was refused"),
    }
    Ok(Exit::Ok)
}

fn explain(store: &Store, request: u64, context: &mut Context) -> Result<Exit, Failure> {
    let records: Vec<_> = store
        .audit_of_request(request)?
        .into_iter()
        .map(Told::new)
        .collect();
    let Some(last) = records.last() else {
        return Err(
            Failure::object(format!("nothing is recorded of request {request}")).with_remedy(
                "take the number after `id=` in the daemon's log; a refusal is recorded within a second or two, and of a \
                 flood only a part is (`otpctl audit` says so)",
            ),
        );
    };
    let is_accept = last.is_accept();
    let now = context.now();
    let mut text = String::new();
    let mut values = Vec::new();
    for told in &records {
        let story = Story::new(store, told)?;
        text.push_str(&story.text(now, context.out));
        values.push(story.json());
    }
    if records.len() > 1 {
        text.push_str("The last of these is what was answered: the ones before it came too late, or could not be said.\n");
    }
    context.result(&json!({ "request": request, "records": values }), &text)?;
    Ok(if is_accept { Exit::Ok } else { Exit::No })
}

/// A record, and what other records have to do with it.
struct Story<'a> {
    told: &'a Told,
    /// What this one repeats.
    repeats: Vec<Told>,
    /// What has repeated this one.
    repeated_by: Vec<Told>,
}

impl<'a> Story<'a> {
    fn new(store: &Store, told: &'a Told) -> Result<Self, Failure> {
        let at = told.entry.at;
        let pages = Pages::new(store)?;
        let is_other =
            |entry: &AuditEntry| (entry.chain, entry.number) != (told.entry.chain, told.entry.number);
        let names = |entry: &AuditEntry, field: &str, packet: &str| {
            entry.record.contains(&format!("\"{field}\":\"{packet}\""))
        };
        let packet = told.text("packet");
        let repeated_by = match packet {
            Some(packet) => {
                pages.between(at, UnixTime(at.0.saturating_add(REPEATED)), LOOKED_AT, |entry| {
                    is_other(entry)
                        && is_later(entry, &told.entry)
                        && (names(entry, "packet", packet) || names(entry, "twin_of", packet))
                })?
            }
            None => Vec::new(),
        };
        let first = told
            .text("twin_of")
            .or(packet.filter(|_| told.text("reason") == Some("same-packet")));
        let repeats = match first {
            Some(first) => {
                pages.between(UnixTime(at.0.saturating_sub(REPEATED)), at, LOOKED_AT, |entry| {
                    is_other(entry) && is_later(&told.entry, entry) && names(entry, "packet", first)
                })?
            }
            None => Vec::new(),
        };
        Ok(Self {
            told,
            repeats,
            repeated_by,
        })
    }

    fn text(&self, now: UnixTime, paint: Paint) -> String {
        let told = self.told;
        let (verdict, tone) = match told.text("decision") {
            Some("accept") => ("accepted", Tone::Good),
            Some("challenge") => ("answered with a question", Tone::Strong),
            _ => ("rejected", Tone::Bad),
        };
        let mut text = format!(
            "Request {} was {}: {}.\n",
            told.entry.request.unwrap_or_default(),
            paint.paint(tone, verdict),
            told.text("reason").map(escape).unwrap_or_default()
        );
        let mut pairs = vec![("  when", self.when(now))];
        pairs.extend(facts(told));
        text.push_str(&text::pairs(pairs));
        text.push('\n');
        for (mark, sentence) in steps(told) {
            let mark = match mark {
                Mark::Passed => paint.paint(Tone::Good, "yes "),
                Mark::Failed => paint.paint(Tone::Bad, "NO  "),
                Mark::Told => paint.paint(Tone::Strong, " -  "),
            };
            text.push_str(&format!("  {mark} {}\n", escape(&sentence)));
        }
        for told in &self.repeats {
            text.push_str(&format!("  It repeats {}.\n", reference(told)));
        }
        for told in &self.repeated_by {
            let what = match told.text("reason") {
                Some("same-packet") => "The same packet came again",
                Some("twin") => "Another packet with the same credential came",
                _ => "The packet came again, and was decided anew",
            };
            text.push_str(&format!("  {what}: {}.\n", reference(told)));
        }
        text.push('\n');
        if let Some(reason) = told.reason() {
            text.push_str(&format!("{}\n", reason.explain()));
            if let Some(advice) = advice(reason, told) {
                text.push_str(&format!("{} {}\n", paint.paint(Tone::Strong, "try:"), advice));
            }
        }
        text
    }

    fn when(&self, now: UnixTime) -> String {
        let told = self.told;
        let took = told.number("micros").map(|micros| match micros {
            0..1_000 => format!("; decided in {micros} µs"),
            _ => format!("; decided in {} ms", micros / 1_000),
        });
        format!(
            "{}, {}{}",
            utc::show(told.entry.at),
            ago(told.entry.at, now),
            took.unwrap_or_default()
        )
    }

    fn json(&self) -> Value {
        let steps: Vec<_> = steps(self.told)
            .into_iter()
            .map(|(mark, sentence)| {
                let passed = match mark {
                    Mark::Passed => Some(true),
                    Mark::Failed => Some(false),
                    Mark::Told => None,
                };
                json!({ "passed": passed, "text": sentence })
            })
            .collect();
        let reason = self.told.reason();
        let list = |records: &[Told]| records.iter().map(Told::json).collect::<Vec<_>>();
        json!({
            "record": self.told.json(),
            "steps": steps,
            "explanation": reason.map(|reason| reason.explain()),
            "advice": reason.and_then(|reason| advice(reason, self.told)),
            "repeats": list(&self.repeats),
            "repeated_by": list(&self.repeated_by),
        })
    }
}

/// Whether `entry` comes after `other`, as far as it can be told.
fn is_later(entry: &AuditEntry, other: &AuditEntry) -> bool {
    if entry.chain == other.chain {
        entry.number > other.number
    } else {
        entry.at >= other.at
    }
}

/// Where it came from and whom it was about.
fn facts(told: &Told) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    let mut client = told.text("client").unwrap_or("-").to_owned();
    if let Some(peer) = told.text("peer") {
        client.push_str(&format!(" ({peer})"));
    }
    if let Some(nas) = told.text("nas") {
        client.push_str(&format!(", NAS-Identifier {nas:?}"));
    }
    facts.push(("  client", client));
    let name = told.text("name").unwrap_or_default();
    let user = match told.text("user") {
        Some(user) if user == name => user.to_owned(),
        Some(user) => format!("{user}, sent as {name:?}"),
        None => format!("{name:?}, as it was sent"),
    };
    facts.push(("  user", user));
    facts
}

fn reference(told: &Told) -> String {
    let request = told.entry.request.map(|id| format!("request {id}, "));
    format!("{}{}", request.unwrap_or_default(), utc::show(told.entry.at))
}
