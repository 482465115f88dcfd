//! The bytes of context files, kept while they are hashed for keys.
//!
//! A file that the stat index does not know is read once: its bytes go into the pack of a layer that has nothing else,
//! and every COPY that takes the file borrows them from there, in this build and in later ones. The layer is committed
//! when the first COPY needs it; if none does, because its key is known, it is thrown away.

use crate::{Error, Result};
use layer::LayerId;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use store::{Commit, LayerDraft, Store};

/// As many bytes are kept before it is known that anybody needs them: 1 GiB.
const MOST: u64 = 1 << 30;

/// A pack that is being filled.
pub(crate) struct Spool {
    id: LayerId,
    pack: File,
    /// Where the next files go.
    next: AtomicU64,
}

/// Keeps files of one selection. Nothing is made before there is something to keep.
pub(crate) struct Keeper<'a> {
    spools: &'a Spools,
    store: &'a Store,
    spool: OnceLock<Arc<Spool>>,
}

impl source::Keep for Keeper<'_> {
    fn room(&self, bytes: u64) -> Option<(LayerId, u64)> {
        // Without room the files are read again when a COPY takes them, and whatever is wrong shows then.
        let (spool, start) = self.spools.room(self.store, bytes).ok()??;
        Some((self.spool.get_or_init(|| spool).id, start))
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        match self.spool.get() {
            Some(spool) => spool.pack.write_all_at(bytes, offset),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    }
}

/// The spool of a build: at most one is being filled.
#[derive(Default)]
pub(crate) struct Spools(Mutex<Option<(LayerDraft, Arc<Spool>)>>);

impl Spools {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(LayerDraft, Arc<Spool>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who keeps the files of a selection.
    pub(crate) fn keep<'a>(&'a self, store: &'a Store) -> Keeper<'a> {
        Keeper { spools: self, store, spool: OnceLock::new() }
    }

    /// Room in the one that is being filled, or in a new one where there is none.
    fn room(&self, store: &Store, bytes: u64) -> Result<Option<(Arc<Spool>, u64)>> {
        let mut open = self.lock();
        if open.is_none() {
            let draft = store.new_layer()?;
            let path = draft.pack();
            let pack =
                File::create_new(&path).map_err(|source| Error::Io { action: "make", path, source })?;
            let spool = Arc::new(Spool { id: draft.id(), pack, next: AtomicU64::new(0) });
            *open = Some((draft, spool));
        }
        let Some((_, spool)) = &*open else { return Ok(None) };
        let fits = |next: u64| next.checked_add(bytes).filter(|end| *end <= MOST);
        let start = spool.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok();
        Ok(start.map(|start| (spool.clone(), start)))
    }

    /// Makes the one being filled a layer of the store, if it is among these: whoever borrows from it may be committed
    /// after this. What is still written to it by others is theirs to wait for.
    pub(crate) fn settle(&self, store: &Store, borrowed: &[LayerId]) -> Result<()> {
        let mut open = self.lock();
        if !open.as_ref().is_some_and(|(_, spool)| borrowed.contains(&spool.id)) {
            return Ok(());
        }
        let Some((mut draft, spool)) = open.take() else { return Ok(()) };
        draft.set_size(spool.next.load(Ordering::Relaxed));
        Ok(store.commit(Commit { layers: vec![draft], ..Commit::default() })?)
    }

    /// The one that nobody needed yet.
    pub(crate) fn unsettled(&self) -> Option<LayerId> {
        self.lock().as_ref().map(|(_, spool)| spool.id)
    }
}
