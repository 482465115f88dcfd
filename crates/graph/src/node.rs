//! The graph: nodes in an order in which every input stands before what uses it.

use crate::{FileOp, GitOp, HttpOp, RunOp};
use oci::{Digest, Platform};
use serde::{Deserialize, Serialize};

/// Names a node of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The position in [`Graph::nodes`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Operations and what they stand on. Nodes are only ever appended, so it has no cycles.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is done.
    pub op: Op,
    /// The snapshots and sources it uses; what each is for, the operation says.
    pub inputs: Vec<NodeId>,
    /// What people are told about it; never part of a key.
    pub about: About,
}

/// What people are told about a node, and how it is found again in the next build.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// `[builder 2/5] RUN npm ci`.
    pub name: String,
    /// Its place in the Dockerfile whatever it says there: `builder#2`. The miss reason compares with what stood here
    /// in the build before. Empty for operations that are not explained.
    pub slot: String,
    /// Where it is written.
    pub location: Option<Location>,
    /// Run it even if its result is known.
    pub no_cache: bool,
}

/// Lines of a file, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// The first line.
    pub first: u32,
    /// The last line.
    pub last: u32,
}

/// What a node does. The result of each is a snapshot: a stack of layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Nothing to stand on.
    Scratch,
    /// A base image, pinned.
    Image(Box<ImageOp>),
    /// A local folder: a source for `File` and for bind mounts, never a root.
    Local(LocalOp),
    /// A file by its URL.
    Http(HttpOp),
    /// A folder of a git repository.
    Git(GitOp),
    /// Runs a process over its first input.
    Run(Box<RunOp>),
    /// Changes files over its first input.
    File(FileOp),
    /// Its inputs' own layers over each other: `COPY --link` is a `File` over nothing, merged onto its stage.
    Merge,
}

/// A base image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageOp {
    /// The name it was asked for by, to pull it and to speak of it.
    pub reference: String,
    /// The named context that it was given as, where it is in a layout: all that is told of where the layout is.
    pub context: Option<String>,
    /// What the name stood for there: the digest of an index, where it was chosen from one, else of the manifest.
    pub resolved: Option<Digest>,
    /// The digest of the manifest it was pinned to, where it came from a registry.
    pub manifest: Option<Digest>,
    /// The digest of its configuration.
    pub config: Digest,
    /// Its layers by the digests of their plain tars, lowest first: what it is to a key.
    pub diff_ids: Vec<Digest>,
    /// Its platform.
    pub platform: Platform,
}

/// A local folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalOp {
    /// Which of the build's folders: `context`, or the name of a `--build-context`.
    pub name: String,
}

impl ImageOp {
    /// What it is known by outside: what its name stood for. One that never was in a registry or a layout is known by its
    /// configuration, which is its id.
    #[must_use]
    pub fn known_by(&self) -> Digest {
        self.resolved.or(self.manifest).unwrap_or(self.config)
    }
}

impl Op {
    /// Whether it is a source that another machine holds: its key follows from what that says, not from inputs.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Git(_))
    }
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a node. Its inputs are nodes of this graph, so they stand before it.
    pub fn add(&mut self, op: Op, inputs: Vec<NodeId>, about: About) -> NodeId {
        debug_assert!(
            inputs.iter().all(|input| input.index() < self.nodes.len()),
            "inputs stand before their users"
        );
        let id = NodeId(
            u32::try_from(self.nodes.len()).expect("because a Dockerfile has fewer than 2^32 instructions"),
        );
        self.nodes.push(Node { op, inputs, about });
        id
    }

    /// Takes another graph's nodes in, after those that are here. `about` is asked what people are told of each. Gives
    /// what tells the id that a node of that graph has here.
    pub fn append(
        &mut self,
        other: Self,
        about: &mut dyn FnMut(About) -> About,
    ) -> impl Fn(NodeId) -> NodeId + use<> {
        let first =
            u32::try_from(self.nodes.len()).expect("because a Dockerfile has fewer than 2^32 instructions");
        let moved = move |id: NodeId| NodeId(id.0 + first);
        self.nodes.extend(other.nodes.into_iter().map(|node| Node {
            op: node.op,
            inputs: node.inputs.into_iter().map(moved).collect(),
            about: about(node.about),
        }));
        moved
    }

    /// The nodes in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// What people are told about a node, to be changed while the graph is made: it is in no key.
    pub fn about_mut(&mut self, id: NodeId) -> &mut About {
        &mut self.nodes[id.index()].about
    }

    /// All ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Which nodes the targets reach, by index.
    #[must_use]
    pub fn reached(&self, targets: &[NodeId]) -> Vec<bool> {
        let mut reached = vec![false; self.nodes.len()];
        for target in targets {
            reached[target.index()] = true;
        }
        for at in (0..self.nodes.len()).rev() {
            if reached[at] {
                for input in &self.nodes[at].inputs {
                    reached[input.index()] = true;
                }
            }
        }
        reached
    }
}
