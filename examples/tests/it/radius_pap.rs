//! `radius_client` asks `radius_server`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use crate::programs::{example, run};

struct Server {
    child: Child,
    address: String,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start(secret: &str, users: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.txt");
        std::fs::write(&path, users).unwrap();
        let mut command = example("radius_server");
        command.arg("127.0.0.1:0").arg(path);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{secret}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim_end()
            .strip_prefix("serving on ")
            .expect("the address")
            .to_owned();
        Self {
            child,
            address,
            _directory: directory,
        }
    }

    /// What the client prints, and whether it succeeds.
    fn ask(&self, secret: &str, user: &str, password: &str) -> (String, bool) {
        let mut command = example("radius_client");
        command.args([&self.address, user]);
        let output = run(command, format!("{secret}\n{password}\n").as_bytes());
        (String::from_utf8(output.stdout).unwrap(), output.status.success())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn passwords_decide() {
    let server = Server::start("testing123", "alice 755224\nbob two words\n");
    for (user, password, code) in [
        ("alice", "755224", "Access-Accept"),
        ("bob", "two words", "Access-Accept"),
        ("alice", "755225", "Access-Reject"),
        ("alice", "two words", "Access-Reject"),
        ("mallory", "", "Access-Reject"),
    ] {
        let expected = (format!("{code}\n"), true);
        assert_eq!(
            server.ask("testing123", user, password),
            expected,
            "{user} {password:?}"
        );
    }
}

#[test]
fn another_secret_gets_no_reply() {
    let server = Server::start("testing123", "alice 755224\n");
    assert_eq!(
        server.ask("testing124", "alice", "755224"),
        (String::new(), false)
    );
}
