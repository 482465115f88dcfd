//! Locks that belong to an open file and end with its last descriptor, however the process ends (open file
//! description locks, fcntl(2)): never a process number in a file.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Error, Result};
use crate::sys;

/// A held lock. Dropping it releases it. The descriptor is close-on-exec, so children do not hold it.
#[derive(Debug)]
pub struct OfdLock {
    file: File,
}

impl OfdLock {
    /// Waits for the lock that excludes all others. The file is made where it is missing (mode 0600).
    ///
    /// # Errors
    /// [`Error::Os`] names the file.
    pub fn exclusive(path: &Path) -> Result<Self> {
        Self::take(path, libc::F_WRLCK, true).map(|lock| lock.expect("because waiting ends with the lock"))
    }

    /// Waits for a lock that others may share.
    ///
    /// # Errors
    /// [`Error::Os`] names the file.
    pub fn shared(path: &Path) -> Result<Self> {
        Self::take(path, libc::F_RDLCK, true).map(|lock| lock.expect("because waiting ends with the lock"))
    }

    /// The exclusive lock, or `None` while another holds one.
    ///
    /// # Errors
    /// [`Error::Os`] names the file.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        Self::take(path, libc::F_WRLCK, false)
    }

    /// A shared lock, or `None` while another holds the exclusive one.
    ///
    /// # Errors
    /// [`Error::Os`] names the file.
    pub fn try_shared(path: &Path) -> Result<Option<Self>> {
        Self::take(path, libc::F_RDLCK, false)
    }

    fn take(path: &Path, kind: i32, wait: bool) -> Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::os("open the lock", path.display().to_string(), source))?;
        match set(file.as_fd(), kind, wait) {
            Ok(()) => Ok(Some(Self { file })),
            Err(libc::EAGAIN | libc::EACCES) if !wait => Ok(None),
            Err(errno) => Err(Error::errno("lock", path.display().to_string(), errno)),
        }
    }

    /// Turns an exclusive lock into a shared one without letting go.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses.
    pub fn downgrade(&self) -> Result<()> {
        set(self.file.as_fd(), libc::F_RDLCK, true).map_err(|errno| Error::errno("share", "a lock", errno))
    }

    /// Turns a shared lock into the exclusive one if no other shares it; otherwise it stays shared.
    ///
    /// # Errors
    /// [`Error::Os`] when the kernel refuses for another reason.
    pub fn try_upgrade(&self) -> Result<bool> {
        match set(self.file.as_fd(), libc::F_WRLCK, false) {
            Ok(()) => Ok(true),
            Err(libc::EAGAIN | libc::EACCES) => Ok(false),
            Err(errno) => Err(Error::errno("take", "a lock", errno)),
        }
    }

    /// The locked file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Locks the whole of an open file: `kind` is F_RDLCK or F_WRLCK.
fn set(file: BorrowedFd<'_>, kind: i32, wait: bool) -> std::result::Result<(), i32> {
    // SAFETY: flock is plain data for which all zeroes is a value; `l_pid` must be 0.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    let command = if wait { libc::F_OFD_SETLKW } else { libc::F_OFD_SETLK };
    loop {
        // SAFETY: the descriptor is open and the lock valid.
        if unsafe { libc::fcntl(file.as_raw_fd(), command, &raw const lock) } == 0 {
            return Ok(());
        }
        match sys::errno() {
            libc::EINTR => {}
            errno => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_within_one_process_and_ends_with_the_value() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = OfdLock::exclusive(&path).unwrap();
        assert!(OfdLock::try_shared(&path).unwrap().is_none());
        first.downgrade().unwrap();
        let second = OfdLock::try_shared(&path).unwrap().unwrap();
        assert!(!second.try_upgrade().unwrap());
        drop(first);
        assert!(second.try_upgrade().unwrap());
        assert!(OfdLock::try_exclusive(&path).unwrap().is_none());
        drop(second);
        assert!(OfdLock::try_exclusive(&path).unwrap().is_some());
    }

    #[test]
    fn waits_for_the_holder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = OfdLock::exclusive(&path).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| OfdLock::exclusive(&path).map(drop));
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert!(!waiting.is_finished());
            drop(first);
            waiting.join().unwrap().unwrap();
        });
    }
}
