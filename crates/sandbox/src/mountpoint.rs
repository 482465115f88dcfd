//! The mount points that a launcher made in a root, and how a layer gets rid of them.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, Timespec, Timestamps};

use crate::error::{Error, Result};

/// A directory or file that was made in the root as a mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Where, inside the root, as it was asked for: links in it were followed inside the root.
    pub path: PathBuf,
    /// An empty file; otherwise a directory.
    pub is_file: bool,
    /// Access and modification time of the directory it was made in, before: seconds and nanoseconds.
    pub parent_times: [(i64, i64); 2],
}

/// Removes mount points from a root after the process has ended, innermost first, and gives the directories they were
/// in their times back. What has been filled meanwhile, or is gone, stays as it is.
///
/// # Errors
/// [`Error::Os`] names the path.
pub fn remove(root: impl AsFd, created: &[Created]) -> Result<()> {
    for point in created.iter().rev() {
        let failed = |source| Error::os("remove the mount point", point.path.display().to_string(), source);
        let (Some(parent), Some(name)) = (point.path.parent(), point.path.file_name()) else { continue };
        let Some(directory) = open(root.as_fd(), parent).map_err(failed)? else { continue };
        let flags = if point.is_file {
            match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if stat.st_size == 0 && stat.st_mode & libc::S_IFMT == libc::S_IFREG => {
                    AtFlags::empty()
                }
                Ok(_) | Err(rustix::io::Errno::NOENT) => continue,
                Err(source) => return Err(failed(source)),
            }
        } else {
            AtFlags::REMOVEDIR
        };
        match rustix::fs::unlinkat(&directory, name, flags) {
            Ok(()) => {
                let [access, modification] = point
                    .parent_times
                    .map(|(seconds, nanoseconds)| Timespec { tv_sec: seconds, tv_nsec: nanoseconds });
                let times = Timestamps { last_access: access, last_modification: modification };
                rustix::fs::futimens(&directory, &times).map_err(failed)?;
            }
            Err(
                rustix::io::Errno::NOENT
                | rustix::io::Errno::NOTEMPTY
                | rustix::io::Errno::NOTDIR
                | rustix::io::Errno::EXIST,
            ) => {}
            Err(source) => return Err(failed(source)),
        }
    }
    Ok(())
}

fn open(root: impl AsFd, path: &Path) -> rustix::io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
        Ok(directory) => Ok(Some(directory)),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => Ok(None),
        Err(error) => Err(error),
    }
}
