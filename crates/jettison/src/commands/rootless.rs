//! Who runs the command: root, a plain user with subordinate ids, or one with a single id.

use crate::environment::Environment;
use crate::error::Outcome;

/// Enters the user namespace that folders are touched in; for root nothing is to be done. Before any thread starts.
pub(crate) fn enter(_environment: &Environment) -> Outcome<()> {
    Ok(())
}

/// Whether all files belong to the one id there is.
pub(crate) fn single_id() -> bool {
    false
}

/// What the store is opened with.
pub(crate) fn store_options(environment: &Environment) -> store::Options {
    store::Options::new(environment.store_root())
}

/// How networks of steps and containers are made.
pub(crate) fn network_options(environment: &Environment) -> network::NetworkOptions {
    network::NetworkOptions { program_folders: environment.program_folders(), ..network::NetworkOptions::default() }
}
