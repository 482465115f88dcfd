//! Who runs the command: root, a plain user with subordinate ids, or one with a single id.
//!
//! A plain user's files belong to ids of a user namespace, so commands that touch folders enter it first, before any
//! thread starts. What only reads the index does not.

use crate::environment::Environment;
use crate::error::Outcome;
use crate::screen;
use sandbox::rootless::{Mode, Range};
use std::net::IpAddr;
use std::sync::OnceLock;

/// What was found out about this process, once.
static MODE: OnceLock<Mode> = OnceLock::new();

fn mode() -> &'static Mode {
    MODE.get_or_init(sandbox::rootless::detect)
}

/// Enters the user namespace that folders are touched in; for root nothing is to be done. Before any thread starts.
pub(crate) fn enter() -> Outcome<()> {
    Ok(sandbox::rootless::enter(mode())?)
}

/// Says what a single id cannot do; for the commands that run something.
pub(crate) fn say_limits() {
    if let Mode::SingleId { reason } = mode() {
        screen::say(&format!(
            "note: {reason}; everything belongs to one id: steps and containers run as root inside only, and cannot change owners"
        ));
    }
}

/// Whether all files belong to the one id there is.
pub(crate) fn single_id() -> bool {
    matches!(mode(), Mode::SingleId { .. })
}

/// Whether this is not the real root user.
pub(crate) fn is_rootless() -> bool {
    *mode() != Mode::Root
}

/// What the store is opened with.
pub(crate) fn store_options(environment: &Environment) -> store::Options {
    let mapping = match mode() {
        Mode::Root => "initial".to_owned(),
        Mode::SingleId { .. } => "single".to_owned(),
        Mode::Mapped { uids, gids, .. } => {
            let list = |ranges: &[Range]| {
                ranges
                    .iter()
                    .map(|range| format!("{}+{}", range.first, range.count))
                    .collect::<Vec<_>>()
                    .join(",")
            };
            format!("uids {} gids {}", list(uids), list(gids))
        }
    };
    store::Options {
        owner: environment.uid(),
        mapping,
        xattrs: if is_rootless() { store::Xattrs::User } else { store::Xattrs::Trusted },
        ..store::Options::new(environment.store_root())
    }
}

/// How networks of steps and containers are made. The bridge must not shadow the machine's name servers.
pub(crate) fn network_options(environment: &Environment) -> network::NetworkOptions {
    let resolvers = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    let avoid = network::dns::name_servers(&resolvers)
        .into_iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        })
        .collect();
    let defaults = network::NetworkOptions::default();
    let mut program_folders = environment.program_folders();
    program_folders.extend(defaults.program_folders.clone());
    network::NetworkOptions { rootless: is_rootless(), avoid, program_folders, ..defaults }
}
