//! `otpctl client`.

use std::time::Duration;

use ipnet::IpNet;
use otp_store::{
    ClientRecord, ClientSecret, ClientSettings, ClientSource, MessageAuthenticatorRule, NewClient, Store,
};
use otp_validation::Grammar;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    Names,
    client_report::{Report, UsageView},
    client_secret::{Added, ChangeSecret, ask_secret, generate_secret},
};
use crate::{
    Exit,
    context::Context,
    failure::Failure,
    reply::{ReplyChanges, ReplyOptions, listed},
    text::{self, ago},
    utc::{self, Moment},
    values::{parse_grammar, parse_network},
    view::ClientView,
};

/// Add, list and change RADIUS clients: VPN gateways, access points, servers with PAM.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(Add),
    List(List),
    Show(Show),
    Set(Set),
    Secret(ChangeSecret),
    Report(Report),
    /// Reject whatever clients ask until they are enabled again.
    Disable(Names),
    /// Enable clients again.
    Enable(Names),
    Rm(Rm),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Set(command) => command.run(context),
            Self::Secret(command) => command.run(context),
            Self::Report(command) => command.run(context),
            Self::Disable(Names { names }) => set_enabled(names, false, context),
            Self::Enable(Names { names }) => set_enabled(names, true, context),
            Self::Rm(command) => command.run(context),
        }
    }
}

/// Add a client.
///
/// Its secret is generated and printed once, alone on standard output, unless --secret reads one.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl client add vpn --address 192.0.2.1
  otpctl client add wifi --address 2001:db8:7::/64 --secret < secret-file
  otpctl client add gateway --address 192.0.2.7 --grammar auto
  otpctl client add branch7 --address 203.0.113.9 --nas-identifier branch7
  (umask 077; otpctl client add pam --address 198.51.100.0/24 > /etc/pam_radius_secret)

Of several networks that hold an address, the longest prefix counts; of several clients on one network, the one whose NAS-Identifier
the request has, else the one without.")]
pub(crate) struct Add {
    /// Name for logs and commands.
    name: String,
    /// Address or network, e.g. 192.0.2.1, 198.51.100.0/24 or 2001:db8::/32.
    #[arg(long, value_name = "CIDR", value_parser = parse_network)]
    address: IpNet,
    /// Take only requests with this NAS-Identifier for its own: several clients can share an address so.
    #[arg(long, value_name = "TEXT")]
    nas_identifier: Option<String>,
    /// Read the shared secret: asked for twice on a terminal, else one line of standard input.
    #[arg(long, alias = "secret-stdin")]
    secret: bool,
    /// How credentials through this client are composed, whatever the user's setting: otp, password+otp, otp+password, challenge (the
    /// password first, then the code is asked for), or auto (both in one field, or the code is asked for where the client has not
    /// left such questions unanswered).
    #[arg(long, value_parser = parse_grammar)]
    grammar: Option<Grammar>,
    /// Accept the same complete credential again in another packet within this time, up to three times [default: 0].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=30))]
    repeat_grace: Option<u32>,
    /// Answer rejections no earlier than this after receipt [default: 1000].
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=3000))]
    reject_delay: Option<u64>,
    /// Take requests without Message-Authenticator: whoever is on the path can then forge answers.
    #[arg(long)]
    dangerous_allow_missing_message_authenticator: bool,
    /// End this exemption by itself: a date (2027-03-31, UTC) or a time from now (30d).
    #[arg(long, value_name = "TIME", value_parser = utc::parse, requires = "dangerous_allow_missing_message_authenticator")]
    until: Option<Moment>,
}

impl Add {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if store.client(&self.name)?.is_some() {
            return Err(Failure::object(format!("client {} exists already", self.name)));
        }
        let secret = if self.secret {
            ask_secret(context)?
        } else {
            generate_secret(context)
        };
        if self.address.prefix_len() == 0 {
            context.warn(&format!(
                "{} is every address there is: whoever knows the secret is this client",
                self.address
            ));
        }
        let message_authenticator = if self.dangerous_allow_missing_message_authenticator {
            exemption(&self.name, self.until, context)?
        } else {
            MessageAuthenticatorRule::Required
        };
        let created_at = context.now();
        let mut client = NewClient::network(
            self.name.clone(),
            self.address,
            ClientSecret::new(secret.to_vec()),
            created_at,
        );
        client.nas_identifier.clone_from(&self.nas_identifier);
        client.message_authenticator = message_authenticator;
        client.grammar = self.grammar;
        if let Some(seconds) = self.repeat_grace {
            client.repeat_grace = seconds;
        }
        if let Some(millis) = self.reject_delay {
            client.reject_delay = Duration::from_millis(millis);
        }
        store.add_client(&client, &mut context.io.rng)?;
        let view = ClientView::new(&find(&store, &self.name)?);

        let generated = if self.secret {
            None
        } else {
            std::str::from_utf8(&secret).ok()
        };
        let text = match generated {
            // The secret alone, so that it can go straight to a file.
            Some(secret) => format!("{secret}\n"),
            None => format!("Added client {} for {}.\n", text::escape(&self.name), view.source),
        };
        let value = Added {
            client: &view,
            secret: generated,
        };
        if generated.is_some() {
            context.note(&format!(
                "added client {} for {}; its secret is printed on standard output, this once",
                self.name, view.source
            ));
        }
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }
}

/// List the clients.
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

impl List {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let clients: Vec<_> = context.store()?.clients()?.iter().map(ClientView::new).collect();
        let rows = clients.iter().map(|client| {
            [
                client.name.clone(),
                client.source_shown(),
                client.grammar.unwrap_or("user's").to_owned(),
                client.message_authenticator_shown(),
                client.state().to_owned(),
            ]
        });
        let text = text::listing(
            context.out,
            ["CLIENT", "SOURCE", "CREDENTIAL", "MESSAGE-AUTHENTICATOR", "STATE"],
            rows,
        );
        context.result(&json!({ "clients": clients }), &text)?;
        Ok(Exit::Ok)
    }
}

/// Show one client.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Name.
    name: String,
    /// Show the shared secret, too.
    #[arg(long)]
    reveal_secret: bool,
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let record = find(&store, &self.name)?;
        let client = ClientView::new(&record);
        let secret = if self.reveal_secret {
            store.client_secret(&self.name)?
        } else {
            None
        };
        // A secret need not be text; what is not is shown as `\xNN`.
        let revealed = secret
            .as_ref()
            .map(|secret| Zeroizing::new(secret.expose().escape_ascii().to_string()));
        let mut lines = vec![
            ("client", client.name.clone()),
            ("source", client.source_shown()),
            ("state", client.state().to_owned()),
            ("credential", client.grammar.unwrap_or("as the user's").to_owned()),
            ("repeat grace", format!("{} s", client.repeat_grace)),
            ("reject delay", format!("{} ms", client.reject_delay)),
            ("message-authenticator", client.message_authenticator_shown()),
            ("reply", listed(&client.reply)),
            ("added", ago(record.created_at, context.now())),
        ];
        let usage = UsageView::new(&record, &store.client_usage()?, context.now());
        lines.extend(usage.lines(context.now()));
        if self.reveal_secret {
            let none = || "none: a UNIX socket needs none".to_owned();
            lines.push((
                "secret",
                revealed.as_ref().map_or_else(none, |secret| secret.to_string()),
            ));
        }
        let mut value = json!({ "client": client, "usage": usage });
        if self.reveal_secret
            && let Some(object) = value.as_object_mut()
        {
            object.insert(
                "secret".to_owned(),
                json!(revealed.as_ref().map(|secret| secret.as_str())),
            );
        }
        context.result(&value, &text::pairs(lines))?;
        Ok(Exit::Ok)
    }
}

/// Change the settings of a client; its address stays, and `otpctl client secret` changes its secret.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("change").required(true).multiple(true),
    after_help = "\
Examples:
  otpctl client set vpn --grammar otp
  otpctl client set vpn --grammar auto
  otpctl client set kdc --repeat-grace 0
  otpctl client set old-nas --dangerous-allow-missing-message-authenticator
  otpctl client set old-nas --dangerous-allow-missing-message-authenticator --until 30d
  otpctl client set old-nas --require-message-authenticator
  otpctl client set vpn --reply Session-Timeout=28800 --reply Framed-Pool=staff
  otpctl client set vpn --no-reply Framed-Pool

Reply attributes go into every Access-Accept, besides the user's own: `otpctl user set --help` says which of them counts.
The daemon applies the settings from the next packet on.")]
pub(crate) struct Set {
    /// Name.
    name: String,
    #[command(flatten)]
    changes: Changes,
    #[command(flatten)]
    reply: ReplyOptions,
}

/// Settings.
#[derive(Debug, clap::Args)]
struct Changes {
    /// How credentials through this client are composed: otp, password+otp, otp+password, challenge (the password first, then the
    /// code is asked for), auto (in one field or, where the client answers questions, one after the other; said again, it is learned
    /// anew whether it does), or user (as the user's setting says).
    #[arg(long, group = "change", value_parser = parse_client_grammar)]
    grammar: Option<ClientGrammar>,
    /// Accept the same complete credential again in another packet within this time, up to three times.
    #[arg(long, group = "change", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=30))]
    repeat_grace: Option<u32>,
    /// Answer rejections no earlier than this after receipt.
    #[arg(long, group = "change", value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=3000))]
    reject_delay: Option<u64>,
    /// Take only requests with this NAS-Identifier for its own.
    #[arg(
        long,
        group = "change",
        value_name = "TEXT",
        conflicts_with = "no_nas_identifier"
    )]
    nas_identifier: Option<String>,
    /// Take requests for its own whatever their NAS-Identifier is.
    #[arg(long, group = "change")]
    no_nas_identifier: bool,
    /// Discard requests without Message-Authenticator.
    #[arg(
        long,
        group = "change",
        conflicts_with = "dangerous_allow_missing_message_authenticator"
    )]
    require_message_authenticator: bool,
    /// Take requests without Message-Authenticator: whoever is on the path can then forge answers.
    #[arg(long, group = "change")]
    dangerous_allow_missing_message_authenticator: bool,
    /// End this exemption by itself: a date (2027-03-31, UTC) or a time from now (30d).
    #[arg(long, value_name = "TIME", value_parser = utc::parse, requires = "dangerous_allow_missing_message_authenticator")]
    until: Option<Moment>,
}

/// A grammar, or none of the client's own.
#[derive(Clone, Copy, Debug)]
struct ClientGrammar(Option<Grammar>);

fn parse_client_grammar(text: &str) -> Result<ClientGrammar, String> {
    match text {
        "user" => Ok(ClientGrammar(None)),
        _ => parse_grammar(text)
            .map(|grammar| ClientGrammar(Some(grammar)))
            .map_err(|error| error.to_string()),
    }
}

impl Set {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let changes = &self.changes;
        let client = find(&store, &self.name)?;
        if client.source == ClientSource::Unix && changes.is_about_message_authenticator() {
            let cause = format!(
                "{} is a UNIX socket: its file's permissions protect it, and no Message-Authenticator is asked for",
                self.name
            );
            return Err(Failure::usage(cause));
        }
        if client.source == ClientSource::Unix && !self.reply.is_empty() {
            let cause = format!(
                "{} is a KDC's socket: a KDC discards a reply with attributes",
                self.name
            );
            return Err(Failure::usage(cause));
        }
        let reply = if self.reply.is_empty() {
            ReplyChanges::default()
        } else {
            self.reply.changes(&self.name, &client.reply)?
        };
        let rule = changes.rule(&self.name, context)?;
        if changes.no_nas_identifier || changes.nas_identifier.is_some() {
            store.set_client_nas_identifier(&self.name, changes.nas_identifier.as_deref())?;
        }
        // What only concerns attributes leaves verdicts alone, which a change of the settings forgets.
        if !changes.is_empty() {
            store.change_client(&self.name, |settings| changes.apply(settings, rule))?;
        }
        if let Some(ClientGrammar(Some(Grammar::Auto))) = changes.grammar {
            store.learn_client_anew(&self.name)?;
        }
        if !reply.is_empty() {
            store.change_client_reply(&self.name, |before| reply.applied_to(before))?;
        }
        let view = ClientView::new(&find(&store, &self.name)?);
        let text = format!("Changed client {}.\n", text::escape(&self.name));
        context.result(&json!({ "client": view }), &text)?;
        Ok(Exit::Ok)
    }
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.grammar.is_none()
            && self.repeat_grace.is_none()
            && self.reject_delay.is_none()
            && !self.is_about_message_authenticator()
    }

    fn is_about_message_authenticator(&self) -> bool {
        self.require_message_authenticator || self.dangerous_allow_missing_message_authenticator
    }

    /// The rule for Message-Authenticator, if it changes.
    fn rule(&self, name: &str, context: &mut Context) -> Result<Option<MessageAuthenticatorRule>, Failure> {
        if self.dangerous_allow_missing_message_authenticator {
            return exemption(name, self.until, context).map(Some);
        }
        Ok(self
            .require_message_authenticator
            .then_some(MessageAuthenticatorRule::Required))
    }

    fn apply(&self, settings: &mut ClientSettings, rule: Option<MessageAuthenticatorRule>) {
        if let Some(ClientGrammar(grammar)) = self.grammar {
            settings.grammar = grammar;
        }
        if let Some(seconds) = self.repeat_grace {
            settings.repeat_grace = seconds;
        }
        if let Some(millis) = self.reject_delay {
            settings.reject_delay = Duration::from_millis(millis);
        }
        if let Some(rule) = rule {
            settings.message_authenticator = rule;
        }
    }
}

fn set_enabled(names: &[String], enabled: bool, context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    // A name that is wrong stops the command before anything is changed.
    for name in names {
        find(&store, name)?;
    }
    for name in names {
        store.change_client(name, |settings| settings.enabled = enabled)?;
    }
    let clients = names
        .iter()
        .map(|name| find(&store, name))
        .collect::<Result<Vec<_>, _>>()?;
    let views: Vec<_> = clients.iter().map(ClientView::new).collect();
    let done = if enabled { "Enabled" } else { "Disabled" };
    let text: String = names
        .iter()
        .map(|name| format!("{done} client {}.\n", text::escape(name)))
        .collect();
    context.result(&json!({ "clients": views }), &text)?;
    Ok(Exit::Ok)
}

/// Remove a client: its packets are discarded from then on.
///
/// The client "kdc" stays, as only "otpctl init" makes it; it can be disabled.
#[derive(Debug, clap::Args)]
pub(crate) struct Rm {
    /// Name.
    name: String,
}

impl Rm {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let client = find(&store, &self.name)?;
        if client.source == ClientSource::Unix {
            let cause = format!("{} belongs to the KDC's socket and is not removed", self.name);
            return Err(Failure::usage(cause).with_remedy(format!("otpctl client disable {}", self.name)));
        }
        let view = ClientView::new(&client);
        store.remove_client(&self.name)?;
        context.result(
            &json!({ "client": view }),
            &format!("Removed client {}.\n", text::escape(&self.name)),
        )?;
        Ok(Exit::Ok)
    }
}

/// The rule of a client that is exempted, with the warning that belongs to it.
fn exemption(
    name: &str,
    until: Option<Moment>,
    context: &mut Context,
) -> Result<MessageAuthenticatorRule, Failure> {
    let now = context.now();
    let rule = match until.map(|moment| moment.ahead(now)) {
        Some(end) if end <= now => {
            let cause = format!("{} is not in the future", utc::show(end));
            return Err(Failure::usage(cause));
        }
        Some(end) => MessageAuthenticatorRule::OffUntil(end),
        None => MessageAuthenticatorRule::IfPresent,
    };
    warn_of_missing_message_authenticator(name, context);
    Ok(rule)
}

/// Said whenever a client is exempted.
fn warn_of_missing_message_authenticator(name: &str, context: &mut Context) {
    context.warn(&format!(
        "requests of this client need no Message-Authenticator: whoever can change packets on the way can turn a \
         rejection into an acceptance (CVE-2024-3596); update the client, then say \
         `otpctl client set {} --require-message-authenticator`",
        text::shell_word(name)
    ));
}

/// The client of this name.
pub(super) fn find(store: &Store, name: &str) -> Result<ClientRecord, Failure> {
    store.client(name)?.ok_or_else(|| {
        Failure::object(format!("there is no client {name}"))
            .with_remedy("`otpctl client list` shows the clients; `otpctl client add` adds one")
    })
}
