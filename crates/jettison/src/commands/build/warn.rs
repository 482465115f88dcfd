//! Warnings of an ordinary build: a line each for people; events of a vertex of their own for programs that read
//! `--progress rawjson`, as BuildKit has them.

use super::BuildArgs;
use crate::environment::Environment;
use crate::screen;
use dockerfile::lint::Rule;
use dockerfile::{Diagnostic, Dockerfile, Source, Span};
use frontend::Location;
use progress::{Position, Progress, SourceRange, Vertex, Warning};

/// Shows warnings, once the build is over. With `--progress rawjson` they were sent already ([`send`]).
pub(crate) fn show(source: &Source, warnings: &[Diagnostic], args: &BuildArgs, environment: &Environment) {
    if args.quiet || warnings.is_empty() || is_raw(args, environment) {
        return;
    }
    let colour = screen::err_is_terminal() && environment.get("NO_COLOR").is_none();
    // Rules speak in a line each; what concerns no place in the file, too.
    let (rules, others): (Vec<_>, Vec<_>) =
        warnings.iter().cloned().partition(|warning| warning.rule.is_some());
    let (whole, placed): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|warning| warning.span == Span::default());
    for warning in whole {
        screen::say(&format!("warning: {}", warning.message));
    }
    if !placed.is_empty() {
        screen::say(dockerfile::diagnostic::render(source, &placed, colour).trim_end());
    }
    if !rules.is_empty() {
        let count =
            if rules.len() == 1 { "1 warning".to_owned() } else { format!("{} warnings", rules.len()) };
        screen::say(&format!("{count} about {}:", source.name()));
    }
    for warning in &rules {
        screen::say(&format!(" - {}", line(source, warning)));
    }
}

/// Sends warnings as events, where programs read the progress.
pub(crate) fn send(
    progress: &Progress,
    dockerfile: &Dockerfile,
    warnings: &[Diagnostic],
    args: &BuildArgs,
    environment: &Environment,
) {
    if warnings.is_empty() || !is_raw(args, environment) {
        return;
    }
    let source = &dockerfile.source;
    let name = format!("[internal] load build definition from {}", source.name());
    let vertex = progress.vertex(&Vertex { name, digest: None, inputs: Vec::new() });
    vertex.start();
    for warning in warnings {
        let rule = warning.rule.and_then(Rule::parse);
        let lines = Location::from(frontend::finding_lines(dockerfile, warning));
        let range = |line: usize| {
            let at = Position { line: u32::try_from(line).unwrap_or(u32::MAX), character: 0 };
            SourceRange { start: at, end: at }
        };
        vertex.warning(&Warning {
            message: line(source, warning),
            detail: rule.map(|rule| rule.description().to_owned()).into_iter().collect(),
            url: rule.map(|rule| rule.url().to_owned()).unwrap_or_default(),
            source: Some((source.name().to_owned(), source.text().as_bytes().to_vec())),
            ranges: lines.ranges.iter().map(|lines| range(lines.start.line)).collect(),
        });
    }
    vertex.done();
}

fn is_raw(args: &BuildArgs, environment: &Environment) -> bool {
    let kind = args.progress.as_deref().or(environment.get("BUILDKIT_PROGRESS"));
    !args.quiet && kind == Some("rawjson")
}

/// `JSONArgsRecommended: JSON arguments recommended for CMD (line 3)`
fn line(source: &Source, warning: &Diagnostic) -> String {
    let number = source.line(warning.span.start);
    match warning.rule {
        Some(rule) => format!("{rule}: {} (line {number})", warning.message),
        None => format!("{} (line {number})", warning.message),
    }
}

/// The most layers that Docker's engine takes (moby, layer store's depth).
const DOCKERS_LAYERS: usize = 125;

/// Says that Docker cannot load the image, where that is so.
pub(crate) fn of_depth(deepest: usize, args: &BuildArgs) {
    if deepest > DOCKERS_LAYERS && !args.quiet {
        screen::say(&format!(
            "warning: the image has {deepest} layers, and Docker loads no image with more than {DOCKERS_LAYERS}; \
             fewer, larger RUN instructions make fewer layers"
        ));
    }
}
