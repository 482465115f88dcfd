//! Shared caches: the results of a build's steps where other machines find them.
//!
//! A cache is BuildKit's format (cache/remotecache/v1) with keys of our own:
//!
//! ```json
//! {
//!   "jettison": 1,
//!   "layers": [{"blob": "sha256:...", "parent": -1,
//!               "annotations": {"mediaType": "...", "diffID": "sha256:...", "size": 1, "createdAt": "..."}}],
//!   "records": [{"digest": "<key>", "chains": [{"layers": [0, 1], "createdAt": "..."}]},
//!               {"digest": "<definition key>", "inputs": [[{"selector": "", "link": 0}]]}]
//! }
//! ```
//!
//! A record has the layers of a step's result, lowest first, or leads from a definition key to the record that it is
//! equal to. The configuration is the `config` of a manifest whose layers are the blobs (or, as BuildKit wrote it before,
//! an entry of an index), or stands in an image's own configuration (inline), where the layers are the image's.
//!
//! In a store of objects (crate `objects`) the configuration stands alone, and its layers say themselves what their blobs
//! are.
//!
//! What BuildKit wrote is read too: none of its keys matches, and whoever asks is told so; its blobs are known by their
//! digests.

mod format;
mod read;
mod send;
mod write;

pub use read::{Blob, Found, Keys, SharedRecords, read, read_documents};
pub use send::send;
pub use write::{Contents, Mode, Step, bundle, contents, inline};

/// The media type of a cache's configuration.
pub const CONFIG: &str = "application/vnd.buildkit.cacheconfig.v0";
/// The field of an image's configuration that an inline cache stands in.
pub const INLINE: &str = "moby.buildkit.cache.v0";
