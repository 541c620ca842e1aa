//! Which files a KDC reads, and how it was built.

use std::{fs, io, path::PathBuf};

use clap::ValueEnum;
use kdc_otp_config::{FinalRule, KdcBuild};
use krb5_profile::kdc_search_path;

use crate::{context::Context, failure::Failure};

/// Where the KDC's configuration is.
#[derive(Debug, clap::Args)]
pub(super) struct Sources {
    /// Files to read instead, in this order: the first value of a key counts.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The KDC's directory: kdc.conf and secret files with relative names.
    #[arg(long, value_name = "DIR", default_value = "/etc/krb5kdc")]
    kdc_dir: PathBuf,
    /// Directory of the sockets of types that name no server.
    #[arg(long, value_name = "DIR", default_value = "/run/krb5kdc")]
    run_dir: PathBuf,
    /// Which krb5 the KDC is: 1.22 changed the meaning of final marks, and brought Message-Authenticator.
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = Final::Before1_22)]
    final_rule: Final,
    /// The KDC's own file.
    #[arg(long, value_name = "FILE", env = "KRB5_KDC_PROFILE")]
    kdc_profile: Option<String>,
    /// Files of every Kerberos program, divided by colons.
    #[arg(
        long,
        value_name = "FILES",
        env = "KRB5_CONFIG",
        default_value = "/etc/krb5.conf"
    )]
    krb5_config: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Final {
    /// krb5 up to 1.21.
    #[value(name = "before-1.22")]
    Before1_22,
    /// krb5 1.22 and later.
    #[value(name = "since-1.22")]
    Since1_22,
}

impl Sources {
    /// The directories and the version of the KDC.
    pub(super) fn build(&self) -> KdcBuild {
        let final_rule = match self.final_rule {
            Final::Before1_22 => FinalRule::Before1_22,
            Final::Since1_22 => FinalRule::Since1_22,
        };
        KdcBuild::new(&self.kdc_dir, &self.run_dir, final_rule)
    }

    /// The files, in the order in which the KDC reads them. A KDC passes over what is not there; a person who names a file
    /// means that file.
    pub(super) fn files(&self, context: &Context) -> Result<Vec<PathBuf>, Failure> {
        for file in &self.files {
            let metadata = fs::metadata(file).map_err(|error| Failure::file("read", file, error))?;
            if !metadata.is_file() {
                return Err(Failure::file("read", file, io::ErrorKind::IsADirectory.into()));
            }
        }
        if !self.files.is_empty() {
            return Ok(self.files.clone());
        }
        let (profile, home) = (self.kdc_profile.as_deref(), context.io.home.as_deref());
        Ok(kdc_search_path(profile, &self.kdc_dir, &self.krb5_config, home))
    }
}
