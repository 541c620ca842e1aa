//! `otpctl kdc`, which needs no state.

use std::process::Command;

use crate::harness::State;

#[test]
fn user_strings_come_with_the_commands_that_store_them() {
    let state = State::none();
    let done = state.run(["kdc", "string", "alice"]).ok();
    assert!(done.stdout.starts_with("[{}]\n"), "{done:?}");
    let done = state
        .run(["kdc", "string", "alice", "--type", "otp", "--indicator", "otp"])
        .ok();
    let done = done.prints(r#"kadmin.local setstr alice otp '[{"type":"otp","indicators":["otp"]}]'"#);
    done.prints(r#"setstr alice otp "[{""type"":""otp"",""indicators"":[""otp""]}]""#);
    let value = state.json([
        "kdc",
        "string",
        "o'brien",
        "--token",
        "type=otp,username=alice,indicator=a,indicator=b",
        "--token",
        "type=backup",
    ]);
    assert_eq!(
        value["value"],
        r#"[{"type":"otp","username":"alice","indicators":["a","b"]},{"type":"backup"}]"#
    );
    assert_eq!(value["principal"], "o'brien");
    assert!(
        value["kadmin_command"]
            .as_str()
            .unwrap()
            .starts_with(r"kadmin.local setstr 'o'\''brien' otp ")
    );
    assert!(
        value["kadmin_line"]
            .as_str()
            .unwrap()
            .starts_with("setstr o'brien otp ")
    );
    let none = state.json(["kdc", "string", "alice", "--no-indicators"]);
    assert_eq!(none["value"], r#"[{"indicators":[]}]"#);
    state
        .run(["kdc", "string", "alice", "--username", ""])
        .exits(4)
        .says("0 octets");
    state
        .run(["kdc", "string", "a\nb"])
        .exits(4)
        .says("control character");
}

#[test]
fn the_command_alone_can_be_evaluated_by_a_shell() {
    let state = State::none();
    let done = state
        .run([
            "kdc",
            "string",
            "alice@EXAMPLE.COM",
            "--token",
            "type=otp",
            "--shell",
        ])
        .ok();
    assert_eq!(
        done.stdout,
        "kadmin.local setstr alice@EXAMPLE.COM otp '[{\"type\":\"otp\"}]'\n"
    );
    // Whatever the names hold, a shell hands them on as they are.
    let arguments = [
        "kdc",
        "string",
        "$(id) o'brien",
        "--username",
        "`id`;\"x\"",
        "--shell",
    ];
    let command = state.run(arguments).ok().stdout;
    let kadmin = state.write("kadmin.local", "#!/bin/sh\nprintf '%s|' \"$@\"\n");
    let script = command.replacen("kadmin.local", &format!("sh {}", kadmin.display()), 1);
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        words, r#"setstr|$(id) o'brien|otp|[{"username":"`id`;\"x\""}]|"#,
        "{output:?}"
    );
    state
        .run(["kdc", "string", "--check", "[{}]", "--shell"])
        .exits(2);
}

#[test]
fn existing_user_strings_are_judged() {
    let state = State::none();
    let check = |value: &str| state.run(["kdc", "string", "--check", value, "--json"]);
    let good = check(r#"[{"type":"vpn","username":"alice"}]"#).ok().json();
    assert_eq!(
        (&good["usable"], &good["warnings"]),
        (&true.into(), &serde_json::json!([]))
    );
    assert_eq!(good["tokens"][0]["type"], "vpn");
    assert_eq!(good["tokens"][0]["indicators"], serde_json::Value::Null);
    let odd = check(r#"[{"Type":"vpn"}]"#).ok().json();
    assert_eq!(odd["warnings"][0]["effect"], "altered");
    assert_eq!(odd["tokens"][0]["type"], "DEFAULT");
    assert_eq!(odd["canonical"], "[{}]");
    let failing = check(r#"[{"username":""}]"#).exits(1).json();
    assert_eq!(failing["usable"], false);
    assert_eq!(failing["warnings"][0]["effect"], "request-fails");
    let broken = check("[{type:otp}]").exits(1).json();
    assert!(broken["error"].as_str().unwrap().contains("octet 2"), "{broken}");
    state
        .run_with(["kdc", "string", "--check", "-"], "[{}]\n")
        .ok()
        .prints("the type DEFAULT");
    state
        .run_with(["kdc", "string", "--check", "-"], "[")
        .exits(1)
        .prints("unusable");
    state
        .run_with(["kdc", "string", "--check", "-"], "\u{1b}[2J")
        .exits(1);
}

#[test]
fn a_clean_configuration_is_told_apart_from_a_broken_one() {
    let state = State::none();
    let socket =
        "[otp]\n  corporate = {\n    server = /run/otp-radiusd/kdc.socket\n    strip_realm = true\n  }\n";
    let clean = state.write("clean.conf", socket);
    let done = state.run(["kdc", "check", clean.to_str().unwrap()]).ok();
    let done = done
        .prints("corporate")
        .prints("/run/otp-radiusd/kdc.socket")
        .prints("DEFAULT");
    assert_eq!(done.stderr, "");

    let broken = state.write(
        "broken.conf",
        "[otp]\n  vpn = {\n    server = 192.0.2.1:1812\n    timeout = 5s\n  }\n",
    );
    let file = broken.to_str().unwrap();
    let done = state
        .run(["kdc", "check", file])
        .exits(1)
        .prints("The KDC runs without OTP");
    let done = done.prints(&format!("{file}:4: error: ")).prints("[integer]");
    assert!(done.stdout.contains("timeout"));
    let value = state.run(["kdc", "check", file, "--json"]).exits(1).json();
    assert_eq!(value["outcome"], "without-otp");
    let finding = value["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["rule"] == "integer")
        .unwrap();
    assert_eq!(
        (&finding["severity"], &finding["line"]),
        (&"error".into(), &4.into())
    );
    assert_eq!(
        (&finding["file"], &finding["type"], &finding["key"]),
        (&file.into(), &"vpn".into(), &"timeout".into())
    );
    assert!(!finding["advice"].as_str().unwrap().is_empty());

    let unreadable = state.write("unreadable.conf", "[otp\n");
    let value = state
        .run(["kdc", "check", unreadable.to_str().unwrap(), "--json"])
        .exits(1)
        .json();
    assert_eq!(value["outcome"], "does-not-start");
}

#[test]
fn the_files_of_the_kdc_are_found() {
    let state = State::none();
    let directory = state.file("krb5kdc");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(
        directory.join("kdc.conf"),
        "[otp]\n a = {\n  server = /a.socket\n }\n",
    )
    .unwrap();
    let krb5 = state.write("krb5.conf", "[otp]\n b = {\n }\n");
    let arguments = [
        "kdc",
        "check",
        "--kdc-dir",
        directory.to_str().unwrap(),
        "--krb5-config",
        krb5.to_str().unwrap(),
    ];
    let value = state
        .run(arguments.into_iter().chain(["--run-dir", "/run/x", "--json"]))
        .ok()
        .json();
    let types = value["types"].as_array().unwrap();
    let servers: Vec<_> = types
        .iter()
        .map(|each| each["server"].as_str().unwrap())
        .collect();
    assert_eq!(servers, ["/run/x/DEFAULT.socket", "/a.socket", "/run/x/b.socket"]);
    assert_eq!(types[0]["strip_realm"], false);
    assert_eq!(types[1]["line"], 2);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let state = State::none();
    let directory = state.file("directory");
    std::fs::create_dir(&directory).unwrap();
    for path in [state.file("nowhere.conf"), directory] {
        let path = path.to_str().unwrap();
        state.run(["kdc", "check", path]).exits(6).says(path);
    }
}
