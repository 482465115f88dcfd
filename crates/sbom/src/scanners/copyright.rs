//! Licences in `usr/share/doc/NAME/copyright`: the short names of Debian's machine-readable format (`License: GPL-2+`),
//! and the texts in `/usr/share/common-licenses/` that both this and older files point to.

use std::collections::BTreeSet;

const COMMON: &str = "/usr/share/common-licenses/";
/// More than this in one file are no licences.
const MOST: usize = 200;

/// The licences that a file names, sorted, each once.
pub(super) fn licences(text: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(named) = line.strip_prefix("License:") {
            found.extend(short_names(named));
        }
        for at in line.match_indices(COMMON).map(|(at, _)| at + COMMON.len()) {
            let rest = &line[at..];
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || "-._+".contains(c))).unwrap_or(rest.len());
            let name = rest[..end].trim_end_matches(['.', '-']);
            if !name.is_empty() {
                found.insert(name.to_owned());
            }
        }
        if found.len() > MOST {
            return Vec::new();
        }
    }
    found.into_iter().collect()
}

/// `GPL-2+ and BSD-3-clause, or MIT`: the names between the words.
fn short_names(line: &str) -> impl Iterator<Item = String> + '_ {
    let exception = line.find(" with ").unwrap_or(line.len());
    line[..exception]
        .split([' ', ',', '|'])
        .map(|word| word.trim_matches(['.', '(', ')', ';']))
        .filter(|word| {
            !word.is_empty()
                && !["and", "or", "and/or", "none"].iter().any(|no| word.eq_ignore_ascii_case(no))
        })
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_common_texts_are_found() {
        let text = "Files: *\nLicense: GPL-2+ and BSD-3-clause\n text\nLicense: GPL-2+ with OpenSSL exception\n\
                    License: none\n in `/usr/share/common-licenses/LGPL-2.1'. See /usr/share/common-licenses/Apache-2.0.\n";
        assert_eq!(licences(text), ["Apache-2.0", "BSD-3-clause", "GPL-2+", "LGPL-2.1"]);
        assert!(licences("Nothing of the kind").is_empty());
    }
}
