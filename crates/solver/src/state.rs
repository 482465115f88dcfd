//! What is known of one node while a build goes on.

use crate::backend::Snapshot;
use oci::Digest;

/// What is known of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// Whether kept results must not be used: asked for, or it stands on such a node.
    pub(crate) fresh: bool,
    /// Whether it takes files from such a node: a link that was made before says nothing then, their content does.
    pub(crate) fresh_source: bool,
    /// The digest of the key that follows from the inputs' keys.
    pub(crate) definition: Option<Digest>,
    /// The key it is known by to what stands on it. Without `text` it came from a link, and may yet change: when the
    /// result is gone and what it takes, built again, turns out to differ.
    pub(crate) key: Option<Digest>,
    /// The plain text of that key, if this build made it.
    pub(crate) text: Option<String>,
    /// The digests of taken files by input.
    pub(crate) files: Vec<Option<Digest>>,
    /// Whether the link of the definition key was followed.
    pub(crate) linked: bool,
    /// Whether the kept results were asked for the key.
    pub(crate) asked: bool,
    /// Whether nothing is kept under the key, but was once: then what stands on it may still be kept.
    pub(crate) lost: bool,
    /// Whether whoever holds it was asked what it is now, and the observer waits for the end.
    pub(crate) pinned: bool,
    /// Whether someone works on it.
    pub(crate) busy: bool,
    /// Whether the key of an input changed while someone worked on it.
    pub(crate) stale: bool,
    /// Its result.
    pub(crate) result: Option<Snapshot>,
    /// Whether it ran in this build.
    pub(crate) ran: bool,
}

impl State {
    /// Whether the definition key may lead to the other one, and nobody has looked yet.
    pub(crate) fn may_follow_link(&self) -> bool {
        self.key.is_none() && !self.linked && !self.fresh_source
    }

    /// Whether it must run for anything that stands on it: nothing of that can be kept.
    pub(crate) fn must_run(&self) -> bool {
        self.result.is_none() && (self.fresh || (self.asked && self.key.is_some() && !self.lost))
    }

    /// Forgets the keys, and what was taken from the inputs of which `changed` says so.
    pub(crate) fn forget(&mut self, changed: impl Fn(usize) -> bool) {
        (self.definition, self.key, self.text) = (None, None, None);
        (self.linked, self.asked, self.lost, self.stale) = (false, false, false, false);
        for (at, files) in self.files.iter_mut().enumerate() {
            if changed(at) {
                *files = None;
            }
        }
    }
}
