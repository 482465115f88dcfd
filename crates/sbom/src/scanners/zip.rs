//! Zip archives, as far as one must read them to take single files out (APPNOTE.TXT of PKWARE).
//!
//! ```text
//! files         each after a header of its own, which the directory names
//! directory     an entry for each: method, sizes, name, where its header is
//! end           "PK\5\6", number of entries, size and place of the directory, a remark
//! ```
//! What stands before the archive (programs that unpack themselves) moves all places. Larger forms (zip64), encrypted
//! files and methods but `stored` and `deflated` are not read.

use crate::limits;
use crate::tree::{Content, read_range};
use std::io::{self, Read as _};

const END: &[u8] = b"PK\x05\x06";
const END_SIZE: u64 = 22;
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_SIZE: usize = 46;
const FILE: &[u8] = b"PK\x03\x04";
const FILE_SIZE: u64 = 30;
/// The longest remark at the end.
const REMARK: u64 = 0xFFFF;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ENCRYPTED: u16 = 1;

/// An open archive.
pub(super) struct Zip<'a> {
    content: &'a dyn Content,
    /// Where it begins.
    start: u64,
    entries: Vec<Entry>,
}

/// A file in it.
pub(super) struct Entry {
    pub(super) name: String,
    method: u16,
    packed: u64,
    /// How many bytes it has, as the directory says.
    pub(super) size: u64,
    header: u64,
}

impl<'a> Zip<'a> {
    /// Reads the directory. Nothing where there is none that can be read.
    pub(super) fn open(content: &'a dyn Content) -> io::Result<Option<Self>> {
        let tail = content.size().saturating_sub(END_SIZE + REMARK);
        let bytes = read_range(content, tail, END_SIZE + REMARK)?;
        let found = bytes.windows(END.len()).rposition(|window| window == END);
        let Some((at, end)) = found.and_then(|at| Some((tail + at as u64, bytes.get(at..)?))) else {
            return Ok(None);
        };
        let (Some(count), Some(size), Some(offset)) = (short(end, 10), long(end, 12), long(end, 16)) else {
            return Ok(None);
        };
        let place = at.checked_sub(size);
        let Some((place, start)) = place.and_then(|place| Some((place, place.checked_sub(offset)?))) else {
            return Ok(None);
        };
        if size > limits::ARCHIVE_DIRECTORY {
            return Ok(None);
        }
        let directory = read_range(content, place, size)?;
        let mut entries = Vec::new();
        let mut rest = &directory[..];
        for _ in 0..count {
            let Some((entry, length)) = Entry::parse(rest) else { return Ok(None) };
            entries.push(entry);
            rest = &rest[length..];
        }
        Ok(Some(Self { content, start, entries }))
    }

    /// Its files.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The bytes of a file, if it can be read and has `limit` bytes at most.
    pub(super) fn read(&self, entry: &Entry, limit: u64) -> io::Result<Option<Vec<u8>>> {
        if entry.packed > limit {
            return Ok(None);
        }
        let at = self.start.saturating_add(entry.header);
        let header = read_range(self.content, at, FILE_SIZE)?;
        let (Some(name), Some(extra)) = (short(&header, 26), short(&header, 28)) else { return Ok(None) };
        if !header.starts_with(FILE) {
            return Ok(None);
        }
        let data = at + FILE_SIZE + u64::from(name) + u64::from(extra);
        let packed = read_range(self.content, data, entry.packed)?;
        match entry.method {
            STORED => Ok(Some(packed)),
            DEFLATED => {
                let mut bytes = Vec::new();
                let unpacking = flate2::read::DeflateDecoder::new(&*packed).take(limit + 1);
                let whole = { unpacking }.read_to_end(&mut bytes).is_ok() && bytes.len() as u64 <= limit;
                Ok(whole.then_some(bytes))
            }
            _ => Ok(None),
        }
    }
}

impl Entry {
    /// The first entry of a directory, and its length.
    fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        if !bytes.starts_with(ENTRY) {
            return None;
        }
        let [name, extra, remark] = [28, 30, 32].map(|at| short(bytes, at).map(usize::from));
        let name_end = ENTRY_SIZE + name?;
        let length = name_end + extra? + remark?;
        let is_encrypted = short(bytes, 8)? & ENCRYPTED != 0;
        let entry = Self {
            name: String::from_utf8_lossy(bytes.get(ENTRY_SIZE..name_end)?).into_owned(),
            // No file is read by a method that there is not.
            method: if is_encrypted { u16::MAX } else { short(bytes, 10)? },
            packed: long(bytes, 20)?,
            size: long(bytes, 24)?,
            header: long(bytes, 42)?,
        };
        bytes.get(..length).map(|_| (entry, length))
    }
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)))
}
