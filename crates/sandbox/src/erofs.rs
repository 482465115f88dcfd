//! EROFS images as detached mounts, backed by plain files (Linux 6.12): no loop device, nothing to clean up.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

use crate::error::{Error, Result};
use crate::overlay::LONGEST_STRING;

/// Mounts `image` read-only, nowhere. `devices` are the files that it refers to besides itself, in its own order. The
/// kernel reads all of them with the caller's rights and as it finds them: only images that the caller made are to be
/// mounted.
///
/// # Errors
/// [`Error::Os`] where the kernel has no such file system or cannot mount one from a file, where the caller is not root
/// of the initial user namespace, and for an image that it does not take.
pub fn mount_detached(image: &Path, devices: &[PathBuf]) -> Result<OwnedFd> {
    let shown = || image.display().to_string();
    let failed = |action| move |source| Error::os(action, shown(), source);
    let context = rustix::mount::fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).map_err(failed("mount"))?;
    let mut open = Vec::new();
    for (key, path) in
        std::iter::once(("source", image)).chain(devices.iter().map(|path| ("device", path.as_path())))
    {
        let mut name = path.as_os_str().as_bytes().to_vec();
        if name.len() > LONGEST_STRING {
            let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|source| Error::os("open", path.display().to_string(), source))?;
            name = format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes();
            open.push(fd);
        }
        rustix::mount::fsconfig_set_string(&context, key, &*name).map_err(failed("mount"))?;
    }
    rustix::mount::fsconfig_create(&context).map_err(failed("mount"))?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(failed("mount"))
}
