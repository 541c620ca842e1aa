//! `zbarimg` reads the QR code that `otpctl` wrote.

use std::process::Command;

use crate::system::{System, hotp, run};

#[test]
fn zbarimg_reads_the_uri_back() {
    let system = System::new();
    system.otpctl(&["user", "add", "alice@EXAMPLE.COM"], "");
    let png = system.dir().join("x.png");
    let json = system.otpctl(
        &[
            "--json",
            "token",
            "add",
            "alice@EXAMPLE.COM/phone",
            "--type",
            "hotp",
            "--show-uri",
            "--qr-file",
            png.to_str().unwrap(),
        ],
        "",
    );
    let added: serde_json::Value = serde_json::from_str(&json).unwrap();
    let uri = added["uri"].as_str().unwrap();
    assert!(uri.starts_with("otpauth://hotp/"), "{uri}");

    let mut zbarimg = Command::new("zbarimg");
    zbarimg.args(["--quiet", "--raw"]).arg(&png);
    let output = run(zbarimg, "");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), uri);
    println!("zbarimg read {uri:.24}…");

    // The URI is worth something: the code that another implementation computes from it proves the token.
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    system.otpctl(
        &["token", "verify", "alice@EXAMPLE.COM/phone"],
        &format!("{}\n", hotp(secret, 0)),
    );
    let shown = system.otpctl(&["--json", "token", "show", "alice@EXAMPLE.COM/phone"], "");
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["token"]["status"], "active", "{shown}");
}
