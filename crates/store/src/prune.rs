//! Garbage collection: least recently used first, never what a live process uses.
//!
//! One collector at a time holds `locks/collect`. In one transaction it
//!
//! 1. takes the horizon, the start of the oldest live lease, and drops the leases of dead processes;
//! 2. forgets what was asked for and was last used before the horizon: dangling or unused images, unused volumes, cache
//!    mounts nobody holds, records from the least recently used on, until the bytes to keep are reached;
//! 3. removes the rows of layers that no image, container, record or pin leads to any more, and then of blobs that no
//!    layer and no image leads to, as far as they too were last used before the horizon.
//!
//! Then it renames what lost its row to `trash/` and empties that. A folder that a killed collector left without a row
//! is swept as an abandoned draft is. Blobs, volumes and cache mounts have names that can come back, so their files are
//! renamed before the transaction's end; a blob's row without a file is dropped by its next reader.

use crate::holdings::{Holdings, Item};
use crate::inner::{Store, now};
use crate::lock::{FileLock, Mode};
use crate::{Error, Result, indexes, reserve, tree};
use layer::LayerId;
use oci::Digest;
use rusqlite::{Transaction, params};
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// How long explanations, links between keys and resolved tags are kept without being used: 90 days.
const MEMORY: i64 = 90 * 24 * 3600 * 1_000_000;

/// What a collection may take, besides what nothing refers to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Records of the build cache.
    pub records: bool,
    /// Cache mounts.
    pub cache_mounts: bool,
    /// Images without a name.
    pub dangling_images: bool,
    /// Images that no container uses.
    pub unused_images: bool,
    /// Anonymous volumes that no container has.
    pub anonymous_volumes: bool,
    /// All volumes that no container has.
    pub unused_volumes: bool,
}

/// What to collect.
#[derive(Clone, Debug, Default)]
pub struct Prune {
    /// The kinds of things.
    pub kinds: Kinds,
    /// Records whose layers an image or container keeps anyway go too.
    pub all: bool,
    /// Stop when the build cache (layers and blobs that only records keep, and cache mounts) has at most this many bytes.
    pub keep_bytes: Option<u64>,
    /// Only what was not used (images: not made) for so long.
    pub older_than: Option<Duration>,
}

/// What was collected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Records of the build cache: key and slot.
    pub records: Vec<(Digest, String)>,
    /// Layers.
    pub layers: Vec<LayerId>,
    /// Blobs.
    pub blobs: Vec<Digest>,
    /// Images, with their names.
    pub images: Vec<(Digest, Vec<String>)>,
    /// Volumes by name.
    pub volumes: Vec<String>,
    /// Cache mounts by id.
    pub cache_mounts: Vec<String>,
    /// The bytes freed: of layers and blobs as the index has them, of volumes and cache mounts as they were found.
    pub bytes: u64,
}

/// A cache mount that this collector may take: nobody else holds it.
struct FreeMount {
    folder: String,
    name: String,
    last_used: i64,
    bytes: u64,
    lock: FileLock,
}

/// The limits of last use below which things may go.
#[derive(Clone, Copy)]
struct Limits {
    /// The start of the oldest live lease.
    horizon: i64,
    /// That, or the age that was asked for where that is further back.
    cutoff: i64,
}

impl Store {
    /// Collects. Call [`Store::end_lease`] first if what this process itself used may go too.
    pub fn prune(&self, prune: &Prune) -> Result<Pruned> {
        let mut mounts = if prune.kinds.cache_mounts { self.free_mounts()? } else { Vec::new() };
        let volumes = self.volume_sizes(prune)?;
        let collecting = FileLock::take_soon(&self.path("locks/collect"), Mode::Exclusive)?;
        let horizon = self.oldest_lease()?;
        let age = prune.older_than.map_or(0, |age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let cutoff = if age > 0 { horizon.min(now().saturating_sub(age)) } else { horizon };
        let limits = Limits { horizon, cutoff };
        let boot = self.boot()?;
        let mut pruned = Pruned::default();
        let known = self.write(|transaction| {
            forget_stale(transaction, boot)?;
            self.prune_volumes(transaction, prune, &volumes, &mut pruned)?;
            prune_images(transaction, prune.kinds, limits, &mut pruned)?;
            let mut holdings = Holdings::read(transaction, horizon)?;
            self.prune_cache(transaction, prune, limits, &mut holdings, &mut mounts, &mut pruned)?;
            let dead = holdings.dead();
            let mut drop_layer = transaction.prepare_cached("DELETE FROM layers WHERE id = ?1")?;
            let mut drop_pins = transaction.prepare_cached("DELETE FROM pins WHERE layer = ?1")?;
            let mut drop_blobs = transaction.prepare_cached("DELETE FROM layer_blobs WHERE layer = ?1")?;
            for (id, bytes) in dead.layers {
                for statement in [&mut drop_layer, &mut drop_pins, &mut drop_blobs] {
                    statement.execute([&id.as_bytes()[..]])?;
                }
                pruned.layers.push(id);
                pruned.bytes += bytes;
            }
            let mut drop_blob = transaction.prepare_cached("DELETE FROM blobs WHERE digest = ?1")?;
            let mut drop_sources =
                transaction.prepare_cached("DELETE FROM blob_sources WHERE digest = ?1")?;
            for (digest, bytes) in dead.blobs {
                drop_blob.execute([&digest.as_bytes()[..]])?;
                drop_sources.execute([&digest.as_bytes()[..]])?;
                self.to_trash(&self.blob_path(&digest))?;
                pruned.blobs.push(digest);
                pruned.bytes += bytes;
            }
            self.sweep_blob_files(transaction)?;
            if prune.kinds.records {
                let forgotten = now() - MEMORY;
                transaction.execute("DELETE FROM steps WHERE updated < ?1", [forgotten])?;
                transaction.execute("DELETE FROM links WHERE created < ?1", [forgotten])?;
                transaction.execute("DELETE FROM bases WHERE updated < ?1", [forgotten])?;
            }
            all_layers(transaction)
        })?;
        if horizon == i64::MAX {
            // Nobody is making a container or volume: that takes a lease, and making one waits for this lock.
            self.sweep_folders()?;
        }
        drop(collecting);
        drop(mounts);
        for id in &pruned.layers {
            self.to_trash(&self.layer_dir(*id))?;
        }
        self.sweep_layers(&known)?;
        pruned.bytes += self.sweep_ingest(prune.kinds.records)?;
        self.empty_trash()?;
        reserve::keep(self.root());
        Ok(pruned)
    }

    /// Collects what nothing refers to: after an image or a container was removed.
    pub fn sweep(&self) -> Result<Pruned> {
        self.prune(&Prune::default())
    }

    /// Step 2 for the build cache: records and cache mounts, least recently used first.
    fn prune_cache(
        &self,
        transaction: &Transaction<'_>,
        prune: &Prune,
        limits: Limits,
        holdings: &mut Holdings,
        mounts: &mut Vec<FreeMount>,
        pruned: &mut Pruned,
    ) -> Result<()> {
        let mut bytes = holdings.cache_bytes() + mounts.iter().map(|mount| mount.bytes).sum::<u64>();
        let keep = prune.keep_bytes.unwrap_or(0);
        let mut candidates: Vec<(i64, Item)> = Vec::new();
        if prune.kinds.records {
            candidates.extend(holdings.records().filter(|(last_used, _)| *last_used < limits.cutoff));
        }
        let free = mounts.iter().enumerate().filter(|(_, mount)| mount.last_used < limits.cutoff);
        candidates.extend(free.map(|(index, mount)| (mount.last_used, Item::Mount(index))));
        candidates.sort();
        let mut drop_record =
            transaction.prepare_cached("DELETE FROM records WHERE key = ?1 RETURNING slot")?;
        let mut drop_mount = transaction.prepare_cached("DELETE FROM cache_mounts WHERE folder = ?1")?;
        let mut taken = HashSet::new();
        for (_, item) in candidates {
            if prune.keep_bytes.is_some() && bytes <= keep {
                break;
            }
            match item {
                Item::Record(key) => {
                    if !prune.all && holdings.kept_anyway(&key) {
                        continue;
                    }
                    let slot: String = drop_record.query_row([&key.as_bytes()[..]], |row| row.get(0))?;
                    bytes = bytes.saturating_sub(holdings.forget_record(&key));
                    pruned.records.push((key, slot));
                }
                Item::Mount(index) => {
                    let mount = &mounts[index];
                    drop_mount.execute([&mount.folder])?;
                    self.to_trash(&self.path("cache").join(&mount.folder))?;
                    bytes = bytes.saturating_sub(mount.bytes);
                    pruned.bytes += mount.bytes;
                    pruned.cache_mounts.push(mount.name.clone());
                    taken.insert(index);
                }
            }
        }
        // The lock files of those that are gone go with their locks.
        let kept = std::mem::take(mounts).into_iter().enumerate().map(|(index, mut mount)| {
            if taken.contains(&index) {
                mount.lock = mount.lock.removing();
            }
            mount
        });
        *mounts = kept.collect();
        Ok(())
    }

    /// The cache mounts that nobody holds, locked, with their sizes.
    fn free_mounts(&self) -> Result<Vec<FreeMount>> {
        let rows: Vec<(String, String, i64)> = self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT folder, name, last_used FROM cache_mounts")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })?;
        let mut free = Vec::new();
        for (folder, name, last_used) in rows {
            let lock = FileLock::try_take(&self.path(&format!("locks/cache-{folder}")), Mode::Exclusive)?;
            if let Some(lock) = lock {
                let bytes = tree::size(&self.path("cache").join(&folder));
                free.push(FreeMount { folder, name, last_used, bytes, lock });
            }
        }
        Ok(free)
    }

    /// The unused volumes that may go, with their sizes.
    fn volume_sizes(&self, prune: &Prune) -> Result<Vec<(String, u64)>> {
        let kinds = prune.kinds;
        if !kinds.unused_volumes && !kinds.anonymous_volumes {
            return Ok(Vec::new());
        }
        let mut sizes = Vec::new();
        for volume in self.volumes()? {
            if volume.used_by.is_empty() && (volume.anonymous || kinds.unused_volumes) {
                sizes.push((volume.name, tree::size(&volume.path)));
            }
        }
        Ok(sizes)
    }

    fn prune_volumes(
        &self,
        transaction: &Transaction<'_>,
        prune: &Prune,
        volumes: &[(String, u64)],
        pruned: &mut Pruned,
    ) -> Result<()> {
        let age = prune.older_than.map_or(0, |age| i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
        let before = if age > 0 { now().saturating_sub(age) } else { i64::MAX };
        let mut drop_volume = transaction.prepare_cached(
            "DELETE FROM volumes WHERE name = ?1 AND created < ?2
             AND NOT EXISTS (SELECT 1 FROM container_volumes WHERE volume = ?1)",
        )?;
        for (name, bytes) in volumes {
            if drop_volume.execute(params![name, before])? > 0 {
                self.to_trash(&self.path("volumes").join(name))?;
                pruned.volumes.push(name.clone());
                pruned.bytes += bytes;
            }
        }
        Ok(())
    }

    /// Blob files without a row: a writer died between its rename and its commit. The write lock is held, so none is
    /// between them now.
    fn sweep_blob_files(&self, transaction: &Transaction<'_>) -> Result<()> {
        let folder = self.path("blobs/sha256");
        let mut known =
            transaction.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1 AND bytes IS NULL")?;
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))? {
            let entry = entry.map_err(|e| Error::io("read", &folder, e))?;
            let digest = entry.file_name().to_str().and_then(|name| Digest::from_hex(name).ok());
            let has_row = match digest {
                Some(digest) => known.exists([&digest.as_bytes()[..]])?,
                None => false,
            };
            if !has_row {
                self.to_trash(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Folders of containers and volumes that were begun and never got a row; drafts in `tmp`.
    fn sweep_folders(&self) -> Result<()> {
        let names = |folder: &PathBuf| -> Result<Vec<PathBuf>> {
            let entries = fs::read_dir(folder).map_err(|e| Error::io("read", folder, e))?;
            Ok(entries.flatten().map(|entry| entry.path()).collect())
        };
        let rows = |text: &str| -> Result<HashSet<String>> {
            self.read(|transaction| {
                let mut statement = transaction.prepare_cached(text)?;
                let rows = statement.query_map([], |row| row.get(0))?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            })
        };
        let has = |known: &HashSet<String>, path: &PathBuf| {
            path.file_name().and_then(|name| name.to_str()).is_some_and(|name| known.contains(name))
        };
        let containers = rows("SELECT id FROM containers")?;
        for path in names(&self.path("containers"))?.iter().filter(|path| !has(&containers, path)) {
            self.to_trash(path)?;
        }
        let volumes = rows("SELECT name FROM volumes")?;
        for path in names(&self.path("volumes"))?.iter().filter(|path| !has(&volumes, path)) {
            // Only if it is empty: a volume's content is never thrown away on suspicion.
            let _ = fs::remove_dir(path);
        }
        let day = Duration::from_secs(24 * 3600);
        for path in names(&self.path("tmp"))? {
            let age = fs::symlink_metadata(&path).and_then(|known| known.modified()).map(|at| at.elapsed());
            if matches!(age, Ok(Ok(age)) if age > day) {
                self.to_trash(&path)?;
            }
        }
        Ok(())
    }

    fn empty_trash(&self) -> Result<()> {
        let folder = self.path("trash");
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?.flatten() {
            tree::remove(&entry.path())?;
        }
        Ok(())
    }
}

/// Rows of another boot that were never synced count for nothing.
fn forget_stale(transaction: &Transaction<'_>, boot: &str) -> Result<()> {
    for table in ["records", "blobs", "images", "layers"] {
        transaction
            .prepare_cached(&format!("DELETE FROM {table} WHERE boot IS NOT NULL AND boot != ?1"))?
            .execute([boot])?;
    }
    for form in ["folder", "listing"] {
        let text = format!(
            "UPDATE layers SET {form} = 0, {form}_boot = NULL WHERE {form}_boot IS NOT NULL AND {form}_boot != ?1"
        );
        transaction.prepare_cached(&text)?.execute([boot])?;
    }
    for orphans in [
        "DELETE FROM names WHERE image NOT IN (SELECT id FROM images)",
        "DELETE FROM pins WHERE layer NOT IN (SELECT id FROM layers)",
        "DELETE FROM layer_blobs WHERE layer NOT IN (SELECT id FROM layers)",
        "DELETE FROM parts WHERE image IS NOT NULL AND image NOT IN (SELECT id FROM images)",
    ] {
        transaction.prepare_cached(orphans)?.execute([])?;
    }
    indexes::forget_nameless(transaction)?;
    Ok(())
}

/// Step 2 for images. Those of an index go together, with the one that its names stand for.
fn prune_images(
    transaction: &Transaction<'_>,
    kinds: Kinds,
    limits: Limits,
    pruned: &mut Pruned,
) -> Result<()> {
    if !kinds.dangling_images && !kinds.unused_images {
        return Ok(());
    }
    let gone: Vec<Digest> = transaction
        .prepare_cached(
            "SELECT id FROM images WHERE last_used < ?1 AND created < ?2
             AND NOT EXISTS (SELECT 1 FROM containers WHERE image = images.id)
             AND NOT EXISTS (SELECT 1 FROM parts AS own JOIN parts AS other ON own.root = other.root
                             JOIN containers ON containers.image = other.image WHERE own.image = images.id)
             AND (EXISTS (SELECT 1 FROM names WHERE image = images.id) AND ?3
                  OR NOT EXISTS (SELECT 1 FROM names WHERE image = images.id)
                     AND NOT EXISTS (SELECT 1 FROM parts WHERE image = images.id))
             ORDER BY last_used",
        )?
        .query_map(params![limits.horizon, limits.cutoff, kinds.unused_images], |row| {
            row.get(0).map(Digest::from_bytes)
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut drop_image = transaction.prepare_cached("DELETE FROM images WHERE id = ?1")?;
    let mut drop_names =
        transaction.prepare_cached("DELETE FROM names WHERE image = ?1 RETURNING reference")?;
    for id in gone {
        let names = drop_names.query_map([&id.as_bytes()[..]], |row| row.get(0))?;
        let names = names.collect::<rusqlite::Result<_>>()?;
        drop_image.execute([&id.as_bytes()[..]])?;
        pruned.images.push((id, names));
    }
    let mut drop_unused =
        transaction.prepare_cached("DELETE FROM images WHERE id = ?1 AND last_used < ?2")?;
    for id in indexes::forget_nameless(transaction)? {
        if drop_unused.execute(params![&id.as_bytes()[..], limits.horizon])? > 0 {
            pruned.images.push((id, Vec::new()));
        }
    }
    Ok(())
}

fn all_layers(transaction: &Transaction<'_>) -> Result<HashSet<LayerId>> {
    let mut statement = transaction.prepare_cached("SELECT id FROM layers")?;
    let rows = statement.query_map([], |row| row.get(0).map(LayerId::from_bytes))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
