//! The one error type of the chores.

use std::io;

/// What can stop a chore. Every message names the program, file or section it is about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A file or a process could not be read, written or started.
    #[error("could not {doing}")]
    Io {
        /// What was being done, as the end of "could not ...".
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
    /// A program ran and failed.
    #[error("`{program}` failed with {status}{said}")]
    Failed {
        /// The program and its arguments.
        program: String,
        /// Exit code or signal.
        status: String,
        /// The last lines it wrote, indented, or nothing when they were on the screen already.
        said: String,
    },
    /// Something that should be JSON is not.
    #[error("{what} is not the JSON that was expected")]
    Json {
        /// What was read.
        what: String,
        /// Where it went wrong.
        source: serde_json::Error,
    },
    /// A section of `cargo xtask test` failed.
    #[error("the section `{name}` failed")]
    Section {
        /// The section, as `cargo xtask test` takes it.
        name: &'static str,
        /// What failed in it.
        source: Box<Trouble>,
    },
    /// Anything else, said in a full sentence.
    #[error("{0}")]
    Said(String),
}

/// The result of a chore's step.
pub(crate) type Result<T> = std::result::Result<T, Trouble>;

/// Gives an I/O error the name of what was being done.
pub(crate) trait Doing<T> {
    /// `doing` completes the sentence "could not ...".
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Trouble::Io { doing: doing(), source })
    }
}
