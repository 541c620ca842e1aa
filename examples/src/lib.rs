//! Programs only; see `examples/`.
