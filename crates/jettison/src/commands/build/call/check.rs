//! A check: everything that is found in a file, before it is written in one format or another.

use crate::error::CommandError;
use dockerfile::lint::Rule;
use dockerfile::{Diagnostic, Dockerfile, LineRange, ParseFailure, RuleInfo, Source, Span};
use frontend::MetaResolver;

/// What was found.
pub(super) struct Found {
    pub(super) source: Source,
    /// The instructions, for the lines of findings.
    instructions: Vec<(Span, LineRange, usize)>,
    /// Findings of rules, in the order of the file.
    pub(super) findings: Vec<Diagnostic>,
    /// Warnings that are no rule's.
    pub(super) warnings: Vec<Diagnostic>,
    /// What would end a build.
    pub(super) errors: Vec<Diagnostic>,
    /// What would end it and has no place in the file, with hints.
    pub(super) other: Option<CommandError>,
}

/// The rules that can find something.
pub(super) fn rules() -> Vec<RuleInfo> {
    Rule::ALL.into_iter().map(Rule::info).collect()
}

/// Checks a file that was read, as far as it could be.
pub(super) fn check(
    parsed: &Result<Dockerfile, ParseFailure>,
    options: &frontend::Options,
    images: &dyn MetaResolver,
) -> Found {
    let dockerfile = match parsed {
        Ok(dockerfile) => dockerfile,
        Err(failure) => {
            let mut found = Found::new(&failure.dockerfile);
            let warnings = failure.dockerfile.warnings.iter().cloned();
            (found.findings, found.warnings) = warnings.partition(|one| one.rule.is_some());
            found.errors = failure.errors.iter().map(dockerfile::Error::to_diagnostic).collect();
            return found;
        }
    };
    let mut found = Found::new(dockerfile);
    if let Err(error) = super::check_syntax(dockerfile) {
        found.other = Some(error);
        return found;
    }
    let checked = frontend::check(dockerfile, options, images);
    (found.findings, found.warnings, found.errors) = (checked.findings, checked.warnings, checked.errors);
    if let Some((target, stages)) = checked.target {
        found.other = Some(super::failure::no_target(&target, &stages));
    } else if checked.strict && !found.findings.is_empty() {
        let mut rules: Vec<&str> = found.findings.iter().filter_map(|one| one.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        found.other =
            Some(CommandError::new(format!("lint violation found for rules: {}", rules.join(", "))));
    }
    found
}

impl Found {
    fn new(dockerfile: &Dockerfile) -> Self {
        let source = dockerfile.source.clone();
        let instructions = dockerfile
            .instructions
            .iter()
            .map(|one| (one.span, one.lines, source.line(one.line_span.end)))
            .collect();
        Self {
            source,
            instructions,
            findings: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            other: None,
        }
    }

    /// The lines that BuildKit gives for a finding: those of its instruction; of an empty line inside an instruction,
    /// the last line that is continued to.
    pub(super) fn lines(&self, finding: &Diagnostic) -> LineRange {
        let holds = |span: &Span| span.start <= finding.span.start && finding.span.start <= span.end;
        match self.instructions.iter().find(|(span, ..)| holds(span)) {
            Some((_, _, last)) if finding.rule == Some(Rule::NoEmptyContinuation.name()) => {
                LineRange { first: *last, last: *last }
            }
            Some((_, lines, _)) => *lines,
            None => self.source.lines(finding.span),
        }
    }

    /// What the command says where a build would fail.
    pub(super) fn failure(&self) -> Option<CommandError> {
        if self.errors.is_empty() {
            return self.other.as_ref().map(|error| CommandError {
                code: error.code,
                message: error.message.clone(),
                hints: error.hints.clone(),
            });
        }
        let plural = if self.errors.len() == 1 { "an error" } else { "errors" };
        Some(CommandError::new(format!("{} has {plural}", self.source.name())))
    }
}
