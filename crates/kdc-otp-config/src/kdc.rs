//! What was decided when the KDC was built.

use std::path::{Path, PathBuf};

use krb5_profile::FinalRule;

/// The directories and the version that a KDC was built with; no file can change them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KdcBuild {
    kdc_dir: PathBuf,
    run_dir: PathBuf,
    final_rule: FinalRule,
}

impl KdcBuild {
    /// A KDC with these `KDC_DIR` (`kdc.conf`, relative secret files) and `KDC_RUN_DIR` (default sockets).
    #[must_use]
    pub fn new(kdc_dir: impl Into<PathBuf>, run_dir: impl Into<PathBuf>, final_rule: FinalRule) -> Self {
        Self {
            kdc_dir: kdc_dir.into(),
            run_dir: run_dir.into(),
            final_rule,
        }
    }

    /// The packages of Debian 12 and Ubuntu: `/etc/krb5kdc`, `/run/krb5kdc`, krb5 before 1.22.
    #[must_use]
    pub fn debian() -> Self {
        Self::new("/etc/krb5kdc", "/run/krb5kdc", FinalRule::Before1_22)
    }

    /// The packages of Fedora and RHEL: `/var/kerberos/krb5kdc`, `/run/krb5kdc`, krb5 before 1.22.
    #[must_use]
    pub fn fedora() -> Self {
        Self::new("/var/kerberos/krb5kdc", "/run/krb5kdc", FinalRule::Before1_22)
    }

    /// The directory of `kdc.conf` and of secret files with relative names.
    #[must_use]
    pub fn kdc_dir(&self) -> &Path {
        &self.kdc_dir
    }

    /// The directory of the sockets of types that name no server.
    #[must_use]
    pub fn run_dir(&self) -> &Path {
        &self.run_dir
    }

    /// What final marks mean to this KDC.
    #[must_use]
    pub fn final_rule(&self) -> FinalRule {
        self.final_rule
    }

    /// Whether its libkrad knows Message-Authenticator (RFC 3579 §3.2), as it does since krb5 1.22: then it signs the
    /// requests that have a secret, and verifies the attribute in replies. Before, it discards a reply that has one.
    #[must_use]
    pub fn knows_message_authenticator(&self) -> bool {
        self.final_rule == FinalRule::Since1_22
    }

    /// The socket of the token type `name` where no server is configured: `KDC_RUN_DIR/<name>.socket`.
    pub(crate) fn default_socket(&self, name: &[u8]) -> Vec<u8> {
        let run_dir = self.run_dir.as_os_str().as_encoded_bytes();
        [run_dir, b"/", name, b".socket"].concat()
    }
}
