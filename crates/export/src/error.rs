//! The one error of this crate.

use crate::target;
use std::path::PathBuf;

/// Why a result could not leave, or an archive not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A snapshot could not be had.
    #[error("cannot read the image's layers")]
    Snapshot(#[from] snapshot::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] store::Error),
    /// A document of an image is wrong.
    #[error("the image is not valid")]
    Oci(#[from] oci::Error),
    /// The registry refused; its own error names it and the thing.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store of objects that a cache is in refused.
    #[error(transparent)]
    Objects(#[from] objects::Error),
    /// A layer's bytes.
    #[error("cannot write a layer")]
    Layer(#[from] layer::Error),
    /// An image that is not in the store.
    #[error("no image `{name}` is in the store")]
    NoImage {
        /// Its name.
        name: String,
    },
    /// Annotations of an index for an image that has none.
    #[error("annotations of the index are given, but an image of one platform alone has no index")]
    IndexAnnotations,
    /// Attestations in Docker's words, which have none for them.
    #[error("attestations need OCI's media types: they do not go together with oci-mediatypes=false")]
    DockerAttestations,
    /// What is to be stated about an image could not be had.
    #[error("cannot attest the image for {platform}")]
    Attest {
        /// Its platform.
        platform: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A layout's name that is none, or a layout that is damaged or lacks what is asked for.
    #[error("cannot use the OCI layout `{name}`: {reason}")]
    Layout {
        /// The name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An index without the platform that is asked for.
    #[error("`{name}` has no image for {platform}")]
    NoPlatform {
        /// The image.
        name: String,
        /// The platform.
        platform: String,
    },
    /// Indexes in indexes without end.
    #[error("`{name}` stands for too many documents, or for indexes too deep in each other")]
    TooMany {
        /// The image.
        name: String,
    },
    /// A shared cache that cannot be used.
    #[error("cannot use the cache `{name}`: {reason}")]
    Cache {
        /// Where it is.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Two platforms that share a folder have the same file.
    #[error("several platforms have the file `{path}`, and platform-split is off")]
    SamePath {
        /// The file.
        path: String,
    },
    /// An archive that is none of those that can be loaded, or is damaged.
    #[error("the archive `{name}` cannot be loaded: {reason}")]
    Archive {
        /// Which archive.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What an archive goes into cannot be written.
    #[error("cannot write `{}`", path.display())]
    Target {
        /// The file, or what the stream is called.
        path: PathBuf,
        /// The folder that the file would have been in; nothing for a stream.
        folder: Option<PathBuf>,
        /// How many bytes it took.
        written: u64,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A file outside the store.
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

impl Error {
    /// What the user can do about it, where there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            // It says nothing of its own, and so is not in the chain.
            Self::Registry(error) => error.hint(),
            Self::Target { folder, written, source, .. } => target::hint(folder.as_deref(), *written, source),
            _ => None,
        }
    }

    /// Whether the reader of a stream has gone away: it has read enough, and nothing went wrong.
    #[must_use]
    pub fn is_reader_gone(&self) -> bool {
        matches!(self, Self::Target { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe)
    }
}
