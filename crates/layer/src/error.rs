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
    /// More entries, bytes or depth than the caller allows.
    #[error("{subject} has more than {limit} {unit}")]
    Limit {
        /// What is too large, with its name.
        subject: String,
        /// How much is allowed.
        limit: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file's bytes are not as its listing says.
    #[error("`/{path}` changed while it was read: {reason}")]
    Changed {
        /// Its path in the layer.
        path: String,
        /// What differs.
        reason: &'static str,
    },
    /// An entry that the asked form cannot hold.
    #[error("`/{path}` cannot be {action}: {reason}")]
    Unfit {
        /// Its path in the layer.
        path: String,
        /// What was to be done with it.
        action: &'static str,
        /// Why that is not possible.
        reason: &'static str,
    },
    /// An image of a layer that is none of ours.
    #[error("the image of a layer is damaged: {reason}")]
    Image {
        /// What is wrong.
        reason: &'static str,
    },
    /// Compressed bytes that are damaged or of a kind that is not read here.
    #[error("cannot decompress: {reason}")]
    Compression {
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    /// An I/O error on a path inside a layer.
    pub(crate) fn io(action: &'static str, path: &[u8], source: impl Into<std::io::Error>) -> Self {
        Self::Io { action, path: path_buf(path), source: source.into() }
    }
}

/// A layer's path as the messages show it.
pub(crate) fn path_buf(path: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(path))
}

/// A path as text, whatever bytes it has.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
