//! From a cache's contents to a store of objects: blobs first, several at once, then the configuration that names them.

use super::Contents;
use crate::beside::beside;
use crate::{LayerBlob, Result};
use objects::{Blob, Objects};
use progress::VertexHandle;
use snapshot::Forms;

/// Writes a cache.
///
/// # Errors
/// What the store says; layers whose bytes cannot be had.
pub fn send(objects: &dyn Objects, contents: &Contents, forms: &Forms, vertex: &VertexHandle) -> Result<()> {
    let layer = |layer: &LayerBlob| -> Result<()> {
        let LayerBlob { info, descriptor } = layer;
        let transfer = vertex.transfer(descriptor.digest.to_string(), descriptor.size);
        // Only when the store wants the bytes are they fetched, if they are not here.
        let open = || forms.blob(info.id, descriptor).map_err(std::io::Error::other);
        let blob = Blob { digest: descriptor.digest, size: descriptor.size };
        objects.put_blob(blob, &open, &|sent| transfer.set(sent))?;
        transfer.done();
        Ok(())
    };
    beside(objects.parallel(), layer, |send| contents.layers.iter().try_for_each(send))?;
    Ok(objects.put_document(&contents.config)?)
}
