//! Compares ignore files with Docker's matcher: `tables/ignore.jsonl` holds ignore files and which paths moby's
//! `patternmatcher` (as BuildKit's newest source has it) says are ignored.
//!
//! ```text
//! {"text": "*\n!src\n", "yes": ["a", "b/c"], "no": ["src", "src/a"]}
//! {"text": "[\n", "paths": ["a"], "error": "..."}
//! ```

use dockerfile::ignore::{Level, Patterns};
use serde_json::Value;

/// The ignore files that we read otherwise, and why. A row that no longer differs fails the test.
const DIFFERENT: &[(&str, &str)] = &[
    ("a\\b\n", ESCAPE),
    ("*\n!a\\b\n", ESCAPE),
    ("\\a\n", ESCAPE),
    ("*\n!\\a\n", ESCAPE),
    ("a/\\b\n", ESCAPE),
    ("*\n!a/\\b\n", ESCAPE),
    ("\\d\n", ESCAPE),
    ("\\w\n", ESCAPE),
    ("\\b\n", ESCAPE),
    ("\\s\n", ESCAPE),
    ("\\n\n", ESCAPE),
    ("\\t\n", ESCAPE),
    ("\\D\n", ESCAPE),
    ("*\\d\n", ESCAPE),
    ("x\\d\n", ESCAPE),
    ("\\z\n", ESCAPE),
    ("\\pL\n", ESCAPE),
    ("[\\d]\n", ESCAPE),
    ("\\x\n", ESCAPE),
    ("\\é\n", ESCAPE),
    ("*\\é\n", ESCAPE),
    ("\\1\n", ESCAPE),
    ("[z-a]\n", RANGE),
    ("^*\n", CARET),
    ("*^\n", CARET),
    ("*^a\n", CARET),
    ("a^*\n", CARET),
    ("[*]\n", CLASS),
    ("[?]\n", CLASS),
    ("[a*]\n", CLASS),
    ("[*-z]\n", CLASS),
    ("[^*]\n", CLASS),
];

// Docker's matcher turns patterns into regular expressions; these are its slips (see the doc of `ignore`).
const ESCAPE: &str =
    "an escaped letter or digit is a class or anchor of Docker's regular expression, or an error in it";
const RANGE: &str = "Docker finds an empty range only when it matches, and fails the build then";
const CARET: &str =
    "a `^` is not escaped in Docker's regular expression and matches the beginning of the path";
const CLASS: &str = "`*` and `?` are wildcards even inside `[...]`";

#[test]
fn ignores_as_docker_does() {
    let table = include_str!("tables/ignore.jsonl");
    let (mut count, mut paths) = (0, 0);
    let mut faults = Vec::new();
    let mut found: Vec<&(&str, &str)> = Vec::new();
    for line in table.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        count += 1;
        let text = row["text"].as_str().unwrap();
        let difference = match (Patterns::parse(text), row.get("error")) {
            (Err(_), Some(_)) => None,
            (Err(error), None) => Some(format!("only we refuse it: {error}")),
            (Ok(_), Some(error)) => Some(format!("only Docker refuses it: {error}")),
            (Ok(patterns), None) => {
                let lists = [("yes", true), ("no", false)];
                let rows = lists.iter().flat_map(|(key, ignored)| {
                    row[*key].as_array().unwrap().iter().map(|path| (path.as_str().unwrap(), *ignored))
                });
                let wrong: Vec<&str> = rows
                    .inspect(|_| paths += 1)
                    .filter(|(path, ignored)| {
                        // A walk that carries what is known of the parents must say the same.
                        let matched = patterns.matches(path);
                        assert_eq!(walked(&patterns, path), matched, "{text:?} {path}");
                        matched != *ignored
                    })
                    .map(|(path, _)| path)
                    .collect();
                (!wrong.is_empty()).then(|| format!("wrong about {wrong:?}"))
            }
        };
        let known = DIFFERENT.iter().find(|(known, _)| *known == text);
        found.extend(known);
        match (difference, known) {
            (Some(difference), None) => faults.push(format!("{text:?}: {difference}")),
            (None, Some((_, reason))) => {
                faults.push(format!("{text:?}: no difference any more, though {reason}"));
            }
            _ => {}
        }
    }
    assert!(count >= 350 && paths >= 4_900, "{count} files, {paths} paths");
    for row in DIFFERENT {
        assert!(found.contains(&row), "{row:?} is of no file of the table");
    }
    assert!(faults.is_empty(), "{} differences:\n{}", faults.len(), faults.join("\n"));
}

fn walked(patterns: &Patterns, path: &str) -> bool {
    let mut level = Level::default();
    for (at, _) in path.match_indices('/') {
        level = patterns.enter(level, &path[..at]);
        if patterns.may_skip(level, &path[..at]) {
            return true;
        }
    }
    patterns.is_ignored(patterns.enter(level, path))
}
