//! The solver's cache: the store, and behind it the shared caches that a build was given.
//!
//! A shared cache is asked only for what the store does not know. What it has is used by name: its layers come when a
//! step mounts them or an image is made of them. When the build is done, results whose layers came are kept in the store
//! like any other.

use crate::Result;
use layer::LayerId;
use oci::{Descriptor, Digest};
use solver::{BoxError, CacheBackend, Cancel, Record};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use store::{Commit, NewRecord, Store};

/// A cache that other machines share. Asked from several threads; an implementation that fails says so itself and
/// answers nothing.
pub trait SharedCache: Send + Sync {
    /// The key that a definition key leads to.
    fn link(&self, key: &Digest) -> Option<Digest>;
    /// The result of a key.
    fn result(&self, key: &Digest) -> Option<SharedResult>;
}

/// A result in a shared cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedResult {
    /// Where its blobs are, as the [`Fetcher`](snapshot::Fetcher) takes it.
    pub reference: String,
    /// Its layers, lowest first: the digests of their tars, and their blobs.
    pub layers: Vec<(Digest, Descriptor)>,
}

/// Kept results of one build: the store, and the name that the build's steps are remembered under.
pub struct Cache<'a> {
    store: Store,
    build: String,
    shared: Vec<Box<dyn SharedCache + 'a>>,
    given_up: AtomicBool,
    /// What was taken from shared caches.
    taken: Mutex<HashMap<Digest, Vec<LayerId>>>,
    /// The links that shared caches gave: `(definition, key)`.
    links: Mutex<Vec<(Digest, Digest)>>,
}

/// The slot that holds one digest over all keys of the last build.
const WHOLE: &str = "*";

impl<'a> Cache<'a> {
    /// A cache. `build` names the build across time: the same context, Dockerfile and target give the same name.
    /// `shared` are asked in order.
    #[must_use]
    pub fn new(store: Store, build: String, shared: Vec<Box<dyn SharedCache + 'a>>) -> Self {
        Self {
            store,
            build,
            shared,
            given_up: AtomicBool::new(false),
            taken: Mutex::default(),
            links: Mutex::default(),
        }
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Digest, Vec<LayerId>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> &[Box<dyn SharedCache + 'a>] {
        if self.given_up.load(Ordering::Acquire) { &[] } else { &self.shared }
    }

    /// Whether something was taken from a shared cache.
    #[must_use]
    pub fn has_taken(&self) -> bool {
        !self.taken().is_empty()
    }

    /// From here on shared caches are not used. Gives whether anything was taken from them: then a build that failed
    /// for want of a layer can start over without them.
    pub fn give_up_shared(&self) -> bool {
        self.given_up.store(true, Ordering::Release);
        !std::mem::take(&mut *self.taken()).is_empty()
    }

    /// Keeps what was taken from shared caches and has come whole.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn keep_taken(&self) -> Result<()> {
        for (key, stack) in std::mem::take(&mut *self.taken()) {
            let layers = self.store.layers(&stack)?;
            if layers.iter().all(|layer| layer.as_ref().is_some_and(store::LayerInfo::is_local)) {
                let record = NewRecord { stack, ..NewRecord::default() };
                self.store.commit(Commit { record: Some((key, record)), ..Commit::default() })?;
            }
        }
        let links = std::mem::take(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(self.store.link(&links)?)
    }

    fn shared_link(&self, key: &Digest) -> Option<Digest> {
        let canonical = self.shared().iter().find_map(|cache| cache.link(key))?;
        self.links.lock().unwrap_or_else(PoisonError::into_inner).push((*key, canonical));
        Some(canonical)
    }

    fn take(&self, key: Digest) -> Result<Option<Record>, BoxError> {
        if let Some(stack) = self.taken().get(&key) {
            return Ok(Some(Record { key, stack: stack.clone() }));
        }
        let Some(found) = self.shared().iter().find_map(|cache| cache.result(&key)) else { return Ok(None) };
        let stack = self.store.remote_layers(&found.reference, &found.layers)?;
        self.taken().insert(key, stack.clone());
        Ok(Some(Record { key, stack }))
    }
}

impl CacheBackend for Cache<'_> {
    fn canonical(&self, keys: &[Digest]) -> Result<Vec<Option<Digest>>, BoxError> {
        let canonical = self.store.canonical_many(keys)?;
        Ok(keys
            .iter()
            .zip(canonical)
            .map(|(key, canonical)| match canonical != *key {
                true => Some(canonical),
                false => self.shared_link(key),
            })
            .collect())
    }

    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Record>>, BoxError> {
        let steps: Vec<[Digest; 1]> = keys.iter().map(|key| [*key]).collect();
        let found = self.store.find_many(&steps)?;
        found
            .into_iter()
            .zip(keys)
            .map(|(hit, key)| match hit {
                Some(hit) => Ok(Some(Record { key: hit.record.key, stack: hit.record.stack })),
                None => self.take(*key),
            })
            .collect()
    }

    fn link(&self, key: Digest, canonical: Digest) -> Result<(), BoxError> {
        Ok(self.store.link(&[(key, canonical)])?)
    }

    fn lock(&self, key: Digest, cancel: &Cancel) -> Result<Box<dyn Send>, BoxError> {
        Ok(Box::new(self.store.lock_key(&key, &mut || !cancel.is_cancelled())?))
    }

    fn last_step(&self, slot: &str) -> Result<Option<String>, BoxError> {
        Ok(self.store.last_step(&self.build, slot)?.map(|(_, text)| text))
    }

    fn remember(&self, steps: &[(String, String)]) -> Result<(), BoxError> {
        // An unchanged build writes nothing.
        let mut all = oci::Hasher::new();
        for (slot, text) in steps {
            for part in [slot, text] {
                all.update(&(part.len() as u64).to_le_bytes());
                all.update(part.as_bytes());
            }
        }
        let all = all.finish();
        if self.store.last_step(&self.build, WHOLE)?.is_some_and(|(known, _)| known == all) {
            return Ok(());
        }
        let mut rows: Vec<(&str, Digest, &str)> = steps
            .iter()
            .map(|(slot, text)| (slot.as_str(), Digest::of(text.as_bytes()), text.as_str()))
            .collect();
        rows.push((WHOLE, all, ""));
        Ok(self.store.remember_steps(&self.build, &rows)?)
    }
}
