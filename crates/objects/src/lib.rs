//! Stores of objects on the network, as shared caches use them: blobs by their digests, and one document by a name.
//!
//! **Knows**: how services keep objects, sign requests and refuse them; which key BuildKit gives to a blob and to a
//! cache's document in each.
//! **Must never know**: what a document says, layers, records, the command line, the environment.
//!
//! ```text
//! Objects            the trait: documents, blobs
//!   s3               Amazon's protocol: one bucket, requests signed with a key (SigV4)
//!   actions          GitHub's cache of Actions: a token for branches, entries that never change
//!   azure            Azure's blob storage: one container, requests signed with the account's key
//!     service        one request with its tries; bodies into sinks and out of files
//! ```
#![forbid(unsafe_code)]

pub mod actions;
pub mod azure;
mod blocks;
mod error;
mod escape;
mod parts;
pub mod s3;
mod service;
mod xml;

pub use error::Error;
pub use service::Options;

use oci::Digest;
use std::fs::File;
use std::io::{self, Write};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The largest document, 256 MiB.
pub const LARGEST_DOCUMENT: u64 = 256 << 20;

/// A blob: what it is known by, and how many bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// How a blob came to be in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It was there.
    Existed,
    /// It was sent.
    Sent,
}

/// Opens the bytes of a blob; called only when the store lacks it.
pub type Open<'a> = &'a (dyn Fn() -> io::Result<File> + Sync);

/// A named store of blobs and of a document that says what they are. Its methods block, and may be called from several
/// threads at once.
pub trait Objects: Send + Sync {
    /// The store as messages and layers name it, without any secret: `s3://BUCKET/PREFIX`.
    fn name(&self) -> &str;

    /// How many blobs are written at once.
    fn parallel(&self) -> usize;

    /// The documents that are read, the most telling first; none where none was written yet.
    ///
    /// # Errors
    /// What the service says; a document larger than [`LARGEST_DOCUMENT`].
    fn documents(&self) -> Result<Vec<Vec<u8>>>;

    /// Writes the document, under each of its names; the one before is gone.
    ///
    /// # Errors
    /// What the service says.
    fn put_document(&self, bytes: &[u8]) -> Result<()>;

    /// Writes a blob's bytes into `sink`. Size and digest are checked as they come, so that before an `Ok` the sink's
    /// content must not be used. `progress` is told how many came.
    ///
    /// # Errors
    /// What the service says; other bytes than the blob's; the sink fails.
    fn blob(&self, blob: Blob, sink: &mut dyn Write, progress: &dyn Fn(u64)) -> Result<()>;

    /// Sees to it that the store has a blob. `progress` is told how many bytes were handed to the network.
    ///
    /// # Errors
    /// What the service says; the blob cannot be opened or read.
    fn put_blob(&self, blob: Blob, open: Open<'_>, progress: &(dyn Fn(u64) + Sync)) -> Result<Put>;
}
