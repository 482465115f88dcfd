//! Whether two builds of the same made the same: their layers, entry by entry.

use crate::Result;
use layer::{Entry, Kind, LayerId, Time};
use snapshot::Forms;
use std::collections::BTreeMap;

/// A file that two builds made differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which layer of the image, counted from 0 with the base's.
    pub layer: usize,
    /// The path in the image.
    pub path: String,
    /// What differs, with both values.
    pub what: String,
}

/// What differs between two stacks: the first `most` files, and how many in all. With `latest` times after it count as
/// that time, as `rewrite-timestamp` makes them.
///
/// # Errors
/// A layer's files cannot be had.
pub fn differences(
    forms: &Forms,
    (first, second): (&[LayerId], &[LayerId]),
    latest: Option<Time>,
    most: usize,
) -> Result<(Vec<Difference>, usize)> {
    let (mut found, mut count) = (Vec::new(), 0);
    let mut tell = |layer: usize, path: &[u8], what: String| {
        count += 1;
        if found.len() < most {
            found.push(Difference { layer, path: format!("/{}", String::from_utf8_lossy(path)), what });
        }
    };
    for (at, (one, other)) in first.iter().zip(second).enumerate() {
        if one == other {
            continue;
        }
        let listing = |id: &LayerId| Ok::<_, crate::Error>(forms.view(&[*id])?.layers()[0].clone());
        let (one, other) = (listing(one)?, listing(other)?);
        let mut others: BTreeMap<&[u8], usize> = (0..other.len()).map(|at| (other.path(at), at)).collect();
        for entry in one.entries() {
            match others.remove(&entry.path[..]) {
                None => tell(at, &entry.path, "is only in the first build".to_owned()),
                Some(it) => {
                    if let Some(what) = difference(&entry, &other.entry(it), latest) {
                        tell(at, &entry.path, what);
                    }
                }
            }
        }
        for path in others.keys() {
            tell(at, path, "is only in the second build".to_owned());
        }
    }
    if first.len() != second.len() {
        tell(first.len().min(second.len()), b"", "one build has more layers than the other".to_owned());
    }
    Ok((found, count))
}

fn difference(one: &Entry<'_>, other: &Entry<'_>, latest: Option<Time>) -> Option<String> {
    let kind = |entry: &Entry<'_>| match &entry.kind {
        Kind::Directory { .. } => "a directory".to_owned(),
        Kind::File { .. } => "a file".to_owned(),
        Kind::Symlink { target } => format!("a link to {}", String::from_utf8_lossy(target)),
        Kind::CharDevice { major, minor } => format!("a character device {major}:{minor}"),
        Kind::BlockDevice { major, minor } => format!("a block device {major}:{minor}"),
        Kind::Fifo => "a pipe".to_owned(),
        Kind::Whiteout => "removed".to_owned(),
    };
    let (was, is) = (kind(one), kind(other));
    if was != is {
        return Some(format!("is {was}, and {is} the second time"));
    }
    if let (Kind::File { digest: a, size: x, .. }, Kind::File { digest: b, size: y, .. }) =
        (&one.kind, &other.kind)
        && a != b
    {
        return Some(match x == y {
            true => format!("has another content of {x} bytes"),
            false => format!("has another content: {x} bytes, and {y} the second time"),
        });
    }
    if one.mode != other.mode {
        return Some(format!("has the mode {:04o}, and {:04o} the second time", one.mode, other.mode));
    }
    if (one.uid, one.gid) != (other.uid, other.gid) {
        let (a, b) = (format!("{}:{}", one.uid, one.gid), format!("{}:{}", other.uid, other.gid));
        return Some(format!("belongs to {a}, and to {b} the second time"));
    }
    if one.xattrs != other.xattrs {
        return Some("has other extended attributes".to_owned());
    }
    let time = |entry: &Entry<'_>| latest.map_or(entry.mtime, |latest| entry.mtime.min(latest));
    let (a, b) = (time(one), time(other));
    (a != b).then(|| format!("has the time {}, and {} the second time", shown(a), shown(b)))
}

fn shown(time: Time) -> String {
    let since = std::time::Duration::new(u64::try_from(time.seconds).unwrap_or(0), time.nanoseconds);
    oci::timestamp::rfc3339(std::time::UNIX_EPOCH + since)
}
