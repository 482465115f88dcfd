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
//! # What a step costs
//! `/bin/true` in a root of two layers, median of 200, 64 MiB of the launcher's memory in use, two busy cores, layers on
//! tmpfs (`cargo test --release -p sandbox --test speed -- --ignored --nocapture`, 21 November 2026):
//!
//! | | to exec | to the end |
//! |---|---|---|
//! | overlay mount, new network, seccomp | 2.2 ms | 2.9 ms |
//! | the same with a small launcher | 1.7 ms | 2.2 ms |
//! | network joined or shared, seccomp | 1.1 ms | 1.5 ms |
//! | network shared, no seccomp | 0.95 ms | 1.4 ms |
//!
//! Taken with forks. As root a child shares the launcher's memory by now (`sharing.rs`), so a large launcher costs what a
//! small one does.
//!
//! On a disk the directories cost more than all else: an upper and a work directory, and each mount point that is missing
//! in the root. So have `proc`, `sys`, `dev`, `etc/hosts` and `etc/resolv.conf` in a bottom layer of the overlay that is
//! no layer of the image, mount with [`overlay::Options::volatile`] (else unmounting syncs), and take network namespaces
//! from a pool ([`netns::new_netns`], 0.5 ms).
//!
//! # What holds
//! - Nothing of the caller's is inherited but the three streams: not its descriptors, environment, signal mask, handlers,
//!   keyring, nor (with [`process::protect_executable`]) a writable way to its program file.
//! - Device nodes open only in `/dev`: everything else is mounted `nodev` (see `device.rs`).
//! - All paths in a root resolve with `openat2` inside it, never through `/proc` magic links.
//! - With a process namespace, the end of the main process is the end of all that it started.
//!
//! This is the only crate of the project with `unsafe`.

pub mod erofs;
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
mod sharing;
mod spec;
mod stock;
mod sys;

pub use capabilities::Capabilities;
pub use cgroup::{Cgroup, Limits, Usage};
pub use child_handle::{Child, ExitStatus};
pub use error::{Error, Result};
pub use host::in_user_namespace;
pub use launcher::Launcher;
pub use seccomp::Seccomp;
pub use spec::{
    Confinement, DEFAULT_PATH, Device, ExecSpec, Mount, MountKind, Network, Rlimit, Spec, Stdio, Stream,
    Tree, rlimit_by_name,
};
