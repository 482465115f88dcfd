//! Debian's podman, as a peer: with a storage of its own.

use super::{LIMIT, run, short_folder};
use std::process::Command;
use tempfile::TempDir;

/// A storage, removed when it is dropped: podman takes no state folder (`--runroot`) past 50 characters.
pub(crate) struct Podman(TempDir);

impl Podman {
    pub(crate) fn new() -> Self {
        Self(short_folder())
    }

    /// What podman prints for arguments that it takes.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let mut command = Command::new("podman");
        // Its usual runtime refuses this kind of control groups in places where Docker's does not.
        command.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--storage-driver", "vfs"]);
        command.arg("--root").arg(self.0.path().join("root"));
        command.arg("--runroot").arg(self.0.path().join("state"));
        command.args(args);
        run(command, LIMIT).ok().stdout
    }
}
