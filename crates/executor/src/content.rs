//! What files hold: the digests that stand for taken files in content keys, and which of them changed.
//!
//! The digest covers, of every taken entry in order: the path relative to the match, type, permission bits, size and
//! content digest or link target, device numbers, xattrs; owners only where the source is a snapshot (contexts have
//! none) and the copy keeps them. Every field has its length before it. Times are not covered, nor is the directory
//! itself whose content is copied: the destination's mode and owner come from elsewhere.

use crate::select::{Taken, select, tree};
use crate::worker::Worker;
use crate::{Error, Result};
use graph::{Copy, FileAction, FileChange, MountKind, Node, Op};
use layer::{Entry, Kind, Listing, View};
use oci::{Digest, Hasher};
use solver::Input;
use std::collections::BTreeMap;

/// How many changed files are named.
const SHOWN: usize = 3;

/// The digest of what `node` takes from input number `at`.
pub(crate) fn digest(worker: &Worker, node: &Node, at: usize, source: &Input) -> Result<Digest> {
    let view = worker.view(source)?;
    let mut hasher = Hasher::new();
    for take in takes(node, at) {
        hash(worker, source, &view, &take, &mut hasher)?;
    }
    Ok(hasher.finish())
}

/// The digest of the tree at a path of a source, as a mount shows it.
pub(crate) fn tree_digest(worker: &Worker, source: &Input, path: &str) -> Result<Digest> {
    let mut hasher = Hasher::new();
    hash(worker, source, &worker.view(source)?, &Take::Tree(path), &mut hasher)?;
    Ok(hasher.finish())
}

fn hash(worker: &Worker, source: &Input, view: &View, take: &Take<'_>, hasher: &mut Hasher) -> Result<()> {
    let (taken, is_tree, chown) = match take {
        Take::Copy(copy) => (select(view, copy)?, false, copy.chown.is_some()),
        Take::Tree(source) => (vec![tree(view, source)?], true, false),
    };
    let known = Known::of(worker, source, &taken)?;
    let owners = matches!(source, Input::Snapshot(_)) && !chown;
    number(hasher, taken.len() as u64);
    for one in &taken {
        number(hasher, one.below.len() as u64);
        match &one.root {
            Some(root) if is_tree || !one.is_directory() => {
                entry(hasher, &one.name, known.completed(root.entry), owners);
            }
            _ => number(hasher, u64::MAX),
        }
        for found in &one.below {
            entry(hasher, one.relative(found), known.completed(found.entry), owners);
        }
    }
    Ok(())
}

/// A way of taking files.
enum Take<'a> {
    Copy(&'a Copy),
    /// The tree at a path, as a mount shows it.
    Tree(&'a str),
}

/// What a node takes from an input.
fn takes(node: &Node, at: usize) -> Vec<Take<'_>> {
    match &node.op {
        Op::File(op) => op
            .actions
            .iter()
            .filter_map(|action| match action {
                FileAction::Copy(copy) if copy.input == at => Some(Take::Copy(copy)),
                _ => None,
            })
            .collect(),
        Op::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| match &mount.kind {
                MountKind::Bind { input, source, .. } if *input == at => Some(Take::Tree(source)),
                MountKind::Cache { from: Some((input, source)), .. } if *input == at => {
                    Some(Take::Tree(source))
                }
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// What was found out about taken files that the source's listing does not say: of a context, the digests and
/// attributes of files that the stat index did not know.
pub(crate) struct Known(Listing);

impl Known {
    pub(crate) fn of(worker: &Worker, source: &Input, taken: &[Taken<'_>]) -> Result<Self> {
        let Input::Local(name) = source else { return Ok(Self(Listing::default())) };
        let context = worker.tree(name)?;
        let entries = taken.iter().flat_map(Taken::all).map(|found| found.entry);
        // A device 0:0 is no file to be completed, but the source refuses it: overlayfs takes it as removed.
        let unclear = |entry: &&Entry| {
            source::is_pending(entry) || matches!(entry.kind, Kind::CharDevice { major: 0, minor: 0 })
        };
        let mut entries: Vec<Entry> = entries.filter(unclear).cloned().collect();
        context.complete_keeping(&mut entries, Some(&worker.spools.keep(&worker.store))).map_err(changed)?;
        Ok(Self(Listing::new(entries, Vec::new())))
    }

    /// The entry with all that is known of it.
    pub(crate) fn completed<'a>(&'a self, entry: &'a Entry) -> &'a Entry {
        if source::is_pending(entry) { self.0.get(&entry.path).unwrap_or(entry) } else { entry }
    }
}

/// A file that was there when the context was walked and is another thing now, or none, changed as one does whose
/// content did.
fn changed(error: source::Error) -> Error {
    let shown = |path: &std::path::Path| path.display().to_string();
    match &error {
        source::Error::Changing { path } | source::Error::NotAFile { path } => {
            Error::Changed { path: shown(path) }
        }
        source::Error::Io { path, source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
            Error::Changed { path: shown(path) }
        }
        _ => error.into(),
    }
}

/// The content digest of a file.
fn digest_of(entry: &Entry) -> Option<Digest> {
    match &entry.kind {
        Kind::File { digest, .. } => Some(*digest),
        _ => None,
    }
}

fn number(hasher: &mut Hasher, value: u64) {
    hasher.update(&value.to_le_bytes());
}

fn field(hasher: &mut Hasher, bytes: &[u8]) {
    number(hasher, bytes.len() as u64);
    hasher.update(bytes);
}

fn entry(hasher: &mut Hasher, path: &[u8], entry: &Entry, owners: bool) {
    field(hasher, path);
    number(hasher, u64::from(entry.mode));
    if owners {
        number(hasher, u64::from(entry.uid) << 32 | u64::from(entry.gid));
    }
    let device = |hasher: &mut Hasher, kind: u64, major: u32, minor: u32| {
        number(hasher, kind);
        number(hasher, u64::from(major) << 32 | u64::from(minor));
    };
    match &entry.kind {
        Kind::Directory { .. } => number(hasher, 0),
        Kind::File { size, digest, .. } => {
            number(hasher, 1);
            number(hasher, *size);
            hasher.update(digest.as_bytes());
        }
        Kind::Symlink { target } => {
            number(hasher, 2);
            field(hasher, target);
        }
        Kind::CharDevice { major, minor } => device(hasher, 3, *major, *minor),
        Kind::BlockDevice { major, minor } => device(hasher, 4, *major, *minor),
        Kind::Fifo => number(hasher, 5),
        Kind::Whiteout => number(hasher, 6),
    }
    number(hasher, entry.xattrs.len() as u64);
    for (name, value) in &entry.xattrs {
        field(hasher, name);
        field(hasher, value);
    }
}

/// Which files differ from those of the result kept under `old`: its own layer holds what was taken then, at the
/// paths it was copied to. Told by the paths of the source.
pub(crate) fn changes(
    worker: &Worker,
    node: &Node,
    inputs: &[Input],
    old: Digest,
) -> Result<(Vec<FileChange>, usize)> {
    let Op::File(op) = &node.op else { return Ok((Vec::new(), 0)) };
    let Some(Some(hit)) = worker.store.find_many(&[[old]])?.pop() else { return Ok((Vec::new(), 0)) };
    let Some(top) = hit.record.stack.last() else { return Ok((Vec::new(), 0)) };
    let before = worker.store.listing(*top)?;
    let base = match inputs.first() {
        Some(input) => worker.view(input)?,
        None => View::default(),
    };
    let mut now: BTreeMap<Vec<u8>, (String, Option<Digest>, u32)> = BTreeMap::new();
    let mut prefixes: Vec<(Vec<u8>, String)> = Vec::new();
    for action in &op.actions {
        let FileAction::Copy(copy) = action else { continue };
        let Some(source) = inputs.get(copy.input) else { continue };
        let view = worker.view(source)?;
        let taken = select(&view, copy)?;
        let known = Known::of(worker, source, &taken)?;
        let target = base
            .resolve(copy.destination.as_bytes(), true)
            .map_err(|source| Error::Layer { what: "destination".into(), source })?;
        for one in &taken {
            let into =
                if one.is_directory() || !(copy.destination.ends_with('/') || base.is_directory(&target)) {
                    target.clone()
                } else {
                    join(&target, &one.name)
                };
            if one.is_directory() {
                prefixes.push((into.clone(), String::from_utf8_lossy(&one.real).into_owned()));
            }
            for found in one.all() {
                if found.entry.is_directory() {
                    continue;
                }
                let path = if one.is_directory() { join(&into, one.relative(found)) } else { into.clone() };
                let shown = String::from_utf8_lossy(&found.entry.path).into_owned();
                let mode = if copy.chmod.is_some() { 0 } else { found.entry.mode };
                now.insert(path, (shown, digest_of(known.completed(found.entry)), mode));
            }
        }
    }
    Ok(compare(&before, &now, &prefixes))
}

fn compare(
    before: &Listing,
    now: &BTreeMap<Vec<u8>, (String, Option<Digest>, u32)>,
    prefixes: &[(Vec<u8>, String)],
) -> (Vec<FileChange>, usize) {
    let mut changes = Vec::new();
    for (path, (shown, digest, mode)) in now {
        match before.get(path) {
            None => changes.push(FileChange::Added(shown.clone())),
            Some(old) => {
                let content = digest_of(old);
                let same_mode = *mode == 0 || *mode == old.mode || matches!(old.kind, Kind::Symlink { .. });
                if content != *digest || !same_mode {
                    changes.push(FileChange::Changed(shown.clone()));
                }
            }
        }
    }
    for old in before.entries() {
        if old.is_directory() || now.contains_key(&old.path[..]) {
            continue;
        }
        let shown = prefixes.iter().find_map(|(target, source)| {
            let rest = if target.is_empty() {
                &old.path[..]
            } else {
                old.path.strip_prefix(&target[..])?.strip_prefix(b"/")?
            };
            let rest = String::from_utf8_lossy(rest);
            Some(if source.is_empty() { rest.into_owned() } else { format!("{source}/{rest}") })
        });
        changes.push(FileChange::Removed(
            shown.unwrap_or_else(|| String::from_utf8_lossy(&old.path).into_owned()),
        ));
    }
    let count = changes.len();
    changes.truncate(SHOWN);
    (changes, count)
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}
