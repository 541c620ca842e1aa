//! One machine of the cluster: a network namespace that lasts, and in it, as often as it boots, a process namespace with
//! etcd, Patroni and PostgreSQL, which ends with all its processes at once, as a machine does that loses its power.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::cluster::{NODES, address};
use crate::system::PATIENCE;

pub struct Node {
    number: u8,
    dir: PathBuf,
    /// Keeps the network namespace until its standard input ends.
    keeper: Child,
    machine: Option<Child>,
}

impl Node {
    /// A machine on the bridge, with its files under `dir`. It is off.
    pub fn new(number: u8, dir: &Path) -> Self {
        let dir = dir.join(format!("node{number}"));
        run(
            "install",
            &["-d", "-o", "postgres", "-m", "700", dir.to_str().unwrap()],
        );
        let keeper = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let node = Self {
            number,
            dir,
            keeper,
            machine: None,
        };
        node.connect();
        fs::write(node.patroni_config(), node.patroni()).unwrap();
        fs::write(node.file("boot"), node.boot_script()).unwrap();
        node
    }

    /// What `patronictl` reads, too.
    pub fn patroni_config(&self) -> PathBuf {
        self.file("patroni.yml")
    }

    /// Starts etcd and Patroni, which starts PostgreSQL.
    pub fn boot(&mut self) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.file("log"))
            .unwrap();
        let mut command = self.in_network(&[]);
        command
            .args(["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh"])
            .arg(self.file("boot"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.machine = Some(command.spawn().unwrap());
    }

    /// Everything on it ends at once.
    pub fn power_off(&mut self) {
        if let Some(mut machine) = self.machine.take() {
            machine.kill().unwrap();
            machine.wait().unwrap();
        }
    }

    /// SIGSTOP or SIGCONT to Patroni alone: PostgreSQL goes on without anybody who watches it.
    pub fn signal_patroni(&self, signal: &str) {
        let machine = self.machine.as_ref().unwrap().id();
        let children = fs::read_to_string(format!("/proc/{machine}/task/{machine}/children")).unwrap();
        let init = children.split_whitespace().next().unwrap();
        let patroni = fs::read_to_string(self.file("patroni.pid")).unwrap();
        run(
            "nsenter",
            &[
                "--target",
                init,
                "--pid",
                "--mount",
                "kill",
                "-s",
                signal,
                patroni.trim(),
            ],
        );
    }

    /// Drops what goes to and comes from `others`, on `port` if that is given.
    pub fn cut_off(&self, others: &[u8], port: Option<u16>) {
        let peers: Vec<_> = others.iter().map(|other| address(*other)).collect();
        let peers = peers.join(", ");
        let ports = port.map_or(String::new(), |port| format!("tcp sport {port} "));
        let backwards = port.map_or(String::new(), |port| format!("tcp dport {port} "));
        self.nft(&format!(
            "table inet cut {{\n\
             chain out {{ type filter hook output priority 0; ip daddr {{ {peers} }} {ports}drop; }}\n\
             chain in {{ type filter hook input priority 0; ip saddr {{ {peers} }} {backwards}drop; }}\n}}\n"
        ));
    }

    /// Undoes [`cut_off`](Self::cut_off).
    pub fn reconnect(&self) {
        self.nft("flush ruleset\n");
    }

    /// What Patroni and the others have written lately.
    pub fn log(&self) -> String {
        let text = fs::read_to_string(self.file("log")).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(25).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn nft(&self, rules: &str) {
        let mut command = self.in_network(&["nft", "-f", "-"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "nft: {rules}");
    }

    /// A pair of interfaces from the bridge into the namespace.
    fn connect(&self) {
        let (number, keeper) = (self.number, self.keeper.id().to_string());
        let (outside, inside) = (format!("node{number}"), format!("inside{number}"));
        let ours = fs::read_link("/proc/self/ns/net").unwrap();
        let began = Instant::now();
        while fs::read_link(format!("/proc/{keeper}/ns/net")).unwrap() == ours {
            assert!(began.elapsed() < PATIENCE, "no namespace");
            thread::sleep(Duration::from_millis(5));
        }
        run(
            "ip",
            &[
                "link", "add", &outside, "type", "veth", "peer", "name", &inside, "netns", &keeper,
            ],
        );
        run("ip", &["link", "set", &outside, "master", "bridge", "up"]);
        let own = format!("{}/24", address(number));
        for words in [
            &["ip", "address", "add", &own, "dev", &inside][..],
            &["ip", "link", "set", &inside, "up"],
            &["ip", "link", "set", "lo", "up"],
        ] {
            assert!(self.in_network(words).status().unwrap().success(), "{words:?}");
        }
    }

    fn in_network(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg("--target")
            .arg(self.keeper.id().to_string())
            .arg("--net");
        command.args(words);
        command
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// PostgreSQL does not run as root, and nothing else has to.
    fn boot_script(&self) -> String {
        let (number, own, dir) = (self.number, address(self.number), self.dir.display());
        let cluster: Vec<_> = NODES
            .map(|node| format!("node{node}=http://{}:2380", address(node)))
            .into();
        let cluster = cluster.join(",");
        format!(
            "as_postgres='setpriv --reuid=postgres --regid=postgres --init-groups --'\n\
             cd {dir}\n\
             $as_postgres etcd --name node{number} --data-dir {dir}/etcd --log-level error --enable-v2 \\\n\
             --listen-peer-urls http://{own}:2380 --initial-advertise-peer-urls http://{own}:2380 \\\n\
             --listen-client-urls http://{own}:2379 --advertise-client-urls http://{own}:2379 \\\n\
             --initial-cluster {cluster} --initial-cluster-state new &\n\
             $as_postgres env LC_ALL=C PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin patroni {dir}/patroni.yml &\n\
             echo $! > {dir}/patroni.pid\n\
             wait\n"
        )
    }

    /// By etcd's API of version 2, whose lock is renewed by comparing: of Patroni 3.0.2, which Debian 12 has, the driver for
    /// version 3 writes it without, so that a primary that was cut off takes it from its successor when it is back.
    fn patroni(&self) -> String {
        let (number, own, dir) = (self.number, address(self.number), self.dir.display());
        let etcd: Vec<_> = NODES.map(|node| format!("'{}:2379'", address(node))).into();
        let etcd = etcd.join(", ");
        format!(
            "scope: otp\n\
             name: node{number}\n\
             restapi: {{listen: '{own}:8008', connect_address: '{own}:8008'}}\n\
             etcd: {{hosts: [{etcd}]}}\n\
             bootstrap:\n\
             \x20 dcs:\n\
             \x20   ttl: 20\n\
             \x20   loop_wait: 3\n\
             \x20   retry_timeout: 5\n\
             \x20   synchronous_mode: true\n\
             \x20   synchronous_mode_strict: true\n\
             \x20   postgresql: {{use_pg_rewind: true, use_slots: true, parameters: {{wal_keep_size: 512MB}}}}\n\
             \x20 initdb: [encoding: UTF8, locale: C, data-checksums]\n\
             \x20 pg_hba: ['local all all trust', 'host all all 192.0.2.0/24 trust', 'host replication all 192.0.2.0/24 trust']\n\
             postgresql:\n\
             \x20 listen: '{own}:5432'\n\
             \x20 connect_address: '{own}:5432'\n\
             \x20 data_dir: {dir}/data\n\
             \x20 bin_dir: /usr/lib/postgresql/15/bin\n\
             \x20 pgpass: {dir}/pgpass\n\
             \x20 authentication:\n\
             \x20   superuser: {{username: postgres}}\n\
             \x20   replication: {{username: replicator}}\n\
             \x20   rewind: {{username: rewinder}}\n\
             \x20 parameters: {{unix_socket_directories: '{dir}', shared_buffers: 32MB, max_connections: 60}}\n\
             watchdog: {{mode: 'off'}}\n"
        )
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.power_off();
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
        if thread::panicking() {
            eprintln!("--- log of node {}\n{}\n---", self.number, self.log());
        }
    }
}

/// Runs a command that must succeed.
pub fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status();
    let status = status.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(status.success(), "{program} {arguments:?}: {status}");
}
