//! `build`: reads the Dockerfile, lowers it, solves it, and gives the result its outputs.

mod allow;
mod arguments;
mod attest;
mod call;
mod changes;
mod context;
mod failure;
mod lower;
mod output;
mod remote;
mod resolver;
mod shared;
mod verify;
mod warn;
mod watch;

pub(crate) use arguments::BuildArgs;
pub(crate) use changes::config as changed;

use crate::engine::{Engine, RegistryFlags, git_options};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::interrupts::{self, Interrupts};
use crate::{commands::rootless, parsing, screen};
use executor::{Cache, Late, LocalContext, Pins, Worker, WorkerOptions};
use graph::{Graph, NodeId, Op};
use layer::LayerId;
use progress::{Progress, Tail};
use solver::{Solved, Solver};
use std::collections::HashMap;

/// The most bytes that are fetched from one URL, 64 GiB.
const LARGEST_DOWNLOAD: u64 = 64 << 30;

/// Runs `build`.
pub(crate) fn build(args: BuildArgs, environment: Environment) -> Outcome {
    if let Some(call) = call::Call::of(&args)? {
        return call::run(call, &args, environment);
    }
    for flag in args.accepted_without_effect() {
        screen::say(&format!("warning: {flag} is accepted and has no effect"));
    }
    args.check_policies()?;
    let mut outputs = output::outputs(&args)?;
    let platforms = args.platforms(&environment)?;
    let cache_to = shared::to(&args.cache_to, &environment)?;
    if !args.quiet {
        rootless::say_limits();
    }
    rootless::enter()?;
    let mut registry = RegistryFlags::from_args(&args.registry)?;
    for output in outputs.iter().filter(|output| output.insecure) {
        registry.insecure_hosts.extend(output.names.iter().map(|name| name.host().to_owned()));
    }
    let engine = Engine::new(environment, registry);
    let mut options = args.frontend_options(&engine.environment)?;
    let trust_host_ca = options.trust_host_ca;
    // The old way of asking for an inline cache.
    let asked = |wanted: &str| {
        let given = options.build_args.iter().rev().find(|(name, _)| name == wanted);
        given.is_some_and(|(_, value)| parsing::boolean(value) == Some(true))
    };
    let (inline_arg, several) = (asked("BUILDKIT_INLINE_CACHE"), asked("BUILDKIT_MULTI_PLATFORM"));
    for output in &mut outputs {
        output.packing.index = several;
    }
    let (progress, tail) = watch::progress(&args, &engine.environment);
    let interrupts = interrupts::watch(failure::INTERRUPTED, &progress)?;
    let pins = Pins::default();
    let worker = |contexts: HashMap<String, LocalContext>| {
        let (of_network, of_git) = (engine.environment.clone(), engine.environment.clone());
        let options = WorkerOptions {
            contexts,
            secrets: args.secrets(&engine.environment)?,
            agents: arguments::agents(&args.ssh, &engine.environment)?,
            devices: allow::Allowed::parse(&args.allow)?.devices,
            network: Late::new(Box::new(move || rootless::network_options(&of_network))),
            resolv_conf: Late::new(Box::new(watch::resolv_conf)),
            host_ca: trust_host_ca.then(|| engine.host_ca()).flatten(),
            single_id: rootless::single_id(),
            pulls: 3,
            web: engine.web()?,
            git: Late::new(Box::new(move || git_options(&of_git))),
            pins: pins.clone(),
            largest_download: LARGEST_DOWNLOAD,
            progress: progress.clone(),
        };
        Ok::<_, CommandError>(Worker::new(engine.store()?.clone(), engine.fetcher(), options))
    };
    let address = remote::address(&args, &options.build_args, Some(&engine.environment))?;
    let (context, dockerfile) = match address {
        None => {
            let context = context::open(&args)?;
            let dockerfile = context.dockerfile(&args)?;
            (context, dockerfile)
        }
        Some(_) if args.ignorefile.is_some() => {
            return Err(CommandError::usage(format!(
                "--ignorefile: the context `{}` is an address, and nothing is left out of what is fetched",
                args.context
            )));
        }
        Some(address) => {
            progress.allow_threads();
            let worker = worker(HashMap::new())?;
            let fetcher = remote::Fetcher {
                engine: &engine,
                args: &args,
                worker: &worker,
                progress: &progress,
                interrupts: &interrupts,
            };
            let fetched = fetcher.fetch(address).inspect_err(|_| progress.finish())?;
            options.context = fetched.context;
            (context::elsewhere(args.context.clone()), fetched.dockerfile)
        }
    };
    let parsed = dockerfile::parse(&dockerfile.bytes, &dockerfile.name)
        .map_err(|failure| failure::diagnostics(&failure.dockerfile.source, &failure.diagnostics()))?;
    arguments::check_syntax(&parsed, &options.build_args)?;
    let locals = context.locals(&args, &dockerfile)?;
    let ignored = locals.get("context").and_then(|context| context.ignore.as_ref());
    let (main, named) = (options.context.clone(), options.contexts.clone());
    let modified = |dated: frontend::Dated<'_>| {
        remote::modified(dated, &main, &named, || worker(HashMap::new()), &interrupts)
    };
    // A store that cannot be had is not an image that cannot be resolved.
    let store = engine.store()?;
    let record = attest::Record::new(&args, &engine, &options, &dockerfile, &locals, pins.clone())?;
    let resolver = resolver::Resolver::new(&engine, args.pull, ignored, &modified);
    let (graph, targets, lowered) = lower::lower(&parsed, options, platforms, &resolver)?;
    let warnings = lower::warnings(&lowered);
    let epoch = lowered.first().and_then(|(_, lowered)| lowered.epoch);
    progress.allow_threads();
    warn::send(&progress, &parsed, &warnings, &args, &engine.environment);
    let worker = worker(locals.clone())?;
    for id in graph.ids() {
        if let Op::Run(run) = &graph.node(id).op {
            worker
                .check_devices(run)
                .map_err(|error| failure::early(&parsed.source, &graph.node(id).about, &error))?;
        }
    }
    // What is looked into besides the results is made in the same go.
    let scans = match outputs.iter().any(output::Output::carries_attestations) {
        true => record.scans(&lowered),
        false => Vec::new(),
    };
    let solved_for: Vec<NodeId> =
        targets.iter().copied().chain(scans.iter().map(|(_, scan)| scan.node)).collect();
    let wanted = interrupts.wanted();
    let cache_from = shared::from(&engine, &args.cache_from, &wanted)?;
    let cache = Cache::new(store.clone(), context.identity(&dockerfile, &args), cache_from);
    let building = Building {
        args: &args,
        engine: &engine,
        parsed: &parsed,
        targets: &solved_for,
        worker: &worker,
        cache: &cache,
        progress: &progress,
        tail: &tail,
        interrupts: &interrupts,
        warnings: &warnings,
        needs_layers: outputs.iter().any(|output| output.kind != output::Kind::CacheOnly),
    };
    let solved = building.solve(&graph)?;
    let second = args.verify_reproducible.then(|| building.solve(&verify::again(&graph))).transpose()?;
    let recorder = record.of(store, &graph, &targets, &solved, &scans);
    let steps: Vec<export::cache::Step> = solved
        .steps
        .into_iter()
        .map(|solver::Step { key, definition, stack, .. }| export::cache::Step { key, definition, stack })
        .collect();
    let is_inline = inline_arg || cache_to.iter().any(shared::CacheTo::is_inline);
    let inline = if is_inline { &steps[..] } else { &[] };
    let built: Vec<output::Built> = lowered
        .into_iter()
        .zip(solved.targets)
        .map(|((platform, lowered), target)| output::Built {
            platform,
            lowered,
            stack: target.stack.to_vec(),
        })
        .collect();
    let made = output::Outputs {
        engine: &engine,
        outputs: &outputs,
        progress: &progress,
        recorder: &recorder,
        built: &built,
        epoch,
        wants_id: args.iidfile.is_some(),
        several,
        inline,
    }
    .write()
    .and_then(|written| {
        let stacks: Vec<Vec<LayerId>> = built.iter().map(|built| built.stack.clone()).collect();
        shared::write(&engine, &cache_to, &steps, &stacks, &progress, &wanted)?;
        cache.keep_taken()?;
        Ok(written)
    });
    progress.finish();
    store.finish()?;
    let written = made.map_err(|error| if interrupts.asked() { failure::cancelled() } else { error })?;
    warn::show(&parsed.source, &warnings, &args, &engine.environment);
    warn::of_depth(built.iter().map(|built| built.stack.len()).max().unwrap_or(0), &args);
    let told = engine.environment.get("BUILDX_METADATA_PROVENANCE");
    let platforms: Vec<_> = built.iter().map(|built| built.platform.clone()).collect();
    written.report(&args, || recorder.metadata(&platforms, told))?;
    if let Some(second) = second {
        verify::compare(&engine.forms()?, &built, &second, epoch)?;
    }
    Ok(0)
}

/// What solving needs, once or twice.
struct Building<'a> {
    args: &'a BuildArgs,
    engine: &'a Engine,
    parsed: &'a dockerfile::Dockerfile,
    targets: &'a [NodeId],
    worker: &'a Worker,
    cache: &'a Cache<'a>,
    progress: &'a Progress,
    tail: &'a Tail,
    interrupts: &'a Interrupts,
    warnings: &'a [dockerfile::Diagnostic],
    /// Whether an output is made of the result's files.
    needs_layers: bool,
}

impl Building<'_> {
    /// Solves a graph. A failure is told with the step's last lines, after everything that is kept is safe.
    fn solve(&self, graph: &Graph) -> Outcome<Solved> {
        let Self { worker, cache, .. } = *self;
        let observer = watch::Watcher::new(graph, worker, self.progress, cache);
        let solved = watch::solve(worker, self.interrupts, cache, |cancel| {
            let solver = Solver {
                graph,
                cache,
                sources: worker,
                executor: worker,
                observer: &observer,
                cancel,
                options: solver::Options {
                    parallel: self.args.jobs(),
                    mode: rootless::single_id().then(|| "single-id".to_owned()),
                },
            };
            let solved = solver.solve(self.targets)?;
            if cache.has_taken() && self.needs_layers {
                // What a shared cache promised must be there while the build can still start over.
                for target in &solved.targets {
                    worker
                        .complete(&target.stack)
                        .map_err(|source| solver::Error::Cache { source: source.into() })?;
                }
            }
            Ok(solved)
        });
        worker.keep_indexes()?;
        solved.or_else(|error| {
            self.progress.finish();
            self.engine.store()?.finish()?;
            warn::show(&self.parsed.source, self.warnings, self.args, &self.engine.environment);
            Err(failure::solve(self.parsed, graph, &error, self.tail, &observer))
        })
    }
}
