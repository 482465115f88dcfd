//! From the solver's events to the progress on the screen.

use super::BuildArgs;
use crate::environment::Environment;
use crate::interrupts::Interrupts;
use crate::{screen, showing};
use executor::{Cache, Worker};
use graph::{Graph, MissReason, NodeId, Op};
use progress::{Progress, Sink, Tail, Vertex, VertexHandle, VertexId};
use solver::{BoxError, Cancel, Observer, Solved};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many log lines an error shows.
const TAIL: usize = 20;

/// The renderer that the command line asks for, and the last lines of every step.
pub(crate) fn progress(args: &BuildArgs, environment: &Environment) -> (Progress, Arc<Tail>) {
    let tail = Arc::new(Tail::new(TAIL));
    let mut sinks: Vec<Arc<dyn Sink>> = vec![tail.clone()];
    sinks.extend(showing::renderer(args.progress.as_deref(), args.quiet, "Building", environment));
    (Progress::new(sinks), tail)
}

/// How often a build starts over because files of its context changed under it.
const ATTEMPTS: usize = 5;

fn is_changed(error: &BoxError) -> bool {
    matches!(error.downcast_ref(), Some(executor::Error::Changed { .. }))
}

/// Whether a build failed for want of a layer that somebody else should have.
fn lacks_layer(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if matches!(error.downcast_ref(), Some(snapshot::Error::Fetch { .. } | snapshot::Error::Layer { .. }))
        {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Solves, and starts over when a file of a context is another one than that whose digest went into a key: what was
/// finished is found in the cache.
pub(crate) fn solve(
    worker: &Worker,
    interrupts: &Interrupts,
    cache: &Cache<'_>,
    solve: impl Fn(&Cancel) -> Result<Solved, solver::Error>,
) -> Result<Solved, solver::Error> {
    let mut attempt = 1;
    loop {
        let solved = solve(&interrupts.attempt());
        if let Err(error) = &solved
            && !interrupts.asked()
            && lacks_layer(error)
            && cache.give_up_shared()
        {
            screen::say(
                "warning: a shared cache names layers that cannot be had; the build goes on without it",
            );
            worker.look_again();
            continue;
        }
        let changed = matches!(&solved, Err(solver::Error::Step { source, .. }) if is_changed(source));
        if !changed || attempt == ATTEMPTS {
            return solved;
        }
        attempt += 1;
        worker.look_again();
    }
}

/// The host's name resolution: /etc/resolv.conf, and the upstream servers of systemd-resolved where it runs.
pub(crate) fn resolv_conf() -> (String, Option<String>) {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    (read("/etc/resolv.conf").unwrap_or_default(), read("/run/systemd/resolve/resolv.conf"))
}

/// Tells the progress what the solver does.
pub(crate) struct Watcher<'a> {
    graph: &'a Graph,
    worker: &'a Worker,
    progress: &'a Progress,
    cache: &'a Cache<'a>,
    vertices: Mutex<HashMap<NodeId, VertexHandle>>,
}

impl<'a> Watcher<'a> {
    /// A watcher that has seen nothing.
    pub(crate) fn new(
        graph: &'a Graph,
        worker: &'a Worker,
        progress: &'a Progress,
        cache: &'a Cache<'a>,
    ) -> Self {
        Self { graph, worker, progress, cache, vertices: Mutex::default() }
    }

    /// The number of a node's vertex, for the log lines of an error.
    pub(crate) fn vertex(&self, id: NodeId) -> VertexId {
        self.handle(id).id()
    }

    fn handle(&self, id: NodeId) -> VertexHandle {
        let vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        vertices.get(&id).cloned().unwrap_or_else(VertexHandle::none)
    }

    fn is_shown(&self, id: NodeId) -> bool {
        let node = self.graph.node(id);
        !matches!(node.op, Op::Scratch | Op::Local(_))
            && !node.about.slot.ends_with("#merge")
            && !node.about.name.is_empty()
    }
}

impl Observer for Watcher<'_> {
    fn planned(&self, nodes: &[NodeId]) {
        let mut vertices = self.vertices.lock().unwrap_or_else(PoisonError::into_inner);
        for id in nodes {
            if !self.is_shown(*id) {
                continue;
            }
            let node = self.graph.node(*id);
            let inputs =
                node.inputs.iter().filter_map(|input| vertices.get(input).map(VertexHandle::id)).collect();
            let handle =
                self.progress.vertex(&Vertex { name: node.about.name.clone(), digest: None, inputs });
            self.worker.watch(*id, handle.clone());
            vertices.insert(*id, handle);
        }
    }

    fn cached(&self, id: NodeId) {
        self.handle(id).cached();
    }

    fn started(&self, id: NodeId, reason: Option<&MissReason>) {
        let handle = self.handle(id);
        handle.start();
        if let Some(reason) = reason {
            handle.note(&reason.to_string());
        }
    }

    fn ended(&self, id: NodeId, error: Option<&BoxError>) {
        match error {
            None => self.handle(id).done(),
            Some(error) if is_changed(error) => {
                let handle = self.handle(id);
                handle.note(&format!("{error}; the build starts over with what was finished"));
                handle.cancel();
            }
            Some(error) if lacks_layer(error.as_ref()) && self.cache.has_taken() => {
                let handle = self.handle(id);
                handle.note(&format!("{error}; the build starts over without the shared cache"));
                handle.cancel();
            }
            Some(error) => self.handle(id).fail(&error.to_string()),
        }
    }
}
