//! A Kerberos realm of the test's own: a database, principals, and any number of MIT KDCs that serve it.
//!
//! Everything lives in a temporary directory and on free ports of loopback. Nothing here is skipped: a missing program is a
//! failure that says what to install.
//!
//! ```ignore
//! let realm = Realm::new();
//! realm.add_user("alice", r#"[{"type":"vpn"}]"#);
//! let kdc = realm.kdc("vpn = {\n server = /path/of/kdc.socket\n indicator = strong\n}").start();
//! let login = kdc.login("alice", "123456");
//! assert!(login.succeeded(), "{login}");
//! assert!(login.has_indicator("strong"));
//! ```

use std::{
    collections::HashSet,
    fmt, fs,
    net::{TcpListener, TcpStream, UdpSocket},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::programs::{Ended, PATIENCE, in_namespace, kerberos_command, run, run_within};

/// The name of every test's realm.
pub const REALM: &str = "KRBTEST.COM";

/// The database of a realm.
pub struct Realm {
    dir: TempDir,
    kdcs: AtomicUsize,
    /// Services that demand an indicator, by the indicator. The lock also keeps `kadmin.local` to one at a time.
    services: Mutex<HashSet<String>>,
}

impl Realm {
    /// Creates the database, and a host principal whose ticket serves as FAST armor.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("realm").tempdir().unwrap();
        let realm = Self {
            dir,
            kdcs: AtomicUsize::new(0),
            services: Mutex::default(),
        };
        fs::write(realm.path("krb5.conf"), krb5_conf(0, false)).unwrap();
        fs::write(
            realm.path("kdc.conf"),
            realm.kdc_conf(0, false, &realm.path("unused")),
        )
        .unwrap();
        let created = run(
            realm
                .command("kdb5_util")
                .args(["-r", REALM, "create", "-s", "-P", "master"]),
            "",
        );
        assert!(created.succeeded(), "kdb5_util create: {created}");
        realm.kadmin(&["addprinc", "-randkey", "host/armor.test"]);
        realm.kadmin(&[
            "ktadd",
            "-k",
            realm.path("keytab").to_str().unwrap(),
            "host/armor.test",
        ]);
        realm
    }

    /// The directory of the realm; tests may put sockets and secrets there.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a user without a password, whose `otp` string is `otp`: one who can log in with an OTP only.
    pub fn add_user(&self, name: &str, otp: &str) {
        self.kadmin(&["addprinc", "-nokey", "+requires_preauth", name]);
        self.set_otp(name, otp);
    }

    /// Sets the `otp` string of a principal.
    pub fn set_otp(&self, name: &str, otp: &str) {
        self.kadmin(&["setstr", name, "otp", otp]);
    }

    /// Runs `kadmin.local` with its query as arguments, which keeps quotes as they are; returns its output.
    pub fn kadmin(&self, query: &[&str]) -> String {
        let _one_at_a_time = self.services.lock().unwrap();
        self.kadmin_locked(query)
    }

    /// A KDC whose `kdc.conf` ends with `[otp]` and this text; [`KdcBuilder::start`] starts it.
    pub fn kdc(&self, otp: &str) -> KdcBuilder<'_> {
        self.kdc_with_tail(&format!("[otp]\n{otp}\n"))
    }

    /// A KDC whose `kdc.conf` ends with this text, section headers included.
    pub fn kdc_with_tail(&self, tail: &str) -> KdcBuilder<'_> {
        KdcBuilder {
            realm: self,
            kdc_conf_tail: tail.to_owned(),
            krb5_conf_tail: String::new(),
            workers: 0,
            udp: false,
            directories: None,
        }
    }

    fn kadmin_locked(&self, query: &[&str]) -> String {
        let output = run(self.command("kadmin.local").args(["-r", REALM]).args(query), "");
        // kadmin.local exits with 0 whatever happens; what failed it says on standard error.
        let failed = output.stderr.lines().any(|line| line.starts_with(query[0]));
        assert!(output.succeeded() && !failed, "kadmin.local {query:?}: {output}");
        output.stdout
    }

    /// A service whose tickets need `indicator`; made on first use.
    fn service_requiring(&self, indicator: &str) -> String {
        let service = format!("indicator/{indicator}");
        let mut services = self.services.lock().unwrap();
        if services.insert(indicator.to_owned()) {
            self.kadmin_locked(&["addprinc", "-randkey", &service]);
            self.kadmin_locked(&["setstr", &service, "require_auth", indicator]);
        }
        service
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, name: &str) -> Command {
        kerberos_command(name, &self.path("krb5.conf"), &self.path("kdc.conf"))
    }

    fn kdc_conf(&self, port: u16, udp: bool, log: &Path) -> String {
        let dir = self.dir.path().display();
        let log = log.display();
        let listen = format!("127.0.0.1:{port}");
        let udp = if udp { listen.as_str() } else { "\"\"" };
        format!(
            "[kdcdefaults]\n kdc_listen = {udp}\n kdc_tcp_listen = {listen}\n\
             [realms]\n {REALM} = {{\n  database_module = db\n  key_stash_file = {dir}/stash\n  acl_file = {dir}/acl\n }}\n\
             [dbmodules]\n db = {{\n  db_library = db2\n  database_name = {dir}/principal\n  \
             disable_last_success = true\n  disable_lockout = true\n }}\n\
             [logging]\n kdc = FILE:{log}\n"
        )
    }
}

/// How a KDC is started.
#[derive(Clone)]
pub struct KdcBuilder<'r> {
    realm: &'r Realm,
    kdc_conf_tail: String,
    krb5_conf_tail: String,
    workers: u32,
    udp: bool,
    directories: Option<(PathBuf, PathBuf)>,
}

impl<'r> KdcBuilder<'r> {
    /// Ends `krb5.conf` with this text, section headers included.
    pub fn krb5_conf_tail(mut self, tail: &str) -> Self {
        tail.clone_into(&mut self.krb5_conf_tail);
        self
    }

    /// Starts `krb5kdc -w` with so many worker processes.
    pub fn workers(mut self, workers: u32) -> Self {
        self.workers = workers;
        self
    }

    /// Listens on UDP too, where clients begin, and where they send a request again after a second without an answer.
    pub fn udp(mut self) -> Self {
        self.udp = true;
        self
    }

    /// Shows the KDC these directories as `/etc/krb5kdc` and `/run/krb5kdc`, in a mount namespace of its own, so that
    /// its built-in paths can be tested and the machine stays as it is.
    pub fn directories(mut self, kdc_dir: &Path, run_dir: &Path) -> Self {
        self.directories = Some((kdc_dir.to_owned(), run_dir.to_owned()));
        self
    }

    /// Starts the KDC and waits until it serves.
    pub fn start(&self) -> Kdc<'r> {
        self.try_start()
            .unwrap_or_else(|failure| panic!("krb5kdc does not start:\n{}", failure.said))
    }

    /// Starts the KDC; if it ends before it serves, what it said.
    pub fn try_start(&self) -> Result<Kdc<'r>, NotStarted> {
        let number = self.realm.kdcs.fetch_add(1, Ordering::Relaxed);
        let dir = self.realm.path(&format!("kdc{number}"));
        fs::create_dir(&dir).unwrap();
        let kdc = Kdc {
            builder: self.clone(),
            dir,
            process: None,
            logins: AtomicUsize::new(0),
            armor: OnceLock::new(),
        };
        kdc.spawn()
    }
}

/// A KDC that ended before it served.
#[derive(Debug)]
pub struct NotStarted {
    /// Its `kdc.conf` and `krb5.conf`.
    pub files: [PathBuf; 2],
    /// Its standard error and its log.
    pub said: String,
}

/// A running `krb5kdc`; killed, with its workers, when dropped.
pub struct Kdc<'r> {
    builder: KdcBuilder<'r>,
    dir: PathBuf,
    process: Option<Child>,
    logins: AtomicUsize,
    armor: OnceLock<PathBuf>,
}

impl<'r> Kdc<'r> {
    /// Its `kdc.conf` and `krb5.conf`, in the order in which it reads them.
    pub fn files(&self) -> [PathBuf; 2] {
        [self.dir.join("kdc.conf"), self.dir.join("krb5.conf")]
    }

    /// Everything that it logged.
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }

    /// How the process ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.try_wait().unwrap()
    }

    /// Waits until the process has ended by itself, or `patience` is over.
    pub fn wait_for_end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let started = Instant::now();
        while self.ended().is_none() && started.elapsed() < patience {
            thread::sleep(Duration::from_millis(5));
        }
        self.ended()
    }

    /// Ends the process and starts it again, with the same files and on the same port.
    pub fn restart(mut self) -> Self {
        self.stop();
        self.spawn()
            .unwrap_or_else(|failure| panic!("krb5kdc does not start again:\n{}", failure.said))
    }

    /// Logs in with an OTP, FAST-armored by the host's ticket.
    pub fn login(&self, user: &str, otp: &str) -> Login<'_> {
        self.login_within(user, otp, PATIENCE)
    }

    /// As [`login`](Self::login), but `kinit` is killed when `patience` is over.
    pub fn login_within(&self, user: &str, otp: &str, patience: Duration) -> Login<'_> {
        let armor = self.armor();
        let number = self.logins.fetch_add(1, Ordering::Relaxed);
        let cache = self.dir.join(format!("login{number}"));
        let mut kinit = self.command("kinit", &cache);
        kinit.arg("-T").arg(armor).arg(user);
        let output = run_within(&mut kinit, &format!("{otp}\n"), patience);
        Login {
            kdc: self,
            cache,
            output,
        }
    }

    /// The credential cache of the host, for FAST armor.
    pub fn armor(&self) -> &Path {
        self.armor.get_or_init(|| {
            let cache = self.dir.join("armor");
            let mut kinit = self.command("kinit", &cache);
            kinit
                .arg("-k")
                .arg("-t")
                .arg(self.builder.realm.path("keytab"))
                .arg("host/armor.test");
            let output = run(&mut kinit, "");
            assert!(output.succeeded(), "kinit of the host: {output}\n{}", self.log());
            cache
        })
    }

    /// A command with the environment of a client of this KDC, whose credentials are in `cache`.
    pub fn command(&self, name: &str, cache: &Path) -> Command {
        let [kdc_conf, krb5_conf] = self.files();
        let mut command = kerberos_command(name, &krb5_conf, &kdc_conf);
        command.env("KRB5CCNAME", format!("FILE:{}", cache.display()));
        command
    }

    fn spawn(mut self) -> Result<Self, NotStarted> {
        let mut said = String::new();
        // Another process may take the free port before the KDC does.
        for _ in 0..5 {
            let port = free_port();
            match self.spawn_on(port) {
                Ok(()) => return Ok(self),
                Err(failure) => said = failure,
            }
            if !said.contains("Address already in use") {
                break;
            }
        }
        Err(NotStarted {
            files: self.files(),
            said,
        })
    }

    fn spawn_on(&mut self, port: u16) -> Result<(), String> {
        let builder = &self.builder;
        let [kdc_conf, krb5_conf] = self.files();
        let log = self.dir.join("log");
        let text = builder.realm.kdc_conf(port, builder.udp, &log) + &builder.kdc_conf_tail;
        fs::write(&kdc_conf, text).unwrap();
        fs::write(
            &krb5_conf,
            self::krb5_conf(port, builder.udp) + &builder.krb5_conf_tail,
        )
        .unwrap();

        let mut command = kerberos_command("krb5kdc", &krb5_conf, &kdc_conf);
        if let Some((kdc_dir, run_dir)) = &builder.directories {
            command = in_namespace(&command, kdc_dir, run_dir);
        }
        command.arg("-n").args(["-r", REALM]);
        if builder.workers > 0 {
            command.args(["-w", &builder.workers.to_string()]);
        }
        let said = fs::File::create(self.dir.join("said")).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        // A group of its own, so that its workers end with it.
        command.process_group(0);
        self.process = Some(
            command
                .spawn()
                .unwrap_or_else(|error| panic!("{command:?}: {error}")),
        );

        let started = Instant::now();
        // The log tells, not the port: whoever else listened there would answer as well.
        while !self.log().contains("commencing operation") || TcpStream::connect(("127.0.0.1", port)).is_err()
        {
            let ended = self.ended();
            if ended.is_some() || started.elapsed() > PATIENCE {
                let said = fs::read(self.dir.join("said")).unwrap_or_default();
                let said = String::from_utf8_lossy(&said).into_owned();
                return Err(format!("{ended:?}\n{said}\n{}", self.log()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn stop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let group = format!("-{}", process.id());
        if matches!(process.try_wait(), Ok(None)) {
            // The group is the KDC's own: it was made for it, and its leader has not been waited for.
            let _ = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        }
        let _ = process.wait();
    }
}

impl Drop for Kdc<'_> {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            eprintln!("--- log of krb5kdc\n{}\n---", self.log());
        }
    }
}

/// A port of loopback that nobody has, and that nobody gets: each is given out once, and all lie below those that the
/// system gives to clients and to port 0.
fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let given = GIVEN.fetch_add(1, Ordering::Relaxed);
        let offset = std::process::id().wrapping_mul(131).wrapping_add(given) % COUNT;
        let port = u16::try_from(FIRST + offset).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What became of a login.
pub struct Login<'k> {
    kdc: &'k Kdc<'k>,
    cache: PathBuf,
    output: Ended,
}

impl Login<'_> {
    /// Whether a ticket was granted.
    pub fn succeeded(&self) -> bool {
        self.output.succeeded()
    }

    /// What `kinit` said and how long it took.
    pub fn output(&self) -> &Ended {
        &self.output
    }

    /// The credential cache with the ticket.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Whether the ticket carries the authentication indicator: a service that demands it grants a ticket.
    pub fn has_indicator(&self, indicator: &str) -> bool {
        let service = self.kdc.builder.realm.service_requiring(indicator);
        let output = run(self.kdc.command("kvno", &self.cache).arg(service), "");
        // Any other failure is not an answer to the question.
        let refused = output.stderr.contains("KDC policy rejects request");
        assert!(
            output.succeeded() || refused,
            "kvno: {output}\n{}",
            self.kdc.log()
        );
        output.succeeded()
    }
}

impl fmt::Display for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kinit: {}", self.output)
    }
}

fn krb5_conf(port: u16, udp: bool) -> String {
    // TCP first keeps a client from sending its request a second time.
    let limit = if udp { 32_700 } else { 1 };
    format!(
        "[libdefaults]\n default_realm = {REALM}\n udp_preference_limit = {limit}\n dns_lookup_kdc = false\n \
         dns_lookup_realm = false\n dns_canonicalize_hostname = false\n rdns = false\n\
         [realms]\n {REALM} = {{\n  kdc = 127.0.0.1:{port}\n }}\n"
    )
}
