//! Clocks that are set.

use std::sync::{Arc, atomic::Ordering};

use otp_service::{Clock, Request, Service};
use otp_store::Store;
use otp_validation::Reason;

use crate::world::{START, World, code};

#[tokio::test]
async fn what_was_spent_before_the_start_has_no_twins() {
    let world = World::new(5);
    world.clock.pass(60);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Accepted);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Twin, "control");
    let store = Store::open(world.service.store().paths()).unwrap();
    let restarted = Service::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>);
    for seconds in 0..6 {
        let outcome = restarted
            .validate(world.request("alice", &code(0)), &world.client)
            .await;
        assert_eq!(
            outcome.reason,
            Reason::ReplayedCode,
            "{seconds} s after the start"
        );
        world.clock.pass(1);
    }
}

/// A clock that was set back must not make an old acceptance young again: neither for the same packet nor for a twin.
#[tokio::test]
async fn a_clock_that_was_set_back_brings_no_acceptance_back() {
    let world = World::new(5);
    let at = |seconds: u64| world.clock.0.store(START.0 + seconds, Ordering::Relaxed);
    at(60);
    let credential = code(0);
    let packet = world.request("alice", &credential).packet;
    let same_packet = || Request {
        packet,
        ..world.request("alice", &credential)
    };
    let ask = async |request| world.service.validate(request, &world.client).await.reason;
    assert_eq!(ask(same_packet()).await, Reason::Accepted);
    assert_eq!(ask(same_packet()).await, Reason::SamePacket, "control");

    at(3600);
    assert_eq!(ask(same_packet()).await, Reason::ReplayedCode, "an hour later");
    at(61);
    assert_eq!(
        ask(same_packet()).await,
        Reason::ReplayedCode,
        "set back: the packet"
    );
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::ReplayedCode,
        "set back: a twin"
    );

    // The other way round: the clock ran ahead when the code was spent, was put right, and gets there at last.
    at(7200);
    let credential = code(1);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::Accepted);
    at(100);
    assert_eq!(world.ask("nobody", "").await.reason, Reason::UnknownUser);
    at(7201);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::ReplayedCode);
    assert_eq!(
        world.ask("alice", &code(2)).await.reason,
        Reason::Accepted,
        "control"
    );
}

/// Every second that comes again is noticed, also the last one.
#[tokio::test]
async fn a_clock_that_goes_back_by_one_second_brings_no_acceptance_back() {
    let world = World::new(5);
    world.clock.pass(60);
    let credential = code(0);
    assert_eq!(world.ask("alice", &credential).await.reason, Reason::Accepted);
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::Twin,
        "control"
    );
    // Twenty seconds later, the clock shows the second after the login.
    world.clock.pass(20);
    world.clock.0.fetch_sub(19, Ordering::Relaxed);
    assert_eq!(
        world.ask("alice", &credential).await.reason,
        Reason::ReplayedCode,
        "although the clock never showed less than at the login"
    );
}

/// Twins need the grace again soon after, not only once the clock is past the start of the service.
#[tokio::test]
async fn a_clock_that_was_put_right_after_the_start_leaves_the_grace() {
    let world = World::new(5);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::Accepted);
    world.clock.0.fetch_sub(86_400, Ordering::Relaxed);
    assert_eq!(world.ask("alice", &code(0)).await.reason, Reason::ReplayedCode);
    world.clock.pass(10);
    assert_eq!(world.ask("alice", &code(1)).await.reason, Reason::Accepted);
    assert_eq!(world.ask("alice", &code(1)).await.reason, Reason::Twin);
}

#[tokio::test]
async fn a_clock_that_is_behind_after_a_restart_brings_no_acceptance_back() {
    let world = World::new(5);
    world.clock.0.fetch_add(7200, Ordering::Relaxed);
    let credential = code(0);
    let packet = world.request("alice", &credential).packet;
    let same_packet = || Request {
        packet,
        ..world.request("alice", &credential)
    };
    let outcome = world.service.validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::Accepted);

    let store = Store::open(world.service.store().paths()).unwrap();
    let restarted = |store| Service::new(store, Arc::clone(&world.clock) as Arc<dyn Clock>);
    let service = restarted(store.clone());
    let outcome = service.validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::SamePacket, "control");

    world.clock.0.fetch_sub(10, Ordering::Relaxed);
    let outcome = restarted(store).validate(same_packet(), &world.client).await;
    assert_eq!(outcome.reason, Reason::ReplayedCode);
}
