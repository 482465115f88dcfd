//! The one error of this crate.

use layer::LayerId;
use std::path::PathBuf;

/// An error of whoever stands behind a trait.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a layer could not be had in the form that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A layer could not be fetched.
    #[error("cannot fetch {digest} of {reference}")]
    Fetch {
        /// Which image.
        reference: String,
        /// Which blob.
        digest: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// A layer vanished from the store.
    #[error("layer {id} is not in the store")]
    NoLayer {
        /// Which.
        id: LayerId,
    },
    /// A layer's files cannot be read or made.
    #[error("cannot use the {what}")]
    Layer {
        /// Which layer or file.
        what: String,
        /// Why.
        #[source]
        source: layer::Error,
    },
    /// A layer of a media type that nobody here knows.
    #[error("a layer of the type `{media_type}` is not supported")]
    MediaType {
        /// The type.
        media_type: String,
    },
    /// A file that is read whole is larger than it may be.
    #[error("/{path} has {size} bytes; the limit is {limit}")]
    TooLarge {
        /// The file in the snapshot.
        path: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The work is no longer wanted.
    #[error("cancelled")]
    Cancelled,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A file of the store.
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
}
