//! A Debian of its own: made once by debootstrap, booted by systemd-nspawn with a systemd that runs.
//!
//! Nothing that happens there stays, and nothing leaves it: what is written goes to memory over the files of the Debian, and
//! there is no network but loopback.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::{machine, packages::Package, step::Step};

/// The files that every guest begins with.
const ROOT: &str = "target/debian";
/// Device of tunnels, which VPNs need.
const TUN: &str = "/dev/net/tun";

/// What makes and boots a guest.
pub(crate) const REQUIRED: [Package; 3] = [
    Package {
        name: "debootstrap",
        provides: "debootstrap",
    },
    Package {
        name: "systemd-container",
        provides: "systemd-nspawn",
    },
    Package {
        name: "util-linux",
        provides: "nsenter",
    },
];

/// Makes the Debian, of the release that this machine runs: programs that are built here run there.
///
/// `package` is put into root's home, where `apt install ./otp-radiusd_*.deb` finds it.
pub(crate) fn provide(package: &str) -> anyhow::Result<()> {
    ensure!(
        machine::is_root(),
        "only root can make the Debian that the package is tried in"
    );
    machine::provide_packages(&REQUIRED)?;
    let finished = Path::new(ROOT).join("etc/debian-is-complete");
    if !finished.exists() {
        if Path::new(ROOT).exists() {
            fs::remove_dir_all(ROOT).with_context(|| format!("cannot remove what was begun in {ROOT}"))?;
        }
        let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let release = release(&text)?;
        let include = "systemd,systemd-sysv,dbus,iproute2,ca-certificates";
        Step::new(
            "a Debian",
            &format!("debootstrap --variant=minbase --include={include} {release} {ROOT}"),
        )
        .must()?;
        // As the installer of Debian writes them.
        let etc = Path::new(ROOT).join("etc");
        fs::write(etc.join("hostname"), "otp1\n")?;
        fs::write(
            etc.join("hosts"),
            "127.0.0.1 localhost\n127.0.1.1 otp1.example.com otp1\n::1 localhost ip6-localhost ip6-loopback\n",
        )?;
        // Variables of the kernel are this machine's.
        symlink("/dev/null", etc.join("systemd/system/systemd-sysctl.service"))?;
        fs::write(finished, "").context("cannot write to the Debian")?;
    }
    let home = Path::new(ROOT).join("root");
    for old in fs::read_dir(&home)? {
        let path = old?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            fs::remove_file(path)?;
        }
    }
    let name = Path::new(package).file_name().context("a package has a name")?;
    fs::copy(package, home.join(name)).context("cannot copy the package")?;
    Ok(())
}

/// Fetches Debian packages for `installations`, arguments of `apt install`, so that guests find them without a network.
pub(crate) fn fetch<'a>(installations: impl Iterator<Item = &'a str>) -> anyhow::Result<()> {
    let mut script = "set -e; cd /root; apt-get update -q".to_owned();
    for arguments in installations {
        script.push_str("; apt-get install -q --download-only ");
        script.push_str(arguments);
    }
    let mut nspawn = vec!["systemd-nspawn", "--quiet", "--console=pipe", "--directory", ROOT];
    nspawn.extend(registration());
    nspawn.extend(["sh", "-c"]);
    Step::new("packages", &nspawn.join(" ")).arg(script).must()
}

/// The name of a release of Debian in the text of an `os-release`.
fn release(text: &str) -> anyhow::Result<&str> {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"'))
    };
    ensure!(value("ID=") == Some("debian"), "this is not a Debian system");
    value("VERSION_CODENAME=").context("/etc/os-release does not name the release")
}

/// A machine whose own systemd runs gives the guest a unit; others have nobody to ask.
fn registration() -> &'static [&'static str] {
    if Path::new("/run/systemd/system").exists() {
        &["--register=no"]
    } else {
        &["--register=no", "--keep-unit"]
    }
}

/// A Debian that is up. It is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    nspawn: Child,
    /// Its process 1, as it is called here.
    leader: u32,
}

impl Guest {
    /// Boots the machine `name`; what the console says goes to `log`. Several may be up at a time.
    pub(crate) fn boot(name: &str, log: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new("systemd-nspawn");
        command
            .args([
                "--quiet",
                "--console=pipe",
                "--boot",
                "--volatile=overlay",
                "--private-network",
            ])
            .args(["--link-journal=no", "--directory", ROOT])
            .arg(format!("--machine=otp-{name}"))
            // Nobody writes to the files below, so guests may share them.
            .env("SYSTEMD_NSPAWN_LOCK", "0")
            .args(registration())
            .stdin(Stdio::null())
            .stdout(File::create(log).with_context(|| format!("cannot write {}", log.display()))?)
            .stderr(Stdio::null());
        if Path::new(TUN).exists() {
            command.arg(format!("--bind={TUN}"));
        }
        let nspawn = command.spawn().context("cannot start systemd-nspawn")?;
        let mut guest = Self { nspawn, leader: 0 };
        for _ in 0..300 {
            thread::sleep(Duration::from_millis(100));
            if guest.leader == 0 {
                guest.leader = leader(guest.nspawn.id()).unwrap_or_default();
                if let Some(status) = guest.nspawn.try_wait()? {
                    bail!("systemd-nspawn ended with {status}; see {}", log.display());
                }
                continue;
            }
            match guest.output("systemctl is-system-running")?.trim() {
                "running" => return Ok(guest),
                "degraded" => bail!("not all units started: {}", guest.output("systemctl --failed")?),
                _ => {}
            }
        }
        bail!("the Debian is not up after 30 s; see {}", log.display())
    }

    /// A program of this machine that sees the guest's network.
    pub(crate) fn on_its_network(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.leader.to_string(), "--net", program])
            .stdin(Stdio::null());
        command
    }

    /// `script`, for bash, in the guest as root; it is ended after `seconds`.
    pub(crate) fn bash(&self, script: &str, seconds: u32) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", &seconds.to_string()])
            .args(["nsenter", "--target", &self.leader.to_string(), "--all", "--"])
            .args(["env", "--ignore-environment", "HOME=/root", "LANG=C.UTF-8"])
            .args(["DEBIAN_FRONTEND=noninteractive", "TERM=dumb"])
            .arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .args(["bash", "-c", script])
            .stdin(Stdio::null());
        command
    }

    /// What `script` prints, whatever becomes of it.
    pub(crate) fn output(&self, script: &str) -> anyhow::Result<String> {
        let output = self.bash(script, 30).output().context("cannot start nsenter")?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.leader != 0 {
            // Whatever runs in its namespace goes with it.
            machine::succeeds("kill", &["-KILL", &self.leader.to_string()]);
        } else {
            let _ = self.nspawn.kill();
        }
        let _ = self.nspawn.wait();
    }
}

/// The child of systemd-nspawn that is process 1 in a namespace of its own and has become systemd.
fn leader(nspawn: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{nspawn}/task/{nspawn}/children")).ok()?;
    children
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .find(|child: &u32| {
            let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
            let has = |line: &str, what: &str| {
                status
                    .lines()
                    .any(|found| found.starts_with(line) && found.ends_with(what))
            };
            has("NSpid:", "\t1") && has("Name:", "\tsystemd")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_of_this_machine() {
        let debian = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(release(debian).unwrap(), "bookworm");
        assert!(release("ID=ubuntu\nVERSION_CODENAME=noble\n").is_err());
        assert!(release("ID=debian\n").is_err());
    }
}
