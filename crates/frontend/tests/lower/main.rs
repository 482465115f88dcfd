//! What small Dockerfiles become: the graph, the configuration, the history, the warnings; and what wrong ones are told.

mod arguments;
mod bases;
mod checks;
mod configuration;
mod copies;
mod runs;
mod support;
