use super::*;

fn refusal(text: &str) -> String {
    let error = Config::parse(text, "/etc/x.toml".as_ref()).unwrap_err();
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn an_empty_file_is_the_default() {
    let config = Config::parse("", "x".as_ref()).unwrap();
    assert_eq!(config.listen, Config::default().listen);
    assert_eq!(config.deadline_ms.duration(), Duration::from_secs(4));
    assert_eq!(config.password_cache_s.duration(), Duration::ZERO, "off");
}

#[test]
fn passwords_are_remembered_for_an_hour_at_most() {
    for seconds in [0, 1, 300, 3600] {
        let text = format!("password_cache_s = {seconds}");
        let config = Config::parse(&text, "x".as_ref()).unwrap();
        assert_eq!(config.password_cache_s.duration(), Duration::from_secs(seconds));
    }
}

/// Text, and what the message must name.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "\nstate_dirr = \"/x\"",
        &["/etc/x.toml", "line 2", "state_dirr", "state_dir"],
    ),
    (
        "listen = [\"dtls://1.2.3.4:5\"]",
        &["line 1", "dtls://1.2.3.4:5", "udp://", "systemd:NAME"],
    ),
    ("listen = [\"unix:relative\"]", &["unix:relative", "absolute"]),
    ("listen = [\"udp://localhost:1812\"]", &["udp://localhost:1812"]),
    ("listen = []", &["/etc/x.toml", "`listen` is empty"]),
    ("socket_mode = \"0666\"", &["line 1", "lets everybody in", "0660"]),
    ("socket_mode = \"999\"", &["octal"]),
    ("socket_mode = \"+600\"", &["octal"]),
    ("log = [\"json\"]", &["line 1", "a table such as [log]"]),
    ("postgresql = [\"otp\"]", &["line 1", "a table such as"]),
    ("[postgresql]\nurls = \"x\"", &["line 2", "urls", "url_file"]),
    ("socket_mode = \"0\"", &["locks out the owner", "0600"]),
    ("udp_sockets = 0", &["line 1", "1..=64"]),
    ("udp_sockets = -1", &["line 1"]),
    ("[limits]\nconnections = 0", &["line 2"]),
    ("[limits]\nidle_s = 9", &["line 2", "10..=86400"]),
    ("limits = []", &["line 1", "a table such as"]),
    ("[tls]\nradius_1_1 = \"maybe\"", &["line 2", "maybe", "require"]),
    ("[tls]\nmin_version = \"1.1\"", &["line 2", "1.1", "1.3"]),
    (
        "[tls]\ncertficate = \"x\"",
        &["line 2", "certficate", "certificate"],
    ),
    (
        "[tls.clients]\nvpn = [\"sha256:AA\"]",
        &["line 2", "sha256:AA", "openssl x509"],
    ),
    ("[tls.clients]\nvpn = [\"\"]", &["line 2", "by a name in it"]),
    ("[tls.clients]\nvpn = \"vpn.example.com\"", &["line 2"]),
    ("deadline_ms = 5", &["100..=30000"]),
    ("deadline_ms = \"4s\"", &["line 1"]),
    ("password_cache_s = 3601", &["line 1", "0..=3600"]),
    ("password_cache_s = -1", &["line 1"]),
    (
        "admin_socket = \"admin.socket\"",
        &["line 1", "no absolute path", "/run/otp-radiusd/admin.socket"],
    ),
    (
        "[metrics]\nlisten = \"0.0.0.0:9812\"",
        &["line 2", "loopback", "127.0.0.1:9812"],
    ),
    ("metrics = \"127.0.0.1:9812\"", &["line 1", "a table such as"]),
    ("[log]\nformat = \"xml\"", &["line 2", "xml", "text"]),
    ("[log]\nlevle = \"info\"", &["levle"]),
    ("state_dir = ", &["line 1"]),
];

#[test]
fn what_is_refused_is_named() {
    for (text, parts) in REFUSED {
        let message = refusal(text);
        for part in *parts {
            assert!(
                message.contains(part),
                "{text:?}: {message:?} does not name {part:?}"
            );
        }
        assert_eq!(message.matches("/etc/x.toml").count(), 1, "{message}");
        assert!(message.matches("TOML parse error").count() <= 1, "{message}");
    }
}

#[test]
fn tls_needs_its_files_if_somebody_listens() {
    let message = |text: &str| {
        let config = Config::parse(text, "/etc/x.toml".as_ref()).unwrap();
        let terms = config.tls_terms().map(|terms| terms.is_some());
        terms.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    };
    assert_eq!(message("[tls]\ncertificate = \"/absent.pem\""), Ok(false));
    let missing = message("listen = [\"tls://[::]:2083\"]").unwrap_err();
    for part in [
        "/etc/x.toml",
        "tls://[::]:2083",
        "`certificate`",
        "certificate = \"/etc/",
    ] {
        assert!(missing.contains(part), "{missing}");
    }
    let text =
        "listen = [\"systemd-tls:radsec\"]\n[tls]\ncertificate = \"/absent.pem\"\nkey = \"/absent.key\"";
    assert!(message(text).unwrap_err().contains("`client_ca`"));
    let absent = message(&format!("{text}\nclient_ca = \"/absent.ca\"")).unwrap_err();
    for part in [
        "/etc/x.toml",
        "`[tls]`",
        "cannot read /absent.pem",
        "user of the daemon",
    ] {
        assert!(absent.contains(part), "{absent}");
    }
}
