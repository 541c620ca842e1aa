//! `otpctl auth`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use krad::{MAX_PACKET_LENGTH, MIN_PACKET_LENGTH};
use otp_service::{Answer, Origin, Request, Room, Service};
use otp_store::ClientSource;
use otp_validation::{
    Grammar, Login, PacketDigest, Reason, ReplyAttributes, ReplyRules, UserName, can_be_asked, merged,
};
use rand::Rng;
use serde::Serialize;
use serde_json::json;

use super::client;
use crate::{
    Echo, Exit,
    conditions::Described,
    context::Context,
    failure::Failure,
    reply::{self, ReplyView},
    text::{Tone, escape},
};

/// Decide one login exactly as for a RADIUS request, and say why.
///
/// The credential (code, or password and code) is read from the terminal or as one line of standard input; where the client is
/// asked for the code in a second step (`challenge`, `auto`), each step is a line. A code that is right is spent; failures count.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl auth alice
  echo 123456 | otpctl auth alice@EXAMPLE.COM --client vpn
  echo 123456 | otpctl auth alice --client ap7 --attribute Called-Station-Id=00-11-22-33-44-55:guest

An Access-Accept is shown with the attributes that it would carry, each with where it comes from: the user, a rule, the client.

The status is 0 for accept, 1 for reject and for what others decide: realms and users of an upstream are theirs, realms are known
to the daemon alone.")]
pub(crate) struct Auth {
    /// User-Name, as a client would send it.
    user: String,
    /// Client whose rules apply.
    #[arg(long, value_name = "NAME", default_value = "kdc")]
    client: String,
    /// An attribute of the request, for rules that look at it. Give the option again for more.
    #[arg(long, group = "named", value_name = "NAME=VALUE")]
    attribute: Vec<String>,
    /// Take more names of attributes from a dictionary in the format of FreeRADIUS.
    #[arg(long, value_name = "FILE", requires = "named")]
    dictionary: Option<PathBuf>,
}

/// An attribute that would be sent, and where it comes from.
#[derive(Serialize)]
struct Sent {
    #[serde(flatten)]
    reply: ReplyView,
    /// `user`, `rule` or `client`.
    from: &'static str,
    /// Which rule.
    rule: Option<String>,
}

impl Sent {
    fn line(&self) -> String {
        let line = self.reply.line();
        match &self.rule {
            Some(rule) => format!("Reply: {line} ({} {})\n", self.from, escape(rule)),
            None => format!("Reply: {line} ({})\n", self.from),
        }
    }
}

/// What an acceptance would say besides yes.
#[derive(Default)]
struct Told {
    /// The rules that are about the login, in their order.
    rules: Vec<String>,
    sent: Vec<Sent>,
    /// In the packet.
    octets: usize,
}

impl Told {
    fn new(
        login: &Login<'_>,
        users: &ReplyAttributes,
        rules: &ReplyRules,
        clients: &ReplyAttributes,
    ) -> Self {
        let about = rules.about(login);
        let sources = [(("user", None), users)]
            .into_iter()
            .chain(about.iter().map(|rule| (("rule", Some(&rule.name)), &rule.reply)))
            .chain([(("client", None), clients)]);
        let all = merged(sources);
        Self {
            octets: all
                .iter()
                .map(|(_, attribute)| attribute.octets())
                .fold(0, usize::saturating_add),
            sent: all
                .into_iter()
                .map(|((from, rule), attribute)| Sent {
                    reply: ReplyView::new(attribute),
                    from,
                    rule: rule.cloned(),
                })
                .collect(),
            rules: about.iter().map(|rule| rule.name.clone()).collect(),
        }
    }
}

/// What a packet has room for besides its header and a Message-Authenticator.
const ROOM: usize = MAX_PACKET_LENGTH - MIN_PACKET_LENGTH - 18;

impl Auth {
    /// What rules look at.
    fn login<'a>(&'a self, described: &'a Described, user: Option<&'a UserName>) -> Login<'a> {
        Login {
            client: &self.client,
            name: UserName::parse(self.user.as_bytes()).ok(),
            user,
            attributes: described.attributes(&self.user),
        }
    }

    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let through = client::find(&store, &self.client)?;
        let dictionary = reply::dictionary(self.dictionary.as_deref())?;
        let described = Described::new(&dictionary, &self.attribute)?;
        let rules = store.reply_rules()?;
        let mut policy = through.policy();
        let usage = store.client_usage()?.get(&through.id).map(|report| report.usage);
        if let Some(usage) = usage.filter(|_| policy.grammar == Some(Grammar::Auto)) {
            policy.can_challenge &= can_be_asked(usage.asked, usage.answered.count);
        }
        // A KDC is told nothing but yes.
        let is_kdc = through.source == ClientSource::Unix;
        let fits = |user: &UserName, users: &ReplyAttributes| {
            is_kdc
                || Told::new(&self.login(&described, Some(user)), users, &rules, &through.reply).octets
                    <= ROOM
        };
        let service = Service::new(store, Arc::clone(&context.io.clock));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut prompt = "Credential: ".to_owned();
        let mut state = None;
        // As the first request of a run of the daemon.
        let id = u64::from(context.io.rng.next_u32()) << 20;
        let mut step = 0;
        let outcome = loop {
            let credential = context.ask(&prompt, Echo::Hidden)?;
            // There is no packet; random octets are like no other.
            let mut packet = PacketDigest([0; 32]);
            context.io.rng.fill_bytes(&mut packet.0);
            let request = Request {
                user_name: self.user.clone().into_bytes(),
                credential: Some(credential.into()),
                state: state.take(),
                packet,
                channel: None,
                realm: None,
                patience: Duration::from_secs(30),
                room: Room::of(&fits),
                origin: Origin {
                    request: Some(id + step),
                    peer: Some("otpctl".to_owned()),
                    nas_identifier: None,
                },
            };
            let outcome = runtime.block_on(service.validate(request, &policy));
            match outcome.answer {
                Answer::Challenge(challenge) => {
                    prompt = format!("{} ", challenge.prompt);
                    state = Some(challenge.state);
                    step += 1;
                }
                _ => break outcome,
            }
        };
        if let Err(error) = service.store().write_records() {
            context.warn(&format!("the audit trail does not have this decision: {error}"));
        }
        let id = id + step;

        let verdict = outcome.verdict();
        let tone = if outcome.is_accept() {
            Tone::Good
        } else {
            Tone::Bad
        };
        let user = outcome.user.as_ref().map(ToString::to_string);
        let name = match (&user, &outcome.token) {
            (Some(user), Some(token)) => format!(" {user}/{token}"),
            (Some(user), None) => format!(" {user}"),
            (None, _) => String::new(),
        };
        let told = if outcome.is_accept() && !is_kdc {
            Told::new(
                &self.login(&described, outcome.user.as_ref()),
                &outcome.reply,
                &rules,
                &through.reply,
            )
        } else {
            Told::default()
        };
        let mut lines = String::new();
        if !told.rules.is_empty() {
            let names: Vec<_> = told.rules.iter().map(|name| escape(name)).collect();
            lines = format!("Rules: {}\n", names.join(", "));
        }
        lines.extend(told.sent.iter().map(Sent::line));
        let upstream = match &outcome.answer {
            Answer::Forward(upstream) => Some(upstream),
            _ => None,
        };
        let next = match upstream {
            Some(upstream) => format!(
                "The daemon would forward it to upstream {}, and answer what that answers. Nothing was sent; otpctl upstream list shows \
                 the servers.\n",
                escape(&upstream.to_string())
            ),
            None => format!("Step by step: otpctl why {id}\n"),
        };
        let text = format!(
            "{} {}{}\n{}\n{lines}{next}",
            context.out.paint(tone, verdict),
            outcome.reason.code(),
            escape(&name),
            outcome.reason.explain()
        );
        let value = json!({
            "verdict": verdict,
            "reason": outcome.reason.code(),
            "explanation": outcome.reason.explain(),
            "user": user,
            "token": outcome.token,
            "upstream": upstream.map(|upstream| upstream.name.to_string()),
            "upstream_name": upstream.and_then(|upstream| upstream.user_name.as_ref()).map(ToString::to_string),
            "client": self.client,
            "rules": told.rules,
            "reply": told.sent,
            "id": id,
        });
        context.result(&value, &text)?;
        Ok(match outcome.reason {
            Reason::StoreFailure => Exit::Store,
            _ if outcome.is_accept() => Exit::Ok,
            _ => Exit::No,
        })
    }
}
