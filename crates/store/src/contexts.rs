//! Stat indexes of build contexts, and what servers said of URLs: `contexts/<id>`, opaque here (the `source` crate and
//! the executor know their formats). Losing one costs a hash of the context or a download and nothing else, so they are
//! neither synced nor counted as data.

use crate::inner::{Store, random_name};
use crate::{Error, Result};
use std::fs;

/// The largest index that is read, 1 GiB.
const LARGEST: u64 = 1 << 30;

impl Store {
    /// The stored stat index of a context. `id` is what [`put_context_index`](Self::put_context_index) was given.
    pub fn context_index(&self, id: &str) -> Result<Option<Vec<u8>>> {
        let path = self.path("contexts").join(file_name(id));
        match fs::metadata(&path) {
            Ok(known) if known.len() > LARGEST => return Ok(None),
            _ => {}
        }
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("read", &path, e)),
        }
    }

    /// Stores the stat index of a context under any text, replacing the old one at once.
    pub fn put_context_index(&self, id: &str, bytes: &[u8]) -> Result<()> {
        let draft = self.path("tmp").join(random_name()?);
        let path = self.path("contexts").join(file_name(id));
        fs::write(&draft, bytes).map_err(|e| Error::io("write", &draft, e))?;
        fs::rename(&draft, &path).map_err(|e| Error::io("put in place", &path, e))
    }
}

fn file_name(id: &str) -> String {
    oci::Digest::of(id.as_bytes()).hex()
}
