//! The one error of this crate.

use std::io;
use std::path::PathBuf;

/// What can go wrong with a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The context is no folder.
    #[error("`{}` is not a directory", path.display())]
    NotADirectory {
        /// What was given.
        path: PathBuf,
    },
    /// A file was written to again and again while it was read.
    #[error("`{}` changes while it is read", path.display())]
    Changing {
        /// Which.
        path: PathBuf,
    },
    /// What was scanned as a regular file is none any more.
    #[error("`{}` is not a regular file any more", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// A character device 0:0, which overlayfs takes for a removed file.
    #[error("`{}` is a character device 0:0, which no image can hold", path.display())]
    Whiteout {
        /// Which.
        path: PathBuf,
    },
    /// A file that is read whole is larger than anything of its kind.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        limit: u64,
    },
    /// A folder with more files than a build can be meant to use.
    #[error("`{}` has more than {limit} files; is it the right folder?", path.display())]
    TooMany {
        /// Which.
        path: PathBuf,
        /// How many there may be.
        limit: usize,
    },
    /// A stored stat index is not one of ours, or is cut.
    #[error("the stat index is damaged: {reason}")]
    Index {
        /// Which rule of the format it breaks.
        reason: &'static str,
    },
    /// An archive could not be unpacked.
    #[error("cannot unpack the archive")]
    Archive(#[from] layer::Error),
}
