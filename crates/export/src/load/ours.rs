//! Whether a plain tar has the very bytes that our writer makes of the layer it was unpacked to. Then the tar need not be
//! kept beside the files: what `save` wrote takes its space once. A foreign tar differs within its first blocks, so to
//! ask costs little.

use layer::{Listing, StoredContent};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};

/// Compares what is written to it with a file.
struct Comparing {
    file: File,
    buffer: Vec<u8>,
}

impl Write for Comparing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = bytes.len().min(self.buffer.len());
        let expected = &mut self.buffer[..count];
        self.file.read_exact(expected)?;
        if *expected != bytes[..count] {
            return Err(Error::new(ErrorKind::InvalidData, "the bytes differ"));
        }
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whether writing the listing gives the bytes of `tar`.
pub(super) fn is_ours(listing: &Listing, content: &mut StoredContent, tar: File) -> bool {
    let mut comparing = Comparing { file: tar, buffer: vec![0; 1 << 18] };
    if layer::write_tar(listing, content, &mut comparing).is_err() {
        return false;
    }
    // Nothing may follow.
    comparing.file.read(&mut [0]).is_ok_and(|count| count == 0)
}
