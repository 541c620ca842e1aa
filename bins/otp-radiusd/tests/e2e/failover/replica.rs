//! The daemons on the cluster, each with a state directory of its own.

use std::{fs, net::SocketAddr, thread, time::Duration};

use super::cluster::Cluster;
use crate::{
    clients::User,
    system::{Daemon, System},
};

/// Makes a store with so many HOTP users and a client; two machines that are to have daemons, and the client's secret.
pub fn make_store(cluster: &Cluster, users: usize) -> ([System; 2], String) {
    let first = System::on(cluster.url());
    first.otpctl(
        &["token", "import", "--create-users", "-"],
        &User::import_file("hotp", 0..users),
    );
    let secret = first.radius_client("vpn", &[]);
    let second = first.beside();
    ([first, second], secret)
}

pub struct Replica {
    pub address: SocketAddr,
    daemon: Daemon,
}

impl Replica {
    /// A daemon that refuses a cluster which may lose commits, unless it is told to accept that.
    pub fn start(system: &System, accept_lost_commits: bool) -> Self {
        let file = system.dir().join("otp-radiusd.toml");
        fs::write(
            &file,
            format!("[postgresql]\naccept_lost_commits = {accept_lost_commits}\n"),
        )
        .unwrap();
        let daemon = system.start_with(&["--config", file.to_str().unwrap()]);
        Self {
            address: daemon.udp(),
            daemon,
        }
    }

    /// Waits until the log has what the daemon has decided so far; it writes that beside its work.
    pub fn let_log_catch_up() {
        thread::sleep(Duration::from_millis(300));
    }

    /// The last decisions about the user.
    pub fn decisions(&self, user: &str) -> Vec<String> {
        let all = self.daemon.log().into_iter();
        let mut about: Vec<_> = all
            .filter(|line| line.contains(&format!("user_name=\"{user}\" ")))
            .collect();
        about.split_off(about.len().saturating_sub(4))
    }

    /// Why the user was answered as he was, the last time.
    pub fn reason(&self, user: &str) -> Option<String> {
        let line = self.daemon.last(&format!("user_name=\"{user}\" "))?;
        let reason = line.split("reason=\"").nth(1)?.split('"').next()?;
        Some(reason.to_owned())
    }
}
