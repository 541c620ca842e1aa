//! SIGKILL and restart: a spent code stays spent, an acceptance stays an acceptance.

use crate::{
    system::{System, hotp, totp},
    wire::{Connection, Datagrams, Verdict},
};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

#[test]
fn what_was_accepted_before_sigkill_is_refused_after_it() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    system.user_with_token("bob", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", &[]);
    // A client without grace for twins: what is refused here is refused because it was spent.
    let secret = system.radius_client("vpn", &[]);
    let code = totp("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP");
    for round in 0..5 {
        let daemon = system.start();
        let mut vpn = Datagrams::to(daemon.udp(), &secret);
        assert_eq!(
            vpn.ask("alice", &hotp(SECRET, round)),
            Verdict::Accept,
            "round {round}"
        );
        if round == 0 {
            assert_eq!(vpn.ask("bob", &code), Verdict::Accept);
        }
        daemon.kill();

        let daemon = system.start();
        let mut vpn = Datagrams::to(daemon.udp(), &secret);
        assert_eq!(
            vpn.ask("alice", &hotp(SECRET, round)),
            Verdict::Reject,
            "round {round}: spent before the crash"
        );
        assert_eq!(
            vpn.ask("bob", &code),
            Verdict::Reject,
            "round {round}: spent before the crash"
        );
        daemon.kill();
    }
}

#[test]
fn the_same_packet_after_sigkill_gets_the_same_verdict() {
    let system = System::new();
    system.user_with_token("alice", SECRET, &["--type", "hotp"]);
    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    let request = kdc.request("alice", &hotp(SECRET, 0));
    kdc.send(request.octets());
    assert_eq!(kdc.answer(&request), Verdict::Accept);
    daemon.kill();

    let daemon = system.start();
    let mut kdc = Connection::to(&system.kdc_socket());
    kdc.send(request.octets());
    assert_eq!(kdc.answer(&request), Verdict::Accept, "the same octets");
    daemon.wait_for("same-packet");
    assert_eq!(daemon.count("reason=\"accepted\""), 0, "nothing was spent again");
}
