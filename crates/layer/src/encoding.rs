//! The stored form of a listing.
//!
//! ```text
//! "JLST" version(1 byte) count borrowed-count, 16 bytes a borrowed layer, then an entry after the other:
//!   shared  length bytes          the path: how many bytes it shares with the one before, and the rest
//!   kind(1 byte) mode uid gid seconds(zigzag) nanoseconds
//!   xattr-count, (name-length name value-length value)*
//!   by kind: file: size, 32 bytes digest, link, content | link: target | device: major minor | directory: -
//! ```
//! Every number is a LEB128 of at most ten bytes. Kinds: 0 directory, 1 opaque directory, 2 file, 3 symlink,
//! 4 character device, 5 block device, 6 fifo, 7 whiteout. Content: 0 own folder, 1 own folder at another path,
//! 2 own pack, 3 to 5 the same in a borrowed layer, whose index comes first.

use crate::{Content, Entry, Error, Kind, LayerId, Listing, ListingBuilder, Place, Result, Time};
use oci::Digest;
use std::io::Write;

const MAGIC: &[u8] = b"JLST\x01";

/// About so many bytes are written at once.
const PART: usize = 1 << 16;

impl Listing {
    /// The stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.len() * 80);
        self.encode_to(&mut out).expect("because memory takes what is written");
        out
    }

    /// Writes the stored form, a part at a time: `out` needs no buffer around it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn encode_to(&self, out: &mut impl Write) -> std::io::Result<()> {
        let mut part = Vec::with_capacity(PART + (PART >> 4));
        part.extend_from_slice(MAGIC);
        number(&mut part, self.len() as u64);
        number(&mut part, self.borrowed().len() as u64);
        for layer in self.borrowed() {
            part.extend_from_slice(layer.as_bytes());
        }
        let mut before: &[u8] = b"";
        for at in 0..self.len() {
            let path = self.path(at);
            let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            number(&mut part, shared as u64);
            bytes(&mut part, &path[shared..]);
            before = path;
            encode_entry(&mut part, &self.entry(at));
            if part.len() >= PART {
                out.write_all(&part)?;
                part.clear();
            }
        }
        out.write_all(&part)
    }

    /// Reads the stored form. It is checked throughout: a damaged listing is an error, never a panic.
    pub fn decode(stored: &[u8]) -> Result<Self> {
        let rest = stored.strip_prefix(MAGIC).ok_or(Error::Listing { reason: "it has another format" })?;
        let mut input = Input { rest };
        // An entry takes at least eight bytes, so a forged count cannot ask for more memory than the file has.
        let count = input.count(8)?;
        let borrowed = input.count(16)?;
        let borrowed =
            (0..borrowed).map(|_| input.array().map(LayerId::from_bytes)).collect::<Result<Vec<_>>>()?;
        let mut entries = ListingBuilder::with_capacity(count, 0);
        let mut path = Vec::new();
        for _ in 0..count {
            let shared = input.number()? as usize;
            let tail = input.bytes()?;
            if shared > path.len() {
                return Err(Error::Listing { reason: "a path shares more than there is" });
            }
            path.truncate(shared);
            path.extend_from_slice(tail);
            entries.push(&decode_entry(&mut input, &path, borrowed.len())?);
        }
        if !input.rest.is_empty() {
            return Err(Error::Listing { reason: "it goes on after its last entry" });
        }
        Ok(entries.finish(borrowed))
    }
}

fn encode_entry(out: &mut Vec<u8>, entry: &Entry<'_>) {
    out.push(match entry.kind {
        Kind::Directory { opaque } => u8::from(opaque),
        Kind::File { .. } => 2,
        Kind::Symlink { .. } => 3,
        Kind::CharDevice { .. } => 4,
        Kind::BlockDevice { .. } => 5,
        Kind::Fifo => 6,
        Kind::Whiteout => 7,
    });
    for value in [entry.mode, entry.uid, entry.gid] {
        number(out, u64::from(value));
    }
    number(out, zigzag(entry.mtime.seconds));
    number(out, u64::from(entry.mtime.nanoseconds));
    number(out, entry.xattrs.len() as u64);
    for (name, value) in &*entry.xattrs {
        bytes(out, name);
        bytes(out, value);
    }
    match &entry.kind {
        Kind::File { size, digest, link, content } => {
            number(out, *size);
            out.extend_from_slice(digest.as_bytes());
            number(out, u64::from(*link));
            let (place, base) = match content {
                Content::Own(place) => (place, 0),
                Content::Borrowed { place, .. } => (place, 3),
            };
            out.push(
                base + match place {
                    Place::Folder => 0,
                    Place::FolderAt(_) => 1,
                    Place::Pack(_) => 2,
                },
            );
            if let Content::Borrowed { layer, .. } = content {
                number(out, u64::from(*layer));
            }
            match place {
                Place::Folder => {}
                Place::FolderAt(path) => bytes(out, path),
                Place::Pack(offset) => number(out, *offset),
            }
        }
        Kind::Symlink { target } => bytes(out, target),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            number(out, u64::from(*major));
            number(out, u64::from(*minor));
        }
        Kind::Directory { .. } | Kind::Fifo | Kind::Whiteout => {}
    }
}

fn decode_entry<'a: 'p, 'p>(input: &mut Input<'a>, path: &'p [u8], borrowed: usize) -> Result<Entry<'p>> {
    let kind = input.byte()?;
    let (mode, uid, gid) = (input.small()?, input.small()?, input.small()?);
    let mtime = Time { seconds: unzigzag(input.number()?), nanoseconds: input.small()? };
    let xattrs = input.count(2)?;
    let xattrs = (0..xattrs)
        .map(|_| Ok((input.bytes()?.into(), input.bytes()?.into())))
        .collect::<Result<Vec<_>>>()?;
    let kind = match kind {
        0 | 1 => Kind::Directory { opaque: kind == 1 },
        2 => {
            let size = input.number()?;
            let digest = Digest::from_bytes(input.array()?);
            let link = input.small()?;
            let how = input.byte()?;
            let layer = if how >= 3 { Some(input.small()?) } else { None };
            if layer.is_some_and(|layer| layer as usize >= borrowed) {
                return Err(Error::Listing { reason: "a file borrows from a layer that is not named" });
            }
            let place = match how % 3 {
                0 => Place::Folder,
                1 => Place::FolderAt(input.bytes()?.into()),
                _ => Place::Pack(input.number()?),
            };
            let content = match layer {
                Some(layer) => Content::Borrowed { layer, place },
                None => Content::Own(place),
            };
            Kind::File { size, digest, link, content }
        }
        3 => Kind::Symlink { target: input.bytes()?.into() },
        4 => Kind::CharDevice { major: input.small()?, minor: input.small()? },
        5 => Kind::BlockDevice { major: input.small()?, minor: input.small()? },
        6 => Kind::Fifo,
        7 => Kind::Whiteout,
        _ => return Err(Error::Listing { reason: "an entry is of an unknown kind" }),
    };
    Ok(Entry { path: path.into(), kind, mode, uid, gid, mtime, xattrs: xattrs.into() })
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.rest.split_at_checked(length).ok_or(Error::Listing { reason: "it is cut" })?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u64> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Error::Listing { reason: "a number is too long" })
    }

    fn small(&mut self) -> Result<u32> {
        u32::try_from(self.number()?).map_err(|_| Error::Listing { reason: "a number is too large" })
    }

    /// A count of things that take at least `each` bytes.
    fn count(&mut self, each: usize) -> Result<usize> {
        let count = self.number()?;
        if count > (self.rest.len() / each) as u64 {
            return Err(Error::Listing { reason: "a count is larger than what follows" });
        }
        Ok(count as usize)
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Error::Listing { reason: "a length is too large" })?)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into().expect("because take gives as many bytes as asked for"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::tests::{dir, entry, file};

    fn sample() -> Listing {
        let mut borrowed = file("usr/lib/b", "bytes");
        let Kind::File { content, link, .. } = &mut borrowed.kind else { unreachable!() };
        (*content, *link) = (Content::Borrowed { layer: 0, place: Place::FolderAt(b"app/b"[..].into()) }, 3);
        borrowed.xattrs = vec![(b"security.capability"[..].into(), b"\x01\x00"[..].into())].into();
        let mut packed = file("usr/lib/c", "more");
        packed.mtime = Time { seconds: -5, nanoseconds: 999_999_999 };
        let Kind::File { content, .. } = &mut packed.kind else { unreachable!() };
        *content = Content::Own(Place::Pack(1 << 40));
        Listing::new(
            vec![
                dir("usr", false),
                dir("usr/lib", true),
                borrowed,
                packed,
                file("z", ""),
                entry("dev", Kind::CharDevice { major: 1, minor: 300 }),
                entry("blk", Kind::BlockDevice { major: 8, minor: 0 }),
                entry("pipe", Kind::Fifo),
                entry("gone", Kind::Whiteout),
                entry("l", Kind::Symlink { target: b"../x"[..].into() }),
            ],
            vec![LayerId::from_bytes([7; 16])],
        )
    }

    #[test]
    fn what_is_written_is_read() {
        let listing = sample();
        assert_eq!(Listing::decode(&listing.encode()).unwrap(), listing);
        assert_eq!(Listing::decode(&Listing::default().encode()).unwrap(), Listing::default());
    }

    #[test]
    fn damage_is_an_error_and_never_a_panic() {
        let stored = sample().encode();
        for cut in 0..stored.len() {
            assert!(Listing::decode(&stored[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..stored.len() {
            for value in [0, 0x7f, 0xff] {
                let mut forged = stored.clone();
                forged[at] = value;
                let _ = Listing::decode(&forged);
            }
        }
    }
}
