//! Installed gems of Ruby: `specifications/NAME-VERSION.gemspec`, which RubyGems writes as a program of assignments:
//!
//! ```text
//! # stub: rake 13.0.6 ruby lib
//!   s.name = "rake".freeze
//!   s.version = "13.0.6"
//!   s.licenses = ["MIT".freeze]
//!   s.add_runtime_dependency(%q<json>.freeze, [">= 1"])
//! ```
//! It is read line by line and never run. A gem that somebody wrote by hand may compute its version: then the comment
//! tells it, or nothing does.

use super::{Surroundings, Told};
use crate::Result;
use crate::draft::{Draft, is_word};
use crate::inventory::{Kind, Party};
use crate::purl::Purl;
use crate::tree::{File, shown};

/// The scope of all gems: what is installed in one folder is found from the others.
const SCOPE: &str = "gem";
/// The most needs, licences and authors of one gem.
const MOST: usize = 500;

/// Whether a file is the specification of an installed gem.
pub(super) fn is_specification(path: &[u8]) -> bool {
    let mut folders = path.split(|byte| *byte == b'/').rev().skip(1);
    super::has_ending(path, b".gemspec") && folders.any(|folder| folder == b"specifications")
}

pub(super) fn told(_: &Surroundings<'_>, file: &File<'_>, bytes: &[u8]) -> Result<Told> {
    let Some(mut draft) = package(&String::from_utf8_lossy(bytes)) else { return Ok(Told::Nothing) };
    draft.scope = SCOPE.to_owned();
    draft.seen_in(shown(file.path), file.layer);
    Ok(Told::Packages(vec![draft]))
}

fn package(text: &str) -> Option<Draft> {
    let stub = text.lines().find_map(|line| line.strip_prefix("# stub: ")).unwrap_or_default();
    let mut stub = stub.split(' ').map(str::to_owned);
    let (mut name, mut version) = (stub.next().filter(|name| is_word(name)), stub.next());
    let (mut homepage, mut licences, mut authors) = (None, Vec::new(), Vec::new());
    let mut needs = Vec::new();
    for line in text.lines() {
        let Some((_, statement)) = line.trim().split_once('.') else { continue };
        if let Some(rest) =
            statement.strip_prefix("add_runtime_dependency").or(statement.strip_prefix("add_dependency"))
        {
            needs.extend(texts(rest).next().filter(|_| needs.len() < MOST).map(|need| vec![need]));
            continue;
        }
        let Some((field, value)) = statement.split_once('=') else { continue };
        let mut values = texts(value).take(MOST);
        match field.trim() {
            "name" => name = values.next().or(name),
            "version" => version = values.next().or(version),
            "homepage" => homepage = values.next(),
            "license" | "licenses" => licences.extend(values),
            "author" | "authors" => authors.extend(values),
            _ => {}
        }
    }
    let (name, version) = (name.filter(|name| is_word(name))?, version.filter(|version| is_word(version))?);
    let purl = Purl { kind: "gem", name: &name, version: &version, ..Purl::default() }.text();
    let mut draft = Draft::new(Kind::Gem, &name, &version, purl);
    draft.package.licences = licences;
    draft.package.homepage = homepage;
    draft.package.originator = authors.first().and_then(|author| Party::parse(author));
    draft.requires = needs;
    draft.provides = vec![name];
    Some(draft)
}

/// The texts in a line: between quotes of either kind or `%q<` and `>`, with `\u00e9` and `\"` read.
fn texts(line: &str) -> impl Iterator<Item = String> + '_ {
    let mut rest = line;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\'', '%'])?;
        let (close, open) = match rest.as_bytes()[start] {
            b'%' if rest[start..].starts_with("%q<") => ('>', 3),
            b'%' => (' ', 1),
            quote => (char::from(quote), 1),
        };
        let (text, end) = until(&rest[start + open..], close);
        rest = &rest[start + open + end..];
        Some(text)
    })
    .filter(|text| is_word(text))
}

/// The text up to `close`, and where it goes on behind.
fn until(rest: &str, close: char) -> (String, usize) {
    let mut text = String::new();
    let mut characters = rest.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == close {
            return (text, at + character.len_utf8());
        }
        if character != '\\' {
            text.push(character);
            continue;
        }
        let Some((at, escaped)) = characters.next() else { break };
        let code = rest.get(at + 1..at + 5).filter(|_| escaped == 'u');
        match code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?)) {
            Some(character) => {
                text.push(character);
                characters.nth(3);
            }
            None => text.push(escaped),
        }
    }
    (text, rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn read(text: &str) -> String {
        package(text).map_or_else(String::new, |draft| {
            let Draft { package, requires, .. } = draft;
            format!(
                "{} {:?} {:?} {:?}",
                package.purl,
                package.licences,
                package.originator.map(|p| p.name),
                requires
            )
        })
    }

    #[test]
    fn assignments_are_read_and_not_run() {
        let text = "# stub: rake 13.0.6 ruby lib\n\nGem::Specification.new do |s|\n  s.name = \"rake\".freeze\n\
                    \x20 s.version = \"13.0.7\"\n  s.licenses = [\"MIT\".freeze, 'Ruby']\n\
                    \x20 s.authors = [\"Jos\\u00e9 \\\"J\\\" X\".freeze]\n\
                    \x20 s.add_runtime_dependency(%q<json>.freeze, [\">= 1\"])\n  s.add_dependency(\"e\", \"1\")\n\
                    \x20 s.add_development_dependency(%q<no>)\n";
        assert_snapshot!(read(text), @r#"pkg:gem/rake@13.0.7 ["MIT", "Ruby"] Some("José \"J\" X") [["json"], ["e"]]"#);
        assert_snapshot!(read("# stub: a 1.0 ruby lib\n s.version = A::VERSION\n"), @"pkg:gem/a@1.0 [] None []");
        assert_snapshot!(read("s.name = 'a'\ns.version = A::VERSION\n"), @"");
        assert_snapshot!(read("s.name = \"a\ns.version = '1' %"), @"pkg:gem/a@1 [] None []");
    }
}
