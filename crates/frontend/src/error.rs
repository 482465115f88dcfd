//! The one error of this crate.

use crate::BoxError;
use dockerfile::{Diagnostic, Span};

/// Why a Dockerfile could not be lowered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Something in the Dockerfile is wrong, at a place.
    #[error("{}", .0.message)]
    Dockerfile(Box<Diagnostic>),
    /// A base image could not be resolved.
    #[error("cannot resolve the image `{reference}`")]
    Image {
        /// The image as the Dockerfile names it.
        reference: String,
        /// Where it does.
        span: Span,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// SOURCE_DATE_EPOCH names something whose time cannot be had.
    #[error("cannot find the time of SOURCE_DATE_EPOCH, `{value}`")]
    Epoch {
        /// The argument's value.
        value: String,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// `--target` names no stage.
    #[error("the target stage `{target}` is not in the Dockerfile")]
    Target {
        /// What was asked for.
        target: String,
        /// The stages there are.
        stages: Vec<String>,
    },
    /// Several things are wrong, none of which follows from another as far as can be seen.
    #[error("{}", several(.0))]
    Several(Vec<Error>),
    /// `# check=error=true`, and a rule has something to say.
    #[error("the checks of the Dockerfile fail: {}", summary(.found))]
    Check {
        /// The findings, in the order of the file; never empty.
        found: Vec<Diagnostic>,
    },
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn several(errors: &[Error]) -> String {
    let shown: Vec<String> = errors.iter().map(ToString::to_string).collect();
    shown.join("; ")
}

fn summary(found: &[Diagnostic]) -> String {
    let shown: Vec<String> =
        found.iter().map(|one| format!("{}: {}", one.rule.unwrap_or_default(), one.message)).collect();
    shown.join("; ")
}

impl Error {
    /// An error at a place, with hints.
    pub(crate) fn at(span: Span, message: impl Into<String>) -> Self {
        Self::Dockerfile(Box::new(Diagnostic::error(message, span)))
    }

    /// An image's error with its cause in words, so that hints can be added.
    pub(crate) fn explained(self) -> Self {
        let Self::Image { span, source, .. } = &self else { return self };
        Self::at(*span, format!("{self}: {}", chain(source.as_ref())))
    }

    /// The same with a hint.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        match self {
            Self::Dockerfile(diagnostic) => Self::Dockerfile(Box::new(diagnostic.with_hint(hint))),
            other => other,
        }
    }

    /// The errors that this one consists of; most consist of themselves.
    #[must_use]
    pub fn each(&self) -> &[Error] {
        match self {
            Self::Several(errors) => errors,
            one => std::slice::from_ref(one),
        }
    }

    /// All places in the Dockerfile that the error is about, in the order of the file, images' causes in words.
    #[must_use]
    pub fn diagnostics(self) -> Vec<Diagnostic> {
        let mut all: Vec<Diagnostic> = match self {
            Self::Several(errors) => errors.into_iter().flat_map(Self::diagnostics).collect(),
            Self::Check { found } => found,
            one => one.explained().diagnostic().into_iter().collect(),
        };
        all.sort_by_key(|one| one.span);
        all
    }

    /// The place in the Dockerfile that the error is about, with its words, where there is one.
    #[must_use]
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        match self {
            Self::Dockerfile(diagnostic) => Some((**diagnostic).clone()),
            Self::Image { span, .. } => Some(Diagnostic::error(self.to_string(), *span)),
            Self::Several(errors) => errors.iter().find_map(Self::diagnostic),
            Self::Target { .. } | Self::Epoch { .. } => None,
            Self::Check { found } => {
                let span = found.first().map(|one| one.span).unwrap_or_default();
                Some(Diagnostic::error(self.to_string(), span))
            }
        }
    }
}
