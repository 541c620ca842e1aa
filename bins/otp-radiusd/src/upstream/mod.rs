//! Other RADIUS servers that decide in place of this one: who they are, and what becomes of a request that goes to them.

mod config;
mod exposition;
mod filter;
mod forward;

use std::{collections::BTreeMap, sync::Arc};

use krad::{SharedSecret, radius11::Versions};
use krad_tokio::{
    MinTls,
    pool::{ClientTls, ClientTlsFiles, Pool, PoolServer, Scheme, ServerAddress},
};
use otp_store::{Histogram, read_secret_file};
use otp_validation::{Upstream, UpstreamName};
use rand::{
    SeedableRng as _,
    rngs::{StdRng, SysRng},
};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

pub use self::config::{UpstreamConfig, UpstreamConfigError};
use self::{config::ReplyRule, filter::ReplyFilter};
pub(crate) use self::{
    config::{RealmConfig, Realms, UpstreamConfigs},
    forward::{Arrived, Told},
};
use crate::{
    metrics::TIMES,
    tls::{MinVersion, Radius11},
};

/// How many octets a secret had better have: what is shorter is found by trying (RFC 2865 §3).
pub(crate) const SHORTEST_GOOD: usize = 16;

/// Everything that the configuration says of upstreams, with what it names read: secrets and certificates.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    upstreams: BTreeMap<UpstreamName, Material>,
    realms: Realms,
}

/// What an upstream is made of.
#[derive(Clone, Debug)]
pub(crate) struct Material {
    config: UpstreamConfig,
    secret: Option<Zeroizing<String>>,
    tls: Option<Arc<ClientTls>>,
}

impl Material {
    fn read(name: &UpstreamName, config: &UpstreamConfig) -> Result<Self, UpstreamConfigError> {
        let upstream = || name.to_string();
        let secret = match &config.secret_file {
            Some(file) => Some(
                read_secret_file(file).map_err(|source| UpstreamConfigError::Secret {
                    upstream: upstream(),
                    source,
                })?,
            ),
            None if config.speaks_clear() => {
                return Err(UpstreamConfigError::NoSecret { upstream: upstream() });
            }
            None => None,
        };
        let tls = config
            .speaks_tls()
            .then(|| client_tls(name, config))
            .transpose()?;
        Ok(Self {
            config: config.clone(),
            secret,
            tls: tls.map(Arc::new),
        })
    }

    /// Whether nothing has changed, so that connections and what is known of the servers can stay.
    fn is_same(&self, other: &Self) -> bool {
        let same_tls = match (&self.tls, &other.tls) {
            (Some(one), Some(other)) => one.is_same(other),
            (None, None) => true,
            _ => false,
        };
        self.config == other.config && self.secret == other.secret && same_tls
    }

    /// The secret, if it is shorter than it should be.
    pub(crate) fn has_short_secret(&self) -> bool {
        let is_used = self.config.speaks_clear();
        is_used
            && self
                .secret
                .as_ref()
                .is_some_and(|secret| secret.len() < SHORTEST_GOOD)
    }

    pub(crate) fn servers(&self) -> &[ServerAddress] {
        &self.config.servers.0
    }

    pub(crate) fn takes_replies_without_message_authenticator(&self) -> bool {
        self.config.speaks_clear() && self.config.message_authenticator == ReplyRule::IfPresent
    }

    fn pool_servers(&self) -> Vec<PoolServer> {
        let secret = self
            .secret
            .as_ref()
            .map(|secret| SharedSecret::new(secret.as_bytes()));
        let server = |address: &ServerAddress| {
            let server = match (address.scheme, &self.tls, &secret) {
                (Scheme::Tls, Some(tls), None) => PoolServer::tls(address.clone(), Arc::clone(tls)),
                (Scheme::Tls, Some(tls), Some(secret)) if !self.config.speaks_clear() => {
                    PoolServer::tls(address.clone(), Arc::clone(tls)).with_secret(secret.clone())
                }
                // In a mixed list the secret is that of the others: over TLS it is the one that everybody knows.
                (Scheme::Tls, Some(tls), Some(_)) => PoolServer::tls(address.clone(), Arc::clone(tls)),
                (_, _, secret) => {
                    let secret = secret.clone().unwrap_or_else(SharedSecret::empty);
                    PoolServer::new(address.clone(), secret)
                }
            };
            match (address.scheme, self.config.message_authenticator) {
                (Scheme::Udp | Scheme::Tcp, ReplyRule::IfPresent) => {
                    server.dangerous_allow_missing_message_authenticator()
                }
                _ => server,
            }
        };
        self.servers().iter().map(server).collect()
    }
}

fn client_tls(name: &UpstreamName, config: &UpstreamConfig) -> Result<ClientTls, UpstreamConfigError> {
    let upstream = || name.to_string();
    let table = &config.tls;
    let needed = |value: &Option<std::path::PathBuf>, key| {
        value.clone().ok_or_else(|| UpstreamConfigError::NoTlsFile {
            upstream: upstream(),
            key,
        })
    };
    let files = ClientTlsFiles {
        ca: needed(&table.ca, "ca")?,
        crl: table.crl.clone(),
        certificate: needed(&table.certificate, "certificate")?,
        key: needed(&table.key, "key")?,
        versions: match table.radius_1_1 {
            Radius11::Forbid => Versions::Historic,
            Radius11::Allow => Versions::Both,
            Radius11::Require => Versions::Radius11,
        },
        min_tls: match table.min_version {
            MinVersion::Tls12 => MinTls::Tls12,
            MinVersion::Tls13 => MinTls::Tls13,
        },
    };
    ClientTls::read(&files).map_err(|source| UpstreamConfigError::Tls {
        upstream: upstream(),
        source: Box::new(source),
    })
}

impl Prepared {
    /// Reads what the tables name.
    pub(crate) fn read(configs: &UpstreamConfigs, realms: &Realms) -> Result<Self, UpstreamConfigError> {
        let upstreams = configs
            .iter()
            .map(|(name, config)| Ok((name.0.clone(), Material::read(&name.0, config)?)));
        Ok(Self {
            upstreams: upstreams.collect::<Result<_, _>>()?,
            realms: realms.clone(),
        })
    }

    pub(crate) fn upstreams(&self) -> impl Iterator<Item = (&UpstreamName, &Material)> {
        self.upstreams.iter()
    }

    /// Puts upstreams to work; those of `before` that are the same go on, with their connections and what is known of them.
    pub(crate) fn start(self, before: &Upstreams) -> Result<Upstreams, UpstreamConfigError> {
        let at_work = self.upstreams.into_iter().map(|(name, material)| {
            let kept = before
                .at_work
                .get(&name)
                .filter(|known| known.material.is_same(&material));
            let at_work = match kept {
                Some(known) => Arc::clone(known),
                None => Arc::new(AtWork::start(material)?),
            };
            Ok((name, at_work))
        });
        Ok(Upstreams {
            at_work: at_work.collect::<Result<_, _>>()?,
            realms: self.realms,
        })
    }
}

/// The upstreams that are configured, at work.
#[derive(Debug, Default)]
pub(crate) struct Upstreams {
    at_work: BTreeMap<UpstreamName, Arc<AtWork>>,
    realms: Realms,
}

impl Upstreams {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.at_work.is_empty()
    }

    /// Who decides on this User-Name, if its realm goes elsewhere.
    pub(crate) fn route(&self, user_name: &[u8]) -> Option<Upstream> {
        self.realms.route(user_name)
    }

    pub(crate) fn get(&self, name: &UpstreamName) -> Option<Arc<AtWork>> {
        self.at_work.get(name).cloned()
    }
}

/// An upstream at work.
#[derive(Debug)]
pub(crate) struct AtWork {
    material: Material,
    pool: Pool,
    /// What stands before the State of each server's questions, so that the answer finds its way back.
    tags: Vec<u8>,
    /// How long each server takes to answer, in microseconds.
    times: Vec<Histogram>,
}

impl AtWork {
    fn start(material: Material) -> Result<Self, UpstreamConfigError> {
        let rng = StdRng::try_from_rng(&mut SysRng).map_err(|_| UpstreamConfigError::NoRandomness)?;
        let config = &material.config;
        let pool = Pool::new(material.pool_servers(), config.order.into(), config.health(), rng);
        let servers = material.servers();
        Ok(Self {
            tags: tags(servers),
            times: servers.iter().map(|_| Histogram::new(TIMES)).collect(),
            pool,
            material,
        })
    }

    fn filter(&self) -> &ReplyFilter {
        &self.material.config.reply
    }
}

/// An octet for each server that stays the same when others come and go: of its address, or the next one that is free.
fn tags(servers: &[ServerAddress]) -> Vec<u8> {
    let mut tags: Vec<u8> = Vec::new();
    for server in servers {
        let [first, ..] = <[u8; 32]>::from(Sha256::digest(server.to_string().as_bytes()));
        let free = (0..=u8::MAX).map(|step| first.wrapping_add(step));
        let mut free = free.filter(|tag| !tags.contains(tag));
        tags.push(free.next().unwrap_or(first));
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(count: usize) -> Vec<ServerAddress> {
        let server = |number| format!("udp://192.0.2.{number}").parse().unwrap();
        (1..=count).map(server).collect()
    }

    #[test]
    fn tags_are_distinct_and_stay() {
        let all = servers(16);
        let first = tags(&all);
        let distinct: std::collections::BTreeSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), 16);
        // One that is alone keeps the tag that it has among others, in whatever order.
        for (server, tag) in all.iter().zip(&first).take(4) {
            assert_eq!(tags(std::slice::from_ref(server)), [*tag], "{server}");
        }
    }
}
