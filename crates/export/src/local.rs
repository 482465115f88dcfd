//! A result's files in a folder, or as one tar.
//!
//! The files belong to whoever runs the build, as with Docker's local output. What is there already stays, unless the
//! result has something of the same name. Links in the folder are not followed: every path resolves inside it.

use crate::stated::Stated;
use crate::{Error, Result};
use attest::Attestation;
use layer::{Bytes, Content, ContentSource, Entry, Kind, LayerId, Listing, ListingBuilder, Place, Time};
use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use snapshot::{Forms, open_directory};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// How a result's files are written.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A folder of the result's own inside the destination (`linux_amd64`); empty is none.
    pub folder: String,
    /// The time of every file, in place of its own: SOURCE_DATE_EPOCH.
    pub epoch: Option<Time>,
    /// What is stated about the files; each becomes a file, unless only images carry it.
    pub attestations: Vec<Attestation>,
    /// What the names of these files begin with.
    pub prefix: String,
    /// What stands in them before the ending, where several results share a folder (`linux_amd64`); empty is none.
    pub platform: String,
    /// The time of these files where there is no `epoch`.
    pub now: Time,
}

impl Options {
    /// What a statement is called: `PREFIXprovenance.PLATFORM.json`.
    pub(crate) fn statement_name(&self, file: &str) -> String {
        let name = format!("{}{file}", self.prefix);
        match name.rsplit_once('.') {
            Some((stem, ending)) if !self.platform.is_empty() => format!("{stem}.{}.{ending}", self.platform),
            _ => name,
        }
    }
}

/// Writes the files of several results to `folder`, which is made where it is missing. With `delete`, what none of them
/// has is removed.
///
/// # Errors
/// Files that cannot be had or written; two results with the same file where they share a folder.
pub fn write(forms: &Forms, results: &[(&[LayerId], Options)], folder: &Path, delete: bool) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|source| Error::Io {
        action: "make",
        path: folder.to_owned(),
        source,
    })?;
    let merged = merged(forms, results)?;
    if delete {
        let keep: HashSet<&[u8]> =
            merged.iter().flat_map(|(listing, _)| (0..listing.len()).map(|at| listing.path(at))).collect();
        remove_others(open_directory(folder)?, folder, &mut Vec::new(), &keep)?;
    }
    for (listing, mut content) in merged {
        let root = open_directory(folder)?;
        let mut writer = FolderWriter { root, folder, directories: Vec::new(), links: HashMap::new() };
        for entry in listing.entries() {
            writer.entry(entry, &mut content)?;
        }
        writer.finish()?;
    }
    Ok(())
}

/// Writes the files of several results as one tar, owners as in the image.
///
/// # Errors
/// As [`write()`].
pub fn write_tar(forms: &Forms, results: &[(&[LayerId], Options)], out: &mut dyn Write) -> Result<()> {
    let mut merged = merged(forms, results)?;
    let last = merged.len().saturating_sub(1);
    for (at, (listing, content)) in merged.iter_mut().enumerate() {
        if at < last {
            // The end of an archive is two empty blocks: only the last one's stay.
            let part = WithoutEnd { out: &mut *out, held: Vec::with_capacity(END) };
            let mut part = std::io::BufWriter::with_capacity(1 << 20, part);
            layer::write_tar(listing, content, &mut part)?;
            part.flush().map_err(crate::sink::archive_error)?;
        } else {
            layer::write_tar(listing, content, &mut *out)?;
        }
    }
    Ok(())
}

/// The listings as they are written: in their folders, with their times.
fn merged(forms: &Forms, results: &[(&[LayerId], Options)]) -> Result<Vec<(Listing, Stated)>> {
    let mut seen: HashSet<Box<[u8]>> = HashSet::new();
    let mut all = Vec::with_capacity(results.len());
    for (stack, options) in results {
        let (listing, content) = forms.merged(stack)?;
        let is_plain =
            options.folder.is_empty() && options.epoch.is_none() && options.attestations.is_empty();
        if is_plain && results.len() == 1 {
            return Ok(vec![Stated::new(content, listing, options)]);
        }
        let (listing, content) = Stated::new(content, listing, options);
        let mut entries = ListingBuilder::with_capacity(listing.len() + 1, 0);
        if !options.folder.is_empty() {
            entries.push(&platform_folder(options));
        }
        for mut entry in listing.entries() {
            if let Some(epoch) = options.epoch {
                entry.mtime = epoch;
            }
            if !options.folder.is_empty() {
                if let Kind::File { content: Content::Borrowed { place, .. }, .. } = &mut entry.kind
                    && matches!(place, Place::Folder)
                {
                    *place = Place::FolderAt(entry.path.clone());
                }
                entry.path = [options.folder.as_bytes(), b"/", &entry.path].concat().into();
            }
            if !entry.is_directory() && !seen.insert(Box::from(&*entry.path)) {
                let path = String::from_utf8_lossy(&entry.path).into_owned();
                return Err(Error::SamePath { path });
            }
            entries.push(&entry);
        }
        all.push((entries.finish(listing.borrowed().to_vec()), content));
    }
    Ok(all)
}

fn platform_folder(options: &Options) -> Entry<'_> {
    Entry {
        path: options.folder.as_bytes().into(),
        kind: Kind::Directory { opaque: false },
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: options.epoch.unwrap_or_default(),
        xattrs: Vec::new().into(),
    }
}

/// The end of an archive: two empty blocks.
const END: usize = 1024;

/// Passes a tar on without its end.
struct WithoutEnd<'a> {
    out: &'a mut dyn Write,
    /// The last bytes seen, which may be the end.
    held: Vec<u8>,
}

impl Write for WithoutEnd<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.held.extend_from_slice(bytes);
        let sure = self.held.len().saturating_sub(END);
        self.out.write_all(&self.held[..sure])?;
        self.held.drain(..sure);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Removes what is below `directory` and not among `keep`. Links are removed, not followed.
fn remove_others(directory: OwnedFd, folder: &Path, path: &mut Vec<u8>, keep: &HashSet<&[u8]>) -> Result<()> {
    let fail = |action, path: &[u8], error: rustix::io::Errno| {
        let path = folder.join(String::from_utf8_lossy(path).as_ref());
        Error::Io { action, path, source: error.into() }
    };
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(&directory).map_err(|error| fail("read", path, error))? {
        let entry = entry.map_err(|error| fail("read", path, error))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    for name in names {
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(&name);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let inner = rustix::fs::openat(&directory, &name[..], flags, Mode::empty()).ok();
        let is_directory = inner.is_some();
        let kept = keep.contains(&path[..]);
        if let Some(inner) = inner {
            remove_others(inner, folder, path, keep)?;
        }
        if !kept {
            let how = if is_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            rustix::fs::unlinkat(&directory, &name[..], how).map_err(|error| fail("remove", path, error))?;
        }
        path.truncate(length);
    }
    Ok(())
}

struct FolderWriter<'a> {
    root: OwnedFd,
    folder: &'a Path,
    /// Directories whose mode and time are set when all is in them.
    directories: Vec<Entry<'a>>,
    /// The first path of each link group.
    links: HashMap<u32, Vec<u8>>,
}

const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

impl<'a> FolderWriter<'a> {
    fn fail(&self, action: &'static str, path: &[u8], error: rustix::io::Errno) -> Error {
        let path = self.folder.join(String::from_utf8_lossy(path).as_ref());
        Error::Io { action, path, source: error.into() }
    }

    fn entry(&mut self, entry: Entry<'a>, content: &mut dyn ContentSource) -> Result<()> {
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
                self.file(&parent, name, &entry, content)?;
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
        entry: &Entry<'_>,
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

fn times(entry: &Entry<'_>) -> rustix::fs::Timestamps {
    let time =
        rustix::fs::Timespec { tv_sec: entry.mtime.seconds, tv_nsec: i64::from(entry.mtime.nanoseconds) };
    rustix::fs::Timestamps { last_access: time, last_modification: time }
}
