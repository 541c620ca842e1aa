//! `otpctl user`.

use otp_service::password;
use otp_store::{NewUser, Store, UserRecord};
use otp_validation::{Grammar, PasswordHash, Upstream, UpstreamName, UserName};
use serde_json::json;

use crate::{
    Exit,
    context::Context,
    failure::Failure,
    reply::{ReplyChanges, ReplyOptions, listed},
    text::{self, ago},
    values::{GrammarChoice, each_once, parse_user},
    view::{LockoutsView, TokenView, UserView},
};

/// Add, list and change users.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Add(Add),
    List(List),
    Show(Show),
    Set(Set),
    /// Refuse users until they are enabled again.
    Disable(Names),
    /// Enable users again.
    Enable(Names),
    /// Forget failed logins through every client, and so end the locks that they brought.
    Unlock(Names),
    /// Remove users with all their tokens.
    ///
    /// Which codes were used stays known: a token that is added again with the same key does not bring them back.
    Rm(Names),
}

impl Command {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match self {
            Self::Add(command) => command.run(context),
            Self::List(command) => command.run(context),
            Self::Show(command) => command.run(context),
            Self::Set(command) => command.run(context),
            Self::Disable(Names { names }) => change(names, Change::Disable, context),
            Self::Enable(Names { names }) => change(names, Change::Enable, context),
            Self::Unlock(Names { names }) => change(names, Change::Unlock, context),
            Self::Rm(Names { names }) => change(names, Change::Remove, context),
        }
    }
}

/// Add a user.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl user add alice
  otpctl user add alice --password < password-file
  otpctl user add alice --upstream corp --upstream-name alice.smith

A name without realm stands for that user in every realm; alice@EXAMPLE.COM is looked up before alice.")]
pub(crate) struct Add {
    /// Name, e.g. alice or alice@EXAMPLE.COM.
    #[arg(value_parser = parse_user)]
    name: UserName,
    /// Set a password: asked for twice on a terminal, else one line of standard input.
    #[arg(long)]
    password: bool,
    /// How credentials are composed: otp, password+otp, otp+password, challenge (the password first), or auto (it follows from the
    /// password: password+otp with one, else otp; and from what the client can, where the client's grammar is auto) [default: auto].
    #[arg(long, value_name = "GRAMMAR")]
    grammar: Option<GrammarChoice>,
    /// Let the RADIUS servers of this upstream decide ([upstream.NAME] of the daemon's configuration).
    #[arg(long, value_name = "UPSTREAM", conflicts_with_all = ["password", "grammar"])]
    upstream: Option<UpstreamName>,
    /// The name under which the upstream knows the user [default: as it comes in].
    #[arg(long, value_name = "NAME", requires = "upstream", value_parser = parse_user)]
    upstream_name: Option<UserName>,
}

impl Add {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        if store.user(&self.name)?.is_some() {
            return Err(Failure::object(format!("user {} exists already", self.name)));
        }
        let password = if self.password {
            Some(ask_password(context)?)
        } else {
            None
        };
        let has_password = password.is_some();
        let grammar = self.grammar.and_then(GrammarChoice::grammar);
        warn_of_missing_password(&self.name, grammar, has_password, context);
        let user = NewUser {
            password,
            grammar,
            upstream: upstream(self.upstream.as_ref(), self.upstream_name.as_ref()),
            ..NewUser::new(self.name.clone(), context.now())
        };
        store.add_user(&user, &mut context.io.rng)?;
        let user = find(&store, &self.name)?;
        let name = text::escape(self.name.as_str());
        let text = match &user.upstream {
            Some(upstream) => format!("Added user {name}: {} decides.\n", shown(upstream)),
            None => format!(
                "Added user {name}. Next: otpctl token add {}\n",
                text::shell_word(self.name.as_str())
            ),
        };
        context.result(&json!({ "user": UserView::new(&user) }), &text)?;
        Ok(Exit::Ok)
    }
}

/// List the users.
#[derive(Debug, clap::Args)]
pub(crate) struct List {}

impl List {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let users: Vec<_> = context.store()?.users()?.iter().map(UserView::new).collect();
        let rows = users.iter().map(|user| {
            [
                user.name.clone(),
                user.credential(),
                yes_or_no(user.has_password),
                enabled_name(user.enabled),
            ]
        });
        let text = text::listing(context.out, ["USER", "CREDENTIAL", "PASSWORD", "STATE"], rows);
        context.result(&json!({ "users": users }), &text)?;
        Ok(Exit::Ok)
    }
}

/// Show one user: settings, tokens, failures.
#[derive(Debug, clap::Args)]
pub(crate) struct Show {
    /// Name, exactly as it is stored.
    #[arg(value_parser = parse_user)]
    name: UserName,
}

impl Show {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let record = find(&store, &self.name)?;
        let tokens: Vec<_> = store
            .tokens(Some(&self.name))?
            .iter()
            .map(TokenView::new)
            .collect();
        let now = context.now();
        let user = UserView::new(&record);
        let lockouts = LockoutsView::new(&record.lockouts, &store.clients()?, now);
        let failures = lockouts.failures();
        let locked = match lockouts.locks() {
            None => "no".to_owned(),
            Some(locks) => format!(
                "{locks}; end it: otpctl user unlock {}",
                text::shell_word(self.name.as_str())
            ),
        };
        let names: Vec<_> = tokens
            .iter()
            .map(|token| format!("{} ({})", token.name, token.state()))
            .collect();
        let text = text::pairs([
            ("user", user.name.clone()),
            ("state", enabled_name(user.enabled)),
            ("credential", user.credential()),
            ("password", yes_or_no(user.has_password)),
            (
                "tokens",
                if names.is_empty() {
                    "none".to_owned()
                } else {
                    names.join(", ")
                },
            ),
            (
                "upstream",
                record.upstream.as_ref().map_or("none".to_owned(), shown),
            ),
            ("reply", listed(&user.reply)),
            ("failures", failures),
            ("locked", locked),
            ("added", ago(record.created_at, now)),
        ]);
        let value = json!({
            "user": user,
            "tokens": tokens,
            "lockout": lockouts,
        });
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }
}

/// Change a user.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("change").required(true).multiple(true),
    after_help = "\
Examples:
  otpctl user set alice --grammar otp
  otpctl user set alice --reply Session-Timeout=28800 --reply 'Class=OU=staff'
  otpctl user set alice --reply Tunnel-Type:1=VLAN --reply Tunnel-Medium-Type:1=IEEE-802 --reply Tunnel-Private-Group-ID:1=20
  otpctl user set alice --no-reply Session-Timeout
  otpctl user set alice --upstream corp --upstream-name alice.smith

Reply attributes go into every Access-Accept but a KDC's. A user's take the place of a rule's (`otpctl rule`) and of a
client's of the same name, apart from those that may occur several times (Class, Filter-Id, Reply-Message, Framed-Route …): of these all
are sent.")]
pub(crate) struct Set {
    /// Name, exactly as it is stored.
    #[arg(value_parser = parse_user)]
    name: UserName,
    /// Set a new password: asked for twice on a terminal, else one line of standard input.
    #[arg(long, group = "change")]
    password: bool,
    /// Remove the password.
    #[arg(long, group = "change", conflicts_with = "password")]
    no_password: bool,
    /// How credentials are composed: otp, password+otp, otp+password, challenge (the password first), or auto (it follows from the
    /// password, and from what the client can where the client's grammar is auto).
    #[arg(long, group = "change", value_name = "GRAMMAR")]
    grammar: Option<GrammarChoice>,
    /// Let the RADIUS servers of this upstream decide ([upstream.NAME] of the daemon's configuration); password and tokens stay,
    /// unused.
    #[arg(long, group = "change", value_name = "UPSTREAM")]
    upstream: Option<UpstreamName>,
    /// The name under which the upstream knows the user [default: as it comes in].
    #[arg(long, value_name = "NAME", requires = "upstream", value_parser = parse_user)]
    upstream_name: Option<UserName>,
    /// Decide here again.
    #[arg(long, group = "change", conflicts_with = "upstream")]
    no_upstream: bool,
    #[command(flatten)]
    reply: ReplyOptions,
}

impl Set {
    fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let before = find(&store, &self.name)?;
        let reply = if self.reply.is_empty() {
            ReplyChanges::default()
        } else {
            self.reply.changes(self.name.as_str(), &before.reply)?
        };
        let password = match (self.password, self.no_password) {
            (true, _) => Some(Some(ask_password(context)?)),
            (false, true) => Some(None),
            (false, false) => None,
        };
        let grammar = self.grammar.map_or(before.grammar, GrammarChoice::grammar);
        let has_password = password.as_ref().map_or(before.has_password, Option::is_some);
        warn_of_missing_password(&self.name, grammar, has_password, context);
        if let Some(password) = password {
            store.set_user_password(&self.name, password.as_ref(), &mut context.io.rng)?;
        }
        if self.grammar.is_some() {
            store.set_user_grammar(&self.name, grammar)?;
        }
        if self.upstream.is_some() || self.no_upstream {
            let upstream = upstream(self.upstream.as_ref(), self.upstream_name.as_ref());
            store.set_user_upstream(&self.name, upstream.as_ref())?;
        }
        if !reply.is_empty() {
            store.change_user_reply(&self.name, |before| reply.applied_to(before))?;
        }
        let user = find(&store, &self.name)?;
        let text = format!("Changed user {}.\n", text::escape(self.name.as_str()));
        context.result(&json!({ "user": UserView::new(&user) }), &text)?;
        Ok(Exit::Ok)
    }
}

// No documentation comment: clap would show it for every command that takes names.
#[derive(Debug, clap::Args)]
pub(crate) struct Names {
    /// Names, exactly as they are stored.
    #[arg(required = true, value_name = "NAME", value_parser = parse_user)]
    names: Vec<UserName>,
}

#[derive(Clone, Copy)]
enum Change {
    Disable,
    Enable,
    Unlock,
    Remove,
}

impl Change {
    fn apply(self, store: &Store, name: &UserName) -> Result<(), Failure> {
        match self {
            Self::Disable => store.set_user_enabled(name, false)?,
            Self::Enable => store.set_user_enabled(name, true)?,
            Self::Unlock => store.unlock_user(name)?,
            Self::Remove => store.remove_user(name)?,
        }
        Ok(())
    }

    fn done(self) -> &'static str {
        match self {
            Self::Disable => "Disabled",
            Self::Enable => "Enabled",
            Self::Unlock => "Unlocked",
            Self::Remove => "Removed",
        }
    }
}

fn change(names: &[UserName], change: Change, context: &mut Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let names = &each_once(names);
    let found = || {
        names
            .iter()
            .map(|name| find(&store, name))
            .collect::<Result<Vec<_>, _>>()
    };
    // A name that is wrong stops the command before anything is changed.
    let mut users = found()?;
    for name in names {
        change.apply(&store, name)?;
    }
    if !matches!(change, Change::Remove) {
        users = found()?;
    }
    let views: Vec<_> = users.iter().map(UserView::new).collect();
    let text: String = names
        .iter()
        .map(|name| format!("{} user {}.\n", change.done(), text::escape(name.as_str())))
        .collect();
    context.result(&json!({ "users": views }), &text)?;
    Ok(Exit::Ok)
}

/// The user of exactly this name.
pub(super) fn find(store: &Store, name: &UserName) -> Result<UserRecord, Failure> {
    store.user(name)?.ok_or_else(|| {
        Failure::object(format!("there is no user {name}"))
            .with_remedy("`otpctl user list` shows the users; `otpctl user add` adds one")
    })
}

fn upstream(name: Option<&UpstreamName>, user_name: Option<&UserName>) -> Option<Upstream> {
    Some(Upstream {
        name: name?.clone(),
        user_name: user_name.cloned(),
    })
}

/// `corp`, or `corp as alice.smith`.
fn shown(upstream: &Upstream) -> String {
    text::escape(&upstream.to_string()).to_string()
}

fn ask_password(context: &mut Context) -> Result<PasswordHash, Failure> {
    let password = context.ask_new("New password: ", "Once more: ")?;
    password::hash(&password, &mut context.io.rng).map_err(Failure::data)
}

fn warn_of_missing_password(
    name: &UserName,
    grammar: Option<Grammar>,
    has_password: bool,
    context: &mut Context,
) {
    if let Some(grammar) =
        grammar.filter(|grammar| grammar.has_password() && !grammar.asks() && !has_password)
    {
        context.warn(&format!(
            "{name} has no password, but {grammar} asks for one: every login is rejected until `otpctl user set {name} --password`"
        ));
    }
}

fn yes_or_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

fn enabled_name(enabled: bool) -> String {
    if enabled { "enabled" } else { "disabled" }.to_owned()
}
