//! Java's archives: which of Maven's packages are in each, and in those inside it (`WEB-INF/lib/*.jar`, fat jars).
//!
//! ```text
//! META-INF/maven/GROUP/ARTIFACT/pom.properties      groupId=..., artifactId=..., version=...   of each package
//! META-INF/MANIFEST.MF                              Implementation-Version: ...                of the archive
//! ```
//! An archive that holds no such properties of itself is called by its file's name, `NAME-VERSION.jar`, with the version and the
//! group that its manifest states. One that tells no version anywhere is no package of its own.

use super::zip::Zip;
use super::{Surroundings, Told, has_ending};
use crate::draft::{Draft, is_word};
use crate::fields::{Paragraph, paragraphs};
use crate::inventory::Kind;
use crate::purl::Purl;
use crate::scan::unread;
use crate::tree::{Content, File, shown};
use crate::{Result, limits};
use std::io;

const ENDINGS: [&str; 8] = [".jar", ".war", ".ear", ".par", ".sar", ".nar", ".jpi", ".hpi"];
const MANIFEST: &str = "META-INF/MANIFEST.MF";
/// How deep archives in archives are looked into.
const DEEPEST: usize = 2;
/// The fields of a manifest that tell a version, the first that is there counts; and a group.
const VERSIONS: [&str; 4] =
    ["Implementation-Version", "Specification-Version", "Plugin-Version", "Bundle-Version"];
const GROUPS: [&str; 4] =
    ["Bundle-SymbolicName", "Extension-Name", "Implementation-Vendor-Id", "Automatic-Module-Name"];

/// Whether a file is such an archive, by its name.
pub(super) fn is_archive(path: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| has_ending(path, ending.as_bytes()))
}

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>) -> Result<Told> {
    let content = surroundings.tree.open(file.path).map_err(|source| unread(file, source))?;
    let Some(content) = content else { return Ok(Told::Nothing) };
    let mut found =
        Found { drafts: Vec::new(), layer: file.layer, left: limits::ARCHIVES_INSIDE, is_too_large: false };
    let read = found.archive(&*content, &shown(file.path), 0).map_err(|source| unread(file, source))?;
    Ok(match (read, found.drafts.len()) {
        (false, _) => Told::Unreadable("is no zip archive that can be read".to_owned()),
        _ if found.is_too_large => Told::Unreadable("holds archives that are too large".to_owned()),
        (true, 0) => Told::Nothing,
        (true, count) if count > limits::PACKAGES_OF_A_FILE => {
            Told::Unreadable(format!("tells of more than {} packages", limits::PACKAGES_OF_A_FILE))
        }
        (true, _) => Told::Packages(found.drafts),
    })
}

/// A package as Maven knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Artifact {
    group: String,
    name: String,
    version: String,
}

struct Found {
    drafts: Vec<Draft>,
    layer: usize,
    /// How many bytes of archives in the archive may still be unpacked.
    left: u64,
    /// Whether one of them has more.
    is_too_large: bool,
}

impl Found {
    /// Adds what an archive tells. Whether it is one.
    fn archive(&mut self, content: &dyn Content, place: &str, depth: usize) -> io::Result<bool> {
        let Some(zip) = Zip::open(content)? else { return Ok(false) };
        let text = |entry| -> io::Result<Option<String>> {
            let bytes = zip.read(entry, limits::TEXT)?;
            Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
        };
        let mut artifacts = Vec::new();
        let mut manifest = None;
        for entry in zip.entries() {
            if entry.name.starts_with("META-INF/maven/") && entry.name.ends_with("/pom.properties") {
                artifacts.extend(text(entry)?.and_then(|text| Artifact::parse(&text)));
            } else if entry.name.eq_ignore_ascii_case(MANIFEST) {
                manifest = text(entry)?;
            }
        }
        if let Some(own) = manifest.and_then(|manifest| own(place, &manifest, &artifacts))
            && !artifacts.contains(&own)
        {
            artifacts.push(own);
        }
        self.drafts.extend(artifacts.iter().map(|artifact| artifact.draft(place, self.layer)));
        let inside =
            zip.entries().iter().filter(|entry| depth < DEEPEST && is_archive(entry.name.as_bytes()));
        for entry in inside {
            if entry.size > self.left.min(limits::ARCHIVE_INSIDE) {
                self.is_too_large = true;
                return Ok(true);
            }
            self.left -= entry.size;
            let Some(bytes) = zip.read(entry, entry.size)? else { continue };
            self.archive(&bytes, &format!("{place}:{}", entry.name), depth + 1)?;
        }
        Ok(true)
    }
}

impl Artifact {
    /// Reads `pom.properties`.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once(['=', ':']));
            let (_, value) = lines.find(|(found, _)| found.trim() == key)?;
            Some(value.trim().to_owned()).filter(|value| is_word(value))
        };
        Some(Self { group: value("groupId")?, name: value("artifactId")?, version: value("version")? })
    }

    fn draft(&self, place: &str, layer: usize) -> Draft {
        let Self { group, name, version } = self;
        let purl = Purl { kind: "maven", namespace: group, name, version, ..Purl::default() }.text();
        let mut draft = Draft::new(Kind::Java, name, version, purl);
        draft.seen_in(place.to_owned(), layer);
        draft
    }
}

/// What an archive is itself, by its file's name and its manifest, where it has a version.
fn own(place: &str, manifest: &str, artifacts: &[Artifact]) -> Option<Artifact> {
    let manifest = paragraphs(manifest).next().unwrap_or_default();
    let file = place.rsplit(['/', ':']).next().unwrap_or(place);
    let (stem, _) = file.rsplit_once('.')?;
    let (name, version) = named(stem);
    let version =
        version.map(str::to_owned).or_else(|| VERSIONS.iter().find_map(|key| field(&manifest, key)))?;
    let own = artifacts.iter().find(|artifact| artifact.name == name).map(|artifact| artifact.group.clone());
    let group = own.or_else(|| GROUPS.iter().find_map(|key| field(&manifest, key).and_then(group_of)));
    let artifact =
        Artifact { group: group.unwrap_or_else(|| name.to_owned()), name: name.to_owned(), version };
    (is_word(&artifact.name) && is_word(&artifact.version)).then_some(artifact)
}

/// `NAME-VERSION`: a version begins with a digit.
fn named(stem: &str) -> (&str, Option<&str>) {
    let dashes = stem.match_indices('-').map(|(at, _)| at);
    let mut versions = dashes.filter(|at| stem[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match versions.next() {
        Some(at) if at > 0 => (&stem[..at], Some(&stem[at + 1..])),
        _ => (stem, None),
    }
}

/// A field of a manifest, whose lines may be broken anywhere.
fn field(manifest: &Paragraph<'_>, key: &str) -> Option<String> {
    let value = manifest.get(key)?.replace("\r\n ", "").replace("\n ", "");
    Some(value).filter(|value| is_word(value))
}

/// The group that a field names: `com.example.part;option:=...`.
fn group_of(value: String) -> Option<String> {
    let group = value.split(';').next().unwrap_or_default().trim();
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let is_group =
        group.contains('.') && group.chars().all(fits) && group.starts_with(|c: char| c.is_ascii_lowercase());
    is_group.then(|| group.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_names_tell_versions() {
        for (stem, expected) in [
            ("commons-lang3-3.12.0", ("commons-lang3", Some("3.12.0"))),
            ("guava-32.1.3-jre", ("guava", Some("32.1.3-jre"))),
            ("app", ("app", None)),
            ("-1", ("-1", None)),
        ] {
            assert_eq!(named(stem), expected);
        }
    }

    #[test]
    fn groups_are_domains_backwards() {
        for (value, expected) in [
            ("com.acme.sig;singleton:=true", Some("com.acme.sig")),
            ("The Acme Inc. of Rome", None),
            ("acme", None),
            ("Acme.x", None),
        ] {
            assert_eq!(group_of(value.to_owned()).as_deref(), expected);
        }
    }
}
