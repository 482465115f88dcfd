//! What a scan found: packages, which of them need which, and what could not be read.

use crate::Distribution;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What kind of package it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// A package of dpkg.
    Deb,
    /// A package of apk.
    Apk,
    /// A package of rpm.
    Rpm,
    /// A package of npm, yarn or pnpm.
    Npm,
    /// A distribution package of Python.
    Python,
    /// A gem of Ruby.
    Gem,
    /// A package of PHP's composer.
    Composer,
    /// A Go module in a program.
    Go,
    /// A crate in a program.
    Rust,
    /// A package of Maven in a Java archive.
    Java,
}

impl Kind {
    /// The word for it: `deb`, `apk`, `rpm`, `npm`, `python`, `gem`, `php-composer`, `go-module`, `rust-crate`,
    /// `java-archive`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
            Self::Npm => "npm",
            Self::Python => "python",
            Self::Gem => "gem",
            Self::Composer => "php-composer",
            Self::Go => "go-module",
            Self::Rust => "rust-crate",
            Self::Java => "java-archive",
        }
    }

    /// What told of it, for people.
    #[must_use]
    pub fn found_in(self) -> &'static str {
        match self {
            Self::Deb => "the database of dpkg",
            Self::Apk => "the database of apk",
            Self::Rpm => "the database of rpm",
            Self::Npm => "an installed `package.json`",
            Self::Python => "the metadata of an installed distribution package",
            Self::Gem => "the specification of an installed gem",
            Self::Composer => "composer's list of what it installed",
            Self::Go => "the build information of a Go program",
            Self::Rust => "the crates that a Rust program lists",
            Self::Java => "a Java archive",
        }
    }
}

/// A package that a tree holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its kind.
    pub kind: Kind,
    /// Its name, as its kind writes it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL; empty where none can be told: a package of a distribution that does not say which one it is.
    pub purl: String,
    /// The licences that it states, in its own words.
    pub licences: Vec<String>,
    /// Who distributes it.
    pub supplier: Option<Party>,
    /// Who made it.
    pub originator: Option<Party>,
    /// Its home page.
    pub homepage: Option<String>,
    /// What it was built from, where that has another name or version.
    pub source: Option<Source>,
    /// The digests that its package manager or compiler knows it by.
    pub checksums: Vec<Checksum>,
    /// The files that tell of it.
    pub evidence: Vec<Evidence>,
}

/// A person or an organisation, as a package names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Party {
    /// The name.
    pub name: String,
    /// The address, where one is told.
    pub email: Option<String>,
    /// Whether it reads as an organisation.
    pub organisation: bool,
}

/// The source package that a binary one was built from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its version, where it is another one.
    pub version: Option<String>,
}

/// A digest of a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum {
    /// The algorithm, as SPDX writes it: `SHA1`, `SHA256`.
    pub algorithm: &'static str,
    /// The digest in hexadecimal digits.
    pub hex: String,
}

/// A file that tells of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Evidence {
    /// The path, relative to the root.
    pub path: String,
    /// The number of the layer that brought the file as it is now.
    pub layer: usize,
}

/// A file that was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The path, relative to the root.
    pub path: String,
    /// Why, as the end of a sentence that begins with the file.
    pub reason: String,
}

/// What a tree holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// The packages, sorted by kind, name, version and package URL, each once.
    pub packages: Vec<Package>,
    /// Who is needed by whom: the first package is a dependency of the second, as positions in the packages. Sorted.
    pub dependencies: Vec<(usize, usize)>,
    /// The distribution that the tree says it is.
    pub distribution: Option<Distribution>,
    /// What was left out, sorted.
    pub skipped: Vec<Skipped>,
}

impl Party {
    /// Reads `Name <address>`, `Name` or `Name (address)`. Nothing where there is no name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        // npm's form goes on with a home page in parentheses.
        let (name, rest) = text.split_once('<').unwrap_or((text.split('(').next().unwrap_or(text), ""));
        let name = name.trim().trim_matches('"').trim();
        if name.is_empty() || name.len() > crate::limits::WORD {
            return None;
        }
        let email = rest.split('>').next().map(str::trim).filter(|email| !email.is_empty());
        // Teams and persons are written alike; SPDX wants to know.
        const TEAMS: [&str; 11] = [
            "team",
            "developers",
            "maintainers",
            "group",
            "project",
            "packagers",
            "foundation",
            "authority",
            "inc",
            "contributors",
            "authors",
        ];
        let mut words = name.split(|c: char| !c.is_alphanumeric());
        let organisation = words.any(|word| TEAMS.iter().any(|team| word.eq_ignore_ascii_case(team)));
        Some(Self { name: name.to_owned(), email: email.map(str::to_owned), organisation })
    }
}

impl Checksum {
    /// A digest of `length` bytes in base64; nothing where it is none.
    pub(crate) fn of_base64(algorithm: &'static str, length: usize, text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| bytes.len() == length)?;
        Some(Self { algorithm, hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parties_are_persons_or_teams() {
        let read = |text| {
            let Party { name, email, organisation } = Party::parse(text)?;
            Some((name, email.unwrap_or_default(), organisation))
        };
        let row = |name: &str, email: &str, team| Some((name.to_owned(), email.to_owned(), team));
        for (text, expected) in [
            ("Jane Doe <jane@example.org>", row("Jane Doe", "jane@example.org", false)),
            ("\"Doe, Jane\" <jane@example.org>", row("Doe, Jane", "jane@example.org", false)),
            (
                "APT Development Team <deity@example.org>",
                row("APT Development Team", "deity@example.org", true),
            ),
            ("Steamer", row("Steamer", "", false)),
            ("Jane (https://example.org)", row("Jane", "", false)),
            ("<only@example.org>", None),
            ("  ", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }
}
