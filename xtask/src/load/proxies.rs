//! Proxies that let another server decide: radsecproxy, FreeRADIUS and ours, each from UDP to UDP.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use anyhow::Context;

use super::{freeradius, state::SECRET};

/// The realm of all users.
pub(super) const REALM: &str = "load.example";

pub(super) fn radsecproxy(directory: &Path, port: u16, home: u16) -> anyhow::Result<Command> {
    let file = directory.join("radsecproxy.conf");
    let text = format!(
        "ListenUDP 127.0.0.1:{port}\nLogLevel 5\n\
         client 127.0.0.1 {{\n type udp\n secret \"{SECRET}\"\n}}\n\
         server 127.0.0.1 {{\n type udp\n port {home}\n secret \"{SECRET}\"\n}}\n\
         realm {REALM} {{\n server 127.0.0.1\n}}\n"
    );
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    let mut command = Command::new("radsecproxy");
    command.args(["-f", "-c"]).arg(file);
    Ok(command)
}

pub(super) fn freeradius(directory: &Path, port: u16, home: u16) -> anyhow::Result<Command> {
    let raddb = directory.join("raddb-proxy");
    fs::create_dir_all(&raddb).with_context(|| raddb.display().to_string())?;
    let text = include_str!("proxy.conf")
        .replace("@RADDB@", &raddb.display().to_string())
        .replace("@PORT@", &port.to_string())
        .replace("@HOME@", &home.to_string())
        .replace("@REALM@", REALM)
        .replace("@SECRET@", SECRET);
    let file = raddb.join("radiusd.conf");
    fs::write(&file, text).with_context(|| file.display().to_string())?;
    Ok(freeradius::command(&raddb))
}

/// What `otp-radiusd` has to be told.
pub(super) fn upstream(directory: &Path, home: u16) -> anyhow::Result<String> {
    let secret = directory.join("upstream.secret");
    fs::write(&secret, format!("{SECRET}\n")).with_context(|| secret.display().to_string())?;
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
    Ok(format!(
        "[upstream.home]\nservers = [\"udp://127.0.0.1:{home}\"]\nsecret_file = \"{}\"\n\n\
         [[realm]]\nname = \"{REALM}\"\nupstream = \"home\"\n",
        secret.display()
    ))
}
