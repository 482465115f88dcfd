//! Hashes the files that somebody selected and the stat index did not know.
//!
//! A file is hashed between two looks at its stat that must agree; a file that is being written is read again, three
//! times at most. What was hashed is remembered by this tree, and goes into the index if its stat is settled.

use super::{PENDING, Tree, is_pending};
use crate::index::Known;
use crate::{Error, FileStat, Result, StatIndex};
use layer::{Entry, Kind, Time, Xattr, compare_paths};
use oci::Hasher;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::fd::AsFd;
use std::sync::atomic::{self, AtomicUsize};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// So often a file that changes is read again.
const ATTEMPTS: usize = 3;
/// One thread is enough for less than this.
const FEW_FILES: usize = 128;
const FEW_BYTES: u64 = 4 << 20;
const BUFFER: usize = 128 << 10;
pub(super) const CAPABILITY: &[u8] = b"security.capability";
/// The kernel's largest form of that attribute takes 24 bytes; no value may be larger than this.
const LARGEST_CAPABILITY: usize = 256;

/// What [`Tree::complete`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// How many files were read.
    pub files: usize,
    /// How many bytes these have.
    pub bytes: u64,
}

/// The number of a file among those to hash, and what came of it.
type Hashed = (usize, Result<(Known, bool)>);

/// What was hashed by this tree.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// By the number of the listing's entry. The flag says whether the index may have it.
    files: BTreeMap<usize, (Known, bool)>,
}

/// The attributes of an entry with this value of `security.capability`.
pub(super) fn attributes(capability: &[u8]) -> Vec<Xattr> {
    if capability.is_empty() { Vec::new() } else { vec![(CAPABILITY.into(), capability.into())] }
}

impl Tree {
    /// Fills in what the listing has not: digests of files that the stat index did not know (see
    /// [`is_pending`](super::is_pending)) and their attributes. `selection` is any part of the listing. A file that
    /// has changed since the scan gets the size and time that it has now. Files are hashed on all processors.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file that cannot be read, [`Error::Changing`] for one that is written all the time,
    /// [`Error::NotAFile`] for one that has become something else, [`Error::Whiteout`] for a device 0:0.
    pub fn complete(&self, selection: &mut [Entry]) -> Result<Completed> {
        let whiteout = |entry: &&Entry| matches!(entry.kind, Kind::CharDevice { major: 0, minor: 0 });
        if let Some(entry) = selection.iter().find(whiteout) {
            return Err(Error::Whiteout { path: self.root.shown(&entry.path) });
        }
        let mut pending: Vec<&mut Entry> = selection.iter_mut().filter(|entry| is_pending(entry)).collect();
        if pending.is_empty() {
            return Ok(Completed::default());
        }
        let places: Vec<Option<usize>> = pending.iter().map(|entry| self.place(&entry.path)).collect();
        {
            let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            for (entry, place) in pending.iter_mut().zip(&places) {
                if let Some((known, _)) = place.and_then(|place| fresh.files.get(&place)) {
                    fill(entry, known);
                }
            }
        }
        let work: Vec<(&mut Entry, Option<usize>)> =
            pending.into_iter().zip(places).filter(|(entry, _)| is_pending(entry)).collect();
        let paths: Vec<&[u8]> = work.iter().map(|(entry, _)| &*entry.path).collect();
        let bytes = work.iter().map(|(entry, _)| entry.size()).sum();
        let hashed = self.hash_all(&paths, bytes)?;
        let mut done = Completed { files: hashed.len(), bytes: 0 };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        for ((entry, place), (known, settled)) in work.into_iter().zip(hashed) {
            done.bytes += known.stat.size;
            fill(entry, &known);
            if let Some(place) = place {
                fresh.files.insert(place, (known, settled));
            }
        }
        Ok(done)
    }

    /// The stat index as it should be kept for the next build: with what was hashed, without what is known to have
    /// changed. `None` where nothing was learned.
    #[must_use]
    pub fn index(&self) -> Option<StatIndex> {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        if !fresh.files.values().any(|(_, settled)| *settled) {
            return None;
        }
        let entries = self.listing.entries();
        // Files that this scan did not see may be another Dockerfile's, with another ignore file; they are kept
        // until they outnumber those seen.
        let keep_unseen = self.index.len() - self.known <= entries.len() + 1000;
        let mut next = StatIndex::default();
        let mut old = self.index.iter().peekable();
        for (at, entry) in entries.iter().enumerate() {
            let mut before = None;
            while let Some((path, known)) = old.peek() {
                match compare_paths(path, &entry.path) {
                    Ordering::Less => {
                        if keep_unseen {
                            next.push(path, (*known).clone());
                        }
                    }
                    Ordering::Equal => before = Some(*known),
                    Ordering::Greater => break,
                }
                old.next();
            }
            match fresh.files.get(&at) {
                Some((known, true)) => next.push(&entry.path, known.clone()),
                Some((_, false)) => {}
                None => {
                    if let Some(known) = before.filter(|known| known.stat == self.stats[at]) {
                        next.push(&entry.path, known.clone());
                    }
                }
            }
        }
        if keep_unseen {
            for (path, known) in old {
                next.push(path, known.clone());
            }
        }
        Some(next)
    }

    /// The number of the listing's entry at `path`.
    fn place(&self, path: &[u8]) -> Option<usize> {
        self.listing.entries().binary_search_by(|entry| compare_paths(&entry.path, path)).ok()
    }

    fn hash_all(&self, paths: &[&[u8]], bytes: u64) -> Result<Vec<(Known, bool)>> {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = match paths.len() {
            files if files < 2 || (files < FEW_FILES && bytes < FEW_BYTES) => 1,
            files => self.threads.unwrap_or_else(available).clamp(1, files),
        };
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Hashed>> = Mutex::new(Vec::with_capacity(paths.len()));
        let work = || {
            let mut buffer = vec![0; BUFFER];
            let mut own = Vec::new();
            loop {
                let at = next.fetch_add(1, atomic::Ordering::Relaxed);
                let Some(path) = paths.get(at) else { break };
                let result = self.hash(path, &mut buffer);
                if result.is_err() {
                    // Nobody begins another file.
                    next.store(paths.len(), atomic::Ordering::Relaxed);
                }
                own.push((at, result));
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).append(&mut own);
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_unstable_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Hashes one file, and says whether the index may have it.
    fn hash(&self, path: &[u8], buffer: &mut [u8]) -> Result<(Known, bool)> {
        for _ in 0..ATTEMPTS {
            let began = now();
            let (mut file, before) = self.open_path(path)?;
            let capability = self.capability(path, &file)?;
            let mut hasher = Hasher::new();
            loop {
                match file.read(buffer) {
                    Ok(0) => break,
                    Ok(count) => hasher.update(&buffer[..count]),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(self.root.error("read", path, error)),
                }
                // The stat that follows tells whether there is more; so no read is spent on finding the end, and a
                // file that grows as fast as it is read ends here.
                if hasher.size() >= before.size {
                    break;
                }
            }
            let after =
                rustix::fs::fstat(&file).map_err(|error| self.root.error("read", path, error.into()))?;
            if FileStat::from(&after) == before && hasher.size() == before.size {
                let settled = before.is_settled(began, self.root.network);
                let known = Known { stat: before, digest: hasher.finish(), capability };
                return Ok((known, settled));
            }
        }
        Err(Error::Changing { path: self.root.shown(path) })
    }

    fn capability(&self, path: &[u8], file: impl AsFd) -> Result<Box<[u8]>> {
        use rustix::io::Errno;
        let mut value = [0; LARGEST_CAPABILITY];
        match rustix::fs::fgetxattr(file, CAPABILITY, &mut value[..]) {
            Ok(length) => Ok(value[..length].into()),
            Err(Errno::NODATA | Errno::NOTSUP) => Ok(Box::default()),
            Err(error) => Err(self.root.error("read the attributes of", path, error.into())),
        }
    }
}

fn fill(entry: &mut Entry, known: &Known) {
    if let Kind::File { size, digest, .. } = &mut entry.kind {
        debug_assert_eq!(*digest.as_bytes(), PENDING);
        (*size, *digest) = (known.stat.size, known.digest);
        entry.mtime = known.stat.mtime;
        entry.xattrs = attributes(&known.capability);
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}
