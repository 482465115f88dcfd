//! Leases: what a live process looked up or made is not collected under its feet.
//!
//! A lease is a file `leases/<start>-<random>` that its process holds locked; `start` is a tick. The rule: whatever a
//! process uses has `last_used` at or after the start of its lease, written, where it is older, in the same short
//! transaction that finds the row still there. The collector deletes only what was last used before the start of the
//! oldest live lease. A lease whose lock can be had belongs to a dead process and is removed.
//!
//! No row is written for a lease: a build in which everything is cached and was used a short while ago
//! ([`Options::grace`](crate::Options)) reads the index and writes nothing. That this is no race: a lease is made under
//! the shared lock of `locks/collect`, which the collector holds exclusively from looking at the leases to the commit of
//! its deletions; so a lease is either seen by the collector or begins after what it deleted is gone.

use crate::inner::{Store, locked, now, random};
use crate::lock::{FileLock, Mode, still_named, try_lock};
use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A held lease. The store takes one by itself with the first look-up and keeps it until the last handle of the store
/// and the last of these is dropped, or [`Store::end_lease`] is called.
#[derive(Clone, Debug)]
pub struct Lease {
    _file: Arc<LeaseFile>,
}

#[derive(Debug)]
pub(crate) struct LeaseState {
    file: Arc<LeaseFile>,
    start: i64,
}

#[derive(Debug)]
struct LeaseFile {
    path: PathBuf,
    /// Locked exclusively as long as it is open.
    _file: File,
}

impl Drop for LeaseFile {
    fn drop(&mut self) {
        // A leftover is taken for a dead lease and removed by the next collection.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Takes this process's lease, if it is not held yet, and a handle on it.
    pub fn lease(&self) -> Result<Lease> {
        let (file, _) = self.hold_lease()?;
        Ok(Lease { _file: file })
    }

    /// Lets go of the store's lease, so that a collection by this process may take what it used. Handles from
    /// [`Store::lease`] still hold theirs; the next look-up takes a new one.
    pub fn end_lease(&self) {
        *locked(&self.inner.lease) = None;
        locked(&self.inner.kept).clear();
    }

    /// The start of the lease, taking it first where there is none.
    pub(crate) fn leased(&self) -> Result<i64> {
        Ok(self.hold_lease()?.1)
    }

    fn hold_lease(&self) -> Result<(Arc<LeaseFile>, i64)> {
        let mut held = locked(&self.inner.lease);
        if let Some(state) = &*held {
            return Ok((state.file.clone(), state.start));
        }
        let _collecting = FileLock::take_soon(&self.path("locks/collect"), Mode::Shared)?;
        // The wall clock may have been set back since the last tick. A clock that runs ahead does no harm: what this
        // process makes is never older than its lease (see `tick`).
        let ticked: i64 = self.with_connection(|connection| {
            Ok(connection.prepare_cached("SELECT now FROM clock")?.query_row([], |row| row.get(0))?)
        })?;
        let grace = i64::try_from(self.inner.options.grace.as_micros()).unwrap_or(i64::MAX);
        let start = ticked.max(now()).saturating_sub(grace).max(1);
        let file = Arc::new(self.make_lease_file(start)?);
        self.inner.lease_start.store(start, Ordering::Release);
        *held = Some(LeaseState { file: file.clone(), start });
        Ok((file, start))
    }

    fn make_lease_file(&self, start: i64) -> Result<LeaseFile> {
        loop {
            let name = format!("leases/{start}-{:016x}", u64::from_be_bytes(random()?));
            let path = self.path(&name);
            let file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(|e| Error::io("make the lease", &path, e))?;
            file.lock().map_err(|e| Error::io("lock", &path, e))?;
            // A collector may have taken it for a dead one before it was locked.
            if still_named(&file, &path) {
                return Ok(LeaseFile { path, _file: file });
            }
        }
    }

    /// The start of the oldest live lease, `i64::MAX` where there is none; dead ones are removed. The caller holds
    /// `locks/collect` exclusively.
    pub(crate) fn oldest_lease(&self) -> Result<i64> {
        let mut oldest = i64::MAX;
        for path in self.live_leases()? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let start = name.split_once('-').and_then(|(start, _)| start.parse().ok());
            // A live lease of unknown make protects everything.
            oldest = oldest.min(start.unwrap_or(0));
        }
        Ok(oldest)
    }

    /// Removes the leases of dead processes.
    pub(crate) fn sweep_leases(&self) -> Result<()> {
        self.live_leases().map(drop)
    }

    /// The leases of live processes; dead ones are removed.
    fn live_leases(&self) -> Result<Vec<PathBuf>> {
        let folder = self.path("leases");
        let mut live = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))? {
            let path = entry.map_err(|e| Error::io("read", &folder, e))?.path();
            let file = match File::open(&path) {
                Ok(file) => file,
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(Error::io("open the lease", &path, e)),
            };
            if try_lock(&file, Mode::Exclusive, &path)? {
                let _ = fs::remove_file(&path);
            } else {
                live.push(path);
            }
        }
        Ok(live)
    }
}
