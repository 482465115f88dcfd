//! `build`: reads the Dockerfile, lowers it, solves it, and gives the result its outputs.

mod arguments;
mod context;
mod failure;
mod output;
mod resolver;
mod watch;

pub(crate) use arguments::BuildArgs;

use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::{commands::rootless, screen};
use executor::{Cache, Worker, WorkerOptions};
use oci::{Digest, Reference};
use solver::Solver;

/// Runs `build`.
pub(crate) fn build(args: BuildArgs, environment: Environment) -> Outcome {
    for flag in args.accepted_without_effect() {
        screen::say(&format!("warning: {flag} is accepted and has no effect"));
    }
    let outputs = output::outputs(&args)?;
    let names = args.names()?;
    if args.push && names.is_empty() {
        return Err(CommandError::usage("--push needs a name: give one with --tag"));
    }
    if !args.quiet {
        rootless::say_limits();
    }
    rootless::enter()?;
    let registry = RegistryFlags::from_args(&args.registry)?;
    let engine = Engine::new(environment, registry);
    let context = context::open(&args)?;
    let dockerfile = context.dockerfile(&args)?;
    let parsed = dockerfile::parse(&dockerfile.bytes, &dockerfile.name)
        .map_err(|failure| failure::diagnostics(&failure.dockerfile.source, &failure.diagnostics()))?;
    if let Some(frontend) = parsed.directives.frontend()
        && !dockerfile::is_builtin_frontend(frontend)
    {
        return Err(CommandError::new(format!(
            "the syntax `{frontend}` is not supported; only docker/dockerfile is built in"
        )));
    }
    let options = args.frontend_options(&engine.environment)?;
    let interrupts = watch::interrupts()?;
    let locals = context.locals(&args, &dockerfile)?;
    let ignored = locals.get("context").and_then(|context| context.ignore.as_ref());
    let resolver = resolver::Resolver::new(&engine, args.pull, ignored);
    let lowered = frontend::lower(&parsed, &options, &resolver)
        .map_err(|error| failure::frontend(&parsed.source, &error))?;
    let (progress, tail) = watch::progress(&args, &engine.environment);
    progress.allow_threads();
    let store = engine.store()?;
    let worker = Worker::new(
        store.clone(),
        engine.fetcher(),
        WorkerOptions {
            contexts: locals.clone(),
            secrets: args.secrets(&engine.environment)?,
            network: rootless::network_options(&engine.environment),
            resolv_conf: watch::resolv_conf(),
            host_ca: options.trust_host_ca.then(|| engine.host_ca()).flatten(),
            single_id: rootless::single_id(),
            pulls: 3,
        },
    );
    let cache = Cache::new(store.clone(), context.identity(&dockerfile, &args));
    let observer = watch::Watcher::new(&lowered.graph, &worker, &progress);
    let solved = watch::solve(&worker, &interrupts, |cancel| {
        let solver = Solver {
            graph: &lowered.graph,
            cache: &cache,
            sources: &worker,
            executor: &worker,
            observer: &observer,
            cancel,
            options: solver::Options {
                parallel: args.jobs(),
                mode: rootless::single_id().then(|| "single-id".to_owned()),
            },
        };
        solver.solve(&[lowered.target])
    });
    worker.keep_indexes()?;
    let solved = match solved {
        Ok(solved) => solved,
        Err(error) => {
            progress.finish();
            store.finish()?;
            show_warnings(&parsed.source, &lowered.warnings, &args, &engine.environment);
            return Err(failure::solve(&parsed.source, &lowered.graph, &error, &tail, &observer));
        }
    };
    let stack = &solved.targets[0].stack;
    let made = output::write(&engine, &args, &lowered, stack, &names, &outputs, &progress);
    progress.finish();
    store.finish()?;
    let id = made.map_err(|error| if interrupts.asked() { failure::cancelled() } else { error })?;
    show_warnings(&parsed.source, &lowered.warnings, &args, &engine.environment);
    report(&args, id, &names)?;
    Ok(0)
}

fn show_warnings(
    source: &dockerfile::Source,
    warnings: &[dockerfile::Diagnostic],
    args: &BuildArgs,
    environment: &Environment,
) {
    if args.quiet || warnings.is_empty() {
        return;
    }
    let colour = screen::err_is_terminal() && environment.get("NO_COLOR").is_none();
    // Rules speak in a line each; what concerns no place in the file, too.
    let (rules, others): (Vec<_>, Vec<_>) =
        warnings.iter().cloned().partition(|warning| warning.rule.is_some());
    let (whole, placed): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|warning| warning.span == dockerfile::Span::default());
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
    for warning in rules {
        let line = source.line(warning.span.start);
        screen::say(&format!(" - {}: {} (line {line})", warning.rule.unwrap_or_default(), warning.message));
    }
}

/// The id where it was asked for.
fn report(args: &BuildArgs, id: Option<Digest>, names: &[Reference]) -> Outcome<()> {
    let Some(id) = id else { return Ok(()) };
    if let Some(path) = &args.iidfile {
        std::fs::write(path, id.to_string())
            .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
    }
    if let Some(path) = &args.metadata_file {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let metadata = serde_json::json!({
            "containerimage.config.digest": id.to_string(),
            "image.name": names.join(","),
        });
        std::fs::write(path, format!("{metadata:#}\n"))
            .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
    }
    if args.quiet {
        screen::line(&id.to_string());
    }
    Ok(())
}
