//! Where files go: the destination side of COPY, WORKDIR and here-documents, as entries of a new layer.
//!
//! A plan knows the snapshot below it. Every directory on the way to a new file is listed too: one that is there with
//! its own mode and owner, one that is missing as it is made. So the plan's folder can be laid over the snapshot, and
//! its tar unpacked on it, without changing what was there.
//!
//! As BuildKit has it: a directory that is copied gives its content; the destination itself is made as parents are,
//! or stays as it is. Directories inside the copied tree come with their own mode and owner, over those that are there.

use crate::mode::Chmod;
use crate::owner::Ids;
use crate::placed::Placed;
use crate::select::Taken;
use crate::{Error, Result};
use layer::{Entry, Found, Kind, LayerId, Listing, Time, View, is_below};
use std::collections::HashSet;

/// A layer in the making over a snapshot.
pub(crate) struct Plan<'a> {
    base: &'a View,
    entries: Placed,
    /// Directories of the plan under which the snapshot below shows nothing.
    bare: HashSet<Box<[u8]>>,
    now: Time,
}

/// What the copy says of what it makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) owner: Option<Ids>,
    pub(crate) chmod: Option<&'a Chmod>,
    /// Whether what stands in the way gives way, as for an unpacked archive.
    pub(crate) replace: bool,
}

/// What turns an entry of a source into one of the new layer: its bytes are taken in or referred to. The path is the
/// source's.
pub(crate) type Localize<'l> = dyn for<'f> FnMut(&Found<'f>) -> Result<Entry<'f>> + 'l;

/// What stands at a place at the moment.
enum There {
    Nothing,
    Directory,
    Other,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(base: &'a View, now: Time) -> Self {
        Self { base, entries: Placed::default(), bare: HashSet::new(), now }
    }

    /// What was placed. `borrowed` are the layers that entries refer to.
    pub(crate) fn finish(self, borrowed: Vec<LayerId>) -> Listing {
        self.entries.finish(borrowed)
    }

    fn there(&self, path: &[u8]) -> There {
        if path.is_empty() {
            return There::Directory;
        }
        match self.standing(path) {
            None => There::Nothing,
            Some(entry) if entry.is_directory() => There::Directory,
            Some(_) => There::Other,
        }
    }

    /// What the plan has at `path`, or the snapshot below.
    fn standing(&self, path: &[u8]) -> Option<Entry<'_>> {
        match self.entries.get(path) {
            Some(entry) => Some(entry),
            None if self.bare.contains(parent(path)) => None,
            None => self.base.get(path).map(|found| found.entry()),
        }
    }

    /// Follows links of the snapshot below; entries of the plan itself hold links only inside copied trees.
    fn resolve(&self, path: &[u8]) -> Result<Vec<u8>> {
        self.base.resolve(path, true).map_err(|source| Error::Layer { what: "destination".into(), source })
    }

    /// Makes `dir` and what is missing above it, and lists what is there.
    pub(crate) fn directories(&mut self, dir: &[u8], mode: u32, owner: Ids) -> Result<()> {
        let cuts = dir.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        let cuts: Vec<usize> = cuts.chain((!dir.is_empty()).then_some(dir.len())).collect();
        for cut in cuts {
            let path = &dir[..cut];
            if self.entries.get(path).is_some() {
                if !matches!(self.there(path), There::Directory) {
                    return Err(not_a_directory(path));
                }
                continue;
            }
            match self.standing(path) {
                Some(there) if there.is_directory() => {
                    let entry = Entry { kind: Kind::Directory { opaque: false }, ..there.into_owned() };
                    self.entries.put(&entry);
                }
                Some(_) => return Err(not_a_directory(path)),
                None => {
                    self.bare.insert(path.into());
                    self.entries.put(&Entry {
                        path: path.into(),
                        kind: Kind::Directory { opaque: false },
                        mode,
                        uid: owner.uid,
                        gid: owner.gid,
                        mtime: self.now,
                        xattrs: Vec::new().into(),
                    });
                }
            }
        }
        Ok(())
    }

    /// WORKDIR: makes a directory unless it is there.
    pub(crate) fn make_directory(&mut self, path: &str, mode: u32, owner: Ids) -> Result<()> {
        let path = self.resolve(path.as_bytes())?;
        self.directories(&path, mode, owner)
    }

    /// A file at a path, over whatever file is there.
    /// In a directory it gets `name`, where it has one.
    pub(crate) fn file(
        &mut self,
        path: &str,
        name: &str,
        mode: u32,
        owner: Ids,
        kind: Kind<'_>,
    ) -> Result<()> {
        let mut path = self.resolve(path.as_bytes())?;
        if !name.is_empty() && matches!(self.there(&path), There::Directory) {
            self.directories(&path, mode, owner)?;
            path = join(&path, name.as_bytes());
        }
        if matches!(self.there(&path), There::Directory) {
            return Err(Error::Destination { path: show(&path), reason: "a directory stands there" });
        }
        // A here-document has 0644 unless --chmod says otherwise, and then parents that are made have that too.
        let parent_mode = if mode == 0o644 { 0o755 } else { mode & 0o777 };
        self.directories(parent(&path), parent_mode, owner)?;
        let mtime = self.now;
        let entry = Entry {
            path: path.into(),
            kind,
            mode,
            uid: owner.uid,
            gid: owner.gid,
            mtime,
            xattrs: Vec::new().into(),
        };
        self.entries.put(&entry);
        Ok(())
    }

    /// Copies one match to `destination`.
    pub(crate) fn copy(
        &mut self,
        taken: &Taken<'_>,
        destination: &str,
        manner: Manner<'_>,
        localize: &mut Localize<'_>,
    ) -> Result<()> {
        let owner = manner.owner.unwrap_or_default();
        let parent_mode = manner.chmod.map_or(0o755, Chmod::parents);
        let mut target = self.resolve(destination.as_bytes())?;
        let is_folder = destination.ends_with('/');
        let above = if is_folder || taken.is_directory() { &target[..] } else { parent(&target) };
        let is_new = matches!(self.there(&target), There::Nothing);
        self.directories(above, parent_mode, owner)?;
        if taken.is_directory() {
            if let (true, Some(root), Some(there)) = (is_new, &taken.root, self.entries.get(&target)) {
                let entry = Entry { mtime: root.entry().mtime, ..there.into_owned() };
                self.entries.put(&entry);
            }
            return self.below(taken, &target, manner, localize);
        }
        if matches!(self.there(&target), There::Directory) {
            self.directories(&target, parent_mode, owner)?;
            target = join(&target, &taken.name);
            if matches!(self.there(&target), There::Directory) {
                return Err(in_the_way(&target));
            }
        }
        let found = taken.root.expect("because only a directory can be the root of a source");
        self.entry(&found, target, manner, localize)
    }

    /// Puts one match at exactly `path`, with its own mode and owner; what is missing above it is root's, 0755.
    pub(crate) fn tree(&mut self, taken: &Taken<'_>, path: &[u8], localize: &mut Localize<'_>) -> Result<()> {
        let manner = Manner { owner: None, chmod: None, replace: false };
        self.directories(parent(path), 0o755, Ids::default())?;
        if let (Some(root), false) = (&taken.root, path.is_empty()) {
            self.entry(root, path.to_vec(), manner, localize)?;
        }
        self.below(taken, path, manner, localize)
    }

    /// The content of a directory into `target`, which stands.
    fn below(
        &mut self,
        taken: &Taken<'_>,
        target: &[u8],
        manner: Manner<'_>,
        localize: &mut Localize<'_>,
    ) -> Result<()> {
        // A directory of an archive that goes where a link of the snapshot points, and where that is.
        let mut elsewhere: Option<(&[u8], Vec<u8>)> = None;
        for found in &taken.below {
            let relative = taken.relative(found);
            if elsewhere.as_ref().is_some_and(|(from, _)| !is_below(relative, from)) {
                elsewhere = None;
            }
            let path = match &elsewhere {
                Some((from, to)) => join(to, &relative[from.len() + 1..]),
                None => join(target, relative),
            };
            match (self.there(&path), found.is_directory()) {
                (There::Other, true) if manner.replace => {
                    if let Some(to) = self.linked(&path, target) {
                        self.directories(&to, 0o755, Ids::default())?;
                        elsewhere = Some((relative, to));
                        continue;
                    }
                    self.remove(&path);
                    self.bare.insert(path.clone().into());
                }
                (There::Directory, false) if manner.replace => self.remove(&path),
                (There::Other, true) => return Err(not_a_directory(&path)),
                (There::Directory, false) => return Err(in_the_way(&path)),
                (There::Nothing, true) => {
                    self.bare.insert(path.clone().into());
                }
                (There::Directory, true) | (There::Nothing | There::Other, false) => {}
            }
            self.entry(found, path, manner, localize)?;
        }
        Ok(())
    }

    /// Where a link to a directory leads, if it stays within `target`.
    fn linked(&self, path: &[u8], target: &[u8]) -> Option<Vec<u8>> {
        if self.entries.get(path).is_some() {
            return None;
        }
        let to = self.base.resolve(path, true).ok()?;
        let stays = is_below(&to, target) && !is_below(&to, path) && to != path;
        (stays && self.base.is_directory(&to) && matches!(self.there(&to), There::Directory)).then_some(to)
    }

    /// Takes `path` and what the plan has below it out again.
    fn remove(&mut self, path: &[u8]) {
        let gone = |other: &[u8]| other == path || is_below(other, path);
        self.entries.retain(|other| !gone(other));
        self.bare.retain(|other| !gone(other));
    }

    fn entry(
        &mut self,
        found: &Found<'_>,
        path: Vec<u8>,
        manner: Manner<'_>,
        localize: &mut Localize<'_>,
    ) -> Result<()> {
        let mut entry = match found.is_directory() {
            true => Entry { kind: Kind::Directory { opaque: false }, ..found.entry() },
            false => localize(found)?,
        };
        entry.path = path.into();
        if let Some(owner) = manner.owner {
            (entry.uid, entry.gid) = (owner.uid, owner.gid);
        }
        if let Some(chmod) = manner.chmod
            && !matches!(entry.kind, Kind::Symlink { .. })
        {
            entry.mode = chmod.apply(entry.mode, entry.is_directory());
        }
        self.entries.put(&entry);
        Ok(())
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|b| *b == b'/').map_or(&[], |at| &path[..at])
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}

fn show(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

fn not_a_directory(path: &[u8]) -> Error {
    Error::Destination { path: show(path), reason: "what stands there is no directory" }
}

fn in_the_way(path: &[u8]) -> Error {
    Error::Destination { path: show(path), reason: "a directory stands where the file should" }
}
