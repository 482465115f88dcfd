//! The graph of operations that a frontend makes and the solver walks, and the typed keys of those operations.
//!
//! **Knows**: the few operations (image, local, http, git, run, file, merge, scratch), what each is told, and how that becomes a
//! cache key. They mean what BuildKit's LLB means by source, exec, file and merge.
//! **Must never know**: Dockerfiles, how an operation is carried out, where results are stored.
#![forbid(unsafe_code)]

mod environment;
mod file;
mod key;
mod miss;
mod node;
mod remote;
mod run;

pub use environment::{EnvVar, Environment};
pub use file::{Copy, FileAction, FileOp, MakeDirectory, MakeFile};
pub use key::{Key, KeyInput, KeyOp};
pub use miss::{FileChange, MissReason, explain};
pub use node::{About, Graph, ImageOp, LocalOp, Location, Node, NodeId, Op};
pub use remote::{GitOp, HttpOp, is_commit};
pub use run::{CacheSharing, Device, Mount, MountKind, Network, RunOp, Security, Ulimit};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a graph or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A stored key that is no JSON of this version.
    #[error("a stored cache key cannot be read")]
    Key {
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}
