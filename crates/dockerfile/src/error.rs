//! What can be wrong with a Dockerfile.

use crate::diagnostic::{Diagnostic, Severity};
use crate::source::Span;
use crate::{DeviceError, Dockerfile, MountError};

/// One fault of a Dockerfile: what, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// What is wrong.
    #[source]
    pub kind: ErrorKind,
    /// The words that it is about.
    pub span: Span,
    /// A sentence that helps, if there is one.
    pub hint: Option<String>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, span: Span) -> Self {
        Self { kind, span, hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// The fault as a diagnostic, to be rendered with the source text.
    pub fn to_diagnostic(&self) -> Diagnostic {
        let mut diagnostic = Diagnostic::new(Severity::Error, self.kind.to_string(), self.span);
        diagnostic.label = self.kind.label();
        diagnostic.hints.extend(self.hint.clone());
        diagnostic
    }
}

/// Why a Dockerfile could not be read: every fault that was found, and what could be read nonetheless.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}", summary(.errors))]
pub struct ParseFailure {
    /// The faults in the order of the file; never empty.
    pub errors: Vec<Error>,
    /// The instructions that were well formed; good for lint and display, not for a build.
    pub dockerfile: Box<Dockerfile>,
}

impl ParseFailure {
    /// The faults as diagnostics, warnings after them.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let errors = self.errors.iter().map(Error::to_diagnostic);
        errors.chain(self.dockerfile.warnings.iter().cloned()).collect()
    }
}

fn summary(errors: &[Error]) -> String {
    match errors {
        [] => "the Dockerfile cannot be read".to_owned(),
        [only] => only.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// What is wrong, with the names that it is about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant is described by its message, each field by its name in it")]
pub enum ErrorKind {
    #[error("unknown instruction `{name}`")]
    UnknownInstruction { name: String },
    #[error("the Dockerfile has no instructions")]
    NoInstructions,
    #[error("the Dockerfile has no build stage")]
    NoStage,
    #[error("`{instruction}` stands before the first FROM; only ARG may")]
    BeforeFirstFrom { instruction: String },
    #[error("the directive `{key}` is given twice")]
    DuplicateDirective { key: &'static str },
    #[error("`{value}` cannot be the escape character; only `\\` and the backtick can")]
    InvalidEscape { value: String },
    #[error("the heredoc `{word}` is never closed")]
    UnterminatedHeredoc { word: String },
    #[error("{instruction} knows no flag `--{flag}`")]
    UnknownFlag { instruction: &'static str, flag: String },
    #[error("the flag `--{flag}` is given twice")]
    DuplicateFlag { flag: String },
    #[error("the flag `--{flag}` needs a value")]
    FlagNeedsValue { flag: String },
    #[error("the flag `--{flag}` is `true` or `false`, not `{value}`")]
    FlagNotBoolean { flag: String, value: String },
    #[error("{instruction} needs at least one argument")]
    AtLeastOneArgument { instruction: &'static str },
    #[error("{instruction} takes exactly one argument")]
    ExactlyOneArgument { instruction: &'static str },
    #[error("{instruction} needs a source and a destination")]
    NoDestination { instruction: &'static str },
    #[error("a heredoc cannot be the destination of {instruction}")]
    HeredocDestination { instruction: &'static str },
    #[error("every element of a JSON array must be a string")]
    NotStringArray,
    #[error("{instruction} needs a name and a value")]
    NeedsNameAndValue { instruction: &'static str },
    #[error("`{word}` has no `=`; {instruction} takes name=value")]
    NoEquals { instruction: &'static str, word: String },
    #[error("a name of {instruction} is empty")]
    BlankName { instruction: &'static str },
    #[error("FROM takes one argument, or three: `FROM image AS name`")]
    FromArguments,
    #[error("`{name}` cannot name a build stage")]
    InvalidStageName { name: String },
    #[error("ONBUILD of ONBUILD is not allowed")]
    ChainedOnBuild,
    #[error("{instruction} is not allowed as an ONBUILD trigger")]
    OnBuildTrigger { instruction: String },
    #[error("SHELL takes a JSON array of strings")]
    ShellNotJson,
    #[error("HEALTHCHECK NONE takes no arguments")]
    HealthCheckNoneArguments,
    #[error("HEALTHCHECK CMD needs a command")]
    HealthCheckNoCommand,
    #[error("HEALTHCHECK is CMD or NONE, not `{word}`")]
    HealthCheckType { word: String },
    #[error("`--{flag}={value}` is not a duration: {reason}")]
    InvalidDuration { flag: String, value: String, reason: String },
    #[error("`--retries={value}` is not a number from 0 to 2147483647")]
    InvalidRetries { value: String },
    #[error("a VOLUME cannot be an empty string")]
    EmptyVolume,
    #[error("`--from` of COPY does not expand variables")]
    CopyFromVariable,
    #[error("`--network` is `default`, `none` or `host`, not `{value}`")]
    InvalidNetwork { value: String },
    #[error("`--security` is `sandbox` or `insecure`, not `{value}`")]
    InvalidSecurity { value: String },
    #[error("in `--mount`: {0}")]
    Mount(#[source] MountError),
    #[error("in `--device`: {0}")]
    Device(#[source] DeviceError),
}

impl ErrorKind {
    /// The few words under the underline; the message says the rest.
    fn label(&self) -> Option<String> {
        Some(
            match self {
                Self::UnknownInstruction { .. } => "no instruction of the Dockerfile language",
                Self::UnknownFlag { .. } => "unknown flag",
                Self::DuplicateFlag { .. } | Self::DuplicateDirective { .. } => "given again here",
                Self::NotStringArray => "not a string",
                Self::UnterminatedHeredoc { .. } => "opened here",
                _ => return None,
            }
            .to_owned(),
        )
    }
}
