//! What is wrong with a configuration, where, and what to write instead.

use std::fmt;

use krb5_profile::Position;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// It works; but whoever reads the file may expect something else.
    Note,
    /// It starts; but some logins, or some lines of the file, do not do what they look like.
    Warning,
    /// The KDC does not start, runs without OTP, or cannot use the token type.
    Error,
}

/// What was found. The names are stable: scripts may filter by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// A file cannot be parsed or read: the KDC does not start.
    Profile,
    /// A file begins with a byte order mark, so that its first section is not seen.
    ByteOrderMark,
    /// A section header before the first visible one is indented, and therefore ignored.
    IndentedHeader,
    /// A line is longer than the KDC's buffer and is parsed as several.
    LongLine,
    /// A section is called like `otp`, in another case.
    SectionCase,
    /// There is no `[otp]` section.
    NoSection,
    /// A plain relation inside `[otp]`, outside a token type: it is ignored.
    RelationOutsideType,
    /// A key that the KDC does not know: it is ignored.
    UnknownKey,
    /// A subsection inside a token type: it is ignored.
    NestedSubsection,
    /// A key with one value is given several: the first counts.
    RepeatedKey,
    /// One type is configured in several files.
    TypeInSeveralFiles,
    /// A type is called like `DEFAULT`, in another case.
    DefaultCase,
    /// `DEFAULT` is configured without `strip_realm`, which changes what the KDC made up.
    DefaultStripRealm,
    /// A final mark, which means different things to KDCs before 1.22 and since.
    FinalMark,
    /// `server` is empty.
    ServerEmpty,
    /// `server` cannot be a host name, and is no path that begins with a slash.
    ServerName,
    /// `server` holds an IPv6 address.
    ServerIpv6,
    /// The port in `server` is none.
    ServerPort,
    /// `server` is a name that the KDC looks up on every request.
    ServerLookup,
    /// The socket's path is longer than 107 octets.
    SocketPath,
    /// A type that needs a secret has none.
    SecretMissing,
    /// The secret file cannot be read.
    SecretUnreadable,
    /// The secret file is empty, or a directory.
    SecretEmpty,
    /// The first line of the secret file is blank, so that the secret is empty.
    SecretBlank,
    /// A short secret on a network.
    SecretShort,
    /// The secret file holds more than the KDC reads.
    SecretIgnoredText,
    /// The secret has blanks at its beginning or end, which the KDC takes away.
    SecretBlanks,
    /// Others than its owner can read the secret file.
    SecretPermissions,
    /// A UNIX socket has a secret, which its server must share.
    SecretOnSocket,
    /// A malformed boolean.
    Boolean,
    /// A malformed integer.
    Integer,
    /// A timeout that is not positive, or too large for the KDC's arithmetic.
    Timeout,
    /// A timeout longer than clients wait.
    TimeoutLong,
    /// A negative number of retries.
    Retries,
    /// Retries on a UNIX socket, which has none.
    RetriesOnSocket,
    /// No time from one try to the next.
    PerTry,
    /// Little time from one try to the next.
    PerTryShort,
    /// An indicator that nothing can require, or that looks like a list.
    Indicator,
}

impl Rule {
    /// The stable name, such as `secret-blank`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::ByteOrderMark => "byte-order-mark",
            Self::IndentedHeader => "indented-header",
            Self::LongLine => "long-line",
            Self::SectionCase => "section-case",
            Self::NoSection => "no-section",
            Self::RelationOutsideType => "relation-outside-type",
            Self::UnknownKey => "unknown-key",
            Self::NestedSubsection => "nested-subsection",
            Self::RepeatedKey => "repeated-key",
            Self::TypeInSeveralFiles => "type-in-several-files",
            Self::DefaultCase => "default-case",
            Self::DefaultStripRealm => "default-strip-realm",
            Self::FinalMark => "final-mark",
            Self::ServerEmpty => "server-empty",
            Self::ServerName => "server-name",
            Self::ServerIpv6 => "server-ipv6",
            Self::ServerPort => "server-port",
            Self::ServerLookup => "server-lookup",
            Self::SocketPath => "socket-path",
            Self::SecretMissing => "secret-missing",
            Self::SecretUnreadable => "secret-unreadable",
            Self::SecretEmpty => "secret-empty",
            Self::SecretBlank => "secret-blank",
            Self::SecretShort => "secret-short",
            Self::SecretIgnoredText => "secret-ignored-text",
            Self::SecretBlanks => "secret-blanks",
            Self::SecretPermissions => "secret-permissions",
            Self::SecretOnSocket => "secret-on-socket",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Timeout => "timeout",
            Self::TimeoutLong => "timeout-long",
            Self::Retries => "retries",
            Self::RetriesOnSocket => "retries-on-socket",
            Self::PerTry => "per-try",
            Self::PerTryShort => "per-try-short",
            Self::Indicator => "indicator",
        }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Profile
            | Self::ByteOrderMark
            | Self::ServerEmpty
            | Self::ServerName
            | Self::ServerIpv6
            | Self::ServerPort
            | Self::SocketPath
            | Self::SecretMissing
            | Self::SecretUnreadable
            | Self::SecretEmpty
            | Self::SecretBlank
            | Self::Boolean
            | Self::Integer
            | Self::Timeout
            | Self::Retries
            | Self::PerTry => Severity::Error,
            Self::IndentedHeader
            | Self::LongLine
            | Self::SectionCase
            | Self::RelationOutsideType
            | Self::UnknownKey
            | Self::NestedSubsection
            | Self::RepeatedKey
            | Self::TypeInSeveralFiles
            | Self::DefaultCase
            | Self::DefaultStripRealm
            | Self::SecretShort
            | Self::SecretIgnoredText
            | Self::SecretPermissions
            | Self::TimeoutLong
            | Self::PerTryShort
            | Self::Indicator => Severity::Warning,
            Self::NoSection
            | Self::FinalMark
            | Self::ServerLookup
            | Self::SecretBlanks
            | Self::SecretOnSocket
            | Self::RetriesOnSocket => Severity::Note,
        }
    }
}

/// One thing that an admin should know about the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub(crate) rule: Rule,
    pub(crate) position: Option<Position>,
    pub(crate) token_type: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) message: String,
    pub(crate) advice: String,
}

impl Finding {
    /// What was found.
    #[must_use]
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }

    /// File and line; `None` where the finding is about what is absent.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The token type, made printable.
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// The key, made printable.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// What is wrong, and what the KDC makes of it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write or do instead.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Display for Finding {
    /// `FILE:LINE: severity: type: key: message; advice [rule]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = &self.position {
            write!(f, "{position}: ")?;
        }
        write!(f, "{}: ", self.severity())?;
        for part in [&self.token_type, &self.key].into_iter().flatten() {
            write!(f, "{part}: ")?;
        }
        write!(f, "{}; {} [{}]", self.message, self.advice, self.rule)
    }
}
