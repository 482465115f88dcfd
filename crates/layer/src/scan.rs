//! From a folder to its listing: what a RUN left in its upper directory, or any tree.
//!
//! Directories are jobs that threads take from a stack; each is read with getdents, its children are looked at by
//! statx relative to it, and small files are read and hashed on the spot. Large files are jobs of their own. Files
//! with several names are hashed once, when all their names are known. The result does not depend on the threads. The
//! caller's begins alone: most steps leave a few small files, which are listed before a thread has started.

use crate::folder::{BENEATH, open_directory};
use crate::overlay::{is_private, private_name};
use crate::unpack::whiteout;
use crate::{Content, Entry, Error, Kind, Listing, Place, Result, Time, Xattr};
use oci::{Digest, Hasher};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Statx, StatxFlags};
use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What a scan does.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Paths that are no part of the layer, with all below them: mount points that the launcher made.
    pub exclude: Vec<Box<[u8]>>,
    /// The owner of whatever belongs to the calling user, for a folder that one mapped id owns; none keeps the
    /// folder's owners.
    pub owner: Option<(u32, u32)>,
    /// How many threads read, the caller's included; at least 1.
    pub threads: usize,
    /// The most entries: 4,000,000.
    pub max_entries: u64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { exclude: Vec::new(), owner: None, threads: 2, max_entries: 4_000_000 }
    }
}

/// Larger files are jobs of their own.
const LARGE: u64 = 1 << 20;
/// So many entries, and directories alone, are no work for a second thread.
const FEW: u64 = 64;

enum Job {
    Directory(Vec<u8>),
    /// Hash the file of the entry with this number.
    File(Vec<u8>, u64),
}

/// An entry, and the inode it shares with others.
struct Seen {
    entry: Entry<'static>,
    inode: Option<(u64, u64)>,
}

struct Work<'a> {
    root: BorrowedFd<'a>,
    options: &'a ScanOptions,
    own: (u32, u32),
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    /// Threads at work, which may bring more jobs.
    busy: usize,
    entries: u64,
    failed: Option<Error>,
}

/// Lists the folder. Whiteouts and opaque directories are known in all their forms and their owners, times and modes
/// dropped; of the extended attributes `security.capability` and `user.` count, as in other builders.
///
/// # Errors
/// [`Error::Io`] where reading fails, [`Error::Unfit`] for an overlay that was mounted with `metacopy` or
/// `redirect_dir`, [`Error::Changed`] for a file that grows or shrinks, [`Error::Limit`] for too many entries.
pub fn scan(folder: BorrowedFd<'_>, options: &ScanOptions) -> Result<Listing> {
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let queue = Queue { jobs: vec![Job::Directory(Vec::new())], ..Queue::default() };
    let work = Work { root: folder, options, own, queue: Mutex::new(queue), changed: Condvar::new() };
    let mut found = Found::default();
    if !work.run(&mut found, true) {
        std::thread::scope(|scope| {
            let help = || {
                let mut found = Found::default();
                work.run(&mut found, false);
                found
            };
            let others: Vec<_> = (1..options.threads.max(1)).map(|_| scope.spawn(help)).collect();
            work.run(&mut found, false);
            for other in others {
                let (seen, digests) = other.join().expect("because a scan does not panic");
                found.0.extend(seen);
                found.1.extend(digests);
            }
        });
    }
    let (mut seen, mut digests) = found;
    if let Some(error) = work.lock().failed.take() {
        return Err(error);
    }
    seen.sort_by(|a, b| crate::compare_paths(&a.entry.path, &b.entry.path));
    let groups = group(&mut seen);
    let mut hashed: HashMap<u32, Digest> = HashMap::new();
    for (first, size) in groups {
        if let Kind::File { link, .. } = seen[first].entry.kind {
            hashed.insert(link, work.hash(&seen[first].entry.path, size)?);
        }
    }
    let mut entries: Vec<Entry<'static>> = seen.into_iter().map(|seen| seen.entry).collect();
    for entry in &mut entries {
        if let Kind::File { digest, link, .. } = &mut entry.kind
            && let Some(known) = hashed.get(link).copied().or_else(|| digests.remove(&*entry.path))
        {
            *digest = known;
        }
    }
    let mut listing = Listing::new(entries, Vec::new());
    listing.renumber_links();
    Ok(listing)
}

/// Numbers the files that share an inode; gives the first of each group and its size.
fn group(seen: &mut [Seen]) -> Vec<(usize, u64)> {
    let mut numbers: HashMap<(u64, u64), u32> = HashMap::new();
    let mut firsts = Vec::new();
    for (at, seen) in seen.iter_mut().enumerate() {
        let (Some(inode), Kind::File { link, size, .. }) = (seen.inode, &mut seen.entry.kind) else {
            continue;
        };
        let next = numbers.len() as u32 + 1;
        *link = *numbers.entry(inode).or_insert_with(|| {
            firsts.push((at, *size));
            next
        });
    }
    firsts
}

impl Queue {
    /// Whether there is something to do for several threads.
    fn is_much(&self) -> bool {
        self.entries > FEW || self.jobs.iter().any(|job| matches!(job, Job::File(..)))
    }
}

type Found = (Vec<Seen>, HashMap<Box<[u8]>, Digest>);

/// What one thread needs again and again.
struct Buffers {
    directory: Vec<u8>,
    file: Vec<u8>,
}

impl Work<'_> {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does jobs until none is left, or something failed: true. When `alone` also until there is enough to do for
    /// others: false.
    fn run(&self, found: &mut Found, alone: bool) -> bool {
        let mut buffers = Buffers { directory: Vec::with_capacity(1 << 16), file: Vec::new() };
        let mut queue = self.lock();
        loop {
            if queue.failed.is_some() {
                return true;
            }
            if alone && queue.is_much() {
                return false;
            }
            let Some(job) = queue.jobs.pop() else {
                if queue.busy == 0 {
                    self.changed.notify_all();
                    return true;
                }
                queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            queue.busy += 1;
            drop(queue);
            let mut jobs = Vec::new();
            let before = found.0.len();
            let done = match job {
                Job::Directory(path) => self.directory(&path, &mut found.0, &mut jobs, &mut buffers),
                Job::File(path, size) => self.hash(&path, size).map(|digest| {
                    found.1.insert(path.into(), digest);
                }),
            };
            queue = self.lock();
            queue.busy -= 1;
            queue.jobs.append(&mut jobs);
            queue.entries += (found.0.len() - before) as u64;
            if let Err(error) = done {
                queue.failed.get_or_insert(error);
            } else if queue.entries > self.options.max_entries {
                let limit = self.options.max_entries;
                queue.failed.get_or_insert(Error::Limit {
                    subject: "the layer".to_owned(),
                    limit,
                    unit: "entries",
                });
            }
            self.changed.notify_all();
        }
    }

    fn directory(
        &self,
        path: &[u8],
        seen: &mut Vec<Seen>,
        jobs: &mut Vec<Job>,
        buffers: &mut Buffers,
    ) -> Result<()> {
        let directory = open_directory(self.root, path)?;
        let mut names = std::mem::take(&mut buffers.directory);
        names.clear();
        let mut list = RawDir::new(&directory, names.spare_capacity_mut());
        let mut child = path.to_vec();
        if !child.is_empty() {
            child.push(b'/');
        }
        let base = child.len();
        while let Some(next) = list.next() {
            let next = next.map_err(|error| Error::io("read the directory", path, error))?;
            let name = next.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            child.truncate(base);
            child.extend_from_slice(name);
            if self.options.exclude.iter().any(|excluded| **excluded == *child) {
                continue;
            }
            self.child(&directory, name, &child, seen, jobs, &mut buffers.file)?;
        }
        buffers.directory = names;
        Ok(())
    }

    fn child(
        &self,
        directory: &OwnedFd,
        name: &[u8],
        path: &[u8],
        seen: &mut Vec<Seen>,
        jobs: &mut Vec<Job>,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = rustix::fs::statx(directory, name, flags, StatxFlags::BASIC_STATS)
            .map_err(|error| Error::io("look at", path, error))?;
        let open = |flags: OFlags| {
            let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(directory, name, flags, Mode::empty())
                .map_err(|error| Error::io("open", path, error))
        };
        let mut inode = None;
        let mut xattrs = Vec::new();
        let kind = match FileType::from_raw_mode(u32::from(stat.stx_mode)) {
            FileType::Directory => {
                let marks = attributes(open(OFlags::DIRECTORY)?.as_fd(), path)?;
                xattrs = marks.xattrs;
                jobs.push(Job::Directory(path.to_vec()));
                Kind::Directory { opaque: marks.opaque }
            }
            FileType::RegularFile => {
                let file = open(OFlags::NONBLOCK)?;
                let marks = attributes(file.as_fd(), path)?;
                if marks.whiteout && stat.stx_size == 0 {
                    seen.push(Seen { entry: whiteout(path.to_vec()), inode });
                    return Ok(());
                }
                xattrs = marks.xattrs;
                let size = stat.stx_size;
                let mut digest = Digest::from_bytes([0; 32]);
                if stat.stx_nlink > 1 {
                    let device = rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor);
                    inode = Some((device, stat.stx_ino));
                } else if size > LARGE {
                    jobs.push(Job::File(path.to_vec(), size));
                } else {
                    digest = small(&file, size, path, buffer)?;
                }
                Kind::File { size, digest, link: 0, content: Content::Own(Place::Folder) }
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(directory, name, Vec::new())
                    .map_err(|error| Error::io("read the symbolic link", path, error))?;
                Kind::Symlink { target: target.into_bytes().into() }
            }
            FileType::CharacterDevice if stat.stx_rdev_major == 0 && stat.stx_rdev_minor == 0 => {
                seen.push(Seen { entry: whiteout(path.to_vec()), inode });
                return Ok(());
            }
            FileType::CharacterDevice => {
                Kind::CharDevice { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }
            }
            FileType::BlockDevice => {
                Kind::BlockDevice { major: stat.stx_rdev_major, minor: stat.stx_rdev_minor }
            }
            FileType::Fifo => Kind::Fifo,
            // A socket is of no use without its process; tars cannot hold one, and builders leave it out.
            _ => return Ok(()),
        };
        seen.push(Seen { entry: self.entry(path, kind, &stat, xattrs), inode });
        Ok(())
    }

    fn entry(&self, path: &[u8], kind: Kind<'static>, stat: &Statx, xattrs: Vec<Xattr>) -> Entry<'static> {
        let (mut uid, mut gid) = (stat.stx_uid, stat.stx_gid);
        if let Some(owner) = self.options.owner {
            uid = if uid == self.own.0 { owner.0 } else { uid };
            gid = if gid == self.own.1 { owner.1 } else { gid };
        }
        let mtime = Time { seconds: stat.stx_mtime.tv_sec, nanoseconds: stat.stx_mtime.tv_nsec };
        let (path, mode) = (path.to_vec().into(), u32::from(stat.stx_mode) & 0o7777);
        Entry { path, kind, mode, uid, gid, mtime, xattrs: xattrs.into() }
    }

    /// The digest of a file by its path.
    fn hash(&self, path: &[u8], size: u64) -> Result<Digest> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat2(self.root, path, flags, Mode::empty(), BENEATH)
            .map_err(|error| Error::io("open", path, error))?;
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; (size as usize).clamp(1, 1 << 18)];
        loop {
            match rustix::io::read(&file, &mut buffer[..]) {
                Ok(0) => break,
                Ok(count) => hasher.update(&buffer[..count]),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(Error::io("read", path, error)),
            }
            if hasher.size() > size {
                break;
            }
        }
        if hasher.size() != size {
            return Err(changed(path));
        }
        Ok(hasher.finish())
    }
}

fn changed(path: &[u8]) -> Error {
    Error::Changed { path: crate::error::shown(path), reason: "its size is another" }
}

fn small(file: &OwnedFd, size: u64, path: &[u8], buffer: &mut Vec<u8>) -> Result<Digest> {
    if size == 0 {
        return Ok(Digest::of(b""));
    }
    // One byte more, so that the end is seen without another read.
    let want = size as usize + 1;
    if buffer.len() < want {
        buffer.resize(want, 0);
    }
    let mut have = 0;
    while have < want {
        match rustix::io::read(file, &mut buffer[have..want]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(Error::io("read", path, error)),
        }
        if have as u64 == size {
            break;
        }
    }
    if have as u64 != size {
        return Err(changed(path));
    }
    Ok(Digest::of(&buffer[..have]))
}

#[derive(Default)]
struct Attributes {
    xattrs: Vec<Xattr>,
    opaque: bool,
    whiteout: bool,
}

/// The attributes of an open file or directory, overlayfs's own told apart.
fn attributes(file: BorrowedFd<'_>, path: &[u8]) -> Result<Attributes> {
    let failed = |error| Error::io("read the extended attributes of", path, error);
    let mut found = Attributes::default();
    let mut names = [0; 1024];
    let mut large = Vec::new();
    let names = match rustix::fs::flistxattr(file, &mut names[..]) {
        Ok(0) | Err(rustix::io::Errno::NOTSUP) => return Ok(found),
        Ok(count) => &names[..count],
        Err(rustix::io::Errno::RANGE) => {
            large.resize(1 << 16, 0);
            let count = rustix::fs::flistxattr(file, &mut large[..]).map_err(failed)?;
            &large[..count]
        }
        Err(error) => return Err(failed(error)),
    };
    let mut value = Vec::new();
    for name in names.split(|b| *b == 0).filter(|name| !name.is_empty()) {
        let private = private_name(name);
        match private {
            Some(b"metacopy" | b"redirect") => {
                return Err(Error::Unfit {
                    path: crate::error::shown(path),
                    action: "read as part of a layer",
                    reason: "its overlay was mounted with metacopy or redirect_dir",
                });
            }
            Some(b"whiteout") => found.whiteout = true,
            Some(b"opaque") => {}
            Some(_) => continue,
            None if is_private(name) => continue,
            None if name == b"security.capability" || name.starts_with(b"user.") => {}
            None => continue,
        }
        value.resize(1 << 16, 0);
        let count = match rustix::fs::fgetxattr(file, name, &mut value[..]) {
            Ok(count) => count,
            // Removed meanwhile.
            Err(rustix::io::Errno::NODATA) => continue,
            Err(error) => return Err(failed(error)),
        };
        match private {
            // `x` says only that there may be whiteouts in the xattr form.
            Some(b"opaque") => found.opaque |= &value[..count] == b"y",
            Some(_) => {}
            None => found.xattrs.push((name.into(), value[..count].into())),
        }
    }
    found.xattrs.sort();
    Ok(found)
}
