//! A PostgreSQL server of the tests' own: Debian's, in a temporary directory, on a UNIX socket.

use std::{
    env, fs,
    io::Read as _,
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use tempfile::TempDir;

/// A server; it ends with this value, or with the process that has it.
pub struct Cluster {
    dir: TempDir,
    server: Option<Child>,
    databases: AtomicU32,
    /// Not empty if the directory is to go with the server.
    fate: &'static str,
}

/// Whom the server runs as: it refuses to be root.
#[derive(Clone, Copy)]
struct Identity {
    uid: u32,
    gid: u32,
}

impl Cluster {
    /// The server that the tests of this process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        // Nobody drops it: its directory goes with its server.
        SHARED.get_or_init(|| Self::make("gone with the server"))
    }

    /// A server of its own.
    pub fn new() -> Self {
        Self::make("")
    }

    fn make(fate: &'static str) -> Self {
        let dir = tempfile::Builder::new().prefix("otp-postgres").tempdir().unwrap();
        let mut cluster = Self {
            dir,
            server: None,
            databases: AtomicU32::new(0),
            fate,
        };
        if let Some(identity) = unprivileged() {
            fs::set_permissions(cluster.dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
            std::os::unix::fs::chown(cluster.dir.path(), Some(identity.uid), Some(identity.gid)).unwrap();
        }
        let made = cluster
            .program("initdb")
            .args([
                "--auth=trust",
                "--username=otp",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "-D",
            ])
            .arg(cluster.data())
            .output()
            .unwrap();
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        cluster.start();
        cluster
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    pub fn socket_dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts the server and waits until it answers.
    pub fn start(&mut self) {
        // Between the server and this process stands a shell that notices when this process is gone, however it went.
        let script = r#""$0" -D "$1" -k "$2" -c listen_addresses= -c max_connections=200 -c wal_level=replica & server=$!
            read -r _; kill -QUIT $server; wait $server; [ -z "$3" ] || rm -rf "$2""#;
        let mut command = self.as_owner(Command::new("sh"));
        let server = command
            .args(["-c", script])
            .arg(binary("postgres"))
            .arg(self.data())
            .arg(self.socket_dir())
            .arg(self.fate)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        self.server = Some(server);
        for _ in 0..600 {
            let answer = self.psql("postgres", "SELECT 1");
            if answer.is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not start: {}", self.log());
    }

    /// Ends the server as a power cut would: nothing is written any more.
    pub fn kill(&mut self) {
        let mut server = self.server.take().unwrap();
        drop(server.stdin.take());
        server.wait().unwrap();
    }

    /// What the server has to say.
    pub fn log(&self) -> String {
        let mut text = String::new();
        let _ =
            fs::File::open(self.dir.path().join("log")).and_then(|mut file| file.read_to_string(&mut text));
        text
    }

    /// The connection URL of a new, empty database.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("otp{number}");
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        self.url(&name)
    }

    pub fn url(&self, database: &str) -> String {
        format!("host={} user=otp dbname={database}", self.socket_dir().display())
    }

    /// Runs SQL as the owner of everything; returns what it prints.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let output = Command::new(binary("psql"))
            // What a test says is done at once, whatever standbys it has imagined.
            .env("PGOPTIONS", "-c synchronous_commit=local")
            .args([
                "-X",
                "-q",
                "-A",
                "-t",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "otp",
                "-d",
                database,
                "-c",
                sql,
            ])
            .arg("-h")
            .arg(self.socket_dir())
            .output()
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    fn program(&self, name: &str) -> Command {
        self.as_owner(Command::new(binary(name)))
    }

    fn as_owner(&self, mut command: Command) -> Command {
        if let Some(Identity { uid, gid }) = unprivileged() {
            command.uid(uid).gid(gid);
        }
        command.current_dir(self.dir.path());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.server.is_some() {
            self.kill();
        }
    }
}

/// The user `postgres` of Debian's package, if this process is root.
fn unprivileged() -> Option<Identity> {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    let mut fields = accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&"postgres"))
        .expect("the user postgres, of Debian's package postgresql");
    fields.truncate(4);
    Some(Identity {
        uid: fields[2].parse().unwrap(),
        gid: fields[3].parse().unwrap(),
    })
}

/// A program of the newest PostgreSQL that is installed.
pub fn binary(name: &str) -> PathBuf {
    let directories = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let installed = directories.map(|entry| entry.path().join("bin").join(name));
    let on_path = env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<PathBuf> = env::split_paths(&on_path).map(|path| path.join(name)).collect();
    installed
        .filter(|path| path.exists())
        .max()
        .or_else(|| on_path.into_iter().find(|path| path.exists()))
        .unwrap_or_else(|| panic!("{name} of Debian's package postgresql is not installed"))
}
