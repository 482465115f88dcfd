//! Compression of layers: gzip and zstd, out and in; of archives that users give: xz and bzip2, in.

mod blocks;
mod input;
mod packers;
mod write;

pub use input::{Decompressor, ReadAhead, decompress, sniff};
pub use write::Compressor;

/// What a stream is packed with, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Nothing.
    None,
    /// gzip (RFC 1952), of one or more members.
    Gzip,
    /// Zstandard (RFC 8878), of one or more frames.
    Zstd,
    /// xz, of one or more streams; read only.
    Xz,
    /// bzip2, of one or more streams; read only.
    Bzip2,
}

impl Compression {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "uncompressed",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }
}
