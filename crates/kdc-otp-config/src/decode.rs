//! `[otp]` as the KDC decodes it when it starts: every type, or the first mistake.

use std::io;
use std::path::{Path, PathBuf};

use krb5_profile::{FileAccess, Position, Profile, Relation, Section, ValueError, text, to_path};
use zeroize::Zeroizing;

use crate::kdc::KdcBuild;
use crate::secret::Secret;
use crate::token_type::{DEFAULT_TYPE, Server, TokenType};

/// Why the KDC's OTP module does not initialize. The KDC logs it and runs on **without OTP for anyone**.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// `strip_realm`, `timeout` or `retries` is malformed.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// A type whose server is not a UNIX socket has no secret.
    #[error("{at}: the token type \"{token_type}\" has no secret")]
    SecretMissing {
        /// Where the type is configured.
        at: Position,
        /// Its name, made printable.
        token_type: String,
    },
    /// The secret file cannot be opened.
    #[error("{at}: cannot open the secret file {}: {kind}", shown(path))]
    SecretUnreadable {
        /// The `secret` relation.
        at: Position,
        /// The file, a relative name joined to `KDC_DIR`.
        path: PathBuf,
        /// Why.
        kind: io::ErrorKind,
    },
    /// The secret file has no octets, or is a directory.
    #[error("{at}: the secret file {} is empty", shown(path))]
    SecretEmpty {
        /// The `secret` relation.
        at: Position,
        /// The file, a relative name joined to `KDC_DIR`.
        path: PathBuf,
    },
}

/// A path in a message: it is a value of the profile, and whatever is in it must not end the line.
pub(crate) fn shown(path: &Path) -> String {
    text(path.as_os_str().as_encoded_bytes())
}

impl InitError {
    /// Where the mistake stands.
    #[must_use]
    pub fn position(&self) -> &Position {
        match self {
            Self::Value(error) => error.position(),
            Self::SecretMissing { at, .. }
            | Self::SecretUnreadable { at, .. }
            | Self::SecretEmpty { at, .. } => at,
        }
    }

    /// How the line ends that the KDC logs: `preauth otp failed to initialize: …`. `None` where that depends on what
    /// else the KDC tried to load: for some errors it shows a message of another module.
    #[must_use]
    pub fn logged_as(&self) -> Option<&'static str> {
        match self {
            Self::Value(ValueError::Boolean { .. }) => Some("Invalid boolean value"),
            Self::Value(ValueError::Integer { .. }) => Some("Invalid integer value"),
            Self::SecretUnreadable {
                kind: io::ErrorKind::NotFound,
                ..
            } => Some("No such file or directory"),
            Self::SecretUnreadable {
                kind: io::ErrorKind::PermissionDenied,
                ..
            } => Some("Permission denied"),
            Self::SecretEmpty { .. } => Some("Input/output error"),
            _ => None,
        }
    }
}

/// Decodes `[otp]` as the KDC does when it starts. The types come in its order: a synthesized
/// [`DEFAULT_TYPE`] first, then the subsections; a name in two files comes twice, with the same values.
///
/// # Errors
///
/// [`InitError`], the first mistake in the KDC's order. It disables OTP as a whole.
pub fn decode(
    profile: &Profile,
    files: &impl FileAccess,
    build: &KdcBuild,
) -> Result<Vec<TokenType>, InitError> {
    let names = profile.subsections(["otp"]);
    let mut types = Vec::new();
    if !names
        .iter()
        .any(|section| section.name() == DEFAULT_TYPE.as_bytes())
    {
        types.push(TokenType::synthesized_default(build));
    }
    for section in names {
        types.push(decode_type(profile, section, files, build)?);
    }
    Ok(types)
}

fn decode_type(
    profile: &Profile,
    section: Section<'_>,
    files: &impl FileAccess,
    build: &KdcBuild,
) -> Result<TokenType, InitError> {
    let name = section.name();
    // Which of several mistakes is reported is a matter of this order.
    let strip_realm = profile.boolean(key(name, "strip_realm"))?.unwrap_or(true);
    let server = server(profile, name, build);
    let secret = match profile.relation(key(name, "secret")) {
        Some(relation) => read_secret(relation, files, build)?,
        None if server.is_unix() => Secret::empty(),
        None => {
            let at = section.position().clone();
            return Err(InitError::SecretMissing {
                at,
                token_type: text(name),
            });
        }
    };
    let timeout = profile
        .integer(key(name, "timeout"))?
        .unwrap_or(TokenType::DEFAULT_TIMEOUT);
    let retries = profile
        .integer(key(name, "retries"))?
        .unwrap_or(TokenType::DEFAULT_RETRIES);
    let indicators = profile.relations(key(name, "indicator"));
    Ok(TokenType {
        name: name.to_vec(),
        server,
        secret,
        timeout,
        retries,
        strip_realm,
        indicators: indicators
            .iter()
            .map(|relation| relation.value().to_vec())
            .collect(),
        position: Some(section.position().clone()),
    })
}

fn read_secret(relation: &Relation, files: &impl FileAccess, build: &KdcBuild) -> Result<Secret, InitError> {
    let at = relation.position();
    let path = secret_path(relation.value(), build);
    match files.read(&path).map(Zeroizing::new) {
        Ok(octets) => {
            Secret::from_file(&octets).ok_or_else(|| InitError::SecretEmpty { at: at.clone(), path })
        }
        Err(error) => Err(InitError::SecretUnreadable {
            at: at.clone(),
            path,
            kind: error.kind(),
        }),
    }
}

/// The path of a query for a key of the type `name`.
pub(crate) fn key<'a>(name: &'a [u8], key: &'a str) -> [&'a [u8]; 3] {
    [b"otp", name, key.as_bytes()]
}

pub(crate) fn server(profile: &Profile, name: &[u8], build: &KdcBuild) -> Server {
    let configured = profile.value(key(name, "server")).map(<[u8]>::to_vec);
    Server::from_octets(configured.unwrap_or_else(|| build.default_socket(name)))
}

/// The file that a `secret` value names: a relative name is joined to `KDC_DIR`.
pub(crate) fn secret_path(value: &[u8], build: &KdcBuild) -> PathBuf {
    build.kdc_dir().join(to_path(value))
}
