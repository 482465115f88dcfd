//! What files hold: the digests that stand for taken files in content keys, and which of them changed.
//!
//! The digest covers, of every taken entry in order: the path relative to the match, type, permission bits, size and
//! content digest or link target, device numbers, xattrs; owners only where the source is a snapshot (contexts have
//! none) and the copy keeps them. Every field has its length before it. Times are not covered.

use crate::select::{Taken, select};
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
    for copy in takes(node, at) {
        let taken = select(&view, &copy)?;
        let known = known_digests(worker, source, &taken)?;
        let owners = matches!(source, Input::Snapshot(_)) && copy.chown.is_none();
        number(&mut hasher, taken.len() as u64);
        for one in &taken {
            field(&mut hasher, if copy.parents { &one.path } else { &one.name });
            let skip = if one.real.is_empty() { 0 } else { one.real.len() + 1 };
            number(&mut hasher, one.below.len() as u64);
            if let Some(root) = &one.root {
                entry(&mut hasher, b"", root.entry, owners, &known);
            }
            for found in &one.below {
                entry(&mut hasher, &found.entry.path[skip..], found.entry, owners, &known);
            }
        }
    }
    Ok(hasher.finish())
}

/// What a node takes from an input, as copies: a bind mount takes the tree at its source.
fn takes(node: &Node, at: usize) -> Vec<Copy> {
    match &node.op {
        Op::File(op) => op
            .actions
            .iter()
            .filter_map(|action| match action {
                FileAction::Copy(copy) if copy.input == at => Some(copy.clone()),
                _ => None,
            })
            .collect(),
        Op::Run(run) => run
            .mounts
            .iter()
            .filter_map(|mount| match &mount.kind {
                MountKind::Bind { input, source, .. } if *input == at => {
                    Some(Copy { input: at, sources: vec![source.clone()], ..Copy::default() })
                }
                MountKind::Cache { from: Some((input, source)), .. } if *input == at => {
                    Some(Copy { input: at, sources: vec![source.clone()], ..Copy::default() })
                }
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The content digests of context files by path; a snapshot's listing has its own.
pub(crate) type Known = Option<std::collections::HashMap<Box<[u8]>, Digest>>;

pub(crate) fn known_digests(worker: &Worker, source: &Input, taken: &[Taken<'_>]) -> Result<Known> {
    let Input::Local(name) = source else { return Ok(None) };
    let tree = worker.tree(name)?;
    let mut entries: Vec<Entry> = taken
        .iter()
        .flat_map(|one| one.root.iter().chain(&one.below))
        .map(|found| found.entry)
        .filter(|entry| matches!(entry.kind, Kind::File { .. }))
        .cloned()
        .collect();
    tree.complete(&mut entries)?;
    Ok(Some(
        entries
            .into_iter()
            .filter_map(|entry| match entry.kind {
                Kind::File { digest, .. } => Some((entry.path, digest)),
                _ => None,
            })
            .collect(),
    ))
}

/// The content digest of a file of a selection.
pub(crate) fn digest_of(entry: &Entry, known: &Known) -> Option<Digest> {
    match (&entry.kind, known) {
        (Kind::File { .. }, Some(known)) => known.get(&entry.path).copied(),
        (Kind::File { digest, .. }, None) => Some(*digest),
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

fn entry(hasher: &mut Hasher, path: &[u8], entry: &Entry, owners: bool, known: &Known) {
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
        Kind::File { size, .. } => {
            number(hasher, 1);
            number(hasher, *size);
            let digest = digest_of(entry, known).expect("because all files of the selection were completed");
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
        let known = known_digests(worker, source, &taken)?;
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
            let skip = if one.real.is_empty() { 0 } else { one.real.len() + 1 };
            for found in one.root.iter().chain(&one.below) {
                if found.entry.is_directory() {
                    continue;
                }
                let path = if found.entry.path.len() < skip || !one.is_directory() {
                    into.clone()
                } else {
                    join(&into, &found.entry.path[skip..])
                };
                let shown = String::from_utf8_lossy(&found.entry.path).into_owned();
                let mode = if copy.chmod.is_some() { 0 } else { found.entry.mode };
                now.insert(path, (shown, digest_of(found.entry, &known), mode));
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
                let content = digest_of(old, &None);
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
