//! A failed build as its user reads it: the place in the Dockerfile with what is wrong, the command with its last log
//! lines, and what may help.

use super::watch::Watcher;
use crate::error::CommandError;
use crate::screen;
use dockerfile::{Diagnostic, Severity, Source, Span};
use graph::{Graph, Op};
use progress::Tail;

/// The exit code of a build that was interrupted.
const INTERRUPTED: u8 = 130;

/// Findings of the parser.
pub(crate) fn diagnostics(source: &Source, findings: &[Diagnostic]) -> CommandError {
    screen::say(dockerfile::diagnostic::render(source, findings, false).trim_end());
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let plural = if errors == 1 { "an error" } else { "errors" };
    CommandError::new(format!("{} has {plural}", source.name()))
}

/// What is wrong in the file, all of it.
pub(crate) fn frontend(source: &Source, error: &frontend::Error) -> CommandError {
    if let frontend::Error::Target { target, stages } = error {
        return no_target(target, stages);
    }
    let mut findings = Vec::new();
    for error in error.each() {
        match error {
            frontend::Error::Check { found } => {
                let failing = |one: &Diagnostic| Diagnostic { severity: Severity::Error, ..one.clone() };
                findings.extend(found.iter().map(failing));
            }
            error => findings.extend(finding(error)),
        }
    }
    if findings.is_empty() {
        return CommandError::chain(error);
    }
    findings.sort_by_key(|one| one.span);
    screen::say(dockerfile::diagnostic::render(source, &findings, false).trim_end());
    if let frontend::Error::Check { .. } = error {
        let strict =
            "the file asks for it with `# check=error=true`, or the build with BUILDKIT_DOCKERFILE_CHECK";
        return CommandError::new(format!("the checks of {} fail", source.name())).hint(strict);
    }
    CommandError::new(format!("cannot build {}", source.name()))
}

fn finding(error: &frontend::Error) -> Option<Diagnostic> {
    let edge = CommandError::chain(error);
    let mut finding = error.diagnostic()?;
    finding.message = edge.message;
    finding.hints.extend(edge.hints);
    if let frontend::Error::Image { reference, .. } = error {
        finding = finding.with_hint(format!(
            "`{reference}` is neither a stage before this one nor in the store; check the name, or load it with `jettison load`"
        ));
    }
    Some(finding)
}

/// `--target` names no stage.
pub(crate) fn no_target(target: &str, stages: &[String]) -> CommandError {
    let error = CommandError::new(format!("the target stage `{target}` is not in the Dockerfile"));
    match dockerfile::suggest::nearest(target, stages.iter().map(String::as_str), false) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
    .hint(match stages {
        [] => "no stage of the Dockerfile has a name".to_owned(),
        [only] => format!("the only stage with a name is {only}"),
        stages => format!("the stages are {}", stages.join(", ")),
    })
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
