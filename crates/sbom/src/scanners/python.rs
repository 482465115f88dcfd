//! Installed distribution packages of Python: `NAME-VERSION.dist-info/METADATA` of wheels, and of what setuptools
//! installed before there were any `NAME.egg-info/PKG-INFO` or the file `NAME.egg-info` (core metadata, PEP 566).
//!
//! `direct_url.json` beside it says that a package came from a version control system (PEP 610). Names are normalized
//! (PEP 503): `Foo.Bar_baz` is `foo-bar-baz`.

use super::{Surroundings, Told, split};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::fields::{Paragraph, paragraphs};
use crate::inventory::{Kind, Party};
use crate::purl::Purl;
use crate::tree::{File, read_text, shown};
use serde_json::Value;

/// The most licences of one package, and the longest text of one.
const LICENCES: usize = 32;
const LICENCE_TEXT: usize = 64 << 10;
/// The most needs of one package.
const NEEDS: usize = 2_000;

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    // The description comes behind the fields; nobody needs it.
    let text = String::from_utf8_lossy(bytes);
    let Some(fields) = paragraphs(&text).next() else { return Ok(Told::Nothing) };
    let path = shown(file.path);
    let folder = shown(split(file.path).0);
    // A file `NAME.egg-info` stands in the folder of packages itself.
    let (own, packages) = match folder.rsplit_once('/') {
        _ if path.to_ascii_lowercase().ends_with(".egg-info") => (None, folder.as_str()),
        Some((parent, _)) => (Some(folder.as_str()), parent),
        None => (Some(folder.as_str()), ""),
    };
    let direct = match own {
        Some(own) => read_text(surroundings.tree, format!("{own}/direct_url.json").as_bytes())?,
        None => None,
    };
    let Some(mut draft) = package(&fields, direct.as_deref()) else { return Ok(Told::Nothing) };
    draft.scope = packages.to_owned();
    draft.seen_in(path, file.layer);
    Ok(Told::Packages(vec![draft]))
}

fn package(fields: &Paragraph<'_>, direct: Option<&str>) -> Option<Draft> {
    let (name, version) = (fields.get("Name")?, fields.get("Version")?);
    // Python itself is no distribution package, though some of its builds say so.
    if !is_word(name) || !is_word(version) || name == "Python" {
        return None;
    }
    let name = normalized(name);
    let origin = direct.and_then(repository).unwrap_or_default();
    let qualifiers = vec![("vcs_url", origin)];
    let purl = Purl { kind: "pypi", name: &name, version, qualifiers, ..Purl::default() }.text();
    let mut draft = Draft::new(Kind::Python, &name, version, purl);
    draft.package.licences = licences(fields);
    draft.package.homepage = fields.get("Home-page").filter(|url| is_word(url)).map(str::to_owned);
    draft.package.originator = author(fields);
    draft.requires = needs(fields);
    draft.provides = vec![name];
    Some(draft)
}

fn normalized(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("-").to_lowercase()
}

/// `git+https://host/path@commit`, of a package that was installed from there.
fn repository(direct: &str) -> Option<String> {
    let direct: Value = serde_json::from_str(direct).ok()?;
    let info = direct.get("vcs_info")?;
    let word =
        |value: &Value, key: &str| value.get(key)?.as_str().filter(|word| is_word(word)).map(str::to_owned);
    Some(format!("{}+{}@{}", word(info, "vcs")?, word(&direct, "url")?, word(info, "commit_id")?))
}

/// `Author-email: Name <address>` has both; else `Author` has the name alone.
fn author(fields: &Paragraph<'_>) -> Option<Party> {
    let email = fields.get("Author-email").unwrap_or_default();
    if let Some(party) = Party::parse(email).filter(|party| party.email.is_some()) {
        return Some(party);
    }
    let mut party = Party::parse(fields.get("Author")?).filter(|party| party.name != "UNKNOWN")?;
    party.email = party.email.or_else(|| (email.contains('@') && is_word(email)).then(|| email.to_owned()));
    Some(party)
}

/// The expression where there is one, else the field, else the classifiers. Some put the text of the licence into the
/// field: then the classifiers are better, if there are any.
fn licences(fields: &Paragraph<'_>) -> Vec<String> {
    if let Some(expression) = fields.get("License-Expression").filter(|text| is_word(text)) {
        return vec![expression.to_owned()];
    }
    let stated = fields.get("License").filter(|text| !text.is_empty() && *text != "UNKNOWN");
    if let Some(word) = stated.filter(|text| is_word(text)) {
        return vec![word.to_owned()];
    }
    let classifiers =
        fields.all("Classifier").filter(|text| text.starts_with("License :: ") && is_word(text));
    let classifiers: Vec<String> = classifiers.take(LICENCES).map(str::to_owned).collect();
    if !classifiers.is_empty() {
        return classifiers;
    }
    stated.filter(|text| text.len() <= LICENCE_TEXT).map(str::to_owned).into_iter().collect()
}

/// `Requires-Dist: name[extra] (>=1); marker` as names. What only an extra asks for is no need.
fn needs(fields: &Paragraph<'_>) -> Vec<Vec<String>> {
    let needed = fields.all("Requires-Dist").filter_map(|text| {
        let (text, marker) = text.split_once(';').unwrap_or((text, ""));
        let end =
            text.find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))).unwrap_or(text.len());
        (is_word(&text[..end]) && !marker.contains("extra")).then(|| vec![normalized(&text[..end])])
    });
    needed.take(NEEDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn read(text: &str, direct: Option<&str>) -> String {
        let fields = paragraphs(text).next().unwrap();
        package(&fields, direct).map_or_else(String::new, |draft| {
            format!("{} {:?} {:?}", draft.package.purl, draft.package.licences, draft.requires)
        })
    }

    #[test]
    fn metadata_has_names_licences_and_needs() {
        let text = "Metadata-Version: 2.1\nName: Foo.Bar_baz\nVersion: 1.0\nLicense: a text\n of lines\n\
                    Classifier: License :: OSI Approved :: MIT License\nRequires-Dist: A_b[x] (>=1); python_version>'3'\n\
                    Requires-Dist: test; extra == 'dev'\n\nDescription\nName: other\n";
        assert_snapshot!(read(text, None), @r#"pkg:pypi/foo-bar-baz@1.0 ["License :: OSI Approved :: MIT License"] [["a-b"]]"#);
        assert_snapshot!(read("Name: Python\nVersion: 2.7\n", None), @"");
    }

    #[test]
    fn a_repository_is_a_qualifier() {
        let direct =
            r#"{"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}"#;
        assert_snapshot!(read("Name: a\nVersion: 1\n", Some(direct)), @"pkg:pypi/a@1?vcs_url=git%2Bhttps:%2F%2Fexample.org%2Fa.git%4012ab [] []");
    }
}
