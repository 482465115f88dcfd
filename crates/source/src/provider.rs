//! What a build needs of a folder, wherever that is.

use crate::{Completed, Result, StatIndex, Tree};
use layer::{Entry, Listing};
use std::io::Read;
use std::sync::Arc;

/// A folder known by its stats first and by its bytes where somebody needs them: on this machine ([`Tree`]), or a
/// client's, whose files come over a connection.
pub trait LocalTree: Send + Sync {
    /// What the folder has; see [`Tree::listing`].
    fn listing(&self) -> &Arc<Listing>;

    /// Fills in the digests that the listing has not; see [`Tree::complete`].
    ///
    /// # Errors
    /// Any, naming the file that could not be read.
    fn complete(&self, selection: &mut [Entry]) -> Result<Completed>;

    /// The bytes of a file of the listing; whoever takes them compares their digest.
    ///
    /// # Errors
    /// Any, naming the file that could not be opened.
    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>>;

    /// What to keep for the next build, if anything was learned; see [`Tree::index`].
    fn index(&self) -> Option<StatIndex>;
}

impl LocalTree for Tree {
    fn listing(&self) -> &Arc<Listing> {
        Tree::listing(self)
    }

    fn complete(&self, selection: &mut [Entry]) -> Result<Completed> {
        Tree::complete(self, selection)
    }

    fn open(&self, entry: &Entry) -> Result<Box<dyn Read + Send>> {
        Ok(Box::new(Tree::open(self, entry)?))
    }

    fn index(&self) -> Option<StatIndex> {
        Tree::index(self)
    }
}
