//! The walk itself; the crate's documentation has the algorithm.

use crate::backend::{
    BoxError, CacheBackend, Cancel, Executor, Input, NewRecord, Observer, Snapshot, SourceProvider, Task,
};
use crate::keys::{self, InputKey};
use graph::{Graph, Key, MissReason, NodeId, Op, explain};
use oci::Digest;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How a graph is solved.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many steps may run at once.
    pub parallel: usize,
    /// A word of the store's that changes what processes see, and so enters the keys of runs (`single-id`).
    pub mode: Option<String>,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The targets' snapshots, in the order asked for.
    pub targets: Vec<Snapshot>,
    /// How many steps ran.
    pub ran: usize,
}

/// Why a build did not come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step failed.
    #[error("{name} failed")]
    Step {
        /// Which node.
        id: NodeId,
        /// Its display name.
        name: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The cache failed.
    #[error("the build cache failed")]
    Cache {
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The build was asked to stop.
    #[error("the build was cancelled")]
    Cancelled,
}

/// A solver with all it needs from others.
pub struct Solver<'a> {
    /// The graph.
    pub graph: &'a Graph,
    /// Kept results.
    pub cache: &'a dyn CacheBackend,
    /// What files hold.
    pub sources: &'a dyn SourceProvider,
    /// Who carries steps out.
    pub executor: &'a dyn Executor,
    /// Who watches.
    pub observer: &'a dyn Observer,
    /// The request to stop.
    pub cancel: &'a Cancel,
    /// How.
    pub options: Options,
}

/// What is known of one node while the build goes on.
#[derive(Clone, Default)]
struct State {
    /// Whether a target reaches it.
    reached: bool,
    /// Whether kept results must not be used: asked for, or it stands on such a node.
    fresh: bool,
    /// The key that follows from the inputs' keys.
    definition: Option<Key>,
    /// The key it is known by to what stands on it.
    key: Option<Digest>,
    /// The plain text of that key, if this build made it.
    text: Option<String>,
    /// The digests of taken files by input.
    files: Vec<Option<Digest>>,
    /// Its result.
    result: Option<Snapshot>,
    /// Whether it must be solved.
    needed: bool,
    /// Whether it ran in this build.
    ran: bool,
    /// How many needed inputs are not solved yet.
    waiting: usize,
}

struct Shared {
    states: Vec<State>,
    ready: VecDeque<NodeId>,
    open: usize,
    running: usize,
    failed: Option<Error>,
}

impl Solver<'_> {
    /// Solves the targets.
    pub fn solve(&self, targets: &[NodeId]) -> Result<Solved, Error> {
        let reached = self.graph.reached(targets);
        let mut states: Vec<State> =
            reached.iter().map(|reached| State { reached: *reached, ..State::default() }).collect();
        let order: Vec<NodeId> = self.graph.ids().filter(|id| reached[id.index()]).collect();
        self.observer.planned(&order);
        for id in &order {
            self.know(&mut states, *id)?;
        }
        self.look_up(&mut states, &order)?;
        let mut open = self.need(&mut states, targets);
        for id in &order {
            let state = &states[id.index()];
            if state.result.is_some() && self.is_step(*id) {
                self.observer.cached(*id);
            }
        }
        let result = if open == 0 { Ok(states) } else { self.work(states, &mut open) };
        let (states, failed) = match result {
            Ok(states) => (states, None),
            Err((states, error)) => (states, Some(error)),
        };
        self.remember(&states)?;
        if let Some(error) = failed {
            return Err(error);
        }
        let targets = targets
            .iter()
            .map(|id| states[id.index()].result.clone().expect("because every target was needed and solved"))
            .collect();
        Ok(Solved { targets, ran: states.iter().filter(|state| state.ran).count() })
    }

    /// Whether a node is a step of a Dockerfile, not a source.
    fn is_step(&self, id: NodeId) -> bool {
        !matches!(self.graph.node(id).op, Op::Local(_) | Op::Scratch)
    }

    /// Step 1: the keys of a node, as far as its inputs' keys are known.
    fn know(&self, states: &mut [State], id: NodeId) -> Result<(), Error> {
        let node = self.graph.node(id);
        let fail = |source| Error::Step { id, name: node.about.name.clone(), source };
        let taken = keys::taken_by_content(node);
        let mut state = std::mem::take(&mut states[id.index()]);
        state.files.resize(node.inputs.len(), None);
        state.fresh = node.about.no_cache
            || node
                .inputs
                .iter()
                .enumerate()
                .any(|(at, input)| !taken.contains(&at) && states[input.index()].fresh);
        for at in &taken {
            let input = node.inputs[*at];
            if let Op::Local(local) = &self.graph.node(input).op
                && state.files[*at].is_none()
            {
                let source = Input::Local(local.name.clone());
                state.files[*at] = Some(self.sources.content(node, *at, &source).map_err(fail)?);
            }
        }
        let inputs: Vec<InputKey> = node
            .inputs
            .iter()
            .zip(&state.files)
            .map(|(input, files)| InputKey { snapshot: states[input.index()].key, files: *files })
            .collect();
        state.definition = keys::definition(node, &inputs).map(|key| self.with_mode(key));
        if taken.is_empty() {
            state.set_key(state.definition.clone());
        } else if let Some(key) = keys::content(node, &inputs) {
            state.set_key(Some(self.with_mode(key)));
        } else if let Some(definition) = &state.definition {
            let links =
                self.cache.canonical(&[definition.digest()]).map_err(|source| Error::Cache { source })?;
            state.key = links.into_iter().next().flatten();
        }
        states[id.index()] = state;
        Ok(())
    }

    fn with_mode(&self, mut key: Key) -> Key {
        if matches!(key.op, graph::KeyOp::Run(_)) {
            key.mode.clone_from(&self.options.mode);
        }
        key
    }

    /// Step 2: all keys that are known, in one batch.
    fn look_up(&self, states: &mut [State], order: &[NodeId]) -> Result<(), Error> {
        let asked: Vec<(NodeId, Digest)> = order
            .iter()
            .filter(|id| !matches!(self.graph.node(**id).op, Op::Local(_) | Op::Image(_) | Op::Scratch))
            .filter(|id| !states[id.index()].fresh)
            .filter_map(|id| states[id.index()].key.map(|key| (*id, key)))
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let keys: Vec<Digest> = asked.iter().map(|(_, key)| *key).collect();
        let found = self.cache.find(&keys).map_err(|source| Error::Cache { source })?;
        for ((id, key), record) in asked.into_iter().zip(found) {
            states[id.index()].result = record.map(|record| Snapshot { key, stack: record.stack });
        }
        Ok(())
    }

    /// Step 3: what must be solved, targets first. Gives the count.
    fn need(&self, states: &mut [State], targets: &[NodeId]) -> usize {
        for target in targets {
            states[target.index()].needed = states[target.index()].result.is_none();
        }
        let mut open = 0;
        for id in self.graph.ids().rev() {
            if !states[id.index()].needed {
                continue;
            }
            open += 1;
            for input in &self.graph.node(id).inputs {
                let input = &mut states[input.index()];
                input.needed |= input.result.is_none();
            }
        }
        for id in self.graph.ids() {
            let inputs = &self.graph.node(id).inputs;
            let waiting = inputs.iter().filter(|input| states[input.index()].needed).count();
            states[id.index()].waiting = waiting;
        }
        open
    }

    /// Step 4: needed steps in parallel, each when its inputs are solved.
    fn work(&self, states: Vec<State>, open: &mut usize) -> Result<Vec<State>, (Vec<State>, Error)> {
        let ready = self
            .graph
            .ids()
            .filter(|id| states[id.index()].needed && states[id.index()].waiting == 0)
            .collect();
        let shared = Mutex::new(Shared { states, ready, open: *open, running: 0, failed: None });
        let changed = Condvar::new();
        let threads = self.options.parallel.clamp(1, *open);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.worker(&shared, &changed));
            }
            self.worker(&shared, &changed);
        });
        let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        match shared.failed {
            None => Ok(shared.states),
            Some(error) => Err((shared.states, error)),
        }
    }

    fn worker(&self, shared: &Mutex<Shared>, changed: &Condvar) {
        let mut guard = locked(shared);
        loop {
            if guard.failed.is_some() || guard.open == 0 {
                changed.notify_all();
                return;
            }
            if self.cancel.is_cancelled() {
                guard.failed.get_or_insert(Error::Cancelled);
                continue;
            }
            let Some(id) = guard.ready.pop_front() else {
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            guard.running += 1;
            drop(guard);
            let outcome = self.step(shared, id);
            guard = locked(shared);
            guard.running -= 1;
            match outcome {
                Ok(()) => {
                    guard.open -= 1;
                    self.release(&mut guard, id);
                }
                Err(error) => {
                    // The first failure is the build's; the steps that it cancels fail after it.
                    guard.failed.get_or_insert(error);
                    self.cancel.cancel();
                }
            }
            changed.notify_all();
        }
    }

    /// Tells the users of a solved node; those that wait for nothing else are ready.
    fn release(&self, shared: &mut Shared, solved: NodeId) {
        for id in self.graph.ids().skip(solved.index() + 1) {
            let state = &mut shared.states[id.index()];
            if !state.needed || state.result.is_some() {
                continue;
            }
            let uses = self.graph.node(id).inputs.iter().filter(|input| **input == solved).count();
            if uses > 0 {
                state.waiting -= uses;
                if state.waiting == 0 {
                    shared.ready.push_back(id);
                }
            }
        }
    }

    /// Solves one node whose inputs are solved.
    fn step(&self, shared: &Mutex<Shared>, id: NodeId) -> Result<(), Error> {
        let node = self.graph.node(id);
        let fail = |source| Error::Step { id, name: node.about.name.clone(), source };
        let cache = |source| Error::Cache { source };
        let (mut state, inputs, anew) = {
            let guard = locked(shared);
            let inputs: Vec<Input> =
                node.inputs.iter().map(|input| self.input(&guard.states, *input)).collect();
            let anew = node.inputs.iter().any(|input| guard.states[input.index()].ran);
            (guard.states[id.index()].clone(), inputs, anew)
        };
        if matches!(node.op, Op::Local(_)) {
            // A folder is no snapshot: whoever uses it asks for it by name.
            let mut guard = locked(shared);
            guard.states[id.index()].result = Some(Snapshot { key: Digest::of(b""), stack: Vec::new() });
            return Ok(());
        }
        self.complete_keys(&mut state, id, &inputs)?;
        let key = state.key.expect("because all inputs are solved, so every part of the key is known");
        let sourceless = matches!(node.op, Op::Image(_) | Op::Scratch);
        if !sourceless && !state.fresh && self.take(&mut state, key)? {
            self.link(&state, key)?;
            self.observer.cached(id);
            locked(shared).states[id.index()] = state;
            return Ok(());
        }
        let reason = (!sourceless && !anew).then(|| self.reason(id, &state, &inputs)).transpose()?;
        self.observer.started(id, reason.as_ref());
        let _lock = if sourceless { None } else { Some(self.cache.lock(key, self.cancel).map_err(cache)?) };
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if !sourceless && !state.fresh && self.take(&mut state, key)? {
            // Another process made it while this one waited for the lock.
            self.link(&state, key)?;
            self.observer.cached(id);
            locked(shared).states[id.index()] = state;
            return Ok(());
        }
        let links =
            state.definition.iter().map(Key::digest).filter(|definition| *definition != key).collect();
        let text = state.text.clone().unwrap_or_default();
        let record = (!sourceless).then_some(NewRecord { key, text, links });
        let task = Task { id, node, inputs: &inputs, record, cancel: self.cancel };
        let made = self.executor.execute(&task);
        self.observer.ended(id, made.as_ref().err());
        let stack = made.map_err(fail)?;
        state.result = Some(Snapshot { key, stack });
        state.ran = !sourceless;
        locked(shared).states[id.index()] = state;
        Ok(())
    }

    fn input(&self, states: &[State], id: NodeId) -> Input {
        match &self.graph.node(id).op {
            Op::Local(local) => Input::Local(local.name.clone()),
            _ => Input::Snapshot(
                states[id.index()]
                    .result
                    .clone()
                    .expect("because a step is ready only when its inputs are solved"),
            ),
        }
    }

    /// The keys of a node whose inputs are all solved: contents can be asked for now.
    fn complete_keys(&self, state: &mut State, id: NodeId, inputs: &[Input]) -> Result<(), Error> {
        if state.text.is_some() {
            return Ok(());
        }
        let node = self.graph.node(id);
        let fail = |source| Error::Step { id, name: node.about.name.clone(), source };
        for at in keys::taken_by_content(node) {
            if state.files[at].is_none() {
                state.files[at] = Some(self.sources.content(node, at, &inputs[at]).map_err(fail)?);
            }
        }
        let parts: Vec<InputKey> = inputs
            .iter()
            .zip(&state.files)
            .map(|(input, files)| match input {
                Input::Snapshot(snapshot) => InputKey { snapshot: Some(snapshot.key), files: *files },
                Input::Local(_) => InputKey { snapshot: None, files: *files },
            })
            .collect();
        state.definition = keys::definition(node, &parts).map(|key| self.with_mode(key));
        let key = keys::content(node, &parts).map(|key| self.with_mode(key));
        state.set_key(key);
        Ok(())
    }

    fn take(&self, state: &mut State, key: Digest) -> Result<bool, Error> {
        let found = self.cache.find(&[key]).map_err(|source| Error::Cache { source })?;
        state.result = found.into_iter().next().flatten().map(|record| Snapshot { key, stack: record.stack });
        Ok(state.result.is_some())
    }

    /// A hit on the content key lets the definition key hit next time.
    fn link(&self, state: &State, key: Digest) -> Result<(), Error> {
        match state.definition.as_ref().map(Key::digest) {
            Some(definition) if definition != key => {
                self.cache.link(definition, key).map_err(|source| Error::Cache { source })
            }
            _ => Ok(()),
        }
    }

    fn reason(&self, id: NodeId, state: &State, inputs: &[Input]) -> Result<MissReason, Error> {
        if state.fresh {
            return Ok(MissReason::NoCacheAsked);
        }
        let node = self.graph.node(id);
        let Some(text) = &state.text else { return Ok(MissReason::NeverBuilt) };
        let before = self.cache.last_step(&node.about.slot).map_err(|source| Error::Cache { source })?;
        let (Some(old), Ok(new)) = (before.and_then(|old| Key::parse(&old).ok()), Key::parse(text)) else {
            return Ok(MissReason::NeverBuilt);
        };
        Ok(explain(&old, &new, || self.sources.changes(node, inputs, old.digest())))
    }

    fn remember(&self, states: &[State]) -> Result<(), Error> {
        let steps: Vec<(String, String)> = self
            .graph
            .nodes()
            .iter()
            .zip(states)
            // A step that failed was not built, so nothing is to be remembered of it.
            .filter(|(node, state)| state.reached && !node.about.slot.is_empty() && (!state.needed || state.result.is_some()))
            .filter_map(|(node, state)| Some((node.about.slot.clone(), state.text.clone()?)))
            .collect();
        self.cache.remember(&steps).map_err(|source| Error::Cache { source })
    }
}

impl State {
    fn set_key(&mut self, key: Option<Key>) {
        self.text = key.as_ref().map(Key::text);
        self.key = self.text.as_ref().map(|text| Digest::of(text.as_bytes()));
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
