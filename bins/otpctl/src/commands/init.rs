//! `otpctl init`.

use otp_store::Store;
use serde_json::json;

use crate::{
    Exit,
    context::{Context, of_the_state},
    failure::Failure,
};

/// Make the state: database, sealing key, and the client "kdc" for the KDC's socket.
///
/// A state that exists is never touched.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  sudo -u otp-radiusd otpctl init
  sudo -u otp-radiusd otpctl init --database postgresql://otp@127.0.0.1/otp

Keep a copy of the sealing key apart from the backups of the database: without it the tokens are lost, with both they are anybody's.
A database that several machines share is made once; every other machine needs its copy of the key.")]
pub(crate) struct Init {}

impl Init {
    pub(crate) fn run(&self, context: &mut Context) -> Result<Exit, Failure> {
        let location = context.location()?;
        Store::init(&location, context.now(), &mut context.io.rng).map_err(of_the_state)?;
        let (state_dir, key_file) = (
            location.paths.state_dir.display(),
            location.paths.key_file.display(),
        );
        let database = location.database.as_ref().map(ToString::to_string);
        let made = match &database {
            None => format!("The state is in {state_dir}, its sealing key in {key_file}."),
            Some(database) => format!(
                "The state is in {database}, its sealing key in {key_file}.\n\
                 Every other machine that uses the database needs a copy of the key, and no init."
            ),
        };
        let text = format!(
            "{made}\n\
             Keep a copy of the key apart from the backups of the database.\n\
             \n\
             Next:\n  \
             otpctl user add alice                        add a user\n  \
             otpctl token add alice                       give the user a token, to be scanned from the terminal\n  \
             otpctl token verify alice/totp               prove one code of it\n  \
             otpctl kdc string alice --type otp           let a KDC ask for it, by the type \"otp\" of its kdc.conf\n  \
             otpctl client add vpn --address 192.0.2.1    let a VPN gateway or an access point ask, too\n"
        );
        let value = json!({
            "state_dir": state_dir.to_string(),
            "key_file": key_file.to_string(),
            "database": database,
        });
        context.result(&value, &text)?;
        Ok(Exit::Ok)
    }
}
