//! The tables `[upstream.NAME]` and `[[realm]]`.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU16,
    path::PathBuf,
    time::Duration,
};

use krad_tokio::{
    TlsError,
    pool::{HealthTerms, Order, Scheme, ServerAddress},
};
use otp_store::SecretFileError;
use otp_validation::{Upstream, UpstreamName, UserName};
use serde::Deserialize;
use toml::Spanned;

use super::filter::ReplyFilter;
use crate::tls::{MinVersion, Radius11};

/// The upstreams by name.
pub(crate) type UpstreamConfigs = BTreeMap<Name, UpstreamConfig>;

/// A name, as a key of the table `[upstream]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(pub(crate) UpstreamName);

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
            .map(Self)
            .map_err(|error| format!("{text:?}: {error}"))
    }
}

/// RADIUS servers that stand in for each other, and decide in place of this one.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// Where they are, in the order in which they are asked.
    pub(crate) servers: Servers,
    /// Whom to ask first.
    #[serde(default)]
    pub(crate) order: AskingOrder,
    /// A file whose first line is the secret shared with all of them; only its owner may read it.
    pub(crate) secret_file: Option<PathBuf>,
    /// Whether replies need a Message-Authenticator.
    #[serde(default)]
    pub(crate) message_authenticator: ReplyRule,
    /// Whether the servers answer Status-Server.
    #[serde(default = "yes")]
    pub(crate) status_server: bool,
    /// After how many seconds a server that does not, and did not answer requests either, is tried again.
    #[serde(default)]
    pub(crate) revive_after_s: ReviveSeconds,
    /// Which attributes of its replies may pass.
    #[serde(default)]
    pub(crate) reply: ReplyFilter,
    /// Whether a request that came over TLS may go on over UDP or TCP.
    #[serde(default)]
    pub(crate) allow_insecure_hop: bool,
    /// How TLS is spoken with them.
    #[serde(default, deserialize_with = "crate::config::table")]
    pub(crate) tls: UpstreamTlsConfig,
}

const fn yes() -> bool {
    true
}

/// At least one server, none of them twice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub(crate) struct Servers(pub(crate) Vec<ServerAddress>);

impl TryFrom<Vec<String>> for Servers {
    type Error = String;

    fn try_from(texts: Vec<String>) -> Result<Self, Self::Error> {
        let mut servers: Vec<ServerAddress> = Vec::new();
        for text in texts {
            let server = text
                .parse()
                .map_err(|error: krad_tokio::pool::ServerAddressError| error.to_string())?;
            if servers.contains(&server) {
                return Err(format!("{server} is listed twice"));
            }
            servers.push(server);
        }
        match servers.len() {
            0 => Err("`servers` is empty; name one, such as \"udp://192.0.2.10:1812\"".to_owned()),
            1..=MOST_SERVERS => Ok(Self(servers)),
            _ => Err(format!(
                "more than {MOST_SERVERS} servers: nobody waits for so many"
            )),
        }
    }
}

const MOST_SERVERS: usize = 16;

/// Whom to ask first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AskingOrder {
    /// The first that lives.
    #[default]
    Failover,
    /// By turns those that live.
    Spread,
}

impl From<AskingOrder> for Order {
    fn from(order: AskingOrder) -> Self {
        match order {
            AskingOrder::Failover => Self::Failover,
            AskingOrder::Spread => Self::Spread,
        }
    }
}

/// Whether replies need a Message-Authenticator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReplyRule {
    /// Those without are discarded.
    #[default]
    Required,
    /// For servers older than 2024: it is verified where it is there.
    IfPresent,
}

/// A time in seconds, between one second and an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NonZeroU16")]
pub(crate) struct ReviveSeconds(u16);

impl Default for ReviveSeconds {
    fn default() -> Self {
        Self(60)
    }
}

impl TryFrom<NonZeroU16> for ReviveSeconds {
    type Error = String;

    fn try_from(seconds: NonZeroU16) -> Result<Self, Self::Error> {
        match seconds.get() {
            seconds @ ..=3600 => Ok(Self(seconds)),
            seconds => Err(format!("revive_after_s {seconds} is outside 1..=3600")),
        }
    }
}

/// TLS, for the servers that speak it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct UpstreamTlsConfig {
    /// The authorities that sign the certificates of the servers, in PEM.
    pub(crate) ca: Option<PathBuf>,
    /// Lists of what these authorities have revoked, in PEM.
    pub(crate) crl: Option<PathBuf>,
    /// The certificate to show them and those between it and the root, in PEM.
    pub(crate) certificate: Option<PathBuf>,
    /// The key of the certificate, in PEM, without a passphrase.
    pub(crate) key: Option<PathBuf>,
    /// Whether RADIUS/1.1 is spoken.
    pub(crate) radius_1_1: Radius11,
    /// The oldest version of TLS.
    pub(crate) min_version: MinVersion,
}

impl UpstreamConfig {
    pub(crate) fn health(&self) -> HealthTerms {
        HealthTerms {
            status_server: self.status_server,
            revive_after: Duration::from_secs(self.revive_after_s.0.into()),
            ..HealthTerms::default()
        }
    }

    pub(crate) fn speaks_tls(&self) -> bool {
        self.servers.0.iter().any(|server| server.scheme == Scheme::Tls)
    }

    pub(crate) fn speaks_clear(&self) -> bool {
        self.servers.0.iter().any(|server| server.scheme != Scheme::Tls)
    }
}

/// A realm whose users others decide on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RealmConfig {
    /// What follows the last `@` of a name, or precedes its first `\`.
    name: RealmName,
    /// Who decides.
    upstream: Spanned<Name>,
    /// Whether they know the name without its realm.
    #[serde(default)]
    strip: bool,
}

/// A realm, in lower case: realms are names of domains (RFC 7542 §2.4), whatever their letters look like.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct RealmName(String);

impl TryFrom<String> for RealmName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_odd = |character: char| {
            character.is_control() || character.is_whitespace() || "@\\".contains(character)
        };
        if text.is_empty() || text.len() > 253 || text.contains(is_odd) {
            return Err(format!(
                "{text:?} is no realm; write what stands behind the @ of a name, such as \"example.org\""
            ));
        }
        Ok(Self(text.to_lowercase()))
    }
}

/// Why the tables lead nowhere.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpstreamConfigError {
    /// A realm goes to an upstream that is not there.
    #[error(
        "line {line}: `upstream = \"{upstream}\"` of the realm {realm}: there is no [upstream.{upstream}]{}", known(.there)
    )]
    UnknownUpstream {
        /// Where it stands.
        line: usize,
        /// The realm.
        realm: String,
        /// What it names.
        upstream: String,
        /// The upstreams that are there.
        there: Vec<String>,
    },
    /// A realm is there twice.
    #[error("line {line}: the realm {realm} has a table [[realm]] already")]
    RealmTwice {
        /// Where it stands.
        line: usize,
        /// The realm.
        realm: String,
    },
    /// Servers on UDP or TCP need a secret.
    #[error(
        "[upstream.{upstream}]: servers on UDP and TCP share a secret with this one, and there is no `secret_file`; write it, e.g. \
         secret_file = \"/etc/otp-radiusd/{upstream}.secret\" (mode 0600, of the daemon's user)"
    )]
    NoSecret {
        /// The upstream.
        upstream: String,
    },
    /// The file of the secret cannot be used.
    #[error("[upstream.{upstream}]: `secret_file`")]
    Secret {
        /// The upstream.
        upstream: String,
        /// Why.
        source: SecretFileError,
    },
    /// TLS needs its files.
    #[error(
        "[upstream.{upstream}]: a server speaks TLS, and [upstream.{upstream}.tls] has no `{key}`; write it, e.g. \
         {key} = \"/etc/otp-radiusd/tls/{upstream}.pem\""
    )]
    NoTlsFile {
        /// The upstream.
        upstream: String,
        /// The key.
        key: &'static str,
    },
    /// A file of TLS cannot be used.
    #[error("[upstream.{upstream}.tls]")]
    Tls {
        /// The upstream.
        upstream: String,
        /// Why.
        source: Box<TlsError>,
    },
    /// The operating system gives no randomness.
    #[error("the operating system gives no randomness")]
    NoRandomness,
}

fn known(there: &[String]) -> String {
    if there.is_empty() {
        return "; add it".to_owned();
    }
    format!("; there is {}", there.join(", "))
}

/// The realms that go elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Realms(BTreeMap<String, Route>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Route {
    upstream: UpstreamName,
    strip: bool,
}

impl Realms {
    /// Checks the tables of `text` against each other.
    pub(crate) fn new(
        realms: &[RealmConfig],
        upstreams: &UpstreamConfigs,
        text: &str,
    ) -> Result<Self, UpstreamConfigError> {
        let mut routes = BTreeMap::new();
        let names: BTreeSet<_> = upstreams.keys().collect();
        for realm in realms {
            let before = text.get(..realm.upstream.span().start).unwrap_or_default();
            let line = before.lines().count().max(1);
            let upstream = realm.upstream.get_ref();
            if !names.contains(upstream) {
                return Err(UpstreamConfigError::UnknownUpstream {
                    line,
                    realm: realm.name.0.clone(),
                    upstream: upstream.0.to_string(),
                    there: names.iter().map(|name| name.0.to_string()).collect(),
                });
            }
            let route = Route {
                upstream: upstream.0.clone(),
                strip: realm.strip,
            };
            if routes.insert(realm.name.0.clone(), route).is_some() {
                return Err(UpstreamConfigError::RealmTwice {
                    line,
                    realm: realm.name.0.clone(),
                });
            }
        }
        Ok(Self(routes))
    }

    /// Who decides on this User-Name, if its realm goes elsewhere.
    pub(crate) fn route(&self, user_name: &[u8]) -> Option<Upstream> {
        if self.0.is_empty() {
            return None;
        }
        let name = UserName::parse(user_name).ok()?;
        let (bare, realm) = name.split_realm()?;
        let route = self.0.get(&realm.to_lowercase())?;
        let user_name = if route.strip {
            // A name without anything before its realm stays whole.
            UserName::parse(bare.as_bytes()).ok()
        } else {
            None
        };
        Some(Upstream {
            name: route.upstream.clone(),
            user_name,
        })
    }

    /// The realms and where they go, for people.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (&str, &UpstreamName)> {
        self.0
            .iter()
            .map(|(realm, route)| (realm.as_str(), &route.upstream))
    }
}

#[cfg(test)]
mod tests {
    use crate::Config;

    fn config(text: &str) -> Result<Config, String> {
        let config = Config::parse(text, "/etc/x.toml".as_ref());
        config.map_err(|error| format!("{:#}", anyhow::Error::from(error)))
    }

    const CORP: &str = "[upstream.corp]\nservers = [\"udp://192.0.2.10\"]\n";

    #[test]
    fn realms_are_domains() {
        let text = format!(
            "{CORP}[[realm]]\nname = \"example.org\"\nupstream = \"corp\"\n[[realm]]\nname = \"EXAMPLE\"\nupstream = \"corp\"\nstrip = true"
        );
        let realms = config(&text).unwrap().realms;
        for (name, expected) in [
            ("alice@example.org", Some("corp")),
            ("alice@EXAMPLE.ORG", Some("corp")),
            ("a@b@example.org", Some("corp")),
            ("EXAMPLE\\alice", Some("corp as alice")),
            ("alice@example", Some("corp as alice")),
            ("@example", Some("corp")),
            ("alice", None),
            ("alice@example.com", None),
            ("alice@sub.example.org", None),
            ("example.org", None),
            ("alice\\@example.org", None),
            ("", None),
        ] {
            let route = realms.route(name.as_bytes()).map(|upstream| upstream.to_string());
            assert_eq!(route.as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn what_is_refused_is_named() {
        let with = |rest: &str| format!("{CORP}{rest}");
        for (text, parts) in [
            ("[upstream.corp]".to_owned(), &["line 1", "servers"][..]),
            (
                "[upstream.corp]\nservers = []".to_owned(),
                &["line 2", "empty", "udp://"],
            ),
            (
                "[upstream.corp]\nservers = [\"udp://a b\"]".to_owned(),
                &["line 2", "no server", "tls://"],
            ),
            (
                "[upstream.corp]\nservers = [\"udp://a\", \"udp://a:1812\"]".to_owned(),
                &["line 2", "twice"],
            ),
            (
                "[upstream.\"a b\"]\nservers = [\"udp://a\"]".to_owned(),
                &["line 1", "a b", "letters"],
            ),
            (with("order = \"random\""), &["line 3", "random", "spread"]),
            (with("secret = \"geheim\""), &["line 3", "secret", "secret_file"]),
            (with("reply = [\"Clas\"]"), &["line 3", "Clas"]),
            (with("reply = [\"State\"]"), &["line 3", "one hop"]),
            (with("revive_after_s = 0"), &["line 3"]),
            (with("revive_after_s = 4000"), &["line 3", "1..=3600"]),
            (with("message_authenticator = \"off\""), &["line 3", "if-present"]),
            (with("tls = []"), &["line 3", "a table such as"]),
            (
                with("[upstream.corp.tls]\nclient_ca = \"x\""),
                &["line 4", "client_ca", "ca"],
            ),
            (with("[[realm]]\nname = \"example.org\""), &["upstream"]),
            (
                with("[[realm]]\nname = \"a@b\"\nupstream = \"corp\""),
                &["line 4", "no realm"],
            ),
            (
                with("[[realm]]\nname = \"example.org\"\nupstream = \"crop\""),
                &["line 5", "example.org", "[upstream.crop]", "there is corp"],
            ),
            (
                with(
                    "[[realm]]\nname = \"a\"\nupstream = \"corp\"\n[[realm]]\nname = \"A\"\nupstream = \"corp\"",
                ),
                &["line 8", "already"],
            ),
        ] {
            let message = config(&text).unwrap_err();
            for part in parts {
                assert!(
                    message.contains(part),
                    "{text:?}: {message:?} does not name {part:?}"
                );
            }
            assert!(message.contains("/etc/x.toml"), "{message}");
        }
    }
}
