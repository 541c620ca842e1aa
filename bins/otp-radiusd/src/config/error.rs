//! Why a configuration cannot be used.

use std::{io, path::PathBuf};

use crate::{database::DatabaseError, tls::TlsConfigError, upstream::UpstreamConfigError};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not valid; the source names line, column and key.
    #[error("{} is not valid", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: Box<toml::de::Error>,
    },
    /// Nothing to listen on.
    #[error("{}: `listen` is empty; leave it out for the defaults, or name a listener such as \"unix:/run/otp-radiusd/kdc.socket\"", path.display())]
    NoListener {
        /// The file.
        path: PathBuf,
    },
    /// The table `[tls]` leads to no TLS.
    #[error("{}", path.as_ref().map_or_else(|| "the listeners cannot speak TLS".to_owned(), |path| path.display().to_string()))]
    Tls {
        /// The configuration file, if there is one.
        path: Option<PathBuf>,
        /// Why.
        source: Box<TlsConfigError>,
    },
    /// The tables `[upstream.NAME]` and `[[realm]]` lead nowhere.
    #[error("{}", path.as_ref().map_or_else(|| "the upstreams cannot be used".to_owned(), |path| path.display().to_string()))]
    Upstream {
        /// The configuration file, if there is one.
        path: Option<PathBuf>,
        /// Why.
        source: Box<UpstreamConfigError>,
    },
    /// The table `[postgresql]`, or the options in its place, lead to no database.
    #[error("the database of `[postgresql]` cannot be used")]
    Database(#[from] DatabaseError),
}
