//! A file tree in memory: read from tar, changed, written as an image layer.
//!
//! A layer's bytes depend on the tree alone: entries in the order of their paths, owners by number,
//! every time stamp [`EPOCH`]. So two machines that start from the same packages make the same blobs.

use std::collections::BTreeMap;
use std::io::Read;

use tar::{Builder, EntryType, Header};

use crate::trouble::{Doing, Result, Trouble};

/// The time stamp of every file and image made here, in seconds: 2025-01-01T00:00:00Z.
pub(crate) const EPOCH: u64 = 1_735_689_600;

/// What is at a path.
#[derive(Clone)]
pub(crate) enum Node {
    Folder,
    File(Vec<u8>),
    Symlink(String),
    /// A second name of the file at this path.
    Link(String),
}

/// A node with its mode and owner.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) node: Node,
    pub(crate) mode: u32,
    pub(crate) uid: u64,
    pub(crate) gid: u64,
}

/// Paths without a leading slash, to what is there.
#[derive(Clone, Default)]
pub(crate) struct Tree {
    entries: BTreeMap<String, Entry>,
}

impl Tree {
    /// Reads a tar stream. `name` gives each path of the archive (without `./`) its path in the tree,
    /// or leaves it out. Devices and the like are left out: a container brings its own.
    pub(crate) fn read(what: &str, stream: impl Read, name: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let mut tree = Self::default();
        let mut archive = tar::Archive::new(stream);
        let reading = || format!("read {what}");
        for entry in archive.entries().doing(reading)? {
            let mut entry = entry.doing(reading)?;
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let path = path.trim_start_matches("./").trim_matches('/');
            if path.is_empty() {
                continue;
            }
            let Some(path) = name(path) else { continue };
            let target = entry.link_name_bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            let header = entry.header();
            // npm leaves the owner's fields empty, which means nobody in particular.
            let (uid, gid) = (header.uid().unwrap_or(0), header.gid().unwrap_or(0));
            let mode = header.mode().doing(reading)? & 0o7777;
            let node = match (header.entry_type(), target) {
                (EntryType::Directory, _) => Node::Folder,
                (EntryType::Regular | EntryType::Continuous, _) => {
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes).doing(reading)?;
                    Node::File(bytes)
                }
                (EntryType::Symlink, Some(target)) => Node::Symlink(target),
                (EntryType::Link, Some(target)) => {
                    let Some(target) = name(target.trim_start_matches("./").trim_matches('/')) else {
                        continue;
                    };
                    Node::Link(target)
                }
                _ => continue,
            };
            tree.entries.insert(path, Entry { node, mode, uid, gid });
        }
        Ok(tree)
    }

    fn put(&mut self, path: &str, mode: u32, node: Node) -> &mut Entry {
        let entry = Entry { node, mode, uid: 0, gid: 0 };
        self.entries.insert(path.to_owned(), entry);
        self.entries.get_mut(path).expect("because it was inserted on the line before")
    }

    /// Puts a folder that root owns; the entry is returned for another owner.
    pub(crate) fn folder(&mut self, path: &str, mode: u32) -> &mut Entry {
        self.put(path, mode, Node::Folder)
    }

    /// Puts a file that root owns.
    pub(crate) fn file(&mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> &mut Entry {
        self.put(path, mode, Node::File(bytes.into()))
    }

    /// Puts a symbolic link.
    pub(crate) fn symlink(&mut self, path: &str, target: &str) {
        self.put(path, 0o777, Node::Symlink(target.to_owned()));
    }

    /// Puts another name for the file at `target`.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.put(path, 0o755, Node::Link(target.to_owned()));
    }

    /// What is at `path`.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Every path with what is there, in the order of the paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Entry)> {
        self.entries.iter()
    }

    /// The bytes of the file at `path`, which must be there.
    pub(crate) fn bytes(&self, path: &str) -> Result<&[u8]> {
        match self.entries.get(path).map(|entry| &entry.node) {
            Some(Node::File(bytes)) => Ok(bytes),
            Some(Node::Link(target)) => self.bytes(&target.clone()),
            _ => Err(Trouble::Said(format!("the packages hold no file `/{path}`"))),
        }
    }

    /// The text of the file at `path`, which must be there.
    pub(crate) fn text(&self, path: &str) -> Result<String> {
        self.bytes(path).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    }

    /// Gives everything to root, as npm does with what it unpacks, and makes the files in folders
    /// named `bin` programs.
    pub(crate) fn root_owned(&mut self) {
        for (path, entry) in &mut self.entries {
            (entry.uid, entry.gid) = (0, 0);
            entry.mode = match entry.node {
                Node::File(_) if entry.mode & 0o111 != 0 || path.contains("/bin/") => 0o755,
                Node::File(_) => 0o644,
                _ => 0o755,
            };
        }
    }

    /// Keeps only the paths that `keep` says.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.entries.retain(|path, _| keep(path));
    }

    /// Adds another tree's entries over this one's.
    pub(crate) fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Adds the folders above every entry, as far as they lack, root's with mode 0755; `below` is the
    /// tree of the layers beneath, whose folders keep the owners and modes they have there.
    pub(crate) fn complete(&mut self, below: Option<&Self>) {
        let mut lacking = BTreeMap::new();
        for path in self.entries.keys() {
            for (at, _) in path.match_indices('/') {
                let above = &path[..at];
                if self.entries.contains_key(above) || lacking.contains_key(above) {
                    continue;
                }
                let known = below.and_then(|tree| tree.entries.get(above)).cloned();
                let fresh = Entry { node: Node::Folder, mode: 0o755, uid: 0, gid: 0 };
                lacking.insert(above.to_owned(), known.unwrap_or(fresh));
            }
        }
        self.entries.append(&mut lacking);
    }

    /// The tree as an uncompressed tar stream.
    pub(crate) fn tar(&self) -> Result<Vec<u8>> {
        let mut builder = Builder::new(Vec::new());
        // A link comes after the file it names whatever their paths, so links are a second round.
        for links in [false, true] {
            for (path, entry) in &self.entries {
                if matches!(entry.node, Node::Link(_)) == links {
                    append(&mut builder, path, entry).doing(|| format!("write `/{path}` into a layer"))?;
                }
            }
        }
        builder.into_inner().doing(|| "end a layer".to_owned())
    }
}

fn append(builder: &mut Builder<Vec<u8>>, path: &str, entry: &Entry) -> std::io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_uid(entry.uid);
    header.set_gid(entry.gid);
    header.set_mtime(EPOCH);
    header.set_size(0);
    match &entry.node {
        Node::Folder => {
            header.set_entry_type(EntryType::Directory);
            builder.append_data(&mut header, format!("{path}/"), std::io::empty())
        }
        Node::File(bytes) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, path, bytes.as_slice())
        }
        Node::Symlink(target) => {
            header.set_entry_type(EntryType::Symlink);
            builder.append_link(&mut header, path, target)
        }
        Node::Link(target) => {
            header.set_entry_type(EntryType::Link);
            builder.append_link(&mut header, path, target)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Tree {
        let mut tree = Tree::default();
        tree.file("b/tool", 0o755, *b"#!/bin/sh\n");
        tree.link("a/second-name", "b/tool");
        tree.symlink("a/way", "../b/tool");
        tree.folder("home/node", 0o700).uid = 1000;
        tree.complete(None);
        tree
    }

    #[test]
    fn a_tree_survives_tar_and_its_bytes_are_the_same_again() {
        let bytes = sample().tar().unwrap();
        let back = Tree::read("the sample", bytes.as_slice(), |path| Some(path.to_owned())).unwrap();
        assert_eq!(back.tar().unwrap(), bytes);
        assert_eq!(back.bytes("a/second-name").unwrap(), b"#!/bin/sh\n");
        assert_eq!(back.get("home/node").map(|entry| (entry.mode, entry.uid)), Some((0o700, 1000)));
    }

    #[test]
    fn a_link_is_written_after_the_file_it_names() {
        let bytes = sample().tar().unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let names: Vec<String> =
            archive.entries().unwrap().map(|e| e.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, ["a/", "a/way", "b/", "b/tool", "home/", "home/node/", "a/second-name"]);
    }

    #[test]
    fn folders_of_the_layers_beneath_keep_their_modes() {
        let mut below = Tree::default();
        below.folder("tmp", 0o1777);
        let mut tree = Tree::default();
        tree.file("tmp/x/y", 0o644, *b"");
        tree.complete(Some(&below));
        assert_eq!(tree.get("tmp").map(|entry| entry.mode), Some(0o1777));
        assert_eq!(tree.get("tmp/x").map(|entry| entry.mode), Some(0o755));
    }
}
