//! The one error of this crate. Files that say nonsense are none: they are [`Skipped`](crate::Skipped).

/// Why a file system could not be scanned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that the tree lists could not be read: the tree is broken, not what it holds.
    #[error("cannot read `/{path}` for its packages")]
    Read {
        /// The file, relative to the root.
        path: String,
        /// What the tree said.
        source: std::io::Error,
    },
}
