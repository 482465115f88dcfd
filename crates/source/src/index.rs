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
//! ```text
//! "JSTI" version(1 byte) layer-count, 16 bytes a layer, count, then a record after the other, sorted as listings are:
//!   shared  length bytes      the path: how many bytes it shares with the one before, and the rest
//!   dev ino size  mtime: seconds(zigzag) nanoseconds  ctime: seconds(zigzag) nanoseconds
//!   32 bytes digest  length bytes      the value of security.capability, empty for none
//!   layer [offset]            where its bytes are: 0 for nowhere, else the number of the layer, from 1, and the offset
//! ```
//! Every number is a LEB128 of at most ten bytes. 50,000 records take 3.6 MB and are read in 7 ms.

use crate::{Error, Result};
use layer::{LayerId, Time, compare_paths};
use oci::Digest;
use std::cmp::Ordering;
use std::time::Duration;

const MAGIC: &[u8] = b"JSTI\x02";

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

/// Files known by their stat. The caller keeps its bytes by context, as it likes; losing them costs hashing only.
#[derive(Clone, Debug, Default)]
pub struct StatIndex {
    /// All paths after each other.
    paths: Vec<u8>,
    /// Sorted by path; the path is what lies between the end of the one before and this one's.
    records: Vec<(usize, Known)>,
    layers: Vec<LayerId>,
}

impl PartialEq for StatIndex {
    fn eq(&self, other: &Self) -> bool {
        self.paths == other.paths && self.records == other.records && self.layers == other.layers
    }
}

impl Eq for StatIndex {}

impl StatIndex {
    /// How many files are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no file is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The layers that keep bytes of files.
    #[must_use]
    pub fn layers(&self) -> &[LayerId] {
        &self.layers
    }

    /// How many bytes of the files each of [`layers`](Self::layers) keeps.
    #[must_use]
    pub fn kept_bytes(&self) -> Vec<u64> {
        let mut bytes = vec![0; self.layers.len()];
        for (_, known) in &self.records {
            if let Some(kept) = known.kept {
                bytes[kept.layer as usize] += known.stat.size;
            }
        }
        bytes
    }

    /// Forgets what is kept in layers of which `is_there` does not answer true, and layers that keep nothing.
    pub fn retain_layers(&mut self, mut is_there: impl FnMut(&LayerId) -> bool) {
        let bytes = self.kept_bytes();
        let stays: Vec<bool> = self.layers.iter().zip(bytes).map(|(id, b)| b > 0 && is_there(id)).collect();
        if stays.iter().all(|stays| *stays) {
            return;
        }
        let mut next = 0;
        let numbers: Vec<Option<u32>> = stays
            .iter()
            .map(|stays| {
                next += u32::from(*stays);
                stays.then(|| next - 1)
            })
            .collect();
        for (_, known) in &mut self.records {
            known.kept =
                known.kept.and_then(|kept| Some(Kept { layer: numbers[kept.layer as usize]?, ..kept }));
        }
        let mut stays = stays.into_iter();
        self.layers.retain(|_| stays.next().unwrap_or(false));
    }

    /// Takes these as the layers that records name by number.
    pub(crate) fn set_layers(&mut self, layers: Vec<LayerId>) {
        self.layers = layers;
    }

    /// The digest of the file at `path`, if it is known by this stat.
    #[must_use]
    pub fn get(&self, path: &[u8], stat: &FileStat) -> Option<Digest> {
        let (mut low, mut high) = (0, self.records.len());
        while low < high {
            let middle = low.midpoint(high);
            match compare_paths(self.path(middle), path) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    let known = &self.records[middle].1;
                    return (known.stat == *stat).then_some(known.digest);
                }
            }
        }
        None
    }

    /// Adds a record after all others; `path` comes after theirs.
    pub(crate) fn push(&mut self, path: &[u8], known: Known) {
        self.paths.extend_from_slice(path);
        self.records.push((self.paths.len(), known));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Known)> {
        (0..self.records.len()).map(|at| (self.path(at), &self.records[at].1))
    }

    fn path(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.records[before].0);
        &self.paths[start..self.records[at].0]
    }

    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.paths.len() + self.records.len() * 80);
        out.extend_from_slice(MAGIC);
        number(&mut out, self.layers.len() as u64);
        for layer in &self.layers {
            out.extend_from_slice(layer.as_bytes());
        }
        number(&mut out, self.records.len() as u64);
        let mut before: &[u8] = b"";
        for (path, known) in self.iter() {
            let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            number(&mut out, shared as u64);
            bytes(&mut out, &path[shared..]);
            before = path;
            let FileStat { dev, ino, size, mtime, ctime } = known.stat;
            for value in [dev, ino, size] {
                number(&mut out, value);
            }
            for time in [mtime, ctime] {
                number(&mut out, ((time.seconds << 1) ^ (time.seconds >> 63)) as u64);
                number(&mut out, u64::from(time.nanoseconds));
            }
            out.extend_from_slice(known.digest.as_bytes());
            bytes(&mut out, &known.capability);
            number(&mut out, known.kept.map_or(0, |kept| u64::from(kept.layer) + 1));
            if let Some(kept) = known.kept {
                number(&mut out, kept.offset);
            }
        }
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`Error::Index`] for anything that [`StatIndex::encode`] does not write.
    pub fn decode(stored: &[u8]) -> Result<Self> {
        let rest = stored.strip_prefix(MAGIC).ok_or(Error::Index { reason: "it has another format" })?;
        let mut input = Input { rest };
        let layers = input.count(16)?;
        let id = |bytes: &[u8]| LayerId::from_bytes(bytes.try_into().expect("because 16 were taken"));
        let layers = (0..layers).map(|_| input.take(16).map(id)).collect::<Result<Vec<_>>>()?;
        let count = input.count(43)?;
        let paths = Vec::with_capacity(rest.len() / 3);
        let mut index = Self { paths, records: Vec::with_capacity(count as usize), layers };
        // Where the path before begins.
        let mut before = 0;
        for at in 0..count {
            let shared = input.number()?;
            let tail = input.bytes()?;
            let start = index.paths.len();
            if shared > (start - before) as u64 {
                return Err(Error::Index { reason: "a path shares more than there is" });
            }
            index.paths.extend_from_within(before..before + shared as usize);
            index.paths.extend_from_slice(tail);
            let ascends = at == 0
                || compare_paths(&index.paths[before..start], &index.paths[start..]) == Ordering::Less;
            if !ascends {
                return Err(Error::Index { reason: "its paths are not in order" });
            }
            before = start;
            let (dev, ino, size) = (input.number()?, input.number()?, input.number()?);
            let stat = FileStat { dev, ino, size, mtime: input.time()?, ctime: input.time()? };
            let digest = input.take(32)?.try_into().expect("because take gives as many bytes as asked for");
            let capability = input.bytes()?.into();
            let kept = match input.number()?.checked_sub(1) {
                None => None,
                Some(layer) if layer < index.layers.len() as u64 => {
                    Some(Kept { layer: layer as u32, offset: input.number()? })
                }
                Some(_) => {
                    return Err(Error::Index { reason: "a file is kept in a layer that is not named" });
                }
            };
            let known = Known { stat, digest: Digest::from_bytes(digest), capability, kept };
            index.records.push((index.paths.len(), known));
        }
        if !input.rest.is_empty() {
            return Err(Error::Index { reason: "it goes on after its last record" });
        }
        Ok(index)
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

    /// A count of things that take at least `each` bytes: a forged one cannot ask for more memory than the file has.
    fn count(&mut self, each: usize) -> Result<u64> {
        let count = self.number()?;
        if count > (self.rest.len() / each) as u64 {
            return Err(Error::Index { reason: "it says that it has more records than there are" });
        }
        Ok(count)
    }

    fn time(&mut self) -> Result<Time> {
        let seconds = self.number()?;
        let nanoseconds = u32::try_from(self.number()?).ok().filter(|value| *value < 1_000_000_000);
        let nanoseconds = nanoseconds.ok_or(Error::Index { reason: "a time is out of range" })?;
        Ok(Time { seconds: (seconds >> 1) as i64 ^ -((seconds & 1) as i64), nanoseconds })
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Error::Index { reason: "a length is too large" })?)
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

    #[test]
    fn a_file_is_known_by_its_whole_stat() {
        let mut index = StatIndex::default();
        for (path, size) in [("a", 1), ("a/b", 2), ("a-b", 3), ("z", 4)] {
            index.push(path.as_bytes(), known(size, at(5, 0)));
        }
        let stat = known(3, at(5, 0)).stat;
        assert_eq!(index.get(b"a-b", &stat), Some(Digest::of(&3_u64.to_le_bytes())));
        assert_eq!(index.get(b"a/b", &stat), None);
        assert_eq!(index.get(b"nothing", &stat), None);
        let mut others = [stat; 5];
        others[0].dev += 1;
        others[1].ino += 1;
        others[2].size += 1;
        others[3].mtime.nanoseconds += 1;
        others[4].ctime.seconds += 1;
        for other in others {
            assert_eq!(index.get(b"a-b", &other), None, "{other:?}");
        }
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
        let mut index = StatIndex::default();
        for (path, layer) in [("a", Some(0)), ("b", Some(2)), ("c", None), ("d", Some(1)), ("e", Some(2))] {
            let kept = layer.map(|layer| Kept { layer, offset: 512 });
            index.push(path.as_bytes(), Known { kept, ..known(10, at(5, 0)) });
        }
        index.set_layers(vec![id(1), id(2), id(3), id(4)]);
        assert_eq!(index.kept_bytes(), [10, 10, 20, 0]);
        index.retain_layers(|layer| *layer != id(2));
        assert_eq!(index.layers(), [id(1), id(3)]);
        let kept: Vec<_> = index.iter().map(|(_, known)| known.kept.map(|kept| kept.layer)).collect();
        assert_eq!(kept, [Some(0), Some(1), None, None, Some(1)]);
        assert_eq!(StatIndex::decode(&index.encode()).unwrap(), index);
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let mut index = StatIndex::default();
        let kept = Some(Kept { layer: 0, offset: 700 });
        index.push(b"a/b", Known { kept, ..known(300, at(-5, 7)) });
        index.set_layers(vec![id(9)]);
        index.push(b"a/c", known(u64::MAX, at(i64::MAX, 7)));
        let stored = index.encode();
        for cut in 0..stored.len() {
            assert!(StatIndex::decode(&stored[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..stored.len() {
            for value in [0, 0x7f, 0xff] {
                let mut forged = stored.clone();
                forged[at] = value;
                let _ = StatIndex::decode(&forged);
            }
        }
        let mut twice = StatIndex::default();
        twice.push(b"b", known(1, at(0, 0)));
        twice.push(b"a", known(1, at(0, 0)));
        assert!(StatIndex::decode(&twice.encode()).is_err(), "unsorted");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            paths in proptest::collection::btree_set("[ab]{1,3}", 0..20),
            numbers in any::<[u64; 3]>(),
            seconds in any::<i64>(),
            capability in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut index = StatIndex::default();
            for path in paths {
                let [dev, ino, size] = numbers;
                let (mtime, ctime) = (Time { seconds, nanoseconds: 999_999_999 }, at(1, 5));
                let stat = FileStat { dev, ino, size, mtime, ctime };
                let digest = Digest::of(path.as_bytes());
                let capability = capability.clone().into();
                index.push(path.as_bytes(), Known { stat, digest, capability, kept: None });
            }
            prop_assert_eq!(StatIndex::decode(&index.encode()).unwrap(), index);
        }
    }
}
