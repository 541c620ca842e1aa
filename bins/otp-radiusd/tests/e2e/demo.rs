//! `otp-radiusd demo`, as somebody who has never seen it would use it.

use std::{fs, process::Command};

use crate::system::{Daemon, oathtool, program, run};

#[test]
fn the_demo_does_what_it_says() {
    let mut command = Command::new(program("otp-radiusd"));
    command.args(["demo", "--port", "0"]);
    let daemon = Daemon::spawn(command);

    // What a person would copy from the terminal.
    let uri = daemon.wait_for("otpauth://totp/");
    let secret = uri
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap()
        .to_owned();
    let radclient = daemon.wait_for("| radclient ");
    let auth = daemon.wait_for(" auth alice");
    assert!(
        daemon
            .log()
            .iter()
            .any(|line| line.contains('█') || line.contains('▀')),
        "there is a QR code"
    );

    let code = oathtool(&["--totp"], &secret);
    let typed = radclient.trim().replace("CODE", &code);
    println!("$ {typed}");
    let output = sh(&typed);
    assert!(output.contains("Received Access-Accept"), "{output}");
    daemon.wait_for("The code was right and had not been used");

    let output = sh(&typed);
    assert!(output.contains("Received Access-Reject"), "{output}");
    daemon.wait_for("each code is accepted once");

    // `otpctl auth` decides on the same state; the code of the next step is still unused.
    let soon = oathtool(&["--totp", "--now", "30 seconds"], &secret);
    let typed = auth.trim().to_owned();
    println!("$ {typed}");
    let mut otpctl = Command::new("sh");
    otpctl.args(["-c", &typed]);
    let output = run(otpctl, &format!("{soon}\n"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && text.to_lowercase().contains("accept"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let state = auth
        .split("--state-dir ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    assert!(fs::exists(&state).unwrap());
    let (status, log) = daemon.signal("INT");
    assert!(status.success(), "{status}\n{}", log.join("\n"));
    assert!(!fs::exists(&state).unwrap(), "nothing is left behind");
}

fn sh(line: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line]);
    let output = run(command, "");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
