//! A decision step by step, in the order in which it is made.

use otp_validation::Reason;

use crate::{
    text::{count, shell_word},
    trail::Told,
    utc,
};
use otp_validation::UnixTime;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// It held.
    Passed,
    /// It did not, and nothing after it was looked at.
    Failed,
    /// There is something to be told.
    Told,
}

/// How far a decision came: everything before the stage held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Request,
    Name,
    User,
    Client,
    State,
    Repetition,
    Lock,
    Tokens,
    Code,
    Password,
    Store,
    Done,
}

/// The stage that a reason belongs to.
fn stage(reason: Reason) -> Stage {
    match reason {
        Reason::Accepted => Stage::Done,
        Reason::SamePacket
        | Reason::Twin
        | Reason::CodeAsked
        | Reason::NextCodeAsked
        | Reason::NoSuchDialogue
        | Reason::RefusedBefore => Stage::Repetition,
        Reason::ClientDisabled => Stage::Client,
        Reason::InvalidUserName => Stage::Name,
        Reason::UnknownUser => Stage::User,
        Reason::UserDisabled | Reason::UserExpired => Stage::State,
        Reason::Locked => Stage::Lock,
        Reason::NoActiveToken | Reason::NoPassword => Stage::Tokens,
        Reason::NeverAnswers | Reason::NotACode | Reason::WrongCode | Reason::ReplayedCode => Stage::Code,
        Reason::WrongPassword | Reason::Busy => Stage::Password,
        Reason::NoCredential | Reason::UnsupportedMethod | Reason::ChapWithPassword => Stage::Request,
        // How far it came before is not known: nothing is claimed of it.
        _ => Stage::Store,
    }
}

/// What was looked at, as far as it is recorded.
pub(super) fn steps(told: &Told) -> Vec<(Mark, String)> {
    let Some(reason) = told.reason() else {
        return Vec::new();
    };
    if let Some(upstream) = told.text("upstream") {
        return forwarded(told, reason, upstream);
    }
    let reached = stage(reason);
    let mut steps = Vec::new();
    let mut step = |at: Stage, held: String, failed: String| {
        // Of what ended elsewhere than in the decision, nothing is known but that it was not decided.
        if reached == Stage::Store && at != Stage::Store {
            return;
        }
        if at < reached {
            steps.push((Mark::Passed, held));
        } else if at == reached {
            steps.push((Mark::Failed, failed));
        }
    };
    let client = told.text("client").unwrap_or("-");
    let user = told.text("user").unwrap_or("-");
    let explained = || reason.explain().to_owned();
    step(
        Stage::Request,
        format!("The packet is authentic, comes from the client {client}, and carries a User-Password."),
        format!(
            "The packet is authentic and comes from the client {client}. {}",
            reason.explain()
        ),
    );
    step(Stage::Name, "User-Name can name a user.".into(), explained());
    step(
        Stage::User,
        found(told, user),
        "Nobody has this name, neither as it was sent nor without its realm.".into(),
    );
    step(
        Stage::Client,
        format!("The client {client} is enabled."),
        format!("The client {client} is disabled."),
    );
    step(
        Stage::State,
        format!("{user} is enabled and has not expired."),
        explained(),
    );
    if reached == Stage::Repetition {
        steps.push((Mark::Told, explained()));
        return steps;
    }
    let mut step = |at: Stage, held: String, failed: String| {
        if reached != Stage::Store && at < reached {
            steps.push((Mark::Passed, held));
        } else if at == reached {
            steps.push((Mark::Failed, failed));
        }
    };
    step(
        Stage::Lock,
        format!("{user} was not locked out."),
        locked(told).unwrap_or_else(explained),
    );
    step(
        Stage::Tokens,
        tokens(told),
        format!("{} {}", tokens(told), reason.explain()),
    );
    step(Stage::Code, code(told), code_failed(told, reason));
    if reached == Stage::Password || reached == Stage::Done {
        step(
            Stage::Password,
            "The password, where one is asked for, was right.".into(),
            explained(),
        );
    }
    step(
        Stage::Store,
        "The acceptance was on disk before it was answered.".into(),
        explained(),
    );
    if let Some(failures) = failures(told).filter(|_| reached != Stage::Lock) {
        steps.push((Mark::Told, failures));
    }
    steps
}

/// What became of a request that others decided on.
fn forwarded(told: &Told, reason: Reason, upstream: &str) -> Vec<(Mark, String)> {
    let client = told.text("client").unwrap_or("-");
    let mut steps = vec![(
        Mark::Passed,
        format!("The packet is authentic and comes from the client {client}, which is enabled."),
    )];
    steps.push(match told.text("user") {
        Some(user) => (
            Mark::Passed,
            format!("{} {user} is enabled and has not expired.", found(told, user)),
        ),
        None => (
            Mark::Told,
            "Nobody has this name here; its realm is the upstream's.".to_owned(),
        ),
    });
    let called = told
        .text("as")
        .map(|name| format!(", where the user is called {name:?}"))
        .unwrap_or_default();
    steps.push((Mark::Told, format!("The upstream {upstream} decides{called}.")));
    if let Some(server) = told.text("server") {
        steps.push((Mark::Told, format!("The server asked last was {server}.")));
    }
    let mark = if told.is_reject() {
        Mark::Failed
    } else {
        Mark::Passed
    };
    steps.push((mark, reason.explain().to_owned()));
    steps
}

fn found(told: &Told, user: &str) -> String {
    match told.text("name") {
        Some(name) if name != user => format!("{name:?} leads to the user {user}."),
        _ => format!("There is a user {user}."),
    }
}

/// Which tokens there are, and which of them could let in.
fn tokens(told: &Told) -> String {
    let all = told.texts("tokens");
    if all.is_empty() {
        return match told.text("token") {
            Some(token) => format!("The token {token} could let in."),
            None => "There is no token.".to_owned(),
        };
    }
    let named = |is_candidate: bool| {
        let fitting = all
            .iter()
            .filter(|token| token.ends_with(" active") == is_candidate);
        fitting
            .map(|token| match token.rsplit_once(' ') {
                Some((label, "active")) => label.to_owned(),
                Some((label, state)) => format!("{label} ({state})"),
                None => (*token).to_owned(),
            })
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (named(true), named(false)) {
        (candidates, others) if candidates.is_empty() => format!("No token could let in: {others}."),
        (candidates, others) if others.is_empty() => format!("Tokens that could let in: {candidates}."),
        (candidates, others) => format!("Tokens that could let in: {candidates}; not looked at: {others}."),
    }
}

/// What was right about the code.
fn code(told: &Told) -> String {
    let token = told.text("token").unwrap_or("-");
    if let Some(skipped) = told.number("hotp_skipped") {
        let how = match skipped {
            0 => "the expected one".to_owned(),
            1 => "1 after the expected one".to_owned(),
            _ => format!("{skipped} after the expected one"),
        };
        return format!("The code was one of {token}, {how}, and had not been used.");
    }
    if let Some(offset) = told.signed("totp_offset") {
        let steps = usize::try_from(offset.unsigned_abs()).unwrap_or(usize::MAX);
        let how = match offset {
            0 => "of the present step".to_owned(),
            ..0 => format!("{} behind", count(steps, "step")),
            _ => format!("{} ahead", count(steps, "step")),
        };
        return format!("The code was one of {token}, {how}, and had not been used.");
    }
    format!("The code was one of {token}, and had not been used.")
}

fn code_failed(told: &Told, reason: Reason) -> String {
    match (reason, told.text("token")) {
        (Reason::ReplayedCode, Some(token)) => {
            format!("The code is one of {token}, but it, or a later one, was used before.")
        }
        (Reason::WrongCode, _) => {
            "Each of them was asked: the code is none of those that could be right now.".into()
        }
        _ => reason.explain().to_owned(),
    }
}

fn locked(told: &Told) -> Option<String> {
    let until = told.number("locked_until")?;
    Some(format!(
        "{} had failed too often ({}): locked until {}.",
        told.text("user")?,
        counted(told)?,
        utc::show(UnixTime(until))
    ))
}

/// Failures in a row after a refusal.
fn failures(told: &Told) -> Option<String> {
    let until = told
        .number("locked_until")
        .map(|until| format!("; locked until {}", utc::show(UnixTime(until))));
    Some(format!(
        "In a row through this client, so far: {}{}.",
        counted(told)?,
        until.unwrap_or_default()
    ))
}

fn counted(told: &Told) -> Option<String> {
    let number = |field| usize::try_from(told.number(field)?).ok();
    Some(format!(
        "{}, {}",
        count(number("wrong_codes")?, "wrong code"),
        count(number("wrong_passwords")?, "wrong password")
    ))
}

/// What to do about it, as commands to be copied where there are any.
pub(super) fn advice(reason: Reason, told: &Told) -> Option<String> {
    let name = told.text("name").unwrap_or_default();
    let user = shell_word(told.text("user").unwrap_or(name));
    let client = shell_word(told.text("client").unwrap_or_default());
    Some(match reason {
        Reason::ClientDisabled => format!("otpctl client enable {client}"),
        Reason::UnknownUser => format!(
            "otpctl user list; if this is a new one: otpctl user add {}",
            shell_word(name)
        ),
        Reason::UserDisabled => format!("otpctl user enable {user}"),
        Reason::UserExpired | Reason::NoActiveToken => format!("otpctl user show {user}"),
        Reason::Locked => format!("wait, or: otpctl user unlock {user}"),
        Reason::NoPassword => format!("otpctl user set {user} --password"),
        Reason::NotACode => format!(
            "compare what the client sends with what is asked for: otpctl user show {user}, otpctl client show {client}"
        ),
        Reason::WrongCode => format!(
            "if it goes on, find out what the app or device does otherwise (clock, algorithm, counter): otpctl token verify {user}/LABEL"
        ),
        Reason::ReplayedCode => {
            "log in with the next code; if nobody has used this one, look who did: otpctl audit --user "
                .to_owned()
                + &user
        }
        Reason::WrongPassword => format!("if it is forgotten: otpctl user set {user} --password"),
        Reason::UpstreamSilent | Reason::UpstreamUnreachable => "otpctl upstream list".to_owned(),
        Reason::UpstreamUnknown => format!("otpctl user show {user}"),
        Reason::UnsupportedMethod => "set the client to PAP".to_owned(),
        Reason::ChapWithPassword => format!(
            "set the client to PAP; or, where the code alone is to be enough: otpctl client set {client} --grammar otp"
        ),
        Reason::StoreFailure | Reason::DeadlineExceeded => {
            "read what the daemon's log says at that time; is the disk full or slow?".to_owned()
        }
        _ => return None,
    })
}
