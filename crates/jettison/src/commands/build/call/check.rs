//! A check: everything that is found in a file, before it is written in one format or another.

use crate::error::CommandError;
use advice::Facts;
use dockerfile::lint::Rule;
use dockerfile::{Diagnostic, Dockerfile, LineRange, ParseFailure, RuleInfo, Source};
use frontend::MetaResolver;

/// What was found.
pub(super) struct Found<'a> {
    pub(super) source: Source,
    dockerfile: &'a Dockerfile,
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
    let own = advice::Rule::ALL.into_iter().map(advice::Rule::info);
    Rule::ALL.into_iter().map(Rule::info).chain(own).collect()
}

/// Checks a file that was read, as far as it could be.
pub(super) fn check<'a>(
    parsed: &'a Result<Dockerfile, ParseFailure>,
    options: &frontend::Options,
    images: &dyn MetaResolver,
    facts: &Facts,
) -> Found<'a> {
    let dockerfile = match parsed {
        Ok(dockerfile) => dockerfile,
        Err(failure) => {
            let mut found = Found::new(&failure.dockerfile);
            let checked = frontend::check_unread(failure, options);
            (found.findings, found.warnings) = (checked.findings, checked.warnings);
            found.errors = checked.errors;
            return found;
        }
    };
    let mut found = Found::new(dockerfile);
    if let Err(error) = super::check_syntax(dockerfile, &options.build_args) {
        found.other = Some(error);
        return found;
    }
    let checked = frontend::check(dockerfile, options, images);
    (found.findings, found.warnings, found.errors) = (checked.findings, checked.warnings, checked.errors);
    advice::add_edits(dockerfile, facts, &mut found.findings);
    found.findings.extend(advice::check(dockerfile, facts, &super::facts::config(dockerfile, options)));
    found.findings.sort_by_key(|one| one.span);
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

impl<'a> Found<'a> {
    fn new(dockerfile: &'a Dockerfile) -> Self {
        Self {
            source: dockerfile.source.clone(),
            dockerfile,
            findings: Vec::new(),
            warnings: Vec::new(),
            errors: Vec::new(),
            other: None,
        }
    }

    /// The lines that BuildKit gives for a finding.
    pub(super) fn lines(&self, finding: &Diagnostic) -> LineRange {
        frontend::finding_lines(self.dockerfile, finding)
    }

    /// Whether BuildKit's rules found something. Advice alone is no failure.
    pub(super) fn has_faults(&self) -> bool {
        self.findings.iter().any(|one| one.rule.and_then(advice::Rule::parse).is_none())
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
