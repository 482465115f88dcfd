//! What keeps what: the graph of records, images, containers, layers and blobs, in memory, with counts of references.
//! Collection and `system df` both ask it.

use crate::layers::{json, stack};
use crate::{Result, indexes};
use layer::LayerId;
use oci::{Descriptor, Digest};
use rusqlite::Transaction;
use std::collections::HashMap;

/// Something that a prune of the build cache can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Item {
    Record(Digest),
    /// An index into the list of free cache mounts.
    Mount(usize),
}

#[derive(Default)]
struct LayerNode {
    /// Records, pins of live layers and, while a lease protects it, the lease.
    refs: usize,
    /// Whether an image or container leads here.
    kept: bool,
    buried: bool,
    bytes: u64,
    pins: Vec<LayerId>,
    blobs: Vec<Digest>,
}

#[derive(Default)]
struct BlobNode {
    refs: usize,
    kept: bool,
    buried: bool,
    bytes: u64,
}

struct RecordNode {
    stack: Vec<LayerId>,
    last_used: i64,
}

#[derive(Default)]
pub(crate) struct Holdings {
    layers: HashMap<LayerId, LayerNode>,
    blobs: HashMap<Digest, BlobNode>,
    records: HashMap<Digest, RecordNode>,
    /// The bytes of what containers stand on.
    container_bytes: u64,
    /// That and the bytes of images.
    image_bytes: u64,
    /// The layers that containers write to.
    own: Vec<LayerId>,
    dead: Dead,
}

/// What nothing leads to, with its bytes.
#[derive(Default)]
pub(crate) struct Dead {
    pub(crate) layers: Vec<(LayerId, u64)>,
    pub(crate) blobs: Vec<(Digest, u64)>,
}

impl Holdings {
    /// Reads the graph. What was last used at or after `horizon` counts as referred to.
    pub(crate) fn read(transaction: &Transaction<'_>, horizon: i64) -> Result<Self> {
        let mut all = Self::default();
        all.read_nodes(transaction, horizon)?;
        all.read_records(transaction)?;
        let own = all.keep_containers(transaction)?;
        all.container_bytes = all.kept_bytes();
        all.keep_images(transaction)?;
        all.image_bytes = all.kept_bytes();
        all.keep(own.clone());
        all.own = own;
        // Every layer there is keeps what it borrows and its blobs; this is undone when it is found dead.
        let edges: Vec<_> = all.layers.values().map(|l| (l.pins.clone(), l.blobs.clone())).collect();
        for (pins, blobs) in edges {
            for id in pins {
                all.layers.entry(id).and_modify(|layer| layer.refs += 1);
            }
            for digest in blobs {
                all.blobs.entry(digest).and_modify(|blob| blob.refs += 1);
            }
        }
        Ok(all)
    }

    fn read_nodes(&mut self, transaction: &Transaction<'_>, horizon: i64) -> Result<()> {
        let mut statement = transaction.prepare_cached("SELECT digest, size, last_used FROM blobs")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let protected = row.get::<_, i64>(2)? >= horizon;
            let node = BlobNode {
                refs: usize::from(protected),
                bytes: row.get::<_, i64>(1)? as u64,
                ..BlobNode::default()
            };
            self.blobs.insert(Digest::from_bytes(row.get(0)?), node);
        }
        let mut statement = transaction.prepare_cached("SELECT id, disk, last_used FROM layers")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let protected = row.get::<_, i64>(2)? >= horizon;
            let node = LayerNode {
                refs: usize::from(protected),
                bytes: row.get::<_, i64>(1)? as u64,
                ..LayerNode::default()
            };
            self.layers.insert(LayerId::from_bytes(row.get(0)?), node);
        }
        let mut statement = transaction.prepare_cached("SELECT layer, borrowed FROM pins")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let borrowed = LayerId::from_bytes(row.get(1)?);
            let layer = self.layers.entry(LayerId::from_bytes(row.get(0)?));
            layer.and_modify(|layer| layer.pins.push(borrowed));
        }
        let mut statement = transaction.prepare_cached("SELECT layer, digest FROM layer_blobs")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let digest = Digest::from_bytes(row.get(1)?);
            let layer = self.layers.entry(LayerId::from_bytes(row.get(0)?));
            layer.and_modify(|layer| layer.blobs.push(digest));
        }
        Ok(())
    }

    fn read_records(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let mut statement = transaction.prepare_cached("SELECT key, stack, last_used FROM records")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let stack = stack(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
            for id in &stack {
                self.layers.entry(*id).and_modify(|layer| layer.refs += 1);
            }
            let node = RecordNode { stack, last_used: row.get(2)? };
            self.records.insert(Digest::from_bytes(row.get(0)?), node);
        }
        Ok(())
    }

    fn keep_images(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        let mut statement = transaction.prepare_cached("SELECT stack, manifest FROM images")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.keep(stack(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?));
            if let Some(manifest) = row.get::<_, Option<String>>(1)? {
                let manifest: Descriptor = json(&manifest, "an image's manifest")?;
                self.blobs.entry(manifest.digest).and_modify(|blob| blob.kept = true);
            }
        }
        for digest in indexes::kept_blobs(transaction)? {
            self.blobs.entry(digest).and_modify(|blob| blob.kept = true);
        }
        Ok(())
    }

    /// Keeps what containers stand on; gives their own layers.
    fn keep_containers(&mut self, transaction: &Transaction<'_>) -> Result<Vec<LayerId>> {
        let mut own = Vec::new();
        let mut statement = transaction.prepare_cached("SELECT stack, layer FROM containers")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.keep(stack(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?));
            own.extend(row.get::<_, Option<[u8; 16]>>(1)?.map(LayerId::from_bytes));
        }
        Ok(own)
    }

    /// Marks layers, what they borrow and their blobs as kept.
    fn keep(&mut self, mut open: Vec<LayerId>) {
        while let Some(id) = open.pop() {
            let Some(layer) = self.layers.get_mut(&id) else { continue };
            if std::mem::replace(&mut layer.kept, true) {
                continue;
            }
            open.extend(&layer.pins);
            for digest in &layer.blobs {
                self.blobs.entry(*digest).and_modify(|blob| blob.kept = true);
            }
        }
    }

    fn kept_bytes(&self) -> u64 {
        let layers = self.layers.values().filter(|layer| layer.kept).map(|layer| layer.bytes);
        let blobs = self.blobs.values().filter(|blob| blob.kept).map(|blob| blob.bytes);
        layers.chain(blobs).sum()
    }

    /// The bytes of images and of what containers stand on; layers and blobs that several share count once.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.image_bytes
    }

    /// The bytes of what containers stand on, without their own layers.
    pub(crate) fn container_bytes(&self) -> u64 {
        self.container_bytes
    }

    /// The layers that containers write to.
    pub(crate) fn own_layers(&self) -> &[LayerId] {
        &self.own
    }

    /// The bytes that no image and no container keeps.
    pub(crate) fn cache_bytes(&self) -> u64 {
        let layers = self.layers.values().filter(|layer| !layer.kept).map(|layer| layer.bytes);
        let blobs = self.blobs.values().filter(|blob| !blob.kept).map(|blob| blob.bytes);
        layers.chain(blobs).sum()
    }

    /// All records with their last use.
    pub(crate) fn records(&self) -> impl Iterator<Item = (i64, Item)> {
        self.records.iter().map(|(key, record)| (record.last_used, Item::Record(*key)))
    }

    /// Whether the uppermost layer of a record stays even without it, because of an image or container.
    pub(crate) fn kept_anyway(&self, key: &Digest) -> bool {
        let top = self.records.get(key).and_then(|record| record.stack.last());
        top.and_then(|id| self.layers.get(id)).is_some_and(|layer| layer.kept)
    }

    /// Takes a record away; gives the bytes that nothing leads to any more.
    pub(crate) fn forget_record(&mut self, key: &Digest) -> u64 {
        let Some(record) = self.records.remove(key) else { return 0 };
        let mut freed = 0;
        for id in record.stack {
            self.layers.entry(id).and_modify(|layer| layer.refs = layer.refs.saturating_sub(1));
            freed += self.bury(id);
        }
        freed
    }

    /// All that nothing leads to.
    pub(crate) fn dead(mut self) -> Dead {
        let ids: Vec<LayerId> = self.layers.keys().copied().collect();
        for id in ids {
            self.bury(id);
        }
        let loose = self.blobs.iter().filter(|(_, blob)| blob.refs == 0 && !blob.kept && !blob.buried);
        self.dead.blobs.extend(loose.map(|(digest, blob)| (*digest, blob.bytes)));
        self.dead
    }

    /// Takes a layer away if nothing leads to it, with what only it kept; gives the bytes.
    fn bury(&mut self, id: LayerId) -> u64 {
        let mut bytes = 0;
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            let Some(layer) = self.layers.get_mut(&id) else { continue };
            if layer.kept || layer.refs > 0 || std::mem::replace(&mut layer.buried, true) {
                continue;
            }
            bytes += layer.bytes;
            self.dead.layers.push((id, layer.bytes));
            let (pins, blobs) = (std::mem::take(&mut layer.pins), std::mem::take(&mut layer.blobs));
            for pin in pins {
                self.layers.entry(pin).and_modify(|layer| layer.refs = layer.refs.saturating_sub(1));
                open.push(pin);
            }
            for digest in blobs {
                let Some(blob) = self.blobs.get_mut(&digest) else { continue };
                blob.refs = blob.refs.saturating_sub(1);
                if blob.refs == 0 && !blob.kept && !std::mem::replace(&mut blob.buried, true) {
                    bytes += blob.bytes;
                    self.dead.blobs.push((digest, blob.bytes));
                }
            }
        }
        bytes
    }
}
