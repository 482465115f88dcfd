//! Diagnostics: something to tell the user about a place of a source text, and how it looks.
//!
//! ```text
//! error: unknown instruction `RUNN`
//!  --> Dockerfile:3:1
//!   |
//! 3 | RUNN make
//!   | ^^^^ no instruction of the Dockerfile language
//!   |
//!   = hint: did you mean `RUN`?
//! ```
//!
//! The parser, the lint rules and the frontend all make these; [`render`] shows a list of them, [`Report`] is the
//! same for machines.

use crate::source::{Position, Source, Span};
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The build cannot go on.
    Error,
    /// The build goes on; the file should change.
    Warning,
    /// Something worth knowing.
    Note,
}

/// One change of a source text: the bytes at a place become another text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// What goes; empty for a mere insertion.
    pub span: Span,
    /// What comes in its place.
    pub text: String,
}

/// What a rule is, for lists of rules: its name, and what people read about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    /// The name that findings carry and users write: `StageNameCasing`, `Jettison/AddForCopy`.
    pub name: &'static str,
    /// One sentence: what is wrong where the rule finds something.
    pub description: &'static str,
    /// One sentence or several: what to do, and why.
    pub help: &'static str,
    /// Where more is written about it; empty where nothing is.
    pub url: &'static str,
}

/// Something to tell about a place of a source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is the matter, without a full stop.
    pub message: String,
    /// The place; an empty span points between two characters.
    pub span: Span,
    /// A few words beside the underline.
    pub label: Option<String>,
    /// Sentences that help, each shown as a `hint:`.
    pub hints: Vec<String>,
    /// The rule that found it, by its name (BuildKit's for BuildKit's rules).
    pub rule: Option<&'static str>,
    /// Changes of the source that mend it without changing what the file means for the rest; none where people have to
    /// decide. They do not overlap.
    pub edits: Vec<Edit>,
}

impl Diagnostic {
    /// A diagnostic without label, hints, rule and edits.
    pub fn new(severity: Severity, message: impl Into<String>, span: Span) -> Self {
        Self {
            severity,
            message: message.into(),
            span,
            label: None,
            hints: Vec::new(),
            rule: None,
            edits: Vec::new(),
        }
    }

    /// An error.
    pub fn error(message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Error, message, span)
    }

    /// A warning.
    pub fn warning(message: impl Into<String>, span: Span) -> Self {
        Self::new(Severity::Warning, message, span)
    }

    /// The same with words beside the underline.
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// The same with one more hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same as the finding of a rule.
    pub fn with_rule(mut self, rule: &'static str) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The same with one more edit that mends it.
    pub fn with_edit(mut self, span: Span, text: impl Into<String>) -> Self {
        self.edits.push(Edit { span, text: text.into() });
        self
    }
}

/// A diagnostic with its place worked out, to be written as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// How bad it is.
    pub severity: Severity,
    /// The lint rule, if one found it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// What is the matter.
    pub message: String,
    /// The source's name.
    pub file: String,
    /// The first character.
    pub start: Position,
    /// After the last character.
    pub end: Position,
    /// Sentences that help.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
}

impl Report {
    /// Works out the place of a diagnostic.
    pub fn new(source: &Source, diagnostic: &Diagnostic) -> Self {
        Self {
            severity: diagnostic.severity,
            rule: diagnostic.rule,
            message: diagnostic.message.clone(),
            file: source.name().to_owned(),
            start: source.position(diagnostic.span.start),
            end: source.position(diagnostic.span.end),
            hints: diagnostic.hints.clone(),
        }
    }
}

/// Shows diagnostics with their source lines, one after the other with an empty line between, ending in a line feed.
/// Colour is ANSI escapes; without it the text holds none.
pub fn render(source: &Source, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for diagnostic in diagnostics {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&render_one(source, diagnostic, &renderer));
        out.push('\n');
    }
    out
}

/// Shows the place of a diagnostic and its hints, without severity and message.
pub fn render_place(source: &Source, diagnostic: &Diagnostic, colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    with_place(source, diagnostic, Group::with_level(level(diagnostic)), &renderer)
}

fn level(diagnostic: &Diagnostic) -> Level<'static> {
    match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn render_one(source: &Source, diagnostic: &Diagnostic, renderer: &Renderer) -> String {
    let mut title = level(diagnostic).primary_title(diagnostic.message.as_str());
    if let Some(rule) = diagnostic.rule {
        title = title.id(rule);
    }
    with_place(source, diagnostic, Group::with_title(title), renderer)
}

fn with_place<'a>(
    source: &'a Source,
    diagnostic: &'a Diagnostic,
    group: Group<'a>,
    renderer: &Renderer,
) -> String {
    // Only the lines around the place are handed over: the renderer reads all that it is given.
    let (window, first_line) = window(source, diagnostic.span);
    let text = source.slice(window);
    let within = |offset: usize| offset.clamp(window.start, window.end) - window.start;
    let range = within(diagnostic.span.start)..within(diagnostic.span.end);
    let mut annotation = AnnotationKind::Primary.span(range);
    if let Some(label) = &diagnostic.label {
        annotation = annotation.label(label.as_str());
    }
    let snippet = Snippet::source(text).path(source.name()).line_start(first_line).annotation(annotation);
    let mut group = group.element(snippet);
    for hint in &diagnostic.hints {
        group = group.element(Level::HELP.with_name("hint").message(hint.as_str()));
    }
    renderer.render(&[group])
}

/// Whole lines that hold the span, and the number of the first. Of a span over many lines the first few are enough.
fn window(source: &Source, span: Span) -> (Span, usize) {
    const MOST_LINES: usize = 6;
    let mut lines = source.lines(span);
    lines.last = lines.last.min(lines.first + MOST_LINES - 1);
    let from = source.line_span(lines.first);
    (Span::new(from.start, source.line_span(lines.last).end), lines.first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_rustc() {
        let source = Source::new("Dockerfile", "FROM a\n\nRUNN make\nRUN x\n");
        let found = Diagnostic::error("unknown instruction `RUNN`", Span::new(8, 12))
            .with_label("not known")
            .with_hint("did you mean `RUN`?");
        let note = Diagnostic::warning("stage names should be lowercase", Span::new(5, 6))
            .with_rule("StageNameCasing");
        insta::assert_snapshot!(render(&source, &[found, note], false), @r"
    error: unknown instruction `RUNN`
     --> Dockerfile:3:1
      |
    3 | RUNN make
      | ^^^^ not known
      |
      = hint: did you mean `RUN`?

    warning[StageNameCasing]: stage names should be lowercase
     --> Dockerfile:1:6
      |
    1 | FROM a
      |      ^
    ");
    }

    #[test]
    fn every_place_can_be_rendered() {
        let text = "FROM é\r\nRUN a \\\n\tb\n\n";
        let source = Source::new("D", text);
        for start in (0..=text.len()).filter(|at| text.is_char_boundary(*at)) {
            for end in (start..=text.len()).filter(|at| text.is_char_boundary(*at)) {
                let shown = render(&source, &[Diagnostic::error("x", Span::new(start, end))], false);
                assert!(shown.starts_with("error: x\n"), "{shown}");
            }
        }
        render(&source, &[Diagnostic::error("x", Span::new(900, 1000))], true);
    }

    #[test]
    fn reports_have_lines_and_columns() {
        let source = Source::new("D", "FROM a\nRUN b\n");
        let report = Report::new(&source, &Diagnostic::error("x", Span::new(11, 12)).with_hint("h"));
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"severity":"error","message":"x","file":"D","start":{"line":2,"column":5},"end":{"line":2,"column":6},"hints":["h"]}"#
        );
    }
}
