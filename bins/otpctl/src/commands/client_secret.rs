//! Shared secrets of clients: generated or typed, and `otpctl client secret`.

use otp_core::base32;
use otp_store::{ClientRecord, ClientSecret, ClientSource, MessageAuthenticatorRule, Store};
use otp_validation::UnixTime;
use rand::Rng;
use serde::Serialize;
use serde_json::json;
use zeroize::Zeroizing;

use super::client::find;
use crate::{
    Exit,
    context::Context,
    failure::Failure,
    text,
    utc::{self, Moment},
    view::ClientView,
};

/// Octets of randomness in a generated secret.
const GENERATED: usize = 32;
/// The fewest octets that a secret should have (RFC 2865 §3).
const ADVISED: usize = 16;
/// The fewest octets that a secret must have: fewer are guessed from one captured packet.
const SHORTEST: usize = 8;

/// A secret that nobody can guess.
pub(super) fn generate_secret(context: &mut Context) -> Zeroizing<Vec<u8>> {
    let mut octets = Zeroizing::new([0_u8; GENERATED]);
    context.io.rng.fill_bytes(octets.as_mut_slice());
    // Letters and digits alone survive every configuration file.
    Zeroizing::new(base32::encode(octets.as_slice()).as_bytes().to_vec())
}

/// A secret that somebody has chosen.
pub(super) fn ask_secret(context: &mut Context) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let secret = context.ask_new("Shared secret: ", "Once more: ")?;
    if secret.len() < SHORTEST {
        let cause = format!(
            "the shared secret has {} octets, {SHORTEST} is the least",
            secret.len()
        );
        return Err(Failure::data(cause).with_remedy("leave --secret out, and a strong one is generated"));
    }
    if secret.len() < ADVISED {
        context.warn(&format!(
            "the shared secret has {} octets; RFC 2865 asks for {ADVISED} or more, as one captured packet is enough to try guesses",
            secret.len()
        ));
    }
    if secret.first().is_some_and(u8::is_ascii_whitespace)
        || secret.last().is_some_and(u8::is_ascii_whitespace)
    {
        context.warn(
            "the shared secret begins or ends with a blank, which is part of it; some clients remove blanks",
        );
    }
    Ok(secret)
}

/// Change the shared secret of a client.
///
/// With --rotate, the new secret and the one before it hold side by side, so that the client can be given the new one at any time
/// without losing a login. A generated secret is printed once, alone on standard output.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("how").required(true),
    after_help = "\
Examples:
  otpctl client secret vpn --rotate > new-secret      both secrets hold for 7 days
  otpctl client secret vpn --rotate --for 30d --secret < secret-file
  otpctl client show vpn                              which of them was used last
  otpctl client secret vpn --finish                   the old one holds no more
  otpctl client secret vpn --replace                  the old one holds no more at once

Which secret a request was made with is told by its Message-Authenticator alone, so --rotate needs a client of which that is
required: `otpctl client set NAME --require-message-authenticator`, or --replace.")]
pub(crate) struct ChangeSecret {
    /// Name.
    name: String,
    /// Make a new secret; the present one goes on to hold until --finish, or its time is over.
    #[arg(long, group = "how")]
    rotate: bool,
    /// For how long both hold: a time from now (30d) or a date (2027-03-31, UTC) [default: 7d].
    #[arg(long = "for", value_name = "TIME", value_parser = utc::parse, requires = "rotate")]
    both_for: Option<Moment>,
    /// End the rotation: the old secret holds no more.
    #[arg(long, group = "how")]
    finish: bool,
    /// Make a new secret that holds alone at once: the client gets no answer until it has it.
    #[arg(long, group = "how")]
    replace: bool,
    /// Read the new secret: asked for twice on a terminal, else one line of standard input.
    #[arg(long, alias = "secret-stdin", conflicts_with = "finish")]
    secret: bool,
}

/// For how many seconds both secrets hold, unless somebody says something else.
const BOTH_HOLD: u64 = 7 * 24 * 3600;

impl ChangeSecret {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        let client = find(&store, &self.name)?;
        if client.source == ClientSource::Unix {
            let cause = format!("{} is a UNIX socket: it needs no secret", self.name);
            return Err(Failure::usage(cause));
        }
        if self.finish {
            return self.finish(&store, &client, context);
        }
        let now = context.now();
        let until = self.both_for.unwrap_or(Moment::Ago(BOTH_HOLD)).ahead(now);
        if self.rotate {
            self.refuse_rotation(&client, until, context)?;
        }
        let octets = if self.secret {
            ask_secret(context)?
        } else {
            generate_secret(context)
        };
        let secret = ClientSecret::new(octets.to_vec());
        let rng = &mut context.io.rng;
        let done = if self.rotate {
            store.rotate_client_secret(&self.name, &secret, now, until, rng)?;
            format!(
                "client {} has a new secret; the one before holds beside it until {}, or until `otpctl client secret {} --finish`",
                self.name,
                utc::show(until),
                text::shell_word(&self.name)
            )
        } else {
            store.replace_client_secret(&self.name, &secret, rng)?;
            format!(
                "client {} has a new secret; the one before holds no more",
                self.name
            )
        };
        context.note(&done);
        let generated = if self.secret {
            None
        } else {
            std::str::from_utf8(&octets).ok()
        };
        let text = generated.map_or_else(
            || format!("Changed the secret of client {}.\n", text::escape(&self.name)),
            // Alone, so that it can go straight to a file.
            |secret| format!("{secret}\n"),
        );
        let view = ClientView::new(&find(&store, &self.name)?);
        let value = Added {
            client: &view,
            secret: generated,
        };
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }

    /// Says what to do where a rotation cannot be.
    fn refuse_rotation(
        &self,
        client: &ClientRecord,
        until: UnixTime,
        context: &Context,
    ) -> Result<(), Failure> {
        let (now, name) = (context.now(), text::shell_word(&self.name));
        if until <= now {
            let cause = format!("{} is not in the future", utc::show(until));
            return Err(Failure::usage(cause));
        }
        if client.old_secret.as_ref().is_some_and(|old| old.holds(now)) {
            let cause = format!("the secret of {} is being rotated already", self.name);
            return Err(Failure::object(cause).with_remedy(format!("otpctl client secret {name} --finish")));
        }
        if client.message_authenticator.at(now) != MessageAuthenticatorRule::Required {
            let cause = format!(
                "requests of {} need no Message-Authenticator, and nothing else in them tells two secrets apart",
                self.name
            );
            return Err(Failure::object(cause).with_remedy(format!(
                "otpctl client set {name} --require-message-authenticator, and rotate then; or `otpctl client secret {name} \
                 --replace` in the moment in which the client is given the new one"
            )));
        }
        Ok(())
    }

    fn finish(&self, store: &Store, client: &ClientRecord, context: &mut Context) -> Result<Exit, Failure> {
        let Some(old) = &client.old_secret else {
            let cause = format!("the secret of {} is not being rotated", self.name);
            return Err(Failure::object(cause));
        };
        let usage = store.client_usage()?.get(&client.id).map(|report| report.usage);
        let now = context.now();
        if let Some(usage) = usage
            && let Some(last) = usage.old_secret.last.filter(|last| *last >= old.since)
            && usage.new_secret_at < Some(last)
        {
            context.warn(&format!(
                "the old secret was used {}, after the new one: whoever has the old one alone gets no more answers",
                text::ago(last, now)
            ));
        }
        store.finish_client_secret(&self.name)?;
        let view = ClientView::new(&find(store, &self.name)?);
        let text = format!(
            "The old secret of client {} holds no more.\n",
            text::escape(&self.name)
        );
        context.result(&json!({ "client": view }), &text)?;
        Ok(Exit::Ok)
    }
}

/// The result; the secret is borrowed, so that it is not copied once more.
#[derive(Serialize)]
pub(super) struct Added<'a> {
    pub(super) client: &'a ClientView,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret: Option<&'a str>,
}
