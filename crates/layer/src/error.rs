//! The one error of this crate.

use std::path::PathBuf;

/// What can go wrong with a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stored listing is not one of ours, or is cut.
    #[error("the listing is damaged: {reason}")]
    Listing {
        /// Which rule of the format it breaks.
        reason: &'static str,
    },
    /// A symbolic link chain that does not end within 255 steps, as on Linux with 40.
    #[error("`/{path}` has too many levels of symbolic links")]
    Loop {
        /// The path that was resolved.
        path: String,
    },
    /// Not 32 hexadecimal digits.
    #[error("`{text}` is not a layer id")]
    Id {
        /// What was given.
        text: String,
    },
    /// A file or folder of a layer could not be read or written.
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
    /// An archive that is cut, forged or of an unknown kind.
    #[error("the layer archive is not valid: {reason}")]
    Archive {
        /// What is wrong, with the entry's name where there is one.
        reason: String,
    },
}
