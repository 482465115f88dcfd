//! Ignore files (`.dockerignore`) and `--exclude`, with the meaning of Docker's pattern matcher.
//!
//! ```text
//! # a comment, in the first column only
//! node_modules        that path at the root, and everything below it
//! **/*.log            at any depth
//! docs/**             everything below docs
//! !docs/README.md     but not this: the last pattern that matches decides
//! ```
//!
//! Patterns are cleaned (`./a//b/../c` is `a/c`) and rooted. A pattern that matches a directory matches all below it.
//! So what decides about a path is the last pattern, in the order of the file, that matches the path or a parent. A
//! walker need not look at parents again: it carries the number of that pattern down ([`Level`]), and for each name
//! only the patterns after it are tried, from the last one backwards.
//!
//! Left out on purpose are slips of Docker's translation to regular expressions: there `*` and `?` inside `[...]` stay
//! wildcards, `^` anchors wherever it stands, and `\\b` is a word boundary.

mod glob;

use crate::pattern::PatternError;
use glob::Glob;

/// The patterns of an ignore file, in order.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    exception: bool,
    glob: Glob,
}

/// What is known about a directory: which pattern decided last about it or its parents.
///
/// [`Level::default`] is the root of the tree, about which nothing is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// One more than the number of the deciding pattern; 0 when none matched.
    decided: usize,
}

/// What is wrong with an ignore file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IgnoreError {
    /// A `!` with nothing after it.
    #[error("line {line} of the ignore file is a lone `!`")]
    LoneException {
        /// The line, from 1.
        line: usize,
    },
    /// A pattern that cannot be read.
    #[error("line {line} of the ignore file: {error}")]
    Pattern {
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        error: PatternError,
    },
}

impl Patterns {
    /// Reads an ignore file. A byte order mark and bytes that are not UTF-8 are tolerated.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, IgnoreError> {
        let text = String::from_utf8_lossy(text.as_ref());
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        let mut patterns = Patterns::default();
        for (index, line) in text.lines().enumerate() {
            if !line.starts_with('#') {
                patterns.add(line, index + 1)?;
            }
        }
        Ok(patterns)
    }

    /// Takes patterns one by one, as those of `--exclude`; errors count them as lines.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, IgnoreError> {
        let mut made = Patterns::default();
        for (index, pattern) in patterns.into_iter().enumerate() {
            made.add(pattern, index + 1)?;
        }
        Ok(made)
    }

    fn add(&mut self, line: &str, number: usize) -> Result<(), IgnoreError> {
        let line = line.trim();
        if line.is_empty() {
            return Ok(());
        }
        let (exception, written) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        let mut cleaned = if written.is_empty() { String::new() } else { clean(written) };
        if cleaned.len() > 1 && cleaned.starts_with('/') {
            cleaned.remove(0);
        }
        if exception {
            cleaned.insert(0, '!');
        }
        // Docker trims, cleans and looks for the `!` once more after this: `/ x` is `x`, `/!x` and `./!x` are
        // exceptions, `!/` is none.
        let cleaned = clean(cleaned.trim());
        let (exception, text) = match cleaned.strip_prefix('!') {
            Some("") => return Err(IgnoreError::LoneException { line: number }),
            Some(rest) => (true, rest),
            None => (false, cleaned.as_str()),
        };
        let glob = Glob::parse(text).map_err(|error| IgnoreError::Pattern { line: number, error })?;
        self.patterns.push(Pattern { text: text.to_owned(), exception, glob });
        Ok(())
    }

    /// Whether nothing is ignored.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether there are `!` patterns.
    pub fn has_exceptions(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.exception)
    }

    /// The cleaned patterns in order, exceptions with their `!`: equal lists ignore the same.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        self.patterns
            .iter()
            .map(|one| if one.exception { format!("!{}", one.text) } else { one.text.clone() })
    }

    /// Whether everything at the root is ignored by a pattern such as `*` or `**` (for rule CopyIgnoredFile).
    pub fn ignores_all(&self) -> bool {
        self.patterns.iter().any(|one| !one.exception && matches!(one.text.as_str(), "*" | "**" | "**/*"))
    }

    /// Whether a path is ignored, parents considered. The path is relative to the root, with `/` between names and
    /// none at the ends. The root itself (`.` or empty) never is.
    pub fn matches(&self, path: &str) -> bool {
        if path.is_empty() || path == "." {
            return false;
        }
        let mut level = Level::default();
        for (at, _) in path.match_indices('/') {
            level = self.enter(level, &path[..at]);
        }
        self.is_ignored(self.enter(level, path))
    }

    /// Goes from a directory to something in it. `path` is the whole path from the root.
    pub fn enter(&self, parent: Level, path: &str) -> Level {
        let later = &self.patterns[parent.decided..];
        match later.iter().rposition(|pattern| pattern.glob.matches(path)) {
            Some(at) => Level { decided: parent.decided + at + 1 },
            None => parent,
        }
    }

    /// Whether what `level` was entered for is ignored.
    pub fn is_ignored(&self, level: Level) -> bool {
        level.decided.checked_sub(1).is_some_and(|at| !self.patterns[at].exception)
    }

    /// Whether a directory is ignored with everything in it, so that it need not be read: no `!` pattern can match
    /// below it.
    pub fn may_skip(&self, level: Level, directory: &str) -> bool {
        self.is_ignored(level)
            && !self.patterns[level.decided..]
                .iter()
                .any(|pattern| pattern.exception && pattern.glob.may_match_below(directory))
    }
}

/// The shortest path that means the same, as Go's `filepath.Clean` makes it: without `.`, `//`, a `/` at the end, and
/// `..` where a name stands before it.
pub fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => match names.last() {
                Some(&"..") => names.push(name),
                Some(_) => drop(names.pop()),
                None if rooted => {}
                None => names.push(name),
            },
            _ => names.push(name),
        }
    }
    let joined = names.join("/");
    match (rooted, joined.is_empty()) {
        (true, _) => format!("/{joined}"),
        (false, true) => ".".to_owned(),
        (false, false) => joined,
    }
}

#[cfg(test)]
mod tests;
