//! Gathers what is small before it goes out, and knows where it is.

use crate::content::{cut, read_up_to};
use crate::{Bytes, ContentSource, Entry, Error, Result};
use std::io::Write;

const BUFFER: usize = 1 << 18;

/// What an image or an archive is written through.
pub(crate) struct Output<'a> {
    out: &'a mut dyn Write,
    /// What errors call it.
    what: &'static str,
    buffer: Vec<u8>,
    written: u64,
}

impl<'a> Output<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, what: &'static str) -> Self {
        Self { out, what, buffer: Vec::with_capacity(BUFFER), written: 0 }
    }

    /// How many bytes there are so far.
    pub(crate) fn position(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<()> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.write_out()?;
        }
        if bytes.len() >= BUFFER {
            self.written += bytes.len() as u64;
            return self.out.write_all(bytes).map_err(|error| lost(self.what, error));
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn write_out(&mut self) -> Result<()> {
        self.out.write_all(&self.buffer).map_err(|error| lost(self.what, error))?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Zeros up to an offset that is not far away, and not before what there is.
    pub(crate) fn zeros_to(&mut self, offset: u64) {
        let gap = offset.checked_sub(self.position());
        let gap = gap.expect("because what comes next is planned behind what came before");
        self.buffer.resize(self.buffer.len() + gap as usize, 0);
    }

    /// Zeros to the end of a block of this size.
    pub(crate) fn zeros_to_multiple(&mut self, block: u64) {
        self.zeros_to(self.position().next_multiple_of(block));
    }

    /// The bytes of a file, exactly as many as its entry says.
    pub(crate) fn copy(&mut self, entry: &Entry<'_>, content: &mut dyn ContentSource) -> Result<()> {
        let size = entry.size();
        match content.bytes(entry)? {
            Bytes::Here(bytes) if bytes.len() as u64 == size => self.put(bytes),
            Bytes::Here(_) => Err(cut(entry)),
            Bytes::In { file, mut offset } => {
                self.write_out()?;
                let end = offset + size;
                while offset < end {
                    self.buffer.resize(BUFFER.min((end - offset) as usize), 0);
                    let have = read_up_to(file, &mut self.buffer, offset)
                        .map_err(|error| Error::io("read", &entry.path, error))?;
                    if have < self.buffer.len() {
                        return Err(cut(entry));
                    }
                    offset += have as u64;
                    self.write_out()?;
                }
                Ok(())
            }
        }
    }

    /// Writes what is still here; gives how many bytes there are in all.
    pub(crate) fn finish(mut self) -> Result<u64> {
        self.write_out()?;
        self.out.flush().map_err(|error| lost(self.what, error))?;
        Ok(self.written)
    }
}

fn lost(what: &str, error: std::io::Error) -> Error {
    Error::io("write the", what.as_bytes(), error)
}
