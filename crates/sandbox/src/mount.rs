//! Detached mounts: file trees that are mounted nowhere yet. Their descriptor can be read through with `openat2`,
//! and a sandbox puts them where they belong ([`crate::Tree::Mount`]).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
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

/// A file or directory inside a detached mount as a mount of its own, resolved as if the mount's root were `/`. The
/// mount is used up: with kernels before 6.15 it has to be attached somewhere for this, in a mount namespace that lives
/// only for the call.
///
/// # Errors
/// [`Error::Os`] names the path.
pub fn subtree(mount: OwnedFd, path: &Path, recursive: bool, readonly: bool) -> Result<OwnedFd> {
    let shown = || path.display().to_string();
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let inside = rustix::fs::openat2(&mount, path, flags, Mode::empty(), resolve)
        .map_err(|source| Error::os("open", shown(), source))?;
    match bind_detached_fd(&inside, recursive, readonly) {
        Err(Error::Os { source, .. }) if source.raw_os_error() == Some(libc::EINVAL) => {
            attached_subtree(&mount, &inside, recursive, readonly)
        }
        Err(Error::Os { source, .. }) => Err(Error::os("bind", shown(), source)),
        other => other,
    }
}

/// The way of older kernels: what is mounted in the caller's own namespace can be cloned.
fn attached_subtree(mount: &OwnedFd, inside: &OwnedFd, recursive: bool, readonly: bool) -> Result<OwnedFd> {
    let attach = || {
        let failed = |errno| Error::errno("attach", "a detached mount", errno);
        sys::unshare(libc::CLONE_FS | libc::CLONE_NEWNS).map_err(failed)?;
        sys::make_private().map_err(failed)?;
        sys::move_mount_to_path(mount.as_raw_fd(), c"/").map_err(failed)?;
        bind_detached_fd(inside, recursive, readonly)
    };
    // A thread may leave the process's mount namespace; the namespace ends with it.
    std::thread::scope(|scope| scope.spawn(attach).join().expect("because the thread does not panic"))
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
    match sys::new_mount(fstype, options, None, attributes) {
        // SAFETY: the call made this descriptor and nothing else owns it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(errno) => Err(Error::errno("mount", fstype.to_string_lossy(), errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subtree_of_a_detached_mount() {
        for way in [subtree, |mount: OwnedFd, path: &Path, recursive, readonly| {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let inside =
                rustix::fs::openat2(&mount, path, flags, Mode::empty(), ResolveFlags::IN_ROOT).unwrap();
            attached_subtree(&mount, &inside, recursive, readonly)
        }] {
            let tmpfs = tmpfs_detached(Some(1 << 20), 0o755, MountFlags::default()).unwrap();
            rustix::fs::mkdirat(&tmpfs, "a", Mode::from_raw_mode(0o755)).unwrap();
            rustix::fs::mkdirat(&tmpfs, "a/b", Mode::from_raw_mode(0o755)).unwrap();
            rustix::fs::symlinkat("/a", &tmpfs, "link").unwrap();
            let sub = way(tmpfs, Path::new("/link"), false, true).unwrap();
            assert!(rustix::fs::statat(&sub, "b", rustix::fs::AtFlags::empty()).is_ok());
            assert_eq!(
                rustix::fs::mkdirat(&sub, "c", Mode::from_raw_mode(0o755)),
                Err(rustix::io::Errno::ROFS)
            );
        }
    }
}
