//! What small Dockerfiles become: the graph, the configuration, the history, the warnings; and what wrong ones are told.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod arguments;
mod bases;
mod checks;
mod configuration;
mod copies;
mod runs;
mod scans;
mod support;
