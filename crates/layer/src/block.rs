//! Runs of small layers that are looked through together.
//!
//! A path is looked for in each layer of a stack. A chain of steps has hundreds that hold a file or two: sixteen of them
//! have one sorted list of all their entries, so that one search does for sixteen.

use crate::listing::compare_paths;
use crate::{Kind, Listing};
use std::cmp::Ordering;
use std::sync::Arc;

/// So many layers are a block.
pub(crate) const LAYERS: usize = 16;
/// A layer of more entries is looked through by itself.
const SMALL: usize = 64;

/// The entries of some layers by path, and of one path those of upper layers first: layer and number there.
#[derive(Debug)]
pub(crate) struct Block {
    entries: Box<[(u32, u32)]>,
}

/// What layers say about a path.
pub(crate) enum Said {
    /// There is an entry: in this layer, with this number.
    Entry(usize, usize),
    /// An ancestor hides what is lower.
    Hidden,
    /// Nothing: lower layers decide.
    Nothing,
}

impl Block {
    /// Nothing where one of the layers is too large.
    pub(crate) fn of(layers: &[Arc<Listing>]) -> Option<Self> {
        if layers.iter().any(|listing| listing.len() > SMALL) {
            return None;
        }
        let numbers = |(layer, listing): (usize, &Arc<Listing>)| {
            (0..listing.len()).map(move |at| (layer as u32, at as u32))
        };
        let mut entries: Vec<(u32, u32)> = layers.iter().enumerate().flat_map(numbers).collect();
        entries.sort_unstable_by(|a, b| {
            compare_paths(path(layers, *a), path(layers, *b)).then_with(|| b.0.cmp(&a.0))
        });
        Some(Self { entries: entries.into() })
    }

    /// What the layers, the same that it was made of, say about a path.
    pub(crate) fn get(&self, layers: &[Arc<Listing>], wanted: &[u8]) -> Said {
        let found = self.all(layers, wanted).next();
        let cuts = wanted.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &wanted[..at]);
        // The topmost layer that hides the path.
        let hidden = cuts.filter_map(|ancestor| {
            self.all(layers, ancestor).map(|(layer, at)| (layer, layers[layer].entry(at))).find_map(
                |(layer, entry)| (!matches!(entry.kind, Kind::Directory { opaque: false })).then_some(layer),
            )
        });
        match (found, hidden.max()) {
            (Some((layer, at)), hidden) if hidden.is_none_or(|hidden| hidden <= layer) => {
                Said::Entry(layer, at)
            }
            (_, Some(_)) => Said::Hidden,
            (_, None) => Said::Nothing,
        }
    }

    /// All that the layers have at a path, upper ones first.
    fn all<'a>(
        &'a self,
        layers: &'a [Arc<Listing>],
        wanted: &'a [u8],
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let order = |entry: &(u32, u32)| compare_paths(path(layers, *entry), wanted);
        let start = self.entries.partition_point(|entry| order(entry) == Ordering::Less);
        let same = self.entries[start..].iter().take_while(move |entry| path(layers, **entry) == wanted);
        same.map(|(layer, at)| (*layer as usize, *at as usize))
    }
}

fn path(layers: &[Arc<Listing>], (layer, at): (u32, u32)) -> &[u8] {
    layers[layer as usize].path(at as usize)
}
