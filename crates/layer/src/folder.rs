//! Writes the folder form of a layer: an overlayfs upper directory.
//!
//! Nobody else writes the folder meanwhile. Still every path is resolved by openat2 from the folder's own descriptor,
//! beneath it and without following any link, so that no mistake in the bookkeeping can lead outside. The descriptor
//! of the last parent stays open: neighbours cost one short open each. Directories are made with mode 0700 and get
//! their own mode, owner, attributes and times at the end, children first.

use crate::overlay::Flavour;
use crate::{Entry, Error, Kind, Result, Time, Xattr};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// Who owns the files of a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Owners {
    /// The owners of the listing.
    #[default]
    Keep,
    /// Whoever writes them: only the listing knows the owners (one mapped id).
    ListingOnly,
}

pub(crate) struct FolderWriter<'a> {
    root: BorrowedFd<'a>,
    flavour: Flavour,
    owners: Owners,
    /// The path of the directory that stands open, and it.
    parent: Option<(Vec<u8>, OwnedFd)>,
    /// Who files belong to when they are made.
    own: (u32, u32),
    /// The permission bits that the process's mask takes away; known after the first file.
    mask: Option<u32>,
}

pub(crate) const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// Opens a directory of the layer.
pub(crate) fn open_directory(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path = if path.is_empty() { b"." } else { path };
    rustix::fs::openat2(root, path, flags, Mode::empty(), BENEATH)
        .map_err(|error| Error::io("open the directory", path, error))
}

/// The path of the parent, empty for the root, and the name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

impl<'a> FolderWriter<'a> {
    /// Writes into the empty folder `root`, which becomes 0755.
    pub(crate) fn new(root: BorrowedFd<'a>, flavour: Flavour, owners: Owners) -> Result<Self> {
        // Without the setgid bit, which would give new files another group.
        rustix::fs::fchmod(root, Mode::from_raw_mode(0o755))
            .map_err(|error| Error::io("set the mode of", b".", error))?;
        let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Ok(Self { root, flavour, owners, parent: None, own, mask: None })
    }

    fn parent(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if self.parent.as_ref().is_none_or(|(open, _)| open != path) {
            let fd = open_directory(self.root, path)?;
            self.parent = Some((path.to_vec(), fd));
        }
        let (_, fd) = self.parent.as_ref().expect("because it was just set");
        Ok(fd.as_fd())
    }

    /// Makes a directory; its attributes come with [`Self::finish_directory`].
    pub(crate) fn directory(&mut self, path: &[u8]) -> Result<()> {
        let (parent, name) = split(path);
        rustix::fs::mkdirat(self.parent(parent)?, name, Mode::RWXU)
            .map_err(|error| Error::io("make the directory", path, error))
    }

    /// Makes an empty file and gives it open, and whether it has the wanted permission bits as far as the process's
    /// mask lets them through; its attributes come with [`Self::finish_file`].
    pub(crate) fn file(&mut self, path: &[u8], mode: u32) -> Result<(OwnedFd, bool)> {
        let (parent, name) = split(path);
        let known = self.mask.is_some();
        let mode = Mode::from_raw_mode(if known { mode & 0o777 } else { 0o777 });
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.parent(parent)?, name, flags, mode)
            .map_err(|error| Error::io("create", path, error))?;
        if !known {
            let stat = rustix::fs::fstat(&fd).map_err(|error| Error::io("look at", path, error))?;
            self.mask = Some(0o777 & !stat.st_mode);
        }
        Ok((fd, known))
    }

    fn finish_mode(&self, fd: &OwnedFd, path: &[u8], mode: u32) -> Result<()> {
        rustix::fs::fchmod(fd, Mode::from_raw_mode(mode))
            .map_err(|error| Error::io("set the mode of", path, error))
    }

    fn changes_owner(&self, entry: &Entry<'_>) -> bool {
        self.owners == Owners::Keep && (entry.uid, entry.gid) != self.own
    }

    /// Gives a file that [`Self::file`] made its owner, mode, attributes and time, in the order in which none undoes
    /// another. `fresh` says that it was made with the entry's own mode.
    pub(crate) fn finish_file(&self, fd: &OwnedFd, entry: &Entry<'_>, fresh: bool) -> Result<()> {
        let mut mode =
            !fresh || entry.mode & !0o777 != 0 || self.mask.is_none_or(|mask| entry.mode & mask != 0);
        if self.changes_owner(entry) {
            let (uid, gid) = ids(entry)?;
            rustix::fs::fchown(fd, Some(uid), Some(gid))
                .map_err(|error| Error::io("set the owner of", &entry.path, error))?;
            // A change of owner clears setuid and setgid only, which are set below anyway.
            mode |= entry.mode & 0o6000 != 0;
        }
        if mode {
            self.finish_mode(fd, &entry.path, entry.mode)?;
        }
        for (name, value) in &*entry.xattrs {
            let set = rustix::fs::fsetxattr(fd, &**name, value, XattrFlags::empty());
            self.judge_xattr(set, entry, name)?;
        }
        rustix::fs::futimens(fd, &timestamps(entry.mtime))
            .map_err(|error| Error::io("set the time of", &entry.path, error))
    }

    /// An attribute that the file system or the user namespace cannot hold stays in the listing alone, as container
    /// tools do it; all other failures count.
    fn judge_xattr(&self, set: Result<(), Errno>, entry: &Entry<'_>, name: &[u8]) -> Result<()> {
        match set {
            Ok(()) | Err(Errno::NOTSUP) => Ok(()),
            Err(Errno::PERM) if self.flavour == Flavour::User || name.starts_with(b"user.") => Ok(()),
            Err(error) => Err(Error::io("set the extended attributes of", &entry.path, error)),
        }
    }

    /// Gives a directory its attributes; after all that is below it is done.
    pub(crate) fn finish_directory(&mut self, entry: &Entry<'_>) -> Result<()> {
        let (parent, name) = split(&entry.path);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(self.parent(parent)?, name, flags, Mode::empty())
            .map_err(|error| Error::io("open the directory", &entry.path, error))?;
        if let Kind::Directory { opaque: true } = entry.kind {
            rustix::fs::fsetxattr(&fd, self.flavour.opaque(), b"y", XattrFlags::empty())
                .map_err(|error| Error::io("make opaque the directory", &entry.path, error))?;
        }
        self.finish_file(&fd, entry, false)
    }

    /// Makes what is neither a directory nor a file with its own bytes.
    pub(crate) fn node(&mut self, entry: &Entry<'_>) -> Result<()> {
        let (parent, name) = split(&entry.path);
        let (kind, device) = match &entry.kind {
            Kind::Symlink { target } => {
                let fd = self.parent(parent)?;
                rustix::fs::symlinkat(&**target, fd, name)
                    .map_err(|error| Error::io("make the symbolic link", &entry.path, error))?;
                return self.finish_node(entry, false);
            }
            Kind::Whiteout => {
                let mode = Mode::empty();
                return rustix::fs::mknodat(self.parent(parent)?, name, FileType::CharacterDevice, mode, 0)
                    .map_err(|error| Error::io("make a whiteout at", &entry.path, error));
            }
            Kind::CharDevice { major: 0, minor: 0 } => {
                return Err(Error::Unfit {
                    path: crate::error::shown(&entry.path),
                    action: "made",
                    reason: "a character device 0:0 is how overlayfs writes what is removed",
                });
            }
            Kind::CharDevice { major, minor } => (FileType::CharacterDevice, (*major, *minor)),
            Kind::BlockDevice { major, minor } => (FileType::BlockDevice, (*major, *minor)),
            Kind::Fifo => (FileType::Fifo, (0, 0)),
            Kind::Directory { .. } | Kind::File { .. } => {
                unreachable!("because directories and files are made by their own functions")
            }
        };
        let device = rustix::fs::makedev(device.0, device.1);
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        match rustix::fs::mknodat(self.parent(parent)?, name, kind, mode, device) {
            Ok(()) => self.finish_node(entry, true),
            // A user namespace may not make devices; the listing keeps them.
            Err(Errno::PERM) if self.flavour == Flavour::User && kind != FileType::Fifo => Ok(()),
            Err(error) => Err(Error::io("make the device", &entry.path, error)),
        }
    }

    fn finish_node(&mut self, entry: &Entry<'_>, mode: bool) -> Result<()> {
        let (parent, name) = split(&entry.path);
        let owner = self.changes_owner(entry).then(|| ids(entry)).transpose()?;
        let fd = self.parent(parent)?;
        if let Some((uid, gid)) = owner {
            rustix::fs::chownat(fd, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| Error::io("set the owner of", &entry.path, error))?;
        }
        if mode {
            // Follows no link: the name was just made as a device or pipe, and nobody else writes here.
            rustix::fs::chmodat(fd, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())
                .map_err(|error| Error::io("set the mode of", &entry.path, error))?;
        }
        let raw = fd.as_raw_fd();
        rustix::fs::utimensat(fd, name, &timestamps(entry.mtime), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Error::io("set the time of", &entry.path, error))?;
        if !entry.xattrs.is_empty() {
            // Attributes of what cannot be opened go by path; the directory's descriptor makes it safe.
            let path = [format!("/proc/self/fd/{raw}/").as_bytes(), name].concat();
            for (key, value) in &*entry.xattrs {
                let set = rustix::fs::lsetxattr(&*path, &**key, value, XattrFlags::empty());
                self.judge_xattr(set, entry, key)?;
            }
        }
        Ok(())
    }

    /// Gives the file at `from` a second name.
    pub(crate) fn hard_link(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        let ((from_parent, from_name), (to_parent, to_name)) = (split(from), split(to));
        let linked = if from_parent == to_parent {
            let fd = self.parent(to_parent)?;
            rustix::fs::linkat(fd, from_name, fd, to_name, AtFlags::empty())
        } else {
            let source = open_directory(self.root, from_parent)?;
            rustix::fs::linkat(source, from_name, self.parent(to_parent)?, to_name, AtFlags::empty())
        };
        linked.map_err(|error| Error::io("make the hard link", to, error))
    }

    /// Removes what was made at `path`; of a directory all that was in it must be gone.
    pub(crate) fn remove(&mut self, path: &[u8], directory: bool) -> Result<()> {
        let (parent, name) = split(path);
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let removed = rustix::fs::unlinkat(self.parent(parent)?, name, flags);
        if directory && self.parent.as_ref().is_some_and(|(open, _)| open == path) {
            self.parent = None;
        }
        match removed {
            // A device that could not be made.
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(Error::io("remove", path, error)),
        }
    }
}

fn ids(entry: &Entry<'_>) -> Result<(Uid, Gid)> {
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(Error::Unfit {
            path: crate::error::shown(&entry.path),
            action: "made",
            reason: "its owner is no valid id",
        });
    }
    Ok((Uid::from_raw(entry.uid), Gid::from_raw(entry.gid)))
}

fn timestamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Sorts attributes and drops overlayfs's own.
pub(crate) fn clean_xattrs(mut xattrs: Vec<Xattr>) -> Vec<Xattr> {
    xattrs.retain(|(name, _)| !crate::overlay::is_private(name));
    xattrs.sort();
    xattrs
}
