//! Layers: `layers/<id>/` with, as far as they were made,
//!
//! ```text
//! listing      what the layer sets and removes (layer::Listing, encoded)
//! fs/          the folder form: an overlayfs upper directory
//! work/        overlayfs's own folder while the layer is being written
//! pack         bytes of files that stand in no folder (a COPY before a step mounts it)
//! image-BOOT   a plan as a file system image, for mounting; it counts while the machine is up, BOOT being 16 digits
//!              of the digest of the boot id, and so is never synced
//! ```
//!
//! A layer begins as a [`LayerDraft`] under its final, random name, locked by its maker, and counts only once a row
//! names it. A folder without a row whose lock can be had is an abandoned draft.

use crate::drafts::{Forms, LayerDraft};
use crate::inner::{Held, Store, locked, random};
use crate::lock::{self, still_named, try_lock};
use crate::{Error, Result};
use layer::{LayerId, Listing};
use oci::{Descriptor, Digest};
use rusqlite::{OptionalExtension, Row, Transaction, params};
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the index knows about a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// Its name in this store.
    pub id: LayerId,
    /// Whether `fs/` is there, to be mounted.
    pub folder: bool,
    /// Whether `pack` is there.
    pub pack: bool,
    /// Whether `listing` is there. A container's layer has none.
    pub listing: bool,
    /// Where it can be pulled from.
    pub remote: Option<Remote>,
    /// The bytes of its regular files; of its blob where it was not unpacked.
    pub size: u64,
    /// The digest of its uncompressed tar, once that is known.
    pub diff_id: Option<DiffId>,
    /// Its tar blobs, compressed or not; their bytes may have been collected ([`Store::has_blob`]).
    pub blobs: Vec<Descriptor>,
}

impl LayerInfo {
    /// Whether its files are here in some form: a listing with the bytes it names.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.folder || self.listing
    }
}

/// A layer's blob in a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// An image reference whose repository has the blob.
    pub reference: String,
    /// The blob.
    pub descriptor: Descriptor,
}

impl Remote {
    /// Whether whoever comes later finds it by this name alone, as in a registry or a layout. In other places, which have
    /// a scheme of their own, only who was given them does.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        self.reference.split_once("://").is_none_or(|(scheme, _)| scheme == "oci-layout")
    }
}

/// The digest of a layer's tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiffId {
    /// The digest of the uncompressed tar.
    pub digest: Digest,
    /// Its size in bytes; 0 where it is not known (named by a configuration, never seen).
    pub size: u64,
    /// Which version of our tar writer makes these bytes from the listing; 0 where somebody else made them.
    pub writer: u32,
}

impl Store {
    /// The folder of a layer: `layers/<id>`.
    #[must_use]
    pub fn layer_dir(&self, id: LayerId) -> PathBuf {
        let mut path = self.path("layers");
        path.push(id.to_string());
        path
    }

    /// What is known about a layer, touched for the lease; `None` if it is not here.
    pub fn layer(&self, id: LayerId) -> Result<Option<LayerInfo>> {
        Ok(self.layers(&[id])?.pop().flatten())
    }

    /// [`layer`](Self::layer) for several at once, in their order.
    pub fn layers(&self, ids: &[LayerId]) -> Result<Vec<Option<LayerInfo>>> {
        let lease = self.leased()?;
        let boot = self.boot()?;
        let mut stale = Vec::new();
        let mut found = self.read(|transaction| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let known = read_layer(transaction, *id, boot)?;
                if let Some((_, last_used)) = &known
                    && *last_used < lease
                {
                    stale.push(*id);
                }
                found.push(known.map(|(info, _)| info));
            }
            Ok(found)
        })?;
        if !stale.is_empty() {
            let gone = self.write(|transaction| self.touch_layers(transaction, &stale))?;
            for place in &mut found {
                if place.as_ref().is_some_and(|info| gone.contains(&info.id)) {
                    *place = None;
                }
            }
        }
        Ok(found)
    }

    /// The layer's listing; read once in this process.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it has none, [`Error::Listing`] if it is damaged.
    pub fn listing(&self, id: LayerId) -> Result<Arc<Listing>> {
        if let Some(known) = locked(&self.inner.listings).get(&id).and_then(Held::get) {
            return Ok(known);
        }
        let path = self.layer_dir(id).join("listing");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::not_found("listing of layer", id));
            }
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let listing = Arc::new(Listing::decode(&bytes).map_err(|source| Error::Listing { id, source })?);
        locked(&self.inner.listings).insert(id, Held::new(&listing));
        Ok(listing)
    }

    /// Remembers the digest of the layer's tar.
    pub fn set_diff_id(&self, id: LayerId, diff_id: DiffId) -> Result<()> {
        self.write(|transaction| set_diff_id(transaction, id, diff_id))
    }

    /// Remembers that a blob is this layer's tar. The blob is kept while the layer is.
    pub fn add_layer_blob(&self, id: LayerId, descriptor: &Descriptor) -> Result<()> {
        self.write(|transaction| insert_layer_blob(transaction, id, descriptor))
    }

    /// When a layer was made; nothing where its files are not here.
    #[must_use]
    pub fn layer_made(&self, id: LayerId) -> Option<SystemTime> {
        self.layers_made(&[id]).pop().flatten()
    }

    /// [`layer_made`](Self::layer_made) for several at once, in their order.
    #[must_use]
    pub fn layers_made(&self, ids: &[LayerId]) -> Vec<Option<SystemTime>> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // One walk to the store for all of them.
        let Ok(layers) = rustix::fs::open(self.path("layers"), flags, Mode::empty()) else {
            return vec![None; ids.len()];
        };
        let made = |id: &LayerId| {
            let known = rustix::fs::statat(&layers, format!("{id}/listing"), AtFlags::empty()).ok()?;
            let since =
                Duration::new(known.st_mtime.unsigned_abs(), u32::try_from(known.st_mtime_nsec).ok()?);
            if known.st_mtime < 0 { None } else { UNIX_EPOCH.checked_add(since) }
        };
        ids.iter().map(made).collect()
    }

    /// Says when a layer was made that came from elsewhere.
    ///
    /// # Errors
    /// Its files are not here.
    pub fn set_layer_made(&self, id: LayerId, made: SystemTime) -> Result<()> {
        let path = self.layer_dir(id).join("listing");
        let set = std::fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(made));
        set.map_err(|error| Error::io("set the time of", &path, error))
    }

    /// The layer with this diff id, the one with most forms first; touched for the lease.
    pub fn layer_by_diff_id(&self, diff_id: &Digest) -> Result<Option<LayerId>> {
        let boot = self.boot()?;
        let found = self.read(|transaction| layer_by_diff_id(transaction, diff_id, boot))?;
        match found {
            Some(id) => Ok(self.layer(id)?.map(|info| info.id)),
            None => Ok(None),
        }
    }

    /// The layers of a base image of which only the manifest and the configuration are here: for every diff id the
    /// layer that has it, or a new one that only knows where its blob is. One transaction.
    pub fn remote_layers(&self, reference: &str, layers: &[(Digest, Descriptor)]) -> Result<Vec<LayerId>> {
        self.leased()?;
        let boot = self.boot()?;
        let ids = layers.iter().map(|_| Ok(LayerId::from_bytes(random()?))).collect::<Result<Vec<_>>>()?;
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            let mut named = Vec::with_capacity(layers.len());
            for ((diff_id, descriptor), fresh) in layers.iter().zip(ids) {
                let remote = Remote { reference: reference.to_owned(), descriptor: descriptor.clone() };
                let remote = serde_json::to_string(&remote).expect("because it holds only strings and numbers");
                if let Some(known) = layer_by_diff_id(transaction, diff_id, boot)? {
                    transaction
                        .prepare_cached(
                            // What is promised by a name with a scheme (a cache, a folder) is had only by whoever
                            // was given it: a later promise may be a better one.
                            "UPDATE layers SET last_used = ?2, remote = CASE
                                 WHEN remote IS NULL OR instr(json_extract(remote, '$.reference'), '://') > 0 THEN ?3
                                 ELSE remote END WHERE id = ?1",
                        )?
                        .execute(params![&known.as_bytes()[..], tick, remote])?;
                    named.push(known);
                    continue;
                }
                transaction
                    .prepare_cached(
                        "INSERT INTO layers (id, folder, pack, listing, remote, size, disk, diff_id, diff_size,
                             writer, created, last_used) VALUES (?1, 0, 0, 0, ?2, ?3, 0, ?4, 0, 0, ?5, ?5)",
                    )?
                    .execute(params![
                        &fresh.as_bytes()[..],
                        remote,
                        descriptor.size as i64,
                        &diff_id.as_bytes()[..],
                        tick
                    ])?;
                named.push(fresh);
            }
            Ok(named)
        })
    }

    /// Puts a draft's row into the index.
    pub(crate) fn insert_layer(
        &self,
        transaction: &Transaction<'_>,
        draft: &LayerDraft,
        (folder, pack, listing): Forms,
        tick: i64,
    ) -> Result<()> {
        let diff = draft.diff_id;
        transaction
            .prepare_cached(
                "INSERT INTO layers (id, folder, pack, listing, size, disk, diff_id, diff_size, writer, created,
                     last_used, boot) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)",
            )?
            .execute(params![
                &draft.id().as_bytes()[..],
                folder,
                pack,
                listing,
                draft.size as i64,
                draft.disk as i64,
                diff.as_ref().map(|d| &d.digest.as_bytes()[..]),
                diff.map(|d| d.size as i64),
                diff.map(|d| d.writer),
                tick,
                self.boot()?
            ])?;
        insert_pins(transaction, draft.id(), &draft.borrowed)?;
        for descriptor in &draft.blobs {
            insert_layer_blob(transaction, draft.id(), descriptor)?;
        }
        Ok(())
    }

    /// Touches layers; gives those that are not there any more.
    pub(crate) fn touch_layers(
        &self,
        transaction: &Transaction<'_>,
        ids: &[LayerId],
    ) -> Result<Vec<LayerId>> {
        let tick = self.tick(transaction)?;
        let mut gone = Vec::new();
        let mut statement = transaction.prepare_cached("UPDATE layers SET last_used = ?2 WHERE id = ?1")?;
        for id in ids {
            if statement.execute(params![&id.as_bytes()[..], tick])? == 0 {
                gone.push(*id);
            }
        }
        Ok(gone)
    }

    /// Moves abandoned drafts, and what a killed collector left, to the trash. `known` are layers that have rows.
    pub(crate) fn sweep_layers(&self, known: &HashSet<LayerId>) -> Result<()> {
        let folder = self.path("layers");
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))? {
            let entry = entry.map_err(|e| Error::io("read", &folder, e))?;
            let path = entry.path();
            let id: Option<LayerId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if id.is_some_and(|id| known.contains(&id)) {
                continue;
            }
            let Ok(lock) = File::open(&path) else { continue };
            // Its maker commits before it lets go, so look under the lock.
            if !try_lock(&lock, lock::Mode::Exclusive, &path)? {
                continue;
            }
            let has_row = match id {
                Some(id) => self.read(|transaction| {
                    let mut statement = transaction.prepare_cached("SELECT 1 FROM layers WHERE id = ?1")?;
                    Ok(statement.exists([&id.as_bytes()[..]])?)
                })?,
                None => false,
            };
            if !has_row && still_named(&lock, &path) {
                self.to_trash(&path)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn insert_pins(transaction: &Transaction<'_>, id: LayerId, borrowed: &[LayerId]) -> Result<()> {
    // As in `touch_layers`, for what the layer borrowed until now.
    transaction
        .prepare_cached(
            "UPDATE layers SET last_used = (SELECT now FROM clock)
             WHERE id IN (SELECT borrowed FROM pins WHERE layer = ?1)",
        )?
        .execute([&id.as_bytes()[..]])?;
    transaction.prepare_cached("DELETE FROM pins WHERE layer = ?1")?.execute([&id.as_bytes()[..]])?;
    let mut statement = transaction.prepare_cached("INSERT OR IGNORE INTO pins VALUES (?1, ?2)")?;
    for other in borrowed.iter().filter(|other| **other != id) {
        statement.execute([&id.as_bytes()[..], &other.as_bytes()[..]])?;
    }
    Ok(())
}

pub(crate) fn set_diff_id(transaction: &Transaction<'_>, id: LayerId, diff_id: DiffId) -> Result<()> {
    transaction
        .prepare_cached("UPDATE layers SET diff_id = ?2, diff_size = ?3, writer = ?4 WHERE id = ?1")?
        .execute(params![
            &id.as_bytes()[..],
            &diff_id.digest.as_bytes()[..],
            diff_id.size as i64,
            diff_id.writer
        ])?;
    Ok(())
}

fn insert_layer_blob(transaction: &Transaction<'_>, id: LayerId, descriptor: &Descriptor) -> Result<()> {
    let text =
        serde_json::to_string(descriptor).expect("because a descriptor holds only strings and numbers");
    transaction
        .prepare_cached("INSERT OR REPLACE INTO layer_blobs VALUES (?1, ?2, ?3)")?
        .execute(params![&id.as_bytes()[..], &descriptor.digest.as_bytes()[..], text])?;
    Ok(())
}

fn layer_by_diff_id(transaction: &Transaction<'_>, diff_id: &Digest, boot: &str) -> Result<Option<LayerId>> {
    let found = transaction
        .prepare_cached(
            "SELECT id FROM layers WHERE diff_id = ?1 AND (boot IS NULL OR boot = ?2)
             ORDER BY listing DESC, folder DESC, created LIMIT 1",
        )?
        .query_row(params![&diff_id.as_bytes()[..], boot], |row| row.get(0).map(LayerId::from_bytes))
        .optional()?;
    Ok(found)
}

/// A layer's row with its `last_used`.
fn read_layer(transaction: &Transaction<'_>, id: LayerId, boot: &str) -> Result<Option<(LayerInfo, i64)>> {
    let row = |row: &Row<'_>| {
        let digest: Option<[u8; 32]> = row.get(5)?;
        let diff_id = match digest {
            Some(bytes) => Some(DiffId {
                digest: Digest::from_bytes(bytes),
                size: row.get::<_, Option<i64>>(6)?.unwrap_or(0) as u64,
                writer: row.get::<_, Option<u32>>(7)?.unwrap_or(0),
            }),
            None => None,
        };
        let remote: Option<String> = row.get(3)?;
        let info = LayerInfo {
            id,
            folder: row.get(0)?,
            pack: row.get(1)?,
            listing: row.get(2)?,
            remote: None,
            size: row.get::<_, i64>(4)? as u64,
            diff_id,
            blobs: Vec::new(),
        };
        Ok((info, remote, row.get(8)?))
    };
    let found = transaction
        .prepare_cached(
            "SELECT folder AND (folder_boot IS NULL OR folder_boot = ?2), pack,
                 listing AND (listing_boot IS NULL OR listing_boot = ?2),
                 remote, size, diff_id, diff_size, writer, last_used FROM layers
             WHERE id = ?1 AND (boot IS NULL OR boot = ?2)",
        )?
        .query_row(params![&id.as_bytes()[..], boot], row)
        .optional()?;
    let Some((mut info, remote, last_used)) = found else { return Ok(None) };
    info.remote = remote.map(|text| json(&text, "a layer's remote place")).transpose()?;
    let mut statement = transaction.prepare_cached("SELECT descriptor FROM layer_blobs WHERE layer = ?1")?;
    for text in statement.query_map([&id.as_bytes()[..]], |row| row.get::<_, String>(0))? {
        info.blobs.push(json(&text?, "a layer's blob")?);
    }
    Ok(Some((info, last_used)))
}

/// Reads JSON that the index holds.
pub(crate) fn json<T: serde::de::DeserializeOwned>(text: &str, what: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|e| Error::Damaged {
        what: format!("{what} in the store's index"),
        reason: e.to_string(),
        hint: "move the store away and let jettison make a new one",
    })
}

/// The stored form of a stack.
pub(crate) fn stack_bytes(stack: &[LayerId]) -> Vec<u8> {
    stack.iter().flat_map(|id| *id.as_bytes()).collect()
}

/// A stack from its stored form.
pub(crate) fn stack(bytes: &[u8]) -> Vec<LayerId> {
    let (ids, _) = bytes.as_chunks::<16>();
    ids.iter().map(|id| LayerId::from_bytes(*id)).collect()
}
