//! `server`: a socket's path, or host and port.

use krb5_profile::text;

use super::Context;
use crate::finding::Rule;
use crate::token_type::{MAX_SOCKET_PATH, Server};

pub(super) fn lint(context: &mut Context<'_>) {
    let server = context.server.clone();
    let position = context.relation("server").map(|relation| relation.position());
    let mut report =
        |rule, message: &str, advice: &str| context.report(rule, position, "server", message, advice);
    match server {
        Server::Unix(path) if path.len() > MAX_SOCKET_PATH => {
            let message = format!(
                "the path has {} octets; the KDC cuts it after {MAX_SOCKET_PATH}",
                path.len()
            );
            report(Rule::SocketPath, &message, "use a shorter path");
        }
        Server::Unix(_) => {}
        Server::Network(host) if host.is_empty() => {
            report(
                Rule::ServerEmpty,
                "the server is empty; the KDC starts, and every request fails",
                "write the path of a socket, or host:port; or remove the key to use the default socket",
            );
        }
        Server::Network(server) => match host_and_port(&server) {
            Problem::None => {}
            Problem::Report(rule, message, advice) => report(rule, &message, advice),
        },
    }
}

enum Problem {
    None,
    Report(Rule, String, &'static str),
}

fn host_and_port(server: &[u8]) -> Problem {
    let shown = text(server);
    let problem = |rule, message: String, advice| Problem::Report(rule, message, advice);
    if server.contains(&b'/') || server.iter().any(u8::is_ascii_whitespace) {
        let message = format!("\"{shown}\" does not begin with a slash, so the KDC takes it for a host name");
        return problem(
            Rule::ServerName,
            message,
            "write an absolute path, or host:port without a scheme",
        );
    }
    if server.starts_with(b"[") || server.iter().filter(|octet| **octet == b':').count() > 1 {
        let message = format!(
            "\"{shown}\" is an IPv6 address; the KDC keeps its brackets, or cuts it, and finds no host"
        );
        return problem(
            Rule::ServerIpv6,
            message,
            "write a host name that resolves to the address, or an IPv4 address",
        );
    }
    let mut parts = server.splitn(2, |octet| *octet == b':');
    let (host, port) = (parts.next().unwrap_or_default(), parts.next());
    if host.is_empty() {
        return problem(
            Rule::ServerName,
            format!("\"{shown}\" names no host"),
            "write host:port",
        );
    }
    let digits = port.filter(|port| port.iter().all(u8::is_ascii_digit));
    let number = digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .map(str::parse::<u16>);
    if port.is_some_and(<[u8]>::is_empty) || matches!(number, Some(Err(_) | Ok(0))) {
        let message = format!("\"{shown}\" has no port between 1 and 65535");
        return problem(
            Rule::ServerPort,
            message,
            "write host:port; without a port, it is that of the service radius",
        );
    }
    let is_address = std::str::from_utf8(host).is_ok_and(|host| host.parse::<std::net::Ipv4Addr>().is_ok());
    if is_address {
        return Problem::None;
    }
    let message = format!(
        "the KDC looks \"{}\" up on every request, and serves nobody meanwhile",
        text(host)
    );
    problem(
        Rule::ServerLookup,
        message,
        "use an IPv4 address, or a name that a local file resolves",
    )
}
