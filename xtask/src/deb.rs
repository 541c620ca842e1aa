//! The Debian package: built by cargo-deb, and tried in a Debian of its own.

use std::{fs, path::Path, process::ExitCode};

use anyhow::{Context, bail, ensure};

use crate::{
    guest::{self, Guest},
    machine,
    step::Step,
};

/// Where cargo-deb is installed if it is not on the machine, and where what it packs is made.
const TOOLS: &str = "target/tools";
const PACKED: &str = "target/package-files";
/// What `cargo xtask deb` is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    profile: String,
    is_tried: bool,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> anyhow::Result<Self> {
        let mut options = Self {
            profile: "release".to_owned(),
            is_tried: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match *argument {
                "--try" => options.is_tried = true,
                "--profile" => {
                    (*rest.next().context("--profile needs a name")?).clone_into(&mut options.profile)
                }
                _ => bail!("cargo xtask deb [--try] [--profile NAME]"),
            }
        }
        Ok(options)
    }

    /// Where cargo puts programs of the profile.
    fn directory(&self) -> String {
        let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".to_owned());
        let name = if self.profile == "dev" {
            "debug"
        } else {
            &self.profile
        };
        format!("{target}/{name}")
    }
}

/// Builds the package; with `--try`, installs, uses and purges it.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    if options.is_tried {
        ensure!(
            machine::is_root(),
            "only root can make the Debian that the package is tried in"
        );
    }
    let package = build(options)?;
    Step::new("contents", &format!("dpkg-deb --info {package}")).must()?;
    Step::new("contents", &format!("dpkg-deb --contents {package}")).must()?;
    if options.is_tried {
        attempt(&package)?;
    }
    println!("\n{package}");
    Ok(ExitCode::SUCCESS)
}

/// Builds the package, and says where it is.
pub(crate) fn build(options: &Options) -> anyhow::Result<String> {
    provide_cargo_deb()?;
    let profile = &options.profile;
    Step::new(
        "programs",
        &format!("cargo build --profile {profile} --package otp-radiusd --package otpctl --bins"),
    )
    .must()?;
    make_files(&options.directory())?;
    let path = std::env::var("PATH").unwrap_or_default();
    // What is not released is large and soon thrown away.
    let compression = if profile == "release" { "" } else { "--fast" };
    Step::new(
        "package",
        &format!(
            "cargo deb --no-build --no-strip {compression} --package otp-radiusd --profile {profile} --output {PACKED}/"
        ),
    )
    .env("PATH", format!("{TOOLS}/bin:{path}"))
    .must()?;
    package()
}

fn provide_cargo_deb() -> anyhow::Result<()> {
    if machine::succeeds("cargo", &["deb", "--version"])
        || machine::succeeds(&format!("{TOOLS}/bin/cargo-deb"), &["--version"])
    {
        return Ok(());
    }
    Step::new(
        "cargo-deb",
        &format!("cargo install --locked --no-default-features --root {TOOLS} cargo-deb"),
    )
    .must()
}

/// Manual pages and completions, by the programs themselves.
fn make_files(programs: &str) -> anyhow::Result<()> {
    if Path::new(PACKED).exists() {
        fs::remove_dir_all(PACKED).with_context(|| format!("cannot empty {PACKED}"))?;
    }
    let man = format!("{PACKED}/man");
    fs::create_dir_all(&man).with_context(|| format!("cannot make {man}"))?;
    for name in ["otp-radiusd", "otpctl"] {
        let program = format!("{programs}/{name}");
        Step::new("manual pages", &format!("{program} man {man}")).must()?;
        for (shell, file) in [
            ("bash", name.to_owned()),
            ("zsh", format!("_{name}")),
            ("fish", format!("{name}.fish")),
        ] {
            let directory = format!("{PACKED}/{shell}");
            fs::create_dir_all(&directory).with_context(|| format!("cannot make {directory}"))?;
            let script = machine::output(&program, &["completions", shell])?;
            fs::write(format!("{directory}/{file}"), script)
                .with_context(|| format!("cannot write to {directory}"))?;
        }
    }
    Ok(())
}

/// The package that was made.
fn package() -> anyhow::Result<String> {
    let files = fs::read_dir(PACKED).with_context(|| format!("cannot read {PACKED}"))?;
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            return Ok(path.display().to_string());
        }
    }
    bail!("cargo-deb made no package in {PACKED}")
}

/// What is run in the new Debian, where systemd runs.
const TRIAL: &str = "\
set -eux
cd /root
exec 2>&1
apt-get install -y ./otp-radiusd_*.deb
dpkg -s otp-radiusd | grep -q 'Status: install ok installed'
getent passwd otp-radiusd
test \"$(stat -c '%U %a' /var/lib/otp-radiusd)\" = 'otp-radiusd 700'
test \"$(stat -c '%U %a' /var/lib/otp-radiusd/seal.key)\" = 'otp-radiusd 600'
systemctl is-enabled otp-radiusd
systemctl is-active otp-radiusd
systemctl show --property=Type,NotifyAccess,WatchdogUSec,StatusText otp-radiusd
runuser -u otp-radiusd -- otp-radiusd --check
runuser -u otp-radiusd -- otpctl user add alice
zcat /usr/share/man/man8/otp-radiusd.8.gz | grep -q OTP_RADIUSD_LOG
echo 'deadline_ms = 3000' >> /etc/otp-radiusd/otp-radiusd.toml
otpctl reload
systemctl reload otp-radiusd
echo '-- the package again: neither the store nor the configuration is touched, and the daemon is started anew'
before=$(systemctl show --property=MainPID otp-radiusd)
dpkg -i --force-confold otp-radiusd_*.deb
grep -q 'deadline_ms = 3000' /etc/otp-radiusd/otp-radiusd.toml
runuser -u otp-radiusd -- otpctl user show alice
systemctl is-active otp-radiusd
test \"$before\" != \"$(systemctl show --property=MainPID otp-radiusd)\"
echo '-- removed: the daemon is gone, the store stays'
apt-get remove -y otp-radiusd
if systemctl is-active otp-radiusd; then exit 1; fi
test -e /var/lib/otp-radiusd/seal.key
test -e /etc/otp-radiusd/otp-radiusd.toml
echo '-- purged: nothing stays but the user'
apt-get purge -y otp-radiusd
for path in /var/lib/otp-radiusd /etc/otp-radiusd /run/otp-radiusd /usr/bin/otpctl /usr/lib/sysusers.d/otp-radiusd.conf; do
  test ! -e $path || { echo \"$path is still there\"; exit 1; }
done
if dpkg -s otp-radiusd 2>/dev/null; then exit 1; fi
echo '-- tried: all of it'
";

/// Installs, uses, updates, removes and purges the package in a new Debian.
fn attempt(package: &str) -> anyhow::Result<()> {
    guest::provide(package)?;
    guest::fetch(std::iter::once("--yes ./otp-radiusd_*.deb"))?;
    println!("\n== trial: in a Debian of its own");
    let guest = Guest::boot("trial", Path::new("target/deb-try.console"))?;
    let status = guest
        .bash(TRIAL, 300)
        .status()
        .context("cannot start the trial")?;
    ensure!(status.success(), "the trial failed with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_profile_and_whether_it_is_tried() {
        let by_default = Options::parse(&[]).unwrap();
        assert_eq!(
            (by_default.profile.as_str(), by_default.is_tried),
            ("release", false)
        );
        let tried = Options::parse(&["--try", "--profile", "dev"]).unwrap();
        assert!(tried.is_tried && tried.directory().ends_with("/debug"));
        for wrong in [&["--profile"][..], &["--tried"]] {
            assert!(Options::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    /// Whatever the package names is there.
    #[test]
    fn files_of_the_package_are_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = root.join("bins/otp-radiusd/Cargo.toml");
        let manifest: toml::Value = toml::from_str(&fs::read_to_string(manifest).unwrap()).unwrap();
        let package = &manifest["package"]["metadata"]["deb"];
        let assets = package["assets"].as_array().unwrap();
        assert!(assets.len() > 10);
        for asset in assets {
            let source = asset[0].as_str().unwrap();
            let Some(path) = source
                .strip_prefix("../../")
                .filter(|path| !path.starts_with(PACKED))
            else {
                assert!(
                    source.starts_with("target/release/") || source.contains(PACKED),
                    "{source}"
                );
                continue;
            };
            assert!(root.join(path).exists(), "{path}");
        }
        for script in ["postinst", "postrm"] {
            let text = fs::read_to_string(root.join("dist/debian").join(script)).unwrap();
            assert!(
                text.starts_with("#!/bin/sh\n") && text.contains("\nset -e\n"),
                "{script}"
            );
            assert!(text.contains("\n#DEBHELPER#\n"), "{script}");
        }
    }
}
