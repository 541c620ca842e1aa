//! What every engine has to do. These modules stand in the test program once for each engine.

mod admin;
mod audit;
mod backup;
mod clients;
mod commits;
mod conflicts;
mod in_memory;
mod lockouts;
mod model;
mod processes;
mod races;
mod reply;
mod rotation;
mod rules;

/// The engine that this copy is about.
const ENGINE: crate::support::Engine = crate::support::Engine::of(module_path!());
