//! Packages of Alpine: `lib/apk/db/installed`, one paragraph each with fields of one letter (apk-tools, "Apk spec"):
//!
//! | field | what |
//! |---|---|
//! | `P`, `V`, `A` | name, version, architecture |
//! | `o` | the source package, its origin |
//! | `L`, `U`, `m` | licence, home page, maintainer |
//! | `C` | `Q1` and the base64 of the SHA-1 of the package's control data |
//! | `D`, `p` | what it needs and what it provides, with `=`, `<`, `>`, `~` and a version behind |

use super::{Surroundings, Told};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::fields::{Paragraph, paragraphs};
use crate::inventory::{Checksum, Kind, Party, Source};
use crate::purl::Purl;
use crate::tree::{File, shown};

pub(super) fn told(surroundings: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    let text = String::from_utf8_lossy(bytes);
    let path = shown(file.path);
    let packages = paragraphs(&text).filter_map(|paragraph| package(surroundings, &paragraph));
    let packages = packages.map(|mut draft| {
        draft.scope.clone_from(&path);
        draft.seen_in(path.clone(), file.layer);
        draft
    });
    Ok(Told::Packages(packages.collect()))
}

fn package(surroundings: &Surroundings<'_>, paragraph: &Paragraph<'_>) -> Option<Draft> {
    // Fields of one letter differ in its case: `P` is the name, `p` what it provides.
    let field = |letter: &str| paragraph.exact(letter).filter(|value| !value.is_empty());
    let (name, version) = (field("P")?, field("V")?);
    if !is_word(name) || !is_word(version) {
        return None;
    }
    let origin = field("o").filter(|origin| *origin != name && is_word(origin));
    let mut draft = Draft::new(Kind::Apk, name, version, String::new());
    if let Some(distribution) = &surroundings.distribution {
        let namespace = distribution.id.to_lowercase();
        let qualifiers = vec![
            ("arch", field("A").unwrap_or_default().to_owned()),
            ("distro", distribution.qualifier()),
            ("upstream", origin.unwrap_or_default().to_owned()),
        ];
        draft.package.purl =
            Purl { kind: "apk", namespace: &namespace, name, version, qualifiers, ..Purl::default() }.text();
    }
    draft.package.licences.extend(field("L").filter(|licence| is_word(licence)).map(str::to_owned));
    draft.package.supplier = field("m").and_then(Party::parse);
    draft.package.homepage = field("U").filter(|url| is_word(url)).map(str::to_owned);
    draft.package.source = origin.map(|name| Source { name: name.to_owned(), version: None });
    let control = field("C").and_then(|text| text.strip_prefix("Q1"));
    draft.package.checksums.extend(control.and_then(|text| Checksum::of_base64("SHA1", 20, text)));
    draft.provides.push(name.to_owned());
    draft.provides.extend(words(field("p")));
    // What starts with an exclamation mark must not be there.
    draft.requires.extend(words(field("D")).filter(|word| !word.starts_with('!')).map(|word| vec![word]));
    Some(draft)
}

/// Names without the versions behind them.
fn words(list: Option<&str>) -> impl Iterator<Item = String> + '_ {
    list.unwrap_or_default()
        .split_whitespace()
        .map(|word| word.split(['=', '<', '>', '~']).next().unwrap_or(word).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[test]
    fn names_lose_their_versions() {
        let all: Vec<_> = words(Some("so:libc.musl-x86_64.so.1 busybox=1.36 ssl>3<4 a~2")).collect();
        assert_snapshot!(all.join(" "), @"so:libc.musl-x86_64.so.1 busybox ssl a");
    }
}
