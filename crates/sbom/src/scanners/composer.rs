//! Installed packages of PHP's composer: `vendor/composer/installed.json`, a list, since composer 2 under the key
//! `packages`.

use super::{Surroundings, Told};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::inventory::{Kind, Party};
use crate::purl::Purl;
use crate::tree::{File, shown};
use serde_json::Value;

/// The most licences, authors and needs of one package.
const MOST: usize = 500;

pub(super) fn told(_: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    let installed: Value = match serde_json::from_slice(bytes) {
        Ok(installed) => installed,
        Err(error) => return Ok(Told::Unreadable(format!("is no JSON: {error}"))),
    };
    let list = installed.get("packages").unwrap_or(&installed).as_array();
    let path = shown(file.path);
    let packages = list.into_iter().flatten().filter_map(package).map(|mut draft| {
        draft.scope.clone_from(&path);
        draft.seen_in(path.clone(), file.layer);
        draft
    });
    Ok(Told::Packages(packages.collect()))
}

fn package(found: &Value) -> Option<Draft> {
    let word = |key: &str| found.get(key)?.as_str().filter(|word| is_word(word));
    let (name, version) = (word("name")?, word("version")?);
    let (namespace, plain) = name.rsplit_once('/').unwrap_or(("", name));
    let purl = Purl { kind: "composer", namespace, name: plain, version, ..Purl::default() }.text();
    let list = |key: &str| found.get(key).and_then(Value::as_array).into_iter().flatten().take(MOST);
    let names =
        |key: &str| found.get(key).and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name);
    let mut draft = Draft::new(Kind::Composer, name, version, purl);
    let licences = list("license").filter_map(Value::as_str).filter(|licence| is_word(licence));
    draft.package.licences = licences.map(str::to_owned).collect();
    draft.package.homepage = word("homepage").map(str::to_owned);
    let author = list("authors").find_map(|author| Party::parse(author.get("name")?.as_str()?));
    draft.package.originator = author;
    draft.provides.push(name.to_owned());
    draft.provides.extend(names("provide").chain(names("replace")).take(MOST).cloned());
    draft.requires = names("require").take(MOST).map(|name| vec![name.clone()]).collect();
    Some(draft)
}
