//! `otpctl init`.

use otp_store::Store;
use serde_json::json;

use crate::{Exit, context::Context, failure::Failure};

/// Make the state: database, sealing key, and the client "kdc" for the KDC's socket.
///
/// A state that exists is never touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  sudo -u otp-radiusd otpctl init

Keep a copy of the sealing key apart from the backups of the database: without it the tokens are lost, with both they are anybody's.")]
pub(crate) struct Init {}

impl Init {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        Store::init(&context.paths, context.now(), &mut context.io.rng)?;
        let (state_dir, key_file) = (
            context.paths.state_dir.display(),
            context.paths.key_file.display(),
        );
        let text = format!(
            "The state is in {state_dir}, its sealing key in {key_file}.\n\
             Keep a copy of the key apart from the backups of the database.\n\
             \n\
             Next:\n  \
             otpctl user add alice                        add a user\n  \
             otpctl token add alice                       give the user a token, to be scanned from the terminal\n  \
             otpctl token verify alice/totp               prove one code of it\n  \
             otpctl kdc string alice --type otp           let a KDC ask for it, by the type \"otp\" of its kdc.conf\n  \
             otpctl client add vpn --address 192.0.2.1    let a VPN gateway or an access point ask, too\n"
        );
        let value = json!({ "state_dir": state_dir.to_string(), "key_file": key_file.to_string() });
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }
}
