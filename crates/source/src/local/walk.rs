//! Walks a folder.
//!
//! A directory is a job: its path from the root, and what the ignore patterns said of it. Jobs need no open
//! descriptor but while they run, so that neither depth nor width is bounded by them. A second thread joins when the
//! folder turns out to be large. Names are sorted within their directory before they are looked at, and the directories
//! are put together at the end, parents before children: that is the order of a listing, without ever sorting it as a
//! whole. Until then a file takes 56 bytes and its name.

use super::stats::Stats;
use super::{BENEATH, PENDING, Root};
use crate::{Error, FileStat, Result};
use dockerfile::ignore::{Level, Patterns};
use layer::{Content, Entry, Kind, LayerId, Listing, ListingBuilder, Place, Time};
use oci::Digest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;
use std::borrow::Cow;
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Two share the work evenly; more were not measured.
const MOST_THREADS: usize = 2;
/// After so many directories a second thread is worth its start.
const LARGE: usize = 48;
/// What `getdents64` fills at once.
const DIRECTORY_BUFFER: usize = 32 << 10;

struct Job {
    path: Vec<u8>,
    level: Level,
    number: usize,
}

/// What stands in a directory, sorted by name.
#[derive(Default)]
struct Children {
    /// The names, a NUL after each.
    names: Vec<u8>,
    stats: Stats,
    all: Vec<Child>,
    /// Targets of the links among them, in order.
    targets: Vec<Box<[u8]>>,
    /// The directories among them that are read.
    below: Vec<Below>,
}

struct Child {
    /// The size of a file, the number of a device.
    value: u64,
    /// Type and permissions.
    mode: u32,
    seconds: i64,
    nanoseconds: u32,
    /// Whether it is one of several names.
    linked: bool,
}

struct Below {
    /// Which of the children.
    child: usize,
    /// Where its children are.
    number: usize,
    /// It is ignored and stands here for those below it that are not.
    ignored: bool,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// How many threads work on a job at the moment.
    busy: usize,
    /// The children of each directory, by its number; a `None` is not read yet.
    directories: Vec<Option<Children>>,
    /// How many threads wait for a job.
    waiting: usize,
    entries: usize,
    error: Option<Error>,
}

struct Walk<'a> {
    root: &'a Root,
    ignore: Option<&'a Patterns>,
    max_entries: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// What of `root` is not ignored, and a stat for each entry. `layers` are what entries will borrow from.
pub(super) fn walk(
    root: &Root,
    ignore: Option<&Patterns>,
    max_entries: usize,
    threads: Option<usize>,
    layers: Vec<LayerId>,
) -> Result<(Listing, Stats)> {
    let first = Job { path: Vec::new(), level: Level::default(), number: 0 };
    let state = State { jobs: vec![first], directories: vec![None], ..State::default() };
    let walk = Walk { root, ignore, max_entries, state: Mutex::new(state), changed: Condvar::new() };
    // Alone for as long as the folder may be small.
    if !walk.work(LARGE) {
        let available = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let helpers = threads.unwrap_or_else(available).clamp(1, MOST_THREADS) - 1;
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                scope.spawn(|| walk.work(usize::MAX));
            }
            walk.work(usize::MAX);
        });
    }
    let state = walk.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    match state.error {
        Some(error) => Err(error),
        None => Ok(assemble(state.directories, state.entries, layers)),
    }
}

impl Walk<'_> {
    /// Does jobs until none is left or can come (true), or until it has done `most` (false).
    fn work(&self, most: usize) -> bool {
        let mut reader =
            Reader { buffer: vec![MaybeUninit::uninit(); DIRECTORY_BUFFER], ..Reader::default() };
        let mut done = 0;
        loop {
            let Some(job) = self.next() else { return true };
            let number = job.number;
            let mut jobs = Vec::new();
            let children = self.directory(&job, &mut reader, &mut jobs);
            let mut state = self.lock();
            state.busy -= 1;
            match children {
                Ok(mut children) => {
                    state.entries += children.all.len();
                    if state.entries > self.max_entries && state.error.is_none() {
                        let path = self.root.path().to_owned();
                        state.error = Some(Error::TooMany { path, limit: self.max_entries });
                    }
                    // The numbers in the children and jobs count from this directory's first.
                    let base = state.directories.len();
                    for below in &mut children.below {
                        below.number += base;
                    }
                    state.directories.resize_with(base + jobs.len(), || None);
                    state.directories[number] = Some(children);
                    state.jobs.extend(jobs.into_iter().map(|job| Job { number: job.number + base, ..job }));
                }
                Err(error) => state.error = state.error.take().or(Some(error)),
            }
            if state.error.is_some() {
                state.jobs.clear();
            }
            let waiting = state.waiting;
            drop(state);
            if waiting > 0 {
                self.changed.notify_all();
            }
            done += 1;
            if done == most {
                return false;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop() {
                state.busy += 1;
                return Some(job);
            }
            if state.busy == 0 {
                return None;
            }
            state.waiting += 1;
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.waiting -= 1;
        }
    }

    /// Reads one directory. What has gone since its parent was read is left out.
    fn directory(&self, job: &Job, reader: &mut Reader, jobs: &mut Vec<Job>) -> Result<Children> {
        let mut children = Children::default();
        let path: &[u8] = if job.path.is_empty() { b"." } else { &job.path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat2(&self.root.fd, path, flags, Mode::empty(), BENEATH) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !job.path.is_empty() => return Ok(children),
            Err(error) => return Err(self.root.error("read the directory", &job.path, error.into())),
        };
        reader.names(&fd).map_err(|error| self.root.error("read the directory", &job.path, error.into()))?;
        children.all.reserve_exact(reader.found.len());
        children.stats.reserve_exact(reader.found.len());
        children.names.reserve_exact(reader.names.len());
        reader.path.clear();
        reader.path.extend_from_slice(&job.path);
        if !job.path.is_empty() {
            reader.path.push(b'/');
        }
        let prefix = reader.path.len();
        for (start, kind) in &reader.found {
            let name = CStr::from_bytes_until_nul(&reader.names[*start..])
                .expect("because every name was written with a NUL");
            reader.path.truncate(prefix);
            reader.path.extend_from_slice(name.to_bytes());
            self.child(&fd, job, &reader.path, name, *kind, jobs, &mut children)?;
        }
        Ok(children)
    }

    #[allow(clippy::too_many_arguments, reason = "one call, split off for its length")]
    fn child(
        &self,
        fd: &OwnedFd,
        job: &Job,
        path: &[u8],
        name: &CStr,
        kind: FileType,
        jobs: &mut Vec<Job>,
        children: &mut Children,
    ) -> Result<()> {
        let (mut level, mut ignored, mut skip) = (job.level, false, false);
        if let Some(patterns) = self.ignore {
            let text = match std::str::from_utf8(path) {
                Ok(text) => Cow::Borrowed(text),
                // Patterns are text: bytes that are none match what U+FFFD matches.
                Err(_) => String::from_utf8_lossy(path),
            };
            level = patterns.enter(level, &text);
            ignored = patterns.is_ignored(level);
            skip = ignored && patterns.may_skip(level, &text);
        }
        let may_be_directory = matches!(kind, FileType::Directory | FileType::Unknown);
        if kind == FileType::Socket || (ignored && (skip || !may_be_directory)) {
            return Ok(());
        }
        let stat = match rustix::fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(self.root.error("examine", path, error.into())),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                children.below.push(Below { child: children.all.len(), number: jobs.len(), ignored });
                jobs.push(Job { path: path.to_vec(), level, number: jobs.len() });
            }
            _ if ignored => return Ok(()),
            FileType::Symlink => match rustix::fs::readlinkat(fd, name, Vec::new()) {
                Ok(target) => children.targets.push(target.into_bytes().into()),
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(error) => return Err(self.root.error("read the link", path, error.into())),
            },
            FileType::RegularFile | FileType::Fifo | FileType::CharacterDevice | FileType::BlockDevice => {}
            _ => return Ok(()),
        }
        children.add(name, &stat);
        Ok(())
    }
}

/// What one thread reads directories with.
#[derive(Default)]
struct Reader {
    buffer: Vec<MaybeUninit<u8>>,
    /// The names in the directory, a NUL after each.
    names: Vec<u8>,
    /// Where each begins, and what it is said to be, sorted by name.
    found: Vec<(usize, FileType)>,
    /// The path of the child that is looked at.
    path: Vec<u8>,
}

impl Reader {
    fn names(&mut self, fd: &OwnedFd) -> rustix::io::Result<()> {
        self.names.clear();
        self.found.clear();
        let mut reader = RawDir::new(fd, &mut self.buffer);
        while let Some(found) = reader.next() {
            let found = found?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b".." | b"") || name.to_bytes().contains(&b'/') {
                continue;
            }
            self.found.push((self.names.len(), found.file_type()));
            self.names.extend_from_slice(name.to_bytes_with_nul());
        }
        // A NUL is less than every other byte, so that what follows the names does not count.
        let names = &self.names;
        self.found.sort_unstable_by(|(a, _), (b, _)| names[*a..].cmp(&names[*b..]));
        Ok(())
    }
}

impl Children {
    fn add(&mut self, name: &CStr, stat: &Stat) {
        self.names.extend_from_slice(name.to_bytes_with_nul());
        let file = FileStat::from(stat);
        self.stats.push(&file);
        let device = matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::CharacterDevice | FileType::BlockDevice
        );
        self.all.push(Child {
            value: if device { stat.st_rdev } else { file.size },
            mode: stat.st_mode,
            seconds: file.mtime.seconds,
            nanoseconds: file.mtime.nanoseconds,
            linked: stat.st_nlink > 1,
        });
    }
}

impl Child {
    /// The entry at `path`; `targets` are those of the links that are still to come.
    fn entry<'a>(&self, path: &'a [u8], targets: &mut impl Iterator<Item = Box<[u8]>>) -> Entry<'a> {
        let (major, minor) = (rustix::fs::major(self.value), rustix::fs::minor(self.value));
        let kind = match FileType::from_raw_mode(self.mode) {
            FileType::Directory => Kind::Directory { opaque: false },
            FileType::Symlink => {
                Kind::Symlink { target: targets.next().unwrap_or_default().into_vec().into() }
            }
            FileType::Fifo => Kind::Fifo,
            FileType::CharacterDevice => Kind::CharDevice { major, minor },
            FileType::BlockDevice => Kind::BlockDevice { major, minor },
            _ => Kind::File {
                size: self.value,
                digest: Digest::from_bytes(PENDING),
                // Those of one file get a number of their own when all are known.
                link: u32::from(self.linked),
                content: Content::Own(Place::Folder),
            },
        };
        let (path, mode, xattrs) = (path.into(), self.mode & 0o7777, Cow::default());
        Entry { path, kind, mode, uid: 0, gid: 0, mtime: self.mtime(), xattrs }
    }

    fn mtime(&self) -> Time {
        Time { seconds: self.seconds, nanoseconds: self.nanoseconds }
    }
}

/// A directory whose children are being put in their places.
struct Open {
    names: std::vec::IntoIter<u8>,
    stats: Stats,
    children: std::iter::Enumerate<std::vec::IntoIter<Child>>,
    targets: std::vec::IntoIter<Box<[u8]>>,
    below: std::iter::Peekable<std::vec::IntoIter<Below>>,
    /// How much of the path is this directory's, with the slash.
    prefix: usize,
    /// Where its entry is if it goes when nothing follows it.
    ignored: Option<usize>,
}

impl Open {
    fn new(children: Children, prefix: usize, ignored: Option<usize>) -> Self {
        let Children { names, stats, all, targets, below } = children;
        let (names, children) = (names.into_iter(), all.into_iter().enumerate());
        let (targets, below) = (targets.into_iter(), below.into_iter().peekable());
        Self { names, stats, children, targets, below, prefix, ignored }
    }
}

/// Puts the directories together, parents before children. An ignored directory stays only if something below does.
fn assemble(mut directories: Vec<Option<Children>>, count: usize, layers: Vec<LayerId>) -> (Listing, Stats) {
    let mut entries = ListingBuilder::with_capacity(count, 0);
    let mut stats = Stats::default();
    stats.reserve_exact(count);
    let mut take = |number: usize| directories[number].take().unwrap_or_default();
    let mut path: Vec<u8> = Vec::new();
    let mut open = vec![Open::new(take(0), 0, None)];
    while let Some(directory) = open.last_mut() {
        path.truncate(directory.prefix);
        let Some((number, child)) = directory.children.next() else {
            if directory.ignored.is_some_and(|at| at + 1 == entries.len()) {
                entries.pop();
                stats.pop();
            }
            open.pop();
            continue;
        };
        path.extend(directory.names.by_ref().take_while(|byte| *byte != 0));
        let at = entries.len();
        entries.push(&child.entry(&path, &mut directory.targets));
        stats.push(&directory.stats.get(number, child.value, child.mtime()));
        if let Some(below) = directory.below.next_if(|below| below.child == number) {
            path.push(b'/');
            open.push(Open::new(take(below.number), path.len(), below.ignored.then_some(at)));
        }
    }
    (entries.finish(layers), stats)
}
