//! Measurements: criterion's benchmarks of the hot paths stand in `benches/`, the load generator for a running RADIUS
//! server, and a server to compare others with, here.
#![forbid(unsafe_code)]

pub mod load;
pub mod responder;
