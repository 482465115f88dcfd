//! Answers for people. The words and tables are those of `docker buildx build`, the places ours.

use super::check::{Found, rules};
use dockerfile::diagnostic::render_place;
use frontend::{Asked, Outline, Target};
use std::fmt::Write;

/// What a check found; errors are not among it.
pub(super) fn check(found: &Found<'_>, colour: bool) -> String {
    let mut out = String::new();
    let clean = found.errors.is_empty() && found.other.is_none();
    match found.findings.len() {
        0 if clean && !found.warnings.is_empty() => {
            out.push_str("Check complete, no rule found anything, but there is more to tell.\n");
        }
        0 if clean => out.push_str("Check complete, no warnings found.\n"),
        0 => {}
        1 => out.push_str("Check complete, 1 warning has been found!\n"),
        count => {
            let _ = writeln!(out, "Check complete, {count} warnings have been found!");
        }
    }
    let rules = rules();
    for finding in &found.findings {
        let name = finding.rule.unwrap_or_default();
        let _ = write!(out, "\nWARNING: {name}");
        if let Some(rule) = rules.iter().find(|rule| rule.name == name && !rule.url.is_empty()) {
            let _ = write!(out, " - {}", rule.url);
        }
        let place = render_place(&found.source, finding, colour);
        let _ = writeln!(out, "\n{}\n{place}", finding.message);
    }
    if !found.warnings.is_empty() {
        out.push('\n');
        out.push_str(&dockerfile::diagnostic::render(&found.source, &found.warnings, colour));
    }
    if !clean && !out.is_empty() {
        out.push('\n');
    }
    out
}

/// What a target can be given.
pub(super) fn outline(outline: &Outline) -> String {
    let mut out = String::new();
    if !outline.name.is_empty() || !outline.description.is_empty() {
        let name = if outline.name.is_empty() { "(default)" } else { &outline.name };
        let mut rows = vec![vec!["TARGET:", name]];
        if !outline.description.is_empty() {
            rows.push(vec!["DESCRIPTION:", &outline.description]);
        }
        out.push_str(&table(&rows, 1));
        out.push('\n');
    }
    if !outline.args.is_empty() {
        let mut rows = vec![vec!["BUILD ARG", "VALUE", "DESCRIPTION"]];
        rows.extend(outline.args.iter().map(|arg| vec![&*arg.name, &*arg.value, &*arg.description]));
        out.push_str(&table(&rows, 3));
        out.push('\n');
    }
    for (title, list) in [("SECRET", &outline.secrets), ("SSH", &outline.ssh)] {
        if !list.is_empty() {
            let row = |one: &'_ Asked| (one.name.clone(), if one.required { "true" } else { "" });
            let cells: Vec<(String, &str)> = list.iter().map(row).collect();
            let mut rows = vec![vec![title, "REQUIRED"]];
            rows.extend(cells.iter().map(|(name, required)| vec![name.as_str(), required]));
            out.push_str(&table(&rows, 3));
            out.push('\n');
        }
    }
    out
}

/// The stages.
pub(super) fn targets(targets: &[Target]) -> String {
    let names: Vec<String> = targets
        .iter()
        .map(|target| match (target.name.as_str(), target.default) {
            ("", true) => "(default)".to_owned(),
            (name, true) => format!("{name} (default)"),
            (name, false) => name.to_owned(),
        })
        .collect();
    let mut rows = vec![vec!["TARGET", "DESCRIPTION"]];
    rows.extend(names.iter().zip(targets).map(|(name, target)| vec![name.as_str(), &*target.description]));
    table(&rows, 1)
}

/// Cells in columns, all but the last as wide as the widest and `gap` spaces.
pub(super) fn table(rows: &[Vec<&str>], gap: usize) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0) + gap;
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            if column + 1 == columns {
                out.push_str(cell);
            } else {
                let _ = write!(out, "{cell:<width$}", width = widths[column]);
            }
        }
        out.push('\n');
    }
    out
}
