//! The scan: one pass over the paths tells which files say something, several threads read them, and what they said is
//! put together in the order of the paths.

use crate::draft::{Draft, assemble};
use crate::inventory::{Inventory, Skipped};
use crate::scanners::{Scanner, Surroundings, Told};
use crate::tree::{File, Tree, shown};
use crate::{Error, Result, limits};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How to scan.
#[derive(Clone, Copy, Debug)]
pub struct ScanOptions {
    /// How many threads read; 0 counts as 1.
    pub threads: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { threads: 1 }
    }
}

/// Tells which packages a tree holds.
///
/// # Errors
/// [`Error::Read`] where the tree cannot be read. What its files say is never an error.
pub fn scan(tree: &dyn Tree, options: &ScanOptions) -> Result<Inventory> {
    let files = tree.files();
    let surroundings = Surroundings::new(tree, &files)?;
    let work: Vec<(Scanner, File<'_>)> =
        files.iter().filter_map(|file| Some((Scanner::of(file)?, *file))).collect();

    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let told: Mutex<Vec<(usize, Result<Told>)>> = Mutex::new(Vec::new());
    let read = || {
        while !stop.load(Ordering::Relaxed) {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((scanner, file)) = work.get(at) else { return };
            let found = scanner.read(&surroundings, file);
            stop.fetch_or(found.is_err(), Ordering::Relaxed);
            if !matches!(found, Ok(Told::Nothing)) {
                told.lock().unwrap_or_else(PoisonError::into_inner).push((at, found));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..options.threads.min(work.len()) {
            scope.spawn(read);
        }
        read();
    });

    let mut told = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    told.sort_unstable_by_key(|(at, _)| *at);
    let mut drafts: Vec<Draft> = Vec::new();
    let mut skipped = Vec::new();
    for (at, found) in told {
        let mut skip = |reason| skipped.push(Skipped { path: shown(work[at].1.path), reason });
        match found? {
            Told::Nothing => {}
            Told::Unreadable(reason) => skip(reason),
            Told::Packages(some) if drafts.len() + some.len() > limits::PACKAGES => {
                skip(format!("comes after the first {} packages", limits::PACKAGES));
            }
            Told::Packages(some) => drafts.extend(some),
        }
    }
    skipped.sort();
    Ok(Inventory { distribution: surroundings.distribution, skipped, ..assemble(drafts) })
}

/// An error of reading `file`.
pub(crate) fn unread(file: &File<'_>, source: std::io::Error) -> Error {
    Error::Read { path: shown(file.path), source }
}
