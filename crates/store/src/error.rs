//! The one error of this crate.

use layer::LayerId;
use oci::Digest;
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// What can go wrong in a store. Every message names the thing it is about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing of this name is here.
    #[error("no such {kind}: {name}")]
    NotFound {
        /// `image`, `container`, `volume`, `blob`, `layer`.
        kind: &'static str,
        /// What was asked for.
        name: String,
    },
    /// It cannot be removed or replaced while something uses it.
    #[error("{kind} {name} is in use: {by}")]
    InUse {
        /// What kind of thing.
        kind: &'static str,
        /// Which.
        name: String,
        /// What uses it, in words.
        by: String,
    },
    /// The name is taken.
    #[error("the {kind} name `{name}` is already in use by {holder}")]
    Taken {
        /// What kind of thing.
        kind: &'static str,
        /// The name.
        name: String,
        /// Who has it.
        holder: String,
    },
    /// A prefix that fits several things.
    #[error("`{name}` is ambiguous: it fits {count} {kind}s")]
    Ambiguous {
        /// What kind of thing.
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// How many it fits.
        count: usize,
    },
    /// Another process holds it and did not let go in time.
    #[error("`{}` is held by another process", path.display())]
    Busy {
        /// The lock file or the index.
        path: PathBuf,
    },
    /// The caller's wait callback said to stop.
    #[error("the wait for `{}` was cancelled", path.display())]
    Cancelled {
        /// The lock that was waited for.
        path: PathBuf,
    },
    /// The store belongs to another user, mapping, format or kind of file system.
    #[error("the store `{}` cannot be used: {reason}", root.display())]
    Foreign {
        /// The store's root.
        root: PathBuf,
        /// What does not fit.
        reason: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// Something in the store is not as it was written.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// What.
        what: String,
        /// How it shows.
        reason: String,
        /// What the user can do.
        hint: &'static str,
    },
    /// Bytes do not have the digest they were promised to have.
    #[error("the bytes received as {expected} have the digest {actual}")]
    Digest {
        /// What was promised.
        expected: Digest,
        /// What came.
        actual: Digest,
    },
    /// A blob that is larger than the reader allows.
    #[error("blob {digest} has {size} bytes, more than the {limit} allowed here")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A layer that something new is to refer to is gone, or has no bytes here.
    #[error("layer {id} {reason}")]
    Layer {
        /// The layer.
        id: LayerId,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// A name that cannot be one.
    #[error("`{name}` is not a valid {kind} name: {reason}")]
    Name {
        /// What kind of thing.
        kind: &'static str,
        /// What was given.
        name: String,
        /// The rule it breaks.
        reason: &'static str,
    },
    /// A file or folder of the store could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The index did not answer.
    #[error("the store's index did not {action}")]
    Sql {
        /// What was asked of it.
        action: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A listing of the store cannot be read.
    #[error("the listing of layer {id} cannot be read")]
    Listing {
        /// The layer.
        id: LayerId,
        /// What is wrong with it.
        #[source]
        source: layer::Error,
    },
}

impl Error {
    /// What the user can do about it, for the errors that have such a line.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Foreign { hint, .. } | Self::Damaged { hint, .. } => Some(hint),
            Self::Busy { .. } => {
                Some("another jettison process is using the store; try again when it is done")
            }
            _ => None,
        }
    }

    /// Whether this says that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: impl Into<std::io::Error>) -> Self {
        Self::Io { action, path: path.to_owned(), source: source.into() }
    }

    /// An answer of SQLite; a damaged index is told apart.
    pub(crate) fn sql(action: &'static str, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged {
                what: "the store's `index.sqlite`".to_owned(),
                reason: source.to_string(),
                hint: "move the store away and let jettison make a new one",
            },
            _ => Self::Sql { action, source },
        }
    }

    pub(crate) fn not_found(kind: &'static str, name: impl ToString) -> Self {
        Self::NotFound { kind, name: name.to_string() }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Self {
        Self::sql("answer", source)
    }
}
