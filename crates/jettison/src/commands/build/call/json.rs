//! Answers for programs: BuildKit's documents, field by field.
//!
//! A check has more than BuildKit's: `region` (columns too), `hints` and `fix` of each warning; `buildErrors` has all
//! errors where `buildError` has the first; `otherWarnings` are no rule's. Who knows BuildKit's fields alone loses nothing.
//!
//! ```text
//! { "warnings": [{ "ruleName", "description", "url", "detail", "location": { "ranges": [..] },
//!                  "region": { "start": { "line", "column" }, "end": {..} }, "hints": [..], "fix": [{ "region", "text" }] }],
//!   "sources": [{ "filename", "data", "language" }],
//!   "buildError": { "message", "location" }, "buildErrors": [{ "message", "location", "region", "hints" }],
//!   "otherWarnings": [{ as buildErrors }] }
//! ```

use super::check::{Found, rules};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockerfile::{Diagnostic, Position, Span};
use frontend::{Location, Outline, Target};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Check {
    warnings: Option<Vec<Warning>>,
    sources: Vec<SourceInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    build_error: Option<BuildError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    build_errors: Vec<BuildError>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    other_warnings: Vec<BuildError>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Warning {
    rule_name: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    url: &'static str,
    detail: String,
    location: Location,
    region: Region,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix: Vec<Change>,
}

#[derive(Serialize)]
struct BuildError {
    message: String,
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
}

#[derive(Serialize)]
struct Region {
    start: Position,
    end: Position,
}

#[derive(Serialize)]
struct Change {
    region: Region,
    text: String,
}

#[derive(Serialize)]
struct SourceInfo {
    filename: String,
    data: String,
    language: &'static str,
}

/// What a check found.
pub(super) fn check(found: &Found<'_>) -> String {
    let rules = rules();
    let region = |span: Span| Region {
        start: found.source.position(span.start),
        end: found.source.position(span.end),
    };
    let warning = |finding: &Diagnostic| {
        let name = finding.rule.unwrap_or_default();
        let rule = rules.iter().find(|rule| rule.name == name);
        Warning {
            rule_name: name,
            description: rule.map_or("", |rule| rule.description),
            url: rule.map_or("", |rule| rule.url),
            detail: finding.message.clone(),
            location: found.lines(finding).into(),
            region: region(finding.span),
            hints: finding.hints.clone(),
            fix: finding
                .edits
                .iter()
                .map(|edit| Change { region: region(edit.span), text: edit.text.clone() })
                .collect(),
        }
    };
    let error = |error: &Diagnostic| BuildError {
        message: error.message.clone(),
        location: found.lines(error).into(),
        region: Some(region(error.span)),
        hints: error.hints.clone(),
    };
    let mut errors: Vec<BuildError> = found.errors.iter().map(error).collect();
    errors.extend(found.other.iter().map(|error| BuildError {
        message: error.message.clone(),
        location: Location::default(),
        region: None,
        hints: error.hints.clone(),
    }));
    let first = found.errors.first().map(error).or_else(|| {
        let other = found.other.as_ref()?;
        let message = other.message.clone();
        Some(BuildError { message, location: Location::default(), region: None, hints: Vec::new() })
    });
    let check = Check {
        warnings: (!found.findings.is_empty()).then(|| found.findings.iter().map(warning).collect()),
        sources: vec![SourceInfo {
            filename: found.source.name().to_owned(),
            data: STANDARD.encode(found.source.text()),
            language: "Dockerfile",
        }],
        build_error: first.map(|first| BuildError { region: None, hints: Vec::new(), ..first }),
        build_errors: errors,
        other_warnings: found.warnings.iter().map(error).collect(),
    };
    written(&check)
}

#[derive(Serialize)]
struct WithSource<'a> {
    #[serde(flatten)]
    outline: &'a Outline,
    sources: [String; 1],
}

/// What a target can be given.
pub(super) fn outline(outline: &Outline, text: &[u8]) -> String {
    written(&WithSource { outline, sources: [STANDARD.encode(text)] })
}

#[derive(Serialize)]
struct Targets<'a> {
    targets: &'a [Target],
    sources: [String; 1],
}

/// The stages.
pub(super) fn targets(targets: &[Target], text: &[u8]) -> String {
    written(&Targets { targets, sources: [STANDARD.encode(text)] })
}

fn written(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("because all keys are strings");
    text.push('\n');
    text
}
