//! What the solver asks of others. Each trait is wired by the program that makes the solver.

use graph::{FileChange, Key, MissReason, Node, NodeId};
use layer::LayerId;
use oci::Digest;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// An error of whoever stands behind a trait; the solver only passes it on.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The key it is known by to what stands on it.
    pub key: Digest,
    /// Its layers, lowest first. Shared, because a chain of steps has a stack for each, one longer than the other.
    pub stack: Arc<[LayerId]>,
}

/// A kept result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The key it was made under.
    pub key: Digest,
    /// Its layers, lowest first; whoever gave the record keeps them alive until the build ends.
    pub stack: Vec<LayerId>,
}

/// What a result is kept as, once it is made.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The key it is known by.
    pub key: Digest,
    /// That key in plain text.
    pub text: String,
    /// Other keys that lead to it: its definition key, where the other is a content key.
    pub links: Vec<Digest>,
}

/// Kept results.
pub trait CacheBackend: Sync {
    /// Which key each of these leads to through links, whether or not a result is kept under it.
    fn canonical(&self, keys: &[Digest]) -> Result<Vec<Option<Digest>>, BoxError>;
    /// The results kept under these keys. What is found is used: it must not vanish before the build ends.
    fn find(&self, keys: &[Digest]) -> Result<Vec<Option<Record>>, BoxError>;
    /// Says that `key` leads to the result kept under `canonical`.
    fn link(&self, key: Digest, canonical: Digest) -> Result<(), BoxError>;
    /// Waits for the lock of a key, which other processes take too. Gives up when `cancel` is set.
    fn lock(&self, key: Digest, cancel: &Cancel) -> Result<Box<dyn Send>, BoxError>;
    /// The plain-text key that stood in this place of this build before.
    fn last_step(&self, slot: &str) -> Result<Option<String>, BoxError>;
    /// Keeps the plain-text keys of this build by their places.
    fn remember(&self, steps: &[(String, String)]) -> Result<(), BoxError>;
}

/// An input as a task sees it.
#[derive(Clone, Debug)]
pub enum Input {
    /// A solved snapshot.
    Snapshot(Snapshot),
    /// A local folder, by its name.
    Local(String),
}

/// What a source that another machine holds is at the moment.
#[derive(Clone, Debug)]
pub struct Pinned {
    /// Its key.
    pub key: Key,
    /// Whether asking has brought it here: a record of it is kept under the key.
    pub brought: bool,
}

/// Who knows what files hold.
pub trait SourceProvider: Sync {
    /// Asks what the source `node` is at the moment, which [`Key::of_source`] does not know. Asked once for each node.
    fn pin(&self, id: NodeId, node: &Node, cancel: &Cancel) -> Result<Pinned, BoxError>;
    /// The digest of exactly the files that `node` takes from its input number `input`: by content, mode, type and
    /// path, whoever made them.
    fn content(&self, node: &Node, input: usize, source: &Input) -> Result<Digest, BoxError>;
    /// Which of the files that `node` takes differ from those of the result kept under `old`: the first few, and how
    /// many in all; (nothing, 0) where that cannot be told any more.
    fn changes(&self, node: &Node, inputs: &[Input], old: Digest) -> (Vec<FileChange>, usize);
}

/// One step to carry out.
pub struct Task<'a> {
    /// Which node it is.
    pub id: NodeId,
    /// What to do.
    pub node: &'a Node,
    /// What it stands on, in the order of the node's inputs.
    pub inputs: &'a [Input],
    /// What to keep the result as; absent for images, which are kept elsewhere.
    pub record: Option<NewRecord>,
    /// Set when the step is no longer wanted.
    pub cancel: &'a Cancel,
}

/// Who carries steps out.
pub trait Executor: Sync {
    /// Carries a step out and keeps its result: layers and record become visible together or not at all. Gives the
    /// layers, lowest first.
    fn execute(&self, task: &Task<'_>) -> Result<Vec<LayerId>, BoxError>;
}

/// Who watches. Called from several threads.
pub trait Observer: Sync {
    /// These nodes belong to the build, inputs first.
    fn planned(&self, nodes: &[NodeId]);
    /// A kept result is used.
    fn cached(&self, id: NodeId);
    /// A step begins; for the first of its chain with the reason.
    fn started(&self, id: NodeId, reason: Option<&MissReason>);
    /// A step ended well, or with this error.
    fn ended(&self, id: NodeId, error: Option<&BoxError>);
}

/// Asks everything that works on a build to stop.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A request that is not made yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the request.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the request was made.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
