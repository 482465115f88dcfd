//! Locks between processes: `flock` on files that close on exec. The lock belongs to the open file, so it ends with
//! the process however that ends, and no process number is ever looked at.
//!
//! A lock file may be removed by whoever holds it exclusively. So after every acquisition the holder checks that the
//! file still has its name; if not, it starts over with the new file.

use crate::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Asked now and then while something waits for a lock: `true` to go on waiting, `false` to give up.
pub type Wait<'a> = &'a mut dyn FnMut() -> bool;

/// The longest note that is read, in bytes.
const LONGEST_NOTE: u64 = 64 << 10;

/// How a lock is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// With other holders of the same mode.
    Shared,
    /// With nobody.
    Exclusive,
}

/// A held lock; dropping it lets go.
#[derive(Debug)]
pub(crate) struct FileLock {
    file: File,
    path: PathBuf,
    remove: bool,
}

impl FileLock {
    /// Takes the lock now or says that it is held (`None`).
    pub(crate) fn try_take(path: &Path, mode: Mode) -> Result<Option<Self>> {
        loop {
            let file = open(path)?;
            if !try_lock(&file, mode, path)? {
                return Ok(None);
            }
            if still_named(&file, path) {
                return Ok(Some(Self { file, path: path.to_owned(), remove: false }));
            }
        }
    }

    /// Takes the lock, asking `wait` between attempts: after 1 ms, then less and less often, down to 20 ms.
    pub(crate) fn take(path: &Path, mode: Mode, wait: Wait<'_>) -> Result<Self> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(lock) = Self::try_take(path, mode)? {
                return Ok(lock);
            }
            if !wait() {
                return Err(Error::Cancelled { path: path.to_owned() });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Takes the lock however long that takes; for locks that are held for moments only.
    pub(crate) fn take_soon(path: &Path, mode: Mode) -> Result<Self> {
        loop {
            let file = open(path)?;
            let locked = match mode {
                Mode::Shared => file.lock_shared(),
                Mode::Exclusive => file.lock(),
            };
            locked.map_err(|e| Error::io("lock", path, e))?;
            if still_named(&file, path) {
                return Ok(Self { file, path: path.to_owned(), remove: false });
            }
        }
    }

    /// Removes the lock file when this (exclusive) lock ends.
    pub(crate) fn removing(mut self) -> Self {
        self.remove = true;
        self
    }

    /// What the holder before wrote into the file. One that ended by itself has removed the file.
    pub(crate) fn note(&mut self) -> Result<String> {
        let mut text = String::new();
        let read =
            self.file.rewind().and_then(|()| (&self.file).take(LONGEST_NOTE).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(text),
            // Cut within a character, or never ours: it says nothing.
            Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Ok(String::new()),
            Err(e) => Err(Error::io("read", &self.path, e)),
        }
    }

    /// Replaces what the next holder finds if this one is killed.
    pub(crate) fn set_note(&mut self, text: &str) -> Result<()> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|e| Error::io("write", &self.path, e))
    }

    /// Lets others share a lock that was taken exclusively.
    pub(crate) fn share(&self) -> Result<()> {
        self.file.lock_shared().map_err(|e| Error::io("lock", &self.path, e))
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        if self.remove {
            // Leaving an empty file behind is harmless.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| Error::io("open the lock file", path, e))
}

/// Whether the lock on an open file or folder could be had at once.
pub(crate) fn try_lock(file: &File, mode: Mode, path: &Path) -> Result<bool> {
    let tried = match mode {
        Mode::Shared => file.try_lock_shared(),
        Mode::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(e)) => Err(Error::io("lock", path, e)),
    }
}

/// Whether `path` names the open `file` (and not a later one, or nothing).
pub(crate) fn still_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exclusive_lock_keeps_all_out_and_shared_ones_only_the_exclusive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let one = FileLock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        assert!(FileLock::try_take(&path, Mode::Shared).unwrap().is_none());
        one.share().unwrap();
        let two = FileLock::try_take(&path, Mode::Shared).unwrap().unwrap();
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_none());
        drop((one, two));
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_some());
    }

    #[test]
    fn a_wait_ends_when_it_is_told_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let _held = FileLock::try_take(&path, Mode::Exclusive).unwrap().unwrap();
        let mut asked = 0;
        let gone = FileLock::take(&path, Mode::Exclusive, &mut || {
            asked += 1;
            asked < 3
        });
        assert!(matches!(gone, Err(Error::Cancelled { .. })));
        assert_eq!(asked, 3);
    }

    #[test]
    fn a_removed_lock_file_is_not_mistaken_for_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = FileLock::try_take(&path, Mode::Exclusive).unwrap().unwrap().removing();
        let waiter = std::thread::spawn({
            let path = path.clone();
            move || FileLock::take(&path, Mode::Exclusive, &mut || true).unwrap()
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(first);
        let _second = waiter.join().unwrap();
        assert!(FileLock::try_take(&path, Mode::Exclusive).unwrap().is_none());
    }
}
