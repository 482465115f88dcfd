//! Compresses a stream and tells the digest and size of what came out.

use super::Compression;
use super::gzip::Members;
use crate::{Error, Result};
use libdeflater::CompressionLvl;
use oci::{Digest, Hasher};
use std::io::Write;

/// Compresses what is written to it. The bytes depend on the input, the kind and the level alone: not on the number
/// of threads nor on how the input is cut into writes.
pub struct Compressor<W: Write> {
    inner: Inner<W>,
}

/// What a [`Compressor`] made.
#[derive(Debug)]
pub struct Compressed<W> {
    /// Where it went.
    pub out: W,
    /// The digest of the compressed bytes.
    pub digest: Digest,
    /// Their count.
    pub size: u64,
}

enum Inner<W: Write> {
    None(Hashed<W>),
    Gzip(Members<Hashed<W>>),
    Zstd(zstd::stream::write::Encoder<'static, Hashed<W>>),
}

struct Hashed<W> {
    /// None only after the end.
    out: Option<W>,
    hasher: Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let Some(out) = &mut self.out else { return Ok(0) };
        let count = out.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }
}

fn failed(source: std::io::Error) -> Error {
    Error::io("write the", b"compressed layer", source)
}

impl<W: Write> Compressor<W> {
    /// Compresses to `out` with this many threads. `level` is gzip's 0 to 9 (10 to 12 are libdeflate's own) or zstd's
    /// 0 to 22, where 0 asks for zstd's default; none means 4 for gzip and 3 for zstd.
    ///
    /// # Errors
    /// [`Error::Compression`] for a level that there is not, and for xz and bzip2, which are not written.
    pub fn new(out: W, kind: Compression, level: Option<u8>, threads: usize) -> Result<Self> {
        let wrong = || Error::Compression { reason: format!("{} has no such level", kind.name()) };
        let out = Hashed { out: Some(out), hasher: Hasher::new() };
        let inner = match kind {
            Compression::None => Inner::None(out),
            Compression::Gzip => {
                let level = CompressionLvl::new(level.unwrap_or(4).into()).map_err(|_| wrong())?;
                Inner::Gzip(Members::new(out, level, threads))
            }
            Compression::Zstd => {
                let level = level.unwrap_or(3);
                if level > 22 {
                    return Err(wrong());
                }
                let mut encoder = zstd::stream::write::Encoder::new(out, level.into()).map_err(failed)?;
                // One worker makes the same bytes as many, and other bytes than none.
                let threads = threads.clamp(1, 64) as u32;
                encoder.multithread(threads).map_err(failed)?;
                encoder.include_checksum(true).map_err(failed)?;
                Inner::Zstd(encoder)
            }
            Compression::Xz | Compression::Bzip2 => {
                return Err(Error::Compression { reason: format!("{} is not written", kind.name()) });
            }
        };
        Ok(Self { inner })
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Error::Io`] where the rest cannot be written.
    pub fn finish(self) -> Result<Compressed<W>> {
        let hashed = match self.inner {
            Inner::None(mut out) => {
                out.flush().map_err(failed)?;
                out
            }
            Inner::Gzip(mut members) => {
                members.finish().map_err(failed)?;
                Hashed { out: members.out.out.take(), hasher: std::mem::take(&mut members.out.hasher) }
            }
            Inner::Zstd(encoder) => {
                let mut out = encoder.finish().map_err(failed)?;
                out.flush().map_err(failed)?;
                out
            }
        };
        let size = hashed.hasher.size();
        let out = hashed.out.expect("because only this function takes it");
        Ok(Compressed { out, digest: hashed.hasher.finish(), size })
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match &mut self.inner {
            Inner::None(out) => out.write(bytes),
            Inner::Gzip(members) => members.write(bytes).map(|()| bytes.len()),
            Inner::Zstd(encoder) => encoder.write(bytes),
        }
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

    fn pack(data: &[u8], kind: Compression, threads: usize, cut: usize) -> Compressed<Vec<u8>> {
        let mut compressor = Compressor::new(Vec::new(), kind, None, threads).unwrap();
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
        for kind in [Compression::Gzip, Compression::Zstd] {
            let first = pack(&data, kind, 1, data.len());
            assert_eq!(first.digest, Digest::of(&first.out));
            assert_eq!(first.size, first.out.len() as u64);
            assert!(first.size < data.len() as u64 / 2);
            for (threads, cut) in [(2, 4096), (3, 1 << 20), (5, 777_777)] {
                assert!(pack(&data, kind, threads, cut).out == first.out, "{kind:?} {threads} {cut}");
            }
            let mut back = Vec::new();
            decompress(&first.out[..], u64::MAX).unwrap().read_to_end(&mut back).unwrap();
            assert!(back == data);
        }
    }

    #[test]
    fn nothing_and_little_are_streams_too() {
        for kind in [Compression::None, Compression::Gzip, Compression::Zstd] {
            for data in [&b""[..], b"x"] {
                let packed = pack(data, kind, 2, 1);
                let mut back = Vec::new();
                decompress(&packed.out[..], 10).unwrap().read_to_end(&mut back).unwrap();
                assert_eq!(back, data);
            }
        }
    }

    #[test]
    fn a_level_that_is_not_is_an_error() {
        for kind in [Compression::Gzip, Compression::Zstd] {
            assert!(Compressor::new(Vec::new(), kind, Some(23), 1).is_err());
        }
    }
}
