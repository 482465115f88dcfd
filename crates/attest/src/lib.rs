//! Attestations: statements about an image, how BuildKit writes them, and how they stand beside the image.
//!
//! **Knows**: in-toto statements, the SLSA provenance predicate v1 and v0.2 as BuildKit fills it, package URLs, the
//! manifest that carries an image's statements in an index; how provenance follows from a graph.
//! **Must never know**: files, networks, clocks; what a Dockerfile means (but for which names are those of secrets); how an
//! SBOM is made. What varies (times, the invocation, what sources were) is handed in.
//!
//! ```text
//! graph ─ Captured ─┐
//! request ──────────┼─▶ Provenance ─▶ Attestation ─ subjects ─▶ Statement ─▶ storage: an attestation manifest
//! times, vcs ───────┘   SBOM ───────▶ Attestation
//! ```
//!
//! No value of a secret is in any of it: secrets and agents are told by their ids; user and password of URLs are
//! `xxxxx`, and so are the values of build arguments that are proxies, or whose names say that they hold a secret.
#![forbid(unsafe_code)]

mod captured;
mod definition;
pub mod envelope;
mod masked;
mod options;
mod provenance;
mod purl;
mod slsa02;
mod statement;
pub mod storage;

pub use captured::{Captured, Lent, Material, Pin};
pub use options::{Mode, ProvenanceOptions, Version};
pub use provenance::{Build, Details, FOLDER, Provenance, Request};
pub use purl::{Kind, image_url};
pub use statement::{Attestation, SPDX, Statement, Subject};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with attestations.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A signed statement that cannot be read.
    #[error("the envelope {reason}")]
    Envelope {
        /// What is wrong with it.
        reason: String,
    },
    /// A parameter of provenance that is not known, or that cannot have this value.
    #[error("the parameter `{key}` of provenance {reason}")]
    Parameter {
        /// Which.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
}
