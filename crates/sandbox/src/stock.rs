//! What all sandboxes of a launcher have in common, made once: a file system in memory for the files that they are
//! given (`/etc/hosts`, secrets), and an empty one for the directories that are hidden from them.
//!
//! A file system in memory for each file costs its making, and at its end, since a descriptor of a mount is closed that
//! is mounted nowhere, a wait until no processor uses it any more: milliseconds on a busy machine. So a file is one
//! among others, and what a sandbox gets is a mount of this file alone: it can reach no other, and the file goes with
//! its process. Only what a sandbox writes into its files counts against a limit that they share; where that is
//! exhausted, and before Linux 6.15, a file gets a file system of its own.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};

use crate::error::{Error, Result};
use crate::{mount, sys};

/// What the shared files and what is written into them may take, in bytes.
const SHARED: u64 = 64 << 20;
/// A file from this size on is better off alone.
const LARGE: usize = 1 << 20;

/// What a file in memory begins with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Data<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) readonly: bool,
}

/// The common things, made when they are first needed.
#[derive(Debug, Default)]
pub(crate) struct Stock {
    files: Mutex<Option<Arc<OwnedFd>>>,
    next: AtomicU64,
    empty: Mutex<Option<Arc<OwnedFd>>>,
    /// Whether the kernel copies no mount that is mounted nowhere: then everything is made anew each time.
    refused: AtomicBool,
}

/// A file among others; it goes with this.
#[derive(Debug)]
pub(crate) struct Shared {
    folder: Arc<OwnedFd>,
    name: String,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = rustix::fs::unlinkat(&*self.folder, self.name.as_str(), AtFlags::empty());
    }
}

impl Stock {
    /// A file in memory as a mount of its own; where it is one among others, also what it must not outlive.
    pub(crate) fn file(&self, data: &Data<'_>) -> Result<(OwnedFd, Option<Shared>)> {
        if data.bytes.len() < LARGE
            && !self.refused.load(Ordering::Relaxed)
            && let Ok((mount, shared)) = self.shared(data)
        {
            return Ok((mount, Some(shared)));
        }
        let folder = files(data.bytes.len() as u64 + 65_536)?;
        write(&folder, "data", data)?;
        Ok((mount::subtree(folder, Path::new("data"), false, data.readonly)?, None))
    }

    fn shared(&self, data: &Data<'_>) -> Result<(OwnedFd, Shared)> {
        let folder = kept(&self.files, || files(SHARED))?;
        let name = self.next.fetch_add(1, Ordering::Relaxed).to_string();
        let shared = Shared { folder: folder.clone(), name };
        write(&folder, &shared.name, data)?;
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, shared.name.as_str(), flags, Mode::empty()).map_err(failed)?;
        let mount = mount::bind_detached_fd(&file, false, data.readonly).inspect_err(|_| {
            self.refused.store(true, Ordering::Relaxed);
        })?;
        Ok((mount, shared))
    }

    /// An empty read-only directory as a mount of its own.
    pub(crate) fn empty(&self) -> Result<OwnedFd> {
        let strict = sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV | sys::MOUNT_ATTR_NOEXEC;
        let new = || mount::tmpfs(Some(4096), 0o755, None, strict | sys::MOUNT_ATTR_RDONLY);
        if self.refused.load(Ordering::Relaxed) {
            return new();
        }
        let empty = kept(&self.empty, new)?;
        mount::bind_detached_fd(&*empty, false, false).or_else(|_| {
            self.refused.store(true, Ordering::Relaxed);
            new()
        })
    }
}

/// What is in `place`, put there first where nothing is.
fn kept(place: &Mutex<Option<Arc<OwnedFd>>>, make: impl FnOnce() -> Result<OwnedFd>) -> Result<Arc<OwnedFd>> {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    match &*place {
        Some(known) => Ok(known.clone()),
        None => Ok(place.insert(Arc::new(make()?)).clone()),
    }
}

fn files(size: u64) -> Result<OwnedFd> {
    mount::tmpfs(Some(size), 0o700, None, sys::MOUNT_ATTR_NOSUID | sys::MOUNT_ATTR_NODEV)
}

fn failed(source: rustix::io::Errno) -> Error {
    Error::os("make", "a file in memory", source)
}

fn write(folder: &OwnedFd, name: &str, data: &Data<'_>) -> Result<()> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(0o600)).map_err(failed)?;
    let mut rest = data.bytes;
    while !rest.is_empty() {
        let written = rustix::io::write(&file, rest).map_err(failed)?;
        rest = &rest[written..];
    }
    if (data.uid, data.gid) != (0, 0) {
        let (uid, gid) = (Uid::from_raw(data.uid), Gid::from_raw(data.gid));
        rustix::fs::fchown(&file, Some(uid), Some(gid)).map_err(failed)?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(data.mode & 0o7777)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    fn data(bytes: &[u8]) -> Data<'_> {
        Data { bytes, mode: 0o640, uid: 0, gid: 0, readonly: false }
    }

    fn names(stock: &Stock) -> usize {
        let folder = stock.files.lock().unwrap().clone().unwrap();
        std::fs::read_dir(format!("/proc/self/fd/{}", folder.as_raw_fd())).unwrap().count()
    }

    #[test]
    fn a_shared_file_goes_with_its_owner_and_a_large_one_is_alone() {
        let stock = Stock::default();
        let (one, first) = stock.file(&data(b"one")).unwrap();
        let (two, second) = stock.file(&data(b"two")).unwrap();
        let (large, alone) = stock.file(&data(&vec![b'x'; LARGE])).unwrap();
        assert!(alone.is_none());
        for (mount, size) in [(&one, 3), (&two, 3), (&large, LARGE as i64)] {
            let stat = rustix::fs::fstat(mount).unwrap();
            assert_eq!((stat.st_size, stat.st_mode & 0o7777), (size, 0o640));
        }
        if stock.refused.load(Ordering::Relaxed) {
            assert!(first.is_none() && second.is_none(), "before Linux 6.15 each is alone");
            return;
        }
        assert_eq!(names(&stock), 2);
        drop(first);
        assert_eq!(names(&stock), 1);
        drop(second);
        assert_eq!(names(&stock), 0);
        // What is mounted stays readable.
        assert_eq!(rustix::fs::fstat(&one).unwrap().st_size, 3);
    }

    #[test]
    fn what_hides_a_directory_is_empty_and_cannot_be_written() {
        let stock = Stock::default();
        for _ in 0..2 {
            let empty = stock.empty().unwrap();
            let made = rustix::fs::mkdirat(&empty, "a", Mode::from_raw_mode(0o755));
            assert_eq!(made, Err(rustix::io::Errno::ROFS));
        }
    }
}
