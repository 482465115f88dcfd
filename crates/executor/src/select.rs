//! Which files a COPY takes from its source, whatever the source is: a context or the layers of a snapshot.
//!
//! A source path is cleaned as text, so `..` never leaves the source. Links on the way and at the end are followed
//! inside the source; inside a taken tree, and where a wildcard has begun, they stay links. A pattern that matches
//! nothing takes nothing; a plain path that is not there is an error.
//!
//! `--exclude` speaks of paths below the directory that is copied, and so of no file that a source names or a
//! wildcard matches, whatever the reference says: BuildKit copies those. With `--parents` the part of a source after `/./`,
//! or all of it, is a pattern that also knows `**`, and what matches is taken with the directories above it.

use crate::{Error, Result};
use dockerfile::ignore::Patterns;
use dockerfile::pattern::NamePattern;
use graph::Copy;
use layer::{Found, View};

/// One match of one source path.
pub(crate) struct Taken<'a> {
    /// The last component of the path as written: what a file is called in a destination directory.
    pub(crate) name: Vec<u8>,
    /// The entry itself; nothing where only what is below counts: the root of the source, the base of `--parents`.
    pub(crate) root: Option<Found<'a>>,
    /// Where the match really is, links followed.
    pub(crate) real: Vec<u8>,
    /// What is taken below it, if it is a directory; a directory stands before all that is in it.
    pub(crate) below: Vec<Found<'a>>,
}

impl<'a> Taken<'a> {
    /// Whether the match is a directory: then its content is copied, not itself.
    pub(crate) fn is_directory(&self) -> bool {
        self.root.is_none_or(|found| found.is_directory())
    }

    /// The path of an entry relative to the match.
    pub(crate) fn relative(&self, found: &Found<'a>) -> &'a [u8] {
        let skip = if self.real.is_empty() { 0 } else { self.real.len() + 1 };
        found.path().get(skip..).unwrap_or_default()
    }

    /// All entries.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Found<'a>> {
        self.root.iter().chain(&self.below)
    }
}

/// A way of taking files.
pub(crate) enum Take<'a> {
    Copy(&'a Copy),
    /// The tree at a path, as a mount shows it.
    Tree(&'a str),
}

impl Take<'_> {
    pub(crate) fn select<'v>(&self, view: &'v View) -> Result<Vec<Taken<'v>>> {
        match self {
            Self::Copy(copy) => select(view, copy),
            Self::Tree(source) => Ok(vec![tree(view, source)?]),
        }
    }
}

/// The matches of all sources of `copy`, in the order written; those of one pattern in the order of their paths.
pub(crate) fn select<'a>(view: &'a View, copy: &Copy) -> Result<Vec<Taken<'a>>> {
    let exclude =
        if copy.exclude.is_empty() { None } else { Some(patterns(copy.exclude.iter().map(String::as_str))?) };
    let mut taken = Vec::new();
    for source in &copy.sources {
        if copy.parents {
            with_parents(view, source, exclude.as_ref(), &mut taken)?;
            continue;
        }
        let cleaned = clean(source.as_bytes());
        for path in matches(view, &cleaned) {
            let mut one = at(view, source, &path)?;
            if let Some(exclude) = &exclude {
                keep(&mut one, |path| !exclude.matches(path));
            }
            taken.push(one);
        }
    }
    Ok(taken)
}

/// The file or tree at a plain path, as a mount shows it.
pub(crate) fn tree<'a>(view: &'a View, source: &str) -> Result<Taken<'a>> {
    at(view, source, &clean(source.as_bytes()))
}

/// What stands at `path`, links followed. `source` is what the user wrote.
fn at<'a>(view: &'a View, source: &str, path: &[u8]) -> Result<Taken<'a>> {
    let real = view
        .resolve(path, true)
        .map_err(|error| Error::Layer { what: format!("source `{source}`"), source: error })?;
    let root = view.get(&real);
    if root.is_none() && !real.is_empty() {
        let shown = if has_wildcard(source.as_bytes()) { text(path) } else { source.to_owned() };
        return Err(Error::NoSource { path: shown, near: near(view, &real) });
    }
    let is_directory = root.is_none_or(|found| found.is_directory());
    let below = if is_directory { view.below(&real) } else { Vec::new() };
    let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
    Ok(Taken { name, root, real, below })
}

/// `--parents`: what matches the pattern after the pivot, with the directories above it up to the pivot.
fn with_parents<'a>(
    view: &'a View,
    source: &str,
    exclude: Option<&Patterns>,
    taken: &mut Vec<Taken<'a>>,
) -> Result<()> {
    let (base, pattern) = source.split_once("/./").unwrap_or(("", source));
    let (base, pattern) = (clean(base.as_bytes()), clean(pattern.as_bytes()));
    let wanted = if pattern.is_empty() { None } else { Some(patterns([text(&pattern).as_str()])?) };
    let is_plain = !has_wildcard(&base) && !has_wildcard(&pattern);
    for path in matches(view, &base) {
        let mut one = at(view, source, &path)?;
        if !one.is_directory() {
            continue;
        }
        one.root = None;
        let all = if is_plain { one.below.clone() } else { Vec::new() };
        keep(&mut one, |path| {
            wanted.as_ref().is_none_or(|wanted| wanted.matches(path))
                && exclude.is_none_or(|exclude| !exclude.matches(path))
        });
        if let Some(wanted) = wanted.as_ref().filter(|_| is_plain && one.below.is_empty())
            && !all.iter().any(|found| wanted.matches(&text(one.relative(found))))
        {
            let real = if one.real.is_empty() { pattern } else { [&one.real, &b"/"[..], &pattern].concat() };
            return Err(Error::NoSource { path: source.to_owned(), near: near(view, &real) });
        }
        taken.push(one);
    }
    Ok(())
}

/// Keeps what is wanted and the directories above it.
fn keep(taken: &mut Taken<'_>, wanted: impl Fn(&str) -> bool) {
    let mut kept = Vec::with_capacity(taken.below.len());
    // Directories that wait for something wanted below them.
    let mut waiting: Vec<Found<'_>> = Vec::new();
    for found in &taken.below {
        while waiting.last().is_some_and(|dir| !layer::is_below(found.path(), dir.path())) {
            waiting.pop();
        }
        if wanted(&text(taken.relative(found))) {
            kept.append(&mut waiting);
            kept.push(*found);
        } else if found.is_directory() {
            waiting.push(*found);
        }
    }
    taken.below = kept;
}

fn patterns<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Patterns> {
    Patterns::new(texts).map_err(|error| Error::Pattern { text: error.to_string() })
}

fn text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

/// The path without `.`, `..`, doubled and outer slashes.
pub(crate) fn clean(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

fn has_wildcard(path: &[u8]) -> bool {
    path.iter().any(|b| matches!(b, b'*' | b'?' | b'[' | b'\\'))
}

/// The paths that a cleaned source stands for: itself, or what matches it.
fn matches(view: &View, cleaned: &[u8]) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    if has_wildcard(cleaned) {
        expand(view, &[], cleaned, false, &mut paths);
    } else {
        paths.push(cleaned.to_vec());
    }
    paths
}

/// Matches a pattern component by component, so that only directories on its way are looked at. Links are followed
/// before the first wildcard alone (`begun` says that it was met).
fn expand(view: &View, dir: &[u8], pattern: &[u8], begun: bool, matches: &mut Vec<Vec<u8>>) {
    let (part, rest) = match pattern.iter().position(|b| *b == b'/') {
        Some(at) => (&pattern[..at], Some(&pattern[at + 1..])),
        None => (pattern, None),
    };
    let join = |name: &[u8]| if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
    let is_pattern = has_wildcard(part);
    let names: Vec<Vec<u8>> = if is_pattern {
        let Ok(real) = (if begun { Ok(dir.to_vec()) } else { view.resolve(dir, true) }) else { return };
        let children = view.children(&real);
        let Ok(pattern) = NamePattern::parse(&text(part)) else { return };
        children
            .iter()
            .map(|found| found.entry().name().to_vec())
            .filter(|name| pattern.matches(&text(name)))
            .collect()
    } else {
        vec![part.to_vec()]
    };
    let begins = is_pattern && !begun;
    for name in names {
        let path = if begins {
            // From here on the path is the real one.
            let Ok(real) = view.resolve(dir, true) else { return };
            if real.is_empty() { name.clone() } else { [&real, &b"/"[..], &name].concat() }
        } else {
            join(&name)
        };
        let begun = begun || is_pattern;
        if begun && view.get(&path).is_none() {
            continue;
        }
        match rest {
            Some(rest) => expand(view, &path, rest, begun, matches),
            None => matches.push(path),
        }
    }
}

/// A name in the same directory that is nearly the missing one, for a hint.
fn near(view: &View, missing: &[u8]) -> Option<String> {
    let cut = missing.iter().rposition(|b| *b == b'/');
    let (dir, name) = cut.map_or((&[][..], missing), |at| (&missing[..at], &missing[at + 1..]));
    let names: Vec<String> = view.children(dir).iter().map(|found| text(found.entry().name())).collect();
    let found = dockerfile::suggest::nearest(&text(name), names.iter().map(String::as_str), true)?;
    Some(if dir.is_empty() { found } else { format!("{}/{found}", text(dir)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use layer::{Content, Entry, Kind, Listing, Place, Time};
    use std::sync::Arc;

    fn view() -> View {
        let entry = |path: &str, kind: Kind<'static>| Entry {
            path: path.as_bytes().to_vec().into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            xattrs: Vec::new().into(),
        };
        let file = || Kind::File {
            size: 0,
            digest: oci::Digest::of(b""),
            link: 0,
            content: Content::Own(Place::Folder),
        };
        let dir = || Kind::Directory { opaque: false };
        let entries = vec![
            entry("package.json", file()),
            entry("package-lock.json", file()),
            entry("src", dir()),
            entry("src/a.js", file()),
            entry("src/lib", dir()),
            entry("src/lib/b.js", file()),
            entry("link", Kind::Symlink { target: b"src/lib"[..].into() }),
        ];
        View::new(vec![Arc::new(Listing::new(entries, Vec::new()))])
    }

    fn taken(sources: &[&str], exclude: &[&str]) -> Result<Vec<String>> {
        let copy = Copy {
            sources: sources.iter().map(ToString::to_string).collect(),
            exclude: exclude.iter().map(ToString::to_string).collect(),
            ..Copy::default()
        };
        let view = view();
        let taken = select(&view, &copy)?;
        Ok(taken
            .iter()
            .map(|one| {
                let below: Vec<String> = one.below.iter().map(|found| text(found.path())).collect();
                format!("{}: {}", text(&one.name), below.join(" "))
            })
            .collect())
    }

    #[test]
    fn paths_patterns_and_links() {
        assert_eq!(taken(&["package*.json"], &[]).unwrap(), ["package-lock.json: ", "package.json: "]);
        assert_eq!(taken(&["../../src/"], &[]).unwrap(), ["src: src/a.js src/lib src/lib/b.js"]);
        assert_eq!(taken(&["link"], &[]).unwrap(), ["link: src/lib/b.js"]);
        assert_eq!(taken(&["s*/*.js", "nothing*"], &[]).unwrap(), ["a.js: "]);
        assert_eq!(taken(&["src"], &["**/*.js"]).unwrap(), ["src: src/lib"]);
        assert_eq!(taken(&["*/b.js"], &[]).unwrap(), [""; 0]);
        assert_eq!(taken(&["link/*"], &[]).unwrap(), ["b.js: "]);
        assert_eq!(taken(&["src"], &["lib", "!lib/b.js"]).unwrap(), ["src: src/a.js src/lib src/lib/b.js"]);
        assert_eq!(taken(&["src"], &["src/a.js"]).unwrap(), ["src: src/a.js src/lib src/lib/b.js"]);
        assert_eq!(taken(&["*.json"], &["package.json"]).unwrap(), ["package-lock.json: ", "package.json: "]);
        assert_eq!(taken(&["."], &[]).unwrap().len(), 1);
        let error = taken(&["pakage.json"], &[]).unwrap_err().to_string();
        assert!(error.contains("pakage.json"), "{error}");
    }
}
