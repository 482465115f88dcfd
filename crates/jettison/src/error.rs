//! The one error at the edge: what went wrong, hints, and the exit code.

use crate::screen;
use std::fmt::Write as _;

/// An error as the user reads it.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// The exit code.
    pub(crate) code: u8,
    /// The message, causes joined; it may have several lines.
    pub(crate) message: String,
    /// What may help.
    pub(crate) hints: Vec<String>,
}

/// What a command returns: its exit code.
pub(crate) type Outcome<T = u8> = Result<T, CommandError>;

/// The exit code of a wrong command line and of the tool's own errors in `run`, as Docker's.
pub(crate) const USAGE: u8 = 125;

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
            if let Some(hint) = hint_of(cause)
                && !hints.contains(&hint)
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
    // It says nothing of its own, and so is not in the chain.
    if let Some(export::Error::Registry(error)) = error.downcast_ref() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<network::Error>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<session::Error>() {
        return error.hint();
    }
    None
}

impl<E: std::error::Error + 'static> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::chain(&error)
    }
}
