//! The solver's cache on the store.

use oci::Digest;
use solver::{BoxError, CacheBackend, Cancel, Record};
use store::Store;

/// Kept results of one build: the store, and the name that the build's steps are remembered under.
pub struct Cache {
    store: Store,
    build: String,
}

/// The slot that holds one digest over all keys of the last build.
const WHOLE: &str = "*";

impl Cache {
    /// A cache. `build` names the build across time: the same context, Dockerfile and target give the same name.
    #[must_use]
    pub fn new(store: Store, build: String) -> Self {
        Self { store, build }
    }
}

impl CacheBackend for Cache {
    fn canonical(&self, keys: &[Digest]) -> Result<Vec<Option<Digest>>, BoxError> {
        let canonical = self.store.canonical_many(keys)?;
        Ok(keys
            .iter()
            .zip(canonical)
            .map(|(key, canonical)| (canonical != *key).then_some(canonical))
            .collect())
    }

    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Record>>, BoxError> {
        let steps: Vec<[Digest; 1]> = keys.iter().map(|key| [*key]).collect();
        let found = self.store.find_many(&steps)?;
        Ok(found
            .into_iter()
            .map(|hit| hit.map(|hit| Record { key: hit.record.key, stack: hit.record.stack }))
            .collect())
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
