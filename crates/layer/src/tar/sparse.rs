//! Which parts of a sparse file an archive holds.
//!
//! Old GNU: four segments of (offset, length) in the header, 21 in each block that follows while a flag says so.
//! GNU pax 0.0: repeated records `GNU.sparse.offset` and `GNU.sparse.numbytes`; 0.1: one record `GNU.sparse.map`;
//! 1.0: decimal lines at the start of the content, padded to a block.

use crate::{Error, Result};

/// A map of what is held: pairs of offset and length, in order, within the file's size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sparse {
    pub(crate) segments: Vec<(u64, u64)>,
}

/// More segments than this are refused: 16 MiB of memory.
pub(crate) const MOST_SEGMENTS: usize = 1 << 20;

impl Sparse {
    /// Checks a map against the file's size and the bytes that the archive holds of it.
    pub(crate) fn new(segments: Vec<(u64, u64)>, size: u64, held: u64, name: &[u8]) -> Result<Self> {
        let wrong = || Error::Archive {
            reason: format!("the sparse map of `{}` is wrong", String::from_utf8_lossy(name)),
        };
        let (mut end, mut sum) = (0u64, 0u64);
        for (offset, length) in &segments {
            if *offset < end {
                return Err(wrong());
            }
            end = offset.checked_add(*length).filter(|end| *end <= size).ok_or_else(wrong)?;
            sum += length;
        }
        if sum != held {
            return Err(wrong());
        }
        Ok(Self { segments })
    }
}
