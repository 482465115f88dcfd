//! Entries in columns.
//!
//! A context may have millions of files. So texts lie one after the other in one buffer, what most entries have in
//! common (type, mode, owner, attributes) is kept once as a *look*, and a row holds the rest: 80 bytes and the path.
//! An [`Entry`] is put together when it is asked for and borrows its texts.

use super::{Content, Entry, Kind, Place, Time, Xattr};
use oci::Digest;
use std::borrow::Cow;
use std::collections::HashMap;

/// Entries in the order in which they were added.
#[derive(Clone, Default)]
pub(super) struct Table {
    /// All paths one after the other.
    pub(super) paths: Vec<u8>,
    pub(super) rows: Vec<Row>,
    pub(super) looks: Looks,
    /// Targets of links, and other paths in folders.
    pub(super) texts: Vec<Box<[u8]>>,
}

/// What an entry has for itself.
#[derive(Clone)]
pub(super) struct Row {
    /// Where its path ends; it begins where that of the row before does.
    pub(super) end: usize,
    /// The size of a file, the number of a link's target among the texts, major and minor number of a device.
    pub(super) value: u64,
    seconds: i64,
    nanoseconds: u32,
    pub(super) look: u32,
    pub(super) link: u32,
    layer: u32,
    /// The offset in a pack, or the number of the path in a folder among the texts.
    place: u64,
    digest: Digest,
}

/// What many entries have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Look {
    pub(super) form: Form,
    mode: u32,
    uid: u32,
    gid: u32,
    xattrs: Vec<Xattr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    Directory { opaque: bool },
    File { borrowed: bool, way: Way },
    Symlink,
    CharDevice,
    BlockDevice,
    Fifo,
    Whiteout,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    Folder,
    FolderAt,
    Pack,
}

/// The looks, each once.
#[derive(Clone, Default)]
pub(super) struct Looks {
    pub(super) list: Vec<Look>,
    numbers: HashMap<Look, u32>,
}

/// So many of the last looks are compared before the map is asked.
const RECENT: usize = 8;

impl Looks {
    fn number(&mut self, form: Form, entry: &Entry<'_>) -> u32 {
        let same = |look: &Look| {
            look.form == form
                && (look.mode, look.uid, look.gid) == (entry.mode, entry.uid, entry.gid)
                && look.xattrs == *entry.xattrs
        };
        let recent = self.list.len().saturating_sub(RECENT);
        if let Some(at) = self.list[recent..].iter().rposition(same) {
            return (recent + at) as u32;
        }
        let xattrs = entry.xattrs.to_vec();
        let look = Look { form, mode: entry.mode, uid: entry.uid, gid: entry.gid, xattrs };
        if let Some(number) = self.numbers.get(&look) {
            return *number;
        }
        let number = self.list.len() as u32;
        self.list.push(look.clone());
        self.numbers.insert(look, number);
        number
    }
}

impl Table {
    pub(super) fn path(&self, at: usize) -> &[u8] {
        let start = at.checked_sub(1).map_or(0, |before| self.rows[before].end);
        &self.paths[start..self.rows[at].end]
    }

    pub(super) fn entry(&self, at: usize) -> Entry<'_> {
        let row = &self.rows[at];
        let look = &self.looks.list[row.look as usize];
        let text = |number: u64| Cow::Borrowed(&*self.texts[number as usize]);
        let device = || ((row.value >> 32) as u32, row.value as u32);
        let kind = match look.form {
            Form::Directory { opaque } => Kind::Directory { opaque },
            Form::File { borrowed, way } => {
                let place = match way {
                    Way::Folder => Place::Folder,
                    Way::FolderAt => Place::FolderAt(text(row.place)),
                    Way::Pack => Place::Pack(row.place),
                };
                let content = match borrowed {
                    true => Content::Borrowed { layer: row.layer, place },
                    false => Content::Own(place),
                };
                Kind::File { size: row.value, digest: row.digest, link: row.link, content }
            }
            Form::Symlink => Kind::Symlink { target: text(row.value) },
            Form::CharDevice => {
                let (major, minor) = device();
                Kind::CharDevice { major, minor }
            }
            Form::BlockDevice => {
                let (major, minor) = device();
                Kind::BlockDevice { major, minor }
            }
            Form::Fifo => Kind::Fifo,
            Form::Whiteout => Kind::Whiteout,
        };
        Entry {
            path: Cow::Borrowed(self.path(at)),
            kind,
            mode: look.mode,
            uid: look.uid,
            gid: look.gid,
            mtime: Time { seconds: row.seconds, nanoseconds: row.nanoseconds },
            xattrs: Cow::Borrowed(&look.xattrs),
        }
    }

    fn text(&mut self, text: &[u8]) -> u64 {
        self.texts.push(text.into());
        self.texts.len() as u64 - 1
    }

    /// What is kept of `entry`, whose path ends at `end`.
    fn row(&mut self, entry: &Entry<'_>, end: usize) -> Row {
        let (mut value, mut link, mut layer, mut place) = (0, 0, 0, 0);
        let mut digest = Digest::from_bytes([0; 32]);
        let form = match &entry.kind {
            Kind::Directory { opaque } => Form::Directory { opaque: *opaque },
            Kind::File { size, digest: of, link: group, content } => {
                (value, digest, link) = (*size, *of, *group);
                let (borrowed, at) = match content {
                    Content::Own(at) => (false, at),
                    Content::Borrowed { layer: from, place: at } => {
                        layer = *from;
                        (true, at)
                    }
                };
                let way = match at {
                    Place::Folder => Way::Folder,
                    Place::FolderAt(path) => {
                        place = self.text(path);
                        Way::FolderAt
                    }
                    Place::Pack(offset) => {
                        place = *offset;
                        Way::Pack
                    }
                };
                Form::File { borrowed, way }
            }
            Kind::Symlink { target } => {
                value = self.text(target);
                Form::Symlink
            }
            Kind::CharDevice { major, minor } => {
                value = u64::from(*major) << 32 | u64::from(*minor);
                Form::CharDevice
            }
            Kind::BlockDevice { major, minor } => {
                value = u64::from(*major) << 32 | u64::from(*minor);
                Form::BlockDevice
            }
            Kind::Fifo => Form::Fifo,
            Kind::Whiteout => Form::Whiteout,
        };
        let look = self.looks.number(form, entry);
        let Time { seconds, nanoseconds } = entry.mtime;
        Row { end, value, seconds, nanoseconds, look, link, layer, place, digest }
    }

    pub(super) fn push(&mut self, entry: &Entry<'_>) {
        self.paths.extend_from_slice(&entry.path);
        let row = self.row(entry, self.paths.len());
        self.rows.push(row);
    }

    pub(super) fn set(&mut self, at: usize, entry: &Entry<'_>) {
        self.rows[at] = self.row(entry, self.rows[at].end);
    }

    /// The same rows in another order, or some of them.
    pub(super) fn picked(self, order: impl ExactSizeIterator<Item = usize>) -> Self {
        let mut paths = Vec::with_capacity(self.paths.len());
        let mut rows = Vec::with_capacity(order.len());
        for at in order {
            paths.extend_from_slice(self.path(at));
            rows.push(Row { end: paths.len(), ..self.rows[at].clone() });
        }
        Self { paths, rows, looks: self.looks, texts: self.texts }
    }
}
