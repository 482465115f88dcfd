//! Decompresses a stream, whatever it is packed with.

use super::Compression;
use crate::{Error, Result};
use flate2::bufread::MultiGzDecoder;
use std::io::{BufReader, Read};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

/// Tells by its first bytes what a stream is packed with; six are enough. What is none of those known is taken as not
/// compressed.
#[must_use]
pub fn sniff(start: &[u8]) -> Compression {
    let skippable = start.len() >= 4 && start[0] & 0xf0 == 0x50 && start[1..4] == [0x2a, 0x4d, 0x18];
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        _ if skippable => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        _ => Compression::None,
    }
}

/// A stream being decompressed; reading more than was allowed is an error.
pub struct Decompressor<R: Read> {
    kind: Compression,
    inner: Inner<Started<R>>,
    left: u64,
}

type Started<R> = std::io::Chain<std::io::Cursor<Vec<u8>>, R>;

enum Inner<R: Read> {
    None(R),
    Gzip(Box<MultiGzDecoder<BufReader<R>>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, BufReader<R>>>),
}

const BUFFER: usize = 1 << 16;

/// Decompresses `source`, which is told apart by its first bytes. At most `most` bytes come out: a small stream can
/// stand for very much.
///
/// # Errors
/// [`Error::Io`] where the first bytes cannot be read, [`Error::Compression`] for xz and bzip2.
pub fn decompress<R: Read>(mut source: R, most: u64) -> Result<Decompressor<R>> {
    let failed = |error| Error::io("read the", b"compressed stream", error);
    let mut start = vec![0; 6];
    let mut have = 0;
    while have < start.len() {
        match source.read(&mut start[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    start.truncate(have);
    let kind = sniff(&start);
    let source = std::io::Cursor::new(start).chain(source);
    let inner = match kind {
        Compression::None => Inner::None(source),
        Compression::Gzip => {
            Inner::Gzip(Box::new(MultiGzDecoder::new(BufReader::with_capacity(BUFFER, source))))
        }
        Compression::Zstd => {
            let source = BufReader::with_capacity(BUFFER, source);
            Inner::Zstd(Box::new(zstd::stream::read::Decoder::with_buffer(source).map_err(failed)?))
        }
        Compression::Xz | Compression::Bzip2 => {
            let reason = format!("{} is not supported; repack it with gzip or zstd", kind.name());
            return Err(Error::Compression { reason });
        }
    };
    Ok(Decompressor { kind, inner, left: most })
}

impl<R: Read> Decompressor<R> {
    /// What the stream is packed with.
    #[must_use]
    pub fn kind(&self) -> Compression {
        self.kind
    }
}

impl<R: Read> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = match &mut self.inner {
            Inner::None(source) => source.read(buffer),
            Inner::Gzip(source) => source.read(buffer),
            Inner::Zstd(source) => source.read(buffer),
        }?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| std::io::Error::other("the stream decompresses to more bytes than it may"))?;
        Ok(count)
    }
}

/// Reads a stream on a thread of its own, some chunks ahead, so that decompression and what follows overlap. The
/// thread ends with the stream, or at the next chunk after this is dropped.
pub struct ReadAhead {
    chunks: Option<Receiver<std::io::Result<Vec<u8>>>>,
    chunk: Vec<u8>,
    at: usize,
    thread: Option<JoinHandle<()>>,
}

impl ReadAhead {
    /// Reads `source` up to 2 MiB ahead.
    pub fn new(mut source: impl Read + Send + 'static) -> Self {
        let (send, chunks) = sync_channel(8);
        let thread = std::thread::spawn(move || {
            loop {
                let mut chunk = Vec::with_capacity(1 << 18);
                let read = (&mut source).take(1 << 18).read_to_end(&mut chunk);
                let last = read.is_err() || chunk.is_empty();
                if !chunk.is_empty() && send.send(Ok(chunk)).is_err() {
                    return;
                }
                if let Err(error) = read {
                    // Where nobody reads any more the error interests nobody.
                    let _ = send.send(Err(error));
                }
                if last {
                    return;
                }
            }
        });
        Self { chunks: Some(chunks), chunk: Vec::new(), at: 0, thread: Some(thread) }
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.chunk.len() {
            match self.chunks.as_ref().map(Receiver::recv) {
                Some(Ok(chunk)) => (self.chunk, self.at) = (chunk?, 0),
                _ => {
                    if let Some(thread) = self.thread.take() {
                        thread.join().map_err(|_| std::io::Error::other("the reading thread panicked"))?;
                    }
                    return Ok(0);
                }
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.at);
        buffer[..count].copy_from_slice(&self.chunk[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.chunks = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_told_by_their_first_bytes() {
        for (start, kind) in [
            (&b"\x1f\x8b\x08\0\0\0"[..], Compression::Gzip),
            (b"\x28\xb5\x2f\xfd\0\0", Compression::Zstd),
            (b"\x50\x2a\x4d\x18\0\0", Compression::Zstd),
            (b"\xfd7zXZ\0", Compression::Xz),
            (b"BZh91A", Compression::Bzip2),
            (b"BZhello", Compression::None),
            (b"", Compression::None),
            (b"\x1f", Compression::None),
        ] {
            assert_eq!(sniff(start), kind, "{start:?}");
        }
        assert!(decompress(&b"BZh91AY&SY"[..], 9).err().unwrap().to_string().contains("bzip2"));
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_damage_is_told() {
        let packed = zstd::encode_all(&vec![0; 1 << 20][..], 1).unwrap();
        let mut out = Vec::new();
        decompress(&packed[..], 1000).unwrap().read_to_end(&mut out).unwrap_err();
        decompress(&packed[..packed.len() - 1], u64::MAX).unwrap().read_to_end(&mut out).unwrap_err();
    }

    #[test]
    fn reading_ahead_gives_the_same_bytes_and_errors() {
        let data: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
        let mut back = Vec::new();
        ReadAhead::new(std::io::Cursor::new(data.clone())).read_to_end(&mut back).unwrap();
        assert!(back == data);
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("no"))
            }
        }
        let error = ReadAhead::new(std::io::Cursor::new(data).chain(Fails)).read_to_end(&mut back);
        assert_eq!(error.unwrap_err().to_string(), "no");
    }
}
