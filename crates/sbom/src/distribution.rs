//! Which distribution a tree is, by its `os-release` (os-release(5)).

use crate::tree::{Tree, read_text};
use crate::{Result, limits};

/// A distribution of Linux.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// `ID`: `debian`, `alpine`.
    pub id: String,
    /// `ID_LIKE`: what it is derived from.
    pub like: Vec<String>,
    /// `VERSION_ID`: `12`, `3.20.1`; empty for those that roll.
    pub version: String,
    /// `PRETTY_NAME`, or `NAME`.
    pub name: String,
}

const PLACES: [&str; 2] = ["etc/os-release", "usr/lib/os-release"];

impl Distribution {
    /// That of a tree, if it says so.
    pub(crate) fn of(tree: &dyn Tree) -> Result<Option<Self>> {
        for path in PLACES {
            if let Some(found) = read_text(tree, path.as_bytes())?.and_then(|text| Self::parse(&text)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut found = Self::default();
        let mut name = String::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            let value = unquoted(value.trim());
            if value.len() > limits::WORD {
                continue;
            }
            match key.trim() {
                "ID" => found.id = value,
                "ID_LIKE" => found.like = value.split_whitespace().map(str::to_owned).collect(),
                "VERSION_ID" => found.version = value,
                "PRETTY_NAME" => found.name = value,
                "NAME" => name = value,
                _ => {}
            }
        }
        if found.name.is_empty() {
            found.name = name;
        }
        (!found.id.is_empty()).then_some(found)
    }

    /// The qualifier `distro` of package URLs: `debian-12`; without a version the name alone.
    pub(crate) fn qualifier(&self) -> String {
        if self.version.is_empty() { self.id.clone() } else { format!("{}-{}", self.id, self.version) }
    }
}

/// The value of a shell's assignment: quotes go, and a backslash before what it can stand before.
fn unquoted(value: &str) -> String {
    let inner = ['"', '\'']
        .into_iter()
        .find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote))
        .unwrap_or(value);
    let mut text = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => text.extend(characters.next()),
            _ => text.push(character),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_is_read_as_a_shell_would() {
        let text = "PRETTY_NAME=\"Debian \\\"12\\\"\"\nNAME=Debian\nID=debian\nVERSION_ID='12'\n# no\nID_LIKE=\"a b\"\n";
        let found = Distribution::parse(text).unwrap();
        assert_eq!(found.name, "Debian \"12\"");
        assert_eq!(found.qualifier(), "debian-12");
        assert_eq!(found.like, ["a", "b"]);
        assert_eq!(Distribution::parse("ID=arch").unwrap().qualifier(), "arch");
        assert_eq!(Distribution::parse("NAME=nothing\n=\n"), None);
    }
}
