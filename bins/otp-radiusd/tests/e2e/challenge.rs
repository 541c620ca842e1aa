//! The password first, then the code (Access-Challenge), with FreeRADIUS's `radclient`.

use crate::{
    radclient::{Answer, pap, radclient},
    system::{Daemon, System, hotp},
};

const SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

struct Nas<'a> {
    daemon: &'a Daemon,
    secret: &'a str,
}

impl Nas<'_> {
    /// The State of the question that answers this password.
    fn asked(&self, user: &str, password: &str) -> String {
        let (answer, text) = radclient(self.daemon, self.secret, &pap(user, password));
        assert_eq!(answer, Answer::Challenge, "{user} {password}: {text}");
        state(&text)
    }

    fn answer(&self, user: &str, state: &str, code: &str) -> (Answer, String) {
        let attributes = format!("{}, State = {state}\n", pap(user, code).trim_end());
        radclient(self.daemon, self.secret, &attributes)
    }
}

/// State as `radclient` prints it and takes it.
fn state(text: &str) -> String {
    let reply = text.split("Received Access-Challenge").nth(1).unwrap();
    let (_, rest) = reply.split_once("State = ").unwrap_or_else(|| panic!("{text}"));
    rest.lines().next().unwrap().trim().to_owned()
}

fn system_with(users: &[&str]) -> System {
    let system = System::new();
    for user in users {
        system.otpctl(&["user", "add", user, "--password"], "correct horse\n");
        system.token(&format!("{user}/ring"), SEED, &["--type", "hotp"]);
    }
    system
}

#[test]
fn the_password_first_and_then_the_code() {
    let system = system_with(&["carol"]);
    let secret = system.radius_client("vpn", &["--grammar", "challenge"]);
    let daemon = system.start();
    let nas = Nas {
        daemon: &daemon,
        secret: &secret,
    };
    let (answer, text) = radclient(&daemon, &secret, &pap("carol", "correct horse"));
    assert_eq!(answer, Answer::Challenge, "{text}");
    assert!(
        text.contains("Reply-Message = \"Enter your one-time password.\""),
        "{text}"
    );
    assert!(text.contains("Message-Authenticator"), "{text}");
    daemon.wait_for("code-asked");
    let question = state(&text);
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 0));
    assert_eq!(answer, Answer::Accept, "{text}");
    // The question is answered: another right code does not make it an answer again.
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 1));
    assert_eq!(answer, Answer::Reject, "{text}");
    daemon.wait_for("no-such-dialogue");
    // A code is accepted once, here as anywhere.
    let (answer, text) = nas.answer("carol", &nas.asked("carol", "correct horse"), &hotp(SEED, 0));
    assert_eq!(answer, Answer::Reject, "{text}");
    daemon.wait_for("replayed-code");
}

/// Whoever does not know the password sees what whoever knows it sees, until the code is right and the answer no.
#[test]
fn a_question_tells_nothing() {
    let system = system_with(&["carol", "dave"]);
    let secret = system.radius_client("vpn", &["--grammar", "challenge"]);
    system.otpctl(&["user", "disable", "dave"], "");
    let daemon = system.start();
    let nas = Nas {
        daemon: &daemon,
        secret: &secret,
    };
    for (user, password, reason) in [
        ("carol", "wrong horse", "wrong-password"),
        ("dave", "correct horse", "user-disabled"),
        ("nobody", "correct horse", "unknown-user"),
    ] {
        let question = nas.asked(user, password);
        daemon.wait_for(reason);
        let (answer, text) = nas.answer(user, &question, &hotp(SEED, 0));
        assert_eq!(answer, Answer::Reject, "{user}: {text}");
    }
    // Nothing was spent by that.
    let (answer, text) = nas.answer("carol", &nas.asked("carol", "correct horse"), &hotp(SEED, 0));
    assert_eq!(answer, Answer::Accept, "{text}");
}

#[test]
fn a_question_is_its_users_and_its_clients_and_outlives_the_daemon() {
    let system = system_with(&["carol", "erin"]);
    let vpn = system.radius_client("vpn", &["--grammar", "challenge"]);
    let mut daemon = system.start();
    let question = Nas {
        daemon: &daemon,
        secret: &vpn,
    }
    .asked("carol", "correct horse");
    daemon.kill();
    daemon = system.start();
    let nas = Nas {
        daemon: &daemon,
        secret: &vpn,
    };
    let (answer, text) = nas.answer("erin", &question, &hotp(SEED, 0));
    assert_eq!(answer, Answer::Reject, "another user's: {text}");
    let mut forged = question.clone();
    let last = if forged.ends_with('0') { '1' } else { '0' };
    forged.pop();
    forged.push(last);
    let (answer, text) = nas.answer("carol", &forged, &hotp(SEED, 0));
    assert_eq!(answer, Answer::Reject, "forged: {text}");
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 0));
    assert_eq!(answer, Answer::Accept, "after a restart: {text}");

    // A password that was changed meanwhile was not the password.
    let question = nas.asked("carol", "correct horse");
    system.otpctl(&["user", "set", "carol", "--password"], "another horse\n");
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 1));
    assert_eq!(answer, Answer::Reject, "{text}");
    daemon.wait_for("refused-before");
}

/// A token whose button was pressed too often: one code that is too far ahead, and the next.
#[test]
fn a_token_that_has_run_ahead_is_asked_for_its_next_code() {
    let system = system_with(&["carol"]);
    let secret = system.radius_client("vpn", &["--grammar", "challenge"]);
    let daemon = system.start();
    let nas = Nas {
        daemon: &daemon,
        secret: &secret,
    };
    let question = nas.asked("carol", "correct horse");
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 60));
    assert_eq!(answer, Answer::Challenge, "{text}");
    assert!(text.contains("next one-time password"), "{text}");
    let next = state(&text);
    let (answer, text) = nas.answer("carol", &next, &hotp(SEED, 61));
    assert_eq!(answer, Answer::Accept, "{text}");
    // Another guess than the next code is a failure.
    let question = nas.asked("carol", "correct horse");
    let (answer, text) = nas.answer("carol", &question, &hotp(SEED, 120));
    assert_eq!(answer, Answer::Challenge, "{text}");
    let (answer, text) = nas.answer("carol", &state(&text), &hotp(SEED, 122));
    assert_eq!(answer, Answer::Reject, "{text}");
}

/// A client that passes State on is asked as long as somebody has the password; one that does not is asked five times.
#[test]
fn whether_a_client_answers_questions_is_learned() {
    let system = system_with(&["carol"]);
    let secret = system.radius_client("vpn", &["--grammar", "auto"]);
    let mut daemon = system.start();
    let tell = |daemon: &Daemon, credential: &str| radclient(daemon, &secret, &pap("carol", credential));
    let both = |counter| format!("correct horse{}", hotp(SEED, counter));
    let report = || system.otpctl(&["client", "report", "vpn"], "");

    let (answer, text) = tell(&daemon, &both(0));
    assert_eq!(answer, Answer::Accept, "in one field: {text}");
    for _ in 0..3 {
        assert_eq!(tell(&daemon, "correct horse").0, Answer::Challenge);
        // Guesses are asked as well, and count for nothing.
        assert_eq!(tell(&daemon, "a wrong horse").0, Answer::Challenge);
    }
    // The lock of the guesses; a code and a password that are right forgive them.
    system.otpctl(&["user", "unlock", "carol"], "");
    let (status, _) = daemon.signal("TERM");
    assert!(status.success(), "{status}");
    assert!(report().contains("never, 3 unanswered"), "{}", report());

    daemon = system.start();
    for _ in 3..5 {
        assert_eq!(tell(&daemon, "correct horse").0, Answer::Challenge);
    }
    let said = daemon.wait_for("this client has never answered a question");
    assert!(said.contains("otpctl client set vpn --grammar auto"), "{said}");
    let (answer, text) = tell(&daemon, "correct horse");
    assert_eq!(answer, Answer::Reject, "the sixth time: {text}");
    daemon.wait_for("never-answers");
    assert_eq!(tell(&daemon, &both(1)).0, Answer::Accept, "in one field");

    let (status, _) = daemon.signal("TERM");
    assert!(status.success(), "{status}");
    assert!(report().contains("never, 5 unanswered"), "{}", report());
    daemon = system.start();
    let (answer, text) = tell(&daemon, "correct horse");
    assert_eq!(answer, Answer::Reject, "after a restart: {text}");
    assert_eq!(tell(&daemon, &both(2)).0, Answer::Accept, "in one field");

    // Somebody has taught it.
    system.otpctl(&["client", "set", "vpn", "--grammar", "auto"], "");
    let nas = Nas {
        daemon: &daemon,
        secret: &secret,
    };
    let (answer, text) = nas.answer("carol", &nas.asked("carol", "correct horse"), &hotp(SEED, 3));
    assert_eq!(answer, Answer::Accept, "{text}");
    for _ in 0..6 {
        nas.asked("carol", "correct horse");
    }
    let (status, _) = daemon.signal("TERM");
    assert!(status.success(), "{status}");
    assert!(report().contains("yes, "), "{}", report());
}

/// Nobody can be asked behind a KDC: what is a question elsewhere is one field there, and the client cannot be set otherwise.
#[test]
fn a_kdc_is_not_asked() {
    let system = system_with(&["carol"]);
    system.otpctl(&["user", "set", "carol", "--grammar", "challenge"], "");
    let refused = system.try_otpctl(&["client", "set", "kdc", "--grammar", "challenge"], "");
    assert!(!refused.status.success());
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(text.contains("KDC cannot ask"), "{text}");
    let credential = format!("correct horse{}\n", hotp(SEED, 0));
    let text = system.otpctl(&["auth", "carol", "--client", "kdc"], &credential);
    assert!(text.contains("accept"), "{text}");
    // Elsewhere `auth` asks as the client would.
    system.radius_client("vpn", &[]);
    let steps = format!("correct horse\n{}\n", hotp(SEED, 1));
    let text = system.otpctl(&["auth", "carol", "--client", "vpn"], &steps);
    assert!(text.contains("accept"), "{text}");
}
