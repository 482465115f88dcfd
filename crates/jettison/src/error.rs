//! The one error at the edge: what went wrong, hints, and the exit code.

use crate::screen;
use std::fmt::Write as _;

/// An error as the user reads it.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) code: u8,
    /// The message, causes joined; it may have several lines. Where it is empty, nothing is said.
    pub(crate) message: String,
    /// What may help.
    pub(crate) hints: Vec<String>,
}

/// What a command returns: its exit code.
pub(crate) type Outcome<T = u8> = Result<T, CommandError>;

/// The exit code of a wrong command line and of the tool's own errors in `run`, as Docker's.
pub(crate) const USAGE: u8 = 125;

/// The exit code of a program that SIGPIPE ended: whoever read its output has gone away.
pub(crate) const OUTPUT_GONE: u8 = 128 + 13;

impl CommandError {
    /// An error of one message; the exit code is 1.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into(), hints: Vec::new() }
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::new(message) }
    }

    /// An error and all its causes in one line.
    pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = error.to_string();
        let mut hints = Vec::new();
        let mut next = Some(error);
        while let Some(cause) = next {
            if cause.downcast_ref().is_some_and(export::Error::is_reader_gone) {
                return Self { code: OUTPUT_GONE, message: String::new(), hints: Vec::new() };
            }
            if let Some(hint) = hint_of(cause)
                && !hints.contains(&hint)
                // What is closer to the user knows better where there is no room.
                && (hints.is_empty() || cause.downcast_ref::<std::io::Error>().is_none())
            {
                hints.push(hint);
            }
            next = cause.source();
            if let Some(cause) = next {
                let text = cause.to_string();
                if !message.ends_with(&text) {
                    let _ = write!(message, ": {text}");
                }
            }
        }
        Self { hints, ..Self::new(message) }
    }

    /// The same with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same with another exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Shows it on standard error.
    pub(crate) fn show(&self) {
        if !self.message.is_empty() {
            screen::say(&format!("error: {}", self.message));
        }
        for hint in &self.hints {
            screen::say(&format!("hint: {hint}"));
        }
    }
}

/// The hint of an error of one of the crates below.
fn hint_of(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<executor::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<container::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<store::Error>() {
        return error.hint().map(Into::into);
    }
    if let Some(error) = error.downcast_ref::<registry::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<export::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return full_disk(error);
    }
    if let Some(error) = error.downcast_ref::<network::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<session::Error>() {
        return error.hint();
    }
    None
}

/// What the system's word for a full disk means.
fn full_disk(error: &std::io::Error) -> Option<String> {
    use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    match error.kind() {
        StorageFull | QuotaExceeded => {
            Some("the disk is full: `jettison system df` shows what takes the store's room, `jettison system prune` frees some")
        }
        ReadOnlyFilesystem => Some("JETTISON_ROOT names a folder that can be written for the store"),
        _ => None,
    }
    .map(str::to_owned)
}

impl<E: std::error::Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::chain(&error)
    }
}
