//! A real `kinit` with a one-time password: MIT krb5kdc, FAST, our daemon, and a code that `oathtool` computed.

use std::{fs, thread, time::Duration};

use crate::{
    realm::{Kdc, KdcBuilder, Realm},
    system::{Daemon, System, hotp, oathtool},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const OTHER_SECRET: &str = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";

/// The daemon's side and the KDC's side, not yet started.
struct Site {
    system: System,
    realm: Realm,
}

impl Site {
    fn new() -> Self {
        Self {
            system: System::new(),
            realm: Realm::new(),
        }
    }

    /// A principal of type `otp` and a user of the daemon with an HOTP token.
    fn hotp_user(&self, name: &str) {
        self.realm.add_user(name, r#"[{"type":"otp"}]"#);
        self.system.user_with_token(name, SECRET, &["--type", "hotp"]);
    }

    /// A KDC whose type `otp` is the daemon's socket, with more settings.
    fn kdc(&self, settings: &str) -> KdcBuilder<'_> {
        let socket = self.system.kdc_socket();
        self.realm.kdc(&format!(
            "otp = {{\n server = {}\n {settings}\n}}",
            socket.display()
        ))
    }
}

/// Demands a ticket.
fn granted(kdc: &Kdc<'_>, user: &str, otp: &str, what: &str) {
    let login = kdc.login(user, otp);
    assert!(login.succeeded(), "{what}: {login}");
    println!("{what}: ticket");
}

/// Demands a refusal, and that the daemon gives this reason for it.
fn refused(kdc: &Kdc<'_>, daemon: &Daemon, user: &str, otp: &str, reason: &str, what: &str) {
    let before = daemon.count(&format!("reason=\"{reason}\""));
    let login = kdc.login(user, otp);
    assert!(!login.succeeded(), "{what}: {login}");
    daemon.wait_for_nth(&format!("reason=\"{reason}\""), before + 1);
    println!("{what}: {} ({reason})", login.output().stderr.trim());
}

#[test]
fn totp_and_hotp_get_a_ticket_once() {
    let site = Site::new();
    site.hotp_user("harry");
    // Other than the defaults, so that nothing fits by chance.
    site.realm.add_user("tina", r#"[{"type":"otp"}]"#);
    let options = ["--algorithm", "SHA256", "--digits", "8", "--period", "60"];
    site.system.user_with_token("tina", SECRET, &options);
    let daemon = site.system.start();
    let kdc = site.kdc("").start();

    let code = oathtool(&["--totp=sha256", "--digits=8", "--time-step-size=60s"], SECRET);
    granted(&kdc, "tina", &code, "TOTP");
    refused(
        &kdc,
        &daemon,
        "tina",
        &code,
        "replayed-code",
        "the same TOTP code again",
    );
    refused(
        &kdc,
        &daemon,
        "tina",
        "00000000",
        "wrong-code",
        "a wrong TOTP code",
    );

    granted(&kdc, "harry", &hotp(SECRET, 0), "HOTP");
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 0),
        "replayed-code",
        "the same HOTP code again",
    );
    granted(&kdc, "harry", &hotp(SECRET, 7), "HOTP, a few presses later");
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 3),
        "replayed-code",
        "a press that was passed over",
    );
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 99),
        "wrong-code",
        "a press too far ahead",
    );
    assert_eq!(daemon.count("reason=\"accepted\""), 3);
}

#[test]
fn disabled_tokens_and_users_are_refused() {
    let site = Site::new();
    site.hotp_user("harry");
    let daemon = site.system.start();
    let kdc = site.kdc("").start();
    granted(&kdc, "harry", &hotp(SECRET, 0), "control");
    site.system.otpctl(&["token", "disable", "harry/hotp"], "");
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 1),
        "no-active-token",
        "token disabled",
    );
    site.system.otpctl(&["token", "enable", "harry/hotp"], "");
    site.system.otpctl(&["user", "disable", "harry"], "");
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 1),
        "user-disabled",
        "user disabled",
    );
    site.system.otpctl(&["user", "enable", "harry"], "");
    granted(&kdc, "harry", &hotp(SECRET, 1), "both enabled again");
}

#[test]
fn password_and_code_in_one_field() {
    let site = Site::new();
    site.realm.add_user("carol", r#"[{"type":"otp"}]"#);
    site.system
        .otpctl(&["user", "add", "carol", "--password"], "correct horse\n");
    site.system.token("carol", SECRET, &["--type", "hotp"]);
    let daemon = site.system.start();
    let kdc = site.kdc("").start();
    let code = hotp(SECRET, 0);
    refused(
        &kdc,
        &daemon,
        "carol",
        &format!("wrong horse{code}"),
        "wrong-password",
        "wrong password, right code",
    );
    refused(
        &kdc,
        &daemon,
        "carol",
        "correct horse000000",
        "wrong-code",
        "right password, wrong code",
    );
    refused(&kdc, &daemon, "carol", &code, "wrong-password", "the code alone");
    granted(
        &kdc,
        "carol",
        &format!("correct horse{code}"),
        "password and code",
    );
}

#[test]
fn indicators_names_and_realms() {
    let site = Site::new();
    let socket = site.system.kdc_socket();
    let socket = socket.display();
    for name in ["alice", "bob@KRBTEST.COM", "renamed"] {
        site.system
            .user_with_token(name, SECRET_OF[name], &["--type", "hotp"]);
    }
    site.realm.add_user("alice", r#"[{"type":"bare"}]"#);
    site.realm
        .add_user("bob", r#"[{"type":"full","indicators":["own1","own2"]}]"#);
    site.realm
        .add_user("carol", r#"[{"type":"bare","username":"renamed"}]"#);
    let daemon = site.system.start();
    let kdc = site
        .realm
        .kdc(&format!(
            "bare = {{\n server = {socket}\n strip_realm = true\n indicator = strong\n indicator = second\n}}\n\
             full = {{\n server = {socket}\n strip_realm = false\n indicator = strong\n}}"
        ))
        .start();

    let login = kdc.login("alice", &hotp(SECRET_OF["alice"], 0));
    assert!(login.succeeded(), "{login}");
    assert!(
        login.has_indicator("strong") && login.has_indicator("second"),
        "the type's indicators are in the ticket"
    );
    assert!(!login.has_indicator("own1"), "and no others");
    daemon.wait_for("user_name=\"alice\"");

    let login = kdc.login("bob", &hotp(SECRET_OF["bob@KRBTEST.COM"], 0));
    assert!(login.succeeded(), "{login}");
    assert!(
        login.has_indicator("own1") && login.has_indicator("own2"),
        "the user string's indicators"
    );
    assert!(!login.has_indicator("strong"), "take the place of the type's");
    daemon.wait_for("user_name=\"bob@KRBTEST.COM\"");

    granted(
        &kdc,
        "carol",
        &hotp(SECRET_OF["renamed"], 0),
        "the user string's username",
    );
    daemon.wait_for("user_name=\"renamed\"");

    // The realm is found out, too, where the stored name has none.
    site.realm.set_otp("alice", r#"[{"type":"full"}]"#);
    granted(
        &kdc,
        "alice",
        &hotp(SECRET_OF["alice"], 1),
        "alice@KRBTEST.COM is the stored alice",
    );
    daemon.wait_for("user_name=\"alice@KRBTEST.COM\"");
}

/// Secrets of the users above: one each, because a code is accepted once, whoever shows it.
static SECRET_OF: std::sync::LazyLock<std::collections::HashMap<&str, &str>> =
    std::sync::LazyLock::new(|| {
        [
            ("alice", SECRET),
            ("bob@KRBTEST.COM", OTHER_SECRET),
            ("renamed", "MFRGGZDFMZTWQ2LKMFRGGZDFMZTWQ2LK"),
        ]
        .into()
    });

#[test]
fn two_tokens_in_one_user_string() {
    let site = Site::new();
    site.system.user_with_token("first", SECRET, &["--type", "hotp"]);
    site.system
        .user_with_token("second", OTHER_SECRET, &["--type", "hotp"]);
    let tokens =
        r#"[{"type":"otp","username":"first"},{"type":"otp","username":"second","indicators":["spare"]}]"#;
    site.realm.add_user("alice", tokens);
    let daemon = site.system.start();
    let kdc = site.kdc("indicator = main").start();

    let login = kdc.login("alice", &hotp(SECRET, 0));
    assert!(login.succeeded() && login.has_indicator("main"), "{login}");
    let login = kdc.login("alice", &hotp(OTHER_SECRET, 0));
    assert!(login.succeeded() && login.has_indicator("spare"), "{login}");
    assert!(!login.has_indicator("main"));
    assert_eq!(
        daemon.count("user_name=\"first\""),
        2,
        "the KDC asks for the tokens in order"
    );
    assert_eq!(daemon.count("user_name=\"second\""), 1);
}

#[test]
fn a_spent_code_stays_spent_through_sigkill_and_the_kdc_goes_on() {
    let site = Site::new();
    site.hotp_user("harry");
    let daemon = site.system.start();
    let kdc = site.kdc("").start();
    granted(&kdc, "harry", &hotp(SECRET, 0), "before");
    daemon.kill();
    let daemon = site.system.start();
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 0),
        "replayed-code",
        "the code that was spent before SIGKILL",
    );
    granted(
        &kdc,
        "harry",
        &hotp(SECRET, 1),
        "the next code, the same KDC process",
    );
}

#[test]
fn a_second_worker_and_a_client_that_sends_again_spend_one_code() {
    let site = Site::new();
    site.hotp_user("harry");
    let daemon = site.system.start();
    let kdc = site.kdc("").workers(2).udp().start();
    granted(&kdc, "harry", &hotp(SECRET, 0), "control");

    // The daemon holds its breath, so that the client sends again, and the other worker takes it up.
    let mut twins = 0;
    for counter in 1..=3 {
        daemon.pause();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(2_500));
                daemon.resume();
            });
            granted(&kdc, "harry", &hotp(SECRET, counter), "one code, one ticket");
        });
        thread::sleep(Duration::from_millis(300));
        assert_eq!(
            daemon.count("reason=\"accepted\""),
            1 + usize::try_from(counter).unwrap(),
            "spent once"
        );
        twins = daemon.count("reason=\"twin\"");
    }
    println!("three logins, {twins} twins");
    assert!(twins > 0, "no worker took up a repetition:\n{}", kdc.log());
    thread::sleep(Duration::from_secs(5));
    refused(
        &kdc,
        &daemon,
        "harry",
        &hotp(SECRET, 3),
        "replayed-code",
        "the same code once the grace is over",
    );
}

#[test]
fn without_the_daemon_kinit_fails_in_time_and_works_again_with_it() {
    let site = Site::new();
    site.hotp_user("harry");
    let kdc = site.kdc("").start();
    let check = |what: &str| {
        let login = kdc.login("harry", &hotp(SECRET, 0));
        assert!(!login.succeeded(), "{what}: {login}");
        assert!(login.output().took < Duration::from_secs(6), "{what}: {login}");
        assert!(login.output().stderr.contains("kinit:"), "{what}: {login}");
        println!("{what}: {login}");
    };
    check("no socket");
    let daemon = site.system.start();
    daemon.kill();
    check("a socket that nobody serves");
    let daemon = site.system.start();
    daemon.pause();
    check("a daemon that hangs");
    drop(daemon);
    let _daemon = site.system.start();
    granted(&kdc, "harry", &hotp(SECRET, 1), "with the daemon");
}

#[test]
fn a_kdc_on_udp_without_message_authenticator_needs_its_exemption() {
    let site = Site::new();
    site.hotp_user("harry");
    let secret = site.system.radius_client("old-kdc", &["--repeat-grace", "5"]);
    let secret_file = site.realm.dir().join("secret");
    fs::write(&secret_file, &secret).unwrap();
    let daemon = site.system.start();
    let kdc = site
        .realm
        .kdc(&format!(
            "otp = {{\n server = {}\n secret = {}\n timeout = 4\n retries = 1\n}}",
            daemon.udp(),
            secret_file.display()
        ))
        .start();

    let login = kdc.login("harry", &hotp(SECRET, 0));
    assert!(!login.succeeded(), "{login}");
    assert_eq!(daemon.count("decided"), 0, "no answer");
    let line = daemon.wait_for("otpctl client set old-kdc --dangerous-allow-missing-message-authenticator");
    println!("{line}");
    site.system.otpctl(
        &[
            "client",
            "set",
            "old-kdc",
            "--dangerous-allow-missing-message-authenticator",
        ],
        "",
    );
    granted(&kdc, "harry", &hotp(SECRET, 0), "with its exemption");
}
