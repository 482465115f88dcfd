//! What changed between the layers below and a whole tree, for hosts without overlayfs; and which entries of an upper
//! directory change nothing.

use crate::unpack::whiteout;
use crate::{Entry, Kind, Listing, View, is_below};
use std::collections::HashSet;

/// The listing that, laid over `parent`, shows `tree`: entries that differ, the directories above them, all names of a
/// link group of which one differs, and whiteouts for what is gone. `tree` is the [`scan`](crate::scan) of a whole
/// root.
#[must_use]
pub fn compare(parent: &View, tree: &Listing) -> Listing {
    let below = parent.below(b"");
    let mut lower = below.iter().peekable();
    let mut keep = vec![false; tree.len()];
    let mut removed: Vec<Entry<'static>> = Vec::new();
    // What is below a lower directory that is gone or is no directory now needs no whiteout of its own.
    let mut hidden: Option<&[u8]> = None;
    let mut gone = |path: &[u8], hidden: Option<&[u8]>| {
        let covered = hidden.is_some_and(|hidden| is_below(path, hidden));
        if !covered {
            removed.push(whiteout(path.to_vec()));
        }
        !covered
    };
    for (at, entry) in tree.entries().enumerate() {
        let mut same = false;
        while let Some(found) = lower.peek() {
            match crate::compare_paths(found.path(), &entry.path) {
                std::cmp::Ordering::Less => {
                    if gone(found.path(), hidden) {
                        hidden = Some(found.path());
                    }
                    lower.next();
                }
                std::cmp::Ordering::Equal => {
                    same = equal(&found.entry(), &entry);
                    if found.is_directory() && !entry.is_directory() {
                        hidden = Some(found.path());
                    }
                    lower.next();
                    break;
                }
                std::cmp::Ordering::Greater => break,
            }
        }
        keep[at] = !same;
    }
    for found in lower {
        if gone(found.path(), hidden) {
            hidden = Some(found.path());
        }
    }
    keep_groups(tree, &mut keep);
    let changed: Vec<&[u8]> = removed.iter().map(|entry| &*entry.path).collect();
    keep_parents(tree, &mut keep, &changed);
    let kept = tree.entries().zip(&keep).filter_map(|(entry, keep)| keep.then_some(entry));
    let mut all = Listing::new(kept.chain(removed), tree.borrowed().to_vec());
    all.renumber_links();
    all
}

/// Drops entries of an upper directory that are as they are below: what was copied up and not changed. A directory
/// stays if anything below it does. `touched` are the paths that a scan excluded: making those mount points changed
/// the time of their parents and nothing else, which does not count.
#[must_use]
pub fn prune_unchanged(upper: Listing, parent: &View, touched: &[Box<[u8]>]) -> Listing {
    let mounts: HashSet<&[u8]> = touched.iter().map(|path| crate::folder::split(path).0).collect();
    let mut keep: Vec<bool> = upper
        .entries()
        .map(|entry| {
            let Some(found) = parent.get(&entry.path) else {
                // A whiteout of nothing hides nothing.
                return entry.kind != Kind::Whiteout;
            };
            if mounts.contains(&*entry.path) && entry.is_directory() {
                let below = found.entry();
                return !equal(&below, &Entry { mtime: below.mtime, ..entry });
            }
            !equal(&found.entry(), &entry)
        })
        .collect();
    keep_groups(&upper, &mut keep);
    keep_parents(&upper, &mut keep, &[]);
    if keep.iter().all(|keep| *keep) {
        return upper;
    }
    let mut kept = upper.picked(&keep);
    kept.renumber_links();
    kept
}

/// If one name of a link group counts, all do: a link needs its other end in the same layer.
fn keep_groups(listing: &Listing, keep: &mut [bool]) {
    let group = |entry: Entry<'_>| match entry.kind {
        Kind::File { link, .. } if link != 0 => Some(link),
        _ => None,
    };
    let kept: HashSet<u32> = listing
        .entries()
        .zip(&*keep)
        .filter_map(|(entry, keep)| if *keep { group(entry) } else { None })
        .collect();
    for (entry, keep) in listing.entries().zip(keep) {
        *keep |= group(entry).is_some_and(|group| kept.contains(&group));
    }
}

/// The directories above what counts count, as in an upper directory.
fn keep_parents(listing: &Listing, keep: &mut [bool], more: &[&[u8]]) {
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let kept = (0..listing.len()).filter(|at| keep[*at]).map(|at| listing.path(at));
    for mut path in kept.chain(more.iter().copied()) {
        loop {
            path = crate::folder::split(path).0;
            if path.is_empty() || !needed.insert(path) {
                break;
            }
        }
    }
    for (at, keep) in keep.iter_mut().enumerate() {
        *keep |= needed.contains(listing.path(at));
    }
}

/// Whether two entries are one in all that a layer can say, wherever their bytes are.
fn equal(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let kind = match (&a.kind, &b.kind) {
        (Kind::File { size, digest, .. }, Kind::File { size: other, digest: its, .. }) => {
            size == other && digest == its
        }
        // That the lower one hides something below it changes nothing here; an opaque upper one does.
        (Kind::Directory { .. }, Kind::Directory { opaque }) => !opaque,
        (a, b) => a == b,
    };
    kind && a.mode == b.mode && (a.uid, a.gid) == (b.uid, b.gid) && a.mtime == b.mtime && a.xattrs == b.xattrs
}
