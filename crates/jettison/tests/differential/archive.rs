//! Reads an image archive as `docker save` writes it, its layers put over each other.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a path is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    File { bytes: Vec<u8>, digest: String },
    Folder,
    Symlink(String),
    Device(&'static str, u32, u32),
}

/// One path.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// Equal for the names of one file.
    pub(crate) inode: u64,
}

/// An image.
#[derive(Debug)]
pub(crate) struct Image {
    /// The configuration as it is.
    pub(crate) config: Value,
    /// The digests of the layers, uncompressed.
    pub(crate) layers: Vec<String>,
    /// The files by path, without a slash at either end.
    pub(crate) files: BTreeMap<String, Node>,
}

/// Reads an archive with one image.
pub(crate) fn read(path: &Path) -> Image {
    let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut links = Vec::new();
    let file = File::open(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    for entry in tar::Archive::new(file).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().to_str().unwrap().trim_start_matches("./").to_owned();
        if let Some(target) = entry.link_name().unwrap() {
            // `docker save` writes a layer that several images share once.
            let beside = Path::new(&name).parent().unwrap().join(target);
            links.push((name, beside));
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        members.insert(name, bytes);
    }
    for (name, target) in links {
        let mut parts: Vec<&str> = Vec::new();
        for part in target.to_str().unwrap().split('/') {
            match part {
                ".." => parts.truncate(parts.len().saturating_sub(1)),
                _ => parts.push(part),
            }
        }
        let bytes = members[&parts.join("/")].clone();
        members.insert(name, bytes);
    }
    let manifest: Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
    let config: Value = serde_json::from_slice(&members[manifest[0]["Config"].as_str().unwrap()]).unwrap();
    let texts = |value: &Value| -> Vec<String> {
        let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let layers = texts(&config["rootfs"]["diff_ids"]);
    let mut root = Root::default();
    let names = texts(&manifest[0]["Layers"]);
    assert_eq!(names.len(), layers.len(), "{}: a layer for each digest", path.display());
    for (name, digest) in names.iter().zip(&layers) {
        let bytes = &members[name];
        assert_eq!(format!("sha256:{}", hex(bytes)), *digest, "{}: {name}", path.display());
        root.lay(bytes);
    }
    Image { config, layers, files: root.files }
}

/// The SHA-256 of some bytes.
fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Default)]
struct Root {
    files: BTreeMap<String, Node>,
    inodes: u64,
}

impl Root {
    /// Puts a layer on top.
    fn lay(&mut self, layer: &[u8]) {
        let mut seen = std::collections::BTreeSet::new();
        for entry in tar::Archive::new(layer).entries().unwrap() {
            let path = path_of(&entry.unwrap());
            assert!(seen.insert(path.clone()), "a layer has {path} twice");
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if name == ".wh..wh..opq" {
                self.remove_below(folder);
            } else if let Some(gone) = name.strip_prefix(".wh.") {
                let gone = if folder.is_empty() { gone.to_owned() } else { format!("{folder}/{gone}") };
                assert!(self.files.contains_key(&gone), "a whiteout of {gone}, which no layer beneath has");
                self.files.remove(&gone);
                self.remove_below(&gone);
            }
        }
        for entry in tar::Archive::new(layer).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = path_of(&entry);
            if path.is_empty() || path.rsplit('/').next().unwrap().starts_with(".wh.") {
                continue;
            }
            let node = self.node(&mut entry);
            if !matches!(node.kind, Kind::Folder) {
                self.remove_below(&path);
            }
            self.files.insert(path, node);
        }
    }

    fn node(&mut self, entry: &mut tar::Entry<'_, &[u8]>) -> Node {
        let link = entry.link_name().unwrap().map(|link| link.to_str().unwrap().to_owned());
        let kind = entry.header().entry_type();
        if kind.is_hard_link() {
            let target = link.unwrap();
            let target = target.trim_start_matches("./").trim_matches('/');
            return self.files.get(target).unwrap_or_else(|| panic!("no {target} to link to")).clone();
        }
        let mut xattrs = BTreeMap::new();
        let mut mtime = None;
        if let Some(records) = entry.pax_extensions().unwrap() {
            for record in records.map(Result::unwrap) {
                let key = record.key().unwrap();
                if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    xattrs.insert(name.to_owned(), record.value_bytes().to_vec());
                } else if key == "mtime" {
                    mtime = record.value().unwrap().split('.').next().unwrap().parse().ok();
                }
            }
        }
        let header = entry.header();
        let (major, minor) = (
            header.device_major().ok().flatten().unwrap_or(0),
            header.device_minor().ok().flatten().unwrap_or(0),
        );
        let (mode, uid, gid) =
            (header.mode().unwrap() & 0o7777, header.uid().unwrap(), header.gid().unwrap());
        let mtime = mtime.unwrap_or_else(|| header.mtime().unwrap().cast_signed());
        let kind = match kind {
            kind if kind.is_dir() => Kind::Folder,
            kind if kind.is_symlink() => Kind::Symlink(link.unwrap()),
            kind if kind.is_character_special() => Kind::Device("character", major, minor),
            kind if kind.is_block_special() => Kind::Device("block", major, minor),
            kind if kind.is_fifo() => Kind::Device("fifo", 0, 0),
            kind if kind.is_file() => {
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                let digest = hex(&bytes);
                Kind::File { bytes, digest }
            }
            other => panic!("an entry of kind {other:?}"),
        };
        self.inodes += 1;
        Node { kind, mode, uid, gid, mtime, xattrs, inode: self.inodes }
    }

    fn remove_below(&mut self, folder: &str) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        self.files.retain(|path, _| !path.starts_with(&prefix));
    }
}

fn path_of<R: Read>(entry: &tar::Entry<'_, R>) -> String {
    let bytes = entry.path_bytes();
    let path = std::str::from_utf8(&bytes).expect("paths of cases are UTF-8");
    path.trim_start_matches("./").trim_matches('/').to_owned()
}
