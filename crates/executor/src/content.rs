//! What files hold: the digests that stand for taken files in content keys, and which of them changed.
//!
//! The digest covers, of every taken entry in order: the path relative to the match, type, permission bits, size and
//! content digest or link target, device numbers, xattrs; owners only where the source is a snapshot (contexts have
//! none) and the copy keeps them. Every field has its length before it. Times are not covered, nor is the directory
//! itself whose content is copied: the destination's mode and owner come from elsewhere.

use crate::select::{Take, select};
use crate::worker::Worker;
use crate::{Error, Result};
use graph::{FileAction, FileChange, MountKind, Node, Op};
use layer::{Entry, Kind, Listing, ListingBuilder, View, compare_paths};
use oci::{Digest, Hasher};
use solver::Input;
use std::cmp::Ordering;

/// How many changed files are named.
const SHOWN: usize = 3;

/// The digest of what `node` takes from input number `at`.
pub(crate) fn digest(worker: &Worker, node: &Node, at: usize, source: &Input) -> Result<Digest> {
    let mut hasher = Hasher::new();
    for take in takes(node, at) {
        hash(worker, source, &take, &mut hasher)?;
    }
    Ok(hasher.finish())
}

/// The digest of the tree at a path of a source, as a mount shows it.
pub(crate) fn tree_digest(worker: &Worker, source: &Input, path: &str) -> Result<Digest> {
    let mut hasher = Hasher::new();
    hash(worker, source, &Take::Tree(path), &mut hasher)?;
    Ok(hasher.finish())
}

fn hash(worker: &Worker, source: &Input, take: &Take<'_>, hasher: &mut Hasher) -> Result<()> {
    let view = worker.view_of(source, |view| take.select(view))?;
    let taken = take.select(&view)?;
    let (is_tree, chown) = match take {
        Take::Copy(copy) => (false, copy.chown.is_some()),
        Take::Tree(_) => (true, false),
    };
    let owners = matches!(source, Input::Snapshot(_)) && !chown;
    number(hasher, taken.len() as u64);
    for one in &taken {
        number(hasher, one.below.len() as u64);
        match &one.root {
            Some(root) if is_tree || !one.is_directory() => {
                entry(hasher, &one.name, &root.entry(), owners);
            }
            _ => number(hasher, u64::MAX),
        }
        for found in &one.below {
            entry(hasher, one.relative(found), &found.entry(), owners);
        }
    }
    Ok(())
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

/// The content digest of a file.
fn digest_of(entry: &Entry<'_>) -> Option<Digest> {
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

fn entry(hasher: &mut Hasher, path: &[u8], entry: &Entry<'_>, owners: bool) {
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
    for (name, value) in &*entry.xattrs {
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
    let base = match inputs.first() {
        Some(input) => worker.view(input)?,
        None => View::default(),
    };
    // What is taken now, at the paths where it goes. The owner of each says which match it is of.
    let mut now = ListingBuilder::default();
    let mut matches: Vec<Match> = Vec::new();
    for action in &op.actions {
        let FileAction::Copy(copy) = action else { continue };
        let Some(source) = inputs.get(copy.input) else { continue };
        let view = worker.view_of(source, |view| select(view, copy))?;
        let target = base
            .resolve(copy.destination.as_bytes(), true)
            .map_err(|source| Error::Layer { what: "destination".into(), source })?;
        for one in &select(&view, copy)? {
            let is_directory = one.is_directory();
            let into = if is_directory || !(copy.destination.ends_with('/') || base.is_directory(&target)) {
                target.clone()
            } else {
                join(&target, &one.name)
            };
            for found in one.all().filter(|found| !found.is_directory()) {
                let mut entry = found.entry();
                entry.path =
                    if is_directory { join(&into, one.relative(found)) } else { into.clone() }.into();
                entry.uid = matches.len() as u32;
                if copy.chmod.is_some() {
                    entry.mode = 0;
                }
                now.push(&entry);
            }
            matches.push(Match { into, from: one.real.clone(), is_directory });
        }
    }
    Ok(compare(&*worker.store.listing(*top)?, &now.finish(Vec::new()), &matches))
}

/// A match of a source: where it goes, and where it is.
struct Match {
    into: Vec<u8>,
    from: Vec<u8>,
    is_directory: bool,
}

impl Match {
    /// The path in the source of what goes to `path`, if it is of this match.
    fn source(&self, path: &[u8]) -> Option<String> {
        let rest = match self.into.is_empty() {
            true => path,
            false => path.strip_prefix(&self.into[..])?,
        };
        let rest = match rest.strip_prefix(b"/") {
            Some(rest) => rest,
            None if rest.is_empty() || self.into.is_empty() => rest,
            None => return None,
        };
        let source = if rest.is_empty() { self.from.clone() } else { join(&self.from, rest) };
        Some(String::from_utf8_lossy(&source).into_owned())
    }
}

/// The first changes by name, and how many there are: what is new or another, then what is gone.
fn compare(before: &Listing, now: &Listing, matches: &[Match]) -> (Vec<FileChange>, usize) {
    let (mut changes, mut gone, mut count) = (Vec::new(), Vec::new(), 0);
    let mut tell = |list: &mut Vec<FileChange>, change: &dyn Fn() -> FileChange| {
        count += 1;
        if list.len() < SHOWN {
            list.push(change());
        }
    };
    let mut old = before.entries().filter(|entry| !entry.is_directory()).peekable();
    let mut new = now.entries().peekable();
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => compare_paths(&old.path, &new.path),
        };
        let was = if order == Ordering::Greater { None } else { old.next() };
        let is = if order == Ordering::Less { None } else { new.next() };
        let here = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        match (was, is) {
            (Some(was), None) => tell(&mut gone, &|| {
                let of = matches.iter().filter(|one| one.is_directory);
                FileChange::Removed(
                    of.filter_map(|one| one.source(&was.path)).next().unwrap_or_else(|| here(&was.path)),
                )
            }),
            (was, Some(is)) => {
                let shown = || matches[is.uid as usize].source(&is.path).unwrap_or_else(|| here(&is.path));
                match was {
                    None => tell(&mut changes, &|| FileChange::Added(shown())),
                    Some(was) if !is_same(&was, &is) => tell(&mut changes, &|| FileChange::Changed(shown())),
                    Some(_) => {}
                }
            }
            (None, None) => {}
        }
    }
    changes.append(&mut gone);
    changes.truncate(SHOWN);
    (changes, count)
}

/// Whether a file is what was copied; without a mode it has the one that the copy gives it.
fn is_same(was: &Entry<'_>, is: &Entry<'_>) -> bool {
    let same_mode = is.mode == 0 || is.mode == was.mode || matches!(was.kind, Kind::Symlink { .. });
    digest_of(was) == digest_of(is) && same_mode
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() }
}
