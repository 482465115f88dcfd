//! Whether the bytes of a layer's blob can be had by who writes them out.
//!
//! The blob of a pulled layer is not kept beside its files: it is fetched again when it leaves, so that it leaves with
//! the digest that it came with. Where that cannot be done the files that are here are compressed anew: an image in the
//! store needs no registry to be saved or pushed.

use crate::Result;
use oci::{Descriptor, Digest, Reference};
use snapshot::Forms;
use store::{LayerInfo, Store};

/// Whether it is known where the blob of a layer is: here, or in some registry.
pub(crate) fn obtainable(store: &Store, info: &LayerInfo, digest: &Digest) -> Result<bool> {
    Ok(info.remote.as_ref().is_some_and(|remote| remote.descriptor.digest == *digest)
        || store.has_blob(digest)?.is_some()
        || !store.blob_sources(digest)?.is_empty())
}

/// Whether a layer leaves as this blob, which is [`obtainable`]: it is here, it is known to be at `registry`, to which it
/// goes, or it can be fetched, which is done. A layer that has no files here has no choice.
///
/// # Errors
/// The store's, and an interrupt. That it cannot be fetched is none.
pub(crate) fn at_hand(
    store: &Store,
    forms: &Forms,
    info: &LayerInfo,
    blob: &Descriptor,
    registry: Option<&str>,
) -> Result<bool> {
    if store.has_blob(&blob.digest)?.is_some() || !info.is_local() {
        return Ok(true);
    }
    if let Some(registry) = registry
        && sources(store, info, &blob.digest)?.iter().any(|source| source.host() == registry)
    {
        return Ok(true);
    }
    match forms.blob(info.id, blob) {
        Ok(_) => Ok(true),
        Err(snapshot::Error::Fetch { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The repositories that are known to have a layer's blob.
pub(crate) fn sources(store: &Store, info: &LayerInfo, digest: &Digest) -> Result<Vec<Reference>> {
    let mut names = store.blob_sources(digest)?;
    let remote = info.remote.iter().filter(|remote| remote.descriptor.digest == *digest);
    names.extend(remote.map(|remote| remote.reference.clone()));
    Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
}
