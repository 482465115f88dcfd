//! The one error of this crate.

use std::path::{Path, PathBuf};

/// An error of whoever stands behind a trait.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why something could not be done to a container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no container of this name or id.
    #[error("no such container: {name}")]
    NoContainer {
        /// As it was asked for.
        name: String,
    },
    /// There is no image of this name or id in the store.
    #[error("no such image: {name}")]
    NoImage {
        /// As it was asked for.
        name: String,
    },
    /// It needs a running container.
    #[error("container {name} is not running")]
    NotRunning {
        /// The container.
        name: String,
    },
    /// It needs a container that does not run.
    #[error("container {name} is running")]
    Running {
        /// The container.
        name: String,
        /// What can be done about it.
        hint: &'static str,
    },
    /// Neither the image nor the user says what to run.
    #[error("no command specified: image {image} has no CMD or ENTRYPOINT, and none was given")]
    NoCommand {
        /// The image as it was asked for.
        image: String,
    },
    /// A setting that has no meaning.
    #[error("invalid {what} `{value}`: {reason}")]
    Invalid {
        /// Which setting.
        what: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A thing that this version cannot do.
    #[error("{what} is not supported yet")]
    Unsupported {
        /// What.
        what: String,
    },
    /// The container could not be started.
    #[error("cannot start container {name}: {message}")]
    Start {
        /// The container.
        name: String,
        /// Why.
        message: String,
        /// What may help.
        hint: Option<String>,
        /// 127 for a program that is not there, 126 for one that cannot be executed, 125 for all else.
        code: i32,
    },
    /// A process could not be started in a running container.
    #[error("cannot run in container {name}: {message}")]
    Exec {
        /// The container.
        name: String,
        /// Why.
        message: String,
        /// 127, 126 or 125, as for a start.
        code: i32,
    },
    /// The monitor went away in the middle of a conversation.
    #[error("the monitor of container {name} has ended unexpectedly")]
    MonitorGone {
        /// The container.
        name: String,
    },
    /// The monitor answered something that this version does not know.
    #[error("the monitor of container {name} answered: {message}")]
    Answer {
        /// The container.
        name: String,
        /// What.
        message: String,
    },
    /// A path in a container cannot be copied from or to.
    #[error("cannot copy `{path}`: {reason}")]
    Copy {
        /// The path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The image's configuration, or a container's, cannot be read.
    #[error("the configuration of {what} is damaged")]
    Config {
        /// Of which image or container.
        what: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The image's configuration cannot be read.
    #[error("the configuration of image {image} is damaged")]
    Image {
        /// Which.
        image: String,
        /// Why.
        #[source]
        source: oci::Error,
    },
    /// The files of the image's layers cannot be had.
    #[error("cannot make the files of image {image}")]
    Layers {
        /// Which.
        image: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// An archive for `cp` cannot be read.
    #[error("cannot read the archive")]
    Archive(#[from] layer::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A process could not be started.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// The network could not be made.
    #[error(transparent)]
    Network(#[from] network::Error),
    /// A file.
    #[error("cannot {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl Error {
    /// The exit code of `run`, `create`, `start` and `exec` for this error: 127 for a program that is not there, 126 for
    /// one that cannot be executed, 125 for all else.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Start { code, .. } | Self::Exec { code, .. } => *code,
            Self::Sandbox(error) => error.exit_code(),
            _ => 125,
        }
    }

    /// What may help, where something is known that may.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Running { hint, .. } => Some((*hint).to_owned()),
            Self::Start { hint, .. } => hint.clone(),
            Self::Network(error) => error.hint(),
            Self::Sandbox(sandbox::Error::Start { step, .. }) if step.contains("does not map") => Some(
                "this user has one id only: lines for it in /etc/subuid and /etc/subgid (and the uidmap package) give it more"
                    .to_owned(),
            ),
            Self::Sandbox(sandbox::Error::NotExecutable { source, .. })
                if source.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) =>
            {
                Some(
                    "a program of another platform needs a handler in binfmt_misc, such as that of qemu-user-static; a script needs a first line such as `#!/bin/sh`"
                        .to_owned(),
                )
            }
            Self::Store(store::Error::Taken { kind: "container", name, .. }) => Some(format!(
                "remove that container (`jettison rm {name}`) or rename it, or choose another name"
            )),
            _ => None,
        }
    }

    pub(crate) fn io(
        action: &'static str,
        path: impl AsRef<Path>,
        source: impl Into<std::io::Error>,
    ) -> Self {
        Self::Io { action, path: path.as_ref().to_owned(), source: source.into() }
    }

    pub(crate) fn invalid(what: &'static str, value: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { what, value: value.into(), reason: reason.into() }
    }

    pub(crate) fn copy(path: impl AsRef<[u8]>, reason: impl Into<String>) -> Self {
        Self::Copy { path: String::from_utf8_lossy(path.as_ref()).into_owned(), reason: reason.into() }
    }
}

/// An error and all its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut message = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !message.ends_with(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        next = cause.source();
    }
    message
}
