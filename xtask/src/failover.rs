//! `cargo xtask failover`: two daemons on one PostgreSQL cluster whose primary fails.

use std::{io::stdout, process::ExitCode};

use anyhow::{Context, bail, ensure};

use crate::{
    campaign, machine,
    packages::{Package, REQUIRED},
    step::Step,
};

/// What the machines of the cluster run, and what joins and parts them.
const CLUSTER: [Package; 5] = [
    Package {
        name: "patroni",
        provides: "patroni",
    },
    Package {
        name: "etcd-server",
        provides: "etcd",
    },
    Package {
        name: "postgresql",
        provides: "PostgreSQL's server and psql",
    },
    Package {
        name: "iproute2",
        provides: "ip",
    },
    Package {
        name: "nftables",
        provides: "nft",
    },
];

/// The campaign, and the control that must see what the campaign must not. Each in namespaces of its own, which end with all
/// that was started in them.
const TESTS: [&str; 2] = [
    "no_failure_of_the_primary_lets_a_code_in_twice_or_loses_an_acceptance",
    "a_cluster_that_loses_commits_is_found_out",
];

/// How many times the primary fails.
const FAULTS: u32 = 12;

/// Runs campaign and control; `[COUNT]`.
pub(crate) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let faults: u32 = match arguments {
        [] => FAULTS,
        [count] => count
            .parse()
            .with_context(|| format!("{count}: not a number; see `cargo xtask help`"))?,
        _ => bail!("cargo xtask failover [COUNT]"),
    };
    ensure!(
        machine::is_root(),
        "the machines of the cluster are namespaces with a network between them: run this as root"
    );
    machine::provide_packages(&REQUIRED)?;
    machine::provide_packages(&CLUSTER)?;
    let build = Step::new("tests", "cargo test --package otp-radiusd --test e2e --no-run");
    if !build.run(&mut stdout())?.status.success() {
        return Ok(ExitCode::FAILURE);
    }
    for test in TESTS {
        let line = format!(
            "unshare --net --mount --pid --fork --kill-child --mount-proc \
             cargo test --package otp-radiusd --test e2e -- --nocapture --ignored --exact failover::run::{test}"
        );
        let step = Step::new("failover", &line).env("FAILOVER_FAULTS", faults.to_string());
        let recorded = campaign::record(step)?;
        if !recorded.succeeded || recorded.lines == 0 {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_are_there() {
        let file = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../bins/otp-radiusd/tests/e2e/failover/run.rs"
        );
        let source = std::fs::read_to_string(file).unwrap();
        for test in TESTS {
            assert!(source.contains(&format!("fn {test}()")), "{test}");
        }
        assert!(source.contains("\"FAILOVER_FAULTS\""));
    }

    #[test]
    fn mistakes_are_refused_before_anything_is_done() {
        for wrong in [&["x"][..], &["1", "2"], &["-1"]] {
            assert!(run(wrong).is_err(), "{wrong:?}");
        }
    }
}
