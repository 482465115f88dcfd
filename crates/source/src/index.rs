//! The stat index: digests of files that have not changed since they were hashed.
//!
//! A file is known again by device, inode, size, and the times of its last change of content (mtime) and of anything
//! at all (ctime), which nobody can set. Two writes within one tick of the file system's clock leave the same times.
//! So, as git does for racily clean entries, a file is only recorded if its times were already past when hashing
//! began, by more than that tick: then any later write gives it another ctime. The tick is taken as 20 ms where times
//! have nanoseconds, 2 s where they have not, and an hour on network file systems, whose server has its own clock.
//!
//! The index also says where the store keeps a file's bytes, if it does: a layer and an offset in its pack. So a build
//! in which one file changed reads that file alone. Whoever reads an index asks which of its layers are still there.
//!
//! It is read from front to back beside a walk and written the same way, so that of millions of files one record at a
//! time is in memory.
//!
//! ```text
//! "JSTI" version(1 byte), then a record after the other, sorted as listings are:
//!   shared  length bytes      the path: how many bytes it shares with the one before, and the rest
//!   dev ino size  mtime: seconds(zigzag) nanoseconds  ctime: seconds(zigzag) nanoseconds
//!   32 bytes digest  length bytes      the value of security.capability, empty for none
//!   layer [offset]            where its bytes are: 0 for nowhere, else the number of the layer, from 1, and the offset
//! then of each layer 16 bytes id, 8 bytes how many bytes of files it keeps
//! then 8 bytes how many records, 4 bytes how many layers
//! ```
//! Numbers of records are LEB128 of at most ten bytes, those at the end have their little end first. 50,000 records
//! take 3.6 MB.

use crate::{Error, Result};
use layer::{LayerId, Time, compare_paths};
use oci::Digest;
use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const MAGIC: &[u8] = b"JSTI\x03";
/// The counts at the very end.
const COUNTS: u64 = 12;
/// What the end says of a layer.
const LAYER: u64 = 24;
/// About so many bytes are read or written at once.
const PART: usize = 256 << 10;
/// No record takes more: a path, an attribute, a digest and ten numbers.
const LONGEST: usize = LONGEST_TEXT * 2 + 32 + 10 * 10;
/// Longer than the kernel takes a path.
const LONGEST_TEXT: usize = 8 << 10;

/// What a file is known again by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileStat {
    /// The device that it is on.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its content changed last.
    pub mtime: Time,
    /// When anything of it changed last.
    pub ctime: Time,
}

impl From<&rustix::fs::Stat> for FileStat {
    #[allow(clippy::unnecessary_cast, reason = "the fields' types differ between architectures")]
    fn from(stat: &rustix::fs::Stat) -> Self {
        Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

fn time(seconds: i64, nanoseconds: u64) -> Time {
    Time { seconds, nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) }
}

impl FileStat {
    /// Whether a file of these times, hashed from `hashed` on, is known by them for good. `network` says that the
    /// times come from another machine's clock.
    pub(crate) fn is_settled(&self, hashed: Time, network: bool) -> bool {
        let coarse = self.mtime.nanoseconds == 0 && self.ctime.nanoseconds == 0;
        let tick = match (network, coarse) {
            (true, _) => Duration::from_secs(3600),
            (false, true) => Duration::from_secs(2),
            (false, false) => Duration::from_millis(20),
        };
        later(self.mtime.max(self.ctime), tick) < hashed
    }
}

fn later(time: Time, by: Duration) -> Time {
    let nanoseconds = time.nanoseconds + by.subsec_nanos();
    let carry = i64::from(nanoseconds >= 1_000_000_000);
    let seconds = i64::try_from(by.as_secs()).unwrap_or(i64::MAX);
    Time {
        seconds: time.seconds.saturating_add(seconds).saturating_add(carry),
        nanoseconds: nanoseconds % 1_000_000_000,
    }
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) stat: FileStat,
    pub(crate) digest: Digest,
    /// The value of `security.capability`; empty for none.
    pub(crate) capability: Box<[u8]>,
    /// Where the store keeps its bytes, if it does.
    pub(crate) kept: Option<Kept>,
}

/// Where the store keeps the bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    /// The number of the layer among [`StatIndex::layers`].
    pub(crate) layer: u32,
    /// Where in its pack they begin.
    pub(crate) offset: u64,
}

/// Files known by their stat, in a file. The caller keeps it by context, as it likes; losing it costs hashing only.
#[derive(Debug, Default)]
pub struct StatIndex {
    file: Option<File>,
    /// Where the records end.
    end: u64,
    count: u64,
    /// The layers that keep bytes of files, and how many.
    layers: Vec<(LayerId, u64)>,
    /// What the layers that records name are among those that stay.
    numbers: Vec<Option<u32>>,
}

impl StatIndex {
    /// Opens the stored form. Only its beginning and end are looked at: damage in the middle shows when it is read.
    ///
    /// # Errors
    /// [`Error::Index`] for anything that was not written by [`Tree::write_index`](crate::Tree::write_index).
    pub fn open(file: File) -> Result<Self> {
        let damaged = |reason| Error::Index { reason };
        let unread = |_| damaged("it cannot be read");
        let length = file.metadata().map_err(unread)?.len();
        let mut magic = [0; MAGIC.len()];
        let mut counts = [0; COUNTS as usize];
        let counts_at = length.checked_sub(COUNTS).ok_or(damaged("it is cut"))?;
        file.read_exact_at(&mut magic, 0).map_err(unread)?;
        if magic != MAGIC {
            return Err(damaged("it has another format"));
        }
        file.read_exact_at(&mut counts, counts_at).map_err(unread)?;
        let (count, layers) = counts.split_at(8);
        let count = u64::from_le_bytes(count.try_into().expect("because it has eight bytes"));
        let layers = u32::from_le_bytes(layers.try_into().expect("because it has four bytes"));
        let end = counts_at.checked_sub(u64::from(layers) * LAYER).filter(|end| *end >= MAGIC.len() as u64);
        let end = end.ok_or(damaged("it says that it has more layers than there are"))?;
        let mut bytes = vec![0; (counts_at - end) as usize];
        file.read_exact_at(&mut bytes, end).map_err(unread)?;
        let layers: Vec<(LayerId, u64)> = bytes
            .chunks_exact(LAYER as usize)
            .map(|layer| {
                let (id, kept) = layer.split_at(16);
                let id = LayerId::from_bytes(id.try_into().expect("because it has 16 bytes"));
                (id, u64::from_le_bytes(kept.try_into().expect("because it has eight bytes")))
            })
            .collect();
        let numbers = (0..layers.len() as u32).map(Some).collect();
        Ok(Self { file: Some(file), end, count, layers, numbers })
    }

    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Whether no file is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The layers that keep bytes of files, and how many bytes each keeps.
    #[must_use]
    pub fn layers(&self) -> &[(LayerId, u64)] {
        &self.layers
    }

    /// Forgets what is kept in layers of which `is_there` does not answer true, and layers that keep nothing.
    pub fn retain_layers(&mut self, mut is_there: impl FnMut(&LayerId) -> bool) {
        let mut stay = Vec::with_capacity(self.layers.len());
        for number in &mut self.numbers {
            let layer = number.map(|at| self.layers[at as usize]);
            *number = layer.filter(|(id, bytes)| *bytes > 0 && is_there(id)).map(|layer| {
                stay.push(layer);
                stay.len() as u32 - 1
            });
        }
        self.layers = stay;
    }

    /// The records from the first on.
    pub(crate) fn records(&self) -> Records<'_> {
        let (left, offset) = (self.count, MAGIC.len() as u64);
        let mut records =
            Records { index: self, left, offset, part: Vec::new(), at: 0, path: Vec::new(), known: None };
        records.advance();
        records
    }
}

/// Records of an index, one after the other.
pub(crate) struct Records<'a> {
    index: &'a StatIndex,
    left: u64,
    /// Where in the file the next part is.
    offset: u64,
    part: Vec<u8>,
    /// Where in the part the next record is.
    at: usize,
    path: Vec<u8>,
    known: Option<Result<Known>>,
}

impl Records<'_> {
    /// The record that is next: its path, and what is known; nothing at the end.
    pub(crate) fn peek(&self) -> Option<(&[u8], &Known)> {
        match &self.known {
            Some(Ok(known)) => Some((&self.path, known)),
            _ => None,
        }
    }

    /// Whether what ended the records was damage.
    pub(crate) fn is_damaged(&self) -> bool {
        matches!(self.known, Some(Err(_)))
    }

    /// Goes on to the record after.
    pub(crate) fn advance(&mut self) {
        if self.is_damaged() {
            return;
        }
        self.known = match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(self.read())
            }
            None if self.at < self.part.len() || self.offset < self.index.end => {
                Some(Err(Error::Index { reason: "it goes on after its last record" }))
            }
            None => None,
        };
    }

    /// Sees to it that the part has a whole record.
    fn fill(&mut self) -> Result<()> {
        let left = self.index.end.saturating_sub(self.offset);
        if self.part.len() - self.at >= LONGEST || left == 0 {
            return Ok(());
        }
        let Some(file) = &self.index.file else { return Ok(()) };
        self.part.drain(..self.at);
        self.at = 0;
        let start = self.part.len();
        self.part.resize(start + left.min(PART as u64) as usize, 0);
        file.read_exact_at(&mut self.part[start..], self.offset)
            .map_err(|_| Error::Index { reason: "it cannot be read" })?;
        self.offset += (self.part.len() - start) as u64;
        Ok(())
    }

    fn read(&mut self) -> Result<Known> {
        self.fill()?;
        let mut input = Input { rest: &self.part[self.at..] };
        let shared = input.number()?;
        let tail = input.bytes()?;
        let rest = self
            .path
            .get(usize::try_from(shared).unwrap_or(usize::MAX)..)
            .ok_or(Error::Index { reason: "a path shares more than there is" })?;
        // What follows the part that both share decides.
        if compare_paths(rest, tail) != Ordering::Less {
            return Err(Error::Index { reason: "its paths are not in order" });
        }
        self.path.truncate(shared as usize);
        self.path.extend_from_slice(tail);
        let (dev, ino, size) = (input.number()?, input.number()?, input.number()?);
        let stat = FileStat { dev, ino, size, mtime: input.time()?, ctime: input.time()? };
        let digest = input.take(32)?.try_into().expect("because take gives as many bytes as asked for");
        let capability = input.bytes()?.into();
        let kept = match input.number()?.checked_sub(1) {
            None => None,
            Some(layer) => {
                let number = usize::try_from(layer).ok().and_then(|at| self.index.numbers.get(at));
                let number =
                    number.ok_or(Error::Index { reason: "a file is kept in a layer that is not named" })?;
                let offset = input.number()?;
                number.map(|layer| Kept { layer, offset })
            }
        };
        self.at = self.part.len() - input.rest.len();
        Ok(Known { stat, digest: Digest::from_bytes(digest), capability, kept })
    }
}

/// Writes an index.
pub(crate) struct Writer<W> {
    out: W,
    part: Vec<u8>,
    before: Vec<u8>,
    count: u64,
    layers: Vec<(LayerId, u64)>,
}

impl<W: Write> Writer<W> {
    /// Writes to `out`, which needs no buffer around it. Records name these layers by number.
    pub(crate) fn new(out: W, layers: &[LayerId]) -> Self {
        let mut part = Vec::with_capacity(PART + LONGEST);
        part.extend_from_slice(MAGIC);
        let layers = layers.iter().map(|id| (*id, 0)).collect();
        Self { out, part, before: Vec::new(), count: 0, layers }
    }

    /// Adds a record; `path` comes after those before.
    pub(crate) fn push(&mut self, path: &[u8], known: &Known) -> std::io::Result<()> {
        let out = &mut self.part;
        let shared = path.iter().zip(&self.before).take_while(|(a, b)| a == b).count();
        number(out, shared as u64);
        bytes(out, &path[shared..]);
        self.before.truncate(shared);
        self.before.extend_from_slice(&path[shared..]);
        let FileStat { dev, ino, size, mtime, ctime } = known.stat;
        for value in [dev, ino, size] {
            number(out, value);
        }
        for time in [mtime, ctime] {
            number(out, ((time.seconds << 1) ^ (time.seconds >> 63)) as u64);
            number(out, u64::from(time.nanoseconds));
        }
        out.extend_from_slice(known.digest.as_bytes());
        bytes(out, &known.capability);
        number(out, known.kept.map_or(0, |kept| u64::from(kept.layer) + 1));
        if let Some(kept) = known.kept {
            number(out, kept.offset);
            self.layers[kept.layer as usize].1 += size;
        }
        self.count += 1;
        if self.part.len() >= PART {
            self.out.write_all(&self.part)?;
            self.part.clear();
        }
        Ok(())
    }

    /// Writes the end.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        for (id, kept) in &self.layers {
            self.part.extend_from_slice(id.as_bytes());
            self.part.extend_from_slice(&kept.to_le_bytes());
        }
        self.part.extend_from_slice(&self.count.to_le_bytes());
        self.part.extend_from_slice(&(self.layers.len() as u32).to_le_bytes());
        self.out.write_all(&self.part)
    }
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Error::Index { reason: "it is cut" })?;
        self.rest = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Error::Index { reason: "it is cut" })?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Index { reason: "a number is too long" })
    }

    fn time(&mut self) -> Result<Time> {
        let seconds = self.number()?;
        let nanoseconds = u32::try_from(self.number()?).ok().filter(|value| *value < 1_000_000_000);
        let nanoseconds = nanoseconds.ok_or(Error::Index { reason: "a time is out of range" })?;
        Ok(Time { seconds: (seconds >> 1) as i64 ^ -((seconds & 1) as i64), nanoseconds })
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok().filter(|length| *length <= LONGEST_TEXT);
        self.take(length.ok_or(Error::Index { reason: "a length is too large" })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn known(size: u64, ctime: Time) -> Known {
        let stat = FileStat { dev: 1, ino: 2, size, mtime: Time::default(), ctime };
        Known { stat, digest: Digest::of(&size.to_le_bytes()), capability: Box::default(), kept: None }
    }

    fn at(seconds: i64, milliseconds: u32) -> Time {
        Time { seconds, nanoseconds: milliseconds * 1_000_000 }
    }

    fn stored(records: &[(&str, Known)], layers: &[LayerId]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, layers);
        for (path, known) in records {
            writer.push(path.as_bytes(), known).unwrap();
        }
        writer.finish().unwrap();
        bytes
    }

    fn open(stored: &[u8]) -> Result<StatIndex> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(stored).unwrap();
        StatIndex::open(file)
    }

    /// All records, or that they are damaged.
    fn read(index: &StatIndex) -> Result<Vec<(String, Known)>, ()> {
        let mut records = index.records();
        let mut all = Vec::new();
        while let Some((path, known)) = records.peek() {
            all.push((String::from_utf8_lossy(path).into_owned(), known.clone()));
            records.advance();
        }
        if records.is_damaged() { Err(()) } else { Ok(all) }
    }

    #[test]
    fn a_file_settles_when_its_tick_has_passed() {
        let stat = |ctime| known(1, ctime).stat;
        assert!(!stat(at(10, 500)).is_settled(at(10, 500), false));
        assert!(!stat(at(10, 500)).is_settled(at(10, 519), false));
        assert!(stat(at(10, 990)).is_settled(at(11, 11), false));
        assert!(!stat(at(10, 0)).is_settled(at(12, 0), false), "whole seconds: a coarse clock");
        assert!(stat(at(10, 0)).is_settled(at(12, 1), false));
        assert!(!stat(at(10, 500)).is_settled(at(100, 0), true), "a server's clock");
        assert!(!stat(at(99, 500)).is_settled(at(10, 0), false), "the future");
    }

    fn id(number: u8) -> LayerId {
        LayerId::from_bytes([number; 16])
    }

    #[test]
    fn what_layers_keep_goes_with_them() {
        let files = [("a", Some(0)), ("b", Some(2)), ("c", None), ("d", Some(1)), ("e", Some(2))];
        let records = files.map(|(path, layer)| {
            let kept = layer.map(|layer| Kept { layer, offset: 512 });
            (path, Known { kept, ..known(10, at(5, 0)) })
        });
        let mut index = open(&stored(&records, &[id(1), id(2), id(3), id(4)])).unwrap();
        assert_eq!(index.layers(), [(id(1), 10), (id(2), 10), (id(3), 20), (id(4), 0)]);
        index.retain_layers(|layer| *layer != id(2));
        assert_eq!(index.layers(), [(id(1), 10), (id(3), 20)]);
        let kept = |index: &StatIndex| -> Vec<_> {
            read(index).unwrap().iter().map(|(_, known)| known.kept.map(|kept| kept.layer)).collect()
        };
        assert_eq!(kept(&index), [Some(0), Some(1), None, None, Some(1)]);
        index.retain_layers(|layer| *layer == id(3));
        assert_eq!(kept(&index), [None, Some(0), None, None, Some(0)]);
    }

    #[test]
    fn damage_is_told_and_never_a_panic() {
        let kept = Some(Kept { layer: 0, offset: 700 });
        let records = [
            ("a/b", Known { kept, ..known(300, at(-5, 7)) }),
            ("a/c", known(u64::MAX >> 1, at(i64::MAX, 7))),
        ];
        let whole = stored(&records, &[id(9)]);
        for cut in 0..whole.len() {
            let index = open(&whole[..cut]);
            assert!(index.is_err() || read(&index.unwrap()).is_err(), "cut at {cut}");
        }
        for at in 0..whole.len() {
            for value in [0, 0x7f, 0xff] {
                let mut forged = whole.clone();
                forged[at] = value;
                let _ = open(&forged).map(|index| read(&index));
            }
        }
        let twice = [("b", known(1, at(0, 0))), ("a", known(1, at(0, 0)))];
        assert!(read(&open(&stored(&twice, &[])).unwrap()).is_err(), "unsorted");
    }

    #[test]
    fn more_records_than_are_read_at_once() {
        let paths: Vec<String> = (0..20_000).map(|number| format!("directory/{number:06}")).collect();
        let records: Vec<(&str, Known)> =
            paths.iter().zip(0..).map(|(path, size)| (path.as_str(), known(size, at(5, 1)))).collect();
        let stored = stored(&records, &[]);
        assert!(stored.len() > 3 * PART);
        let read = read(&open(&stored).unwrap()).unwrap();
        assert!(read.iter().map(|(path, known)| (path.as_str(), known.clone())).eq(records));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            paths in proptest::collection::btree_set("[ab]{1,3}", 0..20),
            numbers in any::<[u64; 3]>(),
            seconds in any::<i64>(),
            capability in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let [dev, ino, size] = numbers;
            let (mtime, ctime) = (Time { seconds, nanoseconds: 999_999_999 }, at(1, 5));
            let stat = FileStat { dev, ino, size, mtime, ctime };
            let records: Vec<(&str, Known)> = paths
                .iter()
                .map(|path| {
                    let (digest, capability) = (Digest::of(path.as_bytes()), capability.clone().into());
                    (path.as_str(), Known { stat, digest, capability, kept: None })
                })
                .collect();
            let read = read(&open(&stored(&records, &[])).unwrap()).unwrap();
            prop_assert!(read.iter().map(|(path, known)| (path.as_str(), known.clone())).eq(records));
        }
    }
}
