//! `build --check --fix`: rewrites what is safe to rewrite, and leaves every other byte alone.
//!
//! A rewrite is a group of replacements in the text. All groups of a file that do not touch each other are applied at
//! once; then the file is read and checked again, until there is nothing left to rewrite (one rewrite may make room for
//! another). A group after which the text cannot be read, or has no fewer findings, is left out.

mod buildkit;
mod json;
mod pairs;

use crate::edit;
use crate::facts::Facts;
use crate::model::Model;
use dockerfile::Edit;
use dockerfile::lint::Config;
use dockerfile::{Diagnostic, Dockerfile, ParseFailure, Span};

/// A text after its fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The whole text; equal to the given one where nothing was rewritten.
    pub text: String,
    /// What was rewritten, in the order of the file.
    pub changes: Vec<Change>,
}

/// A rewrite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The rule whose finding it mends: one of BuildKit's, or of [`crate::Rule`].
    pub rule: &'static str,
    /// The line of the finding, from 1.
    pub line: usize,
    /// What the finding said.
    pub message: String,
}

/// A finding with the edits that mend it.
struct Mend {
    rule: &'static str,
    span: Span,
    message: String,
    edits: Vec<Edit>,
}

/// Rewrites what rules found, those of BuildKit and of our own, as far as that is safe. `config` is what counts as the
/// file's `# check=`; without one the file's own is read. Doing it twice changes nothing more.
///
/// # Errors
/// The text is no Dockerfile.
pub fn fix(
    name: &str,
    text: &str,
    facts: &Facts,
    config: Option<&Config>,
) -> Result<Fixed, Box<ParseFailure>> {
    let mut state = State::read(name, text, facts, config)?;
    let mut changes = Vec::new();
    while let Some((next, done)) = round(name, &state, facts, config) {
        changes.extend(done);
        state = next;
    }
    changes.sort_by(|a, b| (a.line, a.rule).cmp(&(b.line, b.rule)));
    Ok(Fixed { text: state.dockerfile.source.text().to_owned(), changes })
}

/// Gives findings of BuildKit's rules the edits that mend them, where that is safe. Those of our own have them already.
pub fn add_edits(dockerfile: &Dockerfile, facts: &Facts, findings: &mut [Diagnostic]) {
    let model = Model::new(dockerfile, facts);
    for finding in findings.iter_mut().filter(|finding| finding.edits.is_empty()) {
        finding.edits = buildkit::mend(&model, finding).unwrap_or_default();
    }
}

/// A text with what the rules say of it.
struct State {
    dockerfile: Dockerfile,
    /// How many findings there are, with edits and without.
    findings: usize,
    /// Those that have edits.
    mends: Vec<Mend>,
}

impl State {
    fn read(
        name: &str,
        text: &str,
        facts: &Facts,
        config: Option<&Config>,
    ) -> Result<Self, Box<ParseFailure>> {
        let dockerfile = dockerfile::parse(text.as_bytes(), name).map_err(Box::new)?;
        // A `check` that cannot be read fails the build elsewhere; here it skips nothing.
        let config = config.cloned().unwrap_or_else(|| Config::of(&dockerfile).unwrap_or_default());
        let mut mends = buildkit::mends(&Model::new(&dockerfile, facts), &config);
        let own = crate::findings(&dockerfile, facts, &config).into_iter().map(|finding| Mend {
            rule: finding.rule.name(),
            span: finding.span,
            message: finding.message,
            edits: finding.edits,
        });
        mends.extend(own);
        let findings = mends.len();
        mends.retain(|mend| !mend.edits.is_empty());
        Ok(Self { dockerfile, findings, mends })
    }

    fn change(&self, mend: &Mend) -> Change {
        let line = self.dockerfile.source.line(mend.span.start);
        Change { rule: mend.rule, line, message: mend.message.clone() }
    }
}

/// Applies all that can be applied at once, else the first that can be applied alone; `None` when there is nothing.
/// What does not leave fewer findings is no mend, and is not applied: so this ends.
fn round(name: &str, state: &State, facts: &Facts, config: Option<&Config>) -> Option<(State, Vec<Change>)> {
    let before = state.dockerfile.source.text();
    let attempt = |mends: &[&Mend]| {
        let groups: Vec<Vec<Edit>> = mends.iter().map(|mend| mend.edits.clone()).collect();
        let (text, applied) = edit::apply(before, &groups);
        let next = State::read(name, &text, facts, config).ok()?;
        let better = next.findings < state.findings && next.dockerfile.source.text() == text;
        let done =
            mends.iter().zip(applied).filter(|(_, applied)| *applied).map(|(mend, _)| state.change(mend));
        better.then(|| (next, done.collect()))
    };
    if state.mends.is_empty() {
        return None;
    }
    let all: Vec<&Mend> = state.mends.iter().collect();
    attempt(&all).or_else(|| all.iter().find_map(|mend| attempt(&[mend])))
}

#[cfg(test)]
mod tests;
