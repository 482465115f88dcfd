//! Copies a member's bytes, holes and all, and hashes them on the way.

use crate::tar::TarReader;
use crate::{Error, Result};
use oci::{Digest, Hasher};
use std::io::{Read, Write};

pub(super) static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// A failure of the archive or of the file that is written.
pub(super) enum CopyError {
    Archive(Error),
    Write(std::io::Error),
}

impl CopyError {
    pub(super) fn at(self, path: &[u8]) -> Error {
        match self {
            Self::Archive(error) => error,
            Self::Write(error) => Error::io("write", path, error),
        }
    }
}

/// Copies the current member: `put(bytes, None)` for what follows on, `put(bytes, offset)` after a hole and
/// `put(None, _)` for a hole at the end. Gives the digest of all with zeros for holes.
pub(super) fn copy(
    reader: &mut TarReader<impl Read>,
    size: u64,
    mut put: impl FnMut(Option<&[u8]>, Option<u64>) -> std::io::Result<()>,
) -> Result<Digest, CopyError> {
    let mut hasher = Hasher::new();
    let mut holes = false;
    while let Some(chunk) = reader.chunk().map_err(CopyError::Archive)? {
        if chunk.bytes.len() as u64 == size {
            put(Some(chunk.bytes), None).map_err(CopyError::Write)?;
            return Ok(Digest::of(chunk.bytes));
        }
        holes |= chunk.offset > hasher.size();
        zeros(&mut hasher, chunk.offset);
        put(Some(chunk.bytes), holes.then_some(chunk.offset)).map_err(CopyError::Write)?;
        hasher.update(chunk.bytes);
    }
    if hasher.size() < size {
        put(None, None).map_err(CopyError::Write)?;
        zeros(&mut hasher, size);
    }
    Ok(hasher.finish())
}

fn zeros(hasher: &mut Hasher, upto: u64) {
    while hasher.size() < upto {
        hasher.update(&ZEROS[..ZEROS.len().min(usize::try_from(upto - hasher.size()).unwrap_or(usize::MAX))]);
    }
}

/// Writes to a file and a hasher at once.
pub(super) struct Tee<'a> {
    pub(super) hasher: Hasher,
    pub(super) file: &'a mut std::fs::File,
}

impl Write for Tee<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
