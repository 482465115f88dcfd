//! Packages of npm, yarn and pnpm: the `package.json` of each, wherever it lies. One without a name or a version is
//! none: packages have such files in folders of theirs, to say which module system is in them.
//!
//! What a package needs is where node finds it: in the nearest `node_modules` on the way up.

use super::{Surroundings, Told, split};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::inventory::{Kind, Party};
use crate::purl::Purl;
use crate::tree::{File, shown};
use serde_json::Value;

/// The scope of all packages: they are called by their folders.
const SCOPE: &str = "npm";
/// The most needs of one package.
const NEEDS: usize = 5_000;
/// How many folders up a need is looked for.
const DEEPEST: usize = 64;

pub(super) fn told(_: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    // A byte order mark is not JSON, and npm reads past it.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let manifest: Value = match serde_json::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return Ok(Told::Unreadable(format!("is no JSON: {error}"))),
    };
    let folder = shown(split(file.path).0);
    let mut packages = Vec::new();
    if let Some(mut draft) = package(&manifest) {
        draft.scope = SCOPE.to_owned();
        draft.seen_in(shown(file.path), file.layer);
        draft.requires = needs(&manifest, &folder);
        draft.provides = vec![folder];
        packages.push(draft);
    }
    Ok(Told::Packages(packages))
}

fn package(manifest: &Value) -> Option<Draft> {
    let word = |key: &str| manifest.get(key)?.as_str().map(str::trim).filter(|word| is_word(word));
    let (name, version) = (word("name")?, word("version")?);
    let (namespace, plain) = match name.rsplit_once('/') {
        Some((namespace, plain)) => (namespace, plain),
        None => ("", name),
    };
    let purl = Purl { kind: "npm", namespace, name: plain, version, ..Purl::default() }.text();
    let mut draft = Draft::new(Kind::Npm, name, version, purl);
    draft.package.licences = licences(manifest);
    draft.package.homepage = word("homepage").map(str::to_owned);
    draft.package.originator = manifest.get("author").and_then(author);
    Some(draft)
}

/// `"author": "Name <address> (page)"`, or an object.
fn author(value: &Value) -> Option<Party> {
    if let Some(text) = value.as_str() {
        return Party::parse(text);
    }
    let mut party = Party::parse(value.get("name")?.as_str()?)?;
    party.email =
        value.get("email").and_then(Value::as_str).filter(|email| is_word(email)).map(str::to_owned);
    Some(party)
}

/// `"license": "MIT"`, or the older forms: an object with a `type`, or `licenses` with several.
fn licences(manifest: &Value) -> Vec<String> {
    let one = |value: &Value| {
        let text = value.as_str().or_else(|| value.get("type")?.as_str())?;
        is_word(text).then(|| text.to_owned())
    };
    let list = |value: &Value| match value.as_array() {
        Some(several) => several.iter().take(64).filter_map(one).collect(),
        None => one(value).into_iter().collect::<Vec<_>>(),
    };
    let stated = ["license", "licenses"].into_iter().filter_map(|key| manifest.get(key));
    stated.map(list).find(|licences| !licences.is_empty()).unwrap_or_default()
}

/// For each need the folders where node would look, nearest first.
fn needs(manifest: &Value, folder: &str) -> Vec<Vec<String>> {
    let groups = ["dependencies", "optionalDependencies", "peerDependencies"];
    let names =
        groups.into_iter().filter_map(|key| manifest.get(key)?.as_object()).flat_map(|all| all.keys());
    names.filter(|name| is_word(name)).take(NEEDS).map(|name| candidates(folder, name)).collect()
}

fn candidates(folder: &str, name: &str) -> Vec<String> {
    let ancestors = std::iter::successors(Some(folder), |folder| {
        (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(parent, _)| parent))
    });
    let has_no_modules = |folder: &&str| *folder != "node_modules" && !folder.ends_with("/node_modules");
    let within = |folder: &str| {
        if folder.is_empty() {
            format!("node_modules/{name}")
        } else {
            format!("{folder}/node_modules/{name}")
        }
    };
    ancestors.take(DEEPEST).filter(has_no_modules).map(within).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;
    use serde_json::json;

    #[test]
    fn node_looks_upwards() {
        assert_snapshot!(candidates("app/node_modules/a", "@s/b").join("\n"), @r"
        app/node_modules/a/node_modules/@s/b
        app/node_modules/@s/b
        node_modules/@s/b
        ");
    }

    #[test]
    fn licences_have_three_forms() {
        for (manifest, expected) in [
            (json!({"license": "MIT"}), &["MIT"][..]),
            (json!({"license": {"type": "ISC", "url": "x"}}), &["ISC"]),
            (json!({"licenses": [{"type": "MIT"}, "BSD", 3]}), &["MIT", "BSD"]),
            (json!({"license": ["MIT"]}), &["MIT"]),
            (json!({"license": 7}), &[]),
        ] {
            assert_eq!(licences(&manifest), expected, "{manifest}");
        }
    }

    #[test]
    fn authors_have_two_forms() {
        let text = author(&json!("Jane <j@example.org> (https://example.org)"));
        let object = author(&json!({"name": "Jane", "email": "j@example.org", "url": ["?"]}));
        assert_eq!(text, object);
        assert_eq!(text.unwrap().email.unwrap(), "j@example.org");
        assert_eq!(author(&json!({"email": "j@example.org"})), None);
    }
}
