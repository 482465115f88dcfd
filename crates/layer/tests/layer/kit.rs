//! What the tests share: listings with the bytes of their files, folders, and random ones of both.

use layer::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// File contents by their digest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts(pub(crate) HashMap<oci::Digest, Vec<u8>>);

impl ContentSource for Texts {
    fn bytes(&mut self, entry: &Entry<'_>) -> Result<Bytes<'_>> {
        let Kind::File { digest, .. } = &entry.kind else { unreachable!() };
        Ok(Bytes::Here(&self.0[digest]))
    }
}

impl Texts {
    pub(crate) fn file(&mut self, path: &str, text: &[u8]) -> Entry<'static> {
        let digest = oci::Digest::of(text);
        self.0.insert(digest, text.to_vec());
        let content = Content::Own(Place::Folder);
        entry(path.as_bytes(), Kind::File { size: text.len() as u64, digest, link: 0, content })
    }
}

pub(crate) fn entry(path: &[u8], kind: Kind<'static>) -> Entry<'static> {
    let mtime = Time { seconds: 1_700_000_000, nanoseconds: 0 };
    let (path, xattrs) = (path.to_vec().into(), Vec::new().into());
    Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs }
}

pub(crate) fn dir(path: &str) -> Entry<'static> {
    entry(path.as_bytes(), Kind::Directory { opaque: false })
}

pub(crate) fn open(path: &Path) -> OwnedFd {
    std::fs::File::open(path).unwrap().into()
}

pub(crate) fn tar(listing: &Listing, texts: &mut Texts) -> Vec<u8> {
    let mut out = Vec::new();
    let size = write_tar(listing, texts, &mut out).unwrap();
    assert_eq!(size, out.len() as u64);
    out
}

/// The listing as a tar of it tells it: times are whole seconds.
pub(crate) fn in_whole_seconds(listing: &Listing) -> Listing {
    let mut entries = owned(listing);
    for entry in &mut entries {
        entry.mtime.nanoseconds = 0;
    }
    Listing::new(entries, listing.borrowed().to_vec())
}

/// The entries of a listing, to be changed.
pub(crate) fn owned(listing: &Listing) -> Vec<Entry<'static>> {
    listing.entries().map(Entry::into_owned).collect()
}

pub(crate) fn unpack_into(path: &Path, archive: &[u8]) -> Result<Listing> {
    unpack(archive, open(path).as_fd(), None, &UnpackOptions::default())
}

pub(crate) fn show(listing: &Listing) -> String {
    let mut text = String::new();
    for entry in listing.entries() {
        let kind = match &entry.kind {
            Kind::Directory { opaque: false } => "dir".to_owned(),
            Kind::Directory { opaque: true } => "opaque".to_owned(),
            Kind::File { size, link, .. } => format!("file {size} link {link}"),
            Kind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            other => format!("{other:?}"),
        };
        text += &format!("{} {:o} {kind}\n", String::from_utf8_lossy(&entry.path), entry.mode);
    }
    text
}

fn kind() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0u8..12, prop::collection::vec(any::<u8>(), 0..1500))
}

/// Listings as a build makes them: every parent is there, ids are real, whiteouts are bare.
pub(crate) fn listings() -> impl Strategy<Value = (Listing, Texts)> {
    let name = prop_oneof![
        4 => "[a-e]",
        1 => "[a-z.]{1,3}x",
        1 => "[a-z]{90,130}",
        1 => "[äöü ]{1,20}",
    ];
    let path = prop::collection::vec(name, 1..5);
    let attributes = (
        0u32..0o10000,
        prop_oneof![Just(0u32), 0u32..70_000, Just(3_000_000)],
        -5_000i64..5_000_000_000,
        prop_oneof![2 => Just(0u32), 1 => 0u32..1_000_000_000],
        prop::option::of(("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..40))),
    );
    let one = (path, kind(), attributes);
    prop::collection::vec(one, 0..30).prop_map(|list| {
        let mut texts = Texts::default();
        let mut entries: HashMap<String, Entry<'static>> = HashMap::new();
        let mut files: Vec<(Entry<'static>, u32)> = Vec::new();
        for (path, (kind, text), (mode, id, seconds, nanoseconds, xattr)) in list {
            // A parent that is no directory keeps the path out.
            let parents: Vec<String> = (1..path.len()).map(|n| path[..n].join("/")).collect();
            let blocked = |path: &String| entries.get(path).is_some_and(|entry| !entry.is_directory());
            if parents.iter().any(blocked) || entries.contains_key(&path.join("/")) {
                continue;
            }
            for parent in parents {
                entries.entry(parent.clone()).or_insert_with(|| dir(&parent));
            }
            let path = path.join("/");
            let mut entry = texts.file(&path, &text);
            (entry.mode, entry.uid, entry.gid) = (mode, id, id / 2);
            entry.mtime = Time { seconds, nanoseconds };
            if let Some((name, value)) = xattr {
                let name = format!("user.{name}").into_bytes().into();
                entry.xattrs = vec![(name, value.into())].into();
            }
            let bare =
                |kind, entry: &Entry<'static>| Entry { xattrs: Vec::new().into(), kind, ..entry.clone() };
            let device = u32::from(kind) + u32::try_from(text.len()).unwrap();
            let entry = match kind {
                0 | 1 => Entry { kind: Kind::Directory { opaque: kind == 1 }, ..entry },
                2 => Entry {
                    mode: 0o777,
                    ..bare(Kind::Symlink { target: format!("../{}", text.len()).into_bytes().into() }, &entry)
                },
                3 => bare(Kind::CharDevice { major: 1, minor: device }, &entry),
                4 => bare(Kind::BlockDevice { major: device, minor: 0 }, &entry),
                5 => bare(Kind::Fifo, &entry),
                6 => {
                    Entry { mode: 0, uid: 0, gid: 0, mtime: Time::default(), ..bare(Kind::Whiteout, &entry) }
                }
                7 if !files.is_empty() => {
                    // Another name of an earlier file.
                    let at = text.len() % files.len();
                    let number = at as u32 + 1;
                    let (source, linked) = &mut files[at];
                    if *linked == 0 {
                        *linked = number;
                        set_link(
                            entries.get_mut(std::str::from_utf8(&source.path).unwrap()).unwrap(),
                            number,
                        );
                        set_link(source, number);
                    }
                    Entry { path: path.clone().into_bytes().into(), ..source.clone() }
                }
                _ => {
                    files.push((entry.clone(), 0));
                    entry
                }
            };
            entries.insert(path, entry);
        }
        let mut listing = Listing::new(entries.into_values(), Vec::new());
        renumber(&mut listing);
        (listing, texts)
    })
}

fn set_link(entry: &mut Entry<'_>, number: u32) {
    let Kind::File { link, .. } = &mut entry.kind else { unreachable!() };
    *link = number;
}

/// Numbers link groups in the order of the listing, as the crate does.
fn renumber(listing: &mut Listing) {
    let mut entries = owned(listing);
    let mut numbers = HashMap::new();
    for entry in &mut entries {
        if let Kind::File { link, .. } = &mut entry.kind
            && *link != 0
        {
            let next = numbers.len() as u32 + 1;
            *link = *numbers.entry(*link).or_insert(next);
        }
    }
    *listing = Listing::new(entries, Vec::new());
}
