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
    let entries = tree.entries();
    let mut keep = vec![false; entries.len()];
    let mut removed: Vec<Entry> = Vec::new();
    // What is below a lower directory that is gone or is no directory now needs no whiteout of its own.
    let mut hidden: Option<&[u8]> = None;
    let mut gone = |path: &[u8], hidden: Option<&[u8]>| {
        let covered = hidden.is_some_and(|hidden| is_below(path, hidden));
        if !covered {
            removed.push(whiteout(path.into()));
        }
        !covered
    };
    for (at, entry) in entries.iter().enumerate() {
        let mut same = false;
        while let Some(found) = lower.peek() {
            match crate::compare_paths(&found.entry.path, &entry.path) {
                std::cmp::Ordering::Less => {
                    if gone(&found.entry.path, hidden) {
                        hidden = Some(&found.entry.path);
                    }
                    lower.next();
                }
                std::cmp::Ordering::Equal => {
                    same = equal(found.entry, entry);
                    if found.entry.is_directory() && !entry.is_directory() {
                        hidden = Some(&found.entry.path);
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
        if gone(&found.entry.path, hidden) {
            hidden = Some(&found.entry.path);
        }
    }
    keep_groups(entries, &mut keep);
    let changed: Vec<&[u8]> = removed.iter().map(|entry| &*entry.path).collect();
    keep_parents(entries, &mut keep, &changed);
    let kept = entries.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(entry, _)| entry.clone());
    let mut all: Vec<Entry> = kept.chain(removed).collect();
    crate::links::renumber(&mut all);
    Listing::new(all, tree.borrowed().to_vec())
}

/// Drops entries of an upper directory that are as they are below: what was copied up and not changed. A directory
/// stays if anything below it does. `touched` are the paths that a scan excluded: making those mount points changed
/// the time of their parents and nothing else, which does not count.
#[must_use]
pub fn prune_unchanged(upper: Listing, parent: &View, touched: &[Box<[u8]>]) -> Listing {
    let entries = upper.entries();
    let mounts: HashSet<&[u8]> = touched.iter().map(|path| crate::folder::split(path).0).collect();
    let mut keep: Vec<bool> = entries
        .iter()
        .map(|entry| {
            let Some(found) = parent.get(&entry.path) else {
                // A whiteout of nothing hides nothing.
                return entry.kind != Kind::Whiteout;
            };
            if mounts.contains(&*entry.path) && entry.is_directory() {
                let mut timeless = entry.clone();
                timeless.mtime = found.entry.mtime;
                return !equal(found.entry, &timeless);
            }
            !equal(found.entry, entry)
        })
        .collect();
    keep_groups(entries, &mut keep);
    keep_parents(entries, &mut keep, &[]);
    if keep.iter().all(|keep| *keep) {
        return upper;
    }
    let (entries, borrowed) = upper.into_parts();
    let mut kept: Vec<Entry> =
        entries.into_iter().zip(keep).filter_map(|(entry, keep)| keep.then_some(entry)).collect();
    crate::links::renumber(&mut kept);
    Listing::new(kept, borrowed)
}

/// If one name of a link group counts, all do: a link needs its other end in the same layer.
fn keep_groups(entries: &[Entry], keep: &mut [bool]) {
    let group = |entry: &Entry| match entry.kind {
        Kind::File { link, .. } if link != 0 => Some(link),
        _ => None,
    };
    let kept: HashSet<u32> =
        entries.iter().zip(&*keep).filter(|(_, keep)| **keep).filter_map(|(entry, _)| group(entry)).collect();
    for (entry, keep) in entries.iter().zip(keep) {
        *keep |= group(entry).is_some_and(|group| kept.contains(&group));
    }
}

/// The directories above what counts count, as in an upper directory.
fn keep_parents(entries: &[Entry], keep: &mut [bool], more: &[&[u8]]) {
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let kept = entries.iter().zip(&*keep).filter(|(_, keep)| **keep).map(|(entry, _)| &*entry.path);
    for mut path in kept.chain(more.iter().copied()) {
        loop {
            path = crate::folder::split(path).0;
            if path.is_empty() || !needed.insert(path) {
                break;
            }
        }
    }
    for (entry, keep) in entries.iter().zip(keep) {
        *keep |= needed.contains(&*entry.path);
    }
}

/// Whether two entries are one in all that a layer can say, wherever their bytes are.
fn equal(a: &Entry, b: &Entry) -> bool {
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
