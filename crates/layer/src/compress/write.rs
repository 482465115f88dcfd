//! Compresses a stream. Whoever takes what comes out hashes it: the store does so for every blob, and twice would be
//! a tenth of the time of zstd.

use super::Compression;
use super::gzip::Members;
use crate::{Error, Result};
use libdeflater::CompressionLvl;
use std::io::Write;

/// Compresses what is written to it. The bytes depend on the input, the kind and the level alone: not on the number
/// of threads nor on how the input is cut into writes.
pub struct Compressor<W: Write> {
    inner: Inner<W>,
}

enum Inner<W: Write> {
    None(Out<W>),
    Gzip(Members<Out<W>>),
    Zstd(zstd::stream::write::Encoder<'static, Out<W>>),
}

/// Where it goes; none only after the end.
struct Out<W>(Option<W>);

impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.as_mut().map_or(Ok(0), |out| out.write(bytes))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
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
        let out = Out(Some(out));
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

    /// Ends the stream and gives back where it went.
    ///
    /// # Errors
    /// [`Error::Io`] where the rest cannot be written.
    pub fn finish(self) -> Result<W> {
        let mut out = match self.inner {
            Inner::None(out) => out,
            Inner::Gzip(mut members) => {
                members.finish().map_err(failed)?;
                Out(members.out.0.take())
            }
            Inner::Zstd(encoder) => encoder.finish().map_err(failed)?,
        };
        out.flush().map_err(failed)?;
        Ok(out.0.expect("because only this function takes it"))
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

    fn pack(data: &[u8], kind: Compression, threads: usize, cut: usize) -> Vec<u8> {
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
            assert!(first.len() < data.len() / 2);
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
    fn a_level_that_is_not_is_an_error() {
        for kind in [Compression::Gzip, Compression::Zstd] {
            assert!(Compressor::new(Vec::new(), kind, Some(23), 1).is_err());
        }
    }
}
