//! Syncs ahead of the end: while a build still computes, the disk takes what is written already, so that the sync which
//! the build ends with ([`Store::finish`](crate::Store::finish)) finds little left.
//!
//! What they say counts no record durable: only the last sync does. But an error of the disk is told once, to whoever
//! syncs first, so one of an early sync is kept for [`Store::finish`](crate::Store::finish) to fail by.

use crate::inner::{Store, locked};
use crate::{Error, Result};
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread::JoinHandle;

/// After so many bytes the next sync is worth its while.
const WORTH: u64 = 32 << 20;

#[derive(Default)]
pub(crate) struct Early {
    /// Bytes since the last one began.
    written: u64,
    running: Option<JoinHandle<io::Result<()>>>,
    failed: Option<io::Error>,
}

impl Early {
    /// Waits for the one that runs.
    fn settle(&mut self) {
        let Some(running) = self.running.take() else { return };
        let done = running.join().unwrap_or_else(|_| Err(io::Error::other("an early sync panicked")));
        if let Err(error) = done {
            self.failed.get_or_insert(error);
        }
    }
}

/// What is on the file system of `root` is on the disk when this ends.
pub(crate) fn sync(root: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(File::open(root)?)?)
}

impl Store {
    /// Says that so many bytes were written to files of the store that stay.
    pub(crate) fn wrote(&self, bytes: u64) {
        let mut early = locked(&self.inner.early);
        early.written += bytes;
        let busy = early.running.as_ref().is_some_and(|running| !running.is_finished());
        if busy || early.written < WORTH {
            return;
        }
        early.settle();
        early.written = 0;
        let root = self.root().to_owned();
        // Where no thread is to be had there is no early sync.
        early.running = std::thread::Builder::new().spawn(move || sync(&root)).ok();
    }

    /// Waits for an early sync that runs.
    ///
    /// # Errors
    /// What one of them said.
    pub(crate) fn settle(&self) -> Result<()> {
        let mut early = locked(&self.inner.early);
        early.settle();
        early
            .failed
            .take()
            .map_or(Ok(()), |error| Err(Error::io("sync the file system of", self.root(), error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_early_failure_is_kept() {
        let failing = || std::thread::spawn(|| Err(io::Error::other("the disk is broken")));
        let mut early = Early { running: Some(failing()), ..Early::default() };
        early.settle();
        early.running = Some(std::thread::spawn(|| Ok(())));
        early.settle();
        assert_eq!(early.failed.unwrap().to_string(), "the disk is broken");
    }
}
