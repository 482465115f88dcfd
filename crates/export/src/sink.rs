//! Where the members of an archive go: into a tar, or into a folder.
//!
//! Times in a tar are 0 and owners 0, so the same images give the same bytes.

use crate::folder::Folder;
use crate::target::TargetFile;
use crate::{Error, Follower, LayerBlob, Result};
use oci::Digest;
use snapshot::{Beside, Forms};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The block of a tar.
const BLOCK: u64 = 512;
/// What a tar ends with.
const END: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];

/// Where an archive goes.
pub enum Out<'a> {
    /// Into a stream, from its first byte to its last.
    Stream(&'a mut dyn Write),
    /// Into a regular file, from its start on. Layers that are compressed for the archive are written there while they
    /// are, and the members before them when their digests are known. What the file has beyond the archive's end is cut
    /// off.
    File(&'a TargetFile),
}

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
    out: Out<'a>,
    /// Where the next member begins.
    at: u64,
    written: HashSet<String>,
}

impl<'a> TarSink<'a> {
    pub(crate) fn new(out: Out<'a>) -> Self {
        Self { out, at: 0, written: HashSet::new() }
    }

    /// Ends the tar.
    pub(crate) fn finish(mut self) -> Result<()> {
        let ended = self.write_all(&END).and_then(|()| match self.out {
            Out::Stream(_) => Ok(()),
            Out::File(file) => file.end(self.at),
        });
        ended.map_err(archive_error)
    }

    fn header(&mut self, name: &str, size: u64) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(archive_error)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        self.write_all(header.as_bytes()).map_err(archive_error)
    }

    /// Fills the last block of a member.
    fn padding(&mut self) -> Result<()> {
        let missing = self.at.next_multiple_of(BLOCK) - self.at;
        self.write_all(&END[..missing as usize]).map_err(archive_error)
    }

    /// Puts the layers of a bundle in while `make` makes it. An error of the archive comes before what `make` says of it.
    pub(crate) fn follow<T, E: From<Error>>(
        &mut self,
        forms: &Forms,
        make: impl FnOnce(&mut dyn Follower) -> Result<T, E>,
    ) -> Result<T, E> {
        let failed = Arc::default();
        let made = make(&mut Following { sink: self, forms, failed: Arc::clone(&failed) });
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
        failed.map_or(made, |error| Err(archive_error(error).into()))
    }
}

impl Write for TarSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = match &mut self.out {
            Out::Stream(out) => out.write(bytes)?,
            Out::File(file) => file.write_at(bytes, self.at)?,
        };
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        match &mut self.out {
            Out::Stream(out) => out.flush(),
            Out::File(_) => Ok(()),
        }
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
        self.header(name, size)?;
        let start = self.at;
        write(self)?;
        let count = self.at - start;
        if count != size {
            let reason = format!("{name} came out with {count} bytes, not with {size}");
            return Err(Error::Archive { name: "output".to_owned(), reason });
        }
        self.padding()
    }
}

/// Why an archive could not be written by another thread.
type Failed = Arc<Mutex<Option<std::io::Error>>>;

/// Layers that go into a tar while they are made.
struct Following<'b, 'a> {
    sink: &'b mut TarSink<'a>,
    forms: &'b Forms,
    failed: Failed,
}

impl Follower for Following<'_, '_> {
    fn beside(&mut self) -> Option<Beside> {
        let Out::File(file) = self.sink.out else { return None };
        Some(Box::new(Member {
            file: file.clone(),
            at: self.sink.at + BLOCK,
            failed: Arc::clone(&self.failed),
        }))
    }

    fn made(&mut self, layer: &LayerBlob, copied: bool) -> Result<()> {
        let name = blob_name(&layer.descriptor.digest);
        if !copied || !self.sink.written.insert(name.clone()) {
            return put_layer(self.sink, self.forms, layer);
        }
        self.sink.header(&name, layer.descriptor.size)?;
        self.sink.at += layer.descriptor.size;
        self.sink.padding()
    }
}

/// A member of a tar in a file, whose header is written when its bytes are there.
struct Member {
    file: TargetFile,
    at: u64,
    failed: Failed,
}

impl Write for Member {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.file.write_at(bytes, self.at) {
            Ok(count) => {
                self.at += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(std::io::Error::other("the archive cannot be written"))
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
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

/// Writes a layer's blob as it is in the store.
pub(crate) fn put_layer(sink: &mut dyn Sink, forms: &Forms, layer: &LayerBlob) -> Result<()> {
    let LayerBlob { info, descriptor } = layer;
    sink.put(&blob_name(&descriptor.digest), descriptor.size, &mut |out| {
        copy(&mut forms.blob(info.id, descriptor)?, out)
    })
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
