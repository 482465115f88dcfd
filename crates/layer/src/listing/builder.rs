//! Gathers a listing.

use super::columns::Table;
use super::{Entry, Listing, compare_paths};
use crate::LayerId;
use std::cmp::Ordering;

/// Gathers entries for a listing, in any order.
#[derive(Clone, Default)]
pub struct ListingBuilder {
    table: Table,
    unsorted: bool,
}

impl ListingBuilder {
    /// Room for so many entries, with so many bytes of paths.
    #[must_use]
    pub fn with_capacity(entries: usize, paths: usize) -> Self {
        let mut table = Table::default();
        table.rows.reserve_exact(entries);
        table.paths.reserve_exact(paths);
        Self { table, unsorted: false }
    }

    /// How many entries were added.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.rows.len()
    }

    /// Whether none was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.rows.is_empty()
    }

    /// Whether all came in the order of a listing, none twice.
    #[must_use]
    pub fn is_sorted(&self) -> bool {
        !self.unsorted
    }

    /// The path of an entry by its number in the order of adding.
    #[must_use]
    pub fn path(&self, at: usize) -> &[u8] {
        self.table.path(at)
    }

    /// An entry by its number in the order of adding.
    #[must_use]
    pub fn entry(&self, at: usize) -> Entry<'_> {
        self.table.entry(at)
    }

    /// Adds an entry. Of equal paths the last counts.
    pub fn push(&mut self, entry: &Entry<'_>) {
        if let Some(last) = self.len().checked_sub(1) {
            self.unsorted |= compare_paths(self.path(last), &entry.path) != Ordering::Less;
        }
        self.table.push(entry);
    }

    /// Replaces an entry but for its path.
    pub fn set(&mut self, at: usize, entry: &Entry<'_>) {
        self.table.set(at, entry);
    }

    /// Takes the entry that was added last out again.
    pub fn pop(&mut self) {
        self.table.rows.pop();
        self.table.paths.truncate(self.table.rows.last().map_or(0, |row| row.end));
    }

    /// Removes the entries whose paths are not to stay.
    pub fn retain(&mut self, stays: impl Fn(&[u8]) -> bool) {
        let order: Vec<usize> = (0..self.len()).filter(|at| stays(self.path(*at))).collect();
        self.table = std::mem::take(&mut self.table).picked(order.into_iter());
    }

    /// The listing. `borrowed` are the layers that entries refer to by index.
    #[must_use]
    pub fn finish(mut self, borrowed: Vec<LayerId>) -> Listing {
        if self.unsorted {
            let table = std::mem::take(&mut self.table);
            let mut order: Vec<usize> = (0..table.rows.len()).collect();
            // A stable sort keeps equal paths in the order given; the last of them stays.
            order.sort_by(|a, b| compare_paths(table.path(*a), table.path(*b)));
            order.reverse();
            order.dedup_by(|a, b| table.path(*a) == table.path(*b));
            self.table = table.picked(order.into_iter().rev());
        }
        Listing::of(self.table, borrowed)
    }
}
