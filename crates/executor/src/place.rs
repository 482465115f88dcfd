//! Where files go: the destination side of COPY, WORKDIR and here-documents, as entries of a new layer.
//!
//! A plan knows the snapshot below it. Every directory on the way to a new file is listed too: one that is there with
//! its own mode and owner, one that is missing as it is made. So the plan's folder can be laid over the snapshot, and
//! its tar unpacked on it, without changing what was there.

use crate::mode::Chmod;
use crate::owner::Ids;
use crate::select::Taken;
use crate::{Error, Result};
use layer::{Entry, Kind, Time, View};
use std::collections::HashMap;

/// A layer in the making over a snapshot.
pub(crate) struct Plan<'a> {
    base: &'a View,
    entries: Vec<Entry>,
    places: HashMap<Box<[u8]>, usize>,
    now: Time,
}

/// What the copy says of what it makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner<'a> {
    pub(crate) owner: Option<Ids>,
    pub(crate) chmod: Option<&'a Chmod>,
}

/// What stands at a place at the moment.
enum There {
    Nothing,
    Directory,
    Other,
}

impl<'a> Plan<'a> {
    pub(crate) fn new(base: &'a View, now: Time) -> Self {
        Self { base, entries: Vec::new(), places: HashMap::new(), now }
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    fn there(&self, path: &[u8]) -> There {
        if path.is_empty() {
            return There::Directory;
        }
        let entry = match self.places.get(path) {
            Some(at) => Some(&self.entries[*at]),
            None => self.base.get(path).map(|found| found.entry),
        };
        match entry {
            None => There::Nothing,
            Some(entry) if entry.is_directory() => There::Directory,
            Some(_) => There::Other,
        }
    }

    fn put(&mut self, entry: Entry) {
        match self.places.get(&entry.path) {
            Some(at) => self.entries[*at] = entry,
            None => {
                self.places.insert(entry.path.clone(), self.entries.len());
                self.entries.push(entry);
            }
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
            if self.places.contains_key(path) {
                if !matches!(self.there(path), There::Directory) {
                    return Err(not_a_directory(path));
                }
                continue;
            }
            match self.base.get(path) {
                Some(found) if found.entry.is_directory() => {
                    let mut entry = found.entry.clone();
                    entry.kind = Kind::Directory { opaque: false };
                    self.put(entry);
                }
                Some(_) => return Err(not_a_directory(path)),
                None => self.put(Entry {
                    path: path.into(),
                    kind: Kind::Directory { opaque: false },
                    mode,
                    uid: owner.uid,
                    gid: owner.gid,
                    mtime: self.now,
                    xattrs: Vec::new(),
                }),
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
    pub(crate) fn file(&mut self, path: &str, name: &str, mode: u32, owner: Ids, kind: Kind) -> Result<()> {
        let mut path = self.resolve(path.as_bytes())?;
        if !name.is_empty() && matches!(self.there(&path), There::Directory) {
            path = join(&path, name.as_bytes());
        }
        if matches!(self.there(&path), There::Directory) {
            return Err(Error::Destination { path: show(&path), reason: "a directory stands there" });
        }
        self.directories(parent(&path), 0o755, owner)?;
        let mtime = self.now;
        let entry = Entry {
            path: path.into(),
            kind,
            mode,
            uid: owner.uid,
            gid: owner.gid,
            mtime,
            xattrs: Vec::new(),
        };
        self.put(entry);
        Ok(())
    }

    /// Copies one match to `destination`. `keep_parents` is `--parents`. `localize` turns an entry of the source into
    /// what the new layer says of its content.
    pub(crate) fn copy(
        &mut self,
        taken: &Taken<'_>,
        destination: &str,
        keep_parents: bool,
        manner: Manner<'_>,
        localize: &mut dyn FnMut(&layer::Found<'_>) -> Result<Kind>,
    ) -> Result<()> {
        let owner = manner.owner.unwrap_or_default();
        let parent_mode = manner.chmod.map_or(0o755, Chmod::parents);
        let mut target = self.resolve(destination.as_bytes())?;
        if keep_parents {
            self.directories(&target, parent_mode, owner)?;
            let kept = if taken.is_directory() { &taken.path[..] } else { parent(&taken.path) };
            if !kept.is_empty() {
                target = join(&target, kept);
            }
            self.directories(&target, parent_mode, owner)?;
        } else if destination.ends_with('/') {
            self.directories(&target, parent_mode, owner)?;
        } else {
            self.directories(parent(&target), parent_mode, owner)?;
        }
        if !taken.is_directory() {
            if matches!(self.there(&target), There::Directory) {
                target = join(&target, &taken.name);
                if matches!(self.there(&target), There::Directory) {
                    return Err(Error::Destination {
                        path: show(&target),
                        reason: "a directory stands where the file should",
                    });
                }
            }
            let found = taken.root.expect("because only a directory can be the root of a source");
            return self.entry(&found, target, manner, localize);
        }
        // Its own mode counts only where the copy makes the directory.
        match self.there(&target) {
            There::Directory => self.directories(&target, parent_mode, owner)?,
            There::Other => return Err(not_a_directory(&target)),
            There::Nothing => match &taken.root {
                Some(found) => self.entry(found, target.clone(), manner, localize)?,
                None => self.directories(&target, parent_mode, owner)?,
            },
        }
        let skip = if taken.real.is_empty() { 0 } else { taken.real.len() + 1 };
        for found in &taken.below {
            let path = join(&target, &found.entry.path[skip..]);
            match (self.there(&path), found.entry.is_directory()) {
                (There::Directory, true) => {
                    self.directories(&path, parent_mode, owner)?;
                    continue;
                }
                (There::Other, true) => return Err(not_a_directory(&path)),
                (There::Directory, false) => {
                    return Err(Error::Destination {
                        path: show(&path),
                        reason: "a directory stands where the file should",
                    });
                }
                _ => {}
            }
            // An excluded directory is left out of the selection, a file in it that is included again is not.
            if !matches!(self.there(parent(&path)), There::Directory) {
                self.directories(parent(&path), parent_mode, owner)?;
            }
            self.entry(found, path, manner, localize)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        found: &layer::Found<'_>,
        path: Vec<u8>,
        manner: Manner<'_>,
        localize: &mut dyn FnMut(&layer::Found<'_>) -> Result<Kind>,
    ) -> Result<()> {
        let kind = match &found.entry.kind {
            Kind::Directory { .. } => Kind::Directory { opaque: false },
            Kind::File { .. } => localize(found)?,
            other => other.clone(),
        };
        let mut entry = Entry { path: path.into(), kind, ..found.entry.clone() };
        if let Some(owner) = manner.owner {
            (entry.uid, entry.gid) = (owner.uid, owner.gid);
        }
        if let Some(chmod) = manner.chmod
            && !matches!(entry.kind, Kind::Symlink { .. })
        {
            entry.mode = chmod.apply(entry.mode, entry.is_directory());
        }
        self.put(entry);
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
