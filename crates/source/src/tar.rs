//! A context that is an archive.

use crate::{Error, Result, Root, Tree};
use layer::{Owners, UnpackOptions};
use std::io::Read;

/// Unpacks an archive (tar, plain or compressed with gzip or zstd) into the empty folder `folder` and gives the tree
/// of what is in it. Nothing is written outside, whatever the archive says; owners are not kept, for a context has
/// none; names that layers give a meaning (`.wh.`) are names like others. The archive is read to its end.
///
/// # Errors
/// [`Error::Archive`] for one that is damaged, too large or reaches outside; [`Error::Io`].
pub fn context(archive: impl Read, folder: Root) -> Result<Tree> {
    let options = UnpackOptions { whiteouts: false, owners: Owners::ListingOnly, ..UnpackOptions::default() };
    layer::unpack(archive, folder.as_fd(), None, &options).map_err(Error::from)?;
    folder.scan(crate::ScanOptions::default())
}
