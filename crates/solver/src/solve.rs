//! What a solver is made of, and the beginning and the end of a walk: the keys that can be known without running
//! anything, one look-up of all of them, and what the next build is to remember. `walk` has what is between.

use crate::backend::{BoxError, CacheBackend, Cancel, Executor, Input, Observer, Snapshot, SourceProvider};
use crate::keys::{self, InputKey};
use crate::state::State;
use graph::{Graph, Key, KeyOp, Node, NodeId, Op};
use layer::LayerId;
use oci::Digest;
use std::sync::Arc;

/// How a graph is solved.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many steps may run at once; where nothing is said two for each processor, because steps
    /// mostly wait, and at least four.
    pub parallel: Option<usize>,
    /// A word of the store's that changes what processes see, and so enters the keys of runs (`single-id`).
    pub mode: Option<String>,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub struct Solved {
    /// The targets' snapshots, in the order asked for.
    pub targets: Vec<Snapshot>,
    /// The steps that have a result, inputs first.
    pub steps: Vec<Step>,
    /// How many steps ran.
    pub ran: usize,
}

/// A step and its result.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which node.
    pub id: NodeId,
    /// The key of the result.
    pub key: Digest,
    /// The key that leads to it without any file.
    pub definition: Option<Digest>,
    /// The layers, lowest first.
    pub stack: Arc<[LayerId]>,
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
    /// The request to stop. A step that fails makes it too, so that the others end.
    pub cancel: &'a Cancel,
    /// How.
    pub options: Options,
}

impl Solver<'_> {
    /// Solves the targets.
    ///
    /// # Errors
    /// The first step that fails ends the build: the others are asked to stop, and what they say then is not told.
    pub fn solve(&self, targets: &[NodeId]) -> Result<Solved, Error> {
        let reached = self.graph.reached(targets);
        let order: Vec<NodeId> = self.graph.ids().filter(|id| reached[id.index()]).collect();
        self.observer.planned(&order);
        let mut states: Vec<State> = reached.iter().map(|_| State::default()).collect();
        for id in &order {
            self.know(&mut states, *id)?;
        }
        self.look_up(&mut states, &order)?;
        for id in &order {
            if states[id.index()].result.is_some() {
                self.observer.cached(*id);
            }
        }
        let (states, failed) = self.walk(states, targets);
        for id in order.iter().filter(|id| states[id.index()].pinned) {
            // What it is was asked, and then nobody needed it.
            self.observer.ended(*id, None);
        }
        let remembered = self.remember(&states);
        if let Some(error) = failed {
            return Err(error);
        }
        remembered?;
        let ran = states.iter().filter(|state| state.ran).count();
        let result = |id: &NodeId| states[id.index()].result.clone();
        let targets: Option<Vec<Snapshot>> = targets.iter().map(result).collect();
        let steps = order.iter().filter(|id| !self.is_source(**id)).filter_map(|id| {
            let state = &states[id.index()];
            let result = state.result.as_ref()?;
            let (key, definition, stack) = (result.key, state.definition, result.stack.clone());
            Some(Step { id: *id, key, definition, stack })
        });
        let steps = steps.collect();
        Ok(Solved {
            targets: targets.expect("because the walk ends when every target is solved"),
            steps,
            ran,
        })
    }

    /// The keys of a node, as far as they follow from those of its inputs, from folders and from links.
    fn know(&self, states: &mut [State], id: NodeId) -> Result<(), Error> {
        let node = self.graph.node(id);
        let taken = keys::taken_by_content(node);
        let mut state = State { files: vec![None; node.inputs.len()], ..State::default() };
        state.fresh = node.about.no_cache;
        for (at, input) in node.inputs.iter().enumerate() {
            match taken.contains(&at) {
                true => state.fresh_source |= states[input.index()].fresh,
                false => state.fresh |= states[input.index()].fresh,
            }
        }
        for at in taken {
            if let Op::Local(local) = &self.graph.node(node.inputs[at]).op {
                state.files[at] = Some(self.content(id, at, &Input::Local(local.name.clone()))?);
            }
        }
        let snapshots: Vec<Option<Digest>> =
            node.inputs.iter().map(|input| states[input.index()].key).collect();
        self.derive(&mut state, node, &snapshots);
        if state.key.is_none() && state.definition.is_some() && !state.fresh_source {
            self.follow_link(&mut state)?;
        }
        states[id.index()] = state;
        Ok(())
    }

    /// Computes the keys of a node from those of its inputs and the contents that are known.
    pub(crate) fn derive(&self, state: &mut State, node: &Node, snapshots: &[Option<Digest>]) {
        let inputs = snapshots.iter().zip(&state.files);
        let inputs: Vec<InputKey> =
            inputs.map(|(snapshot, files)| InputKey { snapshot: *snapshot, files: *files }).collect();
        state.definition = keys::definition(node, &inputs).map(|key| self.with_mode(key).digest());
        if let Some(key) = keys::content(node, &inputs) {
            let text = self.with_mode(key).text();
            state.key = Some(Digest::of(text.as_bytes()));
            state.text = Some(text);
        }
    }

    fn with_mode(&self, mut key: Key) -> Key {
        if matches!(key.op, KeyOp::Run(_)) {
            key.mode.clone_from(&self.options.mode);
        }
        key
    }

    /// The key that the definition key led to before; what is taken is not asked for then.
    pub(crate) fn follow_link(&self, state: &mut State) -> Result<(), Error> {
        if let Some(definition) = state.definition {
            let found = self.cache.canonical(&[definition]).map_err(|source| Error::Cache { source })?;
            state.key = found.into_iter().next().flatten();
        }
        state.linked = true;
        Ok(())
    }

    pub(crate) fn content(&self, id: NodeId, at: usize, input: &Input) -> Result<Digest, Error> {
        let node = self.graph.node(id);
        self.sources.content(node, at, input).map_err(|source| self.failed(id, source))
    }

    pub(crate) fn failed(&self, id: NodeId, source: BoxError) -> Error {
        Error::Step { id, name: self.graph.node(id).about.name.clone(), source }
    }

    /// Whether a node has no record: what it gives is kept elsewhere, or is nothing.
    pub(crate) fn is_source(&self, id: NodeId) -> bool {
        matches!(self.graph.node(id).op, Op::Local(_) | Op::Image(_) | Op::Scratch)
    }

    /// Asks for all keys that are known, in one batch.
    fn look_up(&self, states: &mut [State], order: &[NodeId]) -> Result<(), Error> {
        let mut asked = Vec::new();
        for id in order {
            let state = &mut states[id.index()];
            if self.is_source(*id) || state.fresh {
                state.asked = true;
            } else if let Some(key) = state.key {
                state.asked = true;
                asked.push((*id, key));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let keys: Vec<Digest> = asked.iter().map(|(_, key)| *key).collect();
        let found = self.cache.find(&keys).map_err(|source| Error::Cache { source })?;
        for ((id, key), record) in asked.into_iter().zip(found) {
            let state = &mut states[id.index()];
            state.result = record.map(|record| Snapshot { key, stack: record.stack.into() });
            state.lost = self.is_lost(id, state)?;
        }
        Ok(())
    }

    /// Whether something was kept under the key of a node that has no result.
    pub(crate) fn is_lost(&self, id: NodeId, state: &State) -> Result<bool, Error> {
        if state.result.is_some() || state.key.is_none() {
            return Ok(false);
        }
        // A link led to the key, and is made when there is a result.
        let Some(text) = &state.text else { return Ok(true) };
        let before = self.last_step(id)?;
        Ok(before.is_some_and(|before| before == *text))
    }

    /// The key that stood in the place of a node in the build before.
    pub(crate) fn last_step(&self, id: NodeId) -> Result<Option<String>, Error> {
        self.cache.last_step(&self.graph.node(id).about.slot).map_err(|source| Error::Cache { source })
    }

    /// Keeps the plain-text keys of what has a result now: a step that failed is not what the next build compares with.
    fn remember(&self, states: &[State]) -> Result<(), Error> {
        let steps: Vec<(String, String)> = self
            .graph
            .nodes()
            .iter()
            .zip(states)
            .filter(|(node, state)| state.result.is_some() && !node.about.slot.is_empty())
            .filter_map(|(node, state)| Some((node.about.slot.clone(), state.text.clone()?)))
            .collect();
        self.cache.remember(&steps).map_err(|source| Error::Cache { source })
    }
}
