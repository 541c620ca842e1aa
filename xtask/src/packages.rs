//! Debian packages that tests and benchmarks need: which, and whether they are there.

/// A Debian package and what the tests use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Package {
    /// Its name for apt.
    pub(crate) name: &'static str,
    /// The programs or libraries, for people on other systems.
    pub(crate) provides: &'static str,
}

/// Everything that the tests start or link.
pub(crate) const REQUIRED: [Package; 25] = [
    Package {
        name: "krb5-kdc",
        provides: "krb5kdc, kdb5_util",
    },
    Package {
        name: "krb5-admin-server",
        provides: "kadmin.local",
    },
    Package {
        name: "krb5-otp",
        provides: "the KDC's preauthentication module otp.so",
    },
    Package {
        name: "krb5-user",
        provides: "kinit, klist",
    },
    Package {
        name: "libkrb5-dev",
        provides: "libkrb5 and its headers",
    },
    Package {
        name: "freeradius-common",
        provides: "the dictionaries of FreeRADIUS",
    },
    Package {
        name: "freeradius",
        provides: "freeradius",
    },
    Package {
        name: "freeradius-utils",
        provides: "radclient",
    },
    Package {
        name: "oathtool",
        provides: "oathtool",
    },
    Package {
        name: "pskctool",
        provides: "pskctool and the XML schema of PSKC",
    },
    Package {
        name: "libpskc-dev",
        provides: "libpskc and its headers",
    },
    Package {
        name: "python3-pskc",
        provides: "python-pskc, for /usr/bin/python3",
    },
    Package {
        name: "prometheus",
        provides: "promtool",
    },
    Package {
        name: "zbar-tools",
        provides: "zbarimg",
    },
    Package {
        name: "postgresql",
        provides: "initdb, postgres, psql",
    },
    Package {
        name: "strace",
        provides: "strace",
    },
    Package {
        name: "libfaketime",
        provides: "libfaketimeMT.so.1",
    },
    Package {
        name: "procps",
        provides: "kill",
    },
    Package {
        name: "radsecproxy",
        provides: "radsecproxy",
    },
    Package {
        name: "openssl",
        provides: "openssl",
    },
    Package {
        name: "systemd",
        provides: "systemd-analyze, systemd-socket-activate, systemd-sysusers, systemd-tmpfiles",
    },
    Package {
        name: "util-linux",
        provides: "unshare, nsenter, fallocate",
    },
    Package {
        name: "e2fsprogs",
        provides: "mkfs.ext4",
    },
    Package {
        name: "gcc",
        provides: "gcc",
    },
    Package {
        name: "libc6-dev",
        provides: "the headers of the C library",
    },
];

/// The C libraries that the benchmarks link, to be measured beside.
pub(crate) const BENCHED: [Package; 3] = [
    Package {
        name: "liboath-dev",
        provides: "liboath",
    },
    Package {
        name: "libkrb5-dev",
        provides: "libkrb5 and libkrb5support",
    },
    Package {
        name: "libpskc-dev",
        provides: "libpskc",
    },
];

/// The server that stands beside ours under load.
pub(crate) const LOADED: [Package; 3] = [
    Package {
        name: "freeradius",
        provides: "FreeRADIUS",
    },
    Package {
        name: "radsecproxy",
        provides: "radsecproxy",
    },
    Package {
        name: "openssl",
        provides: "certificates",
    },
];

/// Arguments of `dpkg-query` whose output [`missing`] reads: one `NAME STATUS` a line.
pub(crate) const QUERY: [&str; 2] = ["--show", "--showformat=${Package} ${db:Status-Status}\n"];

/// Those of `required` that `listed`, the output of `dpkg-query`, does not call installed.
pub(crate) fn missing(required: &[Package], listed: &str) -> Vec<Package> {
    let installed = |package: &Package| {
        listed
            .lines()
            .any(|line| line.split_once(' ') == Some((package.name, "installed")))
    };
    required
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

/// Arguments of `apt-get` that install `packages` without a question.
pub(crate) fn install_arguments(packages: &[Package]) -> Vec<&'static str> {
    let options = ["install", "-y", "--no-install-recommends"];
    options
        .into_iter()
        .chain(packages.iter().map(|package| package.name))
        .collect()
}

/// The one line with which an administrator installs `packages`.
pub(crate) fn install_line(packages: &[Package]) -> String {
    format!(
        "apt-get update && apt-get {}",
        install_arguments(packages).join(" ")
    )
}

/// What has to be there on a system without apt, one line a package.
pub(crate) fn what_they_provide(packages: &[Package]) -> String {
    packages
        .iter()
        .map(|package| format!("  {} (Debian: {})\n", package.provides, package.name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(listed: &str) -> Vec<&'static str> {
        missing(&REQUIRED, listed)
            .iter()
            .map(|package| package.name)
            .collect()
    }

    #[test]
    fn only_installed_packages_count() {
        let all: String = REQUIRED
            .iter()
            .map(|package| format!("{} installed\n", package.name))
            .collect();
        assert!(names(&all).is_empty());
        assert_eq!(names("").len(), REQUIRED.len());
        assert_eq!(
            names(&all.replace("strace installed", "strace config-files")),
            ["strace"]
        );
        assert_eq!(names(&all.replace("gcc installed", "gcc-12 installed")), ["gcc"]);
        assert_eq!(
            names(&all.replace("krb5-otp installed", "krb5-otp not-installed")),
            ["krb5-otp"]
        );
        // Two architectures of one package: one is enough.
        assert!(names(&format!("libc6-dev not-installed\n{all}")).is_empty());
    }

    #[test]
    fn the_line_for_an_administrator_is_complete() {
        let missing = missing(&REQUIRED[..2], "krb5-kdc installed\n");
        assert_eq!(
            install_line(&missing),
            "apt-get update && apt-get install -y --no-install-recommends krb5-admin-server"
        );
        assert_eq!(
            what_they_provide(&missing),
            "  kadmin.local (Debian: krb5-admin-server)\n"
        );
    }
}
