//! Where the members of an archive go: into a tar, or into a folder.
//!
//! Times in a tar are 0 and owners 0, so the same images give the same bytes.

use crate::folder::Folder;
use crate::{Error, Result};
use oci::Digest;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

/// Where members go.
pub(crate) trait Sink {
    /// Writes a member of a known size; a blob that is there already is not written again.
    fn put(
        &mut self,
        name: &str,
        size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()>;
}

/// Members of a tar.
pub(crate) struct TarSink<'a> {
    builder: tar::Builder<&'a mut dyn Write>,
    written: HashSet<String>,
}

impl<'a> TarSink<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self { builder: tar::Builder::new(out), written: HashSet::new() }
    }

    /// Ends the tar.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.builder.finish().map_err(archive_error)
    }
}

impl Sink for TarSink<'_> {
    fn put(
        &mut self,
        name: &str,
        size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(archive_error)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let out = self.builder.get_mut();
        out.write_all(header.as_bytes()).map_err(archive_error)?;
        let mut counted = Counted { inner: out, count: 0 };
        write(&mut counted)?;
        if counted.count != size {
            let reason = format!("{name} came out with {} bytes, not with {size}", counted.count);
            return Err(Error::Archive { name: "output".to_owned(), reason });
        }
        let padding = (512 - size % 512) % 512;
        out.write_all(&[0; 512][..usize::try_from(padding).unwrap_or(0)]).map_err(archive_error)
    }
}

/// Files of a folder.
pub(crate) struct FolderSink(Folder);

impl FolderSink {
    /// Makes the folder where it is missing.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        Folder::make(folder).map(Self)
    }
}

impl Sink for FolderSink {
    fn put(
        &mut self,
        name: &str,
        size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if name.starts_with("blobs/") && self.0.file(name)?.is_some_and(|(_, there)| there == size) {
            return Ok(());
        }
        self.0.put(name, write)
    }
}

/// Counts what is written through it.
pub(crate) struct Counted<'a> {
    pub(crate) inner: &'a mut dyn Write,
    pub(crate) count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

pub(crate) fn archive_error(source: std::io::Error) -> Error {
    Error::Io { action: "write", path: "the archive".into(), source }
}

/// Writes a document.
pub(crate) fn bytes(sink: &mut dyn Sink, name: &str, bytes: &[u8]) -> Result<()> {
    sink.put(name, bytes.len() as u64, &mut |out| out.write_all(bytes).map_err(archive_error))
}

/// Where a blob stands.
pub(crate) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// Writes a blob on.
pub(crate) fn copy(from: &mut dyn Read, out: &mut dyn Write) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut buffer).map_err(|source| Error::Io {
            action: "read",
            path: "a blob".into(),
            source,
        })?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count]).map_err(archive_error)?;
    }
}
