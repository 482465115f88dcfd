//! The command, end to end: the guides' systems built and run, and everything around them, by the program as users
//! call it. `cargo xtask test e2e` makes the base images and runs these.
//!
//! Tests share one store ([`harness::shared`]), as users do, and tell their images and containers apart by
//! [`harness::unique`] names; what needs an empty store makes its own ([`harness::own`]).
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

mod actions_cache;
mod advice;
mod agents;
mod archives;
mod attestations;
mod attributes;
mod bills;
mod build;
mod cache;
mod calls;
mod containers;
mod contexts;
mod devices;
mod emulation;
mod epoch;
mod errors;
mod faults;
mod flags;
mod foreign_cache;
mod full_disk;
mod guide_000;
mod guide_001;
mod guide_002;
mod guide_003;
mod guide_004;
mod harness;
mod hosts;
mod images;
mod imagetools;
mod imports;
mod indexes;
mod interrupts;
mod language;
mod layouts;
mod lifecycle;
mod logins;
mod many;
mod materials;
mod mounts;
mod networks;
mod object_cache;
mod options;
mod outputs;
mod peers;
mod predicates;
mod provenance;
mod real_npm;
mod registry;
mod remote_files;
mod repositories;
mod rootless;
mod shared_cache;
mod statements;
mod transfers;
mod volumes;
