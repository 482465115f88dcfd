//! One process in namespaces over a root: mounts, ids, control groups, seccomp, capabilities, with or without root.
//!
//! A [`Launcher`] clones straight into the namespaces of a [`Spec`]; the child mounts, pivots, drops privileges and
//! execs, with raw system calls on strings that were prepared before. There is no helper program and no daemon.
//!
//! ```text
//! parent                                        child (child.rs)
//! overlay, binds, tmpfs: detached mounts
//! Spec ── prepare.rs ──▶ Plan ── clone3 ──────▶ cgroups, namespaces, host name
//!                                               root and mounts moved into place, pivot_root
//! reports: mount points made, warnings ◀─pipe── limits, streams, seccomp, ids, capabilities
//! end of the pipe: it runs                      execve
//! ```
//!
//! This is the only crate of the project with `unsafe`.

pub mod lock;
pub mod mount;
pub mod mountpoint;
pub mod netns;
pub mod overlay;
pub mod process;
pub mod rootless;
pub mod signals;
pub mod tty;
pub mod user;

mod capabilities;
mod cgroup;
mod child;
mod child_handle;
mod device;
mod error;
mod host;
mod init;
mod launcher;
mod plan;
mod prepare;
mod seccomp;
mod spec;
mod sys;

pub use capabilities::Capabilities;
pub use cgroup::{Cgroup, Limits};
pub use child_handle::{Child, ExitStatus};
pub use error::{Error, Result};
pub use host::in_user_namespace;
pub use launcher::Launcher;
pub use seccomp::Seccomp;
pub use spec::{
    Confinement, DEFAULT_PATH, ExecSpec, Mount, MountKind, Network, Rlimit, Spec, Stdio, Stream, Tree,
    rlimit_by_name,
};
