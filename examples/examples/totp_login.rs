//! Enrols a token and logs its user in with TOTP codes, each of which works once.
//!
//! Run it, add the printed URI to an authenticator app, and type the codes it shows.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use otp_core::{Otp, OtpauthUri, TokenKey, Totp, TotpState, Verdict, Window};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};

/// What a server stores per token: the key and the parameters, sealed and constant; the state, durable and
/// ever growing.
struct Token {
    totp: Totp,
    key: TokenKey,
    state: TotpState,
}

impl Token {
    /// Says whether the user may come in.
    fn log_in(&mut self, typed: &str, unix_time: u64) -> Result<(), Box<dyn Error>> {
        let otp = Otp::parse(typed.as_bytes())?;
        let now = self.totp.time_step(unix_time)?;
        match self
            .totp
            .verify(&self.key, &otp, now, self.state, Window::default())
        {
            Verdict::Fresh(matched) => {
                // A server commits this to disk first, provided that the stored state is still `self.state`.
                self.state = matched.state(10); // a drift of up to 10 steps, five minutes, is learned
                Ok(())
            }
            Verdict::Replayed(matched) => {
                Err(format!("the code of step {} has been used", matched.step).into())
            }
            // No code has been proven yet: help with the enrolment. Later this would help whoever guesses.
            Verdict::Unmatched if self.state == TotpState::default() => {
                let mistake = self.totp.diagnose(&self.key, &otp, unix_time);
                Err(mistake
                    .map_or("wrong code".into(), |mistake| format!("wrong code: {mistake}"))
                    .into())
            }
            Verdict::Unmatched => Err("wrong code".into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let key = TokenKey::generate(&mut StdRng::try_from_rng(&mut SysRng)?);
    let mut token = Token {
        totp: Totp::default(),
        key,
        state: TotpState::default(),
    };
    let uri = OtpauthUri::totp(Some("Example"), "alice", token.key.clone(), &token.totp)?;
    println!("{}", *uri.to_uri());

    let mut lines = io::stdin().lock().lines();
    loop {
        print!("Code: ");
        io::stdout().flush()?;
        let Some(line) = lines.next().transpose()? else {
            return Ok(());
        };
        match token.log_in(&line, unix_time()?) {
            Ok(()) => println!("Welcome, alice."),
            Err(reason) => println!("Refused: {reason}."),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a program has a clock; the crate takes the time as a parameter"
)]
fn unix_time() -> Result<u64, Box<dyn Error>> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}
