//! One job of a walk: to find a node's key and what is kept under it, or to run a step.

use crate::backend::{Input, NewRecord, Snapshot, Task};
use crate::keys;
use crate::solve::{Error, Solver};
use crate::state::State;
use crate::walk::{Begun, Shared};
use graph::{Key, MissReason, NodeId, explain};
use oci::Digest;
use std::sync::Mutex;

impl Solver<'_> {
    /// Finds the key of a node whose inputs' keys are known, and what is kept under it.
    pub(crate) fn find(&self, shared: &Mutex<Shared>, id: NodeId) -> Result<(), Error> {
        let node = self.graph.node(id);
        let Begun { mut state, keys: snapshots, inputs, .. } = self.begin(shared, id);
        let follow = state.may_follow_link();
        self.derive(&mut state, node, &snapshots);
        let mut brought = false;
        if state.text.is_none() && node.op.is_remote() {
            brought = self.pin(id, &mut state)?;
        } else if state.text.is_none() && follow {
            self.follow_link(&mut state)?;
        } else if state.text.is_none() {
            for at in keys::taken_by_content(node) {
                if let (None, Some(input)) = (state.files[at], &inputs[at]) {
                    state.files[at] = Some(self.content(id, at, input)?);
                }
            }
            self.derive(&mut state, node, &snapshots);
        }
        if let Some(key) = state.key {
            state.asked = true;
            if !state.fresh && !self.is_source(id) && self.take(&mut state, key)? {
                self.link(&state, key)?;
                state.pinned = false;
                if brought { self.observer.ended(id, None) } else { self.observer.cached(id) }
            } else {
                state.lost = self.is_lost(id, &state)?;
            }
        }
        self.end(shared, id, state);
        Ok(())
    }

    /// Asks what a source that another machine holds is at the moment; whether that has brought it here.
    fn pin(&self, id: NodeId, state: &mut State) -> Result<bool, Error> {
        self.observer.started(id, None);
        let pinned = self.sources.pin(id, self.graph.node(id), self.cancel).map_err(|source| {
            self.observer.ended(id, Some(&source));
            self.failed(id, source)
        })?;
        let text = pinned.key.text();
        (state.key, state.text, state.pinned) = (Some(Digest::of(text.as_bytes())), Some(text), true);
        Ok(pinned.brought)
    }

    /// Runs a step whose key is known and whose inputs are solved.
    pub(crate) fn run(&self, shared: &Mutex<Shared>, id: NodeId) -> Result<(), Error> {
        let begun = self.begin(shared, id);
        let key = begun.state.key;
        let outcome = self.carry_out(id, begun);
        let outcome = outcome.map(|state| self.end(shared, id, state));
        self.stop_running(shared, key);
        outcome
    }

    fn carry_out(&self, id: NodeId, begun: Begun) -> Result<State, Error> {
        let Begun { mut state, inputs, anew, made, .. } = begun;
        let node = self.graph.node(id);
        let inputs: Vec<Input> = inputs.into_iter().flatten().collect();
        let key = state.key.expect("because a step runs only when its key is known");
        if let Some(stack) = made {
            // A step of this build that does the same has run already.
            state.result = Some(Snapshot { key, stack });
            self.observer.cached(id);
            return Ok(state);
        }
        if self.is_source(id) {
            let task = Task { id, node, inputs: &inputs, record: None, cancel: self.cancel };
            self.observer.started(id, None);
            return self.execute(&task, state, key);
        }
        let is_remote = node.op.is_remote();
        let reason = (!anew && !is_remote).then(|| self.reason(id, &state, &inputs)).transpose()?;
        if !state.pinned {
            self.observer.started(id, reason.as_ref());
        }
        state.pinned = false;
        let locked = self.cache.lock(key, self.cancel);
        let _lock = locked.map_err(|source| {
            self.observer.ended(id, Some(&source));
            Error::Cache { source }
        })?;
        if self.cancel.is_cancelled() {
            self.observer.ended(id, Some(&Error::Cancelled.into()));
            return Err(Error::Cancelled);
        }
        if !state.fresh && self.take(&mut state, key)? {
            // Another process made it while this one waited for the lock.
            self.link(&state, key)?;
            self.observer.cached(id);
            return Ok(state);
        }
        let links = state.definition.into_iter().filter(|definition| *definition != key).collect();
        let text = state.text.clone().unwrap_or_default();
        let record = Some(NewRecord { key, text, links });
        state.ran = !is_remote;
        self.execute(&Task { id, node, inputs: &inputs, record, cancel: self.cancel }, state, key)
    }

    fn execute(&self, task: &Task<'_>, mut state: State, key: Digest) -> Result<State, Error> {
        let made = self.executor.execute(task);
        self.observer.ended(task.id, made.as_ref().err());
        let stack = made.map_err(|source| self.failed(task.id, source))?;
        state.result = Some(Snapshot { key, stack: stack.into() });
        Ok(state)
    }

    fn take(&self, state: &mut State, key: Digest) -> Result<bool, Error> {
        let found = self.cache.find(&[key]).map_err(|source| Error::Cache { source })?;
        state.result =
            found.into_iter().next().flatten().map(|record| Snapshot { key, stack: record.stack.into() });
        Ok(state.result.is_some())
    }

    /// A hit on the content key lets the definition key hit next time.
    fn link(&self, state: &State, key: Digest) -> Result<(), Error> {
        match state.definition {
            Some(definition) if definition != key && state.text.is_some() => {
                self.cache.link(definition, key).map_err(|source| Error::Cache { source })
            }
            _ => Ok(()),
        }
    }

    /// Why a step runs, none of whose inputs ran.
    fn reason(&self, id: NodeId, state: &State, inputs: &[Input]) -> Result<MissReason, Error> {
        if state.fresh {
            return Ok(MissReason::NoCacheAsked);
        }
        let node = self.graph.node(id);
        let Some(text) = &state.text else { return Ok(MissReason::NeverBuilt) };
        let before = self.last_step(id)?;
        let (Some(old), Ok(new)) = (before.and_then(|old| Key::parse(&old).ok()), Key::parse(text)) else {
            return Ok(MissReason::NeverBuilt);
        };
        Ok(explain(&old, &new, || self.sources.changes(node, inputs, old.digest())))
    }
}
