//! Git repositories: what a reference is at the moment, and the files of a commit, by the `git` program.
//!
//! ```text
//! resolve     ls-remote                                  reference ─▶ commit
//! fetch       one commit without its history, else all   commit    ─▶ objects in a bare repository that is kept
//! checkout    a repository of its own that borrows these commit    ─▶ files in a folder
//! ```
//!
//! A repository is hostile: `git` gets no configuration of the system or the user, no hooks, no prompts, no terminal,
//! only the protocols that the network has, and submodules may not lead to files of this machine. Credentials reach it
//! by its environment and as headers, so that no list of processes, no log and no `.git` has them.

mod program;
mod repository;
mod work_tree;

pub use program::{Access, Git, GitError, GitOptions};
pub use repository::{Checkout, Commit, Wanted};
pub use work_tree::WorkTree;
