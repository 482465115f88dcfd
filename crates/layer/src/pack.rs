//! The pack file of a layer: the bytes of many files one after the other, without any header. Each begins at a multiple
//! of 512, and zeros lie between them, so that an image of the layer ([`write_erofs`](crate::write_erofs)) can name
//! them where they are.
//!
//! A listing says where each file lies ([`Place::Pack`]). Files are hashed as they are written; small ones gather in
//! a buffer, so that a context of 50,000 small files is written with a few hundred system calls.

use crate::{Error, Place, Result};
use oci::{Digest, Hasher};
use std::fs::File;
use std::io::{Read, Write};

const BUFFER: usize = 1 << 20;

/// Files begin at multiples of this many bytes.
pub(crate) const ALIGNMENT: u64 = 512;

/// Writes a pack file.
pub struct PackWriter<W = File> {
    out: W,
    buffer: Vec<u8>,
    offset: u64,
}

/// A file in a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Where in the pack it starts.
    pub offset: u64,
    /// Its size in bytes.
    pub size: u64,
    /// The digest of its bytes.
    pub digest: Digest,
}

impl Packed {
    /// The file's place, for a listing of the layer that owns the pack.
    #[must_use]
    pub fn place(&self) -> Place<'static> {
        Place::Pack(self.offset)
    }
}

impl<W: Write> PackWriter<W> {
    /// Writes to `out` from its current position, which is offset 0 of the pack.
    pub fn new(out: W) -> Self {
        Self { out, buffer: Vec::with_capacity(BUFFER), offset: 0 }
    }

    /// How many bytes the pack has so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.offset
    }

    /// Where the next file begins: at a multiple of [`ALIGNMENT`], after zeros.
    pub(crate) fn begin(&mut self) -> Result<u64> {
        let gap = self.offset.next_multiple_of(ALIGNMENT) - self.offset;
        if gap > 0 {
            self.put(&[0; ALIGNMENT as usize][..gap as usize])?;
        }
        Ok(self.offset)
    }

    /// Adds a file whose bytes are at hand.
    ///
    /// # Errors
    /// [`Error::Io`] where the pack cannot be written.
    pub fn add(&mut self, bytes: &[u8]) -> Result<Packed> {
        let packed = Packed { offset: self.begin()?, size: bytes.len() as u64, digest: Digest::of(bytes) };
        self.put(bytes)?;
        Ok(packed)
    }

    /// Adds a file of any size. `name` is what an error calls it.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read or the pack not written.
    pub fn add_reader(&mut self, mut reader: impl Read, name: &[u8]) -> Result<Packed> {
        let offset = self.begin()?;
        let mut hasher = Hasher::new();
        loop {
            if BUFFER - self.buffer.len() < BUFFER / 4 {
                self.write_out()?;
            }
            let start = self.buffer.len();
            self.buffer.resize(BUFFER, 0);
            let read = reader.read(&mut self.buffer[start..]);
            self.buffer.truncate(start + read.as_ref().map_or(0, |count| *count));
            match read {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&self.buffer[start..]);
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read", name, error)),
            }
        }
        Ok(Packed { offset, size: hasher.size(), digest: hasher.finish() })
    }

    /// Writes what is still in the buffer and gives the file back. Nothing is synced.
    ///
    /// # Errors
    /// [`Error::Io`] where the pack cannot be written.
    pub fn finish(mut self) -> Result<W> {
        // Whole blocks: what maps the last one finds zeros and no end.
        self.begin()?;
        self.write_out()?;
        self.out.flush().map_err(|error| Error::io("write", b"pack", error))?;
        Ok(self.out)
    }

    /// Appends bytes that belong to a file whose digest the caller makes.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.write_out()?;
        }
        if bytes.len() >= BUFFER {
            self.out.write_all(bytes).map_err(|error| Error::io("write", b"pack", error))?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        self.out.write_all(&self.buffer).map_err(|error| Error::io("write", b"pack", error))?;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_lies_where_it_is_said() {
        let sizes = [0, 1, 400, BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER, 7];
        let files: Vec<Vec<u8>> =
            sizes.iter().enumerate().map(|(n, size)| vec![n as u8 + 1; *size]).collect();
        let mut pack = PackWriter::new(Vec::new());
        let mut packed = Vec::new();
        for (n, file) in files.iter().enumerate() {
            packed.push(match n % 2 {
                0 => pack.add(file).unwrap(),
                _ => pack.add_reader(&file[..], b"x").unwrap(),
            });
        }
        let size = pack.size();
        let bytes = pack.finish().unwrap();
        assert_eq!(bytes.len() as u64, size.next_multiple_of(ALIGNMENT));
        for (file, packed) in files.iter().zip(packed) {
            assert!(packed.offset.is_multiple_of(ALIGNMENT));
            let at = packed.offset as usize;
            assert_eq!(bytes[at..at + file.len()], file[..]);
            assert_eq!((packed.size, packed.digest), (file.len() as u64, Digest::of(file)));
        }
    }
}
