//! What the daemon sent, judged by tshark.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::guest::Guest;
use crate::machine;

/// Everything on the guest's loopback, while it lives.
#[derive(Debug)]
pub(crate) struct Capture {
    dumpcap: Child,
    file: PathBuf,
}

impl Capture {
    /// Begins to write packets to `file`.
    pub(crate) fn start(guest: &Guest, file: &Path) -> anyhow::Result<Self> {
        let mut command = guest.on_its_network("dumpcap");
        let messages = file.with_extension("dumpcap");
        command
            .args(["-q", "-i", "lo", "-f", "udp", "-w"])
            .arg(file)
            .stdout(Stdio::null())
            .stderr(File::create(&messages)?);
        let capture = Self {
            dumpcap: command.spawn().context("cannot start dumpcap")?,
            file: file.to_owned(),
        };
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(50));
            if std::fs::read_to_string(&messages)?.contains("File:") {
                return Ok(capture);
            }
        }
        bail!("dumpcap does not capture; see {}", messages.display())
    }

    /// Ends it, and has every packet of RADIUS that left one of the ports `from` judged, with the secrets of the clients
    /// on loopback. Returns how many there were.
    pub(crate) fn judge(mut self, from: &[u16], secrets: &[String]) -> anyhow::Result<usize> {
        // A moment for packets that are on their way to the file.
        thread::sleep(Duration::from_millis(300));
        machine::succeeds("kill", &["-INT", &self.dumpcap.id().to_string()]);
        self.dumpcap.wait()?;
        let mut judged = 0;
        for port in from {
            // One client's secret at a time is what tshark takes: a reply must be authentic with one of them.
            let readings = secrets
                .iter()
                .map(|secret| self.read(*port, secret))
                .collect::<anyhow::Result<Vec<_>>>()?;
            let Some(first) = readings.first() else {
                bail!("nobody on loopback has a shared secret");
            };
            for (number, reply) in first.iter().enumerate() {
                reply.check_order()?;
                if reply.is_about_status() {
                    continue;
                }
                let is_authentic = readings
                    .iter()
                    .any(|reading| reading.get(number).is_some_and(|reply| reply.is_authentic));
                ensure!(
                    is_authentic,
                    "frame {} of {}: the Response Authenticator is wrong",
                    reply.frame,
                    self.file.display()
                );
                judged += 1;
            }
        }
        ensure!(
            judged > 0 || from.is_empty(),
            "there is not one reply in {}",
            self.file.display()
        );
        Ok(judged)
    }

    fn read(&self, port: u16, secret: &str) -> anyhow::Result<Vec<Reply>> {
        let output = Command::new("tshark")
            .args(["-o", "radius.validate_authenticator:TRUE", "-o"])
            .arg(format!("radius.shared_secret:{secret}"))
            .arg("-d")
            .arg(format!("udp.port=={port},radius"))
            .arg("-r")
            .arg(&self.file)
            .arg("-Y")
            .arg(format!("radius && udp.srcport=={port}"))
            .args(["-T", "fields", "-e", "frame.number"])
            .args(["-e", "radius.authenticator.valid", "-e", "udp.payload"])
            .stderr(Stdio::null())
            .output()
            .context("cannot start tshark")?;
        ensure!(output.status.success(), "tshark failed: {}", output.status);
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(|line| Reply::parse(line).with_context(|| format!("tshark says {line:?}")))
            .collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.dumpcap.kill();
        let _ = self.dumpcap.wait();
    }
}

/// A reply as tshark sees it.
#[derive(Debug, PartialEq, Eq)]
struct Reply {
    frame: u32,
    /// tshark has recomputed the Response Authenticator.
    is_judged: bool,
    is_authentic: bool,
    payload: String,
}

impl Reply {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let frame = fields.next()?.parse().ok()?;
        let valid = fields.next()?;
        Some(Self {
            frame,
            is_judged: !valid.is_empty(),
            is_authentic: matches!(valid, "1" | "True"),
            payload: fields.next()?.to_owned(),
        })
    }

    /// Whether this answers Status-Server, about which tshark has no opinion: an Access-Accept that holds nothing else.
    fn is_about_status(&self) -> bool {
        !self.is_judged && self.payload.starts_with("02") && self.payload.get(4..8) == Some("0026")
    }

    /// Message-Authenticator, of Type 80 and Length 18, must be the first attribute: behind twenty octets of header.
    fn check_order(&self) -> anyhow::Result<()> {
        ensure!(
            self.payload.get(40..44) == Some("5012"),
            "frame {}: Message-Authenticator is not the first attribute: {}",
            self.frame,
            self.payload
        );
        Ok(())
    }
}

/// The UDP ports that are the daemon's, in what `ss --udp --listening --numeric --processes` prints.
pub(crate) fn ports(listed: &str) -> Vec<u16> {
    let mut ports: Vec<u16> = listed
        .lines()
        .filter(|line| line.contains("\"otp-radiusd\""))
        .filter_map(|line| line.split_whitespace().nth(3)?.rsplit_once(':')?.1.parse().ok())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    ports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_attributes() {
        let header = "02010026000102030405060708090a0b0c0d0e0f";
        let reply = |attributes: &str| Reply {
            frame: 1,
            is_judged: true,
            is_authentic: true,
            payload: format!("{header}{attributes}"),
        };
        assert!(
            reply("50120000000000000000000000000000000021026f")
                .check_order()
                .is_ok()
        );
        for wrong in ["", "5011", "12046f6b5012", "210350125012"] {
            assert!(reply(wrong).check_order().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_tshark_and_ss_print() {
        assert_eq!(
            Reply::parse("7\t1\t0201"),
            Some(Reply {
                frame: 7,
                is_judged: true,
                is_authentic: true,
                payload: "0201".to_owned()
            })
        );
        assert!(!Reply::parse("7\t\t0201").unwrap().is_authentic);
        assert!(Reply::parse("7\t\t02010026").unwrap().is_about_status());
        for judged in ["7\t0\t02010026", "7\t\t02010027", "7\t\t03010026"] {
            assert!(!Reply::parse(judged).unwrap().is_about_status(), "{judged}");
        }
        assert!(!Reply::parse("7\t0\t0201").unwrap().is_authentic);
        assert_eq!(Reply::parse("7"), None);
        let listed = "\
State  Recv-Q Send-Q Local Address:Port Peer Address:PortProcess
UNCONN 0      0            *:1812            *:*    users:((\"otp-radiusd\",pid=98,fd=12))
UNCONN 0      0    127.0.0.1:18120     0.0.0.0:*    users:((\"otp-radiusd\",pid=98,fd=13))
UNCONN 0      0            *:1812            *:*    users:((\"otp-radiusd\",pid=98,fd=14))
UNCONN 0      0            *:1813            *:*    users:((\"freeradius\",pid=97,fd=12))
";
        assert_eq!(ports(listed), [1812, 18120]);
    }
}
