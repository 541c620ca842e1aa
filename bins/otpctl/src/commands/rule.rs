//! `otpctl rule`.

use std::path::PathBuf;

use otp_store::{ClientSource, NewRule, RuleRecord, RuleSettings, Store};
use otp_validation::{AttributeCondition, Conditions, ReplyAttributes};
use serde_json::json;

use super::Names;
use crate::{
    Exit,
    conditions::{ConditionOptions, put},
    context::Context,
    failure::Failure,
    reply::{ReplyOptions, listed},
    text::{self, ago},
    values::each_once,
    view::RuleView,
};

/// Add, list and change rules: reply attributes for all logins of a kind, whoever the user and whichever the client is.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(Add),
    List(List),
    Show(Show),
    Set(Set),
    /// Let rules be about no login until they are enabled again.
    Disable(Names),
    /// Enable rules again.
    Enable(Names),
    /// Remove rules.
    Rm(Names),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Set(command) => command.run(context),
            Self::Disable(Names { names }) => set_enabled(names, false, context),
            Self::Enable(Names { names }) => set_enabled(names, true, context),
            Self::Rm(Names { names }) => remove(names, context),
        }
    }
}

/// Add a rule.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("change").multiple(true),
    after_help = "\
Examples:
  otpctl rule add switches --client 'switch-*' --reply Tunnel-Type:1=VLAN --reply Tunnel-Medium-Type:1=IEEE-802 \\
    --reply Tunnel-Private-Group-ID:1=20
  otpctl rule add guests --attribute 'Called-Station-Id=*:guest' --reply Filter-Id=guest --reply Session-Timeout=3600
  otpctl rule add corp --realm corp.example --client 'vpn-*' --reply Framed-Pool=corp
  otpctl rule add everybody --order 1000 --reply Idle-Timeout=900

A rule is about a login if each kind of condition that it has holds, and about every login if it has none. An Access-Accept, but for
a KDC's, carries the attributes of the user, then those of the rules that are about the login, in their order, then those of the
client; of those that may occur once the first counts. `otpctl auth` shows what comes of it.")]
pub(crate) struct Add {
    /// Name for logs and commands.
    name: String,
    /// Place among the rules, of which the lower comes first [default: 10 more than the last].
    #[arg(long, value_name = "NUMBER")]
    order: Option<u32>,
    #[command(flatten)]
    conditions: ConditionOptions,
    /// Add an attribute to the Access-Accepts: NAME=VALUE, or NAME:TAG=VALUE for a tunnel's. Give the option again for more.
    #[arg(long, required = true, value_name = "NAME=VALUE")]
    reply: Vec<String>,
    /// Take more names of attributes from a dictionary in the format of FreeRADIUS.
    #[arg(long, value_name = "FILE")]
    dictionary: Option<PathBuf>,
    /// Add it without letting it be about any login yet.
    #[arg(long)]
    disabled: bool,
}

impl Add {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if store.rule(&self.name)?.is_some() {
            return Err(Failure::object(format!("rule {} exists already", self.name)));
        }
        let options = ReplyOptions::new(self.reply.clone(), self.dictionary.clone());
        let none = ReplyAttributes::none();
        let changes = options.changes(&self.name, &none)?;
        let conditions = self.conditions.read(&options.names()?)?;
        check_clients(&store, &conditions, context)?;
        let rule = NewRule {
            name: self.name.clone(),
            order: self.order,
            enabled: !self.disabled,
            conditions,
            reply: changes.applied_to(&none).map_err(Failure::data)?,
            created_at: context.now(),
        };
        store.add_rule(&rule)?;
        let rule = find(&store, &self.name)?;
        let text = format!(
            "Added rule {} ({}): {}.\n",
            text::escape(&self.name),
            rule.settings.order,
            text::escape(&rule.settings.conditions.to_string())
        );
        context.result(&json!({ "rule": RuleView::new(&rule) }), &text)?;
        Ok(Exit::Ok)
    }
}

/// List the rules, in their order.
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

impl List {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let rules = context.store()?.rules()?;
        let views: Vec<_> = rules.iter().map(RuleView::new).collect();
        let rows = rules.iter().zip(&views).map(|(rule, view)| {
            [
                view.order.to_string(),
                view.name.clone(),
                rule.settings.conditions.to_string(),
                listed(&view.reply),
                view.state().to_owned(),
            ]
        });
        let headers = ["ORDER", "RULE", "LOGINS", "REPLY", "STATE"];
        let text = text::listing(context.out, headers, rows);
        context.result(&json!({ "rules": views }), &text)?;
        Ok(Exit::Ok)
    }
}

/// Show one rule.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Name.
    name: String,
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let rule = find(&context.store()?, &self.name)?;
        let view = RuleView::new(&rule);
        let lines = [
            ("rule", view.name.clone()),
            ("order", view.order.to_string()),
            ("state", view.state().to_owned()),
            ("logins", rule.settings.conditions.to_string()),
            ("reply", listed(&view.reply)),
            ("added", ago(rule.created_at, context.now())),
        ];
        context.result(&json!({ "rule": view }), &text::pairs(lines))?;
        Ok(Exit::Ok)
    }
}

/// Change a rule.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("change").required(true).multiple(true),
    group = clap::ArgGroup::new("named").multiple(true),
    after_help = "\
Examples:
  otpctl rule set guests --order 5
  otpctl rule set guests --attribute 'Called-Station-Id=*:guest' --attribute 'Called-Station-Id=*:visitors'
  otpctl rule set switches --client 'switch-*' --client 'ap-*' --reply Session-Timeout=28800
  otpctl rule set corp --no-realm --no-reply Framed-Pool

What is given takes the place of what the rule has of its kind: all its patterns of clients, of realms, of users; of attributes, those of
the same name. The daemon applies it from the next request on.")]
pub(crate) struct Set {
    /// Name.
    name: String,
    /// Place among the rules, of which the lower comes first.
    #[arg(long, group = "change", value_name = "NUMBER")]
    order: Option<u32>,
    #[command(flatten)]
    conditions: ConditionOptions,
    /// Whatever the client is called.
    #[arg(long, group = "change", conflicts_with = "client")]
    no_client: bool,
    /// Whatever realm the name has, if it has one.
    #[arg(long, group = "change", conflicts_with = "realm")]
    no_realm: bool,
    /// Whatever the user is called.
    #[arg(long, group = "change", conflicts_with = "user")]
    no_user: bool,
    /// Whatever this attribute of the request is.
    #[arg(long, group = "change", value_name = "NAME")]
    no_attribute: Vec<String>,
    #[command(flatten)]
    reply: ReplyOptions,
}

impl Set {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let rule = find(&store, &self.name)?;
        let changes = self.reply.changes(&self.name, &rule.settings.reply)?;
        let given = self.conditions.read(&self.reply.names()?)?;
        self.check_forgotten(&rule)?;
        check_clients(&store, &given, context)?;
        let change = |settings: &mut RuleSettings| {
            settings.order = self.order.unwrap_or(settings.order);
            self.forget(&mut settings.conditions);
            put(given, &mut settings.conditions);
            settings.reply = changes.applied_to(&settings.reply)?;
            Ok(())
        };
        store.change_rule(&self.name, change)?;
        let view = RuleView::new(&find(&store, &self.name)?);
        let text = format!("Changed rule {}.\n", text::escape(&self.name));
        context.result(&json!({ "rule": view }), &text)?;
        Ok(Exit::Ok)
    }

    /// Refuses to forget an attribute that the rule does not look at.
    fn check_forgotten(&self, rule: &RuleRecord) -> Result<(), Failure> {
        let looked_at = &rule.settings.conditions.attributes;
        let is_unknown = |name: &&String| !looked_at.iter().any(|condition| is_about(condition, name));
        match self.no_attribute.iter().find(is_unknown) {
            None => Ok(()),
            Some(name) => Err(Failure::object(format!(
                "{} does not look at an attribute {name}",
                self.name
            ))),
        }
    }

    fn forget(&self, conditions: &mut Conditions) {
        let forgotten = [
            (self.no_client, &mut conditions.clients),
            (self.no_realm, &mut conditions.realms),
            (self.no_user, &mut conditions.users),
        ];
        for (is_forgotten, patterns) in forgotten {
            if is_forgotten {
                patterns.clear();
            }
        }
        conditions
            .attributes
            .retain(|condition| !self.no_attribute.iter().any(|name| is_about(condition, name)));
    }
}

fn is_about(condition: &AttributeCondition, name: &str) -> bool {
    condition.name.eq_ignore_ascii_case(name)
}

fn set_enabled(names: &[String], enabled: bool, context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    // A name that is wrong stops the command before anything is changed.
    for name in names {
        find(&store, name)?;
    }
    for name in names {
        store.change_rule(name, |settings| {
            settings.enabled = enabled;
            Ok(())
        })?;
    }
    let done = if enabled { "Enabled" } else { "Disabled" };
    report(names, done, &found(&store, names)?, context)
}

fn remove(names: &[String], context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let names = each_once(names);
    let found = names.iter().map(|name| match find(&store, name) {
        Ok(rule) => Ok(Some(rule)),
        // One that cannot be read can be removed.
        Err(failure) if failure.is_damage() => Ok(None),
        Err(failure) => Err(failure),
    });
    let rules: Vec<_> = found
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .flatten()
        .collect();
    for name in &names {
        store.remove_rule(name)?;
    }
    report(&names, "Removed", &rules, context)
}

fn found(store: &Store, names: &[String]) -> Result<Vec<RuleRecord>, Failure> {
    names.iter().map(|name| find(store, name)).collect()
}

fn report(
    names: &[String],
    done: &str,
    rules: &[RuleRecord],
    context: &mut Context,
) -> Result<Exit, Failure> {
    let views: Vec<_> = rules.iter().map(RuleView::new).collect();
    let text: String = names
        .iter()
        .map(|name| format!("{done} rule {}.\n", text::escape(name)))
        .collect();
    context.result(&json!({ "rules": views }), &text)?;
    Ok(Exit::Ok)
}

/// Refuses a rule for the KDC's socket, and warns of clients that are not there.
fn check_clients(store: &Store, conditions: &Conditions, context: &mut Context) -> Result<(), Failure> {
    for pattern in conditions.clients.iter().filter(|pattern| pattern.is_exact()) {
        match store.client(pattern.as_str())? {
            Some(client) if client.source == ClientSource::Unix => {
                let cause = format!("{pattern} is a KDC's socket: a KDC discards a reply with attributes");
                let remedy = "name clients on a network; without --client, a rule is about all of them";
                return Err(Failure::usage(cause).with_remedy(remedy));
            }
            Some(_) => {}
            None => context.warn(&format!("there is no client {pattern} yet")),
        }
    }
    Ok(())
}

/// The rule of this name.
fn find(store: &Store, name: &str) -> Result<RuleRecord, Failure> {
    store.rule(name)?.ok_or_else(|| {
        Failure::object(format!("there is no rule {name}"))
            .with_remedy("`otpctl rule list` shows the rules; `otpctl rule add` adds one")
    })
}
