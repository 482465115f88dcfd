//! Carries operations out on this machine: runs, copies, base images, and the build cache on the store.
//!
//! **Knows**: how an operation's result comes to be as layers in the store, with the sandbox, the network, contexts
//! and whoever fetches blobs.
//! **Must never know**: Dockerfiles (but for their patterns), when a step runs or why, the command line.
//!
//! It stands behind the solver's traits; [`Worker`] is the one type to wire.
#![forbid(unsafe_code)]

mod agents;
mod authorities;
mod cache;
mod content;
mod devices;
mod error;
mod files;
mod git;
mod http;
mod image;
mod mode;
mod mounts;
mod owner;
mod place;
mod placed;
mod run;
mod select;
mod spool;
mod worker;

pub use cache::{Cache, SharedCache, SharedResult};
pub use devices::DeviceOptions;
pub use error::{BoxError, Error};
pub use run::HOST_GATEWAY;
pub use snapshot::{Fetcher, Forms};
pub use worker::{Late, LocalContext, Pins, Worker, WorkerOptions};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
