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
//! 2. **Look-up** of all keys that are known, in one batch.
//! 3. **Need**, targets first: what hits needs none of its inputs. A build in which the targets hit ends here, without
//!    a thread.
//! 4. **Work**: a needed step is ready when its needed inputs are solved. It asks for its keys again (they may follow
//!    from content now), then runs under the lock of its key, after one more look: the loser of a race between two
//!    processes takes the winner's result.
#![forbid(unsafe_code)]

pub mod backend;
mod keys;
mod solve;

pub use backend::{
    BoxError, CacheBackend, Cancel, Executor, Input, NewRecord, Observer, Record, Snapshot, SourceProvider,
    Task,
};
pub use solve::{Error, Options, Solved, Solver};
