//! Packages of RPM: the headers of all that is installed, in the table `Packages` of `rpmdb.sqlite`.
//!
//! ```text
//! header   number of entries, size of the data (both of 4 bytes, the highest first)
//! entry    tag, type, offset in the data, count
//! data     texts end in a zero
//! ```
//! The formats before SQLite (`Packages` of Berkeley DB, `Packages.db` of rpm's own) are not read, which is said.

use super::sqlite::{Column, Trouble, rows};
use super::{Surroundings, Told, split};
use crate::draft::{Draft, is_word};
use crate::inventory::{Kind, Party, Source};
use crate::purl::Purl;
use crate::scan::unread;
use crate::tree::{File, shown};
use crate::{Result, limits};

const TABLE: &str = "Packages";
/// The most entries of a header, and the most names in one of them.
const ENTRIES: usize = 4096;
const NAMES: usize = 20_000;

// The tags of rpm that are asked for, and their types.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const VENDOR: u32 = 1011;
const LICENCE: u32 = 1014;
const PAGE: u32 = 1020;
const ARCHITECTURE: u32 = 1022;
const SOURCE: u32 = 1044;
const PROVIDES: u32 = 1047;
const REQUIRES: u32 = 1049;
const NUMBER: u32 = 4;
const TEXTS: [u32; 3] = [6, 8, 9];

/// Whether a file is such a database, in whatever format.
pub(super) fn is_database(path: &[u8]) -> bool {
    let (parent, name) = split(path);
    let places: [&[u8]; 3] = [b"var/lib/rpm", b"usr/share/rpm", b"usr/lib/sysimage/rpm"];
    let names: [&[u8]; 3] = [b"rpmdb.sqlite", b"Packages", b"Packages.db"];
    names.contains(&name) && places.iter().any(|place| super::ends_with(parent, place))
}

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>) -> Result<Told> {
    if split(file.path).1 != b"rpmdb.sqlite" {
        return Ok(Told::Unreadable(
            "is a database of rpm in a format before SQLite, which is not read".to_owned(),
        ));
    }
    let Some(content) = surroundings.tree.open(file.path).map_err(|source| unread(file, source))? else {
        return Ok(Told::Nothing);
    };
    let path = shown(file.path);
    let mut drafts: Vec<Draft> = Vec::new();
    let read = rows(&*content, TABLE, &mut |columns| {
        let Some(Column::Bytes(header)) = columns.get(1) else { return };
        let Some(mut draft) = Header::parse(header).and_then(|header| package(surroundings, &header)) else {
            return;
        };
        if drafts.len() <= limits::PACKAGES_OF_A_FILE {
            draft.scope.clone_from(&path);
            draft.seen_in(path.clone(), file.layer);
            drafts.push(draft);
        }
    });
    match read {
        Ok(()) => Ok(Told::Packages(drafts)),
        Err(Trouble::Io(source)) => Err(unread(file, source)),
        Err(Trouble::Broken(why)) => Ok(Told::Unreadable(format!("is no whole database of rpm: it {why}"))),
    }
}

/// The header of one package.
struct Header<'a> {
    entries: Vec<&'a [u8]>,
    data: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let count = usize::try_from(word(bytes, 0)?).ok().filter(|count| *count <= ENTRIES)?;
        let entries = bytes.get(8..8 + 16 * count)?.chunks_exact(16).collect();
        Some(Self { entries, data: bytes.get(8 + 16 * count..)? })
    }

    /// The type and count of a tag, and its data to the end.
    fn find(&self, tag: u32) -> Option<(u32, usize, &'a [u8])> {
        let entry = self.entries.iter().find(|entry| word(entry, 0) == Some(tag))?;
        let offset = usize::try_from(word(entry, 8)?).ok()?;
        Some((word(entry, 4)?, usize::try_from(word(entry, 12)?).ok()?, self.data.get(offset..)?))
    }

    fn texts(&self, tag: u32) -> impl Iterator<Item = String> + 'a {
        let found = self.find(tag).filter(|(kind, ..)| TEXTS.contains(kind));
        let (count, data) = found.map_or((0, &[][..]), |(_, count, data)| (count.min(NAMES), data));
        let texts = data.split(|byte| *byte == 0).take(count);
        texts.map(|text| String::from_utf8_lossy(text).into_owned())
    }

    fn text(&self, tag: u32) -> Option<String> {
        self.texts(tag).next().filter(|text| is_word(text))
    }

    fn number(&self, tag: u32) -> Option<u32> {
        self.find(tag)
            .filter(|(kind, count, _)| *kind == NUMBER && *count > 0)
            .and_then(|(.., data)| word(data, 0))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn package(surroundings: &Surroundings<'_>, header: &Header<'_>) -> Option<Draft> {
    let (name, version, release) = (header.text(NAME)?, header.text(VERSION)?, header.text(RELEASE)?);
    let epoch = header.number(EPOCH).map(|epoch| epoch.to_string());
    let source = header.text(SOURCE);
    let plain = format!("{version}-{release}");
    let purl = purl(surroundings, header, &name, &plain, epoch.as_deref(), source.as_deref());
    let full = epoch.map_or_else(|| plain.clone(), |epoch| format!("{epoch}:{plain}"));
    let mut draft = Draft::new(Kind::Rpm, &name, &full, purl);
    draft.package.licences.extend(header.text(LICENCE));
    let vendor = header.text(VENDOR).and_then(|vendor| Party::parse(&vendor));
    draft.package.supplier = vendor.map(|vendor| Party { organisation: true, ..vendor });
    draft.package.homepage = header.text(PAGE);
    draft.package.source = source.map(|name| Source { name, version: None });
    draft.provides.push(name);
    draft.provides.extend(header.texts(PROVIDES));
    draft.requires.extend(header.texts(REQUIRES).map(|needed| vec![needed]));
    Some(draft)
}

fn purl(
    surroundings: &Surroundings<'_>,
    header: &Header<'_>,
    name: &str,
    version: &str,
    epoch: Option<&str>,
    source: Option<&str>,
) -> String {
    let distribution = surroundings.distribution.as_ref();
    // The namespace is the vendor's name, which for one is not the distribution's.
    let namespace = distribution.map_or("", |found| if found.id == "rhel" { "redhat" } else { &found.id });
    let qualifiers = vec![
        ("arch", header.text(ARCHITECTURE).unwrap_or_default()),
        ("distro", distribution.map(crate::Distribution::qualifier).unwrap_or_default()),
        ("epoch", epoch.unwrap_or_default().to_owned()),
        ("upstream", source.unwrap_or_default().to_owned()),
    ];
    Purl { kind: "rpm", namespace, name, version, qualifiers, ..Purl::default() }.text()
}
