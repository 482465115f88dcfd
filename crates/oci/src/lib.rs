//! The words of the OCI and Docker image formats: digests, references, platforms, descriptors, manifests, indexes
//! and image configurations.
//!
//! **Knows**: how these are written, parsed, normalised and compared
//! ([image-spec](https://github.com/opencontainers/image-spec) v1.1, Docker's image spec v1.2 and schema 2 manifests).
//! **Must never know**: files, networks, how layers are made, or Dockerfiles.
//!
//! The types are our own, not `oci-spec`'s: an image configuration must keep Docker's fields (`Healthcheck`,
//! `OnBuild`, `Shell`) and fields nobody knows yet, and these types are on the start path of every command.
#![forbid(unsafe_code)]

mod config;
mod digest;
mod error;
mod manifest;
pub mod media_type;
mod platform;
mod reference;
pub mod timestamp;

pub use config::{ContainerConfig, Empty, Healthcheck, History, ImageConfig, RootFs};
pub use digest::{Digest, Hasher};
pub use error::Error;
pub use manifest::{Descriptor, Index, MAX_DOCUMENT, Manifest};
pub use platform::Platform;
pub use reference::Reference;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
