//! Blobs: bytes by digest.
//!
//! A blob is written to a draft (`ingest.rs`), hashed as it is written, and put in its place at `blobs/sha256/<hex>` when
//! its digest is right. Small documents (manifests, configurations) live in the index itself.

use crate::ingest::Draft;
use crate::inner::Store;
use crate::{Error, Result};
use oci::{Digest, Hasher};
use rusqlite::{OptionalExtension, Transaction, params};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

/// Documents up to this size are kept in the index.
const INLINE: usize = 64 << 10;
/// The store is told of each so many bytes.
const TELL: u64 = 8 << 20;

/// Takes the bytes of a blob. Dropped without [`commit`](BlobWriter::commit) it leaves nothing but the part of a download
/// that [`Store::resume_blob`] goes on with.
pub struct BlobWriter {
    store: Store,
    draft: Draft,
    hasher: Hasher,
    expected: Option<Digest>,
    media_type: String,
    /// Bytes that the store was not told of yet.
    untold: u64,
}

impl std::fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter").field("path", &self.draft.path()).finish_non_exhaustive()
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.draft.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.untold += taken as u64;
        if self.untold >= TELL {
            self.store.wrote(std::mem::take(&mut self.untold));
        }
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl BlobWriter {
    /// Says what the blob is (a media type).
    #[must_use]
    pub fn media_type(mut self, media_type: &str) -> Self {
        media_type.clone_into(&mut self.media_type);
        self
    }

    /// How many bytes were taken so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.hasher.size()
    }

    /// The bytes that were taken so far, hashed.
    #[must_use]
    pub fn taken(&self) -> Hasher {
        self.hasher.clone()
    }

    /// Checks the digest and puts the blob in its place; gives its digest and its size in bytes.
    ///
    /// # Errors
    /// [`Error::Digest`] if another digest was expected; then nothing is kept.
    pub fn commit(self) -> Result<(Digest, u64)> {
        let Self { store, mut draft, hasher, expected, media_type, .. } = self;
        let size = hasher.size();
        let digest = hasher.finish();
        if let Some(expected) = expected
            && expected != digest
        {
            return Err(Error::Digest { expected, actual: digest });
        }
        let path = store.blob_path(&digest);
        store.leased()?;
        // The one rename inside a transaction: a collector that removes this very blob must come before or after both.
        store.write(|transaction| {
            draft.put(&path)?;
            store.insert_blob(transaction, &digest, size, &media_type, None)
        })?;
        store.made_something();
        Ok((digest, size))
    }
}

impl Store {
    pub(crate) fn blob_path(&self, digest: &Digest) -> PathBuf {
        let mut path = self.path("blobs/sha256");
        path.push(digest.hex());
        path
    }

    /// The size of the blob in bytes, if its bytes are here.
    pub fn has_blob(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.find_blob(digest, "NULL")?.map(|(size, _)| size))
    }

    /// Opens the blob for reading from its start.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not here.
    pub fn open_blob(&self, digest: &Digest) -> Result<File> {
        let Some((_, bytes)) = self.find_blob(digest, "bytes")? else {
            return Err(Error::not_found("blob", digest));
        };
        if let Some(bytes) = bytes {
            return in_memory(&bytes).map_err(|e| Error::io("open in memory", &self.blob_path(digest), e));
        }
        let path = self.blob_path(digest);
        match File::open(&path) {
            Ok(file) => Ok(file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                // Removed from outside, or a collector died between its rename and its commit. Forget it.
                self.write(|transaction| {
                    transaction.execute("DELETE FROM blobs WHERE digest = ?1", [&digest.as_bytes()[..]])?;
                    Ok(())
                })?;
                Err(Error::not_found("blob", digest))
            }
            Err(e) => Err(Error::io("open", &path, e)),
        }
    }

    /// The bytes of a blob of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::NotFound`], or [`Error::TooLarge`].
    pub fn read_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let Some((size, bytes)) = self.find_blob(digest, "bytes")? else {
            return Err(Error::not_found("blob", digest));
        };
        if size > limit {
            return Err(Error::TooLarge { digest: *digest, size, limit });
        }
        if let Some(bytes) = bytes {
            return Ok(bytes);
        }
        let mut read = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut file = self.open_blob(digest)?.take(limit);
        file.read_to_end(&mut read).map_err(|e| Error::io("read", &self.blob_path(digest), e))?;
        Ok(read)
    }

    /// A writer for a new blob, whose digest must be `expected` if that is given.
    pub fn blob_writer(&self, expected: Option<Digest>) -> Result<BlobWriter> {
        Ok(self.writer(self.new_draft()?, Hasher::new(), expected))
    }

    /// A writer for a blob of so many bytes that is downloaded. It has what an earlier one got
    /// ([`taken`](BlobWriter::taken)); dropped before all is there, it leaves that to the next one.
    pub fn resume_blob(&self, digest: Digest, size: u64) -> Result<BlobWriter> {
        match self.resumed_draft(&digest, size)? {
            Some((draft, hasher)) => Ok(self.writer(draft, hasher, Some(digest))),
            // Another process is at it.
            None => self.blob_writer(Some(digest)),
        }
    }

    fn writer(&self, draft: Draft, hasher: Hasher, expected: Option<Digest>) -> BlobWriter {
        let media_type = String::new();
        BlobWriter { store: self.clone(), draft, hasher, expected, media_type, untold: 0 }
    }

    /// Stores a document and gives its digest.
    pub fn put_blob(&self, bytes: &[u8], media_type: &str) -> Result<Digest> {
        if bytes.len() > INLINE {
            let mut writer = self.blob_writer(None)?.media_type(media_type);
            writer.write_all(bytes).map_err(|e| Error::io("write", &self.path("ingest"), e))?;
            return Ok(writer.commit()?.0);
        }
        let digest = Digest::of(bytes);
        self.leased()?;
        self.write(|transaction| {
            self.insert_blob(transaction, &digest, bytes.len() as u64, media_type, Some(bytes))
        })?;
        self.made_something();
        Ok(digest)
    }

    /// Remembers where the blob can be had again: an image reference with a repository.
    pub fn add_blob_source(&self, digest: &Digest, reference: &str) -> Result<()> {
        self.write(|transaction| {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO blob_sources VALUES (?1, ?2)")?
                .execute(params![&digest.as_bytes()[..], reference])?;
            Ok(())
        })
    }

    /// Where the blob can be had again, in the order of the names.
    pub fn blob_sources(&self, digest: &Digest) -> Result<Vec<String>> {
        self.read(|transaction| {
            let mut statement =
                transaction.prepare_cached("SELECT reference FROM blob_sources WHERE digest = ?1")?;
            let rows = statement.query_map([&digest.as_bytes()[..]], |row| row.get(0))?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// The blob's size and `column`, touched for the lease.
    fn find_blob(&self, digest: &Digest, column: &'static str) -> Result<Option<(u64, Option<Vec<u8>>)>> {
        let lease = self.leased()?;
        let boot = self.boot()?;
        let found = self.read(|transaction| {
            let text = format!(
                "SELECT size, last_used, {column} FROM blobs WHERE digest = ?1 AND (boot IS NULL OR boot = ?2)"
            );
            let found = transaction
                .prepare_cached(&text)?
                .query_row(params![&digest.as_bytes()[..], boot], |row| {
                    Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)?, row.get(2)?))
                })
                .optional()?;
            Ok(found)
        })?;
        let Some((size, last_used, bytes)) = found else { return Ok(None) };
        if last_used < lease {
            let here = self.write(|transaction| {
                let tick = self.tick(transaction)?;
                let touched = transaction
                    .prepare_cached("UPDATE blobs SET last_used = ?2 WHERE digest = ?1")?
                    .execute(params![&digest.as_bytes()[..], tick])?;
                Ok(touched > 0)
            })?;
            if !here {
                return Ok(None);
            }
        }
        Ok(Some((size, bytes)))
    }

    pub(crate) fn insert_blob(
        &self,
        transaction: &Transaction<'_>,
        digest: &Digest,
        size: u64,
        media_type: &str,
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        let tick = self.tick(transaction)?;
        // Bytes that are durable stay so: the same digest written again is the same file.
        transaction
            .prepare_cached(
                "INSERT INTO blobs (digest, size, media_type, bytes, created, last_used, boot)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
                 ON CONFLICT (digest) DO UPDATE SET last_used = ?5, boot = ?6, size = ?2,
                     bytes = ?4, media_type = iif(?3 = '', media_type, ?3)",
            )?
            .execute(params![
                &digest.as_bytes()[..],
                size as i64,
                media_type,
                bytes,
                tick,
                // What the index holds is as durable as the index.
                if bytes.is_some() { None } else { Some(self.boot()?) }
            ])?;
        Ok(())
    }
}

/// A file that exists in memory alone, at its start.
fn in_memory(bytes: &[u8]) -> std::io::Result<File> {
    let mut file = File::from(rustix::fs::memfd_create("blob", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
