//! Copying files in and out: a path below a root as a tar, and a tar unpacked below a folder of a root. Both sides of
//! `cp`, and the first content of volumes.
//!
//! Every path is resolved with its root as `/` (openat2 with RESOLVE_IN_ROOT); members of an archive are resolved with
//! the folder they are unpacked to as `/`, so no name and no link of an archive leads out of it.

use crate::{Error, Result};
use layer::{MemberKind, TarReader};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stat {
    /// Its type and permission bits, as stat(2) has them.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// Where it points, if it is a symbolic link.
    pub link: Option<Vec<u8>>,
}

impl Stat {
    /// Whether it is a directory.
    #[must_use]
    pub(crate) fn is_directory(&self) -> bool {
        FileType::from_raw_mode(self.mode) == FileType::Directory
    }
}

/// The deepest tree that is read or made.
const DEEPEST: usize = 255;

fn resolve() -> ResolveFlags {
    ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS
}

/// Opens a path below a root without opening the file itself.
fn find(root: BorrowedFd<'_>, path: &[u8], follow: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OFlags::PATH | OFlags::CLOEXEC;
    if !follow {
        flags |= OFlags::NOFOLLOW;
    }
    let path = match path {
        b"" | b"/" => b".",
        path => path,
    };
    rustix::fs::openat2(root, OsStr::from_bytes(path), flags, Mode::empty(), resolve())
}

/// What stands at `path` below `root`; nothing where nothing does.
///
/// # Errors
/// What cannot be looked at.
pub(crate) fn stat(root: BorrowedFd<'_>, path: &[u8], follow: bool) -> Result<Option<Stat>> {
    let found = match find(root, path, follow) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(Error::copy(path, error.to_string())),
    };
    let fail = |error: Errno| Error::copy(path, error.to_string());
    let stat = rustix::fs::fstat(&found).map_err(fail)?;
    let link = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => {
            Some(rustix::fs::readlinkat(&found, c"", Vec::new()).map_err(fail)?.into_bytes())
        }
        _ => None,
    };
    Ok(Some(Stat { mode: stat.st_mode, size: u64::try_from(stat.st_size).unwrap_or(0), link }))
}

/// Writes what stands at `path` below `root` as a tar to `out`. The top member is called `name`; with an empty name a
/// directory's children are the top members.
///
/// # Errors
/// What cannot be read, or written to `out`.
pub(crate) fn get(
    root: BorrowedFd<'_>,
    path: &[u8],
    follow: bool,
    name: &[u8],
    out: &mut dyn Write,
) -> Result<()> {
    let found = find(root, path, follow).map_err(|error| Error::copy(path, error.to_string()))?;
    let mut packer = Packer { tar: tar::Builder::new(out), links: HashMap::new() };
    packer.tar.sparse(false);
    packer.one(found.as_fd(), name, 0)?;
    packer.tar.finish().map_err(|error| Error::copy(path, error.to_string()))
}

/// Whether a file is on procfs, sysfs or cgroupfs, which have no contents to copy: they tell no size, and to read them
/// all may take for ever.
fn is_kernels(found: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    const KERNELS: [u32; 4] = [0x9fa0, 0x6265_6572, 0x0027_e0eb, 0x6367_7270];
    Ok(KERNELS.contains(&(rustix::fs::fstatfs(found)?.f_type as u32)))
}

struct Packer<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    /// Files with several names, by device and number.
    links: HashMap<(u64, u64), Vec<u8>>,
}

impl Packer<'_> {
    fn one(&mut self, found: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<()> {
        let fail = |error: io::Error| Error::copy(name, error.to_string());
        if depth > DEEPEST {
            return Err(Error::copy(name, "it is too deep"));
        }
        let stat = rustix::fs::fstat(found).map_err(|error| fail(error.into()))?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let kernels = is_kernels(found).map_err(|error| fail(error.into()))?;
        if kernels && depth == 0 {
            let why = "the kernel makes it up when it is read, and so there is no file to copy; `cat` shows it, in a \
                       container by `exec`";
            return Err(Error::copy(name, why));
        }
        if kernels && kind != FileType::Directory {
            return Ok(());
        }
        let mut header = tar::Header::new_gnu();
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or(0));
        header.set_size(0);
        let path = Path::new(OsStr::from_bytes(name));
        match kind {
            FileType::Directory => {
                if !name.is_empty() {
                    self.xattrs(found, kind).map_err(fail)?;
                    header.set_entry_type(tar::EntryType::Directory);
                    let mut slashed = name.to_vec();
                    slashed.push(b'/');
                    self.tar
                        .append_data(&mut header, Path::new(OsStr::from_bytes(&slashed)), io::empty())
                        .map_err(fail)?;
                }
                // A tree that has /proc in it keeps the folder.
                if kernels { Ok(()) } else { self.children(found, name, depth) }
            }
            FileType::RegularFile => {
                if stat.st_nlink > 1 {
                    let number = (stat.st_dev, stat.st_ino);
                    if let Some(first) = self.links.get(&number) {
                        header.set_entry_type(tar::EntryType::Link);
                        let first = Path::new(OsStr::from_bytes(first));
                        return self.tar.append_link(&mut header, path, first).map_err(fail);
                    }
                    self.links.insert(number, name.to_vec());
                }
                self.xattrs(found, kind).map_err(fail)?;
                let size = u64::try_from(stat.st_size).unwrap_or(0);
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(size);
                let file =
                    File::from(reopen(found, OFlags::RDONLY | OFlags::NOCTTY).map_err(|e| fail(e.into()))?);
                self.tar.append_data(&mut header, path, Exactly { file, left: size }).map_err(fail)
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(found, c"", Vec::new()).map_err(|e| fail(e.into()))?;
                header.set_entry_type(tar::EntryType::Symlink);
                self.tar.append_link(&mut header, path, OsStr::from_bytes(target.as_bytes())).map_err(fail)
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let char = kind == FileType::CharacterDevice;
                header.set_entry_type(if char { tar::EntryType::Char } else { tar::EntryType::Block });
                header.set_device_major(rustix::fs::major(stat.st_rdev)).map_err(fail)?;
                header.set_device_minor(rustix::fs::minor(stat.st_rdev)).map_err(fail)?;
                self.tar.append_data(&mut header, path, io::empty()).map_err(fail)
            }
            FileType::Fifo => {
                header.set_entry_type(tar::EntryType::Fifo);
                self.tar.append_data(&mut header, path, io::empty()).map_err(fail)
            }
            // Sockets have no place in an archive.
            _ => Ok(()),
        }
    }

    fn children(&mut self, directory: BorrowedFd<'_>, name: &[u8], depth: usize) -> Result<()> {
        let fail = |error: Errno| Error::copy(name, error.to_string());
        let open = reopen(directory, OFlags::RDONLY | OFlags::DIRECTORY).map_err(fail)?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&open).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                names.push(entry.file_name().to_owned());
            }
        }
        names.sort();
        for child in names {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = match rustix::fs::openat(&open, child.as_c_str(), flags, Mode::empty()) {
                Ok(found) => found,
                // Removed meanwhile.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(fail(error)),
            };
            let path =
                if name.is_empty() { child.into_bytes() } else { [name, b"/", child.to_bytes()].concat() };
            self.one(found.as_fd(), &path, depth + 1)?;
        }
        Ok(())
    }

    /// Extended attributes that files carry with them: capabilities and the user's own.
    fn xattrs(&mut self, found: BorrowedFd<'_>, kind: FileType) -> io::Result<()> {
        let flags =
            if kind == FileType::Directory { OFlags::RDONLY | OFlags::DIRECTORY } else { OFlags::RDONLY };
        let open = reopen(found, flags | OFlags::NOCTTY)?;
        let mut names = vec![0; 1 << 16];
        let count = match rustix::fs::flistxattr(&open, &mut names[..]) {
            Ok(0) | Err(Errno::NOTSUP) => return Ok(()),
            Ok(count) => count,
            Err(error) => return Err(error.into()),
        };
        let mut found = Vec::new();
        for name in names[..count].split(|b| *b == 0) {
            if name != b"security.capability"
                && (!name.starts_with(b"user.") || name.starts_with(b"user.overlay."))
            {
                continue;
            }
            let mut value = vec![0; 1 << 16];
            if let Ok(length) = rustix::fs::fgetxattr(&open, name, &mut value[..]) {
                value.truncate(length);
                found.push((format!("SCHILY.xattr.{}", String::from_utf8_lossy(name)), value));
            }
        }
        let pairs: Vec<(&str, &[u8])> =
            found.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        if pairs.is_empty() { Ok(()) } else { self.tar.append_pax_extensions(pairs) }
    }
}

/// Opens what an `O_PATH` descriptor refers to.
fn reopen(found: BorrowedFd<'_>, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty())
}

/// A file's bytes, as many as its header says: cut where it grew, zeros where it shrank.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let count = match self.file.read(&mut buffer[..most])? {
            0 => {
                buffer[..most].fill(0);
                most
            }
            count => count,
        };
        self.left -= count as u64;
        Ok(count)
    }
}

/// Unpacks a tar below `folder`. Files that are there are replaced; a directory and something else do not replace each
/// other. Without `keep_owners` all belongs to whoever unpacks.
///
/// # Errors
/// [`Error::Archive`] for what is no tar, [`Error::Copy`] for a member that cannot be made.
pub(crate) fn put(folder: BorrowedFd<'_>, archive: impl Read, keep_owners: bool) -> Result<()> {
    let mut reader = TarReader::new(archive);
    let mut directories: Vec<(Vec<u8>, layer::Time)> = Vec::new();
    while let Some(member) = reader.next()? {
        let fail = |error: Errno| Error::copy(&member.path, error.to_string());
        let path = clean(&member.path)?;
        if path.is_empty() {
            // The folder itself keeps what it has.
            continue;
        }
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (&path[..at], OsStr::from_bytes(&path[at + 1..])),
            None => (&b""[..], OsStr::from_bytes(&path)),
        };
        let parent = make_parents(folder, parent)?;
        let there = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_directory = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
        let over = there.as_ref().map(|stat| is_directory(stat.st_mode));
        let wanted = member.kind == MemberKind::Directory;
        match over {
            Some(true) if !wanted => return Err(Error::copy(&member.path, "a directory is in its place")),
            Some(false) if wanted => return Err(Error::copy(&member.path, "a file is in its place")),
            Some(false) => rustix::fs::unlinkat(&parent, name, AtFlags::empty()).map_err(fail)?,
            _ => {}
        }
        let mode = Mode::from_raw_mode(member.mode & 0o7777);
        let owner = keep_owners.then(|| (Uid::from_raw(member.uid), Gid::from_raw(member.gid)));
        match member.kind {
            MemberKind::Directory => {
                if over.is_none() {
                    rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o700)).map_err(fail)?;
                }
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::openat(&parent, name, flags, Mode::empty()).map_err(fail)?;
                dress(&made, owner, mode, &member).map_err(fail)?;
                directories.push((path, member.mtime));
            }
            MemberKind::File => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made =
                    rustix::fs::openat(&parent, name, flags, Mode::from_raw_mode(0o600)).map_err(fail)?;
                let file = File::from(made);
                while let Some(chunk) = reader.chunk()? {
                    std::os::unix::fs::FileExt::write_all_at(&file, chunk.bytes, chunk.offset)
                        .map_err(|error| Error::copy(&member.path, error.to_string()))?;
                }
                file.set_len(member.size).map_err(|error| Error::copy(&member.path, error.to_string()))?;
                dress(&file, owner, mode, &member).map_err(fail)?;
                rustix::fs::futimens(&file, &times(member.mtime)).map_err(fail)?;
            }
            MemberKind::HardLink => {
                let target = clean(&member.link)?;
                let (dir, last) = match target.iter().rposition(|b| *b == b'/') {
                    Some(at) => (&target[..at], &target[at + 1..]),
                    None => (&b""[..], &target[..]),
                };
                let dir = find(folder, dir, true).map_err(fail)?;
                let last = OsStr::from_bytes(last);
                rustix::fs::linkat(&dir, last, &parent, name, AtFlags::empty()).map_err(fail)?;
            }
            MemberKind::Symlink => {
                rustix::fs::symlinkat(OsStr::from_bytes(&member.link), &parent, name).map_err(fail)?;
                own(&parent, name, owner).map_err(fail)?;
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::utimensat(&parent, name, &times(member.mtime), flags).map_err(fail)?;
            }
            MemberKind::Fifo => {
                rustix::fs::mknodat(&parent, name, FileType::Fifo, mode, 0).map_err(fail)?;
                own(&parent, name, owner).map_err(fail)?;
            }
            MemberKind::CharDevice { major, minor } | MemberKind::BlockDevice { major, minor } => {
                let kind = match member.kind {
                    MemberKind::CharDevice { .. } => FileType::CharacterDevice,
                    _ => FileType::BlockDevice,
                };
                let device = rustix::fs::makedev(major, minor);
                rustix::fs::mknodat(&parent, name, kind, mode, device).map_err(fail)?;
                own(&parent, name, owner).map_err(fail)?;
            }
        }
    }
    // Children change a directory's times, so these come last, deepest first.
    for (path, mtime) in directories.iter().rev() {
        if let Ok(found) = find(folder, path, false)
            && let Ok(open) = reopen(found.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY)
        {
            let _ = rustix::fs::futimens(&open, &times(*mtime));
        }
    }
    Ok(())
}

/// A member's path without what means nothing; `..` means trouble.
fn clean(path: &[u8]) -> Result<Vec<u8>> {
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) {
        return Err(Error::copy(path, "its name in the archive leads out of the folder"));
    }
    if parts.len() > DEEPEST || parts.iter().any(|part| part.contains(&0)) {
        return Err(Error::copy(path, "its name in the archive cannot be a path"));
    }
    Ok(parts.join(&b'/'))
}

/// Opens a directory below `folder`, making what is missing.
fn make_parents(folder: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    match find(folder, path, true) {
        Ok(found) => return Ok(found),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(Error::copy(path, error.to_string())),
    }
    for (at, _) in path.iter().enumerate().filter(|(_, b)| **b == b'/').chain([(path.len(), &b'/')]) {
        let (parent, name) = match path[..at].iter().rposition(|b| *b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..at]),
            None => (&b""[..], &path[..at]),
        };
        let fail = |error: Errno| Error::copy(&path[..at], error.to_string());
        let parent = find(folder, parent, true).map_err(fail)?;
        match rustix::fs::mkdirat(&parent, OsStr::from_bytes(name), Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(fail(error)),
        }
    }
    find(folder, path, true).map_err(|error| Error::copy(path, error.to_string()))
}

fn times(mtime: layer::Time) -> Timestamps {
    let time = Timespec { tv_sec: mtime.seconds, tv_nsec: mtime.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Owner, then mode (a change of owner clears set-user-id), then attributes.
fn dress(
    made: impl AsFd,
    owner: Option<(Uid, Gid)>,
    mode: Mode,
    member: &layer::Member,
) -> rustix::io::Result<()> {
    if let Some((uid, gid)) = owner {
        mapped(rustix::fs::fchown(&made, Some(uid), Some(gid)))?;
    }
    rustix::fs::fchmod(&made, mode)?;
    for (name, value) in &member.xattrs {
        if &name[..] == b"security.capability" || name.starts_with(b"user.") {
            match rustix::fs::fsetxattr(&made, &name[..], value, rustix::fs::XattrFlags::empty()) {
                // Not on every file system, and not for every user.
                Ok(()) | Err(Errno::NOTSUP | Errno::PERM) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

fn own(parent: &OwnedFd, name: &OsStr, owner: Option<(Uid, Gid)>) -> rustix::io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    mapped(rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW))
}

/// An owner that this user namespace does not map is left out.
fn mapped(result: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match result {
        Err(Errno::INVAL | Errno::PERM) => Ok(()),
        other => other,
    }
}

/// Copies the children of the directory `path` below `root` into `folder`, owners and all, and gives `folder` the
/// directory's own mode and owner. Nothing happens where `path` is no directory.
///
/// # Errors
/// What cannot be read or made.
pub(crate) fn copy_directory(root: BorrowedFd<'_>, path: &[u8], folder: BorrowedFd<'_>) -> Result<()> {
    let Some(stat) = stat(root, path, true)?.filter(Stat::is_directory) else { return Ok(()) };
    let fail = |error: Errno| Error::copy(path, error.to_string());
    let found = find(root, path, true).map_err(fail)?;
    let owner = rustix::fs::fstat(&found).map_err(fail)?;
    let (read, write) = io::pipe().map_err(|error| Error::copy(path, error.to_string()))?;
    std::thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut write = io::BufWriter::with_capacity(1 << 16, write);
            get(root, path, true, b"", &mut write)
        });
        let unpacked = put(folder, read, true);
        let packed = packing.join().expect("because packing does not panic");
        unpacked.and(packed)
    })?;
    mapped(rustix::fs::fchown(folder, Some(Uid::from_raw(owner.st_uid)), Some(Gid::from_raw(owner.st_gid))))
        .map_err(fail)?;
    rustix::fs::fchmod(folder, Mode::from_raw_mode(stat.mode & 0o7777)).map_err(fail)
}

/// The last component of a path; empty for the root, `.` and `..`.
#[must_use]
pub(crate) fn base_name(path: &[u8]) -> Vec<u8> {
    let last = path.split(|b| *b == b'/').rfind(|part| !part.is_empty()).unwrap_or_default();
    if matches!(last, b"." | b"..") { Vec::new() } else { last.to_vec() }
}

/// The path above, with the last component left out.
#[must_use]
pub(crate) fn parent(path: &[u8]) -> Vec<u8> {
    let end = path.iter().rposition(|b| *b != b'/').map_or(0, |at| at + 1);
    match path[..end].iter().rposition(|b| *b == b'/') {
        Some(0) => b"/".to_vec(),
        Some(at) => path[..at].to_vec(),
        None => b".".to_vec(),
    }
}

/// Opens a directory.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::io("open", path, error))
}

/// A directory below `root`.
pub(crate) fn directory_in(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let shown = OsString::from_vec(path.to_vec());
    let path = if matches!(path, b"" | b"/") { OsStr::new(".") } else { &shown };
    rustix::fs::openat2(root, path, flags, Mode::empty(), resolve())
        .map_err(|error| Error::copy(shown.as_bytes(), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn open(path: &Path) -> OwnedFd {
        open_directory(path).unwrap()
    }

    #[test]
    fn a_tree_arrives_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("d/e")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("d/file"), "text").unwrap();
        fs::set_permissions(from.join("d/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::hard_link(from.join("d/file"), from.join("d/same")).unwrap();
        symlink("/abs", from.join("d/link")).unwrap();
        std::os::unix::fs::chown(from.join("d/e"), Some(1234), Some(5678)).unwrap();
        copy_directory(open(&from).as_fd(), b"/d", open(&to).as_fd()).unwrap();
        assert_eq!(fs::read_to_string(to.join("same")).unwrap(), "text");
        let file = fs::metadata(to.join("file")).unwrap();
        assert_eq!((file.mode() & 0o7777, file.nlink()), (0o4751, 2));
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/abs"));
        let made = fs::metadata(to.join("e")).unwrap();
        assert_eq!((made.uid(), made.gid()), (1234, 5678));
        let mut bytes = Vec::new();
        get(open(&from).as_fd(), b"d", false, b"top", &mut bytes).unwrap();
        put(open(&to).as_fd(), &bytes[..], false).unwrap();
        assert_eq!(fs::metadata(to.join("top/e")).unwrap().uid(), 0);
    }

    #[test]
    fn an_archive_stays_in_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("outside"), "safe").unwrap();
        let to = dir.path().join("to");
        fs::create_dir(&to).unwrap();
        symlink("..", to.join("up")).unwrap();
        let archive = |name: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_size(4);
            header.set_mode(0o644);
            header.set_entry_type(tar::EntryType::Regular);
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_cksum();
            let mut bytes = header.as_bytes().to_vec();
            bytes.extend(b"evil");
            bytes.resize(2048, 0);
            bytes
        };
        assert!(put(open(&to).as_fd(), &archive(b"../outside")[..], false).is_err());
        put(open(&to).as_fd(), &archive(b"up/outside")[..], false).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("outside")).unwrap(), "safe");
        assert_eq!(fs::read_to_string(to.join("outside")).unwrap(), "evil");
    }

    #[test]
    fn directories_and_files_do_not_replace_each_other() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/x")).unwrap();
        fs::create_dir_all(dir.path().join("b")).unwrap();
        fs::write(dir.path().join("b/x"), "").unwrap();
        for (from, to) in [("a", "b"), ("b", "a")] {
            let mut bytes = Vec::new();
            get(open(&dir.path().join(from)).as_fd(), b"/", false, b"", &mut bytes).unwrap();
            assert!(put(open(&dir.path().join(to)).as_fd(), &bytes[..], false).is_err());
        }
    }

    #[test]
    fn names_of_paths() {
        assert_eq!(base_name(b"/a/b/"), b"b");
        assert_eq!(base_name(b"/"), b"");
        assert_eq!(parent(b"/a/b/"), b"/a");
        assert_eq!(parent(b"/a"), b"/");
        assert_eq!(parent(b"a"), b".");
    }
}
