//! The container's `/dev`: a private file system in memory whose device nodes are the host's, bound one by one.
//!
//! Everything else that a container sees is mounted `nodev`, so a node that an image brings or a step makes with
//! CAP_MKNOD (which Docker grants) opens nothing: what Docker's device control group does, without one. The bound nodes
//! are read-only mounts, which keeps the host's modes and owners from being changed and lets the devices be written.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::error::{Error, Result};
use crate::mount;
use crate::spec::Device;
use crate::sys;

/// One device of the host.
pub(crate) struct Node {
    /// Where it is inside.
    pub(crate) path: PathBuf,
    pub(crate) mount: OwnedFd,
}

const STANDARD: [&str; 6] =
    ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"];

/// Devices of a privileged container are not looked for deeper than this.
const MAX_DEPTH: usize = 4;

/// The file system: empty files for the standard nodes, Docker's links, mount points.
pub(crate) fn private_dev(console: bool) -> Result<OwnedFd> {
    let dev = mount::tmpfs(Some(64 << 20), 0o755, None, sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV)?;
    let failed = |name: &str, source| Error::os("make", format!("/dev/{name}"), source);
    for (name, to) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("core", "/proc/kcore"),
        ("ptmx", "pts/ptmx"),
    ] {
        rustix::fs::symlinkat(to, &dev, name).map_err(|source| failed(name, source))?;
    }
    for name in ["pts", "shm", "mqueue"] {
        // mkdirat obeys the mask, which is 022 or 077 here; the mounts on top bring their own modes.
        rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755)).map_err(|source| failed(name, source))?;
    }
    let files = STANDARD.iter().map(|path| &path["/dev/".len()..]).chain(console.then_some("console"));
    for name in files {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))
            .map_err(|source| failed(name, source))?;
    }
    Ok(dev)
}

/// The standard nodes, those asked for, and all of the host's for a privileged container.
pub(crate) fn nodes(wanted: &[Device], all: bool) -> Result<Vec<Node>> {
    let mut paths: Vec<PathBuf> = STANDARD.iter().map(PathBuf::from).collect();
    if all {
        collect(Path::new("/dev"), 0, &mut paths);
    }
    let mut devices: Vec<Device> = paths.into_iter().map(Device::from).collect();
    for device in wanted {
        if !device.target.starts_with("/dev/") {
            return Err(Error::Invalid(format!(
                "the device `{}` is not below /dev",
                device.target.display()
            )));
        }
        // What is asked for by name counts before what is there anyway.
        devices.retain(|known| known.target != device.target);
        devices.push(device.clone());
    }
    devices.into_iter().map(|device| Ok(Node { mount: bind(&device.source)?, path: device.target })).collect()
}

fn bind(path: &Path) -> Result<OwnedFd> {
    mount::bind_detached(path, false, true)
}

fn collect(directory: &Path, depth: usize, paths: &mut Vec<PathBuf>) {
    if depth >= MAX_DEPTH {
        return;
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        let skipped = ["/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/ptmx", "/dev/console"];
        if skipped.iter().any(|skipped| path == Path::new(skipped)) {
            continue;
        }
        if kind.is_dir() {
            collect(&path, depth + 1, paths);
        } else if (kind.is_char_device() || kind.is_block_device()) && !paths.contains(&path) {
            paths.push(path);
        }
    }
}
