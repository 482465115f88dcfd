//! A result's files in a folder, or as one tar.
//!
//! The files belong to whoever runs the build, as with Docker's local output. What is there already stays, unless the
//! result has something of the same name. Links in the folder are not followed: every path resolves inside it.

use crate::{Error, Result};
use layer::{Bytes, ContentSource, Entry, Kind, LayerId};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use snapshot::{Forms, open_directory};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Writes the files of a stack to `folder`, which is made where it is missing.
pub fn write(forms: &Forms, stack: &[LayerId], folder: &Path) -> Result<()> {
    let (listing, mut content) = forms.merged(stack)?;
    std::fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "make",
        path: folder.to_owned(),
        source,
    })?;
    let root = open_directory(folder)?;
    let mut writer = FolderWriter { root, folder, directories: Vec::new(), links: HashMap::new() };
    for entry in listing.entries() {
        writer.entry(entry, &mut content)?;
    }
    writer.finish()
}

/// Writes the files of a stack as one tar, owners as in the image.
pub fn write_tar(forms: &Forms, stack: &[LayerId], out: &mut dyn Write) -> Result<()> {
    let (listing, mut content) = forms.merged(stack)?;
    layer::write_tar(&listing, &mut content, out)?;
    Ok(())
}

struct FolderWriter<'a> {
    root: OwnedFd,
    folder: &'a Path,
    /// Directories whose mode and time are set when all is in them.
    directories: Vec<&'a Entry>,
    /// The first path of each link group.
    links: HashMap<u32, Vec<u8>>,
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

impl<'a> FolderWriter<'a> {
    fn fail(&self, action: &'static str, path: &[u8], error: rustix::io::Errno) -> Error {
        let path = self.folder.join(String::from_utf8_lossy(path).as_ref());
        Error::Io { action, path, source: error.into() }
    }

    fn entry<'e: 'a>(&mut self, entry: &'e Entry, content: &mut dyn ContentSource) -> Result<()> {
        let path = &entry.path[..];
        let (parent, name) = match path.iter().rposition(|b| *b == b'/') {
            Some(at) => (&path[..at], &path[at + 1..]),
            None => (&b"."[..], path),
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = rustix::fs::openat2(&self.root, parent, flags, Mode::empty(), BENEATH)
            .map_err(|error| self.fail("open the folder of", path, error))?;
        let there = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok();
        let is_directory =
            there.is_some_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir());
        if entry.is_directory() {
            if !is_directory {
                if there.is_some() {
                    rustix::fs::unlinkat(&parent, name, AtFlags::empty())
                        .map_err(|error| self.fail("replace", path, error))?;
                }
                rustix::fs::mkdirat(&parent, name, Mode::RWXU)
                    .map_err(|error| self.fail("make", path, error))?;
            }
            self.directories.push(entry);
            return Ok(());
        }
        if there.is_some() {
            let how = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            rustix::fs::unlinkat(&parent, name, how).map_err(|error| self.fail("replace", path, error))?;
        }
        match &entry.kind {
            Kind::File { link, .. } => {
                if let Some(first) = self.links.get(link).filter(|_| *link != 0) {
                    return rustix::fs::linkat(&self.root, &first[..], &parent, name, AtFlags::empty())
                        .map_err(|error| self.fail("link", path, error));
                }
                self.file(&parent, name, entry, content)?;
                if *link != 0 {
                    self.links.insert(*link, path.to_vec());
                }
                Ok(())
            }
            Kind::Symlink { target } => rustix::fs::symlinkat(&target[..], &parent, name)
                .map_err(|error| self.fail("make the link", path, error)),
            // Devices and pipes mean nothing outside a container.
            _ => Ok(()),
        }
    }

    fn file(
        &self,
        parent: &OwnedFd,
        name: &[u8],
        entry: &Entry,
        content: &mut dyn ContentSource,
    ) -> Result<()> {
        let path = &entry.path[..];
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| self.fail("make", path, error))?;
        let io = |action, source| Error::Io {
            action,
            path: self.folder.join(String::from_utf8_lossy(path).as_ref()),
            source,
        };
        let mut out = File::from(fd);
        match content.bytes(entry)? {
            Bytes::Here(bytes) => out.write_all(bytes).map_err(|error| io("write", error))?,
            Bytes::In { file, offset } => {
                let mut buffer = vec![0; 1 << 20];
                let (mut at, end) = (offset, offset + entry.size());
                while at < end {
                    let want = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
                    let got = file.read_at(&mut buffer[..want], at).map_err(|error| io("read", error))?;
                    if got == 0 {
                        return Err(io("read", std::io::ErrorKind::UnexpectedEof.into()));
                    }
                    out.write_all(&buffer[..got]).map_err(|error| io("write", error))?;
                    at += got as u64;
                }
            }
        }
        rustix::fs::fchmod(&out, Mode::from_raw_mode(entry.mode))
            .map_err(|error| self.fail("set the mode of", path, error))?;
        rustix::fs::futimens(&out, &times(entry)).map_err(|error| self.fail("set the time of", path, error))
    }

    /// Innermost first, so that setting a directory's time is the last that happens in it.
    fn finish(self) -> Result<()> {
        for entry in self.directories.iter().rev() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = rustix::fs::openat2(&self.root, &entry.path[..], flags, Mode::empty(), BENEATH)
                .map_err(|error| self.fail("open", &entry.path, error))?;
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(entry.mode & 0o7777 | 0o700))
                .map_err(|error| self.fail("set the mode of", &entry.path, error))?;
            rustix::fs::futimens(fd.as_fd(), &times(entry))
                .map_err(|error| self.fail("set the time of", &entry.path, error))?;
        }
        Ok(())
    }
}

fn times(entry: &Entry) -> rustix::fs::Timestamps {
    let time =
        rustix::fs::Timespec { tv_sec: entry.mtime.seconds, tv_nsec: i64::from(entry.mtime.nanoseconds) };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}
