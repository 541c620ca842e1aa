//! `otpctl kdc try`.

use std::fs;

use kdc_otp::{Answer, Ask, OtpModule, Outcome, Principal, RequestError, Step};
use kdc_otp_config::{Filesystem, Outcome as Start, Severity};
use krb5_profile::{Profile, text as octets_to_text};
use serde_json::{Value, json};

use super::{
    exchange::{Exchange, now},
    getstrs,
    sources::Sources,
};
use crate::{
    Echo, Exit,
    context::Context,
    failure::Failure,
    io::read_line,
    text::{Tone, escape},
};

/// Do with an OTP what the KDC would do: ask the same servers in the same order, and tell what comes of it.
///
/// The OTP is read from the terminal or from standard input. A code that is right is spent. Without --user-string or
/// --from-stdin, kadmin.local reads the principal's "otp" string from the database of this machine. Secret files are read;
/// run it as the user who runs the KDC.
#[derive(Debug, clap::Args)]
#[command(
    name = "try",
    after_help = "\
Examples:
  otpctl kdc try alice                                         as root on the KDC
  otpctl kdc try alice --user-string '[{\"type\":\"vpn\"}]'
  printf '%s\\n' '[{}]' 123456 | otpctl kdc try alice@EXAMPLE.COM --from-stdin ./kdc.conf

The status is 0 if the KDC would issue a ticket, 1 if not."
)]
pub(crate) struct Try {
    /// Kerberos principal, e.g. alice or alice@EXAMPLE.COM.
    principal: String,
    /// Its "otp" string attribute.
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    user_string: Option<String>,
    /// Read its "otp" string attribute from the first line of standard input, and the OTP from the second.
    #[arg(long, conflicts_with = "user_string")]
    from_stdin: bool,
    /// NAS-Identifier of the requests [default: the name of this host].
    #[arg(long, value_name = "NAME")]
    nas_identifier: Option<String>,
    #[command(flatten)]
    sources: Sources,
}

/// What becomes of it.
enum Verdict {
    /// The KDC cannot ask at all.
    NoModule(&'static str, String),
    /// The KDC refuses before it asks.
    Refused(RequestError),
    /// It asked.
    Asked(Outcome, Vec<Step>, Exchange),
}

impl Try {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let (files, build) = (self.sources.files(context)?, self.sources.build());
        let report = kdc_otp_config::check(&files, &Filesystem, &build);
        match report.outcome() {
            Start::DoesNotStart(error) => {
                return self.tell(&Verdict::NoModule("does-not-start", error.to_string()), context);
            }
            Start::WithoutOtp(error) => {
                return self.tell(&Verdict::NoModule("without-otp", error.to_string()), context);
            }
            Start::Ready(_) => {}
        }
        if report.worst() == Some(Severity::Error) {
            context.warn("the configuration has errors; `otpctl kdc check` tells them");
        }
        let profile = Profile::load(&files, &Filesystem, build.final_rule()).map_err(Failure::data)?;
        let default_realm = profile.value(["libdefaults", "default_realm"]);
        let principal = Principal::parse(self.principal.as_bytes(), default_realm).map_err(Failure::data)?;
        let nas_identifier = match &self.nas_identifier {
            Some(name) => name.clone().into_bytes(),
            None => host_name()?,
        };
        let module = OtpModule::new(report.types(), nas_identifier, &build).map_err(Failure::data)?;

        let user_string = self.user_string(&principal, context)?;
        // What is of no use needs no OTP to show it.
        let asks = user_string.as_deref().map(|value| module.asks(&principal, value));
        match asks {
            None => return self.tell(&Verdict::Refused(RequestError::NotOffered), context),
            Some(Err(error)) => return self.tell(&Verdict::Refused(error), context),
            Some(Ok(_)) => {}
        }
        let otp = context.ask(&format!("OTP of {principal}: "), Echo::Shown)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let verdict = match module.verify(&principal, user_string.as_deref(), &otp, now()) {
            Err(error) => Verdict::Refused(error),
            Ok(mut verification) => {
                let exchange = runtime.block_on(Exchange::run(&mut verification, &mut context.io.rng));
                let outcome = verification.outcome().cloned().unwrap_or(Outcome::NotAccepted);
                Verdict::Asked(outcome, verification.steps().to_vec(), exchange)
            }
        };
        self.tell(&verdict, context)
    }

    fn user_string(&self, principal: &Principal, context: &mut Context) -> Result<Option<Vec<u8>>, Failure> {
        if let Some(value) = &self.user_string {
            return Ok(Some(value.clone().into_bytes()));
        }
        if !self.from_stdin {
            return getstrs::otp_string(principal);
        }
        let line = read_line(&mut *context.io.stdin)?.ok_or_else(|| {
            Failure::data("standard input is empty").with_remedy("give the user string as its first line")
        })?;
        Ok(Some(line.to_vec()))
    }

    fn tell(&self, verdict: &Verdict, context: &mut Context) -> Result<Exit, Failure> {
        let granted = matches!(verdict, Verdict::Asked(Outcome::Granted { .. }, ..));
        let mut text = String::new();
        if let Verdict::Asked(_, steps, exchange) = verdict {
            for step in steps {
                text.push_str(&describe(step, exchange, context));
            }
        }
        let tone = if granted { Tone::Good } else { Tone::Bad };
        let (name, explanation) = verdict.explain();
        text.push_str(&format!(
            "{}: {}\n",
            context.out.paint(tone, name),
            escape(&explanation)
        ));
        if let Some(logged) = verdict.logged_as() {
            text.push_str(&format!(
                "krb5kdc would log: preauth (otp) verify failure: {logged}\n"
            ));
        }
        context.result(&self.json(verdict), &text)?;
        Ok(if granted { Exit::Ok } else { Exit::No })
    }

    fn json(&self, verdict: &Verdict) -> Value {
        let (name, explanation) = verdict.explain();
        let (steps, indicators) = match verdict {
            Verdict::Asked(outcome, steps, exchange) => {
                let steps = steps.iter().map(|step| step_json(step, exchange)).collect();
                (steps, indicators_of(outcome))
            }
            _ => (Vec::new(), Vec::new()),
        };
        json!({
            "principal": self.principal,
            "verdict": name,
            "explanation": explanation,
            "indicators": indicators,
            "logged_as": verdict.logged_as(),
            "steps": steps,
        })
    }
}

impl Verdict {
    /// Its name, and in a sentence what it means.
    fn explain(&self) -> (&'static str, String) {
        match self {
            Self::NoModule("does-not-start", cause) => {
                ("does-not-start", format!("the KDC does not start: {cause}"))
            }
            Self::NoModule(name, cause) => (name, format!("the KDC runs without OTP: {cause}")),
            Self::Refused(error @ RequestError::NotOffered) => ("not-offered", format!("no ticket: {error}")),
            Self::Refused(error) => ("unusable", format!("no ticket, and no server is asked: {error}")),
            Self::Asked(outcome @ Outcome::Granted { .. }, ..) => {
                let indicators = indicators_of(outcome);
                let carries = match indicators.is_empty() {
                    true => "no authentication indicators".to_owned(),
                    false => format!("the authentication indicators {}", indicators.join(", ")),
                };
                ("granted", format!("the KDC issues a ticket with {carries}"))
            }
            Self::Asked(Outcome::Failed { token, failure }, ..) => {
                let number = token.saturating_add(1);
                let cause = format!("no ticket: {failure}; no token after token {number} is tried");
                ("failed", cause)
            }
            Self::Asked(..) => ("not-accepted", "no ticket: no server accepted the OTP".to_owned()),
        }
    }

    fn logged_as(&self) -> Option<&'static str> {
        match self {
            Self::NoModule(..) => None,
            Self::Refused(error) => Some(error.logged_as()),
            Self::Asked(outcome, ..) => outcome.logged_as(),
        }
    }
}

fn indicators_of(outcome: &Outcome) -> Vec<String> {
    match outcome {
        Outcome::Granted { indicators, .. } => indicators.iter().map(|one| octets_to_text(one)).collect(),
        _ => Vec::new(),
    }
}

/// Type, server and User-Name of a question, made printable.
fn question(ask: &Ask) -> [String; 3] {
    let token_type = ask.token_type();
    let (name, user) = (octets_to_text(token_type.name()), octets_to_text(ask.user_name()));
    [name, token_type.server().to_string(), user]
}

fn answer_of(answer: &Answer) -> (String, Option<String>) {
    match answer {
        Answer::Accepted => ("Access-Accept".to_owned(), None),
        Answer::NotAccepted(code) => (code.to_string(), None),
        Answer::Failed(failure) => ("failed".to_owned(), Some(failure.to_string())),
    }
}

fn describe(step: &Step, exchange: &Exchange, context: &Context) -> String {
    let [name, server, user] = question(&step.ask);
    let (answer, cause) = answer_of(&step.answer);
    let tone = match step.answer {
        Answer::Accepted => Tone::Good,
        Answer::NotAccepted(_) => Tone::Caution,
        Answer::Failed(_) => Tone::Bad,
    };
    let token = step.ask.token();
    let mut text = format!(
        "token {} ({}): asked {} about {}: {}{} after {} ms\n",
        token.saturating_add(1),
        escape(&name),
        escape(&server),
        escape(&user),
        context.out.paint(tone, answer),
        cause
            .map(|cause| format!(" ({})", escape(&cause)))
            .unwrap_or_default(),
        step.took.as_millis(),
    );
    for note in exchange.notes.iter().filter(|note| note.token == token) {
        text.push_str(&format!("    {}\n", escape(&note.text)));
    }
    text
}

fn step_json(step: &Step, exchange: &Exchange) -> Value {
    let [name, server, user] = question(&step.ask);
    let (answer, cause) = answer_of(&step.answer);
    let token = step.ask.token();
    let notes: Vec<_> = exchange
        .notes
        .iter()
        .filter(|note| note.token == token)
        .map(|note| &note.text)
        .collect();
    json!({
        "token": token.saturating_add(1),
        "type": name,
        "server": server,
        "user_name": user,
        "answer": answer,
        "cause": cause,
        "packets": exchange.sent_for(token),
        "milliseconds": u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX),
        "notes": notes,
    })
}

/// What `gethostname` gives, without a newline.
fn host_name() -> Result<Vec<u8>, Failure> {
    let path = std::path::Path::new("/proc/sys/kernel/hostname");
    let mut name = fs::read(path).map_err(|error| {
        Failure::file("read", path, error).with_remedy("say what the KDC calls itself with --nas-identifier")
    })?;
    if name.last() == Some(&b'\n') {
        name.pop();
    }
    Ok(name)
}
