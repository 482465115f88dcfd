//! Snapshots: stacks of layers, each layer in the form somebody needs at the moment.
//!
//! **Knows**: how a remote layer becomes a folder (fetched, checked, unpacked), how a plan becomes a folder or an image, what a
//! stack shows, and what the digest of a layer's tar is. What is made is made under the layer's lock in the store, so
//! of several processes one does it and the others wait.
//! **Must never know**: operations and keys, how blobs are fetched (a [`Fetcher`] is asked), processes.
#![forbid(unsafe_code)]

mod compressed;
mod error;
mod forms;
mod gathered;
mod lowers;
mod merged;
mod nested;
mod rewritten;
mod tar;

pub use compressed::Beside;
pub use error::{BoxError, Error};
pub use forms::{CREATED, Fetcher, Forms, open_directory};
pub use lowers::Lowers;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
