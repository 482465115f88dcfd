//! Which files a COPY takes from its source, whatever the source is: a context or the layers of a snapshot.
//!
//! A source path is cleaned as text, so `..` never leaves the source. Links on the way and at the end are followed
//! inside the source; inside a taken tree they stay links. A pattern that matches nothing takes nothing; a plain path
//! that is not there is an error.

use crate::{Error, Result};
use dockerfile::ignore::Patterns;
use dockerfile::pattern::NamePattern;
use graph::Copy;
use layer::{Found, View};

/// One match of one source path.
pub(crate) struct Taken<'a> {
    /// The last component of the path as written: what a file is called in a destination directory.
    pub(crate) name: Vec<u8>,
    /// The path of the match in the source, links not followed: what `--parents` keeps.
    pub(crate) path: Vec<u8>,
    /// The entry itself; nothing where the root of the source was named.
    pub(crate) root: Option<Found<'a>>,
    /// Where the match really is, links followed.
    pub(crate) real: Vec<u8>,
    /// All that is below it, if it is a directory.
    pub(crate) below: Vec<Found<'a>>,
}

impl Taken<'_> {
    /// Whether the match is a directory: then its content is copied, not itself.
    pub(crate) fn is_directory(&self) -> bool {
        self.root.is_none_or(|found| found.entry.is_directory())
    }
}

/// The matches of all sources of `copy`, in the order written; those of one pattern in the order of their paths.
pub(crate) fn select<'a>(view: &'a View, copy: &Copy) -> Result<Vec<Taken<'a>>> {
    let exclude = if copy.exclude.is_empty() {
        None
    } else {
        Some(
            Patterns::new(copy.exclude.iter().map(String::as_str))
                .map_err(|error| Error::Pattern { text: error.to_string() })?,
        )
    };
    let mut taken = Vec::new();
    for source in &copy.sources {
        let cleaned = clean(source.as_bytes());
        let mut matches = if has_wildcard(&cleaned) {
            let mut paths = Vec::new();
            expand(view, &[], &cleaned, &mut paths);
            paths
        } else {
            vec![cleaned]
        };
        let plain = !has_wildcard(&clean(source.as_bytes()));
        for path in matches.drain(..) {
            let real =
                view.resolve(&path, true).map_err(|source| Error::Layer { what: "source".into(), source })?;
            let root = view.get(&real);
            if root.is_none() && !real.is_empty() {
                if plain {
                    return Err(Error::NoSource { path: source.clone(), near: near(view, &real) });
                }
                continue;
            }
            let is_directory = root.is_none_or(|found| found.entry.is_directory());
            let mut below = if is_directory { view.below(&real) } else { Vec::new() };
            if let Some(exclude) = &exclude {
                let skip = if real.is_empty() { 0 } else { real.len() + 1 };
                if !is_directory && exclude.matches(&text(&path)) {
                    continue;
                }
                below.retain(|found| {
                    !exclude.matches(&text(&found.entry.path))
                        && !exclude.matches(&text(&found.entry.path[skip..]))
                });
            }
            let name = path.rsplit(|b| *b == b'/').next().unwrap_or_default().to_vec();
            taken.push(Taken { name, path, root, real, below });
        }
    }
    Ok(taken)
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

/// Matches a pattern component by component, so that only directories on its way are looked at. Links are not
/// followed by patterns, except in parts that hold none.
fn expand(view: &View, dir: &[u8], pattern: &[u8], matches: &mut Vec<Vec<u8>>) {
    let (part, rest) = match pattern.iter().position(|b| *b == b'/') {
        Some(at) => (&pattern[..at], Some(&pattern[at + 1..])),
        None => (pattern, None),
    };
    let join = |name: &[u8]| if dir.is_empty() { name.to_vec() } else { [dir, b"/", name].concat() };
    let names: Vec<Vec<u8>> = if has_wildcard(part) {
        let Ok(real) = view.resolve(dir, true) else { return };
        let children = view.children(&real);
        let Ok(pattern) = NamePattern::parse(&text(part)) else { return };
        children
            .iter()
            .map(|found| found.entry.name().to_vec())
            .filter(|name| pattern.matches(&text(name)))
            .collect()
    } else {
        vec![part.to_vec()]
    };
    for name in names {
        let path = join(&name);
        match rest {
            Some(rest) => expand(view, &path, rest, matches),
            None => matches.push(path),
        }
    }
}

/// A name in the same directory that is nearly the missing one, for a hint.
fn near(view: &View, missing: &[u8]) -> Option<String> {
    let cut = missing.iter().rposition(|b| *b == b'/');
    let (dir, name) = cut.map_or((&[][..], missing), |at| (&missing[..at], &missing[at + 1..]));
    let names: Vec<String> = view.children(dir).iter().map(|found| text(found.entry.name())).collect();
    let found = dockerfile::suggest::nearest(&text(name), names.iter().map(String::as_str), true)?;
    Some(if dir.is_empty() { found } else { format!("{}/{found}", text(dir)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use layer::{Content, Entry, Kind, Listing, Place, Time};
    use std::sync::Arc;

    fn view() -> View {
        let entry = |path: &str, kind: Kind| Entry {
            path: path.as_bytes().into(),
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            xattrs: Vec::new(),
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
                let below: Vec<String> = one.below.iter().map(|found| text(&found.entry.path)).collect();
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
        assert_eq!(taken(&["."], &[]).unwrap().len(), 1);
        let error = taken(&["pakage.json"], &[]).unwrap_err().to_string();
        assert!(error.contains("pakage.json"), "{error}");
    }
}
