//! Identifiers and exceptions of the SPDX licence list, and other names for them.

const IDENTIFIERS: &str = include_str!("identifiers.txt");
const EXCEPTIONS: &str = include_str!("exceptions.txt");

/// What packages write in place of an identifier, in small letters, and the expression that it means.
const TRANSLATIONS: &[(&str, &str)] = &[
    ("apache", "LicenseRef-Apache"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache license 2.0", "Apache-2.0"),
    ("apache license, version 2.0", "Apache-2.0"),
    ("apache software license", "LicenseRef-Apache"),
    ("artistic", "Artistic-1.0-Perl"),
    ("bsd", "LicenseRef-BSD"),
    ("bsd license", "LicenseRef-BSD"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("3-clause bsd license", "BSD-3-Clause"),
    ("bsd-2", "BSD-2-Clause"),
    ("bsd-3", "BSD-3-Clause"),
    ("expat", "MIT"),
    ("gnu general public license v2 (gplv2)", "GPL-2.0-only"),
    ("gnu general public license v2 or later (gplv2+)", "GPL-2.0-or-later"),
    ("gnu general public license v3 (gplv3)", "GPL-3.0-only"),
    ("gnu general public license v3 or later (gplv3+)", "GPL-3.0-or-later"),
    ("gnu lesser general public license v2 or later (lgplv2+)", "LGPL-2.0-or-later"),
    ("gnu lesser general public license v3 (lgplv3)", "LGPL-3.0-only"),
    ("isc license", "ISC"),
    ("isc license (iscl)", "ISC"),
    ("mit license", "MIT"),
    ("the mit license", "MIT"),
    ("mit-license", "MIT"),
    ("mozilla public license 2.0 (mpl 2.0)", "MPL-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("psf license", "PSF-2.0"),
    ("python software foundation license", "PSF-2.0"),
    ("the unlicense (unlicense)", "Unlicense"),
    ("zope public license", "LicenseRef-ZPL"),
];

/// How Python's classifiers begin.
const CLASSIFIERS: [&str; 2] = ["License :: OSI Approved :: ", "License :: "];

/// The expression that a usual spelling stands for.
pub(super) fn translate(statement: &str) -> Option<&'static str> {
    let statement = CLASSIFIERS.iter().find_map(|start| statement.strip_prefix(start)).unwrap_or(statement);
    let small = statement.to_ascii_lowercase();
    TRANSLATIONS.iter().find(|(spelling, _)| *spelling == small).map(|(_, expression)| *expression)
}

/// A word as the list writes it, or as a reference. Debian's short names leave zeros out (`GPL-2+`, `Apache-2`), and
/// `+` is an older way of `-or-later`.
pub(super) fn identifier(word: &str) -> Option<String> {
    let is_reference = word.strip_prefix(super::REFERENCE).is_some_and(|rest| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
    });
    if is_reference {
        return Some(word.to_owned());
    }
    if word.eq_ignore_ascii_case("expat") {
        return Some("MIT".to_owned());
    }
    let (base, endings, operator): (_, &[&str], _) = match word.strip_suffix('+') {
        Some(base) => (base, &["-or-later", ".0-or-later", "", ".0"], "+"),
        None => (word, &["", "-only", ".0-only", ".0"], ""),
    };
    let mut spellings = endings.iter().map(|ending| (ending, format!("{base}{ending}")));
    spellings.find_map(|(ending, spelling)| {
        let known = listed(IDENTIFIERS, &spelling)?;
        Some(format!("{known}{}", if ending.ends_with("later") { "" } else { operator }))
    })
}

/// An exception as the list writes it.
pub(super) fn exception(word: &str) -> Option<&'static str> {
    listed(EXCEPTIONS, word)
}

/// The line of a list that is `word` but for its case.
fn listed(list: &'static str, word: &str) -> Option<&'static str> {
    list.lines().find(|line| line.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_and_translations_are_well_formed() {
        for list in [IDENTIFIERS, EXCEPTIONS] {
            assert!(list.lines().all(|line| !line.is_empty() && !line.contains(char::is_whitespace)));
            assert!(list.lines().count() > 50);
        }
        for (spelling, expression) in TRANSLATIONS {
            assert_eq!(*spelling, spelling.to_ascii_lowercase());
            assert_eq!(identifier(expression).as_deref(), Some(*expression), "{spelling}");
        }
    }
}
