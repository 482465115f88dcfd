//! From a listing and the bytes of its files to a tar: the blob form of a layer.
//!
//! The bytes depend on the listing and the files alone, so a later push makes the same blob. Members come in the
//! order of the listing, parents first. Headers are ustar; a pax header stands before a member only for what ustar
//! cannot say: a name that is long or not ASCII, attributes, large numbers. Times are whole seconds, as in the layers
//! of other builders: a fraction would cost every file a kilobyte. The first name of a link group carries the bytes, the others are links to it. A whiteout is an empty file `.wh.NAME`, an opaque
//! directory has an empty `.wh..wh..opq` after it (image-spec, layer.md). No user names, no access times.

use super::{BLOCK, header, pax};
use crate::error::shown;
use crate::output::Output;
use crate::{ContentSource, Entry, Error, Kind, Listing, Result, Time};
use std::collections::HashMap;
use std::io::Write;

/// The version of the bytes that [`write_tar`] makes. It changes when they do, and is kept with every diff id, so that
/// a later version knows how to make the same blob again.
///
/// | version | what differed |
/// |---|---|
/// | 1 | times had their fractions of a second, in pax headers |
/// | 2 | |
pub const WRITER_VERSION: u32 = 2;

/// Writes the layer's tar to `out`, which needs no buffer around it; gives its size in bytes.
///
/// # Errors
/// [`Error::Unfit`] for a name that a layer cannot hold (`.wh.` names), [`Error::Changed`] for a file whose size is
/// not the listing's, [`Error::Io`] where reading or writing fails.
pub fn write_tar(listing: &Listing, content: &mut dyn ContentSource, out: &mut dyn Write) -> Result<u64> {
    write_tar_as(WRITER_VERSION, listing, content, out)
}

/// [`write_tar`] with the bytes of an earlier version, for a layer whose diff id is known by it.
///
/// # Errors
/// As those of [`write_tar`].
pub fn write_tar_as(
    version: u32,
    listing: &Listing,
    content: &mut dyn ContentSource,
    out: &mut dyn Write,
) -> Result<u64> {
    let mut writer = Writer { out: Output::new(out, "layer archive"), fractions: version == 1 };
    let mut first: HashMap<u32, usize> = HashMap::new();
    for (at, entry) in listing.entries().enumerate() {
        if entry.name().starts_with(b".wh.") {
            let (path, action) = (shown(&entry.path), "written to a layer archive");
            return Err(Error::Unfit { path, action, reason: "`.wh.` names mean removed files there" });
        }
        match &entry.kind {
            Kind::File { link, .. } if *link != 0 => match first.get(link) {
                Some(target) => writer.header(&entry, &entry.path, b'1', 0, listing.path(*target), (0, 0))?,
                None => {
                    first.insert(*link, at);
                    writer.file(&entry, content)?;
                }
            },
            Kind::File { .. } => writer.file(&entry, content)?,
            Kind::Directory { opaque } => {
                let path = [&*entry.path, b"/"].concat();
                writer.header(&entry, &path, b'5', 0, b"", (0, 0))?;
                if *opaque {
                    let path = [&path, &b".wh..wh..opq"[..]].concat();
                    writer.header(&crate::unpack::whiteout(Vec::new()), &path, b'0', 0, b"", (0, 0))?;
                }
            }
            Kind::Symlink { target } => writer.header(&entry, &entry.path, b'2', 0, target, (0, 0))?,
            Kind::CharDevice { major, minor } => {
                writer.header(&entry, &entry.path, b'3', 0, b"", (*major, *minor))?;
            }
            Kind::BlockDevice { major, minor } => {
                writer.header(&entry, &entry.path, b'4', 0, b"", (*major, *minor))?;
            }
            Kind::Fifo => writer.header(&entry, &entry.path, b'6', 0, b"", (0, 0))?,
            Kind::Whiteout => {
                let (parent, name) = crate::folder::split(&entry.path);
                let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
                writer.header(&entry, &[parent, slash, b".wh.", name].concat(), b'0', 0, b"", (0, 0))?;
            }
        }
    }
    writer.out.put(&[0; 2 * BLOCK])?;
    writer.out.finish()
}

struct Writer<'a> {
    out: Output<'a>,
    /// Whether times have their fractions of a second.
    fractions: bool,
}

impl Writer<'_> {
    fn file(&mut self, entry: &Entry<'_>, content: &mut dyn ContentSource) -> Result<()> {
        let size = entry.size();
        self.header(entry, &entry.path, b'0', size, b"", (0, 0))?;
        if size > 0 {
            self.out.copy(entry, content)?;
            self.out.zeros_to_multiple(BLOCK as u64);
        }
        Ok(())
    }

    fn header(
        &mut self,
        entry: &Entry<'_>,
        path: &[u8],
        kind: u8,
        size: u64,
        link: &[u8],
        device: (u32, u32),
    ) -> Result<()> {
        let mut block = [0; BLOCK];
        let mut records = Vec::new();
        let unfit = |reason| Error::Unfit { path: shown(path), action: "written to a layer archive", reason };
        match place_name(path) {
            Some((prefix, name)) => {
                block[header::PREFIX][..prefix.len()].copy_from_slice(prefix);
                block[header::NAME][..name.len()].copy_from_slice(name);
            }
            None => {
                pax::put(&mut records, &[b"path"], path);
                put_ascii(&mut block[header::NAME], path);
            }
        }
        if link.is_ascii() && link.len() <= header::LINK.len() {
            block[header::LINK][..link.len()].copy_from_slice(link);
        } else {
            pax::put(&mut records, &[b"linkpath"], link);
            put_ascii(&mut block[header::LINK], link);
        }
        if !header::put_octal(&mut block[header::SIZE], size) {
            pax::put(&mut records, &[b"size"], size.to_string().as_bytes());
        }
        for (field, key, id) in [(header::UID, &b"uid"[..], entry.uid), (header::GID, b"gid", entry.gid)] {
            if !header::put_octal(&mut block[field], id.into()) {
                pax::put(&mut records, &[key], id.to_string().as_bytes());
            }
        }
        header::put_octal(&mut block[header::MODE], u64::from(entry.mode & 0o7777));
        let Time { seconds, nanoseconds } = entry.mtime;
        let time = Time { seconds, nanoseconds: if self.fractions { nanoseconds } else { 0 } };
        let whole = u64::try_from(seconds).unwrap_or(0);
        if !header::put_octal(&mut block[header::MTIME], whole) || seconds < 0 || time.nanoseconds != 0 {
            pax::put(&mut records, &[b"mtime"], pax::time_text(time).as_bytes());
        }
        for (field, number) in [(header::MAJOR, device.0), (header::MINOR, device.1)] {
            if !header::put_octal(&mut block[field], number.into()) {
                return Err(unfit("its device number is too large"));
            }
        }
        // A link shares its attributes with the name that it links to.
        let xattrs = if kind == b'1' { &[][..] } else { &*entry.xattrs };
        for (name, value) in xattrs {
            if name.contains(&b'=') || name.contains(&0) {
                return Err(unfit("the name of an extended attribute has an `=` or NUL"));
            }
            pax::put(&mut records, &[b"SCHILY.xattr.", name], value);
        }
        if !records.is_empty() {
            self.extended(&records)?;
        }
        block[header::TYPE] = kind;
        block[header::MAGIC].copy_from_slice(header::USTAR);
        header::put_checksum(&mut block);
        self.out.put(&block)
    }

    fn extended(&mut self, records: &[u8]) -> Result<()> {
        let mut block = [0; BLOCK];
        block[..16].copy_from_slice(b"PaxHeaders/entry");
        header::put_octal(&mut block[header::MODE], 0o644);
        for field in [header::UID, header::GID, header::MTIME, header::MAJOR, header::MINOR] {
            header::put_octal(&mut block[field], 0);
        }
        header::put_octal(&mut block[header::SIZE], records.len() as u64);
        block[header::TYPE] = b'x';
        block[header::MAGIC].copy_from_slice(header::USTAR);
        header::put_checksum(&mut block);
        self.out.put(&block)?;
        self.out.put(records)?;
        self.out.zeros_to_multiple(BLOCK as u64);
        Ok(())
    }
}

/// A path as ustar's prefix and name, if it fits.
fn place_name(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= 100 {
        return Some((b"", path));
    }
    // The name keeps at most 100 bytes and the slash of a directory; the prefix ends at a slash before that.
    let body = path.strip_suffix(b"/").unwrap_or(path);
    let slash = body.iter().enumerate().skip(path.len() - 101).find(|(_, b)| **b == b'/')?.0;
    (0 < slash && slash <= 155).then(|| (&path[..slash], &path[slash + 1..]))
}

/// What a reader without pax sees: the start of the name in ASCII.
fn put_ascii(field: &mut [u8], text: &[u8]) {
    for (to, from) in field.iter_mut().zip(text) {
        *to = if from.is_ascii() { *from } else { b'_' };
    }
}
