//! Programs and libraries: ELF files in which compilers left what they were made of.
//!
//! Every file of a tree could be one. Opened are those that somebody may execute, shared libraries and node's addons;
//! what is smaller than a program with such a list cannot be one.

use super::elf::Elf;
use super::{Surroundings, Told, go, has_ending, rust, split};
use crate::Result;
use crate::draft::Draft;
use crate::scan::unread;
use crate::tree::{File, shown};

/// The least size of a program that lists its parts: the headers alone have 64 bytes and 64 for each section.
const SMALLEST: u64 = 256;

/// Whether to look into a file, by its path, size and mode.
pub(super) fn is_candidate(file: &File<'_>) -> bool {
    let (_, name) = split(file.path);
    let is_library = || {
        has_ending(name, b".so") || name.windows(4).any(|part| part == b".so.") || has_ending(name, b".node")
    };
    file.size >= SMALLEST && (file.executable || is_library())
}

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>) -> Result<Told> {
    let read = || {
        let Some(content) = surroundings.tree.open(file.path)? else { return Ok(Vec::new()) };
        let Some(elf) = Elf::open(&*content)? else { return Ok(Vec::new()) };
        Ok(vec![go::told(&elf)?, rust::told(&elf)?])
    };
    let mut packages: Vec<Draft> = Vec::new();
    for told in read().map_err(|source| unread(file, source))? {
        match told {
            Told::Nothing => {}
            Told::Packages(some) => packages.extend(some),
            unreadable => return Ok(unreadable),
        }
    }
    let path = shown(file.path);
    for package in &mut packages {
        package.scope.clone_from(&path);
        package.seen_in(path.clone(), file.layer);
    }
    Ok(if packages.is_empty() { Told::Nothing } else { Told::Packages(packages) })
}
