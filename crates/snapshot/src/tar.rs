//! Layers as tars: their bytes on demand, and their digests (diff ids), computed once without storing anything.

use crate::{Error, Forms, Result};
use layer::{LayerId, WRITER_VERSION};
use oci::Hasher;
use progress::VertexHandle;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use store::DiffId;

impl Forms {
    /// Writes a layer's tar, uncompressed: the bytes that its diff id is the digest of. Layers that came as a blob are
    /// read from it; others are written from listing and contents.
    pub fn write_tar(&self, id: LayerId, out: &mut dyn Write) -> Result<()> {
        let what = || format!("tar of layer {id}");
        let info = self.infos(&[id])?.remove(0);
        if info.diff_id.is_none_or(|diff| diff.writer == 0)
            && let Some(blob) = info.blobs.first()
        {
            let file = self.blob(id, blob)?;
            let tar =
                layer::decompress(file, u64::MAX).map_err(|source| Error::Layer { what: what(), source })?;
            // Beside whoever hashes, compresses or writes it.
            layer::ReadAhead::new(tar).write_to(out).map_err(|source| Error::Io {
                action: "write the tar of",
                path: self.store().layer_dir(id),
                source,
            })?;
            return Ok(());
        }
        self.complete(&[id], &VertexHandle::none())?;
        let listing = self.store().listing(id)?;
        let mut content = self.content(id, &listing)?;
        let version = info
            .diff_id
            .map_or(WRITER_VERSION, |diff| if diff.writer == 0 { WRITER_VERSION } else { diff.writer });
        layer::write_tar_as(version, &listing, &mut content, out)
            .map_err(|source| Error::Layer { what: what(), source })?;
        Ok(())
    }

    /// The diff ids of a stack, lowest first. Those that are not known yet are computed, several at a time.
    pub fn diff_ids(&self, stack: &[LayerId]) -> Result<Vec<DiffId>> {
        let infos = self.infos(stack)?;
        let missing: Vec<LayerId> =
            infos.iter().filter(|info| info.diff_id.is_none()).map(|info| info.id).collect();
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let work = || {
            while let Some(id) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if let Err(error) = self.compute_diff_id(*id) {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    return;
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.parallel().min(missing.len()) {
                scope.spawn(work);
            }
            work();
        });
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let infos = if missing.is_empty() { infos } else { self.infos(stack)? };
        infos.into_iter().map(|info| info.diff_id.ok_or(Error::NoLayer { id: info.id })).collect()
    }

    fn compute_diff_id(&self, id: LayerId) -> Result<()> {
        let mut hasher = Hasher::new();
        self.write_tar(id, &mut hasher)?;
        let size = hasher.size();
        let diff_id = DiffId { digest: hasher.finish(), size, writer: WRITER_VERSION };
        Ok(self.store().set_diff_id(id, diff_id)?)
    }
}
