//! What must hold for any bytes: one function for each of the parser, the expander and the ignore matcher. The fuzz
//! targets in `fuzz/` and the test `fuzz_entries.rs` call them.

mod render;

use dockerfile::expand::{ExpandError, Expansion, Lex};
use dockerfile::ignore::{Level, Patterns, clean};
use dockerfile::{Dockerfile, Instruction, Span, diagnostic, lint};
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Any input of a fuzzer's size takes less seconds of the processor than this, even unoptimised; what grows with the
/// square of its length does not.
const LONGEST: i64 = 5;

/// Runs `work` and panics when it took too long. The clock is the thread's own, so a busy machine does not matter.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let now = || clock_gettime(ClockId::ThreadCPUTime);
    let begun = now();
    let result = work();
    let Timespec { tv_sec, .. } = now() - begun;
    assert!(tv_sec < LONGEST, "{what} took {tv_sec} s");
    result
}

/// Parses a Dockerfile: spans are valid and in order, what is kept is no multiple of the text, and what is rendered
/// from the instructions is read as the same instructions.
pub(crate) fn parse(bytes: &[u8]) {
    let parsed = timed("parse", || dockerfile::parse(bytes, "Dockerfile"));
    let dockerfile = match &parsed {
        Ok(dockerfile) => dockerfile,
        Err(failure) => {
            assert!(!failure.errors.is_empty() && failure.errors.len() <= 200);
            let text = failure.dockerfile.source.text();
            for error in &failure.errors {
                assert!(text.get(error.span.range()).is_some(), "{error:?}");
            }
            let shown = timed("render", || {
                diagnostic::render(&failure.dockerfile.source, &failure.diagnostics(), false)
            });
            assert!(shown.starts_with("error: "));
            &failure.dockerfile
        }
    };
    let text = dockerfile.source.text();
    for warning in &dockerfile.warnings {
        assert!(text.get(warning.span.range()).is_some(), "{warning:?}");
    }
    let mut kept = 0;
    for one in &dockerfile.instructions {
        spans_of(one, text);
        kept += one.original.len() + one.comments.iter().map(String::len).sum::<usize>();
        kept += one.heredocs.iter().map(|doc| doc.content.len() + doc.name.len()).sum::<usize>();
    }
    assert!(kept <= 2 * text.len() + 16, "{kept} bytes are kept of {}", text.len());
    for finding in timed("lint", || lint::check(dockerfile, &lint::Config::default(), &|_| true)) {
        assert!(text.get(finding.span.range()).is_some(), "{finding:?}");
    }
    if parsed.is_ok() {
        order(dockerfile);
        round_trips(dockerfile);
    }
}

/// Every span of an instruction is text, and inside of the instruction's own.
fn spans_of(one: &Instruction, text: &str) {
    let inside = |span: Span, what: &str| {
        assert!(text.get(span.range()).is_some(), "{what} of {one:?} is no text");
        assert!(one.span.start <= span.start && span.end <= one.span.end, "{what} of {one:?} is outside");
    };
    inside(one.span, "the span");
    inside(one.line_span, "the line");
    inside(one.name.span, "the name");
    assert!(text[one.name.span.start..].starts_with(&one.name.value[..1]), "{one:?}");
    for flag in &one.flags {
        inside(flag.span, "a flag");
        inside(flag.name.span, "a flag's name");
        if let Some(value) = &flag.value {
            inside(value.span, "a flag's value");
        }
    }
    for heredoc in &one.heredocs {
        inside(heredoc.span, "a heredoc");
        assert_eq!(text[heredoc.span.range()], heredoc.content, "{one:?}");
    }
}

/// The instructions stand one after the other, and between them is nothing but comments and empty lines.
fn order(dockerfile: &Dockerfile) {
    let text = dockerfile.source.text();
    let mut at = 0;
    let end = Span::new(text.len(), text.len());
    for span in dockerfile.instructions.iter().map(|one| one.span).chain([end]) {
        assert!(at <= span.start, "instructions overlap at {at}");
        let escape = dockerfile.directives.escape;
        for line in text[at..span.start].lines() {
            let line = line.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == escape);
            assert!(line.is_empty() || line.starts_with('#'), "`{line}` belongs to no instruction");
        }
        at = span.end;
    }
}

/// Two ways of writing the instructions down again are read as the same instructions.
fn round_trips(dockerfile: &Dockerfile) {
    let joined = render::joined(dockerfile);
    compare(dockerfile, &joined, |_| true);
    let typed = render::typed(dockerfile);
    // A heredoc's word is not kept as it was quoted.
    compare(dockerfile, &typed, |one| one.heredocs.is_empty());
}

fn compare(before: &Dockerfile, rendered: &str, counts: impl Fn(&Instruction) -> bool) {
    let after = match dockerfile::parse(rendered, "Dockerfile") {
        Ok(after) => after,
        Err(failure) => panic!("{failure} in what was rendered: {rendered:?}"),
    };
    let directives = |dockerfile: &Dockerfile| {
        let directives = &dockerfile.directives;
        let values =
            [&directives.syntax, &directives.check].map(|one| one.as_ref().map(|one| one.value.clone()));
        (directives.escape, values)
    };
    assert_eq!(directives(before), directives(&after));
    assert_eq!(before.instructions.len(), after.instructions.len(), "{rendered:?}");
    for (one, other) in before.instructions.iter().zip(&after.instructions) {
        if counts(one) {
            assert_eq!(render::without_places(one), render::without_places(other), "{rendered:?}");
        }
    }
}

/// Expands a word. The first byte chooses the lexer; the text up to the first NUL is the value of `v`, the rest the word.
pub(crate) fn expand(bytes: &[u8]) {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let text = String::from_utf8_lossy(rest);
    let (value, word) = text.split_once('\0').unwrap_or(("some/value.tar.gz", &text));
    let env = |name: &str| match name {
        "v" => Some(value.to_owned()),
        "a" => Some("old".to_owned()),
        "e" => Some(String::new()),
        "w" => Some(" one  two ".to_owned()),
        _ => None,
    };
    let escape = if choice & 1 == 0 { '\\' } else { '`' };
    let lex = match choice >> 1 & 3 {
        0 | 1 => Lex::new(escape),
        2 => Lex::heredoc(),
        _ => Lex { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Lex::new(escape) },
    };
    let expanded = timed("expand", || lex.expand(word, &env));
    assert_eq!(expanded.as_ref().map(|one| &one.text), lex.expand_word(word, &env).as_ref(), "{word:?}");
    let Expansion { text, words, used, unset } = match expanded {
        Ok(expansion) => expansion,
        Err(error) => {
            let shown = error.to_string();
            let required = matches!(error, ExpandError::Required { .. });
            assert!(required || shown.len() <= 2500, "{} bytes of message", shown.len());
            return;
        }
    };
    assert!(text.len() <= 17 << 20, "{} bytes", text.len());
    assert!(words.iter().map(String::len).sum::<usize>() <= text.len(), "{word:?}");
    assert!(words.iter().all(|word| !word.is_empty()), "{word:?}");
    assert!(!used.iter().any(|name| unset.contains(name)), "{word:?}");
    if !word.contains(['$', '\'', '"', escape, '\\']) {
        assert_eq!(text, word, "nothing is to be expanded");
    }
    // A text in single quotes is that text.
    if !text.contains('\'') && !lex.ignore_quotes && !lex.keep_quotes {
        assert_eq!(lex.expand_word(&format!("'{text}'"), &env).as_ref(), Ok(&text));
    }
}

/// Reads an ignore file and matches paths. The text before the last NUL is the file, what follows are paths, a line
/// each.
pub(crate) fn ignore(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, paths) = text.rsplit_once('\0').unwrap_or((&text, "a\nsrc/main.rs\na/b/c/d\n.git\né/x.log"));
    let Ok(patterns) = timed("read", || Patterns::parse(file)) else { return };
    // The cleaned patterns mean the same as the file. (A `#` in front would make one a comment.)
    let listed: Vec<String> = patterns.iter().collect();
    let again = Patterns::new(listed.iter().map(String::as_str));
    for path in paths.lines().take(50) {
        let path = clean(path.trim_start_matches('/'));
        let path = path.trim_start_matches('/');
        if path == "." || path.is_empty() || path.starts_with("..") {
            continue;
        }
        let ignored = timed("match", || patterns.matches(path));
        let mut level = Level::default();
        for (at, _) in path.match_indices('/') {
            level = patterns.enter(level, &path[..at]);
            if patterns.may_skip(level, &path[..at]) {
                assert!(ignored, "{path:?} is kept, but its parent need not be read: {listed:?}");
            }
        }
        assert_eq!(patterns.is_ignored(patterns.enter(level, path)), ignored, "{path:?} {listed:?}");
        if let Ok(again) = &again
            && again.iter().eq(listed.iter().cloned())
        {
            assert_eq!(again.matches(path), ignored, "{path:?} {listed:?}");
        }
        // The last word of all: a path that is excepted at the end is kept, and one that is named is ignored.
        let literal: String = path.chars().flat_map(|c| ['\\', c]).collect();
        if !path.contains(|c: char| c.is_whitespace() || c == '\\' || c == '!') {
            let with = |line: String| {
                let lines = listed.iter().cloned().chain([line]).collect::<Vec<_>>();
                Patterns::new(lines.iter().map(String::as_str)).map(|patterns| patterns.matches(path))
            };
            assert!(
                with(literal.clone()).is_ok_and(|ignored| ignored) || again.is_err(),
                "{path:?} {listed:?}"
            );
            assert!(with(format!("!{literal}")).is_ok_and(|ignored| !ignored) || again.is_err(), "{path:?}");
        }
    }
}
