//! A layer's listing: every path the layer sets or removes.
//!
//! Paths are relative bytes without a leading or trailing slash (`usr/bin/env`); the root itself is not listed.
//! Entries are sorted so that a directory stands directly before all that is below it: paths compare as bytes with
//! `/` lower than every other byte. So a subtree is one slice and every look-up is a binary search.

mod builder;
mod columns;
mod table;

pub use builder::ListingBuilder;
pub use table::{Entries, Listing};

use oci::Digest;
use std::borrow::Cow;
use std::cmp::Ordering;

/// An extended attribute: its full name (`security.capability`) and its value.
pub type Xattr = (Box<[u8]>, Box<[u8]>);

/// One path of a layer, with texts of its own (`'static`) or those of the [`Listing`] that it was asked of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path, relative to the root.
    pub path: Cow<'a, [u8]>,
    /// What stands there.
    pub kind: Kind<'a>,
    /// The permission bits with setuid, setgid and sticky: `mode & 0o7777`.
    pub mode: u32,
    /// The owner inside the image.
    pub uid: u32,
    /// The group inside the image.
    pub gid: u32,
    /// The time of the last change of the content.
    pub mtime: Time,
    /// Extended attributes, sorted by name; none of overlayfs's own.
    pub xattrs: Cow<'a, [Xattr]>,
}

/// What stands at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory. An opaque one hides what lower layers have below it.
    Directory {
        /// Whether lower layers' children are hidden.
        opaque: bool,
    },
    /// A regular file.
    File {
        /// Its size in bytes.
        size: u64,
        /// The digest of its bytes.
        digest: Digest,
        /// Files of this layer with the same number (not 0) are one file under several names.
        link: u32,
        /// Where the store has its bytes.
        content: Content<'a>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points, as written.
        target: Cow<'a, [u8]>,
    },
    /// A character device.
    CharDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Its major number.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// Nothing stands here any more, whatever lower layers have.
    Whiteout,
}

/// Where a file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// In this layer.
    Own(Place<'a>),
    /// In another layer, which this one keeps alive: an index into [`Listing::borrowed`].
    Borrowed {
        /// Which of the borrowed layers.
        layer: u32,
        /// Where in it.
        place: Place<'a>,
    },
}

/// Where in a layer a file's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// In its folder, at the entry's own path.
    Folder,
    /// In its folder, at another path than the entry's.
    FolderAt(Cow<'a, [u8]>),
    /// In its pack file, at this offset, for the entry's size.
    Pack(u64),
}

/// A point in time: seconds since 1970 and nanoseconds below 1,000,000,000.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since 1970-01-01T00:00:00Z; may be negative.
    pub seconds: i64,
    /// Nanoseconds after that second.
    pub nanoseconds: u32,
}

/// The order of a listing: bytes, with `/` below all others.
#[must_use]
pub fn compare_paths(a: &[u8], b: &[u8]) -> Ordering {
    let differs = a.iter().zip(b).position(|(x, y)| x != y);
    match differs {
        None => a.len().cmp(&b.len()),
        Some(at) => match (a[at], b[at]) {
            (b'/', _) => Ordering::Less,
            (_, b'/') => Ordering::Greater,
            (x, y) => x.cmp(&y),
        },
    }
}

/// Whether `path` lies below `dir` (not `dir` itself); everything lies below the root, which is empty.
#[must_use]
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    if dir.is_empty() {
        return !path.is_empty();
    }
    path.len() > dir.len() && path[dir.len()] == b'/' && path.starts_with(dir)
}

impl Entry<'_> {
    /// Whether this is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory { .. })
    }

    /// The size of a regular file's content, 0 for all else.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size, .. } => size,
            _ => 0,
        }
    }

    /// The last component of the path.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.path.rsplit(|b| *b == b'/').next().unwrap_or(&self.path)
    }

    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Entry<'static> {
        let Self { path, kind, mode, uid, gid, mtime, xattrs } = self;
        let path = path.into_owned().into();
        Entry { path, kind: kind.into_owned(), mode, uid, gid, mtime, xattrs: xattrs.into_owned().into() }
    }
}

impl Kind<'_> {
    /// The same with texts of its own.
    #[must_use]
    pub fn into_owned(self) -> Kind<'static> {
        match self {
            Self::Directory { opaque } => Kind::Directory { opaque },
            Self::File { size, digest, link, content } => {
                let content = match content {
                    Content::Own(place) => Content::Own(place.into_owned()),
                    Content::Borrowed { layer, place } => {
                        Content::Borrowed { layer, place: place.into_owned() }
                    }
                };
                Kind::File { size, digest, link, content }
            }
            Self::Symlink { target } => Kind::Symlink { target: target.into_owned().into() },
            Self::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            Self::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            Self::Fifo => Kind::Fifo,
            Self::Whiteout => Kind::Whiteout,
        }
    }
}

impl Place<'_> {
    fn into_owned(self) -> Place<'static> {
        match self {
            Self::Folder => Place::Folder,
            Self::FolderAt(path) => Place::FolderAt(path.into_owned().into()),
            Self::Pack(offset) => Place::Pack(offset),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn file(path: &str, text: &str) -> Entry<'static> {
        let content = Content::Own(Place::Folder);
        let kind =
            Kind::File { size: text.len() as u64, digest: Digest::of(text.as_bytes()), link: 0, content };
        entry(path, kind)
    }

    pub(crate) fn dir(path: &str, opaque: bool) -> Entry<'static> {
        entry(path, Kind::Directory { opaque })
    }

    pub(crate) fn entry(path: &str, kind: Kind<'static>) -> Entry<'static> {
        let time = Time { seconds: 7, nanoseconds: 8 };
        Entry {
            path: path.as_bytes().to_vec().into(),
            kind,
            mode: 0o755,
            uid: 1,
            gid: 2,
            mtime: time,
            xattrs: Vec::new().into(),
        }
    }

    #[test]
    fn a_subtree_is_one_slice() {
        let listing = Listing::new(
            vec![
                file("a-b", ""),
                file("a/z", ""),
                dir("a", false),
                file("a/b/c", ""),
                dir("a/b", false),
                file("a.b", ""),
            ],
            Vec::new(),
        );
        let paths = |entries: Entries<'_>| {
            entries.map(|e| String::from_utf8_lossy(&e.path).into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(paths(listing.entries()), "a a/b a/b/c a/z a-b a.b");
        assert_eq!(paths(listing.below(b"a")), "a/b a/b/c a/z");
        assert_eq!(paths(listing.below(b"a/b")), "a/b/c");
        assert_eq!(paths(listing.below(b"nothing")), "");
        assert!(listing.get(b"a.b").is_some());
    }

    #[test]
    fn the_last_of_equal_paths_counts() {
        let listing = Listing::new(vec![file("x", "old"), file("a", ""), file("x", "newer")], Vec::new());
        assert_eq!(listing.get(b"x").unwrap().size(), 5);
        assert_eq!(listing.entries().len(), 2);
    }
}
