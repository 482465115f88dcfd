//! Where the bytes of a listing's files come from.

use crate::folder::{BENEATH, open_directory, split};
use crate::{Content, Entry, Error, Kind, Place, Result};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A file's bytes: at hand, or in an open file.
#[derive(Debug)]
pub enum Bytes<'a> {
    /// All of them.
    Here(&'a [u8]),
    /// In `file` from `offset` on, for the entry's size.
    In {
        /// The open file.
        file: &'a File,
        /// Where the bytes start.
        offset: u64,
    },
}

/// Gives the bytes of the files of one listing.
///
/// Files are asked for in the order of the listing, so a source may read ahead.
pub trait ContentSource {
    /// The bytes of `entry`, which is a regular file of the listing.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be opened or read, [`Error::Changed`] where their size is another.
    fn bytes(&mut self, entry: &Entry<'_>) -> Result<Bytes<'_>>;
}

/// Where one layer keeps bytes: its folder, its pack file, or both.
#[derive(Clone, Debug, Default)]
pub struct LayerFiles {
    /// The folder form, if there is one.
    pub folder: Option<Arc<OwnedFd>>,
    /// The pack file, if there is one.
    pub pack: Option<Arc<File>>,
}

/// The bytes of a listing in the store: its own layer's files and those of the layers it borrows from.
///
/// Small files of a pack come out of a window of 1 MiB, which is read ahead. The directory of the last folder file
/// stays open.
#[derive(Debug)]
pub struct StoredContent {
    own: LayerFiles,
    borrowed: Vec<LayerFiles>,
    window: Vec<u8>,
    /// Which layer's pack and from which offset on the window is.
    window_at: Option<(Option<u32>, u64)>,
    directory: Option<(Option<u32>, Vec<u8>, OwnedFd)>,
    file: Option<File>,
}

const WINDOW: u64 = 1 << 20;
/// Larger files are not read through the window.
const SMALL: u64 = 128 << 10;

impl StoredContent {
    /// The bytes of a listing whose [`borrowed`](crate::Listing::borrowed) layers have these files, in that order.
    #[must_use]
    pub fn new(own: LayerFiles, borrowed: Vec<LayerFiles>) -> Self {
        Self { own, borrowed, window: Vec::new(), window_at: None, directory: None, file: None }
    }
}

fn missing(entry: &Entry<'_>, what: &'static str) -> Error {
    Error::io(what, &entry.path, std::io::Error::from(std::io::ErrorKind::NotFound))
}

impl ContentSource for StoredContent {
    fn bytes(&mut self, entry: &Entry<'_>) -> Result<Bytes<'_>> {
        let Kind::File { size, content, .. } = &entry.kind else {
            return Err(missing(entry, "find the bytes of what is no file:"));
        };
        let (layer, place) = match content {
            Content::Own(place) => (None, place),
            Content::Borrowed { layer, place } => (Some(*layer), place),
        };
        if *size == 0 {
            return Ok(Bytes::Here(&[]));
        }
        let files = match layer {
            None => Some(&self.own),
            Some(layer) => self.borrowed.get(layer as usize),
        };
        let files = files.ok_or_else(|| missing(entry, "find the borrowed layer of"))?;
        let path = match place {
            Place::Pack(offset) => {
                let pack = files.pack.as_ref().ok_or_else(|| missing(entry, "find the pack file of"))?;
                if *size > SMALL {
                    return Ok(Bytes::In { file: pack, offset: *offset });
                }
                let inside = |start: u64, held: usize| {
                    *offset >= start && offset.saturating_add(*size) <= start + held as u64
                };
                let at = match self.window_at {
                    Some((of, start)) if of == layer && inside(start, self.window.len()) => start,
                    _ => {
                        self.window_at = None;
                        self.window.resize(WINDOW as usize, 0);
                        let have = read_up_to(pack, &mut self.window, *offset)
                            .map_err(|error| Error::io("read the packed", &entry.path, error))?;
                        self.window.truncate(have);
                        if (have as u64) < *size {
                            return Err(cut(entry));
                        }
                        self.window_at = Some((layer, *offset));
                        *offset
                    }
                };
                let start = (offset - at) as usize;
                return Ok(Bytes::Here(&self.window[start..start + *size as usize]));
            }
            Place::Folder => &entry.path,
            Place::FolderAt(path) => path,
        };
        let folder = files.folder.as_ref().ok_or_else(|| missing(entry, "find the folder of"))?;
        let (parent, name) = split(path);
        if self.directory.as_ref().is_none_or(|(of, open, _)| *of != layer || open != parent) {
            let fd = open_directory(folder.as_fd(), parent)?;
            self.directory = Some((layer, parent.to_vec(), fd));
        }
        let (_, _, directory) = self.directory.as_ref().expect("because it was just set");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat2(directory, name, flags, Mode::empty(), BENEATH)
            .map_err(|error| Error::io("open", path, error))?;
        let file = File::from(fd);
        if *size <= SMALL {
            // One byte more, so that a longer file is noticed.
            self.window_at = None;
            self.window.resize(*size as usize + 1, 0);
            let have =
                read_up_to(&file, &mut self.window, 0).map_err(|error| Error::io("read", path, error))?;
            if have as u64 != *size {
                return Err(cut(entry));
            }
            return Ok(Bytes::Here(&self.window[..have]));
        }
        if file.metadata().map_err(|error| Error::io("look at", path, error))?.len() != *size {
            return Err(cut(entry));
        }
        Ok(Bytes::In { file: self.file.insert(file), offset: 0 })
    }
}

/// The error of a file whose size is not the listing's.
pub(crate) fn cut(entry: &Entry<'_>) -> Error {
    Error::Changed { path: crate::error::shown(&entry.path), reason: "its size is another" }
}

/// Fills as much of `buffer` as the file has from `offset` on.
pub(crate) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read_at(&mut buffer[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}
