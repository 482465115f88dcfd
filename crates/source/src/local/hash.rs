//! Hashes the files that somebody selected and the stat index did not know.
//!
//! A file is hashed between two looks at its stat that must agree; a file that is being written is read again, three
//! times at most. What was hashed is remembered by this tree, and goes into the index if its stat is settled.
//!
//! Small files are read in runs of neighbours, and the first look at their stats is that of the walk. Whoever wants to
//! keep their bytes ([`Keep`]) gets a run at once, so that they are never read a second time.

use super::{BENEATH, PENDING, Tree, is_pending};
use crate::index::{Kept, Known};
use crate::{Error, FileStat, Result, StatIndex};
use layer::{Content, Entry, Kind, LayerId, Place, Time, Xattr, compare_paths};
use oci::{Digest, Hasher};
use rustix::fs::{Mode, OFlags};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{self, AtomicUsize};
use std::sync::{Mutex, PoisonError};
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

/// The number of a file among those to hash, and what came of it; where it is kept, counted from the room's beginning.
type Hashed = (usize, Result<(Known, bool)>, Option<u64>);

/// A file to hash.
struct Wanted<'a> {
    path: &'a [u8],
    /// As the walk saw it.
    stat: Option<FileStat>,
}

impl Wanted<'_> {
    fn is_small(&self) -> bool {
        self.stat.is_some_and(|stat| stat.size <= SMALL)
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
fn runs(files: &[Wanted<'_>]) -> (Vec<Run>, u64) {
    let mut runs: Vec<Run> = Vec::new();
    let mut room = 0;
    for (at, file) in files.iter().enumerate() {
        let bytes = match file.stat {
            Some(stat) if file.is_small() => stat.size.next_multiple_of(ALIGNMENT),
            _ => 0,
        };
        match runs.last_mut() {
            Some(run)
                if file.is_small()
                    && files[run.files.start].is_small()
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

/// What was hashed by this tree.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    /// By the number of the listing's entry. The flag says whether the index may have it.
    files: BTreeMap<usize, (Known, bool)>,
    /// Where the bytes of others were put since.
    places: BTreeMap<usize, Kept>,
    /// What layers are called by number; those of the listing come first.
    layers: Vec<LayerId>,
}

impl Fresh {
    pub(super) fn of(layers: &[LayerId]) -> Self {
        Self { layers: layers.to_vec(), ..Self::default() }
    }

    pub(super) fn layers(&self) -> &[LayerId] {
        &self.layers
    }

    fn number(&mut self, layer: LayerId) -> u32 {
        let at = self.layers.iter().position(|known| *known == layer).unwrap_or_else(|| {
            self.layers.push(layer);
            self.layers.len() - 1
        });
        u32::try_from(at).expect("because no build makes so many layers")
    }
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
        self.complete_keeping(selection, None)
    }

    /// [`complete`](Self::complete), and the bytes of small files that are read for it go to `keep`. Their entries say
    /// where they are: [`Content::Borrowed`], of the layers that [`kept_layers`](Self::kept_layers) numbers.
    ///
    /// # Errors
    /// As those of [`complete`](Self::complete).
    pub fn complete_keeping(&self, selection: &mut [Entry], keep: Option<&dyn Keep>) -> Result<Completed> {
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
        let files: Vec<Wanted<'_>> = work
            .iter()
            .map(|(entry, place)| Wanted { path: &entry.path, stat: place.map(|place| self.stats[place]) })
            .collect();
        let bytes = work.iter().map(|(entry, _)| entry.size()).sum();
        let (hashed, room) = self.hash_all(&files, bytes, keep)?;
        let mut done = Completed { files: hashed.len(), bytes: 0 };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let room = room.map(|(layer, offset)| (fresh.number(layer), offset));
        for ((entry, place), (mut known, settled, kept)) in work.into_iter().zip(hashed) {
            if let (Some((layer, start)), Some(offset)) = (room, kept) {
                known.kept = Some(Kept { layer, offset: start + offset });
            }
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
        if fresh.places.is_empty() && !fresh.files.values().any(|(_, settled)| *settled) {
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
            let known = match fresh.files.get(&at) {
                Some((known, true)) => Some(known),
                Some((_, false)) => None,
                None => before.filter(|known| known.stat == self.stats[at]),
            };
            if let Some(known) = known {
                let kept = fresh.places.get(&at).copied().or(known.kept);
                next.push(&entry.path, Known { kept, ..known.clone() });
            }
        }
        if keep_unseen {
            for (path, known) in old {
                next.push(path, known.clone());
            }
        }
        next.set_layers(fresh.layers.clone());
        Some(next)
    }

    /// Says where the store keeps the bytes of files now, by their paths: in the pack of `layer` at these offsets.
    pub fn keep<'a>(&self, layer: LayerId, files: impl IntoIterator<Item = (&'a [u8], u64)>) {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        let layer = fresh.number(layer);
        for (path, offset) in files {
            if let Some(at) = self.place(path) {
                fresh.places.insert(at, Kept { layer, offset });
            }
        }
    }

    /// The number of the listing's entry at `path`.
    fn place(&self, path: &[u8]) -> Option<usize> {
        self.listing.entries().binary_search_by(|entry| compare_paths(&entry.path, path)).ok()
    }

    #[allow(
        clippy::type_complexity,
        reason = "what is known of each file, and the room that its bytes are in"
    )]
    fn hash_all(
        &self,
        files: &[Wanted<'_>],
        bytes: u64,
        keep: Option<&dyn Keep>,
    ) -> Result<(Vec<(Known, bool, Option<u64>)>, Option<(LayerId, u64)>)> {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = match files.len() {
            count if count < 2 || (count < FEW_FILES && bytes < FEW_BYTES) => 1,
            count => self.threads.unwrap_or_else(available).clamp(1, count),
        };
        let (runs, size) = runs(files);
        let room = keep.filter(|_| size > 0).and_then(|keep| keep.room(size));
        let next = AtomicUsize::new(0);
        let results: Mutex<Vec<Hashed>> = Mutex::new(Vec::with_capacity(files.len()));
        let work = || {
            let mut reader = Reader { tree: self, directory: None, run: Vec::new(), buffer: Vec::new() };
            let mut own = Vec::new();
            loop {
                let at = next.fetch_add(1, atomic::Ordering::Relaxed);
                let Some(run) = runs.get(at) else { break };
                let begin = own.len();
                reader.run(files, run, &mut own);
                let kept = match (keep, room) {
                    (Some(keep), Some((_, start))) if run.bytes > 0 => {
                        keep.write(start + run.offset, &reader.run).is_ok()
                    }
                    _ => false,
                };
                for (_, result, place) in &mut own[begin..] {
                    *place = place.filter(|_| kept).map(|place| run.offset + place);
                    if result.is_err() {
                        // Nobody begins another run.
                        next.store(runs.len(), atomic::Ordering::Relaxed);
                    }
                }
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
        results.sort_unstable_by_key(|(at, ..)| *at);
        let each = |(_, result, place): Hashed| result.map(|(known, settled)| (known, settled, place));
        Ok((results.into_iter().map(each).collect::<Result<_>>()?, room))
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
                let known = Known { stat: before, digest: hasher.finish(), capability, kept: None };
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
    /// Hashes the files of a run. Those that are as the walk saw them lie in `run` at the places that are told.
    fn run(&mut self, files: &[Wanted<'_>], run: &Run, done: &mut Vec<Hashed>) {
        self.run.clear();
        for at in run.files.clone() {
            let file = &files[at];
            if let Some(stat) = file.stat.filter(|_| file.is_small()) {
                let place = self.run.len();
                let hashed = self.small(file.path, &stat);
                self.run.resize(place + stat.size.next_multiple_of(ALIGNMENT) as usize, 0);
                if let Some(hashed) = hashed {
                    done.push((at, Ok(hashed), Some(place as u64)));
                    continue;
                }
            }
            self.buffer.resize(BUFFER, 0);
            let hashed = self.tree.hash(file.path, &mut self.buffer);
            let failed = hashed.is_err();
            done.push((at, hashed, None));
            if failed {
                return;
            }
        }
    }

    /// Hashes a small file and leaves its bytes at the end of the run; nothing where it is not as the walk saw it, or
    /// cannot be read, which the long way then says.
    fn small(&mut self, path: &[u8], stat: &FileStat) -> Option<(Known, bool)> {
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
        Some((Known { stat: *stat, digest, capability, kept: None }, settled))
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

fn fill(entry: &mut Entry, known: &Known) {
    if let Kind::File { size, digest, content, .. } = &mut entry.kind {
        debug_assert_eq!(*digest.as_bytes(), PENDING);
        (*size, *digest) = (known.stat.size, known.digest);
        if let Some(Kept { layer, offset }) = known.kept {
            *content = Content::Borrowed { layer, place: Place::Pack(offset) };
        }
        entry.mtime = known.stat.mtime;
        entry.xattrs = attributes(&known.capability);
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}
