//! The listing itself: columns, sorted, and the layers that entries refer to.

use super::columns::{Form, Row, Table};
use super::{Entry, ListingBuilder, compare_paths, is_below};
use crate::LayerId;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::Range;

/// What one layer sets and removes.
#[derive(Clone, Default)]
pub struct Listing {
    table: Table,
    borrowed: Vec<LayerId>,
}

/// Entries of a listing, in order.
#[derive(Clone)]
pub struct Entries<'a> {
    listing: &'a Listing,
    range: Range<usize>,
}

impl Entries<'_> {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.range.next().map(|at| self.listing.entry(at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl DoubleEndedIterator for Entries<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.range.next_back().map(|at| self.listing.entry(at))
    }
}

impl ExactSizeIterator for Entries<'_> {}

impl Listing {
    pub(super) fn of(table: Table, borrowed: Vec<LayerId>) -> Self {
        Self { table, borrowed }
    }

    /// A listing of these entries in any order; of equal paths the last counts. `borrowed` are the layers that
    /// entries refer to by index.
    #[must_use]
    pub fn new<'a>(entries: impl IntoIterator<Item = Entry<'a>>, borrowed: Vec<LayerId>) -> Self {
        let entries = entries.into_iter();
        let mut builder = ListingBuilder::with_capacity(entries.size_hint().0, 0);
        entries.for_each(|entry| builder.push(&entry));
        builder.finish(borrowed)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.rows.len()
    }

    /// Whether it sets nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.rows.is_empty()
    }

    /// The entries in order.
    #[must_use]
    pub fn entries(&self) -> Entries<'_> {
        Entries { listing: self, range: 0..self.len() }
    }

    /// The entry with this number in the order.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn entry(&self, at: usize) -> Entry<'_> {
        self.table.entry(at)
    }

    /// The path of the entry with this number in the order.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn path(&self, at: usize) -> &[u8] {
        self.table.path(at)
    }

    /// Whether the entry with this number is a directory.
    ///
    /// # Panics
    /// There are fewer.
    #[must_use]
    pub fn is_directory(&self, at: usize) -> bool {
        matches!(self.table.looks.list[self.table.rows[at].look as usize].form, Form::Directory { .. })
    }

    /// Whether it hides anything that lower layers have by whiteouts or opaque directories.
    #[must_use]
    pub fn hides(&self) -> bool {
        let form = |row: &Row| self.table.looks.list[row.look as usize].form;
        self.table
            .rows
            .iter()
            .any(|row| matches!(form(row), Form::Whiteout | Form::Directory { opaque: true }))
    }

    /// The layers whose bytes this listing uses.
    #[must_use]
    pub fn borrowed(&self) -> &[LayerId] {
        &self.borrowed
    }

    /// Takes these as the layers whose bytes it uses; entries refer to them by index.
    pub fn set_borrowed(&mut self, borrowed: Vec<LayerId>) {
        self.borrowed = borrowed;
    }

    /// Replaces an entry but for its path.
    ///
    /// # Panics
    /// There are fewer.
    pub fn set(&mut self, at: usize, entry: &Entry<'_>) {
        self.table.set(at, entry);
    }

    /// The number of the entry at `path`, a whiteout included.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        let at = self.partition(0, |other| compare_paths(other, path) == Ordering::Less);
        (at < self.len() && self.path(at) == path).then_some(at)
    }

    /// The entry at `path`, a whiteout included.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<Entry<'_>> {
        self.find(path).map(|at| self.entry(at))
    }

    /// The numbers of all entries below `dir`, without `dir` itself.
    #[must_use]
    pub fn range_below(&self, dir: &[u8]) -> Range<usize> {
        if dir.is_empty() {
            return 0..self.len();
        }
        let start = self.partition(0, |path| compare_paths(path, dir) != Ordering::Greater);
        start..self.partition(start, |path| is_below(path, dir))
    }

    /// All entries below `dir`, without `dir` itself.
    #[must_use]
    pub fn below(&self, dir: &[u8]) -> Entries<'_> {
        Entries { listing: self, range: self.range_below(dir) }
    }

    /// The first number from `start` whose path does not satisfy `before`, which holds for all up to some number.
    fn partition(&self, start: usize, before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (start, self.len());
        while low < high {
            let middle = low.midpoint(high);
            match before(self.path(middle)) {
                true => low = middle + 1,
                false => high = middle,
            }
        }
        low
    }

    /// The bytes of all regular files, each link group once.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size_of(|_| true)
    }

    /// The bytes of those that lie in this layer itself, each link group once.
    #[must_use]
    pub fn own_size(&self) -> u64 {
        self.size_of(|form| matches!(form, Form::File { borrowed: false, .. }))
    }

    fn size_of(&self, counts: impl Fn(Form) -> bool) -> u64 {
        let mut seen = HashSet::new();
        let mut counts = |row: &&Row| {
            let form = self.table.looks.list[row.look as usize].form;
            matches!(form, Form::File { .. }) && counts(form) && (row.link == 0 || seen.insert(row.link))
        };
        self.table.rows.iter().filter(|row| counts(row)).map(|row| row.value).sum()
    }

    /// Keeps the entries whose number `keep` says true of.
    #[must_use]
    pub(crate) fn picked(self, keep: &[bool]) -> Self {
        let order: Vec<usize> = (0..self.len()).filter(|at| keep[*at]).collect();
        Self { table: self.table.picked(order.into_iter()), borrowed: self.borrowed }
    }

    /// Numbers link groups from 1 by their first entry; a group of one is none.
    pub(crate) fn renumber_links(&mut self) {
        let mut groups: HashMap<u32, (u32, u32)> = HashMap::new();
        for row in self.table.rows.iter().filter(|row| row.link != 0) {
            groups.entry(row.link).or_default().0 += 1;
        }
        let mut last = 0;
        for row in self.table.rows.iter_mut().filter(|row| row.link != 0) {
            let Some((count, number)) = groups.get_mut(&row.link) else { continue };
            if *count > 1 && *number == 0 {
                last += 1;
                *number = last;
            }
            row.link = *number;
        }
    }
}

impl PartialEq for Listing {
    fn eq(&self, other: &Self) -> bool {
        self.borrowed == other.borrowed && self.entries().eq(other.entries())
    }
}

impl Eq for Listing {}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}
