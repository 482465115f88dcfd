//! Layers: what one step of a build changed in a file tree.
//!
//! **Knows**: the [`Listing`] of a layer (every path it sets, with mode, ids, times, xattrs and content digest), how
//! listings lie over each other ([`View`]), and the way between tars, folders and listings.
//! **Must never know**: where layers are stored, who asked for one, Dockerfiles, registries.
#![forbid(unsafe_code)]

mod encoding;
mod error;
mod id;
mod listing;
mod view;

pub use error::Error;
pub use id::LayerId;
pub use listing::{Content, Entry, Kind, Listing, Place, Time, Xattr, compare_paths, is_below};
pub use view::{Found, View};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
