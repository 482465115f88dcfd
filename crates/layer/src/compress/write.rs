//! Compresses a stream. Whoever takes what comes out hashes it: the store does so for every blob, and twice would be
//! a tenth of the time of zstd.

use super::Compression;
use super::blocks::Blocks;
use super::packers::{Frame, Member};
use crate::{Error, Result};
use std::io::Write;

const MIB: usize = 1 << 20;

/// Compresses what is written to it, on threads of its own, and writes what comes out on another. The bytes depend on
/// the input, the kind and the level alone: not on the number of threads nor on how the input is cut into writes.
///
/// Only [`finish`](Compressor::finish) tells whether everything was written; dropped before that, it waits for its
/// threads. It holds two blocks of the input and one for each thread (1 MiB for gzip, 2 to 16 MiB for zstd by its
/// level), and what five for each thread were packed to.
pub struct Compressor<W> {
    blocks: Blocks<W>,
}

fn failed(source: std::io::Error) -> Error {
    Error::io("write the", b"compressed layer", source)
}

/// How much of the input is a frame of its own at this level: some windows of the level, as zstd's own threads divide
/// it, so that what is lost at the borders is less than a hundredth.
fn frame_size(level: u8) -> usize {
    match level {
        1 => 2 * MIB,
        2 => 4 * MIB,
        // 0 is zstd's default.
        0 | 3..=9 => 8 * MIB,
        _ => 16 * MIB,
    }
}

impl<W: Write + Send + 'static> Compressor<W> {
    /// Compresses to `out` with this many threads. `level` is gzip's 0 to 9 (10 to 12 are libdeflate's own) or zstd's
    /// 0 to 22, where 0 asks for zstd's default; none means 4 for gzip and 3 for zstd.
    ///
    /// # Errors
    /// [`Error::Compression`] for a level that there is not, and for xz and bzip2, which are not written.
    pub fn new(out: W, kind: Compression, level: Option<u8>, threads: usize) -> Result<Self> {
        let wrong = || Error::Compression { reason: format!("{} has no such level", kind.name()) };
        let threads = threads.clamp(1, 64);
        let blocks = match kind {
            Compression::None => Blocks::new::<Frame>(out, MIB, Vec::new()),
            Compression::Gzip => {
                let packer = || Member::new(level.unwrap_or(4)).ok_or_else(wrong);
                let packers = (0..threads).map(|_| packer()).collect::<Result<_>>()?;
                Blocks::new(out, MIB, packers)
            }
            Compression::Zstd => {
                let level = level.unwrap_or(3);
                if level > 22 {
                    return Err(wrong());
                }
                let packers = (0..threads).map(|_| Frame::new(level)).collect::<Result<_, _>>();
                Blocks::new(out, frame_size(level), packers.map_err(failed)?)
            }
            Compression::Xz | Compression::Bzip2 => {
                return Err(Error::Compression { reason: format!("{} is not written", kind.name()) });
            }
        };
        Ok(Self { blocks })
    }

    /// Ends the stream and gives back where it went.
    ///
    /// # Errors
    /// [`Error::Io`] where something could not be written.
    pub fn finish(self) -> Result<W> {
        self.blocks.finish().map_err(failed)
    }
}

impl<W: Write + Send + 'static> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.blocks.write(bytes)
    }

    /// Does nothing: a flush inside the stream would change its bytes.
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Compression, decompress};
    use super::*;
    use std::io::Read;

    fn pack(data: &[u8], kind: Compression, threads: usize, cut: usize) -> Vec<u8> {
        // Level 1 has the smallest frames.
        let mut compressor = Compressor::new(Vec::new(), kind, Some(1), threads).unwrap();
        for part in data.chunks(cut) {
            compressor.write_all(part).unwrap();
        }
        compressor.finish().unwrap()
    }

    fn sample(size: usize) -> Vec<u8> {
        // Neither noise nor a single pattern: words of a small generator.
        let mut state = 7u32;
        let mut data = Vec::with_capacity(size + 16);
        while data.len() < size {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            data.extend_from_slice(format!("{} ", (state >> 20) % 700).as_bytes());
        }
        data.truncate(size);
        data
    }

    #[test]
    fn the_bytes_are_the_same_however_they_are_made_and_come_back() {
        let data = sample(11 << 20);
        for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let first = pack(&data, kind, 1, data.len());
            assert!(kind == Compression::None || first.len() < data.len() / 2);
            for (threads, cut) in [(2, 4096), (3, 1 << 20), (5, 777_777)] {
                assert!(pack(&data, kind, threads, cut) == first, "{kind:?} {threads} {cut}");
            }
            let mut back = Vec::new();
            decompress(&first[..], u64::MAX).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == data);
        }
    }

    #[test]
    fn nothing_and_little_are_streams_too() {
        for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for data in [&b""[..], b"x"] {
                let packed = pack(data, kind, 2, 1);
                let mut back = Vec::new();
                decompress(&packed[..], 10).unwrap().read_to_end(&mut back).unwrap();
                assert_eq!(back, data);
            }
        }
    }

    #[test]
    fn an_error_of_the_disk_comes_back() {
        struct Full(usize);
        impl Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let left = self.0.checked_sub(bytes.len());
                self.0 = left.ok_or_else(|| std::io::Error::other("the disk is full"))?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let data = sample(64 << 20);
        for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let mut compressor = Compressor::new(Full(3 << 20), kind, Some(1), 2).unwrap();
            let error = compressor.write_all(&data).unwrap_err();
            assert_eq!(error.to_string(), "the disk is full", "{kind:?}");
            let mut compressor = Compressor::new(Full(3), kind, Some(1), 2).unwrap();
            compressor.write_all(b"four").unwrap();
            let error = std::error::Error::source(&compressor.finish().err().unwrap()).unwrap().to_string();
            assert_eq!(error, "the disk is full", "{kind:?}");
        }
    }

    #[test]
    fn a_level_that_is_not_is_an_error() {
        for kind in [Compression::Gzip, Compression::Zstd] {
            assert!(Compressor::new(Vec::new(), kind, Some(23), 1).is_err());
        }
    }
}
