//! When what is sent, and when it is given up.

use std::time::Duration;

use kdc_otp::{Failure, Outcome};
use kdc_otp_config::Hazard;
use krad::Code;

use crate::network::{Behavior, Run, Server, module, run, server};

const UDP: &str = "127.0.0.1:1812";

fn types(settings: &str) -> String {
    format!(
        " t = {{\n  server = {UDP}\n  secret = secret\n  {settings}\n }}\n u = {{\n  server = /u\n  {settings}\n }}"
    )
}

fn ask(settings: &str, name: &str, server: Server) -> Run {
    run(
        &module(&types(settings)),
        &format!(r#"[{{"type":"{name}"}}]"#),
        "1",
        &[server],
    )
    .unwrap()
}

fn udp(addresses: usize, behavior: Behavior) -> Server {
    Server {
        addresses,
        ..server(UDP, behavior)
    }
}

fn sends(run: &Run) -> Vec<(u128, usize)> {
    run.sent
        .iter()
        .map(|sent| (sent.at.as_millis(), sent.address))
        .collect()
}

/// Measured at a KDC: settings, addresses; when it sends to which, when it gives up.
#[test]
fn silence_is_waited_out_as_the_kdc_waits() {
    for (settings, addresses, expected, end) in [
        ("", 1, &[(0, 0), (1250, 0), (2500, 0), (3750, 0)][..], 5000),
        ("timeout = 4", 1, &[(0, 0), (1000, 0), (2000, 0), (3000, 0)], 4000),
        ("timeout = 3\n  retries = 1", 1, &[(0, 0), (1500, 0)], 3000),
        (
            "timeout = 4\n  retries = 1",
            2,
            &[(0, 0), (1000, 0), (2000, 1), (3000, 1)],
            4000,
        ),
        (
            "timeout = 1\n  retries = 2",
            1,
            &[(0, 0), (333, 0), (666, 0)],
            1000,
        ),
        (
            "timeout = 2\n  retries = 0",
            3,
            &[(0, 0), (666, 1), (1332, 2)],
            2000,
        ),
    ] {
        let run = ask(settings, "t", udp(addresses, Behavior::Silent));
        assert_eq!(sends(&run), expected, "{settings}");
        let failure = Failure::TimedOut;
        assert_eq!(run.outcome, Outcome::Failed { token: 0, failure });
        assert_eq!(run.took, Duration::from_millis(end), "{settings}");
    }
    let unix = ask("timeout = 3\n  retries = 7", "u", server("/u", Behavior::Silent));
    assert_eq!(sends(&unix), [(0, 0)], "a stream knows no retries");
    assert_eq!(unix.took, Duration::from_secs(3));
}

#[test]
fn copies_to_one_address_are_identical_and_another_address_gets_its_own() {
    let run = ask("timeout = 4\n  retries = 1", "t", udp(2, Behavior::Silent));
    let octets: Vec<_> = run.sent.iter().map(|sent| &sent.octets).collect();
    assert_eq!(octets[0], octets[1]);
    assert_eq!(octets[2], octets[3]);
    // Authenticator and hidden password differ.
    assert_ne!(octets[1][4..20], octets[2][4..20]);
    assert_ne!(octets[1][20..], octets[2][20..]);
}

#[test]
fn a_late_answer_of_an_earlier_address_counts() {
    let accept =
        |address, after| Behavior::OnlyAddress(address, Code::ACCESS_ACCEPT, Duration::from_millis(after));
    let late = ask("timeout = 4\n  retries = 0", "t", udp(2, accept(0, 2500)));
    assert!(late.outcome.is_granted());
    assert_eq!(sends(&late), [(0, 0), (2000, 1)]);
    assert_eq!(late.took, Duration::from_millis(2500));
    let second = ask("timeout = 4\n  retries = 0", "t", udp(2, accept(1, 10)));
    assert!(second.outcome.is_granted());
    assert_eq!(second.took, Duration::from_millis(2010));
    let too_late = ask("timeout = 4\n  retries = 0", "t", udp(1, accept(0, 4000)));
    let failure = Failure::TimedOut;
    assert_eq!(too_late.outcome, Outcome::Failed { token: 0, failure });
}

#[test]
fn each_token_has_its_own_time() {
    let slow = Behavior::Password("2", Duration::from_millis(1900));
    let module = module(&types("timeout = 2"));
    let run = run(
        &module,
        r#"[{"type":"t"},{"type":"u"},{"type":"t"}]"#,
        "1",
        &[udp(1, slow.clone()), server("/u", slow)],
    )
    .unwrap();
    assert_eq!(run.outcome, Outcome::NotAccepted);
    let took: Vec<_> = run.steps.iter().map(|step| step.took.as_millis()).collect();
    assert_eq!(took, [1900; 3]);
}

#[test]
fn what_a_kdc_cannot_use_is_not_done() {
    for (settings, hazard) in [
        ("retries = -1", Hazard::NoTries),
        ("timeout = -1\n  retries = 0", Hazard::NegativeTimer),
        ("timeout = 2147484", Hazard::NegativeTimer),
        ("timeout = -1\n  retries = 2", Hazard::NoEnd),
        ("timeout = 0", Hazard::NoTime),
        ("timeout = 1\n  retries = 2000", Hazard::NoTime),
    ] {
        let run = ask(settings, "t", udp(1, Behavior::Silent));
        let failure = Failure::Schedule(hazard);
        assert_eq!(run.outcome, Outcome::Failed { token: 0, failure }, "{settings}");
        assert!(run.sent.is_empty());
    }
}
