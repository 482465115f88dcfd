//! The scanners, and which file is for which of them.

mod apk;
mod composer;
mod copyright;
mod dpkg;
mod elf;
mod gem;
mod go;
mod go_version;
mod java;
mod npm;
mod program;
mod python;
mod rpm;
mod rust;
mod sqlite;
mod zip;

use crate::distribution::Distribution;
use crate::draft::Draft;
use crate::tree::{File, Read, Tree, read};
use crate::{Result, limits};
use std::collections::HashMap;

/// Who reads a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scanner {
    Dpkg,
    Apk,
    Npm,
    Python,
    Gem,
    Composer,
    Rpm,
    Java,
    Program,
}

/// What a file told.
#[derive(Debug)]
pub(crate) enum Told {
    /// It is not what it looked like from its path; most are.
    Nothing,
    Packages(Vec<Draft>),
    /// It is what it looked like, and cannot be read for this reason.
    Unreadable(String),
}

/// What scanners know besides the file that they read.
pub(crate) struct Surroundings<'a> {
    pub(crate) tree: &'a dyn Tree,
    pub(crate) distribution: Option<Distribution>,
    /// The lists of files that dpkg keeps for each package, and the layers they come from: a package's own is as old
    /// as the package.
    dpkg_lists: HashMap<&'a [u8], usize>,
}

impl<'a> Surroundings<'a> {
    pub(crate) fn new(tree: &'a dyn Tree, files: &[File<'a>]) -> Result<Self> {
        let lists = files.iter().filter(|file| dpkg::is_list(file.path));
        Ok(Self {
            tree,
            distribution: Distribution::of(tree)?,
            dpkg_lists: lists.map(|file| (file.path, file.layer)).collect(),
        })
    }

    /// The layer of one of dpkg's lists, where it is there.
    pub(crate) fn dpkg_list(&self, path: &str) -> Option<usize> {
        self.dpkg_lists.get(path.as_bytes()).copied()
    }
}

/// Reads a whole file.
type Parse = fn(&Surroundings<'_>, &File<'_>, &[u8]) -> Result<Told>;

impl Scanner {
    /// Who reads this file, by its path.
    pub(crate) fn of(file: &File<'_>) -> Option<Self> {
        let (parent, name) = split(file.path);
        match name {
            b"status" if ends_with(parent, b"lib/dpkg") => Some(Self::Dpkg),
            b"installed" if ends_with(parent, b"lib/apk/db") => Some(Self::Apk),
            b"package.json" => Some(Self::Npm),
            b"METADATA" if has_ending(parent, b".dist-info") => Some(Self::Python),
            b"PKG-INFO" if has_ending(parent, b".egg-info") => Some(Self::Python),
            _ if has_ending(name, b".egg-info") => Some(Self::Python),
            _ if ends_with(parent, b"lib/dpkg/status.d") => {
                (!has_ending(name, b".md5sums")).then_some(Self::Dpkg)
            }
            b"installed.json" if ends_with(parent, b"composer") => Some(Self::Composer),
            _ if gem::is_specification(file.path) => Some(Self::Gem),
            _ if rpm::is_database(file.path) => Some(Self::Rpm),
            _ if java::is_archive(name) => Some(Self::Java),
            _ => program::is_candidate(file).then_some(Self::Program),
        }
    }

    pub(crate) fn read(self, surroundings: &Surroundings<'_>, file: &File<'_>) -> Result<Told> {
        let (limit, parse): (u64, Parse) = match self {
            Self::Dpkg => (limits::DATABASE, dpkg::told),
            Self::Apk => (limits::DATABASE, apk::told),
            Self::Npm => (limits::MANIFEST, npm::told),
            Self::Python => (limits::MANIFEST, python::told),
            Self::Gem => (limits::MANIFEST, gem::told),
            Self::Composer => (limits::DATABASE, composer::told),
            Self::Rpm => return rpm::told(surroundings, file),
            Self::Java => return java::told(surroundings, file),
            Self::Program => return program::told(surroundings, file),
        };
        let told = match read(surroundings.tree, file.path, limit)? {
            Read::Missing => return Ok(Told::Nothing),
            Read::TooLarge => return Ok(Told::Unreadable(format!("has more than {limit} bytes"))),
            Read::Bytes(bytes) => parse(surroundings, file, &bytes)?,
        };
        Ok(match told {
            Told::Packages(packages) if packages.is_empty() => Told::Nothing,
            Told::Packages(packages) if packages.len() > limits::PACKAGES_OF_A_FILE => {
                Told::Unreadable(format!("tells of more than {} packages", limits::PACKAGES_OF_A_FILE))
            }
            told => told,
        })
    }
}

/// The path of the parent, empty for the root, and the name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (b"", path),
    }
}

/// Whether the last components of `path` are `end`.
fn ends_with(path: &[u8], end: &[u8]) -> bool {
    path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with(b"/"))
}

/// Whether a name ends so, in any case, and is more than that.
fn has_ending(name: &[u8], ending: &[u8]) -> bool {
    let Some(at) = name.len().checked_sub(ending.len()) else { return false };
    at > 0 && name[at..].eq_ignore_ascii_case(ending) && name[at - 1] != b'/'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_tell_who_reads() {
        for (path, expected) in [
            ("var/lib/dpkg/status", Some(Scanner::Dpkg)),
            ("chroot/var/lib/dpkg/status", Some(Scanner::Dpkg)),
            ("notlib/dpkg/status", None),
            ("var/lib/dpkg/status.d/base", Some(Scanner::Dpkg)),
            ("var/lib/dpkg/status.d/base.md5sums", None),
            ("lib/apk/db/installed", Some(Scanner::Apk)),
            ("usr/lib/apk/db/installed", Some(Scanner::Apk)),
            ("app/package.json", Some(Scanner::Npm)),
            ("package.json", Some(Scanner::Npm)),
            ("s/pip-1.dist-info/METADATA", Some(Scanner::Python)),
            ("s/pip-1.egg-info/PKG-INFO", Some(Scanner::Python)),
            ("s/pip-1.EGG-INFO/PKG-INFO", Some(Scanner::Python)),
            ("s/pip-1.egg-info", Some(Scanner::Python)),
            ("s/.egg-info", None),
            ("METADATA", None),
            ("var/lib/rpm/rpmdb.sqlite", Some(Scanner::Rpm)),
            ("usr/lib/sysimage/rpm/Packages.db", Some(Scanner::Rpm)),
            ("home/Packages", None),
            ("gems/specifications/default/a-1.gemspec", Some(Scanner::Gem)),
            ("src/a.gemspec", None),
            ("app/vendor/composer/installed.json", Some(Scanner::Composer)),
            ("srv/Site.WAR", Some(Scanner::Java)),
            ("srv/.jar", None),
            ("usr/bin/tool", None),
        ] {
            let file = File { path: path.as_bytes(), size: 10_000, executable: false, layer: 0 };
            assert_eq!(Scanner::of(&file), expected, "{path}");
        }
        let tool = File { path: b"usr/bin/tool", size: 10_000, executable: true, layer: 0 };
        assert_eq!(Scanner::of(&tool), Some(Scanner::Program));
    }
}
