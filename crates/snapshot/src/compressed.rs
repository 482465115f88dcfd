//! Layers as blobs: a layer is compressed when something leaves the machine, not before, and only once.

use crate::{Error, Forms, Result};
use layer::{Compression, Compressor, LayerId};
use oci::{Descriptor, media_type};
use progress::Transfer;
use std::io::Write;
use store::BlobWriter;

/// Takes the bytes of a blob as the store does, while it is made.
pub type Beside = Box<dyn Write + Send>;

/// Tells how much went through it.
struct Told<'a, W> {
    out: &'a mut W,
    packed: &'a Transfer,
}

impl<W: Write> Write for Told<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.packed.advance(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

impl Forms {
    /// A blob of the layer with this compression, as OCI calls it. A blob of it that is here serves, wherever it came from
    /// and however hard it was compressed; so does one elsewhere, for a layer that has no files here. Else it is made with
    /// `level` (nothing is the compression's own) and kept with the layer.
    ///
    /// # Errors
    /// The layer's bytes cannot be had or written; xz and bzip2 are not written; a level that there is not.
    pub fn compressed(&self, id: LayerId, compression: Compression, level: Option<u8>) -> Result<Descriptor> {
        Ok(self.compressed_beside(id, compression, level, &mut || None)?.0)
    }

    /// The same; where a blob is made, its bytes also go to what `beside` gives, if that is anything, as they are made.
    /// Gives whether they did.
    ///
    /// # Errors
    /// As [`compressed`](Self::compressed); what `beside` gave fails.
    pub fn compressed_beside(
        &self,
        id: LayerId,
        compression: Compression,
        level: Option<u8>,
        beside: &mut dyn FnMut() -> Option<Beside>,
    ) -> Result<(Descriptor, bool)> {
        let wanted = match compression {
            Compression::Zstd => media_type::Compression::Zstd,
            Compression::None => media_type::Compression::None,
            _ => media_type::Compression::Gzip,
        };
        let info = self.infos(&[id])?.remove(0);
        let known = info.blobs.iter().chain(info.remote.iter().map(|remote| &remote.descriptor));
        for blob in known.filter(|blob| media_type::layer_compression(&blob.media_type) == Some(wanted)) {
            // One that is elsewhere serves a layer that has nothing else.
            if !info.is_local() || self.store().has_blob(&blob.digest)?.is_some() {
                return Ok((blob.clone(), false));
            }
        }
        let kind = media_type::layer(wanted, false);
        let layer_error = |source| Error::Layer { what: format!("blob of layer {id}"), source };
        let blob = self.store().blob_writer(None)?.media_type(kind);
        let beside = beside();
        let copied = beside.is_some();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        // Beside the threads that compress, this one reads and another hashes and writes.
        let mut compressor =
            Compressor::new(Both { blob, beside }, compression, level, threads).map_err(layer_error)?;
        let name = info.diff_id.map_or_else(|| id.to_string(), |known| known.digest.to_string());
        let packed =
            self.packing().work(format!("packing {name}"), info.diff_id.map_or(0, |known| known.size));
        // It gathers what it is given by itself; another buffer before it would only copy a layer once more.
        self.write_tar(id, &mut Told { out: &mut compressor, packed: &packed })?;
        packed.done();
        let (digest, size) = compressor.finish().map_err(layer_error)?.blob.commit()?;
        let descriptor = Descriptor::new(kind, digest, size);
        self.store().add_layer_blob(id, &descriptor)?;
        Ok((descriptor, copied))
    }
}

/// The store, and what else takes a blob's bytes.
struct Both {
    blob: BlobWriter,
    beside: Option<Beside>,
}

impl Write for Both {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.blob.write(bytes)?;
        if let Some(beside) = &mut self.beside {
            beside.write_all(&bytes[..taken])?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
