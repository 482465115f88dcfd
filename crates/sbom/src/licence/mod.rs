//! Licences as packages state them, made into SPDX licence expressions (SPDX 2.3, annex D).
//!
//! A statement that is an expression of listed identifiers is taken as one, with the identifiers in their official
//! case. Debian's short names and the usual other spellings are translated. What is left becomes a `LicenseRef-` with
//! the statement as its text: nothing that was stated is lost, and nothing is guessed.
//!
//! `identifiers.txt` and `exceptions.txt` are the identifiers of the SPDX licence list 3.29, sorted without regard to
//! case.

mod expression;
mod names;

use oci::Digest;
use std::collections::BTreeMap;

/// The references that one document makes to licences outside the list: their identifiers and texts.
pub(crate) type References = BTreeMap<String, String>;

const REFERENCE: &str = "LicenseRef-";
/// The longest statement that is tried as an expression; longer ones are texts of licences.
const EXPRESSION: usize = 512;
/// How much of the words of a statement becomes part of its reference.
const READABLE: usize = 60;

/// The expression that says all that was stated, or nothing where nothing was. Texts of licences outside the list are
/// added to `references`.
pub(crate) fn declared(statements: &[String], references: &mut References) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    for statement in statements {
        let Some(part) = one(statement.trim(), references) else { continue };
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    match &mut *parts {
        [] => None,
        [only] => Some(std::mem::take(only)),
        several => {
            for part in several.iter_mut().filter(|part| part.contains(" OR ")) {
                *part = format!("({part})");
            }
            Some(several.join(" AND "))
        }
    }
}

fn one(statement: &str, references: &mut References) -> Option<String> {
    const NOTHING: [&str; 5] = ["", "UNKNOWN", "NONE", "NOASSERTION", "SEE LICENSE IN LICENSE"];
    if NOTHING.iter().any(|nothing| statement.eq_ignore_ascii_case(nothing)) {
        return None;
    }
    if statement.len() <= EXPRESSION {
        let known = names::translate(statement)
            .map(str::to_owned)
            .or_else(|| expression::normalize(statement, &mut |word| names::identifier(word)));
        if let Some(known) = known {
            // A reference that was stated or translated has no text but the statement.
            let words = known.split([' ', '(', ')']).filter(|word| word.starts_with(REFERENCE));
            for word in words {
                references.entry(word.to_owned()).or_insert_with(|| statement.to_owned());
            }
            return Some(known);
        }
        // An expression of words that are not all listed: the others become references, each of its own.
        let mut own = References::new();
        let mixed = expression::normalize(statement, &mut |word| {
            names::identifier(word).or_else(|| {
                let words = word.len() <= READABLE && word.contains(|c: char| c.is_ascii_alphabetic());
                words.then(|| reference(word, &mut own))
            })
        });
        if mixed.is_some() {
            references.extend(own);
            return mixed;
        }
    }
    Some(reference(statement, references))
}

/// A reference for what is not listed: readable, and different for different texts.
fn reference(text: &str, references: &mut References) -> String {
    let mut id = String::from(REFERENCE);
    for character in text.chars().take(READABLE) {
        let fits = character.is_ascii_alphanumeric() || matches!(character, '.' | '-');
        id.push(if fits { character } else { '-' });
    }
    if id[REFERENCE.len()..] != *text {
        let digest = Digest::of(text.as_bytes()).short();
        id = format!("{}-{digest}", id.trim_end_matches('-'));
    }
    references.insert(id.clone(), text.to_owned());
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(statements: &[&str]) -> (Option<String>, References) {
        let mut references = References::new();
        let statements: Vec<String> = statements.iter().map(|text| (*text).to_owned()).collect();
        (declared(&statements, &mut references), references)
    }

    #[test]
    fn statements_become_expressions() {
        for (statements, expected) in [
            (&["MIT"][..], "MIT"),
            (&["mit"], "MIT"),
            (&["(MIT OR Apache-2.0)"], "(MIT OR Apache-2.0)"),
            (&["MIT or apache-2.0", "ISC"], "(MIT OR Apache-2.0) AND ISC"),
            (&["GPL-2+", "GPL-2", "LGPL-2.1+"], "GPL-2.0-or-later AND GPL-2.0-only AND LGPL-2.1-or-later"),
            (
                &["GPL-2.0-or-later WITH Classpath-exception-2.0"],
                "GPL-2.0-or-later WITH Classpath-exception-2.0",
            ),
            (&["Expat", "MIT"], "MIT"),
            (&["Apache License 2.0"], "Apache-2.0"),
            (&["Apache-2"], "Apache-2.0"),
            (&["License :: OSI Approved :: BSD License"], "LicenseRef-BSD"),
            (&["public-domain"], "LicenseRef-public-domain"),
            (&["MIT AND my-own"], "MIT AND LicenseRef-my-own"),
            (&["LicenseRef-x"], "LicenseRef-x"),
        ] {
            assert_eq!(of(statements).0.as_deref(), Some(expected), "{statements:?}");
        }
        assert_eq!(of(&["UNKNOWN", " "]).0, None);
    }

    #[test]
    fn what_is_not_listed_keeps_its_text() {
        let (expression, references) = of(&["Do what you like,\nreally"]);
        let expression = expression.unwrap();
        assert!(expression.starts_with("LicenseRef-Do-what-you-like--really-"), "{expression}");
        assert_eq!(references[&expression], "Do what you like,\nreally");
        let (other, _) = of(&["Do what you like.\nreally"]);
        assert_ne!(other.unwrap(), expression);
    }

    proptest! {
        #[test]
        fn what_comes_out_is_an_expression(statements in prop::collection::vec("[ -~\u{e9}()+]{0,40}", 0..4)) {
            let mut references = References::new();
            if let Some(text) = declared(&statements, &mut references) {
                let again = expression::normalize(&text, &mut |word| {
                    names::identifier(word).filter(|found| found == word || !word.starts_with("LicenseRef-"))
                });
                prop_assert_eq!(again, Some(text));
            }
        }

        #[test]
        fn deep_nesting_ends(depth in 0usize..2000) {
            let text = format!("{}MIT{}", "(".repeat(depth), ")".repeat(depth));
            prop_assert!(declared(&[text], &mut References::new()).is_some());
        }
    }
}
