//! Durability without a sync per step.
//!
//! A row written since the last sync carries the boot id; after a power cut the boot id is another and the row does not
//! count. At the end of a build [`Store::finish`] syncs the file system once and then takes the boot id off.

use crate::inner::Store;
use crate::{Error, Result, early};
use rusqlite::params;
use std::sync::atomic::Ordering;

impl Store {
    /// Whether this process made something that [`finish`](Self::finish) would sync.
    #[must_use]
    pub fn needs_finish(&self) -> bool {
        self.inner.fresh.load(Ordering::Acquire)
    }

    /// Ends a build: if anything was made, one `syncfs` whose error counts, then all that any process made before it is
    /// marked durable by a commit that is itself synced. What dead processes left of downloads and leases goes, too.
    pub fn finish(&self) -> Result<()> {
        if !self.inner.fresh.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let done = self.sync();
        if done.is_err() {
            self.made_something();
        }
        self.sweep_ingest(false)?;
        self.sweep_leases()?;
        done
    }

    fn sync(&self) -> Result<()> {
        let boot = self.boot()?;
        // What was committed up to this tick had its files written before.
        let tick = self.write(|transaction| self.tick(transaction))?;
        let root = self.root();
        self.settle()?;
        early::sync(root).map_err(|e| Error::io("sync the file system of", root, e))?;
        let level = |level: &'static str| {
            self.with_connection(|connection| {
                connection
                    .pragma_update(None, "synchronous", level)
                    .map_err(|source| Error::sql("change how it syncs", source))
            })
        };
        level("FULL")?;
        let marked = self.write(|transaction| {
            // What got new files while the sync ran (`last_used` moves with them) waits for the next.
            for marked in [
                "UPDATE records SET boot = NULL WHERE boot = ?1 AND created <= ?2",
                "UPDATE images SET boot = NULL WHERE boot = ?1 AND last_used <= ?2",
                "UPDATE blobs SET boot = NULL WHERE boot = ?1 AND last_used <= ?2",
                "UPDATE layers SET boot = NULL WHERE boot = ?1 AND last_used <= ?2",
                "UPDATE layers SET folder_boot = NULL WHERE folder_boot = ?1 AND last_used <= ?2",
                "UPDATE layers SET listing_boot = NULL WHERE listing_boot = ?1 AND last_used <= ?2",
            ] {
                transaction.prepare_cached(marked)?.execute(params![boot, tick])?;
            }
            Ok(())
        });
        level("NORMAL")?;
        marked?;
        self.shorten_log()
    }
}
