//! Decompresses a stream, whatever it is packed with.

use super::Compression;
use crate::{Error, Result};
use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;
use std::io::{BufReader, Read, Write};
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
    Xz(Box<XzReader<BufReader<R>>>),
    Bzip2(Box<MultiBzDecoder<BufReader<R>>>),
}

const BUFFER: usize = 1 << 16;
/// The most memory that an xz stream may ask for, in KiB: 256 MiB. The strongest preset of `xz` asks for 65 MiB.
const XZ_MEMORY: u32 = 256 << 10;

/// Decompresses `source`, which is told apart by its first bytes. At most `most` bytes come out: a small stream can
/// stand for very much.
///
/// # Errors
/// [`Error::Io`] where the first bytes cannot be read.
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
        Compression::Xz => {
            let source = BufReader::with_capacity(BUFFER, source);
            Inner::Xz(Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY)))
        }
        Compression::Bzip2 => {
            Inner::Bzip2(Box::new(MultiBzDecoder::new(BufReader::with_capacity(BUFFER, source))))
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
            Inner::Xz(source) => source.read(buffer),
            Inner::Bzip2(source) => source.read(buffer),
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

    /// Sees to it that the chunk has bytes left; false at the end.
    fn fill(&mut self) -> std::io::Result<bool> {
        if self.at < self.chunk.len() {
            return Ok(true);
        }
        if let Some(Ok(chunk)) = self.chunks.as_ref().map(Receiver::recv) {
            (self.chunk, self.at) = (chunk?, 0);
            return Ok(true);
        }
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| std::io::Error::other("the reading thread panicked"))?;
        }
        Ok(false)
    }

    /// Writes the rest of the stream to `out`, in pieces as large as they are read.
    ///
    /// # Errors
    /// What the stream or `out` says.
    pub fn write_to(mut self, out: &mut dyn Write) -> std::io::Result<()> {
        while self.fill()? {
            out.write_all(&self.chunk[self.at..])?;
            self.at = self.chunk.len();
        }
        Ok(())
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if !self.fill()? {
            return Ok(0);
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
    use std::process::{Command, Stdio};

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
    }

    /// What a program makes of `bytes`.
    fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program)
            .args(["--stdout", "-9"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
        let mut stdin = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let feeding = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
        let out = child.wait_with_output().unwrap();
        feeding.join().unwrap();
        assert!(out.status.success());
        out.stdout
    }

    #[test]
    fn what_other_programs_pack_is_unpacked() {
        let bytes: Vec<u8> = (0..400_000u32).flat_map(|n| (n.wrapping_mul(n) / 7).to_le_bytes()).collect();
        for (program, kind) in
            [("gzip", Compression::Gzip), ("xz", Compression::Xz), ("bzip2", Compression::Bzip2)]
        {
            let (first, second) = bytes.split_at(777_777);
            let streams = [packed(program, first), packed(program, second)].concat();
            let mut stream = decompress(&streams[..], u64::MAX).unwrap();
            assert_eq!(stream.kind(), kind);
            let mut back = Vec::new();
            stream.read_to_end(&mut back).unwrap();
            assert!(back == bytes, "{program}");
            for damaged in
                [&streams[..streams.len() - 9], &[&streams[..5000], &[0xff; 64], &streams[5064..]].concat()]
            {
                let ended = decompress(damaged, u64::MAX).unwrap().read_to_end(&mut Vec::new());
                assert!(ended.is_err(), "{program}");
            }
            decompress(&streams[..], 1000).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        }
    }

    #[test]
    fn an_xz_stream_cannot_ask_for_all_memory() {
        // One block whose dictionary is 4 GiB - 1.
        let mut head = b"\xfd7zXZ\0\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x28\0\0\0".to_vec();
        head.extend(crc32(&head[12..]).to_le_bytes());
        head.extend([0; 64]);
        let error = decompress(&head[..], u64::MAX).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
        assert!(error.to_string().to_lowercase().contains("memory"), "{error}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
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
        let mut rest = ReadAhead::new(std::io::Cursor::new(data.clone()));
        rest.read_exact(&mut [0; 7]).unwrap();
        back.clear();
        rest.write_to(&mut back).unwrap();
        assert!(back == data[7..]);
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
