//! Entries in the making that can be found by their paths.
//!
//! Mostly they come in the order of a listing: then nothing but the entries themselves is kept, and a path is found by
//! halving. From the first that does not on, a map has the number of each by a hash of its path; where two paths have
//! one hash, the later takes the next one that is free.

use layer::{Entry, LayerId, Listing, ListingBuilder, compare_paths};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

#[derive(Default)]
pub(crate) struct Placed {
    entries: ListingBuilder,
    numbers: Option<(RandomState, HashMap<u64, u32>)>,
}

impl Placed {
    /// The entry at `path`.
    pub(crate) fn get(&self, path: &[u8]) -> Option<Entry<'_>> {
        self.find(path).map(|at| self.entries.entry(at))
    }

    fn find(&self, path: &[u8]) -> Option<usize> {
        match &self.numbers {
            None => self.halve(path),
            Some((state, numbers)) => slot(&self.entries, state, numbers, path).ok(),
        }
    }

    fn halve(&self, path: &[u8]) -> Option<usize> {
        let (mut low, mut high) = (0, self.entries.len());
        // Most paths that are asked for come after all others.
        let last = high.checked_sub(1)?;
        match compare_paths(self.entries.path(last), path) {
            Ordering::Less => return None,
            Ordering::Equal => return Some(last),
            Ordering::Greater => high = last,
        }
        while low < high {
            let middle = low.midpoint(high);
            match compare_paths(self.entries.path(middle), path) {
                Ordering::Less => low = middle + 1,
                Ordering::Equal => return Some(middle),
                Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Puts an entry at its path, in place of what is there.
    pub(crate) fn put(&mut self, entry: &Entry<'_>) {
        if let Some(at) = self.find(&entry.path) {
            return self.entries.set(at, entry);
        }
        self.entries.push(entry);
        match &mut self.numbers {
            None if self.entries.is_sorted() => {}
            None => self.number(),
            Some((state, numbers)) => insert(&self.entries, state, numbers, self.entries.len() - 1),
        }
    }

    fn number(&mut self) {
        let (state, mut numbers) = (RandomState::new(), HashMap::with_capacity(self.entries.len()));
        for at in 0..self.entries.len() {
            insert(&self.entries, &state, &mut numbers, at);
        }
        self.numbers = Some((state, numbers));
    }

    /// Removes entries whose paths are not to stay.
    pub(crate) fn retain(&mut self, stays: impl Fn(&[u8]) -> bool) {
        self.entries.retain(stays);
        if self.numbers.is_some() {
            self.number();
        }
    }

    /// All of them as a listing. `borrowed` are the layers that entries refer to.
    pub(crate) fn finish(self, borrowed: Vec<LayerId>) -> Listing {
        self.entries.finish(borrowed)
    }
}

/// The number of the entry at `path`, or as the error the hash that is free for it.
fn slot(
    entries: &ListingBuilder,
    state: &RandomState,
    numbers: &HashMap<u64, u32>,
    path: &[u8],
) -> Result<usize, u64> {
    let mut hash = state.hash_one(path);
    while let Some(at) = numbers.get(&hash) {
        if entries.path(*at as usize) == path {
            return Ok(*at as usize);
        }
        hash = hash.wrapping_add(1);
    }
    Err(hash)
}

fn insert(entries: &ListingBuilder, state: &RandomState, numbers: &mut HashMap<u64, u32>, at: usize) {
    if let Err(free) = slot(entries, state, numbers, entries.path(at)) {
        numbers.insert(free, at as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use layer::{Kind, Time};

    fn directory(path: &str, mode: u32) -> Entry<'_> {
        let (path, kind) = (path.as_bytes().into(), Kind::Directory { opaque: false });
        Entry { path, kind, mode, uid: 0, gid: 0, mtime: Time::default(), xattrs: Vec::new().into() }
    }

    fn shown(placed: Placed) -> String {
        let listing = placed.finish(Vec::new());
        let each = |entry: Entry<'_>| format!("{}={:o}", String::from_utf8_lossy(&entry.path), entry.mode);
        listing.entries().map(each).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn entries_are_found_in_order_and_out_of_it() {
        let mut placed = Placed::default();
        for (path, mode) in [("a", 1), ("a/b", 2), ("a-b", 3), ("a/b", 4)] {
            placed.put(&directory(path, mode));
        }
        assert!(placed.numbers.is_none(), "a second entry for one path keeps the order");
        assert_eq!(placed.get(b"a").map(|entry| entry.mode), Some(1));
        for (path, mode) in [("a.c", 5), ("a/a", 6), ("a-b", 7), ("z", 0o10)] {
            placed.put(&directory(path, mode));
        }
        for (path, mode) in [("a", 1), ("a/a", 6), ("a/b", 4), ("a-b", 7), ("a.c", 5), ("z", 0o10)] {
            assert_eq!(placed.get(path.as_bytes()).map(|entry| entry.mode), Some(mode), "{path}");
        }
        assert!(placed.get(b"b").is_none());
        placed.retain(|path| path != b"a/b");
        assert!(placed.get(b"a/b").is_none());
        placed.put(&directory("a/b", 0o11));
        assert_eq!(shown(placed), "a=1 a/a=6 a/b=11 a-b=7 a.c=5 z=10");
    }
}
