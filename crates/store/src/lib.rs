//! The store: blobs, snapshots, images, cache mounts, the index that holds everything small, leases, and garbage
//! collection.
//!
//! **Knows**: what lies where below one root, what refers to what, what is complete, what may go.
//! **Must never know**: Dockerfiles, how a step is run, networks, or the namespaces of processes.
//!
//! # On disk
//!
//! | path | what |
//! |---|---|
//! | `store.json` | format, owner, id mapping, xattr flavour; another one's store is refused with a hint |
//! | `index.sqlite`, `-wal`, `-shm` | everything small, in SQLite's WAL mode; the tables are in `schema.rs` |
//! | `blobs/sha256/<hex>` | blobs above 64 KiB; smaller documents lie in the index |
//! | `ingest/<hex>-<boot>` | downloads that lack their end; other blobs have no name while they are written |
//! | `layers/<id>/` | `listing`, `fs/`, `work/`, `pack`, `image-*` of a layer; without a row, a draft locked by its maker |
//! | `cache/<hash>[-n]/` | cache mounts |
//! | `volumes/<name>/`, `containers/<id>/` | volumes; files of containers, known to the `container` crate |
//! | `contexts/<hash>` | stat indexes of contexts and notes about URLs, known to whoever made them |
//! | `locks/` | `key-*` a step being run, `layer-*` one being given a form, `cache-*` mounts, `collect`, `create` |
//! | `leases/<start>-<random>` | live processes, each locked by its own |
//! | `trash/`, `tmp/` | what is being removed; small files before their rename |
//!
//! # What holds
//!
//! * Nothing is seen before it is whole: files first, then their rows, all rows of a step in one transaction.
//! * Several processes share a store. Transactions that write begin with the write lock, are short, and touch no files
//!   but for the one rename of a blob, volume or cache mount whose name can come back.
//! * What a process found or made stays until the process ends: see `lease.rs`.
//! * A kill loses nothing that was committed; a power cut loses what was committed since the last
//!   [`Store::finish`] of any process, and nothing half-written is taken for whole: see `durable.rs`.
//! * What goes is renamed to `trash/` before it is removed; removal follows no symbolic link: see `tree.rs`.
//!
//! # Figures
//!
//! `cargo run --release -p store --example figures`, on 2 busy cores with ext4, 5,000 records in chains of 60; medians:
//!
//! | work | ms |
//! |---|---|
//! | open | 0.22 |
//! | open, take the lease and find one record | 0.34 |
//! | open and find a chain of 60 by its second keys, through links | 1.2 |
//! | the same when all 60 must be touched | 3.4 |
//! | draft a layer: folders and listing | 0.19 |
//! | commit a layer, a record and a link | 0.15 |
//! | sweep with nothing to do | 17 |
//!
//! A log that was left long costs the next process to open the store alone about 1.5 µs a page, so whoever leaves
//! shortens it once it has more than 64 pages.
#![forbid(unsafe_code)]

mod blobs;
mod containers;
mod contexts;
mod drafts;
mod durable;
mod early;
mod error;
mod holdings;
mod images;
mod indexes;
mod ingest;
mod inner;
mod layers;
mod lease;
mod lock;
mod mounts;
pub mod nameless;
mod open;
mod prune;
mod records;
mod reserve;
mod schema;
mod tree;
mod usage;
mod volumes;

pub use blobs::BlobWriter;
pub use containers::{Container, NewContainer};
pub use drafts::{LayerDraft, LayerFill};
pub use error::Error;
pub use images::{Base, Image, ImageName, NewImage, Removed};
pub use indexes::{NamedIndex, NewIndex};
pub use inner::Store;
pub use layers::{DiffId, LayerInfo, Remote};
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
