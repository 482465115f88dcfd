//! What an archive has made so far, and which names it may use.

use crate::error::shown;
use crate::{Entry, Error, Result};
use std::collections::BTreeMap;

pub(super) fn wrong(path: &[u8], reason: &str) -> Error {
    Error::Archive { reason: format!("`{}` {reason}", shown(path)) }
}

/// Longer paths are not to be opened on Linux (PATH_MAX with its NUL).
pub(super) const LONGEST_PATH: usize = 4095;
pub(super) const LONGEST_NAME: usize = 255;
/// How many components one resolution looks at, those of links included.
pub(super) const MOST_STEPS: usize = 4096;

/// What the layer has so far; the keys are paths with NUL for the slash, so that bytes sort as listings do.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) nodes: BTreeMap<Vec<u8>, Entry<'static>>,
    key: Vec<u8>,
}

impl Tree {
    fn key(&mut self, path: &[u8]) {
        self.key.clear();
        self.key.extend(path.iter().map(|b| if *b == b'/' { 0 } else { *b }));
    }

    pub(super) fn get(&mut self, path: &[u8]) -> Option<&mut Entry<'static>> {
        self.key(path);
        self.nodes.get_mut(&*self.key)
    }

    pub(super) fn insert(&mut self, entry: Entry<'static>) {
        self.key(&entry.path);
        self.nodes.insert(self.key.clone(), entry);
    }

    /// Takes `path` and all below it out, last first.
    pub(super) fn remove(&mut self, path: &[u8]) -> Vec<Entry<'static>> {
        self.key(path);
        let mut removed: Vec<Entry<'static>> = self.nodes.remove(&*self.key).into_iter().collect();
        self.key.push(0);
        while let Some((key, _)) = self
            .nodes
            .range::<[u8], _>((std::ops::Bound::Included(&*self.key), std::ops::Bound::Unbounded))
            .next()
            && key.starts_with(&self.key)
        {
            let key = key.clone();
            removed.extend(self.nodes.remove(&key));
        }
        removed.reverse();
        removed
    }
}

/// A name of the archive without leading slash, `.` and doubled slashes. Where `clamp` is set, `..` goes up as far as
/// the root; otherwise it is refused.
pub(super) fn normal(path: &[u8], max_depth: usize, clamp: bool) -> Result<Vec<u8>> {
    if path.len() > LONGEST_PATH || path.contains(&0) {
        return Err(wrong(&path[..path.len().min(100)], "is no possible path"));
    }
    let mut clean: Vec<u8> = Vec::with_capacity(path.len());
    let mut depth = 0usize;
    for part in path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".") {
        if part == b".." && clamp {
            clean.truncate(clean.iter().rposition(|b| *b == b'/').unwrap_or(0));
            depth = depth.saturating_sub(1);
            continue;
        }
        if part == b".." {
            return Err(wrong(path, "reaches outside"));
        }
        if part.len() > LONGEST_NAME {
            return Err(wrong(path, "has a name of more than 255 bytes"));
        }
        depth += 1;
        if depth > max_depth {
            return Err(wrong(path, "is nested too deeply"));
        }
        if !clean.is_empty() {
            clean.push(b'/');
        }
        clean.extend_from_slice(part);
    }
    Ok(clean)
}
