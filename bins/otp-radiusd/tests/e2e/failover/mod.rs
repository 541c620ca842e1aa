//! Two daemons on one PostgreSQL cluster whose primary dies, is cut off, or is forgotten by its manager.
//!
//! `cargo xtask failover` runs this in namespaces of its own: it needs root, Debian's `patroni`, `etcd-server` and
//! `postgresql`, and minutes. `cargo test` leaves it out.

mod cluster;
mod load;
mod node;
mod replica;
mod run;
