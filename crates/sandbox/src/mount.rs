//! Detached mounts: file trees that are mounted nowhere yet. Their descriptor can be read through with `openat2`,
//! and a sandbox puts them where they belong ([`crate::Tree::Mount`]).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::OpenTreeFlags;

use crate::error::{Error, Result};
use crate::sys;

/// Flags of a mount, as mount(8) calls them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountFlags {
    /// Nothing can be written.
    pub readonly: bool,
    /// Set-user-id bits and file capabilities have no effect.
    pub nosuid: bool,
    /// Device nodes have no effect.
    pub nodev: bool,
    /// Nothing can be executed.
    pub noexec: bool,
}

impl MountFlags {
    pub(crate) fn attributes(self) -> u64 {
        let bit = |set: bool, bit: u64| if set { bit } else { 0 };
        bit(self.readonly, sys::MOUNT_ATTR_RDONLY)
            | bit(self.nosuid, sys::MOUNT_ATTR_NOSUID)
            | bit(self.nodev, sys::MOUNT_ATTR_NODEV)
            | bit(self.noexec, sys::MOUNT_ATTR_NOEXEC)
    }
}

/// A file or directory as a mount of its own, with what is mounted below it when `recursive`.
///
/// # Errors
/// [`Error::Os`] names the path: missing, or not permitted.
pub fn bind_detached(path: &Path, recursive: bool, readonly: bool) -> Result<OwnedFd> {
    let flags = tree_flags(recursive);
    let tree = rustix::mount::open_tree(CWD, path, flags)
        .map_err(|source| Error::os("bind", path.display().to_string(), source))?;
    if readonly {
        set_readonly(&tree, recursive)?;
    }
    Ok(tree)
}

/// As [`bind_detached`], of what a descriptor refers to.
///
/// # Errors
/// [`Error::Os`]; before Linux 6.15 also for a descriptor below a detached mount.
pub fn bind_detached_fd(fd: impl AsFd, recursive: bool, readonly: bool) -> Result<OwnedFd> {
    let flags = tree_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH;
    let fd = fd.as_fd();
    let tree = rustix::mount::open_tree(fd, c"", flags)
        .map_err(|source| Error::os("bind", format!("descriptor {}", fd.as_raw_fd()), source))?;
    if readonly {
        set_readonly(&tree, recursive)?;
    }
    Ok(tree)
}

fn tree_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Makes a detached mount read-only, with those below it when `recursive`.
///
/// # Errors
/// [`Error::Os`] when the kernel refuses.
pub fn set_readonly(mount: impl AsFd, recursive: bool) -> Result<()> {
    let attr = sys::MountAttr { set: sys::MOUNT_ATTR_RDONLY, clear: 0, propagation: 0, userns_fd: 0 };
    let fd = mount.as_fd().as_raw_fd();
    sys::mount_setattr(fd, recursive, &attr)
        .map_err(|errno| Error::errno("make read-only", format!("mount {fd}"), errno))
}

/// An empty file system in memory: `size` in bytes (`None` is half of the memory), `mode` the permission bits of its
/// root.
///
/// # Errors
/// [`Error::Os`] when the kernel refuses.
pub fn tmpfs_detached(size: Option<u64>, mode: u32, flags: MountFlags) -> Result<OwnedFd> {
    tmpfs(size, mode, None, flags.attributes())
}

pub(crate) fn tmpfs(
    size: Option<u64>,
    mode: u32,
    owner: Option<(u32, u32)>,
    attributes: u64,
) -> Result<OwnedFd> {
    let number = |n: u64| CString::new(n.to_string()).expect("digits hold no NUL");
    let size = size.map(number);
    let mode = CString::new(format!("{mode:o}")).expect("digits hold no NUL");
    let owner = owner.map(|(uid, gid)| (number(uid.into()), number(gid.into())));
    let mut options = vec![(c"mode", mode.as_c_str())];
    if let Some(size) = &size {
        options.push((c"size", size));
    }
    if let Some((uid, gid)) = &owner {
        options.push((c"uid", uid));
        options.push((c"gid", gid));
    }
    create(c"tmpfs", &options, attributes)
}

/// A new detached mount of any type.
pub(crate) fn create(
    fstype: &std::ffi::CStr,
    options: &[(&std::ffi::CStr, &std::ffi::CStr)],
    attributes: u64,
) -> Result<OwnedFd> {
    match sys::new_mount(fstype, options, attributes) {
        // SAFETY: the call made this descriptor and nothing else owns it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(errno) => Err(Error::errno("mount", fstype.to_string_lossy(), errno)),
    }
}
