//! `otpctl token add`.

use std::{num::NonZeroU64, path::PathBuf};

use clap::ValueEnum;
use otp_core::{Algorithm, Digits, Hotp, HotpState, OtpauthUri, TokenKey, Totp, TotpState, Window};
use otp_store::{MissingUsers, NewToken, Store};
use otp_validation::{TokenMode, TokenStatus, UserName};
use serde::Serialize;
use zeroize::Zeroizing;

use super::find;
use crate::{
    Echo, Exit, Label,
    commands::user,
    context::Context,
    failure::Failure,
    qr::{self, PngFile},
    secret,
    text::{escape, shell_word},
    token_name::TokenName,
    values::{LARGEST_COUNTER, LONGEST_PERIOD, LOOK_AHEAD, parse_user},
    view::TokenView,
};

/// Add a token to a user.
///
/// A key of 160 bits is generated, and shown once as an otpauth URI and a QR code: on a terminal, or where --show-uri or
/// --qr-file asks for it. The token is pending until one of its codes is proven with "otpctl token verify".
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl token add alice
  otpctl token add alice/phone --issuer Example --qr-file alice.png
  uri=$(otpctl token add alice --show-uri)
  otpctl token add bob/keyring --type hotp --secret < hardware-key

NAME is the whole name of a user if there is one of that name; otherwise the part after the last \"/\" is the label.")]
pub(crate) struct Add {
    /// User, or user and label, e.g. alice or alice/phone [default label: totp or hotp].
    #[arg(value_name = "USER[/LABEL]")]
    name: String,
    /// What a code depends on: the time or a counter.
    #[arg(long = "type", value_enum, default_value_t = Kind::Totp)]
    kind: Kind,
    /// Hash: SHA1, SHA256 or SHA512. Many apps know SHA1 only.
    #[arg(long, default_value_t = Algorithm::Sha1, hide_possible_values = true)]
    algorithm: Algorithm,
    /// Digits of a code: 6, 7 or 8. Many apps know 6 only.
    #[arg(long, default_value_t = Digits::SIX, value_parser = parse_digits)]
    digits: Digits,
    /// Seconds of a time step (TOTP) [default: 30].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=LONGEST_PERIOD))]
    period: Option<u64>,
    /// Next counter (HOTP) [default: 0].
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=LARGEST_COUNTER))]
    counter: Option<u64>,
    /// Read the key instead, base32 or hex:…: asked for on a terminal, else one line of standard input.
    #[arg(long, alias = "secret-stdin")]
    secret: bool,
    /// Take a key of less than 16 octets (RFC 4226 forbids it): guessing it from codes becomes feasible.
    #[arg(long, requires = "secret")]
    dangerous_allow_short_keys: bool,
    /// Who issues the token, shown by the app.
    #[arg(long)]
    issuer: Option<String>,
    /// Write the QR code to a new PNG file that its owner alone can read.
    #[arg(long, value_name = "FILE")]
    qr_file: Option<PathBuf>,
    /// Print the otpauth URI (it holds the key) even if standard output is no terminal; alone, without --json.
    #[arg(long)]
    show_uri: bool,
    /// Draw no QR code on the terminal.
    #[arg(long)]
    no_qr: bool,
    /// Do not wait for a proven code: the token counts at once.
    #[arg(long)]
    active: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// RFC 6238.
    Totp,
    /// RFC 4226.
    Hotp,
}

impl Kind {
    fn default_label(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::Hotp => "hotp",
        }
    }
}

impl Add {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let mode = self.mode()?;
        let shows_uri = self.show_uri || (context.io.stdout_is_terminal && !context.json && !self.secret);
        if !self.secret && !shows_uri && self.qr_file.is_none() {
            return Err(
                Failure::usage("nobody would see the generated key: standard output is no terminal")
                    .with_remedy("say --show-uri or --qr-file FILE, or read a key with --secret"),
            );
        }
        let store = context.store()?;
        let name = self.resolve(&store)?;
        let key = self.key(context)?;
        let uri = self.uri(&name, &key)?;
        // The image comes before the token: a token whose key nobody has seen would be worse than a file too many.
        let image = self
            .qr_file
            .as_ref()
            .map(|path| PngFile::create(path, &uri))
            .transpose()?;
        let token = NewToken {
            user: name.user.clone(),
            label: name.label.to_string(),
            key,
            mode,
            status: if self.active {
                TokenStatus::Active
            } else {
                TokenStatus::Pending
            },
            created_at: context.now(),
        };
        store.add_tokens(&[token], MissingUsers::Refuse, &mut context.io.rng)?;
        if let Some(image) = image {
            image.keep();
        }
        let view = TokenView::new(&find(&store, &name)?);
        self.tell(&view, shows_uri.then_some(&*uri), context)?;
        Ok(Exit::Ok)
    }

    fn mode(&self) -> Result<TokenMode, Failure> {
        match self.kind {
            Kind::Totp if self.counter.is_some() => Err(Failure::usage("--counter is for --type hotp")),
            Kind::Hotp if self.period.is_some() => Err(Failure::usage("--period is for --type totp")),
            Kind::Totp => Ok(TokenMode::Totp {
                totp: self.totp(),
                state: TotpState::default(),
                window: Window::default(),
            }),
            Kind::Hotp => Ok(TokenMode::Hotp {
                hotp: self.hotp(),
                state: HotpState {
                    next: self.counter.unwrap_or_default(),
                },
                look_ahead: LOOK_AHEAD,
            }),
        }
    }

    fn totp(&self) -> Totp {
        let period = self
            .period
            .and_then(NonZeroU64::new)
            .unwrap_or(Totp::DEFAULT_STEP);
        Totp::default()
            .with_algorithm(self.algorithm)
            .with_digits(self.digits)
            .with_step(period)
    }

    fn hotp(&self) -> Hotp {
        Hotp {
            algorithm: self.algorithm,
            digits: self.digits,
        }
    }

    /// A name may hold a `/` of its own, so a user of the whole name comes first.
    fn resolve(&self, store: &Store) -> Result<TokenName, Failure> {
        let whole = parse_user(&self.name).map_err(Failure::data)?;
        if store.user(&whole)?.is_some() {
            let label = self.free_label(store, &whole)?;
            return Ok(TokenName { user: whole, label });
        }
        let Ok(name) = self.name.parse::<TokenName>() else {
            return Err(user::find(store, &whole)
                .err()
                .unwrap_or_else(|| Failure::data("no such name")));
        };
        user::find(store, &name.user)?;
        if store.token(&name.user, name.label.as_str())?.is_some() {
            return Err(Failure::object(format!("token {name} exists already"))
                .with_remedy("give another label, or remove that token first"));
        }
        Ok(name)
    }

    fn free_label(&self, store: &Store, user: &UserName) -> Result<Label, Failure> {
        let labels: Vec<_> = store
            .tokens(Some(user))?
            .into_iter()
            .map(|token| token.label)
            .collect();
        Ok(Label::first_free(self.kind.default_label(), |label| {
            labels.iter().any(|taken| taken == label)
        }))
    }

    fn key(&self, context: &mut Context) -> Result<TokenKey, Failure> {
        if !self.secret {
            return Ok(TokenKey::generate(&mut context.io.rng));
        }
        let text = context.ask_text("Key (base32, or hex:…): ", Echo::Hidden)?;
        secret::parse(&text, self.dangerous_allow_short_keys)
            .map_err(|error| Failure::data(error).with_remedy(error.remedy()))
    }

    fn uri(&self, name: &TokenName, key: &TokenKey) -> Result<Zeroizing<String>, Failure> {
        let (issuer, account, key) = (self.issuer.as_deref(), name.user.as_str(), key.clone());
        let uri = match self.kind {
            Kind::Totp => OtpauthUri::totp(issuer, account, key, &self.totp()),
            Kind::Hotp => OtpauthUri::hotp(
                issuer,
                account,
                key,
                &self.hotp(),
                self.counter.unwrap_or_default(),
            ),
        };
        Ok(uri.map_err(Failure::data)?.to_uri())
    }

    fn tell(&self, token: &TokenView, uri: Option<&str>, context: &mut Context) -> Result<(), Failure> {
        let name = escape(&token.name);
        let added = format!("added {name} ({}), {}", token.parameters(), token.status);
        let next = match token.status {
            "pending" => format!(
                "prove one code with `otpctl token verify {}`",
                shell_word(&token.name)
            ),
            _ => "its codes are accepted from now on".to_owned(),
        };
        let qr_file = self.qr_file.as_ref().map(|path| path.display().to_string());
        let value = Added { token, uri, qr_file };
        let mut text = Zeroizing::new(String::new());
        if context.io.stdout_is_terminal {
            if let Some(uri) = uri {
                if !self.no_qr {
                    text.push_str(&qr::for_terminal(uri, context.out).map_err(Failure::data)?);
                    text.push('\n');
                }
                text.push_str(uri);
                text.push_str("\n\n");
            }
            text.push_str(&format!("{added}: {next}\n"));
        } else {
            // For scripts: the URI alone, or else the name that was given.
            text.push_str(uri.unwrap_or(&token.name));
            text.push('\n');
            context.note(&format!("{added}: {next}"));
        }
        context.result(&value, &text)
    }
}

/// The result; the URI is borrowed, so that it is not copied once more.
#[derive(Serialize)]
struct Added<'a> {
    token: &'a TokenView,
    uri: Option<&'a str>,
    qr_file: Option<String>,
}

/// Reads a number of digits from the command line.
fn parse_digits(text: &str) -> Result<Digits, String> {
    let digits = text
        .parse::<u8>()
        .ok()
        .and_then(|digits| Digits::try_from(digits).ok());
    digits.ok_or_else(|| "write 6, 7 or 8".to_owned())
}
