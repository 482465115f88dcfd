//! What takes how much: `system df`.

use crate::holdings::Holdings;
use crate::inner::Store;
use crate::{Result, tree};
use rusqlite::Row;

/// One line of `system df`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsageLine {
    /// How many there are.
    pub count: usize,
    /// How many of them are in use.
    pub active: usize,
    /// Their bytes; what several share counts once.
    pub bytes: u64,
    /// The bytes that a prune of this kind would free.
    pub reclaimable: u64,
}

/// What takes how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Images; active are those with containers, reclaimable what no container stands on.
    pub images: UsageLine,
    /// Containers' own layers. Which ones run the store does not know: active counts all.
    pub containers: UsageLine,
    /// Volumes; active are those that containers have.
    pub volumes: UsageLine,
    /// Records, the layers and blobs that only they keep, cache mounts, and the parts of broken downloads.
    pub build_cache: UsageLine,
}

impl Store {
    /// Counts everything. Containers' layers, volumes and cache mounts are walked.
    pub fn usage(&self) -> Result<Usage> {
        let ((images, used_images, records), holdings) = self.read(|transaction| {
            let mut counts = transaction.prepare_cached(
                "SELECT (SELECT count(*) FROM images),
                     (SELECT count(DISTINCT image) FROM containers WHERE image IN (SELECT id FROM images)),
                     (SELECT count(*) FROM records)",
            )?;
            let count = |row: &Row<'_>, at| row.get::<_, u32>(at).map(|count| count as usize);
            let counts = counts.query_row([], |row| Ok((count(row, 0)?, count(row, 1)?, count(row, 2)?)))?;
            Ok((counts, Holdings::read(transaction, i64::MAX)?))
        })?;
        let own = holdings.own_layers();
        let containers = own.iter().map(|id| tree::size(&self.layer_dir(*id).join("fs"))).sum::<u64>();
        let mut volumes = UsageLine::default();
        for volume in self.volumes()? {
            let bytes = tree::size(&volume.path);
            volumes.count += 1;
            volumes.bytes += bytes;
            match volume.used_by.is_empty() {
                true => volumes.reclaimable += bytes,
                false => volumes.active += 1,
            }
        }
        let mounts = self.cache_mounts()?;
        let mount_bytes = mounts.iter().map(|mount| tree::size(&mount.path)).sum::<u64>();
        let cache_bytes = holdings.cache_bytes() + mount_bytes + self.ingest_bytes()?;
        Ok(Usage {
            images: UsageLine {
                count: images,
                active: used_images,
                bytes: holdings.image_bytes(),
                reclaimable: holdings.image_bytes().saturating_sub(holdings.container_bytes()),
            },
            containers: UsageLine { count: own.len(), active: own.len(), bytes: containers, reclaimable: 0 },
            volumes,
            build_cache: UsageLine {
                count: records + mounts.len(),
                active: 0,
                bytes: cache_bytes,
                reclaimable: cache_bytes,
            },
        })
    }
}
