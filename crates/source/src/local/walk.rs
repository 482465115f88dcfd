//! Walks a folder.
//!
//! A directory is a job: its path from the root, and what the ignore patterns said of it. Jobs need no open
//! descriptor but while they run, so that neither depth nor width is bounded by them. A second thread joins when the
//! folder turns out to be large. Children are sorted by name within their directory, and the directories are put
//! together at the end, parents before children: that is the order of a listing, without ever sorting it as a whole.

use super::{BENEATH, PENDING, Root};
use crate::{Error, FileStat, Result};
use dockerfile::ignore::{Level, Patterns};
use layer::{Content, Entry, Kind, Place, Time};
use oci::Digest;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;
use std::borrow::Cow;
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

struct Child {
    entry: Entry,
    stat: FileStat,
    /// For a directory that is read: where its children are.
    below: Option<usize>,
    /// The directory is ignored and stands here for those below it that are not.
    ignored: bool,
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// How many threads work on a job at the moment.
    busy: usize,
    /// The children of each directory, by its number; a `None` is not read yet.
    directories: Vec<Option<Vec<Child>>>,
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

/// The entries of `root` that are not ignored, in the order of a listing, and a stat for each.
pub(super) fn walk(
    root: &Root,
    ignore: Option<&Patterns>,
    max_entries: usize,
    threads: Option<usize>,
) -> Result<(Vec<Entry>, Vec<FileStat>)> {
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
        None => Ok(assemble(state.directories, state.entries)),
    }
}

impl Walk<'_> {
    /// Does jobs until none is left or can come (true), or until it has done `most` (false).
    fn work(&self, most: usize) -> bool {
        let mut buffer = vec![MaybeUninit::uninit(); DIRECTORY_BUFFER];
        let mut done = 0;
        loop {
            let Some(job) = self.next() else { return true };
            let number = job.number;
            let mut jobs = Vec::new();
            let children = self.directory(&job, &mut buffer, &mut jobs);
            let mut state = self.lock();
            state.busy -= 1;
            match children {
                Ok(mut children) => {
                    state.entries += children.len();
                    if state.entries > self.max_entries && state.error.is_none() {
                        let path = self.root.path().to_owned();
                        state.error = Some(Error::TooMany { path, limit: self.max_entries });
                    }
                    // The numbers in the children and jobs count from this directory's first.
                    let base = state.directories.len();
                    for below in children.iter_mut().filter_map(|child| child.below.as_mut()) {
                        *below += base;
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
    fn directory(
        &self,
        job: &Job,
        buffer: &mut [MaybeUninit<u8>],
        jobs: &mut Vec<Job>,
    ) -> Result<Vec<Child>> {
        let mut children = Vec::new();
        let path: &[u8] = if job.path.is_empty() { b"." } else { &job.path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rustix::fs::openat2(&self.root.fd, path, flags, Mode::empty(), BENEATH) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if !job.path.is_empty() => return Ok(children),
            Err(error) => return Err(self.root.error("read the directory", &job.path, error.into())),
        };
        let mut reader = RawDir::new(&fd, buffer);
        while let Some(found) = reader.next() {
            let found =
                found.map_err(|error| self.root.error("read the directory", &job.path, error.into()))?;
            let name = found.file_name().to_bytes();
            if matches!(name, b"." | b".." | b"") || name.contains(&b'/') {
                continue;
            }
            let mut path = Vec::with_capacity(job.path.len() + 1 + name.len());
            if !job.path.is_empty() {
                path.extend_from_slice(&job.path);
                path.push(b'/');
            }
            path.extend_from_slice(name);
            self.child(&fd, job, path, found.file_name(), found.file_type(), jobs, &mut children)?;
        }
        children.sort_unstable_by(|a: &Child, b: &Child| a.entry.path.cmp(&b.entry.path));
        Ok(children)
    }

    #[allow(clippy::too_many_arguments, reason = "one call, split off for its length")]
    fn child(
        &self,
        fd: &OwnedFd,
        job: &Job,
        path: Vec<u8>,
        name: &std::ffi::CStr,
        kind: FileType,
        jobs: &mut Vec<Job>,
        children: &mut Vec<Child>,
    ) -> Result<()> {
        let (mut level, mut ignored, mut skip) = (job.level, false, false);
        if let Some(patterns) = self.ignore {
            let text = match std::str::from_utf8(&path) {
                Ok(text) => Cow::Borrowed(text),
                // Patterns are text: bytes that are none match what U+FFFD matches.
                Err(_) => String::from_utf8_lossy(&path),
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
            Err(error) => return Err(self.root.error("examine", &path, error.into())),
        };
        let mut below = None;
        let file_stat = FileStat::from(&stat);
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                below = Some(jobs.len());
                jobs.push(Job { path: path.clone(), level, number: jobs.len() });
                Kind::Directory { opaque: false }
            }
            _ if ignored => return Ok(()),
            FileType::RegularFile => Kind::File {
                size: file_stat.size,
                digest: Digest::from_bytes(PENDING),
                // Those of one file get a number of their own when all are known.
                link: u32::from(stat.st_nlink > 1),
                content: Content::Own(Place::Folder),
            },
            FileType::Symlink => match rustix::fs::readlinkat(fd, name, Vec::new()) {
                Ok(target) => Kind::Symlink { target: target.into_bytes().into() },
                Err(Errno::NOENT | Errno::INVAL) => return Ok(()),
                Err(error) => return Err(self.root.error("read the link", &path, error.into())),
            },
            FileType::Fifo => Kind::Fifo,
            device @ (FileType::CharacterDevice | FileType::BlockDevice) => {
                let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
                match device {
                    FileType::CharacterDevice => Kind::CharDevice { major, minor },
                    _ => Kind::BlockDevice { major, minor },
                }
            }
            _ => return Ok(()),
        };
        let Time { seconds, nanoseconds } = file_stat.mtime;
        let entry = Entry {
            path: path.into_boxed_slice(),
            kind,
            mode: stat.st_mode & 0o7777,
            uid: 0,
            gid: 0,
            mtime: Time { seconds, nanoseconds },
            xattrs: Vec::new(),
        };
        children.push(Child { entry, stat: file_stat, below, ignored });
        Ok(())
    }
}

/// Puts the directories together, parents before children. An ignored directory stays only if something below does.
fn assemble(mut directories: Vec<Option<Vec<Child>>>, count: usize) -> (Vec<Entry>, Vec<FileStat>) {
    let (mut entries, mut stats) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let mut take = |number: usize| directories[number].take().unwrap_or_default().into_iter();
    // The directories that stand open, and where the entry of each is if it goes when nothing follows it.
    let mut open = vec![(take(0), None)];
    while let Some((children, ignored)) = open.last_mut() {
        let Some(child) = children.next() else {
            if ignored.is_some_and(|at| at + 1 == entries.len()) {
                entries.pop();
                stats.pop();
            }
            open.pop();
            continue;
        };
        let at = entries.len();
        entries.push(child.entry);
        stats.push(child.stat);
        if let Some(below) = child.below {
            open.push((take(below), child.ignored.then_some(at)));
        }
    }
    (entries, stats)
}
