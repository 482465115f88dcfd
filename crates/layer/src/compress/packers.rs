//! What packs blocks: gzip members (RFC 1952, 2.2: a file is a series of members) and Zstandard frames (RFC 8878, 3: data
//! is a series of frames).

use super::blocks::Pack;
use libdeflater::CompressionLvl;
use std::io::Result;

/// Makes a gzip member of each block.
pub(super) struct Member(libdeflater::Compressor);

impl Member {
    /// Nothing for a level that there is not.
    pub(super) fn new(level: u8) -> Option<Self> {
        Some(Self(libdeflater::Compressor::new(CompressionLvl::new(level.into()).ok()?)))
    }
}

impl Pack for Member {
    fn bound(&mut self, size: usize) -> usize {
        self.0.gzip_compress_bound(size)
    }

    fn pack(&mut self, block: &[u8], out: &mut [u8]) -> Result<usize> {
        self.0.gzip_compress(block, out).map_err(std::io::Error::other)
    }
}

/// Makes a Zstandard frame of each block, with its size and a checksum.
pub(super) struct Frame(zstd::bulk::Compressor<'static>);

impl Frame {
    /// # Errors
    /// No memory.
    pub(super) fn new(level: u8) -> Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level.into())?;
        compressor.include_checksum(true)?;
        Ok(Self(compressor))
    }
}

impl Pack for Frame {
    fn bound(&mut self, size: usize) -> usize {
        zstd::zstd_safe::compress_bound(size)
    }

    fn pack(&mut self, block: &[u8], out: &mut [u8]) -> Result<usize> {
        self.0.compress_to_buffer(block, out)
    }
}
