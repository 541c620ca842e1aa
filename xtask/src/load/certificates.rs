//! Certificates of the servers and of the load generator, made by openssl.

use std::{fs, path::Path};

use anyhow::Context;

use crate::machine;

/// Makes `ca.pem`, `server.pem` and `client.pem` with their keys in `directory`, unless they are there.
pub(super) fn make(directory: &Path) -> anyhow::Result<()> {
    if directory.join("client.pem").exists() {
        return Ok(());
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let file = |name: &str| directory.join(name).display().to_string();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
    openssl(&format!(
        "req -x509 {key} -subj /CN=load -addext basicConstraints=critical,CA:TRUE -keyout {} -out {}",
        file("ca.key"),
        file("ca.pem")
    ))?;
    for (name, usage) in [("server", "serverAuth"), ("client", "clientAuth")] {
        openssl(&format!(
            "req -x509 {key} -subj /CN={name} -CA {} -CAkey {} -addext subjectAltName=DNS:localhost \
             -addext basicConstraints=critical,CA:FALSE -addext extendedKeyUsage={usage} -keyout {} -out {}",
            file("ca.pem"),
            file("ca.key"),
            file(&format!("{name}.key")),
            file(&format!("{name}.pem")),
        ))?;
    }
    Ok(())
}

/// What `otp-radiusd` has to be told of them.
pub(super) fn section(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "[tls]\ncertificate = \"{directory}/server.pem\"\nkey = \"{directory}/server.key\"\nclient_ca = \"{directory}/ca.pem\"\n"
    )
}

/// Runs openssl with arguments that have no blanks.
fn openssl(arguments: &str) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    machine::output("openssl", &arguments).map(drop)
}
