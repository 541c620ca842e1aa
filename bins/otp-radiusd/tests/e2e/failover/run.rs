//! The campaign and its control.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    cluster::{Cluster, NODES},
    load::{CLIENTS, Load, Twice, USERS},
    replica::{Replica, make_store},
};
use crate::{
    campaign::{self, Ledger},
    system::System,
};

/// How many faults.
const FAULTS: &str = "FAILOVER_FAULTS";
/// Load before and between faults.
const CALM: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The primary's machine loses its power.
    PowerOff,
    /// Patroni is stopped on the primary, which goes on as a primary while another one is made.
    Forgotten,
    /// The primary's machine reaches the daemons, and none of the other machines.
    CutOff,
}

/// What the standbys have of a commit that is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Replication {
    /// One of them has it, always.
    Synchronous,
    /// Nothing, if need be.
    Asynchronous,
}

#[test]
#[ignore = "takes minutes, root and namespaces of its own: cargo xtask failover"]
fn no_failure_of_the_primary_lets_a_code_in_twice_or_loses_an_acceptance() {
    let faults = campaign::scale(FAULTS, 12);
    let started = Instant::now();
    let mut world = World::start(Replication::Synchronous);
    let (mut offered, mut two_primaries) = (0, 0_u64);
    let mut gaps = Vec::new();
    for number in 0..faults {
        let fault = [Fault::PowerOff, Fault::Forgotten, Fault::CutOff][usize::try_from(number % 3).unwrap()];
        thread::sleep(CALM);
        let began = Instant::now();
        let old = world.fail(fault);
        // In every other round nobody logs in until what was accepted has been offered to the successor: who does moves his
        // counter on, and with it past what may have been lost.
        let people_go_on = number / 3 % 2 == 0;
        let both = if people_go_on {
            world.wait_for_successor(old)
        } else {
            let load = Arc::clone(&world.load);
            load.at_rest(|| {
                let both = world.wait_for_successor(old);
                let (codes, again) = load.offer_again();
                none_again(fault, codes, &again);
                offered += codes;
                both
            })
        };
        two_primaries += u64::from(both);
        // They work side by side for a while, if there are two.
        thread::sleep(CALM);
        world.mend(fault, old);
        thread::sleep(CALM);
        if people_go_on {
            let gap = world.load.longest_gap(began);
            println!("{fault:?}: {gap:?} without service; two primaries at once: {both}");
            gaps.push(gap);
        }
        let (codes, again) = world.offer_again();
        none_again(fault, codes, &again);
        offered += codes;
        world.check();
    }
    let seen = world.stop();
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    gaps.sort_unstable();
    let seconds = |gap: Option<&Duration>| gap.map_or(0, Duration::as_secs);
    assert!(count(&seen.seen.confirmed) > 0 && offered > 0 && two_primaries > 0);
    Ledger::new("failover of PostgreSQL", 0)
        .count("failures of the primary", faults)
        .count("of these with two primaries at once", two_primaries)
        .count("logins through both daemons at once", count(&seen.seen.logins))
        .count("codes accepted once", offered)
        .count("accepted twice", 0)
        .count(
            "packets accepted again by the other daemon",
            count(&seen.seen.confirmed),
        )
        .count("of these refused", 0)
        .count(
            "refused while there was no database",
            count(&seen.seen.unconfirmed),
        )
        .count("logins in vain", count(&seen.seen.in_vain))
        .count(
            "median seconds without service",
            seconds(gaps.get(gaps.len() / 2)),
        )
        .count("longest", seconds(gaps.last()))
        .finish(started);
}

/// The control: a cluster that acknowledges what it may lose does lose it, and the campaign sees that.
#[test]
#[ignore = "takes minutes, root and namespaces of its own: cargo xtask failover"]
fn a_cluster_that_loses_commits_is_found_out() {
    let started = Instant::now();
    let mut world = World::start(Replication::Asynchronous);
    thread::sleep(CALM);
    world.offer_again();
    let old = world.cluster.primaries()[0];
    let others: Vec<_> = NODES.into_iter().filter(|node| *node != old).collect();
    // Nobody follows the primary any more, and nobody minds.
    world.cluster.node(old).cut_off(&others, Some(5432));
    thread::sleep(Duration::from_secs(2));
    let load = Arc::clone(&world.load);
    world.cluster.node(old).power_off();
    let (codes, again) = load.at_rest(|| {
        world.cluster.wait_for_successor(old);
        load.offer_again()
    });
    world.stop();
    let again = u64::try_from(again.len()).unwrap();
    println!("{again} of {codes} codes were accepted twice");
    assert!(
        again > 0,
        "an asynchronous cluster has lost nothing: the campaign proves nothing"
    );
    Ledger::new("failover of PostgreSQL (control: asynchronous)", 0)
        .count("failures of the primary", 1)
        .count("codes", codes)
        .count("accepted twice as they had to be", again)
        .finish(started);
}

fn none_again(fault: Fault, codes: u64, again: &[Twice]) {
    let some: Vec<_> = again.iter().take(5).map(ToString::to_string).collect();
    assert!(
        again.is_empty(),
        "{fault:?}: {} of {codes} codes were accepted twice:\n{}",
        again.len(),
        some.join("\n")
    );
}

struct World {
    cluster: Cluster,
    load: Arc<Load>,
    clients: Vec<thread::JoinHandle<()>>,
    _systems: [System; 2],
}

impl World {
    fn start(replication: Replication) -> Self {
        let cluster = Cluster::start();
        let (systems, secret) = make_store(&cluster, CLIENTS * USERS);
        let accepts_loss = replication == Replication::Asynchronous;
        if accepts_loss {
            cluster.make_asynchronous();
        }
        let replicas = systems
            .each_ref()
            .map(|system| Replica::start(system, accepts_loss));
        let load = Arc::new(Load::new(replicas, secret));
        let clients = (0..CLIENTS).map(|number| {
            let load = Arc::clone(&load);
            thread::spawn(move || load.run(number))
        });
        Self {
            clients: clients.collect(),
            cluster,
            load,
            _systems: systems,
        }
    }

    /// The primary fails: which it was.
    fn fail(&mut self, fault: Fault) -> u8 {
        let old = self.cluster.wait_until_whole();
        let others: Vec<_> = NODES.into_iter().filter(|node| *node != old).collect();
        let node = self.cluster.node(old);
        match fault {
            Fault::PowerOff => node.power_off(),
            Fault::Forgotten => node.signal_patroni("STOP"),
            Fault::CutOff => node.cut_off(&others, None),
        }
        old
    }

    /// Waits until another one takes over; whether two primaries were seen at once.
    fn wait_for_successor(&self, old: u8) -> bool {
        self.cluster.wait_for_successor(old);
        self.cluster.primaries().len() > 1
    }

    /// Undoes the fault, and waits until the cluster is whole again.
    fn mend(&mut self, fault: Fault, old: u8) {
        let node = self.cluster.node(old);
        match fault {
            Fault::PowerOff => node.boot(),
            Fault::Forgotten => node.signal_patroni("CONT"),
            Fault::CutOff => node.reconnect(),
        }
        self.cluster.wait_until_whole();
    }

    fn offer_again(&self) -> (u64, Vec<Twice>) {
        self.load.at_rest(|| self.load.offer_again())
    }

    /// What the clients must not have seen.
    fn check(&self) {
        let twice = self.load.seen.twice.lock().unwrap();
        assert!(twice.is_empty(), "accepted by both daemons: {twice:?}");
        let lost = self.load.seen.lost.lock().unwrap();
        assert!(
            lost.is_empty(),
            "{} accepted packets were refused:\n{}",
            lost.len(),
            lost.join("\n")
        );
    }

    fn stop(self) -> Arc<Load> {
        self.load.stop();
        for client in self.clients {
            client.join().unwrap();
        }
        self.load
    }
}
