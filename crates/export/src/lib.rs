//! What leaves a build: images named in the store, archives, folders, registries; and the way back, archives that are
//! loaded.
//!
//! **Knows**: how a stack of layers and a configuration become an image, several an index, the formats of archives,
//! layouts and shared caches, and how images go from one place to another without the store.
//! **Must never know**: how the layers were made, Dockerfiles, the command line.
#![forbid(unsafe_code)]

mod annotations;
pub mod archive;
mod at_hand;
mod beside;
mod bundle;
pub mod cache;
pub mod copy;
mod error;
mod folder;
mod image;
pub mod indexes;
pub mod layout;
pub mod load;
pub mod local;
pub mod place;
pub mod push;
pub mod reproducible;
mod sink;
mod stated;
pub mod target;

pub use annotations::Annotations;
pub use bundle::{Attester, Bundle, Document, Follower, LayerBlob, Packed, Packing};
pub use error::Error;
pub use image::{NewImage, finish};
pub use sink::Out;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
