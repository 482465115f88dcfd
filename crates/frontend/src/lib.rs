//! From a parsed Dockerfile to a graph of operations and the configuration of the image it makes.
//!
//! **Knows**: stages, scopes of ARG and ENV, platforms, triggers, named contexts, what each instruction does to the
//! configuration and the history.
//! **Must never know**: how operations are carried out, where images come from (a [`MetaResolver`] is asked), files.
//!
//! Only what the target reaches is lowered: other stages are neither resolved nor looked at beyond their syntax.
#![forbid(unsafe_code)]

mod base;
mod check;
mod config;
mod contexts;
mod copy;
mod epoch;
mod error;
mod findings;
mod hints;
mod history;
mod location;
mod lower;
mod mode;
mod names;
mod options;
mod outline;
mod paths;
mod run;
mod scans;
mod scope;
mod stage;
mod targets;

pub use check::{Checked, check, check_unread};
pub use contexts::unpack;
pub use copy::git_op;
pub use error::Error;
pub use location::{Line, Lines, Location, finding_lines};
pub use lower::{Lowered, lower};
pub use options::{BaseImage, BoxError, Dated, MainContext, MetaResolver, NamedContext, Options};
pub use outline::{Asked, Outline, OutlineArg, outline};
pub use scans::Scan;
pub use targets::{Target, targets};

/// What this crate's functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
