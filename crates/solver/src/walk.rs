//! The walk: what is wanted, targets first, and the threads that do it.
//!
//! Two things can be wanted of a node: its **result**, and its **key**. Wanting spreads against the arrows:
//!
//! | wanted | and | then wants |
//! |---|---|---|
//! | a result | the key is not known for good, or was not asked for | the node's key |
//! | a result | the key is known and nothing is kept under it | the results of all inputs; then the step runs |
//! | a key | that of an input is not known | that key |
//! | a key | the definition key led nowhere | the results of the nodes whose files are taken, not of the others |
//! | either, before the key is known | an input was never built, or must run | its result, since nothing above it can hit |
//!
//! So nothing is run whose result nobody asks for, a step whose result was pruned is run only when no key above it
//! hits, and a first build waits for nothing. The wants are worked out anew whenever a job ends; a job is one look for a key, or one step.

use crate::backend::{Input, Snapshot};
use crate::keys;
use crate::solve::{Error, Solver};
use crate::state::State;
use graph::{NodeId, Op};
use layer::LayerId;
use oci::Digest;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// What a thread takes up.
#[derive(Clone, Copy, Debug)]
enum Job {
    /// Find the key, and what is kept under it.
    Key(NodeId),
    /// Run the step.
    Run(NodeId),
}

/// What the threads of a walk share.
pub(crate) struct Shared {
    pub(crate) states: Vec<State>,
    targets: Vec<NodeId>,
    ready: VecDeque<Job>,
    /// How many jobs are being done.
    working: usize,
    /// The keys of the steps that run, and the results of those that ran: what is in a graph twice runs once.
    running: HashSet<Digest>,
    made: HashMap<Digest, Arc<[LayerId]>>,
    failed: Option<Error>,
}

impl Solver<'_> {
    /// Solves what the targets want. Gives what is known of all nodes, and the error that ended the walk.
    pub(crate) fn walk(&self, states: Vec<State>, targets: &[NodeId]) -> (Vec<State>, Option<Error>) {
        let mut shared = Shared {
            states,
            targets: targets.to_vec(),
            ready: VecDeque::new(),
            working: 0,
            running: HashSet::new(),
            made: HashMap::new(),
            failed: None,
        };
        if shared.is_done() {
            return (shared.states, None);
        }
        self.want(&mut shared);
        let parallel = self.options.parallel.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(4, |processors| (processors.get() * 2).max(4))
        });
        let threads = parallel.clamp(1, shared.states.len());
        let shared = Mutex::new(shared);
        let changed = Condvar::new();
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| self.work(&shared, &changed));
            }
            self.work(&shared, &changed);
        });
        let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
        (shared.states, shared.failed)
    }

    fn work(&self, shared: &Mutex<Shared>, changed: &Condvar) {
        let alarm = Alarm { solver: self, shared, changed };
        let mut guard = locked(shared);
        loop {
            if guard.failed.is_some() || guard.is_done() {
                break;
            }
            if self.cancel.is_cancelled() {
                guard.failed = Some(Error::Cancelled);
                break;
            }
            let Some(job) = guard.ready.pop_front() else {
                assert!(guard.working > 0, "because a graph has no cycles, there is always something to do");
                guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            guard.working += 1;
            drop(guard);
            let outcome = match job {
                Job::Key(id) => self.find(shared, id),
                Job::Run(id) => self.run(shared, id),
            };
            guard = locked(shared);
            guard.working -= 1;
            let before = guard.ready.len();
            match outcome {
                Ok(()) => self.want(&mut guard),
                Err(error) => {
                    // The first failure is the build's; the steps that it cancels fail after it. What fails once the
                    // build is not wanted any more fails because of that.
                    let cancelled = self.cancel.is_cancelled();
                    guard.failed.get_or_insert(if cancelled { Error::Cancelled } else { error });
                    self.cancel.cancel();
                }
            }
            // Of what there is to do now this thread takes one itself; in a chain of steps nobody else need wake.
            if guard.failed.is_some() || guard.is_done() {
                changed.notify_all();
            } else {
                for _ in before.max(1)..guard.ready.len() {
                    changed.notify_one();
                }
            }
        }
        drop(guard);
        changed.notify_all();
        drop(alarm);
    }

    /// Works out what is wanted and makes the jobs that can be done now.
    fn want(&self, shared: &mut Shared) {
        let count = shared.states.len();
        let mut steps = Vec::new();
        let (mut results, mut wanted_keys) = (vec![false; count], vec![false; count]);
        for target in &shared.targets {
            results[target.index()] = true;
        }
        for id in self.graph.ids().rev() {
            let at = id.index();
            let state = &shared.states[at];
            if !(results[at] || wanted_keys[at]) || state.busy || self.is_solved(&shared.states, id) {
                continue;
            }
            let node = self.graph.node(id);
            let mut blocked = false;
            let mut block = |wants: &mut Vec<bool>, input: NodeId| {
                wants[input.index()] = true;
                blocked = true;
            };
            if state.key.is_none() || (results[at] && (state.text.is_none() || !state.asked)) {
                for input in &node.inputs {
                    let known = &shared.states[input.index()];
                    if !self.is_local(*input) && known.key.is_none() {
                        block(&mut wanted_keys, *input);
                    }
                    // No key will spare this one: it need not wait for the others.
                    results[input.index()] |= known.must_run() && !self.is_source(*input);
                }
                if !state.may_follow_link() {
                    for taken in keys::taken_by_content(node) {
                        let input = node.inputs[taken];
                        if state.files[taken].is_none() && !self.is_solved(&shared.states, input) {
                            block(&mut results, input);
                        }
                    }
                }
                if !blocked {
                    shared.states[at].busy = true;
                    shared.ready.push_front(Job::Key(id));
                }
                continue;
            }
            if !results[at] {
                continue;
            }
            for input in &node.inputs {
                if !self.is_solved(&shared.states, *input) {
                    block(&mut results, *input);
                }
            }
            let key = state.key.expect("because it was looked for first");
            if !blocked && !shared.running.contains(&key) {
                shared.states[at].busy = true;
                if !self.is_source(id) {
                    shared.running.insert(key);
                }
                steps.push(Job::Run(id));
            }
        }
        // In the order of the file.
        shared.ready.extend(steps.into_iter().rev());
    }

    fn is_local(&self, id: NodeId) -> bool {
        matches!(self.graph.node(id).op, Op::Local(_))
    }

    /// Whether a node has what stands on it needs; of a folder everyone asks by its name.
    fn is_solved(&self, states: &[State], id: NodeId) -> bool {
        self.is_local(id) || states[id.index()].result.is_some()
    }

    /// A node as a job begins, with its inputs' keys and those of them that are solved.
    pub(crate) fn begin(&self, shared: &Mutex<Shared>, id: NodeId) -> Begun {
        let guard = locked(shared);
        let inputs = &self.graph.node(id).inputs;
        let input = |id: &NodeId| match &self.graph.node(*id).op {
            Op::Local(local) => Some(Input::Local(local.name.clone())),
            _ => guard.states[id.index()].result.clone().map(Input::Snapshot),
        };
        let state = guard.states[id.index()].clone();
        let made = state.key.and_then(|key| guard.made.get(&key).cloned());
        Begun {
            made,
            state,
            keys: inputs.iter().map(|input| guard.states[input.index()].key).collect(),
            inputs: inputs.iter().map(input).collect(),
            anew: inputs.iter().any(|input| guard.states[input.index()].ran),
        }
    }

    /// Takes in what a job found out.
    pub(crate) fn end(&self, shared: &Mutex<Shared>, id: NodeId, mut state: State) {
        let mut guard = locked(shared);
        let known = &guard.states[id.index()];
        if known.stale {
            // It was worked out from a key that is another one now.
            let inputs = &self.graph.node(id).inputs;
            let known = &mut guard.states[id.index()];
            known.busy = false;
            known.forget(|at| !self.is_local(inputs[at]));
            return;
        }
        state.busy = false;
        let rekeyed = known.key.is_some() && known.key != state.key;
        if let (true, Some(Snapshot { key, stack })) = (state.ran, &state.result) {
            guard.made.insert(*key, stack.clone());
        }
        guard.states[id.index()] = state;
        if rekeyed {
            self.forget_users(&mut guard.states, id);
        }
    }

    /// A step is over, one way or the other.
    pub(crate) fn stop_running(&self, shared: &Mutex<Shared>, key: Option<Digest>) {
        if let Some(key) = key {
            locked(shared).running.remove(&key);
        }
    }

    /// The key of `changed` is another than what stands on it was told: those keys are to be found again.
    fn forget_users(&self, states: &mut [State], changed: NodeId) {
        let mut dirty = vec![false; states.len()];
        dirty[changed.index()] = true;
        for id in self.graph.ids().skip(changed.index() + 1) {
            let inputs = &self.graph.node(id).inputs;
            let state = &mut states[id.index()];
            if state.result.is_some() || !inputs.iter().any(|input| dirty[input.index()]) {
                continue;
            }
            dirty[id.index()] = true;
            if state.busy {
                state.stale = true;
            } else {
                state.forget(|at| dirty[inputs[at].index()]);
            }
        }
    }
}

/// What a job begins with.
pub(crate) struct Begun {
    pub(crate) state: State,
    pub(crate) keys: Vec<Option<Digest>>,
    pub(crate) inputs: Vec<Option<Input>>,
    /// Whether one of the inputs ran in this build.
    pub(crate) anew: bool,
    /// What a step of the same key made in this build.
    pub(crate) made: Option<Arc<[LayerId]>>,
}

impl Shared {
    fn is_done(&self) -> bool {
        self.targets.iter().all(|target| self.states[target.index()].result.is_some())
    }
}

/// Wakes the other threads when one panics, so that the panic ends the build and not its progress.
struct Alarm<'a> {
    solver: &'a Solver<'a>,
    shared: &'a Mutex<Shared>,
    changed: &'a Condvar,
}

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.solver.cancel.cancel();
            locked(self.shared).failed.get_or_insert(Error::Cancelled);
            self.changed.notify_all();
        }
    }
}

fn locked(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
