//! What can go wrong in a sandbox. Every message names the thing it is about.

use std::io;
use std::path::PathBuf;

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A system call about a named thing failed.
    #[error("cannot {action} `{subject}`: {source}")]
    Os {
        /// What was tried, as a verb phrase.
        action: &'static str,
        /// The path, interface, process or option it was about.
        subject: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The process was cloned but failed at a step before exec.
    #[error("cannot start `{program}`: {step}: {source}")]
    Start {
        /// The program that was to run.
        program: String,
        /// The step that failed, such as "mount `/proc`".
        step: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The program does not exist in the root, or its interpreter does not. The exit code for this is 127.
    #[error("exec `{program}`: {reason}")]
    NotFound {
        /// The program as it was asked for.
        program: String,
        /// Why, such as "executable file not found in $PATH".
        reason: String,
    },
    /// The program exists but cannot be executed. The exit code for this is 126.
    #[error("exec `{program}`: {source}")]
    NotExecutable {
        /// The program as it was asked for.
        program: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// The specification asks for something that has no meaning.
    #[error("{0}")]
    Invalid(String),
    /// A user that is not in the root's `/etc/passwd`.
    #[error("unable to find user {name}: no matching entries in passwd file")]
    UnknownUser {
        /// The name that was asked for.
        name: String,
    },
    /// A group that is not in the root's `/etc/group`.
    #[error("unable to find group {name}: no matching entries in group file")]
    UnknownGroup {
        /// The name that was asked for.
        name: String,
    },
    /// A file of the root is too large to be what it should be.
    #[error("`{path}` in the root is larger than {limit} bytes")]
    TooLarge {
        /// The path inside the root.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The launcher's thread is gone.
    #[error("the launcher's thread has ended")]
    LauncherGone,
    /// A plain user cannot get the namespaces asked for.
    #[error("cannot run without root here: {reason}")]
    Rootless {
        /// Why, with what could be done.
        reason: String,
    },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code that `docker run` gives this error: 127 for a program that is not there, 126 for one that
    /// cannot be executed, 125 for all else.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            _ => 125,
        }
    }

    pub(crate) fn os(action: &'static str, subject: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Os { action, subject: subject.into(), source: source.into() }
    }

    pub(crate) fn errno(action: &'static str, subject: impl Into<String>, errno: i32) -> Self {
        Self::os(action, subject, io::Error::from_raw_os_error(errno))
    }
}
