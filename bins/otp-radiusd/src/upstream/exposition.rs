//! What is shown of upstreams: in metrics, and to `otpctl upstream list`.

use krad_tokio::pool::{ReplyDiscard, ServerStatus, State};
use serde_json::{Value, json};

use super::Upstreams;
use crate::exposition::{Exposition, Unit};

impl Upstreams {
    fn each(&self) -> impl Iterator<Item = (String, Vec<ServerStatus>)> {
        let at_work = self.at_work.iter();
        at_work.map(|(name, upstream)| (name.to_string(), upstream.pool.status()))
    }

    /// For programs: every upstream with its servers, and every realm.
    pub(crate) fn describe(&self) -> Value {
        let upstreams = self.each().map(|(name, servers)| {
            let servers = servers.iter().map(|server| {
                let counts = server.counts;
                json!({
                    "server": server.server.to_string(),
                    "address": server.address.map(|address| address.to_string()),
                    "state": server.state.name(),
                    "requests": counts.requests,
                    "accepts": counts.accepts,
                    "rejects": counts.rejects,
                    "challenges": counts.challenges,
                    "unanswered": counts.unanswered,
                    "unreachable": counts.unreachable,
                    "discarded": counts.discards.iter().sum::<u64>(),
                })
            });
            json!({ "name": name, "servers": servers.collect::<Vec<_>>() })
        });
        let realms = self
            .realms
            .shown()
            .map(|(realm, upstream)| json!({ "name": realm, "upstream": upstream.as_str() }));
        json!({ "upstreams": upstreams.collect::<Vec<_>>(), "realms": realms.collect::<Vec<_>>() })
    }

    pub(crate) fn expose(&self, text: &mut Exposition) {
        if self.is_empty() {
            return;
        }
        let all: Vec<_> = self.each().collect();
        let servers = || {
            all.iter().flat_map(|(name, servers)| {
                servers
                    .iter()
                    .map(move |server| (name.as_str(), server.server.to_string(), server))
            })
        };
        text.gauge(
            "otp_radiusd_upstream_up",
            "1 if the server answers, 0.5 if it is in doubt, 0 if it is taken for dead.",
        );
        for (upstream, server, status) in servers() {
            let up = match status.state {
                State::Alive => "1",
                State::Suspect => "0.5",
                State::Dead => "0",
            };
            text.sample(&[("upstream", upstream), ("server", &server)], up);
        }
        text.counter(
            "otp_radiusd_upstream_requests_total",
            "Requests that the server was sent.",
        );
        for (upstream, server, status) in servers() {
            text.sample(
                &[("upstream", upstream), ("server", &server)],
                status.counts.requests,
            );
        }
        text.counter(
            "otp_radiusd_upstream_answers_total",
            "Authentic answers of the server, by code.",
        );
        for (upstream, server, status) in servers() {
            for (code, count) in [
                ("accept", status.counts.accepts),
                ("reject", status.counts.rejects),
                ("challenge", status.counts.challenges),
            ] {
                text.sample(
                    &[("upstream", upstream), ("server", &server), ("code", code)],
                    count,
                );
            }
        }
        text.counter(
            "otp_radiusd_upstream_failures_total",
            "What came of no use: requests without an answer, or that could not be sent; connections that failed; \
             Status-Server without an answer.",
        );
        for (upstream, server, status) in servers() {
            for (cause, count) in [
                ("unanswered", status.counts.unanswered),
                ("unreachable", status.counts.unreachable),
                ("connection", status.counts.failed_connections),
                ("status_server", status.counts.unanswered_probes),
            ] {
                text.sample(
                    &[("upstream", upstream), ("server", &server), ("cause", cause)],
                    count,
                );
            }
        }
        text.counter(
            "otp_radiusd_upstream_repeated_total",
            "Datagrams that the server was sent again.",
        );
        for (upstream, server, status) in servers() {
            text.sample(
                &[("upstream", upstream), ("server", &server)],
                status.counts.repeated,
            );
        }
        text.counter(
            "otp_radiusd_upstream_discarded_total",
            "Packets from the server that were no answer, by cause.",
        );
        for (upstream, server, status) in servers() {
            for (cause, count) in ReplyDiscard::ALL.iter().zip(status.counts.discards) {
                if count > 0 {
                    let labels = [
                        ("upstream", upstream),
                        ("server", server.as_str()),
                        ("cause", cause.label()),
                    ];
                    text.sample(&labels, count);
                }
            }
        }
        text.histogram(
            "otp_radiusd_upstream_duration_seconds",
            "From a request to the answer of the server.",
        );
        for (name, upstream) in &self.at_work {
            for (server, times) in upstream.material.servers().iter().zip(&upstream.times) {
                let labels = [("upstream", name.as_str()), ("server", &server.to_string())];
                text.distribution(&labels, &times.distribution(), Unit::Microseconds);
            }
        }
    }
}
