//! What a rule found, and what would mend it.

use crate::rule::Rule;
use dockerfile::Edit;
use dockerfile::{Diagnostic, Instruction, Span};

/// A finding.
#[derive(Clone, Debug)]
pub(crate) struct Finding<'a> {
    pub(crate) rule: Rule,
    /// The instruction it is about: its `# check=skip=` counts.
    pub(crate) instruction: &'a Instruction,
    pub(crate) span: Span,
    pub(crate) message: String,
    pub(crate) label: Option<String>,
    pub(crate) hint: String,
    /// What rewrites it; empty where that is not safe.
    pub(crate) edits: Vec<Edit>,
}

impl<'a> Finding<'a> {
    pub(crate) fn new(
        rule: Rule,
        instruction: &'a Instruction,
        span: Span,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self { rule, instruction, span, message, label: None, hint, edits: Vec::new() }
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn edits(mut self, edits: Vec<Edit>) -> Self {
        self.edits = edits;
        self
    }

    pub(crate) fn diagnostic(self) -> Diagnostic {
        let mut diagnostic =
            Diagnostic::warning(self.message, self.span).with_rule(self.rule.name()).with_hint(self.hint);
        diagnostic.edits = self.edits;
        match self.label {
            Some(label) => diagnostic.with_label(label),
            None => diagnostic,
        }
    }
}
