//! The built programs against real peers: MIT krb5, FreeRADIUS's client, oathtool, zbar. Nothing is skipped: a missing
//! program is an error that names its Debian package.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

mod audit;
mod campaign;
mod challenge;
mod clients;
mod clock;
#[allow(dead_code, reason = "the tests of the store need more of it")]
mod cluster;
mod crash;
mod demo;
mod disk;
mod dist;
mod durability;
mod failover;
mod failures;
mod freeradius;
mod full;
mod idle;
mod kdc;
mod kdc_check;
mod kdc_try;
mod kinit;
mod malformed;
mod metrics;
mod mutations;
mod order;
mod programs;
mod proxying;
mod qr;
mod race;
mod radclient;
mod radsec;
mod realm;
mod reload;
mod reply;
mod responder;
mod rotation;
mod rules;
mod secrets;
mod shared;
mod small_disk;
mod soak;
mod start;
mod stream;
mod supervised;
mod system;
mod transports;
mod wire;
