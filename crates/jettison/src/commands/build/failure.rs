//! A failed build as its user reads it: the place in the Dockerfile with what is wrong, the command with its last log
//! lines, and what may help.

use super::watch::Watcher;
use crate::error::CommandError;
use crate::screen;
use dockerfile::{Command, Diagnostic, Dockerfile, Severity, Source, Span, Stage};
use graph::{About, Graph, Op};
use progress::Tail;

/// What an interrupted build says.
pub(crate) const INTERRUPTED: &str = "the build was interrupted; what was finished is kept";
/// Its exit code.
const INTERRUPTED_CODE: u8 = 130;

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
    let near = dockerfile::suggest::nearest(target, stages.iter().map(String::as_str), false);
    match near.filter(|_| target.len() > 2) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
    .hint(match stages {
        [] => "no stage of the Dockerfile has a name".to_owned(),
        [only] => format!("the only stage with a name is {only}"),
        stages => format!("the stages are {}", stages.join(", ")),
    })
}

/// A step that cannot be run, told before anything is.
pub(crate) fn early(source: &Source, about: &About, error: &executor::Error) -> CommandError {
    let mut edge = CommandError::chain(error);
    if let Some(location) = about.location {
        let first = source.line_span(location.first as usize);
        let last = source.line_span(location.last as usize);
        let mut finding = Diagnostic::error(edge.message.clone(), Span::new(first.start, last.end));
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
    dockerfile: &Dockerfile,
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
    let (source, node) = (&dockerfile.source, graph.node(*id));
    let mut edge = CommandError::chain(cause.as_ref());
    if let Some(executor::Error::NoSource { path, near }) = cause.downcast_ref()
        && let Some(location) = node.about.location
    {
        name_source(&mut edge, dockerfile, location.first as usize, path, near.is_none());
    }
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

/// Says what a missing file is missing from: `--from` of the COPY at a line, else the build context.
fn name_source(edge: &mut CommandError, dockerfile: &Dockerfile, line: usize, path: &str, hint: bool) {
    let Some(one) = dockerfile.instructions.iter().find(|one| one.lines.first == line) else { return };
    let from = match &one.command {
        Command::Copy(copy) => copy.from.as_ref(),
        Command::Add(_) => None,
        // A trigger of the base, which has its place in FROM.
        _ => return,
    };
    let Some(from) = from else {
        edge.message = edge.message.replace("is not in the source", "is not in the build context");
        return;
    };
    let is_stage = |stage: &Stage<'_>| {
        stage.name().is_some_and(|name| name.eq_ignore_ascii_case(from)) || stage.index.to_string() == **from
    };
    let stages = dockerfile.stages();
    let stage = stages.iter().find(|stage| is_stage(stage));
    let kind = if stage.is_some() { "stage" } else { "image" };
    edge.message =
        edge.message.replace("is not in the source", &format!("is not in the {kind} `{}`", from.value));
    if hint {
        let folder = path.trim_end_matches('/').rsplit_once('/').map_or("", |(folder, _)| folder);
        let folder = if folder.is_empty() { "/" } else { folder };
        edge.hints = match stage.and_then(Stage::name) {
            Some(name) => vec![format!(
                "see what it has: `jettison build --target {name} -t look .`, then `jettison run --rm look ls {folder}`"
            )],
            None if stage.is_none() => {
                vec![format!("see what it has: `jettison run --rm {} ls {folder}`", from.value)]
            }
            None => vec!["give the stage a name to build it alone and look into it".to_owned()],
        };
    }
}

/// A build that was interrupted.
pub(crate) fn cancelled() -> CommandError {
    CommandError::new(INTERRUPTED).with_code(INTERRUPTED_CODE)
}
