//! The members of an archive or of a layout's folder, by path.

use super::wrong;
use crate::folder::Folder;
use crate::{Error, Result};
use layer::{MemberKind, ReadAhead, TarReader};
use oci::{Digest, Hasher, MAX_DOCUMENT};
use progress::{Transfer, VertexHandle};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use store::Store;

/// Members up to this size are kept in memory ...
const SMALL: u64 = 1 << 20;
/// ... as long as they are not more than this together.
const MOST_SMALL: u64 = 64 << 20;
/// The most members that an archive may have.
const MOST_MEMBERS: usize = 200_000;
/// The most bytes of an archive after decompression.
pub(super) const MOST_BYTES: u64 = 1 << 40;
/// So many links are followed from one member to the next.
const MOST_LINKS: usize = 8;

/// Members by path.
pub(super) trait Members: Sync {
    /// The bytes of a document of at most [`MAX_DOCUMENT`] bytes; nothing where it is not there.
    fn document(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// Whether there is a member of this path.
    fn has(&self, path: &str) -> Result<bool>;

    /// Puts a member into the store as a blob, unless it is there. Gives its digest and size; nothing where the member is
    /// not there.
    fn blob(&self, path: &str, expected: Option<Digest>) -> Result<Option<(Digest, u64)>>;
}

/// The members of a tar that was read to its end.
pub(super) struct Archive<'a> {
    store: &'a Store,
    name: &'a str,
    places: HashMap<String, Place>,
}

enum Place {
    Memory(Vec<u8>),
    Blob(Digest, u64),
    Link(String),
}

impl<'a> Archive<'a> {
    /// Reads the tar.
    pub(super) fn spool(
        store: &'a Store,
        input: impl Read + Send + 'static,
        name: &'a str,
        vertex: &VertexHandle,
    ) -> Result<Self> {
        let damaged = |error| wrong(name, reason(error));
        let plain = layer::decompress(input, MOST_BYTES).map_err(damaged)?;
        let mut tar = TarReader::new(ReadAhead::new(plain));
        let transfer = vertex.transfer("reading the archive", 0);
        let mut places = HashMap::new();
        let mut kept = 0;
        while let Some(member) = tar.next().map_err(damaged)? {
            if places.len() >= MOST_MEMBERS {
                return Err(wrong(name, format!("it has more than {MOST_MEMBERS} members")));
            }
            let path = normal(&String::from_utf8_lossy(&member.path));
            let place = match member.kind {
                MemberKind::File if member.size <= SMALL && kept + member.size <= MOST_SMALL => {
                    kept += member.size;
                    let mut bytes = Vec::with_capacity(usize::try_from(member.size).unwrap_or(0));
                    pour(&mut tar, member.size, &mut bytes, name)?;
                    Place::Memory(bytes)
                }
                MemberKind::File => {
                    let expected = digest_in(&path);
                    match expected {
                        // Nothing of it is looked at where the store has these bytes.
                        Some(digest) if store.has_blob(&digest)? == Some(member.size) => {
                            Place::Blob(digest, member.size)
                        }
                        _ => {
                            let mut writer = store.blob_writer(expected)?;
                            pour(&mut tar, member.size, &mut writer, name)?;
                            let (digest, size) =
                                writer.commit().map_err(|error| damage(name, &path, error))?;
                            Place::Blob(digest, size)
                        }
                    }
                }
                // Older Docker names a layer that several images share by links.
                MemberKind::Symlink => Place::Link(beside(&path, &String::from_utf8_lossy(&member.link))),
                MemberKind::HardLink => Place::Link(normal(&String::from_utf8_lossy(&member.link))),
                _ => continue,
            };
            places.insert(path, place);
            transfer.set(tar.position());
        }
        tar.drain(SMALL).map_err(damaged)?;
        transfer.done();
        if places.is_empty() {
            return Err(wrong(name, "it is empty"));
        }
        Ok(Self { store, name, places })
    }

    fn find(&self, path: &str) -> Option<&Place> {
        let mut place = self.places.get(&normal(path))?;
        for _ in 0..MOST_LINKS {
            match place {
                Place::Link(target) => place = self.places.get(target)?,
                found => return Some(found),
            }
        }
        None
    }
}

impl Members for Archive<'_> {
    fn document(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.find(path) {
            Some(Place::Memory(bytes)) => Ok(Some(bytes.clone())),
            Some(Place::Blob(digest, size)) => {
                if *size > MAX_DOCUMENT {
                    return Err(wrong(
                        self.name,
                        format!("`{path}` has {size} bytes, too many for a document"),
                    ));
                }
                Ok(Some(self.store.read_blob(digest, MAX_DOCUMENT)?))
            }
            _ => Ok(None),
        }
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(self.find(path).is_some())
    }

    fn blob(&self, path: &str, expected: Option<Digest>) -> Result<Option<(Digest, u64)>> {
        let (digest, size) = match self.find(path) {
            Some(Place::Memory(bytes)) => (Digest::of(bytes), bytes.len() as u64),
            Some(Place::Blob(digest, size)) => (*digest, *size),
            _ => return Ok(None),
        };
        check(self.name, path, expected, digest)?;
        if let Some(Place::Memory(bytes)) = self.find(path) {
            self.store.put_blob(bytes, "")?;
        }
        Ok(Some((digest, size)))
    }
}

/// A folder with an OCI layout.
pub(super) struct Layout<'a> {
    store: &'a Store,
    name: &'a str,
    folder: Folder,
}

impl<'a> Layout<'a> {
    pub(super) fn open(store: &'a Store, path: &Path, name: &'a str) -> Result<Self> {
        Ok(Self { store, name, folder: Folder::open(path)? })
    }

    /// What is wrong with a member is wrong with what is loaded.
    fn wrong(&self, error: Error) -> Error {
        match error {
            Error::Layout { reason, .. } => wrong(self.name, reason),
            error => error,
        }
    }
}

impl Members for Layout<'_> {
    fn document(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.folder.document(path, MAX_DOCUMENT).map_err(|error| self.wrong(error))
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(self.folder.file(path)?.is_some())
    }

    fn blob(&self, path: &str, expected: Option<Digest>) -> Result<Option<(Digest, u64)>> {
        let Some((mut file, size)) = self.folder.file(path).map_err(|error| self.wrong(error))? else {
            return Ok(None);
        };
        if let Some(digest) = expected
            && self.store.has_blob(&digest)? == Some(size)
        {
            return Ok(Some((digest, size)));
        }
        let mut writer = self.store.blob_writer(expected)?;
        let mut buffer = vec![0; 1 << 18];
        let fail = |source| Error::Io { action: "copy", path: path.into(), source };
        loop {
            let count = file.read(&mut buffer).map_err(fail)?;
            if count == 0 {
                break;
            }
            writer.write_all(&buffer[..count]).map_err(fail)?;
        }
        Ok(Some(writer.commit().map_err(|error| damage(self.name, path, error))?))
    }
}

/// Copies the current member, holes as zeros.
fn pour<R: Read>(tar: &mut TarReader<R>, size: u64, out: &mut dyn Write, name: &str) -> Result<()> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let fail = |source| Error::Io { action: "spool", path: name.into(), source };
    let zeros = |out: &mut dyn Write, mut count: u64| {
        while count > 0 {
            let now = usize::try_from(count).unwrap_or(ZEROS.len()).min(ZEROS.len());
            out.write_all(&ZEROS[..now])?;
            count -= now as u64;
        }
        Ok(())
    };
    let mut at = 0;
    while let Some(chunk) = tar.chunk().map_err(|error| wrong(name, reason(error)))? {
        zeros(out, chunk.offset.saturating_sub(at)).map_err(fail)?;
        out.write_all(chunk.bytes).map_err(fail)?;
        at = chunk.offset + chunk.bytes.len() as u64;
    }
    zeros(out, size.saturating_sub(at)).map_err(fail)
}

/// A digest that a member is named after: `blobs/sha256/<hex>`.
fn digest_in(path: &str) -> Option<Digest> {
    Digest::from_hex(path.strip_prefix("blobs/sha256/")?).ok()
}

fn check(name: &str, path: &str, expected: Option<Digest>, actual: Digest) -> Result<()> {
    match expected {
        Some(expected) if expected != actual => {
            Err(wrong(name, format!("`{path}` should have the digest {expected} and has {actual}")))
        }
        _ => Ok(()),
    }
}

/// A store's error about a member's bytes.
fn damage(name: &str, path: &str, error: store::Error) -> Error {
    match error {
        store::Error::Digest { expected, actual } => {
            wrong(name, format!("`{path}` should have the digest {expected} and has {actual}"))
        }
        error => error.into(),
    }
}

/// A path of an archive without `./` and `/` before it, and without `.` and `..` in it. It is a key, never a path of a
/// file system.
pub(super) fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What a link beside `path` means.
fn beside(path: &str, link: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    if link.starts_with('/') { normal(link) } else { normal(&format!("{folder}/{link}")) }
}

/// What is wrong with a tar, in one line.
pub(super) fn reason(error: layer::Error) -> String {
    match error {
        layer::Error::Archive { reason } | layer::Error::Compression { reason } => reason,
        error => chain(&error),
    }
}

/// An error with its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// The digest of what is read through it.
pub(super) struct Hashing<R> {
    pub(super) inner: R,
    pub(super) hasher: Hasher,
}

/// Tells how much was read through it.
pub(super) struct Counting<R> {
    pub(super) inner: R,
    pub(super) transfer: Arc<Transfer>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.transfer.advance(count as u64);
        Ok(count)
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_keys() {
        for (path, key) in
            [("./a/b", "a/b"), ("/a//b/", "a/b"), ("../../etc/x", "etc/x"), ("a/../b", "b"), (".", "")]
        {
            assert_eq!(normal(path), key);
        }
        assert_eq!(beside("one/layer.tar", "../two/layer.tar"), "two/layer.tar");
        assert_eq!(beside("layer.tar", "/x/y"), "x/y");
    }
}
