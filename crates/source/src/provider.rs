//! What a build needs of a folder, wherever that is.

use crate::{Completed, Result, Tree};
use layer::{Entry, Listing};
use std::io::{Read, Write};
use std::sync::Arc;

/// A folder known by its stats first and by its bytes where somebody needs them: on this machine ([`Tree`]), or a
/// client's, whose files come over a connection.
pub trait LocalTree: Send + Sync {
    /// What the folder has; see [`Tree::listing`].
    fn listing(&self) -> Arc<Listing>;

    /// Fills in the digests that the listing has not of the entries with these numbers; see [`Tree::complete`].
    ///
    /// # Errors
    /// Any, naming the file that could not be read.
    fn complete(&self, numbers: &[u32]) -> Result<Completed>;

    /// The bytes of a file of the listing; whoever takes them compares their digest.
    ///
    /// # Errors
    /// Any, naming the file that could not be opened.
    fn open(&self, entry: &Entry<'_>) -> Result<Box<dyn Read + Send>>;

    /// Writes what to keep for the next build; see [`Tree::write_index`].
    ///
    /// # Errors
    /// Those of `out`.
    fn write_index(&self, out: &mut dyn Write) -> std::io::Result<()>;
}

impl LocalTree for Tree {
    fn listing(&self) -> Arc<Listing> {
        Tree::listing(self)
    }

    fn complete(&self, numbers: &[u32]) -> Result<Completed> {
        Tree::complete(self, numbers)
    }

    fn open(&self, entry: &Entry<'_>) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Tree::open(self, entry)?))
    }

    fn write_index(&self, out: &mut dyn Write) -> std::io::Result<()> {
        Tree::write_index(self, out, None)
    }
}
