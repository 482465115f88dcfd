//! The file system that is scanned, as its consumer sees it.

use crate::limits;
use crate::{Error, Result};
use std::io;

/// A file system, read only. Several threads read at once.
pub trait Tree: Sync {
    /// All regular files, each under the path where it stands: no link is followed.
    fn files(&self) -> Vec<File<'_>>;

    /// Opens the regular file at `path`, which is relative to the root. Links on the way and at its end are followed
    /// inside the root, never out of it. Nothing where there is none or something else.
    ///
    /// # Errors
    /// Those of reading the tree itself; a loop of links is nothing.
    fn open(&self, path: &[u8]) -> io::Result<Option<Box<dyn Content + '_>>>;
}

/// One regular file of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'a> {
    /// The path, relative to the root, without a slash before or behind.
    pub path: &'a [u8],
    /// The size in bytes.
    pub size: u64,
    /// Whether somebody may execute it.
    pub executable: bool,
    /// The number of the layer that brings it, 0 the lowest.
    pub layer: usize,
}

/// An open file.
pub trait Content {
    /// Its size in bytes.
    fn size(&self) -> u64;

    /// Reads from `offset` on into `buffer` and says how many bytes came: fewer than asked for only at the end.
    ///
    /// # Errors
    /// Those of reading.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// A file that was read whole.
impl Content for Vec<u8> {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }
}

/// A file's bytes, or why there are none.
pub(crate) enum Read {
    Bytes(Vec<u8>),
    Missing,
    /// It has more than the limit.
    TooLarge,
}

/// The whole file at `path`, if it has `limit` bytes at most.
pub(crate) fn read(tree: &dyn Tree, path: &[u8], limit: u64) -> Result<Read> {
    let failed = |source| Error::Read { path: shown(path), source };
    let Some(content) = tree.open(path).map_err(failed)? else { return Ok(Read::Missing) };
    let size = content.size();
    if size > limit {
        return Ok(Read::TooLarge);
    }
    read_range(&*content, 0, size).map(Read::Bytes).map_err(failed)
}

/// A small text that may be missing; bytes that are no UTF-8 are replaced.
pub(crate) fn read_text(tree: &dyn Tree, path: &[u8]) -> Result<Option<String>> {
    Ok(match read(tree, path, limits::TEXT)? {
        Read::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Read::Missing | Read::TooLarge => None,
    })
}

/// The bytes at `offset`: fewer than `length` at the end of the file. The caller has bounded the length.
pub(crate) fn read_range(content: &dyn Content, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let left = content.size().saturating_sub(offset);
    let length = usize::try_from(length.min(left)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    let mut have = 0;
    while have < length {
        match content.read_at(offset + have as u64, &mut bytes[have..])? {
            0 => break,
            count => have += count.min(length - have),
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// A path as text.
pub(crate) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
