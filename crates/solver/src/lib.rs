//! Walks a graph: keys, hits, misses with reasons, parallel steps.
//!
//! **Knows**: how keys follow from keys, when a result may be used again, in which order steps run.
//! **Must never know**: Dockerfiles, how a step is run, where results are kept, or what the screen shows: those come
//! through the traits of [`backend`].
//!
//! # The algorithm
//! 1. **Keys**, inputs first. A definition key follows from the keys of all inputs; a source folder has none and gives
//!    the content of the files that are taken instead. What reads files of another snapshot is known by its content
//!    key as well, which can only be asked once that snapshot is there; a link from the definition key, made when
//!    both were known, spares that.
//!    A source that another machine holds is known by what it is at the moment: that is asked during the walk, of
//!    several at once, and only of those that are wanted.
//! 2. **Look-up** of all keys that are known, in one batch. A build in which the targets hit ends here, without a
//!    thread.
//! 3. **Walk**, targets first: what is wanted, and by whom, is in the table of `walk`. A key is asked of whoever can
//!    know it before anything is run to compute it.
//! 4. A **step** runs under the lock of its key, after one more look: the loser of a race between two processes takes
//!    the winner's result. Of two steps of one build with one key, one runs.
//!
//! A step that must run (`--no-cache`) makes everything that stands on it run, too; what only takes files from it is
//! known by their content, and hits if they are what they were.
#![forbid(unsafe_code)]

pub mod backend;
mod keys;
mod solve;
mod state;
mod step;
mod walk;

pub use backend::{
    BoxError, CacheBackend, Cancel, Executor, Input, NewRecord, Observer, Pinned, Record, Snapshot,
    SourceProvider, Task,
};
pub use solve::{Error, Options, Solved, Solver, Step};
