//! Hashes the files that somebody selected and the stat index did not know.
//!
//! A file is hashed between two looks at its stat that must agree; a file that is being written is read again, three
//! times at most. What was hashed goes into the listing at once, and into the index if its stat is settled. Until all
//! are done a file takes 48 bytes; only what is not as the walk saw it takes more.
//!
//! Small files are read in runs of neighbours, and the first look at their stats is that of the walk. Whoever wants to
//! keep their bytes ([`Keep`]) gets a run at once, so that they are never read a second time.

use super::stats::Stats;
use super::{BENEATH, State, Tree, fill, is_pending, stat_of};
use crate::index::{Kept, Known};
use crate::{Error, FileStat, Result};
use layer::{Kind, LayerId, Listing, Time, Xattr};
use oci::{Digest, Hasher};
use rustix::fs::{Mode, OFlags};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{self, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// So often a file that changes is read again.
const ATTEMPTS: usize = 3;
/// One thread is enough for less than this.
const FEW_FILES: usize = 128;
const FEW_BYTES: u64 = 4 << 20;
const BUFFER: usize = 128 << 10;
/// Larger files are read by themselves and not kept.
const SMALL: u64 = 128 << 10;
/// A run ends when it has as much as this.
const RUN_BYTES: u64 = 256 << 10;
const RUN_FILES: usize = 256;
/// Kept files begin at multiples of this.
const ALIGNMENT: u64 = 512;
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

/// Keeps the bytes of small files as they are hashed.
pub trait Keep: Sync {
    /// Room for so many bytes in a row in the pack of a layer, which begins at a multiple of 512; nothing where no more
    /// is kept.
    fn room(&self, bytes: u64) -> Option<(LayerId, u64)>;

    /// Writes into that room.
    ///
    /// # Errors
    /// What the system says. The files are then hashed all the same, and not kept.
    fn write(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()>;
}

/// What came of hashing a file.
struct Hashed {
    /// Its number in the listing.
    number: u32,
    settled: bool,
    digest: Digest,
    /// Where its bytes are, counted from the room's beginning; [`NOWHERE`] if they are not kept.
    kept: u64,
}

/// The stat of a file that was read, its digest, its capability, and whether the index may have it.
type Contents = (FileStat, Digest, Box<[u8]>, bool);

const NOWHERE: u64 = u64::MAX;

/// What came of hashing files.
#[derive(Default)]
struct Results {
    hashed: Vec<Hashed>,
    /// Of files that are not as the walk saw them, or have a capability: how they are, and that attribute's value.
    odd: HashMap<u32, (FileStat, Box<[u8]>)>,
    /// The error of the first file that has one.
    error: Option<(u32, Error)>,
}

impl Results {
    fn add(&mut self, mut other: Self) {
        self.hashed.append(&mut other.hashed);
        self.odd.extend(other.odd);
        if let Some((number, error)) = other.error
            && self.error.as_ref().is_none_or(|(first, _)| number < *first)
        {
            self.error = Some((number, error));
        }
    }
}

/// The files to hash: numbers in the listing.
struct Wanted<'a> {
    listing: &'a Listing,
    stats: &'a Stats,
    numbers: &'a [u32],
}

impl Wanted<'_> {
    fn path(&self, at: usize) -> &[u8] {
        self.listing.path(self.numbers[at] as usize)
    }

    /// As the walk saw it.
    fn stat(&self, at: usize) -> FileStat {
        stat_of(self.listing, self.stats, self.numbers[at] as usize)
    }

    fn size(&self, at: usize) -> u64 {
        self.listing.entry(self.numbers[at] as usize).size()
    }

    fn is_small(&self, at: usize) -> bool {
        self.size(at) <= SMALL
    }
}

/// Small neighbours, or one other file.
struct Run {
    files: Range<usize>,
    /// Where its bytes begin in the room for all, and how many they are with the gaps.
    offset: u64,
    bytes: u64,
}

/// Divides files into runs; gives also how much room all small ones take.
fn runs(files: &Wanted<'_>) -> (Vec<Run>, u64) {
    let mut runs: Vec<Run> = Vec::new();
    let mut room = 0;
    for at in 0..files.numbers.len() {
        let small = files.is_small(at);
        let bytes = if small { files.size(at).next_multiple_of(ALIGNMENT) } else { 0 };
        match runs.last_mut() {
            Some(run)
                if small
                    && files.is_small(run.files.start)
                    && run.files.len() < RUN_FILES
                    && run.bytes + bytes <= RUN_BYTES =>
            {
                run.files.end = at + 1;
                run.bytes += bytes;
            }
            _ => runs.push(Run { files: at..at + 1, offset: room, bytes }),
        }
        room += bytes;
    }
    (runs, room)
}

/// The attributes of an entry with this value of `security.capability`.
pub(super) fn attributes(capability: &[u8]) -> Vec<Xattr> {
    if capability.is_empty() { Vec::new() } else { vec![(CAPABILITY.into(), capability.into())] }
}

impl Tree {
    /// Fills in what the listing has not of the entries with these numbers: digests of files that the stat index did
    /// not know (see [`is_pending`](super::is_pending)) and their attributes. A file that has changed since the scan
    /// gets the size and time that it has now. Files are hashed on all processors. Listings that were given out before
    /// stay as they are.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file that cannot be read, [`Error::Changing`] for one that is written all the time,
    /// [`Error::NotAFile`] for one that has become something else, [`Error::Whiteout`] for a device 0:0.
    pub fn complete(&self, numbers: &[u32]) -> Result<Completed> {
        self.complete_keeping(numbers, None)
    }

    /// [`complete`](Self::complete), and the bytes of small files that are read for it go to `keep`. Their entries say
    /// where they are: [`Content::Borrowed`](layer::Content::Borrowed).
    ///
    /// # Errors
    /// As those of [`complete`](Self::complete).
    pub fn complete_keeping(&self, numbers: &[u32], keep: Option<&dyn Keep>) -> Result<Completed> {
        let _alone = self.completing.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut results, room) = {
            let state = self.read();
            let listing = &*state.listing;
            let mut pending = Vec::new();
            for number in numbers {
                let entry = listing.entry(*number as usize);
                if matches!(entry.kind, Kind::CharDevice { major: 0, minor: 0 }) {
                    return Err(Error::Whiteout { path: self.root.shown(&entry.path) });
                }
                if is_pending(&entry) {
                    pending.push(*number);
                }
            }
            if pending.is_empty() {
                return Ok(Completed::default());
            }
            // Two sources may lead to one file.
            pending.sort_unstable();
            pending.dedup();
            self.hash_all(&Wanted { listing, stats: &state.stats, numbers: &pending }, keep)?
        };
        let mut state = self.write();
        let room = room.map(|(layer, offset)| (state.number(layer), offset));
        let kept = |place| {
            room.filter(|_| place != NOWHERE).map(|(layer, start)| Kept { layer, offset: start + place })
        };
        let mut done = Completed { files: results.hashed.len(), bytes: 0 };
        let State { listing, stats, unclear, unsettled, learned } = &mut *state;
        let listing = Arc::make_mut(listing);
        for Hashed { number, settled, digest, kept: place } in results.hashed {
            let at = number as usize;
            let odd = results.odd.remove(&number);
            let (stat, capability) = odd.unwrap_or_else(|| (stat_of(listing, stats, at), Box::default()));
            done.bytes += stat.size;
            fill(listing, at, &Known { stat, digest, capability, kept: kept(place) });
            stats.set(at, &stat);
            *unclear -= 1;
            *learned |= settled;
            if !settled {
                unsettled.insert(at);
            }
        }
        Ok(done)
    }

    #[allow(clippy::type_complexity, reason = "what came of it, and the room that bytes are in")]
    fn hash_all(
        &self,
        files: &Wanted<'_>,
        keep: Option<&dyn Keep>,
    ) -> Result<(Results, Option<(LayerId, u64)>)> {
        let count = files.numbers.len();
        let bytes: u64 = (0..count).map(|at| files.size(at)).sum();
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = match count {
            count if count < 2 || (count < FEW_FILES && bytes < FEW_BYTES) => 1,
            count => self.threads.unwrap_or_else(available).clamp(1, count),
        };
        let (runs, size) = runs(files);
        let room = keep.filter(|_| size > 0).and_then(|keep| keep.room(size));
        let next = AtomicUsize::new(0);
        let hashed = Vec::with_capacity(count);
        let results = Mutex::new(Results { hashed, ..Results::default() });
        let work = || {
            let mut reader = Reader { tree: self, directory: None, run: Vec::new(), buffer: Vec::new() };
            loop {
                let at = next.fetch_add(1, atomic::Ordering::Relaxed);
                let Some(run) = runs.get(at) else { break };
                let mut own = Results::default();
                reader.run(files, run, &mut own);
                let kept = match (keep, room) {
                    (Some(keep), Some((_, start))) if run.bytes > 0 => {
                        keep.write(start + run.offset, &reader.run).is_ok()
                    }
                    _ => false,
                };
                for hashed in own.hashed.iter_mut().filter(|hashed| hashed.kept != NOWHERE) {
                    hashed.kept = if kept { run.offset + hashed.kept } else { NOWHERE };
                }
                if own.error.is_some() {
                    // Nobody begins another run.
                    next.store(runs.len(), atomic::Ordering::Relaxed);
                }
                results.lock().unwrap_or_else(PoisonError::into_inner).add(own);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        match results.error {
            Some((_, error)) => Err(error),
            None => Ok((results, room)),
        }
    }

    /// Hashes one file: its stat, its digest, its capability, and whether the index may have it.
    fn hash(&self, path: &[u8], buffer: &mut [u8]) -> Result<Contents> {
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
                return Ok((before, hasher.finish(), capability, settled));
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

/// What one thread reads with.
struct Reader<'a> {
    tree: &'a Tree,
    /// The directory of the last small file, and its path.
    directory: Option<(Vec<u8>, OwnedFd)>,
    /// The bytes of the run, with gaps.
    run: Vec<u8>,
    buffer: Vec<u8>,
}

impl Reader<'_> {
    /// Hashes the files of a run. Those that are small and as the walk saw them lie in `run` at the places that are
    /// told.
    fn run(&mut self, files: &Wanted<'_>, run: &Run, done: &mut Results) {
        self.run.clear();
        for at in run.files.clone() {
            let (number, path, seen) = (files.numbers[at], files.path(at), files.stat(at));
            let mut hashed = None;
            if files.is_small(at) {
                let place = self.run.len();
                hashed = self.small(path, &seen).map(|hashed| (hashed, place as u64));
                self.run.resize(place + seen.size.next_multiple_of(ALIGNMENT) as usize, 0);
            }
            let ((stat, digest, capability, settled), kept) = match hashed {
                Some(hashed) => hashed,
                None => {
                    self.buffer.resize(BUFFER, 0);
                    match self.tree.hash(path, &mut self.buffer) {
                        Ok(hashed) => (hashed, NOWHERE),
                        Err(error) => {
                            done.error = Some((number, error));
                            return;
                        }
                    }
                }
            };
            if stat != seen || !capability.is_empty() {
                done.odd.insert(number, (stat, capability));
            }
            done.hashed.push(Hashed { number, settled, digest, kept });
        }
    }

    /// Hashes a small file and leaves its bytes at the end of the run; nothing where it is not as the walk saw it, or
    /// cannot be read, which the long way then says.
    fn small(&mut self, path: &[u8], stat: &FileStat) -> Option<Contents> {
        let began = now();
        let mut file = File::from(self.open(path)?);
        let place = self.run.len();
        let end = place + stat.size as usize;
        self.run.resize(end, 0);
        let mut have = place;
        while have < end {
            match file.read(&mut self.run[have..]) {
                Ok(0) => return None,
                Ok(count) => have += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        let capability = self.tree.capability(path, &file).ok()?;
        let now = rustix::fs::fstat(&file).ok()?;
        if FileStat::from(&now) != *stat || !rustix::fs::FileType::from_raw_mode(now.st_mode).is_file() {
            return None;
        }
        let digest = Digest::of(&self.run[place..end]);
        let settled = stat.is_settled(began, self.tree.root.network);
        Some((*stat, digest, capability, settled))
    }

    fn open(&mut self, path: &[u8]) -> Option<OwnedFd> {
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&b"."[..], path),
        };
        if self.directory.as_ref().is_none_or(|(open, _)| open != parent) {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat2(&self.tree.root.fd, parent, flags, Mode::empty(), BENEATH).ok()?;
            self.directory = Some((parent.to_vec(), fd));
        }
        let (_, directory) = self.directory.as_ref()?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::openat2(directory, name, flags, Mode::empty(), BENEATH).ok()
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}
