//! The way back: images from archives and layouts into the store.
//!
//! Two formats are read, as a tar (plain, gzip, zstd, xz or bzip2) or, for the second, as a folder:
//!
//! ```text
//! docker save   manifest.json  <config>.json or blobs/sha256/<config>  <id>/layer.tar or blobs/sha256/<layer>
//! OCI layout    oci-layout  index.json  blobs/sha256/<manifest, config, layer>
//! ```
//!
//! A tar that is neither but a file system itself becomes an image of one layer ([`import()`]).
//!
//! A tar's members come in any order and the documents that say what they are may come last, so small members are kept
//! in memory and large ones go straight into the store as blobs, each under the digest of its bytes. Then the documents
//! are read, layers that the store has not are unpacked several at once, and all new layers become visible together,
//! before the images get their names. Whatever fails, what this process wrote is collected again.

mod docker;
mod import;
mod members;
mod oci;
mod ours;
mod tree;

pub use tree::import;

use self::import::Contents;
use crate::{Error, Result};
use ::oci::{Digest, Platform, Reference};
use members::{Archive, Layout, Members};
use progress::VertexHandle;
use snapshot::Forms;
use std::io::Read;
use std::path::Path;
use store::Store;

/// An image that was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names it got.
    pub names: Vec<Reference>,
}

/// Loads all images of an archive, or those for a platform: what `docker save` writes, or an OCI layout as a tar; plain
/// or packed. `name` is what messages call it.
///
/// # Errors
/// [`Error::Archive`] for an archive that is damaged or of another format, or that has no image for the platform.
/// Nothing is left in the store then.
pub fn load(
    store: &Store,
    forms: &Forms,
    input: impl Read + Send + 'static,
    name: &str,
    platform: Option<&Platform>,
    vertex: &VertexHandle,
) -> Result<Vec<Loaded>> {
    tidy(store, || {
        let archive = Archive::spool(store, input, name, vertex)?;
        read(store, forms, &archive, name, platform, vertex)
    })
}

/// Loads all images of an OCI layout that is a folder; only the blobs that are needed are read.
///
/// # Errors
/// As [`load`].
pub fn load_layout(
    store: &Store,
    forms: &Forms,
    folder: &Path,
    platform: Option<&Platform>,
    vertex: &VertexHandle,
) -> Result<Vec<Loaded>> {
    let name = folder.display().to_string();
    tidy(store, || {
        let layout = Layout::open(store, folder, &name)?;
        read(store, forms, &layout, &name, platform, vertex)
    })
}

fn read(
    store: &Store,
    forms: &Forms,
    members: &dyn Members,
    name: &str,
    platform: Option<&Platform>,
    vertex: &VertexHandle,
) -> Result<Vec<Loaded>> {
    // Newer archives of Docker are both; only the layout tells of several platforms.
    let index = members.document("index.json")?;
    let manifest = match &index {
        Some(index) if oci::has_indexes(index) => None,
        _ => members.document("manifest.json")?,
    };
    let mut found = if let Some(manifest) = manifest {
        Contents { images: docker::images(members, &manifest, name)?, indexes: Vec::new() }
    } else if let Some(index) = index {
        oci::images(members, &index, platform, name)?
    } else {
        let reason = if members.document("repositories")?.is_some() {
            "it has the format of Docker before 1.10 (`repositories` without `manifest.json`)"
        } else {
            "it has neither a `manifest.json`, as `docker save` writes, nor the `index.json` of an OCI layout"
        };
        return Err(wrong(name, reason));
    };
    if let Some(platform) = platform {
        found.keep_for(platform, name)?;
    }
    self::import::import(store, forms, members, found, name, vertex)
}

/// Collects what was written in vain: after an error everything, else what no image needed.
fn tidy(store: &Store, work: impl FnOnce() -> Result<Vec<Loaded>>) -> Result<Vec<Loaded>> {
    let done = work();
    store.end_lease();
    match done {
        Ok(loaded) => {
            store.sweep()?;
            Ok(loaded)
        }
        Err(error) => {
            // The first error is the one to tell; the next collection does what this one could not.
            let _ = store.sweep();
            Err(error)
        }
    }
}

fn wrong(name: &str, reason: impl Into<String>) -> Error {
    Error::Archive { name: name.to_owned(), reason: reason.into() }
}
