//! Three machines on one bridge, and who of them is the primary.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::node::{Node, run};
use crate::system;

/// The machines.
pub const NODES: [u8; 3] = [1, 2, 3];
/// From one state of the cluster to the next: Patroni's `ttl`, its loops, and a machine that does other things, too.
const PATIENCE: Duration = Duration::from_secs(120);

/// The address of a machine, of those that are set aside for documentation; the bridge leads nowhere.
pub fn address(node: u8) -> String {
    format!("192.0.2.{node}")
}

pub struct Cluster {
    nodes: Vec<Node>,
    _dir: TempDir,
}

impl Cluster {
    /// Boots three machines and waits until one of them is the primary and the two others follow.
    pub fn start() -> Self {
        // `cargo xtask failover` has made these namespaces; nothing of this is left when they end.
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", "bridge", "type", "bridge"]);
        run("ip", &["address", "add", "192.0.2.254/24", "dev", "bridge"]);
        run("ip", &["link", "set", "bridge", "up"]);
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let nodes = NODES.map(|number| Node::new(number, dir.path())).into();
        let mut cluster = Self { nodes, _dir: dir };
        for node in &mut cluster.nodes {
            node.boot();
        }
        cluster.wait_until_whole();
        let created = cluster.sql("CREATE ROLE otp LOGIN; CREATE DATABASE otp OWNER otp", "postgres");
        assert!(created.is_some(), "cannot create the database");
        cluster
    }

    /// From now on a commit is acknowledged before any standby has it: what must fail, and shows that the campaign can.
    pub fn make_asynchronous(&self) {
        let config = self.nodes[0].patroni_config();
        run(
            "patronictl",
            &[
                "-c",
                config.to_str().unwrap(),
                "edit-config",
                "otp",
                "--force",
                "--quiet",
                "--set",
                "synchronous_mode=false",
                "--set",
                "synchronous_mode_strict=false",
            ],
        );
        self.wait("asynchronous replication", || {
            let waits_for = self.sql("SHOW synchronous_standby_names", "postgres")?;
            waits_for.is_empty().then_some(())
        });
    }

    /// What `otpctl` and the daemon take.
    pub fn url(&self) -> String {
        let servers = NODES.map(|node| format!("{}:5432", address(node))).join(",");
        format!(
            "postgresql://otp@{servers}/otp?target_session_attrs=read-write&connect_timeout=2&sslmode=disable"
        )
    }

    /// The machine.
    pub fn node(&mut self, number: u8) -> &mut Node {
        self.nodes.get_mut(usize::from(number) - 1).unwrap()
    }

    /// Those that take writes at this moment. It may be more than one.
    pub fn primaries(&self) -> Vec<u8> {
        let is_primary =
            |node: &u8| self.ask(*node, "SELECT NOT pg_is_in_recovery()").as_deref() == Some("t");
        NODES.into_iter().filter(is_primary).collect()
    }

    /// Waits until one machine other than `old` takes writes.
    pub fn wait_for_successor(&self, old: u8) -> u8 {
        self.wait("a successor", || {
            self.primaries().into_iter().find(|node| *node != old)
        })
    }

    /// Waits until there is one primary, and two standbys follow it.
    pub fn wait_until_whole(&self) -> u8 {
        self.wait("one primary and two standbys", || {
            let [primary] = self.primaries()[..] else {
                return None;
            };
            let count = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND usename = 'replicator'";
            (self.ask(primary, count).as_deref() == Some("2")).then_some(primary)
        })
    }

    /// What the server on `node` says, if it does.
    pub fn ask(&self, node: u8, query: &str) -> Option<String> {
        psql(
            &format!(
                "postgresql://postgres@{}/postgres?connect_timeout=2",
                address(node)
            ),
            query,
        )
    }

    /// What the primary says.
    pub fn sql(&self, query: &str, database: &str) -> Option<String> {
        let servers = NODES.map(|node| format!("{}:5432", address(node))).join(",");
        psql(
            &format!(
                "postgresql://postgres@{servers}/{database}?target_session_attrs=read-write&connect_timeout=2"
            ),
            query,
        )
    }

    fn wait<T>(&self, what: &str, mut seen: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = seen() {
                return found;
            }
            assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(250));
        }
    }
}

fn psql(url: &str, query: &str) -> Option<String> {
    let mut command = Command::new("timeout");
    command.args(["3", "psql", "--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"]);
    for statement in query.split("; ") {
        command.args(["-c", statement]);
    }
    let output = system::run(
        {
            command.arg(url);
            command
        },
        "",
    );
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(said)
}
