//! Blobs on their way in.
//!
//! ```text
//! (no name)         what is written and hashed here: it goes with its writer
//! ingest/HEX-BOOT   a download, by the blob's digest and the boot that it was begun under: whoever wants the blob next
//!                   goes on where it ended
//! ingest/RANDOM     in place of files without a name, on file systems that have none
//! ```
//!
//! A writer holds its file locked; a file whose lock can be had has no writer any more. A download that nobody went on
//! with for a day, and every other file without a writer, is removed by the next process that makes something
//! ([`Store::finish`]). What was written under another boot may have lost bytes to a power cut, and is not gone on with.

use crate::inner::{Store, random_name};
use crate::lock::{Mode, still_named, try_lock};
use crate::{Error, Result, nameless};
use oci::{Digest, Hasher};
use rustix::fs::CWD;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// So long a download waits for whoever goes on with it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

/// A file that takes the bytes of a blob. Dropped before it is put in its place it leaves nothing, unless it is a
/// download that lacks its end.
pub(crate) struct Draft {
    file: File,
    /// Nothing for a file without a name.
    path: Option<PathBuf>,
    /// The bytes in it.
    size: u64,
    /// The bytes of the whole blob, where a part is worth keeping.
    whole: Option<u64>,
    put: bool,
}

impl Draft {
    /// Its name, for messages.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Puts it in its place.
    pub(crate) fn put(&mut self, path: &Path) -> Result<()> {
        let put = match &self.path {
            Some(own) => fs::rename(own, path),
            None => nameless::name(&self.file, CWD, path),
        };
        put.map_err(|e| Error::io("put in place", path, e))?;
        self.put = true;
        Ok(())
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // A disk that takes no more gets its room back.
        let taken = self.file.write(bytes).inspect_err(|_| self.whole = None)?;
        self.size += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let is_part = self.size > 0 && self.whole.is_some_and(|whole| self.size < whole);
        if let Some(path) = self.path.as_ref().filter(|_| !self.put && !is_part) {
            // A leftover is swept later.
            let _ = fs::remove_file(path);
        }
    }
}

impl Store {
    /// A file for a blob.
    pub(crate) fn new_draft(&self) -> Result<Draft> {
        let folder = self.path("ingest");
        if let Some(file) =
            nameless::open(CWD, &folder, 0o600).map_err(|e| Error::io("write to", &folder, e))?
        {
            return Ok(Draft { file, path: None, size: 0, whole: None, put: false });
        }
        loop {
            let path = folder.join(random_name()?);
            let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let file = made.map_err(|e| Error::io("make", &path, e))?;
            file.lock().map_err(|e| Error::io("lock", &path, e))?;
            // A collector may have taken it for an abandoned one before it was locked.
            if still_named(&file, &path) {
                return Ok(Draft { file, path: Some(path), size: 0, whole: None, put: false });
            }
        }
    }

    /// A file for a download of so many bytes, with the bytes that an earlier one got, hashed; nothing while another
    /// process is at the same.
    pub(crate) fn resumed_draft(&self, digest: &Digest, size: u64) -> Result<Option<(Draft, Hasher)>> {
        let path = self.path("ingest").join(format!("{}-{}", digest.hex(), self.boot()?));
        let named = &path;
        let io = |action| move |e| Error::io(action, named, e);
        let opened =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(named);
        let mut file = opened.map_err(io("make"))?;
        if !try_lock(&file, Mode::Exclusive, &path)? || !still_named(&file, &path) {
            return Ok(None);
        }
        let mut hasher = Hasher::new();
        if file.metadata().map_err(io("read"))?.len() < size {
            let mut buffer = vec![0; 1 << 20];
            loop {
                match file.read(&mut buffer).map_err(io("read"))? {
                    0 => break,
                    count => hasher.update(&buffer[..count]),
                }
            }
        } else {
            file.set_len(0).and_then(|()| file.rewind()).map_err(io("write"))?;
        }
        let draft = Draft { file, path: Some(path), size: hasher.size(), whole: Some(size), put: false };
        Ok(Some((draft, hasher)))
    }

    /// Removes files without a writer, of downloads those alone that are not gone on with, or `all`. Gives the bytes
    /// freed.
    pub(crate) fn sweep_ingest(&self, all: bool) -> Result<u64> {
        let (folder, boot) = (self.path("ingest"), self.boot()?);
        let mut freed = 0;
        for entry in fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))? {
            let path = entry.map_err(|e| Error::io("read", &folder, e))?.path();
            let Ok(file) = File::open(&path) else { continue };
            if !try_lock(&file, Mode::Exclusive, &path)? || !still_named(&file, &path) {
                continue;
            }
            let Ok(known) = file.metadata() else { continue };
            let age = known.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let is_download = name.split_once('-').is_some_and(|(_, of)| of == boot);
            if all || !is_download || age > PATIENCE {
                freed += known.len();
                let _ = fs::remove_file(&path);
            }
        }
        Ok(freed)
    }

    /// The bytes of downloads that lack their end.
    pub(crate) fn ingest_bytes(&self) -> Result<u64> {
        let folder = self.path("ingest");
        let entries = fs::read_dir(&folder).map_err(|e| Error::io("read", &folder, e))?;
        Ok(entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|known| known.len()).sum())
    }
}
