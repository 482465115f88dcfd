//! Parser directives: comments of the form `# key=value` at the very top of the file.
//!
//! ```text
//! # syntax=docker/dockerfile:1
//! # escape=`
//! # check=skip=StageNameCasing,JSONArgsRecommended;error=true
//! ```
//!
//! Any line that is no directive ends the zone: an instruction, an ordinary comment, an unknown key, an empty line.
//! Only a `#!` in the first line may stand above them, and then `escape` is a comment, as in BuildKit.

use crate::source::{Span, Spanned};

/// The directives of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directives {
    /// `syntax`: the frontend that the file asks for, and options after it, as written.
    pub syntax: Option<Spanned<String>>,
    /// `escape`: the escape and continuation character; `\` without a directive.
    pub escape: char,
    /// Where the `escape` directive gives its value, if there is one.
    pub escape_span: Option<Span>,
    /// `check`: what [`crate::lint::Config`] is made of.
    pub check: Option<Spanned<String>>,
}

impl Default for Directives {
    fn default() -> Self {
        Self { syntax: None, escape: '\\', escape_span: None, check: None }
    }
}

impl Directives {
    /// The frontend image that `syntax` names (the first word of the value).
    pub fn frontend(&self) -> Option<&str> {
        self.syntax.as_ref().and_then(|value| value.split(' ').next())
    }
}

/// Whether a frontend image is Docker's own Dockerfile frontend, which is built in: any tag or digest of
/// `docker/dockerfile` or `docker/dockerfile-upstream`, with or without the registry's name.
pub fn is_builtin_frontend(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let name = ["docker.io/", "index.docker.io/", "registry-1.docker.io/"]
        .iter()
        .find_map(|registry| name.strip_prefix(registry))
        .unwrap_or(name);
    let name = name.split(':').next().unwrap_or_default();
    matches!(name, "docker/dockerfile" | "docker/dockerfile-upstream")
}

/// What a line is to the directive zone.
pub(crate) enum Found {
    /// A directive: its key in lower case, and its value.
    Directive(&'static str, Spanned<String>),
    /// Something else: the zone is over.
    End,
}

/// Reads a line (white space in front stripped) that begins at `start`.
pub(crate) fn read(line: &str, start: usize) -> Found {
    let found = line.strip_prefix('#').and_then(|comment| {
        let comment = comment.trim_start();
        let (key, value) = comment.split_once('=')?;
        let key = key.trim_end_matches(['\t', '\n', '\u{c}', '\r', ' ']);
        let key = ["syntax", "escape", "check"].into_iter().find(|known| key.eq_ignore_ascii_case(known))?;
        let value = value.trim_start_matches(['\t', '\n', '\u{c}', '\r', ' ']);
        let value = value.trim_end_matches(['\t', '\n', '\u{c}', '\r', ' ']);
        if value.is_empty() {
            return None;
        }
        // The value is the tail of the line but for white space, so its place follows from the lengths.
        let at = start + (value.as_ptr().addr() - line.as_ptr().addr());
        Some(Found::Directive(key, Spanned::new(value.to_owned(), Span::new(at, at + value.len()))))
    });
    found.unwrap_or(Found::End)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_frontend() {
        for image in [
            "docker/dockerfile",
            "docker/dockerfile:1",
            "docker.io/docker/dockerfile:1.7-labs",
            "docker/dockerfile-upstream:master@sha256:00",
        ] {
            assert!(is_builtin_frontend(image), "{image}");
        }
        for image in ["docker/dockerfile2", "example.com/docker/dockerfile:1", "tonistiigi/dockerfile:x"] {
            assert!(!is_builtin_frontend(image), "{image}");
        }
    }

    #[test]
    fn lines_that_are_directives() {
        let Found::Directive(key, value) = read("#  Escape = ` \t", 10) else { panic!() };
        assert_eq!((key, value.value.as_str(), value.span), ("escape", "`", Span::new(22, 23)));
        for line in ["# escape", "# escape=", "# other=x", "# my escape=x", "", "FROM x=y"] {
            assert!(matches!(read(line, 0), Found::End), "{line}");
        }
    }
}
