//! `otp-radiusd demo`: everything at work in a temporary directory, and every decision explained.

use std::{
    io::{self, IsTerminal as _, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use otp_core::{OtpauthUri, TokenKey, Totp, TotpState, Window};
use otp_service::{Clock as _, SystemClock};
use otp_store::{ClientSecret, MissingUsers, NewClient, NewToken, NewUser, Paths, Store};
use otp_validation::{TokenMode, TokenStatus, UserName};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};
use rand::{CryptoRng, rngs::SysRng};
use zeroize::Zeroizing;

use crate::{
    activation::Passed,
    cli::DemoOptions,
    config::{Config, LogConfig, LogFormat, LogLevel},
    daemon,
    listeners::Listeners,
    log,
    report::{Decided, Reporter},
    signals,
    transport::Transport,
};

/// Who may be let in here is nobody's secret.
const SHARED_SECRET: &str = "demo-secret-on-loopback-only";
const USER: &str = "alice";
const LABEL: &str = "phone";

/// Runs the demo until Ctrl-C.
pub(crate) async fn run(options: DemoOptions) -> anyhow::Result<()> {
    // Packets that are discarded are no decisions; what can be done about them is a warning.
    let _log = log::init(&LogConfig {
        format: LogFormat::Text,
        level: LogLevel::Warn,
    })?;
    let shutdown = signals::stop()?;
    let dir = tempfile::Builder::new()
        .prefix("otp-demo-")
        .tempdir()
        .context("cannot make a temporary directory")?;
    let state_dir = dir.path().join("state");
    let mut rng = rand::rand_core::UnwrapErr(SysRng);
    let (store, uri) = populate(&state_dir, &mut rng)?;

    let config = Config {
        listen: vec![
            Transport::Unix(dir.path().join("kdc.socket")),
            Transport::Udp(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port))),
        ],
        ..Config::default()
    };
    let listeners =
        Listeners::bind(&config, Passed::default()).context("try another port: otp-radiusd demo --port 0")?;
    let udp = listeners
        .udp_addresses()
        .into_iter()
        .next()
        .context("there is no UDP listener")?;
    introduce(&uri, udp, &state_dir, &config).context("cannot write to the terminal")?;

    let radius = daemon::radius(
        daemon::service(store, &config)?,
        Explainer {
            coloured: is_coloured(),
        },
    )?;
    let mut serving = listeners.serve(radius, &config);
    let failed = shutdown.run_until_cancelled(serving.failed()).await;
    serving.finish().await?;
    if let Some(failed) = failed {
        return Err(failed);
    }
    println!("\nGone, and {} with it.", dir.path().display());
    dir.close().context("cannot remove the temporary directory")
}

/// Makes a state with one user, one token and one client, and returns the token's URI.
fn populate(state_dir: &Path, rng: &mut impl CryptoRng) -> anyhow::Result<(Store, Zeroizing<String>)> {
    let now = SystemClock.now();
    let paths = Paths::new(state_dir);
    Store::init(&paths, now, rng)?;
    let store = Store::open(&paths)?;

    let name = UserName::parse(USER.as_bytes())?;
    store.add_user(&NewUser::new(name.clone(), now), rng)?;
    let (key, totp) = (TokenKey::generate(rng), Totp::default());
    let uri = OtpauthUri::totp(Some("otp-radiusd demo"), USER, key.clone(), &totp)?.to_uri();
    let token = NewToken {
        user: name,
        label: LABEL.into(),
        key,
        mode: TokenMode::Totp {
            totp,
            state: TotpState::default(),
            window: Window::default(),
        },
        status: TokenStatus::Active,
        created_at: now,
    };
    store.add_tokens(&[token], MissingUsers::Refuse, rng)?;

    let network = "127.0.0.0/8".parse()?;
    let secret = ClientSecret::new(SHARED_SECRET.as_bytes().to_vec());
    store.add_client(&NewClient::network("demo", network, secret, now), rng)?;
    Ok((store, uri))
}

/// Says what there is and what to try.
fn introduce(uri: &str, udp: SocketAddr, state_dir: &Path, config: &Config) -> io::Result<()> {
    let secret = uri
        .split("secret=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .unwrap_or_default();
    let unix = config.listen.first().map(ToString::to_string).unwrap_or_default();
    let otpctl = otpctl();
    let state_dir = state_dir.display();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\
otp-radiusd demo: user {USER} has a token, and this server listens. Nothing outlives Ctrl-C.

Scan this with an authenticator app:

{qr}
{uri}

No phone at hand? This shows the code of the moment:

    oathtool --totp --base32 {secret}

Then log in as a VPN would, with the code instead of CODE:

    echo 'User-Name = {USER}, User-Password = CODE, Message-Authenticator = 0x00' | radclient -x {udp} auth {SHARED_SECRET}

or ask for a decision without RADIUS (it reads the code from the terminal):

    {otpctl} --state-dir {state_dir} auth {USER}

A code is accepted once: try the same one again. An MIT KDC would be served at {unix}.

udp://{udp} is ready; every decision of this server appears below. Ctrl-C ends the demo.
",
        qr = qr(uri),
    )?;
    out.flush()
}

/// The QR code, dark on light where colours can be had; else the light modules are drawn, as most terminals are dark.
fn qr(uri: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(uri, EcLevel::L) else {
        return String::new();
    };
    let coloured = is_coloured();
    let (dark, light) = if coloured {
        (Dense1x2::Dark, Dense1x2::Light)
    } else {
        (Dense1x2::Light, Dense1x2::Dark)
    };
    let blocks = code
        .render::<Dense1x2>()
        .dark_color(dark)
        .light_color(light)
        .build();
    if !coloured {
        return blocks;
    }
    blocks
        .lines()
        .map(|line| format!("\u{1b}[38;5;16;48;5;231m{line}\u{1b}[0m\n"))
        .collect()
}

/// Colour belongs to terminals, and to those who have not refused it.
fn is_coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// How to call `otpctl` from here: the one beside this program, if there is one.
fn otpctl() -> String {
    let beside = std::env::current_exe()
        .ok()
        .map(|path| path.with_file_name("otpctl"))
        .filter(|path: &PathBuf| path.exists());
    match beside {
        Some(path) => path.display().to_string(),
        None => "cargo run --quiet --release --bin otpctl --".into(),
    }
}

/// Explains decisions on the terminal.
struct Explainer {
    coloured: bool,
}

impl Reporter for Explainer {
    fn decided(&self, decided: &Decided<'_>) {
        let (verdict, colour) = match decided.outcome.verdict() {
            "accept" => ("Access-Accept", "\u{1b}[1;32m"),
            "challenge" => ("Access-Challenge", "\u{1b}[1;33m"),
            _ => ("Access-Reject", "\u{1b}[1;31m"),
        };
        let (colour, end) = if self.coloured {
            (colour, "\u{1b}[0m")
        } else {
            ("", "")
        };
        let reason = decided.outcome.reason;
        let user = String::from_utf8_lossy(decided.user_name);
        println!(
            "{colour}{verdict}{end}  {user:?} from {peer} ({reason}, {elapsed})\n    {explanation}",
            peer = decided.peer,
            elapsed = millis(decided.elapsed),
            explanation = reason.explain(),
        );
    }
}

fn millis(elapsed: Duration) -> String {
    format!("decided in {:.1} ms", elapsed.as_secs_f64() * 1e3)
}
