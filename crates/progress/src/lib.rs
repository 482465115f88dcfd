//! The events of a build, and their renderers: plain, tty and rawjson.
//!
//! **Knows**: what a build tells while it runs ([`Event`]), the handle that tells it ([`Progress`]), how a person
//! ([`Plain`], [`Tty`]) or a program ([`RawJson`]) reads it, and what is kept of it for error messages ([`Tail`],
//! [`Warnings`]) and for the last line of a transfer ([`Totals`]).
//! **Must never know**: who builds, what a step is, the environment or the terminal. Sizes, colours and writers are
//! given as options.
//!
//! ```text
//! Progress ──▶ VertexHandle ──event──▶ Sink: Plain | Tty | RawJson | Tail | Warnings | Totals
//! ```
//! An event is rendered in the thread that sends it, under a lock held for a few microseconds and one `write`. A
//! build that finds everything in its cache starts no thread here. A thread that redraws while nothing happens
//! starts only after [`Progress::allow_threads`], because a process that still has to enter a user namespace must
//! have one thread only; until then renderers draw when an event comes.
#![forbid(unsafe_code)]

mod clock;
mod colors;
mod event;
mod handle;
mod plain;
mod rate;
mod rawjson;
mod tail;
mod text;
mod ticker;
mod totals;
mod tty;
mod warnings;

pub use clock::{Clock, Moment, SystemClock};
pub use colors::{Colors, InvalidColor};
pub use event::{Event, Position, Sink, SourceRange, Status, Stream, Vertex, VertexId, Warning};
pub use handle::{Progress, Transfer, VertexHandle};
pub use plain::{Plain, PlainOptions};
pub use rawjson::RawJson;
pub use tail::{Tail, TailLine};
pub use text::{Escapes, human_bytes};
pub use totals::{Moved, Totals};
pub use tty::{TerminalSize, Tty, TtyOptions};
pub use warnings::Warnings;
