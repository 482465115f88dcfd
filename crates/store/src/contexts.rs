//! Stat indexes of build contexts, and what servers said of URLs: `contexts/<id>`, opaque here (the `source` crate and
//! the executor know their formats). Losing one costs a hash of the context or a download and nothing else, so they are
//! neither synced nor counted as data.

use crate::inner::{Store, random_name};
use crate::{Error, Result};
use std::fs::{self, File};

/// The largest index that is read, 1 GiB.
const LARGEST: u64 = 1 << 30;

impl Store {
    /// The stored stat index of a context. `id` is what [`put_context_index`](Self::put_context_index) was given.
    pub fn context_index(&self, id: &str) -> Result<Option<File>> {
        let path = self.path("contexts").join(file_name(id));
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let length = file.metadata().map_err(|e| Error::io("read", &path, e))?.len();
        Ok(Some(file).filter(|_| length <= LARGEST))
    }

    /// Stores the stat index of a context under any text, replacing the old one at once. `write` writes it.
    pub fn put_context_index(
        &self,
        id: &str,
        write: impl FnOnce(&mut File) -> std::io::Result<()>,
    ) -> Result<()> {
        let draft = self.path("tmp").join(random_name()?);
        let path = self.path("contexts").join(file_name(id));
        let written = File::create_new(&draft).and_then(|mut file| write(&mut file));
        written.map_err(|e| Error::io("write", &draft, e))?;
        fs::rename(&draft, &path).map_err(|e| Error::io("put in place", &path, e))
    }
}

fn file_name(id: &str) -> String {
    oci::Digest::of(id.as_bytes()).hex()
}
