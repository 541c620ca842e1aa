//! `radius-load`: puts a load on a RADIUS server and tells what it took.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write as _};

use benches::load::{self, Options, Users};
use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut out = io::stdout();
    if options.tokens {
        load::write_tokens(&Users::new(options.users), &mut BufWriter::new(out))?;
        return Ok(());
    }
    if options.until_answered {
        return load::until_answered(&options);
    }
    let report = load::run(&options)?;
    if options.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}
