//! Digests of what files are, for cache keys.
//!
//! | in | out |
//! |---|---|
//! | path relative to the prefix, kind, permission bits | times: a checkout changes them and no step should run for it |
//! | size and digest of a file, target of a link, device numbers, xattrs | where the bytes lie, link groups: COPY does not keep them |
//! | owner and group, if asked (a snapshot's are part of it, the user's own are not) | which layer has it |
//!
//! ```text
//! sha256( "jettison.files.1\0" with-owner(1 byte) entry* )
//! entry: path kind(1 byte) mode [uid gid] xattr-count (name value)* rest
//! rest: file: size digest(32) | link: target | device: major minor | else nothing
//! ```
//! Byte strings have their length before them; all numbers are eight bytes, little end first.

use crate::{Entry, Kind};
use oci::{Digest, Hasher};

/// The digest of entries in the order given, each with its path from after `prefix` (and the slash after it). An entry
/// whose path is `prefix` itself has the empty path. `with_owner` takes owner and group in.
#[must_use]
pub fn digest_of<'a>(
    entries: impl IntoIterator<Item = Entry<'a>>,
    prefix: &[u8],
    with_owner: bool,
) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(b"jettison.files.1\0");
    hasher.update(&[u8::from(with_owner)]);
    let mut text = Vec::with_capacity(512);
    for entry in entries {
        text.clear();
        encode(&mut text, &entry, relative(&entry.path, prefix), with_owner);
        hasher.update(&text);
    }
    hasher.finish()
}

fn relative<'a>(path: &'a [u8], prefix: &[u8]) -> &'a [u8] {
    if prefix.is_empty() {
        return path;
    }
    match path.strip_prefix(prefix) {
        Some([]) => b"",
        Some([b'/', rest @ ..]) => rest,
        _ => path,
    }
}

fn encode(out: &mut Vec<u8>, entry: &Entry<'_>, path: &[u8], with_owner: bool) {
    bytes(out, path);
    out.push(match entry.kind {
        Kind::Directory { opaque: false } => 0,
        Kind::Directory { opaque: true } => 1,
        Kind::File { .. } => 2,
        Kind::Symlink { .. } => 3,
        Kind::CharDevice { .. } => 4,
        Kind::BlockDevice { .. } => 5,
        Kind::Fifo => 6,
        Kind::Whiteout => 7,
    });
    number(out, entry.mode);
    if with_owner {
        number(out, entry.uid);
        number(out, entry.gid);
    }
    number(out, entry.xattrs.len() as u64);
    for (name, value) in &*entry.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    match &entry.kind {
        Kind::File { size, digest, .. } => {
            number(out, *size);
            out.extend_from_slice(digest.as_bytes());
        }
        Kind::Symlink { target } => bytes(out, target),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            number(out, *major);
            number(out, *minor);
        }
        Kind::Directory { .. } | Kind::Fifo | Kind::Whiteout => {}
    }
}

fn number(out: &mut Vec<u8>, value: impl Into<u64>) {
    out.extend_from_slice(&value.into().to_le_bytes());
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::{dir, entry, file};
    use crate::{Content, Place, Time};

    #[test]
    fn the_same_files_elsewhere_and_at_another_time_are_equal() {
        let here = [dir("a", false), file("a/x", "1")];
        let mut there = [dir("src/b", false), file("src/b/x", "1")];
        there[1].mtime = Time { seconds: 99, nanoseconds: 1 };
        there[0].uid = 77;
        let Kind::File { content, link, .. } = &mut there[1].kind else { unreachable!() };
        (*content, *link) = (Content::Own(Place::Pack(9)), 4);
        assert_eq!(digest_of(here.clone(), b"a", false), digest_of(there.clone(), b"src/b", false));
        assert_ne!(digest_of(here.clone(), b"a", true), digest_of(there.clone(), b"src/b", true));
        assert_ne!(digest_of(here.clone(), b"", false), digest_of(there.clone(), b"", false));
    }

    #[test]
    fn every_part_that_counts_changes_it() {
        let base = || file("x", "1");
        let mut others = vec![file("y", "1"), file("x", "2"), dir("x", false), entry("x", Kind::Fifo)];
        others.push(entry("x", Kind::Symlink { target: b"t"[..].into() }));
        others.push(Entry { mode: 0o644, ..base() });
        others.push(Entry { xattrs: vec![(b"a"[..].into(), b"b"[..].into())].into(), ..base() });
        let mut digests = vec![digest_of([base()], b"", false), digest_of([], b"", false)];
        digests.extend(others.into_iter().map(|other| digest_of([other], b"", false)));
        let count = digests.len();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), count);
    }
}
