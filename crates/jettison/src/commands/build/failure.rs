//! A failed build as its user reads it: the place in the Dockerfile with what is wrong, the command with its last log
//! lines, and what may help.

use super::watch::Watcher;
use crate::error::CommandError;
use crate::screen;
use dockerfile::{Diagnostic, Source, Span};
use graph::{Graph, Op};
use progress::Tail;

/// The exit code of a build that was interrupted.
const INTERRUPTED: u8 = 130;

/// Findings of the parser.
pub(crate) fn diagnostics(source: &Source, findings: &[Diagnostic]) -> CommandError {
    screen::say(dockerfile::diagnostic::render(source, findings, false).trim_end());
    let errors = findings.iter().filter(|finding| finding.severity == dockerfile::Severity::Error).count();
    let plural = if errors == 1 { "an error" } else { "errors" };
    CommandError::new(format!("{} has {plural}", source.name()))
}

/// An error of the frontend.
pub(crate) fn frontend(source: &Source, error: &frontend::Error) -> CommandError {
    let mut edge = CommandError::chain(error);
    if let frontend::Error::Image { reference, .. } = error {
        edge = edge.hint(format!(
            "`{reference}` is neither a stage before this one nor in the store; check the name, or load it with `jettison load`"
        ));
    }
    if let frontend::Error::Target { stages, .. } = error {
        let hint = if stages.is_empty() {
            "no stage of the Dockerfile has a name".to_owned()
        } else {
            format!("the stages are {}", stages.join(", "))
        };
        edge = edge.hint(hint);
    }
    if let Some(mut finding) = error.diagnostic() {
        finding.message.clone_from(&edge.message);
        for hint in edge.hints.drain(..) {
            finding = finding.with_hint(hint);
        }
        screen::say(dockerfile::diagnostic::render(source, &[finding], false).trim_end());
        edge.message = format!("cannot build {}", source.name());
    }
    edge
}

/// A step that failed.
pub(crate) fn solve(
    source: &Source,
    graph: &Graph,
    error: &solver::Error,
    tail: &Tail,
    watcher: &Watcher<'_>,
) -> CommandError {
    let solver::Error::Step { id, name, source: cause } = error else {
        return if matches!(error, solver::Error::Cancelled) {
            cancelled()
        } else {
            CommandError::chain(error)
        };
    };
    if matches!(cause.downcast_ref::<executor::Error>(), Some(executor::Error::Cancelled)) {
        return cancelled();
    }
    let node = graph.node(*id);
    let mut edge = CommandError::chain(cause.as_ref());
    let excerpt = tail.excerpt(watcher.vertex(*id));
    if matches!(node.op, Op::Run(_)) && !excerpt.is_empty() {
        screen::say(excerpt.trim_end());
    }
    if let Some(location) = node.about.location {
        let first = source.line_span(location.first as usize);
        let last = source.line_span(location.last as usize);
        let span = Span::new(first.start, last.end);
        let mut finding = Diagnostic::error(edge.message.clone(), span);
        for hint in edge.hints.drain(..) {
            finding = finding.with_hint(hint);
        }
        screen::say(dockerfile::diagnostic::render(source, &[finding], false).trim_end());
    }
    if matches!(node.op, Op::Run(_)) {
        edge.hints.push(
            "to look around, take this line and what follows it out, build again and `jettison run -it` the result with a shell"
                .to_owned(),
        );
    }
    edge.message = format!("{name} failed: {}", edge.message);
    edge
}

/// A build that was interrupted.
pub(crate) fn cancelled() -> CommandError {
    CommandError::new("the build was interrupted; what was finished is kept").with_code(INTERRUPTED)
}
