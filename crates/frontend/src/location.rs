//! Places in a Dockerfile as BuildKit's answers have them: `{"ranges":[{"start":{"line":4},"end":{"line":4}}]}`,
//! one range a line.

use dockerfile::lint::Rule;
use dockerfile::{Diagnostic, Dockerfile, LineRange};
use serde::Serialize;

/// Lines of a Dockerfile. BuildKit's places have no columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The lines in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Lines>,
}

/// One line of a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The line.
    pub start: Line,
    /// The same line.
    pub end: Line,
}

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its number, from 1.
    pub line: usize,
}

impl Location {
    /// The first line; 0 where there is none.
    pub fn first(&self) -> usize {
        self.ranges.first().map_or(0, |range| range.start.line)
    }
}

impl From<LineRange> for Location {
    fn from(lines: LineRange) -> Self {
        let ranges =
            (lines.first..=lines.last).map(|line| Lines { start: Line { line }, end: Line { line } });
        Self { ranges: ranges.collect() }
    }
}

/// The lines that BuildKit gives for a finding or an error: those of its instruction. Of an empty line inside an
/// instruction, the last line that is continued to.
pub fn finding_lines(dockerfile: &Dockerfile, finding: &Diagnostic) -> LineRange {
    let at = finding.span.start;
    let source = &dockerfile.source;
    match dockerfile.instructions.iter().find(|one| one.span.start <= at && at <= one.span.end) {
        Some(one) if finding.rule == Some(Rule::NoEmptyContinuation.name()) => {
            let last = source.line(one.line_span.end).max(source.line(at));
            LineRange { first: last, last }
        }
        Some(one) => one.lines,
        None => source.lines(finding.span),
    }
}
