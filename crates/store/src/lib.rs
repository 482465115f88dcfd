//! The store: blobs, snapshots, images, cache mounts, the index that holds everything small, leases, and garbage
//! collection.
//!
//! **Knows**: what lies where below one root, what refers to what, what is complete, what may go.
//! **Must never know**: Dockerfiles, how a step is run, networks, or the namespaces of processes.
#![forbid(unsafe_code)]

mod blobs;
mod containers;
mod contexts;
mod durable;
mod error;
mod holdings;
mod images;
mod inner;
mod layers;
mod lease;
mod lock;
mod mounts;
mod open;
mod prune;
mod records;
mod schema;
mod tree;
mod usage;
mod volumes;

pub use blobs::BlobWriter;
pub use containers::{Container, NewContainer};
pub use error::Error;
pub use images::{Base, Image, ImageName, NewImage, Removed};
pub use inner::Store;
pub use layers::{DiffId, LayerDraft, LayerFill, LayerInfo, Remote};
pub use lease::Lease;
pub use lock::Wait;
pub use mounts::{CacheMount, CacheMountInfo, Sharing};
pub use open::{FORMAT, Options, Xattrs};
pub use prune::{Kinds, Prune, Pruned};
pub use records::{Commit, Hit, KeyLock, NewRecord, Record};
pub use usage::{Usage, UsageLine};
pub use volumes::Volume;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
