//! Cache mounts: folders that steps keep between builds, `cache/<hash of id>` and, for private ones that are taken at the
//! same time, `cache/<hash of id>-<n>`. Their locks are `locks/cache-<the same>`.

use crate::inner::{Store, time};
use crate::lock::{FileLock, Mode, Wait};
use crate::{Error, Result};
use oci::Digest;
use rusqlite::{OptionalExtension, params};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How many builds use a cache mount at once (`sharing=`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// Any number, in the same folder.
    #[default]
    Shared,
    /// Any number, each in a folder of its own.
    Private,
    /// One; others wait.
    Locked,
}

/// A cache mount in use. It is another's again when this is dropped.
#[derive(Debug)]
pub struct CacheMount {
    store: Store,
    folder: String,
    path: PathBuf,
    fresh: bool,
    sharing: Sharing,
    lock: FileLock,
}

/// A cache mount on disk.
#[derive(Clone, Debug)]
pub struct CacheMountInfo {
    /// The id given in the Dockerfile, as the caller scoped it.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// When it was first used.
    pub created: SystemTime,
    /// When it was last used.
    pub last_used: SystemTime,
}

impl CacheMount {
    /// The folder to mount.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nobody has filled and owned it yet (`from=`, `uid=`, `gid=`, `mode=`). While it is, this holds it alone;
    /// say [`ready`](Self::ready) when that is done.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Says that the folder has its first content; from here on others share a shared one.
    pub fn ready(&mut self) -> Result<()> {
        if self.fresh {
            self.store.write(|transaction| {
                transaction
                    .prepare_cached("UPDATE cache_mounts SET ready = 1 WHERE folder = ?1")?
                    .execute([&self.folder])?;
                Ok(())
            })?;
            self.fresh = false;
            if self.sharing == Sharing::Shared {
                self.lock.share()?;
            }
        }
        Ok(())
    }
}

impl Store {
    /// Takes the cache mount `id`: waits where it is locked by another, takes the first free folder where it is private.
    pub fn cache_mount(&self, id: &str, sharing: Sharing, wait: Wait<'_>) -> Result<CacheMount> {
        let hash = &Digest::of(id.as_bytes()).hex()[..32];
        let mut number = 0;
        loop {
            let folder = if number == 0 { hash.to_owned() } else { format!("{hash}-{number}") };
            if let Some(mount) = self.take_mount(id, folder, sharing, &mut *wait)? {
                return Ok(mount);
            }
            number += 1;
        }
    }

    fn take_mount(
        &self,
        id: &str,
        folder: String,
        sharing: Sharing,
        wait: Wait<'_>,
    ) -> Result<Option<CacheMount>> {
        let lock_path = self.path(&format!("locks/cache-{folder}"));
        let mut mode = if sharing == Sharing::Shared { Mode::Shared } else { Mode::Exclusive };
        loop {
            let lock = match (sharing, mode) {
                (Sharing::Private, _) => match FileLock::try_take(&lock_path, mode)? {
                    Some(lock) => lock,
                    None => return Ok(None),
                },
                // A shared mount that is to be filled: who comes second waits for the shared lock, which the first
                // gives up its own for once it is filled; waiting to be alone would wait for the first one's end.
                (Sharing::Shared, Mode::Exclusive) => match FileLock::try_take(&lock_path, mode)? {
                    Some(lock) => lock,
                    None => {
                        mode = Mode::Shared;
                        continue;
                    }
                },
                _ => FileLock::take(&lock_path, mode, &mut *wait)?,
            };
            let ready = self.write(|transaction| {
                let tick = self.tick(transaction)?;
                let known: Option<bool> = transaction
                    .prepare_cached(
                        "UPDATE cache_mounts SET last_used = ?2 WHERE folder = ?1 RETURNING ready",
                    )?
                    .query_row(params![folder, tick], |row| row.get(0))
                    .optional()?;
                if known.is_none() {
                    transaction
                        .prepare_cached("INSERT INTO cache_mounts VALUES (?1, ?2, 0, ?3, ?3)")?
                        .execute(params![folder, id, tick])?;
                }
                Ok(known.unwrap_or(false))
            })?;
            if !ready && mode == Mode::Shared {
                // Somebody must fill it first, alone.
                mode = Mode::Exclusive;
                continue;
            }
            if ready && sharing == Sharing::Shared && mode == Mode::Exclusive {
                lock.share()?;
            }
            let path = self.path("cache").join(&folder);
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(&path)
                .map_err(|e| Error::io("make", &path, e))?;
            let store = self.clone();
            return Ok(Some(CacheMount { store, folder, path, fresh: !ready, sharing, lock }));
        }
    }

    /// All cache mounts, by id.
    pub fn cache_mounts(&self) -> Result<Vec<CacheMountInfo>> {
        let root = self.path("cache");
        self.read(|transaction| {
            let mut statement = transaction.prepare_cached(
                "SELECT folder, name, created, last_used FROM cache_mounts ORDER BY name, folder",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(CacheMountInfo {
                    path: root.join(row.get::<_, String>(0)?),
                    name: row.get(1)?,
                    created: time(row.get(2)?),
                    last_used: time(row.get(3)?),
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }
}
