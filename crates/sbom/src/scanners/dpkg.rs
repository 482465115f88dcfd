//! Packages of Debian and what is made of it: `var/lib/dpkg/status`, one paragraph of fields each (deb-control(5),
//! dpkg(1)), or, in images without dpkg, one file for each in `status.d`.
//!
//! A package counts as installed unless `Status` says that it is not: one that was removed leaves its paragraph behind
//! as long as it has configuration files.

use super::{Surroundings, Told, copyright, split};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::fields::{Paragraph, paragraphs};
use crate::inventory::{Evidence, Kind, Party, Source};
use crate::purl::Purl;
use crate::tree::{File, read_text, shown};

/// Whether this is a list that dpkg keeps of one package's files.
pub(super) fn is_list(path: &[u8]) -> bool {
    let (parent, name) = split(path);
    parent.ends_with(b"lib/dpkg/info") && name.ends_with(b".list")
}

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    let path = shown(file.path);
    let text = String::from_utf8_lossy(bytes);
    let directory = shown(split(file.path).0);
    let single = directory.ends_with("status.d");
    let mut drafts = Vec::new();
    for paragraph in paragraphs(&text) {
        let Some(mut draft) = package(surroundings, &paragraph) else { continue };
        // One package, one file: they need each other across files.
        draft.scope = if single { directory.clone() } else { path.clone() };
        draft.seen_in(path.clone(), file.layer);
        draft.package.evidence.extend(list(surroundings, &directory, &paragraph));
        let root = directory.split("var/lib/dpkg").next().unwrap_or_default();
        let place = format!("{root}usr/share/doc/{}/copyright", draft.package.name);
        if let Some(text) = read_text(surroundings.tree, place.as_bytes())? {
            draft.package.licences = copyright::licences(&text);
        }
        drafts.push(draft);
    }
    Ok(Told::Packages(drafts))
}

/// The list of a package's files, which comes from the layer that installed it. Images without dpkg have none.
fn list(surroundings: &Surroundings<'_>, directory: &str, paragraph: &Paragraph<'_>) -> Option<Evidence> {
    let (name, architecture) = (paragraph.get("Package")?, paragraph.get("Architecture").unwrap_or_default());
    let paths =
        [format!("{directory}/info/{name}.list"), format!("{directory}/info/{name}:{architecture}.list")];
    let found = |path: String| Some(Evidence { layer: surroundings.dpkg_list(&path)?, path });
    paths.into_iter().find_map(found)
}

fn package(surroundings: &Surroundings<'_>, paragraph: &Paragraph<'_>) -> Option<Draft> {
    let (name, version) = (paragraph.get("Package")?, paragraph.get("Version")?);
    if !is_word(name) || !is_word(version) || name.contains('/') || !is_installed(paragraph) {
        return None;
    }
    let source = paragraph.get("Source").and_then(source);
    let purl = purl(surroundings, name, version, paragraph.get("Architecture"), source.as_ref());
    let mut draft = Draft::new(Kind::Deb, name, version, purl);
    draft.package.supplier = paragraph.get("Maintainer").and_then(Party::parse);
    draft.package.homepage = paragraph.get("Homepage").filter(|url| is_word(url)).map(str::to_owned);
    draft.package.source = source;
    draft.provides.push(name.to_owned());
    draft.provides.extend(relations(paragraph.get("Provides")).flatten());
    draft.requires.extend(relations(paragraph.get("Pre-Depends")));
    draft.requires.extend(relations(paragraph.get("Depends")));
    Some(draft)
}

/// `Status: install ok installed`: the third word is what is there.
fn is_installed(paragraph: &Paragraph<'_>) -> bool {
    let state = paragraph.get("Status").and_then(|status| status.split_whitespace().nth(2));
    !matches!(state, Some("not-installed" | "config-files"))
}

/// `Source: NAME` or `NAME (VERSION)`.
fn source(text: &str) -> Option<Source> {
    let (name, version) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.split(')').next().map(str::trim)),
        None => (text.trim(), None),
    };
    let version = version.filter(|version| is_word(version)).map(str::to_owned);
    is_word(name).then(|| Source { name: name.to_owned(), version })
}

fn purl(
    surroundings: &Surroundings<'_>,
    name: &str,
    version: &str,
    architecture: Option<&str>,
    source: Option<&Source>,
) -> String {
    let Some(distribution) = &surroundings.distribution else { return String::new() };
    // The packages of another family that also has a dpkg are not Debian's.
    if distribution.id != "debian" && !distribution.like.iter().any(|like| like == "debian") {
        return String::new();
    }
    let upstream = match source {
        Some(Source { name, version: Some(version) }) => format!("{name}@{version}"),
        Some(Source { name, version: None }) => name.clone(),
        None => String::new(),
    };
    let qualifiers = vec![
        ("arch", architecture.unwrap_or_default().to_owned()),
        ("distro", distribution.qualifier()),
        ("upstream", upstream),
    ];
    Purl { kind: "deb", namespace: &distribution.id, name, version, qualifiers, ..Purl::default() }.text()
}

/// `a (>= 1) | b:any, c [amd64]` as lists of names.
fn relations(field: Option<&str>) -> impl Iterator<Item = Vec<String>> + '_ {
    let name = |text: &str| {
        let end = text.find(['(', '[', '<', '>', '=', ':']).unwrap_or(text.len());
        text[..end].trim().to_owned()
    };
    field
        .unwrap_or_default()
        .split(',')
        .map(move |choice| choice.split('|').map(name).filter(|name| !name.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn relations_are_names() {
        let all: Vec<_> = relations(Some("libc6 (>= 2.3), a:any | b [x], , c")).collect();
        assert_snapshot!(format!("{all:?}"), @r#"[["libc6"], ["a", "b"], [], ["c"]]"#);
    }

    #[test]
    fn what_was_removed_is_not_installed() {
        for (status, expected) in [
            ("install ok installed", true),
            ("hold ok installed", true),
            ("install ok half-configured", true),
            ("deinstall ok config-files", false),
            ("unknown ok not-installed", false),
        ] {
            let text = format!("Package: a\nStatus: {status}\n");
            assert_eq!(is_installed(&paragraphs(&text).next().unwrap()), expected, "{status}");
        }
        assert!(is_installed(&paragraphs("Package: a\n").next().unwrap()));
    }

    #[test]
    fn sources_may_have_a_version() {
        assert_eq!(source("gcc-12"), Some(Source { name: "gcc-12".into(), version: None }));
        assert_eq!(
            source("bash (5.2-2)"),
            Some(Source { name: "bash".into(), version: Some("5.2-2".into()) })
        );
        assert_eq!(source(" (1"), None);
    }
}
