//! The files of an image, read from a tar of its root.

use std::collections::BTreeMap;
use std::io::Read;

/// Larger contents are not kept.
const KEPT: u64 = 1 << 20;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Symlink,
    Other,
}

/// One file.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    /// The permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// When it was last changed, in seconds since 1970.
    pub(crate) mtime: u64,
    /// Where a symbolic link points.
    pub(crate) link: Option<String>,
    /// The content, where it is not large.
    pub(crate) bytes: Vec<u8>,
}

/// Files by path, without a slash at either end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(BTreeMap<String, Entry>);

impl Files {
    /// Reads a tar.
    pub(crate) fn read(tar: &[u8]) -> Self {
        let mut files = BTreeMap::new();
        let mut archive = tar::Archive::new(tar);
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path =
                entry.path().unwrap().to_str().unwrap().trim_start_matches("./").trim_matches('/').to_owned();
            let header = entry.header().clone();
            let link = entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned());
            if header.entry_type().is_hard_link() {
                let target = link.unwrap();
                let first: &Entry = &files[target.trim_start_matches("./").trim_matches('/')];
                let first = first.clone();
                files.insert(path, first);
                continue;
            }
            let kind = match header.entry_type() {
                kind if kind.is_dir() => Kind::Folder,
                kind if kind.is_symlink() => Kind::Symlink,
                kind if kind.is_file() => Kind::File,
                _ => Kind::Other,
            };
            let mut bytes = Vec::new();
            if entry.size() <= KEPT {
                entry.read_to_end(&mut bytes).unwrap();
            }
            let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
            let (mode, mtime) = (header.mode().unwrap() & 0o7777, header.mtime().unwrap());
            files.insert(path, Entry { kind, mode, uid, gid, mtime, link, bytes });
        }
        Self(files)
    }

    /// Whether a file of any kind is there.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path.trim_matches('/'))
    }

    /// A file, which must be there.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> &Entry {
        self.0.get(path.trim_matches('/')).unwrap_or_else(|| panic!("there is no {path}"))
    }

    /// The text of a file.
    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> &str {
        std::str::from_utf8(&self.get(path).bytes).unwrap()
    }

    /// User and group of a file.
    #[track_caller]
    pub(crate) fn owner(&self, path: &str) -> (u64, u64) {
        let entry = self.get(path);
        (entry.uid, entry.gid)
    }

    /// The names in a folder.
    pub(crate) fn names(&self, folder: &str) -> Vec<&str> {
        let folder = folder.trim_matches('/');
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.0
            .keys()
            .filter_map(|path| path.strip_prefix(&prefix))
            .filter(|name| !name.is_empty() && !name.contains('/'))
            .collect()
    }

    /// Everything below a folder.
    pub(crate) fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let prefix = format!("{}/", folder.trim_matches('/'));
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(&prefix))
            .map(|(path, entry)| (path.as_str(), entry))
    }

    /// Every path.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether some file's content holds `text`.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.0.values().any(|entry| String::from_utf8_lossy(&entry.bytes).contains(text))
    }
}
