//! Where a build's files come from: local folders and archives, as listings with content digests.
//!
//! **Knows**: how a folder is walked without leaving it ([`Root`], [`Tree`]), which of its files are already known by
//! their stat ([`StatIndex`]), how an archive becomes a folder ([`tar::context`]), and how a commit does ([`git`]).
//! **Must never know**: Dockerfiles but for ignore patterns, where content is stored, what it is used for.
//!
//! ```text
//! Root::open ─▶ Root::scan(ignore patterns, StatIndex) ─▶ Tree ── listing() ──▶ who selects
//!                                                          │  complete(numbers): digests of what is not known
//!                                                          │  open(entry): the bytes, for the store
//!                                                          └─ write_index(): what is known now
//! ```
#![forbid(unsafe_code)]

mod error;
pub mod git;
mod index;
pub mod local;
mod provider;
pub mod tar;

pub use error::Error;
pub use index::{FileStat, StatIndex};
pub use local::{Completed, Keep, PENDING, Root, ScanOptions, Tree, is_pending};
pub use provider::LocalTree;

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
