//! File name patterns as Go's `filepath.Match` reads them: the wildcards of COPY and ADD.
//!
//! ```text
//! *        any text without `/`
//! ?        one character but `/`
//! [a-z]    one character of the class; `[^a-z]` one that is not in it (in Go that may be `/`)
//! \c       the character c
//! ```

/// A pattern that cannot be read: a class without end or content, a range without end, a `\` at the end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no valid pattern: {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This character.
    Char(char),
    /// `?`
    Any,
    /// `*`
    Star,
    /// `[...]`
    Class {
        /// `[^...]`
        negated: bool,
        /// The ranges, both ends included.
        ranges: Vec<(char, char)>,
    },
}

impl Piece {
    /// Whether the piece takes this one character; a star takes none here.
    pub(crate) fn takes(&self, c: char) -> bool {
        match self {
            Piece::Char(wanted) => *wanted == c,
            Piece::Any => c != '/',
            Piece::Star => false,
            Piece::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

/// Cuts a pattern into its pieces.
pub(crate) fn pieces(pattern: &str) -> Result<Vec<Piece>, PatternError> {
    let fail = |reason| PatternError { pattern: pattern.to_owned(), reason };
    let mut pieces = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            '*' => Piece::Star,
            '?' => Piece::Any,
            '\\' => Piece::Char(chars.next().ok_or_else(|| fail("it ends in a backslash"))?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                loop {
                    if !ranges.is_empty() && chars.next_if_eq(&']').is_some() {
                        break;
                    }
                    let mut end = || match chars.next() {
                        Some('\\') => chars.next().ok_or_else(|| fail("it ends in a backslash")),
                        Some('-' | ']') => Err(fail("a class has an empty range")),
                        Some(c) => Ok(c),
                        None => Err(fail("a `[` is never closed")),
                    };
                    let low = end()?;
                    let high = if chars.next_if_eq(&'-').is_some() {
                        match chars.next() {
                            Some('\\') => chars.next().ok_or_else(|| fail("it ends in a backslash"))?,
                            Some('-' | ']') => return Err(fail("a class has an empty range")),
                            Some(c) => c,
                            None => return Err(fail("a `[` is never closed")),
                        }
                    } else {
                        low
                    };
                    ranges.push((low, high));
                }
                Piece::Class { negated, ranges }
            }
            _ => Piece::Char(c),
        });
    }
    Ok(pieces)
}

/// A pattern, read once and matched often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern(Vec<Piece>);

impl NamePattern {
    /// Reads a pattern.
    pub fn parse(pattern: &str) -> Result<Self, PatternError> {
        pieces(pattern).map(Self)
    }

    pub(crate) fn from_pieces(pieces: Vec<Piece>) -> Self {
        Self(pieces)
    }

    /// Whether the pattern is the whole name. `*` and `?` never take a `/`.
    pub fn matches(&self, name: &str) -> bool {
        let pieces = &self.0;
        let mut at = 0;
        let mut rest = name;
        // Where to go on when the pieces after the last star do not fit.
        let mut retry: Option<(usize, &str)> = None;
        loop {
            let next = rest.chars().next();
            match (pieces.get(at), next) {
                (None, None) => return true,
                (Some(Piece::Star), _) => {
                    at += 1;
                    retry = Some((at, rest));
                    continue;
                }
                (Some(piece), Some(c)) if piece.takes(c) => {
                    at += 1;
                    rest = &rest[c.len_utf8()..];
                    continue;
                }
                _ => {}
            }
            let Some((after_star, from)) = retry else { return false };
            let Some(c) = from.chars().next().filter(|c| *c != '/') else { return false };
            rest = &from[c.len_utf8()..];
            at = after_star;
            retry = Some((after_star, rest));
        }
    }
}

/// Whether a name holds anything that makes it a pattern: `*`, `?`, `[` or `\`.
pub fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?', '[', '\\'])
}

/// Whether `pattern` is the whole of `name`. For many names, read the pattern once with [`NamePattern::parse`].
pub fn matches(pattern: &str, name: &str) -> Result<bool, PatternError> {
    Ok(NamePattern::parse(pattern)?.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn as_go_matches() {
        for (pattern, name, wanted) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^c]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("a?b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[\\-x]", "-", true),
            ("[x\\-]", "z", false),
            ("*x", "xxx", true),
            ("", "", true),
            ("", "a", false),
            ("**", "a", true),
            ("a[^b]c", "a/c", true),
        ] {
            assert_eq!(matches(pattern, name), Ok(wanted), "{pattern} {name}");
        }
        for pattern in ["[", "[]a]", "[-]", "[x-]", "[-x]", "a[", "[a-b-c]", "[a", "a\\", "[^]", "[^bc"] {
            assert!(NamePattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    proptest! {
        #[test]
        fn a_name_matches_itself_escaped(name in ".{0,20}") {
            let pattern: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert_eq!(matches(&pattern, &name), Ok(true));
        }

        #[test]
        fn agrees_with_plain_recursion(pattern in "[ab*?/]{0,8}", name in "[ab/]{0,8}") {
            fn naive(pattern: &[u8], name: &[u8]) -> bool {
                match pattern.split_first() {
                    None => name.is_empty(),
                    Some((b'*', rest)) => {
                        naive(rest, name) || (!name.is_empty() && name[0] != b'/' && naive(pattern, &name[1..]))
                    }
                    Some((b'?', rest)) => !name.is_empty() && name[0] != b'/' && naive(rest, &name[1..]),
                    Some((c, rest)) => name.first() == Some(c) && naive(rest, &name[1..]),
                }
            }
            prop_assert_eq!(matches(&pattern, &name), Ok(naive(pattern.as_bytes(), name.as_bytes())));
        }
    }
}
