//! Containers: create, run, exec, logs, stop, cp; the per-container monitor; ports and networks.
//!
//! **Knows**: what a container is, from an image's configuration and the user's wishes to a process with its mounts,
//! streams and ports; what became of it. **Must never know**: Dockerfiles, registries, how a layer's files come to be.
//!
//! There is no daemon. Every running container has a process of its own beside it, the [`monitor`]; commands talk to it
//! over a socket. [`Containers`] is the door to all of it.
//!
//! # What is where
//! | file of `containers/<id>/` | what | written by |
//! |---|---|---|
//! | `monitor.lock` | held by the monitor: the container runs exactly while it is | starter, then monitor |
//! | `state.json` | when it ran, exit code, address, ports, health ([`State`]) | monitor |
//! | `log`, `log.1` | what it wrote, a record a line ([`logs`]) | monitor |
//! | `monitor.sock` | where the monitor listens (`protocol`) | monitor |
//! | `hosts`, `hostname`, `resolv.conf` | shown in its `/etc` | monitor, at each start |
//!
//! Its configuration ([`Config`]) and its name are in the store's index, its files in a layer of the store, its volumes
//! in `volumes/`.
#![forbid(unsafe_code)]

mod archive;
mod client;
mod config;
mod containers;
mod copy;
mod create;
mod error;
mod inspect;
pub mod logs;
pub mod monitor;
mod names;
mod protocol;
mod start;
mod state;
pub mod time;
mod volumes;

pub use client::{Outcome, Streams};
pub use config::{Config, Limits, Mount, MountSource, NetworkMode, Port, RunOptions};
pub use containers::{Containers, Roots, Settings, Summary};
pub use copy::Place;
pub use create::{Created, NewContainer, NewMount};
pub use dockerfile::signal;
pub use error::{BoxError, Error};
pub use protocol::Process;
pub use snapshot::Lowers;
pub use start::{Attached, Exec, Monitor, Started};
pub use state::{Check, Health, State, Status};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
