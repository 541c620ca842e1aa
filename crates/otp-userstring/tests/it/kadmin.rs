//! The commands, run by a real `kadmin.local`.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use otp_userstring::{Token, UserString};

/// A realm of its own in a temporary directory, administered by the installed MIT krb5.
struct Realm {
    directory: tempfile::TempDir,
}

impl Realm {
    fn create() -> Self {
        let realm = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        let path = realm.directory.path().display();
        fs::write(
            realm.file("krb5.conf"),
            "[libdefaults]\n default_realm = EXAMPLE.COM\n",
        )
        .unwrap();
        let kdc_conf = format!(
            "[realms]\n EXAMPLE.COM = {{\n  database_name = {path}/principal\n  key_stash_file = {path}/stash\n  \
             acl_file = {path}/acl\n }}\n[logging]\n default = FILE:{path}/log\n"
        );
        fs::write(realm.file("kdc.conf"), kdc_conf).unwrap();
        realm.run(realm.command("kdb5_util", &["create", "-s", "-P", "master"]), "");
        realm
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .env("KRB5_CONFIG", self.file("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.file("kdc.conf"));
        command
    }

    fn run(&self, mut command: Command, input: &str) -> String {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{command:?}: {error}; Debian has it in krb5-kdc or krb5-admin-server")
            });
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output {
            status,
            stdout,
            stderr,
        } = child.wait_with_output().unwrap();
        assert!(
            status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&stderr)
        );
        String::from_utf8(stdout).unwrap()
    }

    /// Adds `principal`, which stands in the form that `kadmin` parses.
    fn add(&self, principal: &str) {
        self.run(
            self.command("kadmin.local", &["addprinc", "-nokey", principal]),
            "",
        );
    }

    /// The stored attribute, with the old value removed.
    fn take(&self, principal: &str) -> String {
        let listed = self.run(self.command("kadmin.local", &["getstrs", principal]), "");
        self.run(self.command("kadmin.local", &["delstr", principal, "otp"]), "");
        listed
            .strip_prefix("otp: ")
            .and_then(|rest| rest.strip_suffix('\n'))
            .expect(&listed)
            .to_owned()
    }
}

#[test]
fn kadmin_stores_exactly_the_canonical_form() {
    let realm = Realm::create();
    let user_strings = [
        UserString::default(),
        UserString::new([Token::default().with_type("otp").unwrap()]).unwrap(),
        UserString::new([
            Token::default()
                .with_type("two words")
                .unwrap()
                .with_indicators(["a", "b"])
                .unwrap(),
            Token::default()
                .with_username("o'br\\ie\"n ünï\t$(id) `id` !! ~ #")
                .unwrap(),
        ])
        .unwrap(),
        UserString::new([Token::default().with_type(vec![b'"'; 10_000]).unwrap()]).unwrap(),
    ];
    let principals = [
        "alice",
        "HTTP/www.example.com@EXAMPLE.COM",
        "two words",
        "we\"ird",
        "o'brien",
        r"a\/b",
        "$(id)",
    ];
    for principal in principals {
        realm.add(principal);
        for user_string in &user_strings {
            let json = user_string.to_json();

            // At the prompt.
            let line = user_string.kadmin_line(principal).unwrap();
            realm.run(realm.command("kadmin.local", &[]), &format!("{line}\n"));
            assert_eq!(realm.take(principal), json, "{principal}: prompt");

            // The same line after -q.
            realm.run(realm.command("kadmin.local", &["-q", &line]), "");
            assert_eq!(realm.take(principal), json, "{principal}: -q");

            // Through a shell.
            let command = user_string.kadmin_command(principal).unwrap();
            realm.run(realm.command("sh", &["-c", &command]), "");
            assert_eq!(realm.take(principal), json, "{principal}: shell");

            // Without a shell.
            let [program, arguments @ ..] = user_string.kadmin_argv(principal).unwrap();
            let arguments = arguments.each_ref().map(String::as_str);
            realm.run(realm.command(&program, &arguments), "");
            assert_eq!(realm.take(principal), json, "{principal}: words");
        }
    }
}

#[test]
fn the_longest_user_string_fits_the_database() {
    let realm = Realm::create();
    realm.add("alice");
    let frame = r#"[{"type":""}]"#.len();
    let longest = Token::default()
        .with_type(vec![b'a'; UserString::MAX_LENGTH - frame])
        .unwrap();
    let json = UserString::new([longest]).unwrap().to_json();
    realm.run(
        realm.command("kadmin.local", &["setstr", "alice", "otp", &json]),
        "",
    );
    assert_eq!(realm.take("alice"), json);

    // One octet more is an error of the database.
    let output = realm
        .command("kadmin.local", &["setstr", "alice", "otp", &format!("{json} ")])
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("Too much string mapping data"),
        "{output:?}"
    );
}
