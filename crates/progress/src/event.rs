//! What a build tells while it runs.

use crate::Moment;
use oci::Digest;

/// The number of a vertex in one build, from 0 in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexId(pub(crate) u32);

impl VertexId {
    /// The number.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One step of a build as it is announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vertex {
    /// What is shown: `[builder 2/5] RUN npm ci`.
    pub name: String,
    /// The digest that `rawjson` names the vertex by. Without one, a digest of its number and name is made up where
    /// one is needed.
    pub digest: Option<Digest>,
    /// The vertices whose results this one uses.
    pub inputs: Vec<VertexId>,
}

impl Vertex {
    /// A vertex of this name without inputs.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Where a step wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Stream {
    /// The file descriptor: 1 or 2.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Out => 1,
            Self::Err => 2,
        }
    }
}

/// How far a part of a vertex is: a layer that is pulled, a context that is transferred.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// What is under way, unique in its vertex: `transferring context:`, `sha256:…`. This is what is shown.
    pub id: String,
    /// A longer description for programs; may be empty.
    pub name: String,
    /// Bytes (or things) done.
    pub current: u64,
    /// Bytes (or things) to do; 0 where this is not known.
    pub total: u64,
    /// When it began.
    pub started: Option<Moment>,
    /// When it was done.
    pub completed: Option<Moment>,
    /// The bytes stay where they are (a layer that is compressed): they count in no sum of what was moved.
    pub stays: bool,
}

/// A place in a source text, as the language server protocol counts: lines from 1 in BuildKit's JSON, characters
/// from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: u32,
    /// The character in the line, from 0.
    pub character: u32,
}

/// A range of a source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRange {
    /// Its first position.
    pub start: Position,
    /// The position after its last.
    pub end: Position,
}

/// A warning about the build's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Warning {
    /// One line: `JSONArgsRecommended: JSON arguments recommended for CMD (line 3)`.
    pub message: String,
    /// What a longer explanation says, a paragraph each.
    pub detail: Vec<String>,
    /// Where to read more; may be empty.
    pub url: String,
    /// The name and the text of the source that it is about.
    pub source: Option<(String, Vec<u8>)>,
    /// Where in the source.
    pub ranges: Vec<SourceRange>,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A vertex is announced; nothing has been done for it.
    Declared {
        /// Which.
        vertex: VertexId,
        /// What it is.
        declared: &'a Vertex,
    },
    /// Work began.
    Started {
        /// On which vertex.
        vertex: VertexId,
    },
    /// The result was already there: the vertex is complete.
    Cached {
        /// Which.
        vertex: VertexId,
    },
    /// The step wrote something, not necessarily whole lines.
    Log {
        /// Which.
        vertex: VertexId,
        /// Where to.
        stream: Stream,
        /// What, as written.
        bytes: &'a [u8],
    },
    /// A part of the vertex went on.
    Status {
        /// Of which vertex.
        vertex: VertexId,
        /// How far it is.
        status: &'a Status,
    },
    /// A warning was found.
    Warning {
        /// While working on this vertex.
        vertex: VertexId,
        /// What it says.
        warning: &'a Warning,
    },
    /// A remark of the builder on the vertex: why it runs although it ran before.
    Note {
        /// On which vertex.
        vertex: VertexId,
        /// One line.
        text: &'a str,
    },
    /// The vertex is complete.
    Completed {
        /// Which.
        vertex: VertexId,
        /// Why it failed, if it did.
        error: Option<&'a str>,
    },
    /// The vertex was given up because another one failed or the user asked for it.
    Canceled {
        /// Which.
        vertex: VertexId,
    },
}

impl Event<'_> {
    /// The vertex that the event is about.
    #[must_use]
    pub fn vertex(&self) -> VertexId {
        match *self {
            Event::Declared { vertex, .. }
            | Event::Started { vertex }
            | Event::Cached { vertex }
            | Event::Log { vertex, .. }
            | Event::Status { vertex, .. }
            | Event::Warning { vertex, .. }
            | Event::Note { vertex, .. }
            | Event::Completed { vertex, .. }
            | Event::Canceled { vertex } => vertex,
        }
    }
}

/// Takes events as they happen, from several threads. It must return soon: the build waits for it.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn event(&self, at: Moment, event: &Event<'_>);

    /// From now on threads may be started.
    fn allow_threads(&self) {}

    /// The build has ended, at `at`: shows what is still held back and ends every thread. Events after it are lost.
    fn finish(&self, _at: Moment) {}
}
