//! `otpctl token verify`.

use std::num::NonZeroU64;

use otp_core::{Algorithm, Digits, Mistake};
use otp_store::Commit;
use otp_validation::{ProofError, TokenStatus, prove};
use serde_json::json;

use super::find;
use crate::{
    Echo, Exit,
    context::Context,
    failure::Failure,
    text::{escape, shell_word},
    token_name::TokenName,
    view::TokenView,
};

/// How often a proof is repeated because the account changed under it.
const ROUNDS: u32 = 8;

/// Prove one code of a token, which makes a pending one active.
///
/// The code is read from the terminal or from standard input, and is spent. A wrong one is explained, where an app is
/// known to ignore an algorithm, a number of digits or a period.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  otpctl token verify alice/totp
  echo 123456 | otpctl token verify alice/totp")]
pub(crate) struct Verify {
    /// The token, e.g. alice/totp.
    #[arg(value_name = "USER/LABEL")]
    name: TokenName,
}

impl Verify {
    pub(super) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let store = context.store()?;
        find(&store, &self.name)?;
        let code = context.ask(&format!("Code of {}: ", self.name), Echo::Shown)?;
        for _ in 0..ROUNDS {
            let was_pending = find(&store, &self.name)?.status == TokenStatus::Pending;
            let account = store.account(&self.name.user)?;
            let Some((account, token)) = account.as_ref().and_then(|account| {
                let own = account.user.name == self.name.user;
                let token = account
                    .tokens
                    .iter()
                    .find(|token| own && token.label == self.name.label.as_str());
                Some((account, token?))
            }) else {
                return Err(Failure::object(format!("there is no token {}", self.name)));
            };
            // The clock is read after the person has typed.
            let proof = prove(token, &code, context.now()).map_err(|error| self.explain(error))?;
            if let Commit::Conflict = store.commit_effects(account, &proof.effects)? {
                continue;
            }
            let token = TokenView::new(&find(&store, &self.name)?);
            let name = escape(&token.name);
            let text = match (was_pending, token.enabled) {
                (true, true) => format!("{name} is active.\n"),
                (true, false) => format!("{name} is proven, but disabled.\n"),
                (false, _) => format!("The code of {name} was right; it is spent now.\n"),
            };
            context.result(&json!({ "token": token }), &text)?;
            return Ok(Exit::Ok);
        }
        Err(
            Failure::new(Exit::Store, "the account kept changing while the code was proven")
                .with_remedy("try again"),
        )
    }

    fn explain(&self, error: ProofError) -> Failure {
        let remedy = match &error {
            ProofError::Mistaken(mistake) => self.advise(mistake),
            ProofError::NotACode { .. } => Some("type the digits alone, as the app shows them".to_owned()),
            ProofError::Wrong => Some(format!(
                "scan the QR code of this token, not an older one; or start over: otpctl token rm {}",
                self.word()
            )),
            _ => None,
        };
        let failure = Failure::data(error);
        match remedy {
            Some(remedy) => failure.with_remedy(remedy),
            None => failure,
        }
    }

    /// The token's name in a command that is printed to be copied.
    fn word(&self) -> String {
        shell_word(&self.name.to_string())
    }

    /// What helps against a mistake of the app or the device.
    fn advise(&self, mistake: &Mistake) -> Option<String> {
        let options = match *mistake {
            Mistake::Algorithm(algorithm) => options(Some(algorithm), None, None),
            Mistake::Digits(digits) => options(None, Some(digits), None),
            Mistake::Period(period) => options(None, None, Some(period)),
            Mistake::Parameters {
                algorithm,
                digits,
                period,
            } => options(algorithm, digits, period),
            Mistake::Clock { .. } => {
                return Some(
                    "compare the clocks of the device and of this machine, and set the wrong one".to_owned(),
                );
            }
            Mistake::Counter { .. } => {
                return Some(format!(
                    "start over with the counter of the device: otpctl token rm {0}; otpctl token add {0} --type hotp --counter N",
                    self.word()
                ));
            }
            _ => return None,
        };
        Some(format!(
            "take an app that obeys the parameters of the token, or make a token for this app: \
             otpctl token rm {0}; otpctl token add {0}{options}",
            self.word()
        ))
    }
}

/// The options of `otpctl token add` for what the app does.
fn options(algorithm: Option<Algorithm>, digits: Option<Digits>, period: Option<NonZeroU64>) -> String {
    let options = [
        algorithm.map(|algorithm| format!(" --algorithm {algorithm}")),
        digits.map(|digits| format!(" --digits {digits}")),
        period.map(|period| format!(" --period {period}")),
    ];
    options.into_iter().flatten().collect()
}
