//! The structures on disk. All numbers have their little end first.
//!
//! ```text
//! superblock  0 magic | 8 compat | 12 block bits | 14 root inode | 16 inodes 8 | 36 blocks | 40 inodes' block |
//!            48 uuid 16 | 80 incompat | 86 devices 2 | 88 first slot 2
//! slot        0 tag 64 | 64 blocks | 68 first block in the common address space
//! inode       0 format 2 | 2 xattr words 2 | 4 mode 2 | 8 size 8 | 16 block or device | 20 ino | 24 uid | 28 gid |
//!            32 seconds 8 | 40 nanoseconds | 44 links
//! dirent      0 inode 8 | 8 name's offset 2 | 10 type 1
//! xattrs      12 bytes, then each: name's length 1, prefix 1, value's length 2, name, value, to a multiple of four
//! ```

use crate::{Entry, Error, Kind, LayerId, Result, Time};
use std::fs::File;
use std::os::unix::fs::FileExt;

pub(super) const SUPERBLOCK: u64 = 1024;
pub(super) const SLOT: u64 = 128;
/// Where the slots begin; the superblock counts this in slots.
pub(super) const SLOTS: u64 = SUPERBLOCK + 128;
/// Inodes are numbered by where they stand, in steps of this.
pub(super) const STEP: u64 = 32;
pub(super) const INODE: u64 = 64;
pub(super) const DIRENT: usize = 12;
pub(super) const LONGEST_NAME: usize = 255;

const MAGIC: u32 = 0xe0f5_e1e2;
/// Every file has its own time of change.
const COMPAT_MTIME: u32 = 2;
const INCOMPAT_DEVICES: u32 = 8;
/// Whatever a file says, an image with more is none of ours.
const MOST_DEVICES: u16 = 4096;

/// What the superblock says.
pub(super) struct Super<'a> {
    pub(super) block_bits: u32,
    pub(super) uuid: [u8; 16],
    pub(super) root: u16,
    pub(super) inodes: u64,
    pub(super) blocks: u32,
    /// The block that inodes are numbered from.
    pub(super) first: u32,
    /// Whose packs are referred to, their blocks, and where they begin in the common address space.
    pub(super) devices: &'a [(LayerId, u32, u32)],
}

impl Super<'_> {
    /// All up to the first inode's block.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0; SLOTS as usize];
        let at = |offset: usize| SUPERBLOCK as usize + offset;
        let mut put = |offset: usize, bytes: &[u8]| {
            out[at(offset)..at(offset) + bytes.len()].copy_from_slice(bytes);
        };
        put(0, &MAGIC.to_le_bytes());
        put(8, &COMPAT_MTIME.to_le_bytes());
        put(12, &[self.block_bits as u8]);
        put(14, &self.root.to_le_bytes());
        put(16, &self.inodes.to_le_bytes());
        put(36, &self.blocks.to_le_bytes());
        put(40, &self.first.to_le_bytes());
        put(48, &self.uuid);
        if !self.devices.is_empty() {
            put(80, &INCOMPAT_DEVICES.to_le_bytes());
            put(86, &(self.devices.len() as u16).to_le_bytes());
            put(88, &((SLOTS / SLOT) as u16).to_le_bytes());
        }
        for (layer, blocks, start) in self.devices {
            let mut slot = [0; SLOT as usize];
            let tag = layer.to_string();
            slot[..tag.len()].copy_from_slice(tag.as_bytes());
            slot[64..68].copy_from_slice(&blocks.to_le_bytes());
            slot[68..72].copy_from_slice(&start.to_le_bytes());
            out.extend_from_slice(&slot);
        }
        out
    }
}

/// The layers whose packs an image of ours refers to, in the order in which a mount wants them.
///
/// # Errors
/// [`Error::Io`] where it cannot be read, [`Error::Image`] for what is no such image.
pub fn read_devices(image: &File) -> Result<Vec<LayerId>> {
    let unread = |error| Error::io("read the", b"image", error);
    let mut head = [0; 128];
    image.read_exact_at(&mut head, SUPERBLOCK).map_err(unread)?;
    let wrong = |reason| Error::Image { reason };
    if head[..4] != MAGIC.to_le_bytes() {
        return Err(wrong("it has another format"));
    }
    let count = u16::from_le_bytes([head[86], head[87]]);
    if count > MOST_DEVICES {
        return Err(wrong("it has too many devices"));
    }
    let mut slots = vec![0; usize::from(count) * SLOT as usize];
    image.read_exact_at(&mut slots, SLOTS).map_err(unread)?;
    let id = |slot: &[u8]| {
        let tag = std::str::from_utf8(&slot[..32]).ok().and_then(|tag| tag.parse().ok());
        tag.ok_or(wrong("a device's tag is no layer id"))
    };
    slots.chunks(SLOT as usize).map(id).collect()
}

/// How a file's bytes are found.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// A run of blocks.
    Plain = 0,
    /// Right behind the inode.
    Inline = 2,
}

/// What an inode says besides its entry's own attributes.
pub(super) struct Inode<'a> {
    pub(super) mode: u32,
    pub(super) entry: &'a Entry<'a>,
    pub(super) layout: Layout,
    pub(super) size: u64,
    /// The first block, or a device's numbers.
    pub(super) place: u32,
    pub(super) number: u64,
    pub(super) links: u32,
}

impl Inode<'_> {
    pub(super) fn put(&self, out: &mut Vec<u8>, xattrs: &[u8]) {
        let Time { seconds, nanoseconds } = self.entry.mtime;
        let words = if xattrs.is_empty() { 0 } else { (xattrs.len() - 12) / 4 + 1 };
        let start = out.len();
        out.extend_from_slice(&(1 | (self.layout as u16) << 1).to_le_bytes());
        out.extend_from_slice(&(words as u16).to_le_bytes());
        out.extend_from_slice(&(self.mode as u16).to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.size.to_le_bytes());
        out.extend_from_slice(&self.place.to_le_bytes());
        out.extend_from_slice(&(self.number as u32).to_le_bytes());
        out.extend_from_slice(&self.entry.uid.to_le_bytes());
        out.extend_from_slice(&self.entry.gid.to_le_bytes());
        out.extend_from_slice(&seconds.to_le_bytes());
        out.extend_from_slice(&nanoseconds.to_le_bytes());
        out.extend_from_slice(&self.links.to_le_bytes());
        out.resize(start + INODE as usize, 0);
        out.extend_from_slice(xattrs);
    }
}

/// The type and the permission bits of an entry.
pub(super) fn mode(entry: &Entry<'_>) -> u32 {
    let kind = match entry.kind {
        Kind::Directory { .. } => 0o040_000,
        Kind::File { .. } => 0o100_000,
        Kind::Symlink { .. } => return 0o120_777,
        Kind::CharDevice { .. } => 0o020_000,
        Kind::Whiteout => return 0o020_000,
        Kind::BlockDevice { .. } => 0o060_000,
        Kind::Fifo => 0o010_000,
    };
    kind | entry.mode & 0o7777
}

/// The type as a directory tells it.
pub(super) fn kind(entry: &Entry<'_>) -> u8 {
    match entry.kind {
        Kind::File { .. } => 1,
        Kind::Directory { .. } => 2,
        Kind::CharDevice { .. } | Kind::Whiteout => 3,
        Kind::BlockDevice { .. } => 4,
        Kind::Fifo => 5,
        Kind::Symlink { .. } => 7,
    }
}

/// A device's numbers as Linux packs them, where they fit.
pub(super) fn device(major: u32, minor: u32) -> Option<u32> {
    let fits = major < 1 << 12 && minor < 1 << 20;
    fits.then_some(minor & 0xff | major << 8 | (minor & !0xff) << 12)
}

/// Extended attributes as they stand behind an inode; nothing where there are none. Those of kinds that the file system
/// has no place for are left to the listing.
pub(super) fn xattrs(out: &mut Vec<u8>, entry: &Entry<'_>) -> Result<()> {
    out.clear();
    let opaque = matches!(entry.kind, Kind::Directory { opaque: true });
    if !opaque && entry.xattrs.is_empty() {
        return Ok(());
    }
    out.resize(12, 0);
    if opaque {
        put_xattr(out, 4, b"overlay.opaque", b"y");
    }
    for (name, value) in &*entry.xattrs {
        let Some((prefix, rest)) = prefix(name) else { continue };
        if rest.len() > LONGEST_NAME || value.len() > usize::from(u16::MAX) {
            return Err(unfit(entry, "an extended attribute is too large"));
        }
        put_xattr(out, prefix, rest, value);
    }
    match out.len() {
        12 => out.clear(),
        length if (length - 12) / 4 + 1 > usize::from(u16::MAX) => {
            return Err(unfit(entry, "its extended attributes are too large"));
        }
        _ => {}
    }
    Ok(())
}

fn put_xattr(out: &mut Vec<u8>, prefix: u8, name: &[u8], value: &[u8]) {
    out.extend_from_slice(&[name.len() as u8, prefix]);
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The number of a name's prefix, and the rest of the name.
fn prefix(name: &[u8]) -> Option<(u8, &[u8])> {
    match name {
        b"system.posix_acl_access" => return Some((2, b"")),
        b"system.posix_acl_default" => return Some((3, b"")),
        _ => {}
    }
    let prefixes: [(u8, &[u8]); 3] = [(1, b"user."), (4, b"trusted."), (6, b"security.")];
    prefixes.into_iter().find_map(|(number, prefix)| Some((number, name.strip_prefix(prefix)?)))
}

pub(super) fn unfit(entry: &Entry<'_>, reason: &'static str) -> Error {
    Error::Unfit { path: crate::error::shown(&entry.path), action: "put into an image", reason }
}

/// The attributes of the root, which no listing has.
pub(super) fn root() -> Entry<'static> {
    Entry {
        path: Vec::new().into(),
        kind: Kind::Directory { opaque: false },
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        xattrs: Vec::new().into(),
    }
}
