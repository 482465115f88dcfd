//! The build cache: records by key, links between equal keys, and the last key of every step for explanations.

use crate::inner::{Store, locked, time};
use crate::layers::{stack, stack_bytes};
use crate::lock::{FileLock, Mode, Wait};
use crate::{Error, LayerDraft, Result};
use layer::LayerId;
use oci::Digest;
use rusqlite::{OptionalExtension, Transaction, params};
use std::collections::HashSet;
use std::time::SystemTime;

/// What a step once made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its canonical key.
    pub key: Digest,
    /// The snapshot it made: layers, lowest first.
    pub stack: Vec<LayerId>,
    /// What the executor said about the run (JSON).
    pub info: String,
    /// When it was made.
    pub created: SystemTime,
}

/// A found record and by which of the keys asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The record.
    pub record: Record,
    /// The index of the key that found it.
    pub by: usize,
}

/// A record to be made.
#[derive(Clone, Debug, Default)]
pub struct NewRecord {
    /// The snapshot: layers, lowest first; those of the same commit included.
    pub stack: Vec<LayerId>,
    /// Which step this is, for people.
    pub slot: String,
    /// The key in plain text (JSON).
    pub text: String,
    /// What the executor said about the run (JSON).
    pub info: String,
}

/// What becomes visible together.
#[derive(Debug, Default)]
pub struct Commit {
    /// New layers.
    pub layers: Vec<LayerDraft>,
    /// A record under its canonical key. One that has the key already is replaced.
    pub record: Option<(Digest, NewRecord)>,
    /// Other keys found equal to canonical ones: `(key, canonical)`.
    pub links: Vec<(Digest, Digest)>,
}

/// Held while one process works on a key.
#[derive(Debug)]
pub struct KeyLock {
    lock: FileLock,
    left: Option<String>,
}

impl KeyLock {
    /// The note of a holder that was killed: what it ran may still be running and must be ended first.
    #[must_use]
    pub fn left_behind(&self) -> Option<&str> {
        self.left.as_deref()
    }

    /// Says what runs under this lock (a control group, say), for the next holder if this process is killed. At most
    /// 64 KiB.
    pub fn note(&mut self, text: &str) -> Result<()> {
        self.lock.set_note(text)
    }
}

impl Store {
    /// The first record that one of `keys` (best first) leads to, through links. It counts only if it was synced or was
    /// made since the last boot, and if all its layers are here. Touched for the lease.
    pub fn find(&self, keys: &[Digest]) -> Result<Option<Hit>> {
        Ok(self.find_many(&[keys])?.pop().flatten())
    }

    /// [`find`](Self::find) for many steps, all as of one moment.
    pub fn find_many<K: AsRef<[Digest]>>(&self, steps: &[K]) -> Result<Vec<Option<Hit>>> {
        let lease = self.leased()?;
        let boot = self.boot()?;
        let mut stale = Vec::new();
        let mut hits = self.read(|transaction| {
            // The steps of a chain share most of their layers: each is looked for once.
            let mut layers = KnownLayers { here: HashSet::new(), boot };
            let mut hits = Vec::with_capacity(steps.len());
            for keys in steps {
                let mut hit = None;
                for (by, key) in keys.as_ref().iter().enumerate() {
                    if let Some((record, last_used)) = find_one(transaction, key, &mut layers)? {
                        if last_used < lease {
                            stale.push(record.key);
                        }
                        hit = Some(Hit { record, by });
                        break;
                    }
                }
                hits.push(hit);
            }
            Ok(hits)
        })?;
        if !stale.is_empty() {
            let gone = self.write(|transaction| {
                let tick = self.tick(transaction)?;
                let mut gone = HashSet::new();
                let mut touch =
                    transaction.prepare_cached("UPDATE records SET last_used = ?2 WHERE key = ?1")?;
                for key in &stale {
                    if touch.execute(params![&key.as_bytes()[..], tick])? == 0 {
                        gone.insert(*key);
                    }
                }
                Ok(gone)
            })?;
            for place in &mut hits {
                if place.as_ref().is_some_and(|hit| gone.contains(&hit.record.key)) {
                    *place = None;
                }
            }
        }
        Ok(hits)
    }

    /// The key that `key` is linked to, itself if there is none; known even after the record was pruned.
    pub fn canonical(&self, key: &Digest) -> Result<Digest> {
        self.read(|transaction| canonical(transaction, key))
    }

    /// [`canonical`](Self::canonical) for many keys, all as of one moment.
    pub fn canonical_many(&self, keys: &[Digest]) -> Result<Vec<Digest>> {
        self.read(|transaction| keys.iter().map(|key| canonical(transaction, key)).collect())
    }

    /// Which step a record is of, and its key in plain text. `key` is the record's own.
    pub fn record_text(&self, key: &Digest) -> Result<Option<(String, String)>> {
        self.read(|transaction| {
            let found = transaction
                .prepare_cached("SELECT slot, text FROM records WHERE key = ?1")?
                .query_row([&key.as_bytes()[..]], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            Ok(found)
        })
    }

    /// Says that each key is equal to its canonical one.
    pub fn link(&self, links: &[(Digest, Digest)]) -> Result<()> {
        if links.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            insert_links(transaction, links, tick)
        })
    }

    /// Makes layers, a record and links visible together.
    ///
    /// # Errors
    /// [`Error::Layer`] if a layer of the record's stack, or one whose bytes a new layer uses, is not here.
    pub fn commit(&self, commit: Commit) -> Result<()> {
        self.leased()?;
        let boot = self.boot()?;
        let mut kept = locked(&self.inner.kept);
        // Of a step's layers all but its own were there for the step before.
        let mut layers = KnownLayers { here: std::mem::take(&mut *kept), boot };
        let forms: Vec<_> = commit.layers.iter().map(LayerDraft::forms).collect();
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            for (draft, forms) in commit.layers.iter().zip(forms) {
                self.insert_layer(transaction, draft, forms, tick)?;
            }
            for id in commit.layers.iter().flat_map(|draft| &draft.borrowed) {
                if !layers.has(transaction, *id)? {
                    return Err(Error::Layer { id: *id, reason: "is gone, and a new layer uses its files" });
                }
            }
            if let Some((key, record)) = &commit.record {
                for id in &record.stack {
                    if !layers.has(transaction, *id)? {
                        return Err(Error::Layer {
                            id: *id,
                            reason: "is gone, and a new record stands on it",
                        });
                    }
                }
                let replaced: Option<Vec<u8>> = transaction
                    .prepare_cached("SELECT stack FROM records WHERE key = ?1")?
                    .query_row([&key.as_bytes()[..]], |row| row.get(0))
                    .optional()?;
                if let Some(replaced) = replaced {
                    self.touch_layers(transaction, &stack(&replaced))?;
                }
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO records (key, stack, slot, text, info, created, last_used, boot)
                         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7)",
                    )?
                    .execute(params![
                        &key.as_bytes()[..],
                        stack_bytes(&record.stack),
                        record.slot,
                        record.text,
                        record.info,
                        tick,
                        boot
                    ])?;
            }
            insert_links(transaction, &commit.links, tick)
        })?;
        *kept = layers.here;
        drop(kept);
        commit.layers.into_iter().for_each(LayerDraft::committed);
        self.made_something();
        Ok(())
    }

    /// Removes a record, so that its step runs again; whether there was one.
    pub fn forget(&self, key: &Digest) -> Result<bool> {
        self.write(|transaction| {
            let key = canonical(transaction, key)?;
            let gone: Option<Vec<u8>> = transaction
                .prepare_cached("DELETE FROM records WHERE key = ?1 RETURNING stack")?
                .query_row([&key.as_bytes()[..]], |row| row.get(0))
                .optional()?;
            if let Some(gone) = &gone {
                self.touch_layers(transaction, &stack(gone))?;
            }
            Ok(gone.is_some())
        })
    }

    /// Waits until no other process works on this key. Then look it up again: the other may have made it.
    pub fn lock_key(&self, key: &Digest, wait: Wait<'_>) -> Result<KeyLock> {
        let path = self.path(&format!("locks/key-{}", &key.hex()[..32]));
        let mut lock = FileLock::take(&path, Mode::Exclusive, wait)?.removing();
        let left = Some(lock.note()?).filter(|text| !text.is_empty());
        Ok(KeyLock { lock, left })
    }

    /// The key and its text that the step in `slot` had in the last build of this identity.
    pub fn last_step(&self, build: &str, slot: &str) -> Result<Option<(Digest, String)>> {
        self.read(|transaction| {
            let found = transaction
                .prepare_cached("SELECT key, text FROM steps WHERE build = ?1 AND slot = ?2")?
                .query_row([build, slot], |row| Ok((Digest::from_bytes(row.get(0)?), row.get(1)?)))
                .optional()?;
            Ok(found)
        })
    }

    /// Remembers the key and text of steps of a build: `(slot, key, text)`. What is known already is not written.
    pub fn remember_steps(&self, build: &str, steps: &[(&str, Digest, &str)]) -> Result<()> {
        let new: Vec<_> = self.read(|transaction| {
            let mut same = transaction.prepare_cached(
                "SELECT 1 FROM steps WHERE build = ?1 AND slot = ?2 AND key = ?3 AND text = ?4",
            )?;
            let mut new = Vec::new();
            for step in steps {
                if !same.exists(params![build, step.0, &step.1.as_bytes()[..], step.2])? {
                    new.push(step);
                }
            }
            Ok(new)
        })?;
        if new.is_empty() {
            return Ok(());
        }
        self.write(|transaction| {
            let tick = self.tick(transaction)?;
            let mut put =
                transaction.prepare_cached("INSERT OR REPLACE INTO steps VALUES (?1, ?2, ?3, ?4, ?5)")?;
            for (slot, key, text) in new {
                put.execute(params![build, slot, &key.as_bytes()[..], text, tick])?;
            }
            Ok(())
        })
    }
}

/// Which layers are here, each looked for once.
pub(crate) struct KnownLayers<'a> {
    pub(crate) here: HashSet<LayerId>,
    pub(crate) boot: &'a str,
}

impl KnownLayers<'_> {
    pub(crate) fn has(&mut self, transaction: &Transaction<'_>, id: LayerId) -> Result<bool> {
        if self.here.contains(&id) {
            return Ok(true);
        }
        let here = transaction
            .prepare_cached("SELECT 1 FROM layers WHERE id = ?1 AND (boot IS NULL OR boot = ?2)")?
            .exists(params![&id.as_bytes()[..], self.boot])?;
        if here {
            self.here.insert(id);
        }
        Ok(here)
    }
}

fn canonical(transaction: &Transaction<'_>, key: &Digest) -> Result<Digest> {
    let mut statement = transaction.prepare_cached("SELECT canonical FROM links WHERE key = ?1")?;
    let mut key = *key;
    // A link is always made to a key that has none, so this ends; a key at the end may get a link later.
    while let Some(next) =
        statement.query_row([&key.as_bytes()[..]], |row| row.get(0).map(Digest::from_bytes)).optional()?
    {
        key = next;
    }
    Ok(key)
}

fn find_one(
    transaction: &Transaction<'_>,
    key: &Digest,
    layers: &mut KnownLayers<'_>,
) -> Result<Option<(Record, i64)>> {
    let canonical = canonical(transaction, key)?;
    // A key may have a record of its own although it is linked: the one it is linked to may be gone.
    for key in [Some(canonical), (canonical != *key).then_some(*key)].into_iter().flatten() {
        let found = transaction
            .prepare_cached(
                "SELECT stack, info, created, last_used FROM records
                 WHERE key = ?1 AND (boot IS NULL OR boot = ?2)",
            )?
            .query_row(params![&key.as_bytes()[..], layers.boot], |row| {
                let record = Record {
                    key,
                    stack: stack(row.get_ref(0)?.as_blob()?),
                    info: row.get(1)?,
                    created: time(row.get(2)?),
                };
                Ok((record, row.get(3)?))
            })
            .optional()?;
        let Some((record, last_used)) = found else { continue };
        let mut whole = true;
        for id in &record.stack {
            whole = whole && layers.has(transaction, *id)?;
        }
        if whole {
            return Ok(Some((record, last_used)));
        }
    }
    Ok(None)
}

fn insert_links(transaction: &Transaction<'_>, links: &[(Digest, Digest)], tick: i64) -> Result<()> {
    let mut put = transaction.prepare_cached(
        "INSERT INTO links VALUES (?1, ?2, ?3) ON CONFLICT (key) DO UPDATE SET canonical = ?2, created = ?3
         WHERE canonical != ?2",
    )?;
    for (key, equal) in links {
        let end = canonical(transaction, equal)?;
        if *key != end {
            put.execute(params![&key.as_bytes()[..], &end.as_bytes()[..], tick])?;
        }
    }
    Ok(())
}
