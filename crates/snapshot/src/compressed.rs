//! Layers as blobs: a layer is compressed when something leaves the machine, not before, and only once.

use crate::{Error, Forms, Result};
use layer::{Compression, Compressor, LayerId};
use oci::{Descriptor, media_type};
use std::io::{BufWriter, Write};
use store::BlobWriter;

impl Forms {
    /// A blob of the layer with this compression, as OCI calls it. A blob that the layer has already serves, wherever
    /// it came from and however hard it was compressed; else it is made with `level` (nothing is the compression's
    /// own) and kept with the layer.
    ///
    /// # Errors
    /// The layer's bytes cannot be had or written; xz and bzip2 are not written; a level that there is not.
    pub fn compressed(&self, id: LayerId, compression: Compression, level: Option<u8>) -> Result<Descriptor> {
        let wanted = match compression {
            Compression::Zstd => media_type::Compression::Zstd,
            Compression::None => media_type::Compression::None,
            _ => media_type::Compression::Gzip,
        };
        let info = self.infos(&[id])?.remove(0);
        let known = info.blobs.iter().chain(info.remote.iter().map(|remote| &remote.descriptor));
        for blob in known {
            if media_type::layer_compression(&blob.media_type) == Some(wanted) {
                return Ok(blob.clone());
            }
        }
        let kind = media_type::layer(wanted, false);
        let layer_error = |source| Error::Layer { what: format!("blob of layer {id}"), source };
        let writer = Shared(Some(self.store().blob_writer(None)?.media_type(kind)));
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut compressor =
            Compressor::new(BufWriter::with_capacity(1 << 20, writer), compression, level, threads)
                .map_err(layer_error)?;
        // It gathers what it is given by itself; another buffer before it would only copy a layer once more.
        self.write_tar(id, &mut compressor)?;
        let out = compressor.finish().map_err(layer_error)?;
        let mut out = out.into_inner().map_err(|error| io(error.into_error(), self, id))?;
        let writer = out.0.take().expect("because nobody takes it before");
        let (digest, size) = writer.commit()?;
        let descriptor = Descriptor::new(kind, digest, size);
        self.store().add_layer_blob(id, &descriptor)?;
        Ok(descriptor)
    }
}

fn io(source: std::io::Error, forms: &Forms, id: LayerId) -> Error {
    Error::Io { action: "write a blob of", path: forms.store().layer_dir(id), source }
}

/// A blob writer that can be taken out of the writers around it.
struct Shared(Option<BlobWriter>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.0 {
            Some(writer) => writer.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
