//! Reads a tar as a stream, one member after the other, in one pass and from one buffer.
//!
//! Understood are v7, ustar, pax and GNU archives, with long names, extended attributes (`SCHILY.xattr.`), times
//! below the second and all kinds of sparse files. What only groups members (global pax headers, volume labels) is
//! skipped, as container tools do. A member of at most [`BUFFER`] bytes comes as one slice of the buffer.

use super::sparse::{MOST_SEGMENTS, Sparse};
use super::{BLOCK, header, padding, pax};
use crate::{Error, Result, Time, Xattr};
use std::io::Read;
use std::path::PathBuf;

/// The size of the read buffer.
const BUFFER: usize = 1 << 18;
/// The largest extended header or long name, in bytes; Go's reader takes as much.
const LONGEST_EXTENSION: u64 = 1 << 20;
/// No file is larger on Linux.
const MOST: u64 = i64::MAX as u64;

/// A tar being read.
pub struct TarReader<R> {
    input: Input<R>,
    /// Bytes of the current member that are still in the stream.
    left: u64,
    padding: u64,
    /// Where in the file the next byte belongs.
    at: u64,
    /// What is left of a sparse map, last segment first.
    sparse: Option<Vec<(u64, u64)>>,
    ended: bool,
}

/// One member of an archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The name as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: MemberKind,
    /// The size of a file, its holes included; 0 for all else.
    pub size: u64,
    /// The permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The time of the last change.
    pub mtime: Time,
    /// Where a link points.
    pub link: Vec<u8>,
    /// Extended attributes, in the order of the archive.
    pub xattrs: Vec<Xattr>,
}

/// What a member is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberKind {
    /// A regular file.
    #[default]
    File,
    /// Another name of an earlier member.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// Some bytes of a file and where they belong.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The offset in the file; between two chunks there may be a hole.
    pub offset: u64,
    /// The bytes, at least one.
    pub bytes: &'a [u8],
}

/// What extension headers said about the next member.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<Time>,
    xattrs: Vec<Xattr>,
    sparse_name: Option<Vec<u8>>,
    sparse_size: Option<u64>,
    sparse_version: (u64, u64),
    sparse_map: Option<Vec<(u64, u64)>>,
    sparse_offset: Option<u64>,
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::Archive { reason: reason.into() }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

impl<R: Read> TarReader<R> {
    /// Reads the archive that `source` gives, which is not compressed. No buffer is needed around it.
    pub fn new(source: R) -> Self {
        let input = Input { source, buffer: vec![0; BUFFER], start: 0, end: 0, taken: 0 };
        Self { input, left: 0, padding: 0, at: 0, sparse: None, ended: false }
    }

    /// How many bytes of the archive were taken so far.
    pub fn position(&self) -> u64 {
        self.input.taken
    }

    /// The next member; what is left of the one before is skipped. None at the end of the archive.
    ///
    /// # Errors
    /// [`Error::Archive`] for what is no tar, is cut, or goes past a limit; [`Error::Io`] where reading fails.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Member>> {
        if self.ended {
            return Ok(None);
        }
        self.skip(self.left)?;
        self.skip(self.padding)?;
        (self.left, self.padding, self.sparse, self.at) = (0, 0, None, 0);
        let mut extension = Extension::default();
        let mut extended = false;
        loop {
            let block = self.block()?;
            let zeros = block.is_some_and(|block| block.iter().all(|b| *b == 0));
            if extended && (block.is_none() || zeros) {
                return Err(wrong("it ends after an extended header"));
            }
            let Some(block) = block else {
                self.ended = true;
                return Ok(None);
            };
            if zeros {
                if self.block()?.is_some_and(|block| block.iter().any(|b| *b != 0)) {
                    return Err(wrong("a block of zeros is followed by something else"));
                }
                self.ended = true;
                return Ok(None);
            }
            if !header::checksum_holds(&block) {
                return Err(wrong("a header's checksum is wrong"));
            }
            let size = header::number(&block[header::SIZE])
                .and_then(|size| u64::try_from(size).ok())
                .ok_or_else(|| wrong("a header's size is no number"))?;
            match block[header::TYPE] {
                b'x' | b'X' => {
                    let data = self.extension(size)?;
                    extension.take_pax(&data)?;
                    extended = true;
                }
                b'L' => {
                    let data = self.extension(size)?;
                    extension.path = Some(header::text(&data).to_vec());
                    extended = true;
                }
                b'K' => {
                    let data = self.extension(size)?;
                    extension.link = Some(header::text(&data).to_vec());
                    extended = true;
                }
                b'g' | b'V' => {
                    self.skip(size)?;
                    self.skip(padding(size))?;
                }
                _ => return self.member(&block, size, extension).map(Some),
            }
        }
    }

    /// The next bytes of the current member; None at its end. A file of at most 256 KiB without holes is one chunk.
    ///
    /// # Errors
    /// [`Error::Archive`] where the archive is cut, [`Error::Io`] where reading fails.
    pub fn chunk(&mut self) -> Result<Option<Chunk<'_>>> {
        if self.left == 0 {
            return Ok(None);
        }
        let mut most = self.left;
        if let Some(segments) = &mut self.sparse {
            while segments.last().is_some_and(|segment| segment.1 == 0) {
                segments.pop();
            }
            let segment = segments.last_mut().expect("because the map's lengths add up to what is held");
            self.at = segment.0;
            most = segment.1;
        }
        let have = self.input.some(most)?;
        if have == 0 {
            return Err(wrong("it is cut within a file"));
        }
        let offset = self.at;
        self.at += have as u64;
        self.left -= have as u64;
        if let Some(segment) = self.sparse.as_mut().and_then(|segments| segments.last_mut()) {
            segment.0 += have as u64;
            segment.1 -= have as u64;
        }
        Ok(Some(Chunk { offset, bytes: self.input.take(have) }))
    }

    /// Reads what follows the archive's end, so that a digest of the stream sees all of it. At most `most` bytes.
    ///
    /// # Errors
    /// [`Error::Archive`] for more than that, [`Error::Io`] where reading fails.
    pub fn drain(&mut self, mut most: u64) -> Result<()> {
        loop {
            let have = self.input.some(u64::MAX)?;
            if have == 0 {
                return Ok(());
            }
            most = most
                .checked_sub(have as u64)
                .ok_or_else(|| wrong("more bytes follow its end than it may have"))?;
            self.input.take(have);
        }
    }

    fn block(&mut self) -> Result<Option<[u8; BLOCK]>> {
        if !self.input.fill(BLOCK)? {
            return if self.input.start == self.input.end {
                Ok(None)
            } else {
                Err(wrong("it is cut within a header"))
            };
        }
        let block = self.input.take(BLOCK).try_into().expect("because a block was filled");
        Ok(Some(block))
    }

    fn skip(&mut self, mut count: u64) -> Result<()> {
        while count > 0 {
            let have = self.input.some(count)?;
            if have == 0 {
                return Err(wrong("it is cut within a file"));
            }
            self.input.take(have);
            count -= have as u64;
        }
        Ok(())
    }

    /// The content of an extension header.
    fn extension(&mut self, size: u64) -> Result<Vec<u8>> {
        if size > LONGEST_EXTENSION {
            return Err(wrong("an extended header is larger than 1 MiB"));
        }
        let mut data = Vec::with_capacity(size as usize);
        while (data.len() as u64) < size {
            let have = self.input.some(size - data.len() as u64)?;
            if have == 0 {
                return Err(wrong("it is cut within an extended header"));
            }
            data.extend_from_slice(self.input.take(have));
        }
        self.skip(padding(size))?;
        Ok(data)
    }

    fn member(&mut self, block: &[u8; BLOCK], size: u64, extension: Extension) -> Result<Member> {
        let magic = &block[header::MAGIC];
        let posix = magic == header::USTAR;
        let mut path = extension.sparse_name.or(extension.path).unwrap_or_else(|| {
            let name = header::text(&block[header::NAME]);
            let prefix = if posix { header::text(&block[header::PREFIX]) } else { b"" };
            if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() }
        });
        let number = |range| header::number(&block[range]);
        let broken = |what: &str| wrong(format!("the {what} of `{}` is wrong", shown(&path)));
        let id = |extended: Option<u64>, range, what| {
            let value = extended.or_else(|| number(range).and_then(|n| u64::try_from(n).ok()));
            value.and_then(|n| u32::try_from(n).ok()).ok_or_else(|| broken(what))
        };
        let device = |range| number(range).and_then(|n| u32::try_from(n).ok());
        let devices = || {
            let (major, minor) = device(header::MAJOR).zip(device(header::MINOR))?;
            (major < 1 << 12 && minor < 1 << 20).then_some((major, minor))
        };
        let kind = match block[header::TYPE] {
            // A v7 archive knows directories by their slash alone.
            b'0' | 0 if path.ends_with(b"/") => MemberKind::Directory,
            b'0' | 0 | b'7' | b'S' => MemberKind::File,
            b'1' => MemberKind::HardLink,
            b'2' => MemberKind::Symlink,
            b'3' => {
                let (major, minor) = devices().ok_or_else(|| broken("device number"))?;
                MemberKind::CharDevice { major, minor }
            }
            b'4' => {
                let (major, minor) = devices().ok_or_else(|| broken("device number"))?;
                MemberKind::BlockDevice { major, minor }
            }
            b'5' => MemberKind::Directory,
            b'6' => MemberKind::Fifo,
            other => {
                let other = char::from(other).escape_default();
                return Err(wrong(format!("`{}` is of the unknown type `{other}`", shown(&path))));
            }
        };
        let mode = number(header::MODE).ok_or_else(|| broken("mode"))? as u32 & 0o7777;
        let uid = id(extension.uid, header::UID, "owner")?;
        let gid = id(extension.gid, header::GID, "group")?;
        let mtime = match extension.mtime {
            Some(time) => time,
            None => Time { seconds: number(header::MTIME).ok_or_else(|| broken("time"))?, nanoseconds: 0 },
        };
        let link = extension.link.unwrap_or_else(|| header::text(&block[header::LINK]).to_vec());
        let mut held = extension.size.unwrap_or(size);
        let mut real = held;
        let mut sparse = None;
        if kind == MemberKind::File {
            if block[header::TYPE] == b'S' {
                let (segments, size) = self.old_gnu(block, &path)?;
                real = size;
                sparse = Some(Sparse::new(segments, real, held, &path)?);
            } else if extension.sparse_version.0 == 1 {
                real = extension.sparse_size.ok_or_else(|| broken("sparse map"))?;
                let (segments, used) = self.map_in_content(held, &path)?;
                self.padding = padding(held);
                held -= used;
                sparse = Some(Sparse::new(segments, real, held, &path)?);
            } else if let Some(segments) = extension.sparse_map {
                real = extension.sparse_size.ok_or_else(|| broken("sparse map"))?;
                sparse = Some(Sparse::new(segments, real, held, &path)?);
            }
            self.left = held;
            if extension.sparse_version.0 != 1 {
                self.padding = padding(held);
            }
        } else {
            // Only files have content; what a size says of others is ignored, as Go's reader does.
            real = 0;
        }
        self.sparse = sparse.map(|sparse| {
            let mut segments = sparse.segments;
            segments.reverse();
            segments
        });
        if kind == MemberKind::Directory {
            while path.len() > 1 && path.ends_with(b"/") {
                path.pop();
            }
        }
        Ok(Member { path, kind, size: real, mode, uid, gid, mtime, link, xattrs: extension.xattrs })
    }

    fn old_gnu(&mut self, block: &[u8; BLOCK], name: &[u8]) -> Result<(Vec<(u64, u64)>, u64)> {
        let broken = || wrong(format!("the sparse map of `{}` is wrong", shown(name)));
        let unsigned =
            |field: &[u8]| header::number(field).and_then(|n| u64::try_from(n).ok()).ok_or_else(broken);
        let size = unsigned(&block[483..495])?;
        let mut segments = Vec::new();
        let mut take = |table: &[u8]| -> Result<()> {
            for pair in table.chunks_exact(24) {
                if pair[0] == 0 || segments.len() >= MOST_SEGMENTS {
                    return if pair[0] == 0 { Ok(()) } else { Err(broken()) };
                }
                segments.push((unsigned(&pair[..12])?, unsigned(&pair[12..])?));
            }
            Ok(())
        };
        take(&block[386..482])?;
        let mut more = block[482] != 0;
        while more {
            let next = self.block()?.ok_or_else(broken)?;
            take(&next[..504])?;
            more = next[504] != 0;
        }
        Ok((segments, size))
    }

    /// Reads the map of GNU pax 1.0; gives it and how many bytes it took.
    fn map_in_content(&mut self, held: u64, name: &[u8]) -> Result<(Vec<(u64, u64)>, u64)> {
        let broken = || wrong(format!("the sparse map of `{}` is wrong", shown(name)));
        let mut numbers = Vec::new();
        let mut used = 0;
        let mut number: Option<u64> = None;
        loop {
            if used + BLOCK as u64 > held.next_multiple_of(BLOCK as u64) {
                return Err(broken());
            }
            let block = self.block()?.ok_or_else(broken)?;
            used += BLOCK as u64;
            for byte in block {
                match byte {
                    b'0'..=b'9' => {
                        let value = number.unwrap_or(0).checked_mul(10);
                        number = Some(
                            value.and_then(|n| n.checked_add(u64::from(byte - b'0'))).ok_or_else(broken)?,
                        );
                    }
                    b'\n' => numbers.push(number.take().ok_or_else(broken)?),
                    _ => return Err(broken()),
                }
                let Some(count) = numbers.first() else { continue };
                if *count > MOST_SEGMENTS as u64 {
                    return Err(broken());
                }
                if numbers.len() as u64 == 1 + 2 * count {
                    if used > held {
                        return Err(broken());
                    }
                    let segments = numbers[1..].chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
                    return Ok((segments, used));
                }
            }
        }
    }
}

impl Extension {
    fn take_pax(&mut self, data: &[u8]) -> Result<()> {
        pax::records(data, |key, value| {
            let broken = || wrong(format!("the extended header `{}` has a wrong value", shown(key)));
            let number = || pax::decimal(value).ok_or_else(broken);
            match key {
                // An empty value takes the record back.
                b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
                b"linkpath" => self.link = (!value.is_empty()).then(|| value.to_vec()),
                b"size" => {
                    self.size = Some(number().and_then(|n| if n > MOST { Err(broken()) } else { Ok(n) })?)
                }
                b"uid" => self.uid = Some(number()?),
                b"gid" => self.gid = Some(number()?),
                b"mtime" => self.mtime = Some(pax::time(value).ok_or_else(broken)?),
                b"GNU.sparse.name" => self.sparse_name = Some(value.to_vec()),
                b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse_size = Some(number()?),
                b"GNU.sparse.major" => self.sparse_version.0 = number()?,
                b"GNU.sparse.minor" => self.sparse_version.1 = number()?,
                b"GNU.sparse.offset" => self.sparse_offset = Some(number()?),
                b"GNU.sparse.numbytes" => {
                    let offset = self.sparse_offset.take().ok_or_else(broken)?;
                    self.sparse_map.get_or_insert_default().push((offset, number()?));
                }
                b"GNU.sparse.map" => {
                    let mut numbers = Vec::new();
                    for text in value.split(|b| *b == b',').filter(|text| !text.is_empty()) {
                        numbers.push(pax::decimal(text).ok_or_else(broken)?);
                    }
                    let (pairs, rest) = numbers.as_chunks::<2>();
                    if !rest.is_empty() {
                        return Err(broken());
                    }
                    self.sparse_map = Some(pairs.iter().map(|pair| (pair[0], pair[1])).collect());
                }
                _ => {
                    if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                        self.xattrs.retain(|xattr| &*xattr.0 != name);
                        self.xattrs.push((name.into(), value.into()));
                    }
                }
            }
            Ok(())
        })
    }
}

/// The stream and its buffer.
struct Input<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    taken: u64,
}

impl<R: Read> Input<R> {
    /// Has at least `need` bytes in the buffer; false where the stream ends before.
    fn fill(&mut self, need: usize) -> Result<bool> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + need > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        while self.end - self.start < need {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Ok(false),
                Ok(count) => self.end += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    let path = PathBuf::from("layer archive");
                    return Err(Error::Io { action: "read the", path, source });
                }
            }
        }
        Ok(true)
    }

    /// How many bytes can be taken at once, at most `most`: all of them if they fit the buffer; 0 at the end.
    fn some(&mut self, most: u64) -> Result<usize> {
        let have = (self.end - self.start) as u64;
        if have < most {
            if most <= self.buffer.len() as u64 {
                // Zero is an error of the caller's: the bytes were promised.
                return Ok(if self.fill(most as usize)? { most as usize } else { 0 });
            }
            if have == 0 {
                self.fill(1)?;
            }
        }
        Ok((self.end - self.start).min(usize::try_from(most).unwrap_or(usize::MAX)))
    }

    fn take(&mut self, count: usize) -> &[u8] {
        let taken = &self.buffer[self.start..self.start + count];
        self.start += count;
        self.taken += count as u64;
        taken
    }
}
