//! Listings over each other: what a stack of layers shows.
//!
//! A path is looked up from the top: an exact entry decides; an ancestor that is removed, opaque or no directory in
//! a layer hides all that is lower. A subtree is merged two listings at a time, in order, in one pass each.

use crate::block::{self, Block, Said};
use crate::listing::{compare_paths, is_below};
use crate::{Entry, Error, Kind, LayerId, Listing, Result};
use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

/// A stack of listings, lowest first.
#[derive(Clone, Debug, Default)]
pub struct View {
    layers: Arc<[Arc<Listing>]>,
    /// Of each sixteen layers from the lowest on, where they are small.
    blocks: Arc<[Option<Arc<Block>>]>,
}

/// An entry of one of the layers.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    listing: &'a Listing,
    layer: u32,
    at: u32,
}

impl<'a> Found<'a> {
    fn new(listing: &'a Listing, layer: usize, at: usize) -> Self {
        Self { listing, layer: layer as u32, at: at as u32 }
    }

    /// The index of the layer in the stack, 0 the lowest.
    #[must_use]
    pub fn layer(&self) -> usize {
        self.layer as usize
    }

    /// Its number in the layer's listing.
    #[must_use]
    pub fn number(&self) -> usize {
        self.at as usize
    }

    /// The layers that its layer borrows from; the entry names them by index.
    #[must_use]
    pub fn borrowed(&self) -> &'a [LayerId] {
        self.listing.borrowed()
    }

    /// The entry.
    #[must_use]
    pub fn entry(&self) -> Entry<'a> {
        self.listing.entry(self.number())
    }

    /// The entry's path.
    #[must_use]
    pub fn path(&self) -> &'a [u8] {
        self.listing.path(self.number())
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.listing.is_directory(self.number())
    }
}

/// As Linux, more than 40 links in one resolution are a loop; builders allow 255.
const MOST_LINKS: usize = 255;

impl View {
    /// A view of these layers, lowest first.
    #[must_use]
    pub fn new(layers: Vec<Arc<Listing>>) -> Self {
        Self::default().with(layers)
    }

    /// A view of these layers over those of this one.
    #[must_use]
    pub fn with(&self, upper: Vec<Arc<Listing>>) -> Self {
        let layers: Arc<[Arc<Listing>]> = self.layers.iter().cloned().chain(upper).collect();
        let whole = layers.chunks_exact(block::LAYERS);
        if whole.len() == self.blocks.len() {
            return Self { layers, blocks: self.blocks.clone() };
        }
        let new = whole.skip(self.blocks.len()).map(|layers| Block::of(layers).map(Arc::new));
        let blocks = self.blocks.iter().cloned().chain(new).collect();
        Self { layers, blocks }
    }

    /// The layers, lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Arc<Listing>] {
        &self.layers
    }

    /// What stands at `path`, without following a link in its last component or before. The root is never found.
    #[must_use]
    pub fn get(&self, path: &[u8]) -> Option<Found<'_>> {
        let (layer, at) = self.topmost(path)?;
        let found = Found::new(&self.layers[layer], layer, at);
        (!matches!(found.entry().kind, Kind::Whiteout)).then_some(found)
    }

    /// The layer and the number of the topmost entry at `path` that nothing hides.
    fn topmost(&self, path: &[u8]) -> Option<(usize, usize)> {
        for (number, layers) in self.layers.chunks(block::LAYERS).enumerate().rev() {
            let first = number * block::LAYERS;
            if let Some(Some(block)) = self.blocks.get(number) {
                match block.get(layers, path) {
                    Said::Entry(layer, at) => return Some((first + layer, at)),
                    Said::Hidden => return None,
                    Said::Nothing => continue,
                }
            }
            for (layer, listing) in layers.iter().enumerate().rev() {
                if let Some(at) = listing.find(path) {
                    return Some((first + layer, at));
                }
                if hides(listing, path) {
                    return None;
                }
            }
        }
        None
    }

    /// Whether `path` is a directory; the root always is.
    #[must_use]
    pub fn is_directory(&self, path: &[u8]) -> bool {
        path.is_empty() || self.get(path).is_some_and(|found| found.is_directory())
    }

    /// All that is below `dir`, in order; nothing where `dir` is no directory.
    #[must_use]
    pub fn below(&self, dir: &[u8]) -> Vec<Found<'_>> {
        let mut merged: Vec<Found<'_>> = Vec::new();
        for (layer, listing) in self.layers.iter().enumerate() {
            let hidden = match listing.get(dir) {
                Some(entry) => !matches!(entry.kind, Kind::Directory { opaque: false }),
                None => hides(listing, dir),
            };
            if hidden {
                merged.clear();
            }
            let upper = listing.range_below(dir);
            if !upper.is_empty() {
                merged = lay_over(&merged, layer, listing, upper);
            }
        }
        merged
    }

    /// The names directly below `dir`.
    #[must_use]
    pub fn children(&self, dir: &[u8]) -> Vec<Found<'_>> {
        let skip = if dir.is_empty() { 0 } else { dir.len() + 1 };
        let mut all = self.below(dir);
        all.retain(|found| !found.path()[skip..].contains(&b'/'));
        all
    }

    /// Resolves `path` inside this root as the kernel would: links are followed (the last one too, if `follow_last`),
    /// `..` stops at the root, and components that do not exist stay as they are written. A leading slash is allowed.
    pub fn resolve(&self, path: &[u8], follow_last: bool) -> Result<Vec<u8>> {
        let mut done: Vec<u8> = Vec::with_capacity(path.len());
        let mut todo: Vec<Box<[u8]>> = components(path).rev().map(Into::into).collect();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if &*part == b".." {
                let cut = done.iter().rposition(|b| *b == b'/').unwrap_or(0);
                done.truncate(cut);
                continue;
            }
            let before = done.len();
            if !done.is_empty() {
                done.push(b'/');
            }
            done.extend_from_slice(&part);
            if todo.is_empty() && !follow_last {
                break;
            }
            let Some(Entry { kind: Kind::Symlink { target }, .. }) =
                self.get(&done).map(|found| found.entry())
            else {
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                return Err(Error::Loop { path: String::from_utf8_lossy(path).into_owned() });
            }
            done.truncate(if target.starts_with(b"/") { 0 } else { before });
            todo.extend(components(&target).rev().map(Box::from));
        }
        Ok(done)
    }
}

/// The components of a path that mean something: no empty ones and no `.`.
fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Whether an ancestor of `path` in `listing` hides what lower layers have at `path`.
fn hides(listing: &Listing, path: &[u8]) -> bool {
    let cuts = path.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    cuts.filter_map(|at| listing.get(&path[..at]))
        .any(|ancestor| !matches!(ancestor.kind, Kind::Directory { opaque: false }))
}

/// One pass over two sorted runs: `upper` over `lower`.
fn lay_over<'a>(
    lower: &[Found<'a>],
    layer: usize,
    listing: &'a Listing,
    upper: Range<usize>,
) -> Vec<Found<'a>> {
    let mut merged = Vec::with_capacity(lower.len() + upper.len());
    let (mut low, mut up) = (lower.iter().peekable(), upper.peekable());
    // The subtree of the lower run that the upper run hides at the moment.
    let mut hidden: Option<&[u8]> = None;
    loop {
        let order = match (low.peek(), up.peek()) {
            (None, None) => return merged,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(l), Some(u)) => compare_paths(l.path(), listing.path(*u)),
        };
        if order != Ordering::Less {
            let at = up.next().expect("because the order says that the upper run has an entry");
            let (entry, path) = (listing.entry(at), listing.path(at));
            if order == Ordering::Equal {
                low.next();
            }
            if !matches!(entry.kind, Kind::Directory { opaque: false })
                && !hidden.is_some_and(|h| is_below(path, h))
            {
                hidden = Some(path);
            }
            if !matches!(entry.kind, Kind::Whiteout) {
                merged.push(Found::new(listing, layer, at));
            }
        } else {
            let found = low.next().expect("because the order says that the lower run has an entry");
            if !hidden.is_some_and(|h| is_below(found.path(), h)) {
                merged.push(*found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::{dir, entry, file};

    fn view(layers: Vec<Vec<Entry<'static>>>) -> View {
        View::new(layers.into_iter().map(|entries| Arc::new(Listing::new(entries, Vec::new()))).collect())
    }

    fn shown(view: &View, below: &str) -> String {
        let names = view.below(below.as_bytes());
        names.iter().map(|f| String::from_utf8_lossy(f.path()).into_owned()).collect::<Vec<_>>().join(" ")
    }

    fn link(path: &str, target: &str) -> Entry<'static> {
        entry(path, Kind::Symlink { target: target.as_bytes().to_vec().into() })
    }

    #[test]
    fn whiteouts_opaque_directories_and_files_over_directories_hide() {
        let view = view(vec![
            vec![
                dir("a", false),
                file("a/1", ""),
                file("a/2", ""),
                dir("b", false),
                file("b/1", ""),
                dir("c", false),
                file("c/1", ""),
                file("d", ""),
            ],
            vec![entry("a/1", Kind::Whiteout), dir("b", true), file("b/2", ""), file("c", "now a file")],
            vec![dir("a", false), file("a/3", "")],
        ]);
        assert_eq!(shown(&view, ""), "a a/2 a/3 b b/2 c d");
        assert_eq!(shown(&view, "b"), "b/2");
        assert_eq!(shown(&view, "c"), "");
        for (path, there) in
            [("a/1", false), ("a/2", true), ("a/3", true), ("b/1", false), ("c/1", false), ("c", true)]
        {
            assert_eq!(view.get(path.as_bytes()).is_some(), there, "{path}");
        }
        let names: Vec<_> =
            view.children(b"").iter().map(|f| String::from_utf8_lossy(f.path()).into_owned()).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    proptest::proptest! {
        #[test]
        fn layers_say_the_same_alone_and_in_blocks(
            layers in proptest::collection::vec(proptest::collection::btree_map("[ab](/[ab]){0,2}", 0..4, 0..4), 0..50),
        ) {
            let kind = |kind| match kind {
                0 => Kind::Whiteout,
                1 => Kind::Directory { opaque: true },
                2 => Kind::Directory { opaque: false },
                _ => Kind::Fifo,
            };
            let listing = |entries: &std::collections::BTreeMap<String, i32>| {
                entries.iter().map(|(path, number)| entry(path, kind(*number))).collect()
            };
            let blocks = view(layers.iter().map(listing).collect());
            let alone = View { blocks: Arc::default(), ..blocks.clone() };
            for path in ["a", "b", "a/a", "a/b", "b/a", "a/a/a", "a/b/a", "b/b/b"] {
                let got = |view: &View| view.get(path.as_bytes()).map(|found| (found.layer(), found.number()));
                proptest::prop_assert_eq!(got(&blocks), got(&alone), "{}", path);
            }
        }
    }

    #[test]
    fn links_resolve_inside_the_root() {
        let view = view(vec![vec![
            dir("usr", false),
            dir("usr/bin", false),
            file("usr/bin/sh", ""),
            link("bin", "usr/bin"),
            link("out", "../../../usr"),
            link("abs", "/bin"),
            link("loop", "loop"),
        ]]);
        let resolve =
            |path: &str, last| view.resolve(path.as_bytes(), last).map(|p| String::from_utf8(p).unwrap());
        assert_eq!(resolve("/bin/sh", true).unwrap(), "usr/bin/sh");
        assert_eq!(resolve("bin", false).unwrap(), "bin");
        assert_eq!(resolve("abs/sh", false).unwrap(), "usr/bin/sh");
        assert_eq!(resolve("out/bin/../../../x/./y", true).unwrap(), "x/y");
        assert_eq!(resolve("", true).unwrap(), "");
        assert!(resolve("loop/x", true).is_err());
    }
}
