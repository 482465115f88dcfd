//! Modules in Go programs. The linker writes build information, which starts at a multiple of 16 in the section
//! `.go.buildinfo`, or without sections in the part of the file that is loaded to be written to (Go's
//! `debug/buildinfo`):
//!
//! ```text
//!  0  ff " Go buildinf:"  14 bytes
//! 14  size of a pointer
//! 15  flags: 1 big endian, 2 the strings follow
//! 16  before Go 1.18: the addresses of two strings, each an address and a length
//! 32  since then: two strings, each with its length before it as a varint
//! ```
//! The first string is the version of Go, the second, between two marks of 16 bytes, the modules line by line, with
//! tabs between the words:
//!
//! ```text
//! path  example.org/tool/cmd/a         the package that was built
//! mod   example.org/tool  v1.0.0  h1:  the main module
//! dep   example.org/lib   v0.1.0  h1:  a module in the program
//! =>    example.org/fork  v0.1.1  h1:  what the module above was replaced by
//! build -ldflags=...                   a setting
//! ```

use super::Told;
use super::elf::{Elf, Range};
use super::go_version::main_version;
use crate::draft::{Draft, is_word};
use crate::inventory::{Checksum, Kind};
use crate::limits;
use crate::purl::Purl;
use std::io;

const MAGIC: &[u8] = b"\xff Go buildinf:";
const HEADER: usize = 32;
/// How far into the data of a program without sections the information may begin.
const SEARCHED: u64 = 1 << 20;
/// The longest name of a version of Go.
const VERSION: u64 = 1024;
/// What stands in place of a version where nobody gave one.
pub(super) const DEVELOPMENT: &str = "(devel)";
/// The package that is made of single files, not by its path.
const SINGLE_FILES: &str = "command-line-arguments";
/// The name of Go's own library, which is in every program.
const LIBRARY: &str = "stdlib";

/// The build information of one program.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct BuildInfo<'a> {
    /// The package that was built.
    pub(super) path: &'a str,
    pub(super) main: Option<Module<'a>>,
    modules: Vec<Module<'a>>,
    /// `-ldflags`, `vcs.revision` and others.
    settings: Vec<(&'a str, &'a str)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Module<'a> {
    pub(super) path: &'a str,
    pub(super) version: &'a str,
    sum: &'a str,
}

impl<'a> BuildInfo<'a> {
    /// The value of a setting.
    pub(super) fn setting(&self, name: &str) -> Option<&'a str> {
        self.settings.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn parse(text: &'a str) -> Self {
        let mut info = Self::default();
        // Whether the last module was the main one: what replaces comes after what is replaced.
        let mut last_is_main = false;
        for line in text.lines() {
            let Some((key, rest)) = line.split_once('\t') else { continue };
            let mut words = rest.split('\t').map(str::trim);
            let mut word = || words.next().unwrap_or_default();
            match key {
                "path" => info.path = word(),
                "mod" => {
                    info.main = Some(Module { path: word(), version: word(), sum: word() });
                    last_is_main = true;
                }
                "dep" => {
                    info.modules.push(Module { path: word(), version: word(), sum: word() });
                    last_is_main = false;
                }
                "=>" => {
                    let by = Module { path: word(), version: word(), sum: word() };
                    let replaced = if last_is_main { info.main.as_mut() } else { info.modules.last_mut() };
                    if let Some(replaced) = replaced {
                        *replaced = by;
                    }
                }
                "build" => {
                    info.settings.extend(rest.split_once('=').map(|(key, value)| (key, unquoted(value))))
                }
                _ => {}
            }
        }
        info.find_main();
        info
    }

    /// Without modules, or built of single files, a program has no main module, or not under its own name: it is the
    /// one module without a version, or else goes by the path of its package.
    fn find_main(&mut self) {
        if self.main.is_some_and(|main| main.path != SINGLE_FILES) || self.path.is_empty() {
            return;
        }
        let mut unversioned = (0..self.modules.len()).filter(|at| self.modules[*at].version == DEVELOPMENT);
        self.main = Some(match (unversioned.next(), unversioned.next()) {
            (Some(only), None) => self.modules.remove(only),
            _ => Module { path: self.path, version: DEVELOPMENT, sum: "" },
        });
    }
}

/// Values with white space or quotes stand in quotes.
fn unquoted(value: &str) -> &str {
    let inner = ['"', '`'].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote));
    inner.unwrap_or(value)
}

pub(super) fn told(elf: &Elf<'_>) -> io::Result<Told> {
    let Some((version, modules)) = strings(elf)? else { return Ok(Told::Nothing) };
    let version = String::from_utf8_lossy(&version);
    let modules = String::from_utf8_lossy(&modules);
    let info = BuildInfo::parse(&modules);
    if info.modules.len() > limits::PACKAGES_OF_A_FILE {
        return Ok(Told::Unreadable(format!("lists more than {} Go modules", limits::PACKAGES_OF_A_FILE)));
    }
    Ok(Told::Packages(packages(&info, &version)))
}

fn packages(info: &BuildInfo<'_>, go: &str) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    // `go1.22.1 X:loopvar`: experiments follow the version.
    let go = go.split_whitespace().next().unwrap_or_default();
    if is_word(go) {
        let version = go.strip_prefix("go").unwrap_or(go);
        let mut library = Draft::new(Kind::Go, LIBRARY, go, purl(LIBRARY, version));
        library.package.licences.push("BSD-3-Clause".to_owned());
        drafts.push(library);
    }
    drafts.extend(info.modules.iter().filter_map(|found| module(*found)));
    for draft in &mut drafts {
        draft.provides.push(draft.package.name.clone());
    }
    if let Some(main) = info.main {
        let version = main_version(info, &main);
        if let Some(mut draft) = module(Module { version: &version, ..main }) {
            draft.requires = drafts.iter().map(|needed| vec![needed.package.name.clone()]).collect();
            drafts.push(draft);
        }
    }
    drafts
}

fn module(found: Module<'_>) -> Option<Draft> {
    let Module { path, version, sum } = found;
    if !is_word(path) || !is_word(version) {
        return None;
    }
    let mut draft = Draft::new(Kind::Go, path, version, purl(path, version));
    let digest = sum.strip_prefix("h1:").and_then(|text| Checksum::of_base64("SHA256", 32, text));
    draft.package.checksums.extend(digest);
    Some(draft)
}

/// `github.com/a/b/v2` has the namespace `github.com/a`, the name `b` and the subpath `v2`.
fn purl(path: &str, version: &str) -> String {
    let slashes: Vec<usize> = path.match_indices('/').map(|(at, _)| at).take(3).collect();
    let (namespace, name, subpath) = match *slashes {
        [] => ("", path, ""),
        [one] => (&path[..one], &path[one + 1..], ""),
        [_, two] => (&path[..two], &path[two + 1..], ""),
        [_, two, three, ..] => (&path[..two], &path[two + 1..three], &path[three + 1..]),
    };
    Purl { kind: "golang", namespace, name, version, subpath, ..Purl::default() }.text()
}

/// The version of Go and the list of modules.
fn strings(elf: &Elf<'_>) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some(place) = elf.section(b".go.buildinfo").or_else(|| elf.data()) else { return Ok(None) };
    let searched = elf.bytes(place, SEARCHED)?;
    let aligned = searched.chunks(16).position(|chunk| chunk.starts_with(MAGIC)).map(|at| at * 16);
    let Some(start) = aligned else { return Ok(None) };
    let Some(header) = searched.get(start..start + HEADER) else { return Ok(None) };
    let found = if header[15] & 2 != 0 {
        let offset = place.offset.saturating_add((start + HEADER) as u64);
        following(elf, offset)?
    } else {
        pointed(elf, header)?
    };
    Ok(found.map(|(version, modules)| (version, unmarked(modules))))
}

/// Both strings behind the header.
fn following(elf: &Elf<'_>, offset: u64) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let Some((version, offset)) = counted(elf, offset, VERSION)? else { return Ok(None) };
    Ok(counted(elf, offset, limits::MODULES)?.map(|(modules, _)| (version, modules)))
}

/// A string with its length before it, and where it ends.
fn counted(elf: &Elf<'_>, offset: u64, most: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let head = elf.bytes(Range { offset, size: 10 }, 10)?;
    let Some((length, width)) = varint(&head).filter(|(length, _)| *length <= most) else { return Ok(None) };
    let Some(start) = offset.checked_add(width) else { return Ok(None) };
    let bytes = elf.bytes(Range { offset: start, size: length }, most)?;
    Ok((bytes.len() as u64 == length).then(|| (bytes, start.saturating_add(length))))
}

/// A number in groups of 7 bits, the lowest first, and its width in bytes.
fn varint(bytes: &[u8]) -> Option<(u64, u64)> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at as u64 + 1));
        }
    }
    None
}

/// Both strings by their addresses.
fn pointed(elf: &Elf<'_>, header: &[u8]) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let width = if elf.wide { 8 } else { 4 };
    if header[14] != width || (header[15] & 1 != 0) != elf.big {
        return Ok(None);
    }
    let string = |at: usize, most: u64| -> io::Result<Option<Vec<u8>>> {
        let Some(address) = elf.pointer(header, at) else { return Ok(None) };
        let Some(pair) = elf.at_address(address, u64::from(width) * 2)? else { return Ok(None) };
        let parts = elf.pointer(&pair, 0).zip(elf.pointer(&pair, usize::from(width)));
        match parts {
            Some((start, length)) if length <= most => elf.at_address(start, length),
            _ => Ok(None),
        }
    };
    let Some(version) = string(16, VERSION)? else { return Ok(None) };
    // Programs that were built without modules have none.
    let modules = string(16 + usize::from(width), limits::MODULES)?.unwrap_or_default();
    Ok(Some((version, modules)))
}

/// What is between the marks; nothing where there are none.
fn unmarked(mut modules: Vec<u8>) -> Vec<u8> {
    match modules.len().checked_sub(17) {
        Some(end) if end >= 16 && modules[end] == b'\n' => {
            modules.truncate(end + 1);
            modules.split_off(16)
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn paths_are_split_into_namespace_name_and_subpath() {
        let all = ["stdlib", "gotest.tools/v3", "github.com/a/b", "github.com/a/b/v2/c"];
        assert_snapshot!(all.map(|path| purl(path, "v1")).join("\n"), @r"
        pkg:golang/stdlib@v1
        pkg:golang/gotest.tools/v3@v1
        pkg:golang/github.com/a/b@v1
        pkg:golang/github.com/a/b@v1#v2/c
        ");
    }

    #[test]
    fn what_replaces_stands_for_what_is_replaced() {
        let text = "path\tx/cmd\nmod\tx\tv1.2.3\t\ndep\ta\tv1\th1:A=\n=>\tb\tv2\th1:B=\ndep\tc\tv3\n\
                    build\t-ldflags=\"-X main.version=1\"\nbuild\tGOOS=linux\n";
        let info = BuildInfo::parse(text);
        let modules: Vec<_> = info.modules.iter().map(|m| (m.path, m.version)).collect();
        assert_eq!(modules, [("b", "v2"), ("c", "v3")]);
        assert_eq!(info.main.map(|m| m.path), Some("x"));
        assert_eq!(info.setting("-ldflags"), Some("-X main.version=1"));
    }

    #[test]
    fn a_program_without_main_module_goes_by_its_path() {
        let main = |text| BuildInfo::parse(text).main.map(|main| (main.path, main.version));
        assert_eq!(main("path\tx/cmd\n"), Some(("x/cmd", DEVELOPMENT)));
        assert_eq!(
            main("path\tcommand-line-arguments\ndep\ty\t(devel)\ndep\tz\tv1\n"),
            Some(("y", DEVELOPMENT))
        );
        assert_eq!(main(""), None);
    }

    #[test]
    fn varints_end() {
        assert_eq!(varint(&[0x96, 0x01, 9]), Some((150, 2)));
        assert_eq!(varint(&[0xff; 10]), None);
        assert_eq!(varint(&[]), None);
    }
}
