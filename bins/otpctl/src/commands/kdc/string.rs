//! `otpctl kdc string`.

use std::io::Read;

use otp_userstring::{DEFAULT_TYPE, Decoded, Effect, Token, UserString};
use serde::Serialize;
use serde_json::json;

use super::token_spec::TokenSpec;
use crate::{Exit, context::Context, failure::Failure, text::Tone};

/// Write the "otp" string attribute of a principal, or tell what a KDC makes of one.
///
/// Without options the KDC asks the server of the type DEFAULT.
#[derive(Debug, clap::Args)]
#[command(
    name = "string",
    after_help = "\
Examples:
  otpctl kdc string alice
  eval \"$(otpctl kdc string alice --shell)\"
  otpctl kdc string alice@EXAMPLE.COM --type vpn --indicator otp
  otpctl kdc string alice --token type=totp --token type=backup,username=alice-backup,indicator=otp-backup
  kadmin.local getstrs alice | sed -n 's/^otp: //p' | otpctl kdc string --check -"
)]
pub(crate) struct WriteOrCheck {
    /// Kerberos principal, e.g. alice or alice@EXAMPLE.COM.
    #[arg(required_unless_present = "check")]
    principal: Option<String>,
    /// Token type: a subsection of [otp] in kdc.conf [default: DEFAULT].
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "token")]
    token_type: Option<String>,
    /// User-Name for the server instead of the principal; sent as it is.
    #[arg(long, value_name = "NAME", conflicts_with = "token")]
    username: Option<String>,
    /// Authentication indicator of the ticket, instead of those of the type; repeatable.
    #[arg(long, value_name = "NAME", conflicts_with = "token")]
    indicator: Vec<String>,
    /// No indicators at all, even if the type has some.
    #[arg(long, conflicts_with_all = ["token", "indicator"])]
    no_indicators: bool,
    /// One of several tokens: type=T,username=U,indicator=I,… (each optional, indicator repeatable).
    ///
    /// The KDC tries the tokens in the order given, with the same code. "\" takes a comma into a value.
    #[arg(long, value_name = "SPEC")]
    token: Vec<TokenSpec>,
    /// Print the command for a shell on the KDC, and nothing else.
    #[arg(long)]
    shell: bool,
    /// Say what a KDC does with an existing value; "-" reads it from standard input.
    #[arg(
        long,
        value_name = "STRING",
        allow_hyphen_values = true,
        conflicts_with_all = ["principal", "token_type", "username", "indicator", "no_indicators", "token", "shell"]
    )]
    check: Option<String>,
}

impl WriteOrCheck {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        match (&self.principal, &self.check) {
            (_, Some(value)) => check(value, context),
            (Some(principal), None) => self.write(principal, context),
            (None, None) => Err(Failure::usage("a principal is needed")),
        }
    }

    fn write(&self, principal: &str, context: &mut Context) -> Result<Exit, Failure> {
        let alone = TokenSpec {
            token_type: self.token_type.clone(),
            username: self.username.clone(),
            indicators: self.indicator.clone(),
            no_indicators: self.no_indicators,
        };
        let specs = if self.token.is_empty() {
            std::slice::from_ref(&alone)
        } else {
            self.token.as_slice()
        };
        let tokens = specs
            .iter()
            .map(TokenSpec::build)
            .collect::<Result<Vec<_>, _>>()
            .map_err(Failure::data)?;
        let value = UserString::new(tokens).map_err(Failure::data)?;
        let line = value.kadmin_line(principal).map_err(Failure::data)?;
        let command = value.kadmin_command(principal).map_err(Failure::data)?;
        let json = value.to_json();
        let text = if self.shell {
            format!("{command}\n")
        } else {
            explain(&json, &command, &line)
        };
        let result = json!({
            "principal": principal,
            "value": json,
            "kadmin_command": command,
            "kadmin_line": line,
        });
        context.result(&result, &text)?;
        Ok(Exit::Ok)
    }
}

/// The value, and how to store it.
fn explain(json: &str, command: &str, line: &str) -> String {
    format!(
        "{json}\n\
             \n\
             In a shell on the KDC:\n  {command}\n\
             \n\
             At the prompt of kadmin or kadmin.local, where every double quote is doubled:\n  {line}\n\
             \n\
             The KDC asks for a code only if the principal requires preauthentication (modprinc +requires_preauth)\n\
             and the client uses FAST.\n",
    )
}

#[derive(Serialize)]
struct CheckedToken {
    r#type: String,
    username: Option<String>,
    indicators: Option<Vec<String>>,
}

impl CheckedToken {
    fn new(token: &Token) -> Self {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        Self {
            r#type: text(token.effective_type()),
            username: token.username().map(text),
            indicators: token
                .indicators()
                .map(|list| list.iter().map(|indicator| text(indicator)).collect()),
        }
    }

    fn describe(&self) -> String {
        let server = if self.r#type == DEFAULT_TYPE {
            "the type DEFAULT".to_owned()
        } else {
            format!("the type {:?}", self.r#type)
        };
        let user = self
            .username
            .as_ref()
            .map_or("the principal".to_owned(), |name| format!("{name:?}"));
        let indicators = match &self.indicators {
            None => "the indicators of the type".to_owned(),
            Some(list) if list.is_empty() => "no indicators".to_owned(),
            Some(list) => format!("indicators {}", list.join(", ")),
        };
        format!("asks the server of {server} for {user}; the ticket gets {indicators}")
    }
}

fn check(value: &str, context: &mut Context) -> Result<Exit, Failure> {
    let octets = if value == "-" {
        read_value(&mut *context.io.stdin)?
    } else {
        value.as_bytes().to_vec()
    };
    let decoded = match UserString::decode(&octets) {
        Ok(decoded) => decoded,
        Err(error) => {
            let text = format!(
                "{}: {error}\nEvery OTP request of the principal fails; `otpctl kdc string PRINCIPAL` writes a value that works.\n",
                context.out.paint(Tone::Bad, "unusable")
            );
            let result = json!({ "usable": false, "error": error.to_string(), "tokens": [], "warnings": [] });
            context.result(&result, &text)?;
            return Ok(Exit::No);
        }
    };
    tell(&decoded, context)
}

fn tell(decoded: &Decoded, context: &mut Context) -> Result<Exit, Failure> {
    let usable = decoded
        .warnings
        .iter()
        .all(|warning| warning.kind.effect() != Effect::RequestFails);
    let tokens: Vec<_> = decoded
        .user_string
        .tokens()
        .iter()
        .map(CheckedToken::new)
        .collect();
    let mut text = String::new();
    for (number, token) in (1..).zip(&tokens) {
        text.push_str(&format!(
            "token {number} {}\n",
            crate::text::escape(&token.describe())
        ));
    }
    for warning in &decoded.warnings {
        let tone = if warning.kind.effect() == Effect::RequestFails {
            Tone::Bad
        } else {
            Tone::Caution
        };
        let effect = context.out.paint(tone, effect_name(warning.kind.effect()));
        text.push_str(&format!(
            "{effect}: {}\n",
            crate::text::escape(&warning.to_string())
        ));
    }
    text.push_str(&format!("canonical form: {}\n", decoded.user_string.to_json()));
    let warnings: Vec<_> = decoded
        .warnings
        .iter()
        .map(|warning| {
            json!({
                "token": warning.token.map(|index| index.saturating_add(1)),
                "octet": warning.at,
                "effect": effect_name(warning.kind.effect()),
                "message": warning.kind.to_string(),
            })
        })
        .collect();
    let result = json!({
        "usable": usable,
        "error": null,
        "tokens": tokens,
        "warnings": warnings,
        "canonical": decoded.user_string.to_json(),
    });
    context.result(&result, &text)?;
    Ok(if usable { Exit::Ok } else { Exit::No })
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::AsWritten => "note",
        Effect::Altered => "altered",
        Effect::RequestFails => "request-fails",
    }
}

/// Reads a value from a stream; the newline that tools put after it is not part of it.
fn read_value(input: &mut dyn Read) -> Result<Vec<u8>, Failure> {
    // One octet more than can be right, so that the decoder sees what is too long.
    let limit = u64::try_from(UserString::MAX_LENGTH)
        .unwrap_or(u64::MAX)
        .saturating_add(2);
    let mut octets = Vec::new();
    input.take(limit).read_to_end(&mut octets)?;
    if octets.last() == Some(&b'\n') {
        octets.pop();
    }
    Ok(octets)
}
