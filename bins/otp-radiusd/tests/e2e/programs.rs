//! Programs of MIT Kerberos: where they are, what they run in, and how they end.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long a program of Kerberos may take: more than any configured timeout of a test, for machines that are busy.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// What a program said and how it ended; `status` is `None` if it had to be killed because it took too long.
#[derive(Debug)]
pub struct Ended {
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ended {
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            status,
            stdout,
            stderr,
            took,
        } = self;
        match status {
            Some(status) => write!(f, "{status}")?,
            None => write!(f, "killed")?,
        }
        write!(f, " after {took:?}: {} {}", stdout.trim(), stderr.trim())
    }
}

/// Runs a command with `stdin`; kills it when patience is over.
pub fn run(command: &mut Command, stdin: &str) -> Ended {
    run_within(command, stdin, PATIENCE)
}

pub fn run_within(command: &mut Command, stdin: &str, patience: Duration) -> Ended {
    let started = Instant::now();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A program that does not read its input is allowed to close it.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = [
        thread::spawn(move || read_all(&mut stdout)),
        thread::spawn(move || read_all(&mut stderr)),
    ];
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if started.elapsed() > patience => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => thread::sleep(Duration::from_millis(1)),
        }
    };
    let took = started.elapsed();
    let [stdout, stderr] = readers.map(|reader| reader.join().unwrap());
    Ended {
        status,
        stdout,
        stderr,
        took,
    }
}

fn read_all(from: &mut impl std::io::Read) -> String {
    let mut octets = Vec::new();
    from.read_to_end(&mut octets).unwrap();
    String::from_utf8_lossy(&octets).into_owned()
}

/// A program with the files of a realm, and nothing of the caller's Kerberos.
pub fn kerberos_command(name: &str, krb5_conf: &Path, kdc_conf: &Path) -> Command {
    let mut command = Command::new(program(name));
    command
        .env("KRB5_CONFIG", krb5_conf)
        .env("KRB5_KDC_PROFILE", kdc_conf)
        .env("LC_ALL", "C");
    for variable in [
        "KRB5CCNAME",
        "KRB5_KTNAME",
        "KRB5_CLIENT_KTNAME",
        "KRB5_TRACE",
        "KRB5RCACHENAME",
    ] {
        command.env_remove(variable);
    }
    command
}

/// The path of a program of Kerberos. Daemons stand where the path of a user may not lead.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin"].map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|path| path.is_file());
    let package = match name {
        "kadmin.local" => "krb5-admin-server",
        "kinit" | "kvno" | "klist" => "krb5-user",
        "unshare" => "util-linux",
        _ => "krb5-kdc krb5-otp",
    };
    found.unwrap_or_else(|| panic!("{name} is not installed: apt-get install {package}"))
}

/// The same command in a mount namespace where `/etc/krb5kdc` and `/run/krb5kdc` are other directories. Users other than
/// root get it through a user namespace.
pub fn in_namespace(command: &Command, kdc_dir: &Path, run_dir: &Path) -> Command {
    let script = "set -e\n\
        mount --bind \"$1\" /etc/krb5kdc\n\
        mount -t tmpfs tmpfs /run\n\
        mkdir /run/krb5kdc\n\
        mount --bind \"$2\" /run/krb5kdc\n\
        shift 2\n\
        exec \"$@\"";
    let is_root = fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    let mut isolated = Command::new(program("unshare"));
    isolated.args(if is_root {
        &["--mount"][..]
    } else {
        &["--user", "--map-root-user", "--mount"]
    });
    isolated
        .args(["sh", "-c", script, "sh"])
        .arg(kdc_dir)
        .arg(run_dir)
        .arg(command.get_program());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => isolated.env(name, value),
            None => isolated.env_remove(name),
        };
    }
    isolated
}
