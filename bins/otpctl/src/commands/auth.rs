//! `otpctl auth`.

use std::{path::PathBuf, sync::Arc, time::Duration};

use krad::{MAX_PACKET_LENGTH, MIN_PACKET_LENGTH};
use otp_service::{Answer, Origin, Outcome, Request, Room, Service};
use otp_store::ClientSource;
use otp_validation::{
    Client, Grammar, Login, PacketDigest, Reason, ReplyAttribute, ReplyAttributes, ReplyRules, ReplySource,
    UserName, can_be_asked,
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
    fn new(source: ReplySource<'_>, attribute: &ReplyAttribute) -> Self {
        let (from, rule) = match source {
            ReplySource::User => ("user", None),
            ReplySource::Rule(name) => ("rule", Some(name.to_owned())),
            ReplySource::Client => ("client", None),
        };
        Self {
            reply: ReplyView::new(attribute),
            from,
            rule,
        }
    }

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
        let all = rules.sent(login, users, clients);
        Self {
            octets: all
                .iter()
                .map(|(_, attribute)| attribute.octets())
                .fold(0, usize::saturating_add),
            sent: all
                .into_iter()
                .map(|(source, attribute)| Sent::new(source, attribute))
                .collect(),
            rules: rules.about(login).iter().map(|rule| rule.name.clone()).collect(),
        }
    }
}

/// What a packet has room for besides its header and a Message-Authenticator.
const ROOM: usize = MAX_PACKET_LENGTH - MIN_PACKET_LENGTH - 18;

impl Auth {
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
        let told = |user: &UserName, users: &ReplyAttributes| {
            // A KDC is told nothing but yes.
            if through.source == ClientSource::Unix {
                return Told::default();
            }
            Told::new(&self.login(&described, user), users, &rules, &through.reply)
        };
        let fits = |user: &UserName, users: &ReplyAttributes| told(user, users).octets <= ROOM;
        let service = Service::new(store, Arc::clone(&context.io.clock));
        let (id, outcome) = self.decide(&service, &policy, Room::of(&fits), context)?;
        if let Err(error) = service.store().write_records() {
            context.warn(&format!("the audit trail does not have this decision: {error}"));
        }
        let told = match &outcome.user {
            Some(user) if outcome.is_accept() => told(user, &outcome.reply),
            _ => Told::default(),
        };
        self.show(id, &outcome, &told, context)?;
        Ok(match outcome.reason {
            Reason::StoreFailure => Exit::Store,
            _ if outcome.is_accept() => Exit::Ok,
            _ => Exit::No,
        })
    }

    /// What rules look at.
    fn login<'a>(&'a self, described: &'a Described, user: &'a UserName) -> Login<'a> {
        Login {
            client: &self.client,
            name: UserName::parse(self.user.as_bytes()).ok(),
            user: Some(user),
            attributes: described.attributes(&self.user),
        }
    }

    /// Asks for credentials until there is a verdict, which is told with the number of its request.
    fn decide(
        &self,
        service: &Service,
        policy: &Client,
        room: Room<'_>,
        context: &mut Context,
    ) -> Result<(u64, Outcome), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut prompt = "Credential: ".to_owned();
        let mut state = None;
        // As the first request of a run of the daemon.
        let mut id = u64::from(context.io.rng.next_u32()) << 20;
        loop {
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
                room,
                origin: Origin {
                    request: Some(id),
                    peer: Some("otpctl".to_owned()),
                    nas_identifier: None,
                },
            };
            let outcome = runtime.block_on(service.validate(request, policy));
            match outcome.answer {
                Answer::Challenge(challenge) => {
                    prompt = format!("{} ", challenge.prompt);
                    state = Some(challenge.state);
                    id += 1;
                }
                _ => return Ok((id, outcome)),
            }
        }
    }

    fn show(&self, id: u64, outcome: &Outcome, told: &Told, context: &mut Context) -> Result<(), Failure> {
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
        context.result(&value, &text)
    }
}
