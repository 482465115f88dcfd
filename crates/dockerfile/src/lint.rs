//! The rules of `build --check`, by BuildKit's names.
//!
//! The rules that need no more than the text are found here ([`check`]); those that need the environment, images or
//! the context are the frontend's, which makes their findings with [`Rule::diagnostic`] and [`messages`].
//!
//! Which rules count is said by `# check=skip=A,B;error=true` at the top of the file, or, for one instruction, by
//! the same comment right above it (its `skip` and `experimental` are then added).

mod casing;
pub mod messages;
mod rules;

use crate::diagnostic::{Diagnostic, RuleInfo};
use crate::instruction::{Dockerfile, Instruction};
use crate::source::Span;

pub use rules::{StageRules, check, check_file, is_secret_name};

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "`Rule::description` describes them")]
pub enum Rule {
    StageNameCasing,
    FromAsCasing,
    NoEmptyContinuation,
    ConsistentInstructionCasing,
    DuplicateStageName,
    ReservedStageName,
    JSONArgsRecommended,
    MaintainerDeprecated,
    UndefinedArgInFrom,
    WorkdirRelativePath,
    UndefinedVar,
    MultipleInstructionsDisallowed,
    LegacyKeyValueFormat,
    InvalidBaseImagePlatform,
    RedundantTargetPlatform,
    SecretsUsedInArgOrEnv,
    InvalidDefaultArgInFrom,
    FromPlatformFlagConstDisallowed,
    CopyIgnoredFile,
    InvalidDefinitionDescription,
    ExposeProtoCasing,
    ExposeInvalidFormat,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 22] = [
        Self::StageNameCasing,
        Self::FromAsCasing,
        Self::NoEmptyContinuation,
        Self::ConsistentInstructionCasing,
        Self::DuplicateStageName,
        Self::ReservedStageName,
        Self::JSONArgsRecommended,
        Self::MaintainerDeprecated,
        Self::UndefinedArgInFrom,
        Self::WorkdirRelativePath,
        Self::UndefinedVar,
        Self::MultipleInstructionsDisallowed,
        Self::LegacyKeyValueFormat,
        Self::InvalidBaseImagePlatform,
        Self::RedundantTargetPlatform,
        Self::SecretsUsedInArgOrEnv,
        Self::InvalidDefaultArgInFrom,
        Self::FromPlatformFlagConstDisallowed,
        Self::CopyIgnoredFile,
        Self::InvalidDefinitionDescription,
        Self::ExposeProtoCasing,
        Self::ExposeInvalidFormat,
    ];

    /// The name that users write in `# check=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::StageNameCasing => "StageNameCasing",
            Self::FromAsCasing => "FromAsCasing",
            Self::NoEmptyContinuation => "NoEmptyContinuation",
            Self::ConsistentInstructionCasing => "ConsistentInstructionCasing",
            Self::DuplicateStageName => "DuplicateStageName",
            Self::ReservedStageName => "ReservedStageName",
            Self::JSONArgsRecommended => "JSONArgsRecommended",
            Self::MaintainerDeprecated => "MaintainerDeprecated",
            Self::UndefinedArgInFrom => "UndefinedArgInFrom",
            Self::WorkdirRelativePath => "WorkdirRelativePath",
            Self::UndefinedVar => "UndefinedVar",
            Self::MultipleInstructionsDisallowed => "MultipleInstructionsDisallowed",
            Self::LegacyKeyValueFormat => "LegacyKeyValueFormat",
            Self::InvalidBaseImagePlatform => "InvalidBaseImagePlatform",
            Self::RedundantTargetPlatform => "RedundantTargetPlatform",
            Self::SecretsUsedInArgOrEnv => "SecretsUsedInArgOrEnv",
            Self::InvalidDefaultArgInFrom => "InvalidDefaultArgInFrom",
            Self::FromPlatformFlagConstDisallowed => "FromPlatformFlagConstDisallowed",
            Self::CopyIgnoredFile => "CopyIgnoredFile",
            Self::InvalidDefinitionDescription => "InvalidDefinitionDescription",
            Self::ExposeProtoCasing => "ExposeProtoCasing",
            Self::ExposeInvalidFormat => "ExposeInvalidFormat",
        }
    }

    /// The rule of a name; the case counts, as in BuildKit.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// What the rule asks for, and why.
    pub fn help(self) -> &'static str {
        match self {
            Self::StageNameCasing => "Names of stages are written in lower case.",
            Self::FromAsCasing => "The word AS has the case of its FROM.",
            Self::NoEmptyContinuation => {
                "No line inside a continuation is empty; one day that will be an error."
            }
            Self::ConsistentInstructionCasing => {
                "All instructions of a file are in upper case, or all in lower."
            }
            Self::DuplicateStageName => "No two stages have one name.",
            Self::ReservedStageName => "No stage is called `scratch` or `context`.",
            Self::JSONArgsRecommended => {
                "CMD and ENTRYPOINT are JSON arrays: in shell form the shell gets the signals, not the program."
            }
            Self::MaintainerDeprecated => "The author is a label, not a MAINTAINER.",
            Self::UndefinedArgInFrom => "FROM uses only arguments that are declared above the first FROM.",
            Self::WorkdirRelativePath => {
                "The first WORKDIR of a stage is absolute, so that the base cannot move it."
            }
            Self::UndefinedVar => "Variables are defined before they are used.",
            Self::MultipleInstructionsDisallowed => {
                "A stage has one CMD, ENTRYPOINT and HEALTHCHECK each; only the last one counts."
            }
            Self::LegacyKeyValueFormat => "ENV and LABEL are written with `=`.",
            Self::InvalidBaseImagePlatform => "A base image has the platform that was asked for.",
            Self::RedundantTargetPlatform => "FROM takes TARGETPLATFORM without being told.",
            Self::SecretsUsedInArgOrEnv => "Secrets are mounts, not ARG or ENV, which stay in the image.",
            Self::InvalidDefaultArgInFrom => "FROM names a valid image even if no build argument is given.",
            Self::FromPlatformFlagConstDisallowed => "FROM --platform is a variable, not a fixed platform.",
            Self::CopyIgnoredFile => "COPY and ADD name no file that the ignore file excludes.",
            Self::InvalidDefinitionDescription => {
                "The comment above a stage or an argument describes it: `# name text`."
            }
            Self::ExposeProtoCasing => "The protocol of EXPOSE is in lower case.",
            Self::ExposeInvalidFormat => "EXPOSE names ports, no addresses and no ports of the host.",
        }
    }

    /// BuildKit's sentence about what the rule finds; tools read it.
    pub fn description(self) -> &'static str {
        match self {
            Self::StageNameCasing => "Stage names should be lowercase",
            Self::FromAsCasing => "The 'as' keyword should match the case of the 'from' keyword",
            Self::NoEmptyContinuation => "Empty continuation lines will become errors in a future release",
            Self::ConsistentInstructionCasing => {
                "All commands within the Dockerfile should use the same casing (either upper or lower)"
            }
            Self::DuplicateStageName => "Stage names should be unique",
            Self::ReservedStageName => "Reserved words should not be used as stage names",
            Self::JSONArgsRecommended => {
                "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals"
            }
            Self::MaintainerDeprecated => {
                "The MAINTAINER instruction is deprecated, use a label instead to define an image author"
            }
            Self::UndefinedArgInFrom => "FROM command must use declared ARGs",
            Self::WorkdirRelativePath => {
                "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes"
            }
            Self::UndefinedVar => "Variables should be defined before their use",
            Self::MultipleInstructionsDisallowed => {
                "Multiple instructions of the same type should not be used in the same stage"
            }
            Self::LegacyKeyValueFormat => {
                "Legacy key/value format with whitespace separator should not be used"
            }
            Self::InvalidBaseImagePlatform => "Base image platform does not match expected target platform",
            Self::RedundantTargetPlatform => {
                "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"
            }
            Self::SecretsUsedInArgOrEnv => "Sensitive data should not be used in the ARG or ENV commands",
            Self::InvalidDefaultArgInFrom => {
                "Default value for global ARG results in an empty or invalid base image name"
            }
            Self::FromPlatformFlagConstDisallowed => "FROM --platform flag should not use a constant value",
            Self::CopyIgnoredFile => "Attempting to Copy file that is excluded by .dockerignore",
            Self::InvalidDefinitionDescription => {
                "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not intended to be a description comment, add an empty line or comment between the instruction and the comment."
            }
            Self::ExposeProtoCasing => "Protocol in EXPOSE instruction should be lowercase",
            Self::ExposeInvalidFormat => {
                "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release"
            }
        }
    }

    /// BuildKit's page about the rule; empty where it has none.
    pub fn url(self) -> &'static str {
        match self {
            Self::StageNameCasing => "https://docs.docker.com/go/dockerfile/rule/stage-name-casing/",
            Self::FromAsCasing => "https://docs.docker.com/go/dockerfile/rule/from-as-casing/",
            Self::NoEmptyContinuation => "https://docs.docker.com/go/dockerfile/rule/no-empty-continuation/",
            Self::ConsistentInstructionCasing => {
                "https://docs.docker.com/go/dockerfile/rule/consistent-instruction-casing/"
            }
            Self::DuplicateStageName => "https://docs.docker.com/go/dockerfile/rule/duplicate-stage-name/",
            Self::ReservedStageName => "https://docs.docker.com/go/dockerfile/rule/reserved-stage-name/",
            Self::JSONArgsRecommended => "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/",
            Self::MaintainerDeprecated => "https://docs.docker.com/go/dockerfile/rule/maintainer-deprecated/",
            Self::UndefinedArgInFrom => "https://docs.docker.com/go/dockerfile/rule/undefined-arg-in-from/",
            Self::WorkdirRelativePath => "https://docs.docker.com/go/dockerfile/rule/workdir-relative-path/",
            Self::UndefinedVar => "https://docs.docker.com/go/dockerfile/rule/undefined-var/",
            Self::MultipleInstructionsDisallowed => {
                "https://docs.docker.com/go/dockerfile/rule/multiple-instructions-disallowed/"
            }
            Self::LegacyKeyValueFormat => {
                "https://docs.docker.com/go/dockerfile/rule/legacy-key-value-format/"
            }
            Self::RedundantTargetPlatform => {
                "https://docs.docker.com/go/dockerfile/rule/redundant-target-platform/"
            }
            Self::SecretsUsedInArgOrEnv => {
                "https://docs.docker.com/go/dockerfile/rule/secrets-used-in-arg-or-env/"
            }
            Self::InvalidDefaultArgInFrom => {
                "https://docs.docker.com/go/dockerfile/rule/invalid-default-arg-in-from/"
            }
            Self::FromPlatformFlagConstDisallowed => {
                "https://docs.docker.com/go/dockerfile/rule/from-platform-flag-const-disallowed/"
            }
            Self::CopyIgnoredFile => "https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/",
            Self::InvalidDefinitionDescription => {
                "https://docs.docker.com/go/dockerfile/rule/invalid-definition-description/"
            }
            Self::ExposeProtoCasing => "https://docs.docker.com/go/dockerfile/rule/expose-proto-casing/",
            Self::ExposeInvalidFormat => "https://docs.docker.com/go/dockerfile/rule/expose-invalid-format/",
            Self::InvalidBaseImagePlatform => "",
        }
    }

    /// All of it, for lists of rules.
    pub fn info(self) -> RuleInfo {
        RuleInfo { name: self.name(), description: self.description(), help: self.help(), url: self.url() }
    }

    /// Whether the rule is off unless asked for with `experimental=`.
    pub fn is_experimental(self) -> bool {
        self == Self::InvalidDefinitionDescription
    }

    /// A finding of this rule: a warning that carries its name.
    pub fn diagnostic(self, message: impl Into<String>, span: Span) -> Diagnostic {
        Diagnostic::warning(message, span).with_rule(self.name())
    }
}

/// Which rules count, and whether a finding fails the build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `skip=all`
    pub skip_all: bool,
    /// `skip=A,B`
    pub skip: Vec<String>,
    /// `experimental=all`
    pub experimental_all: bool,
    /// `experimental=A,B`
    pub experimental: Vec<String>,
    /// `error=true`: a finding fails the build.
    pub error: bool,
}

/// A `check` value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{option}` is no option of `check`; it takes `skip=`, `experimental=` and `error=`{}", meant(.option))]
pub struct ConfigError {
    /// The part that is not understood.
    pub option: String,
}

fn meant(option: &str) -> String {
    let key = option.split('=').next().unwrap_or_default().trim();
    let near = crate::suggest::nearest(key, ["skip", "experimental", "error"], false);
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

impl Config {
    /// Reads `skip=A,B|all;experimental=A,B|all;error=true`, the value of the directive or of the build argument
    /// BUILDKIT_DOCKERFILE_CHECK.
    pub fn parse(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(config);
        }
        for option in text.splitn(3, ';') {
            let fail = || ConfigError { option: option.to_owned() };
            let (key, value) = option.split_once('=').ok_or_else(fail)?;
            let value = value.trim();
            let names = || value.split(',').map(|name| name.trim().to_owned()).collect();
            match key.trim() {
                "skip" if value == "all" => config.skip_all = true,
                "skip" => config.skip = names(),
                "experimental" if value == "all" => config.experimental_all = true,
                "experimental" => config.experimental = names(),
                "error" => config.error = crate::number::boolean(value).ok_or_else(fail)?,
                _ => return Err(fail()),
            }
        }
        Ok(config)
    }

    /// What the file's own `check` directive says; nothing without one. Of its value the first word counts.
    pub fn of(dockerfile: &Dockerfile) -> Result<Config, ConfigError> {
        match &dockerfile.directives.check {
            Some(value) => Config::parse(value.split(' ').next().unwrap_or_default()),
            None => Ok(Config::default()),
        }
    }

    /// The same with what `other` skips and asks for added; `error` stays.
    pub fn merged(mut self, other: Config) -> Config {
        self.skip_all |= other.skip_all;
        self.skip.extend(other.skip);
        self.experimental_all |= other.experimental_all;
        self.experimental.extend(other.experimental);
        self
    }

    /// The same with what the comments above an instruction say. A comment that cannot be read says nothing.
    pub fn at(&self, instruction: &Instruction) -> Config {
        let said = instruction.comments.iter().find_map(|comment| {
            let (key, value) = comment.split_once('=')?;
            key.trim_end()
                .eq_ignore_ascii_case("check")
                .then(|| value.trim().split(' ').next().unwrap_or_default())
        });
        match said.map(Config::parse) {
            Some(Ok(more)) => self.clone().merged(more),
            _ => self.clone(),
        }
    }

    /// Whether findings of a rule that is none of BuildKit's count, by its name: `Room/Name`. `skip=Room/*` skips all
    /// rules of a room.
    pub fn allows_name(&self, name: &str) -> bool {
        let skips = |skip: &String| {
            skip == name
                || skip.strip_suffix('*').is_some_and(|room| room.ends_with('/') && name.starts_with(room))
        };
        !self.skip_all && !self.skip.iter().any(skips)
    }

    /// Whether a finding counts: one that is no rule's does.
    pub fn allows_finding(&self, finding: &Diagnostic) -> bool {
        finding.rule.and_then(Rule::parse).is_none_or(|rule| self.allows(rule))
    }

    /// Whether findings of the rule count.
    pub fn allows(&self, rule: Rule) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == rule.name());
        if rule.is_experimental() {
            self.experimental_all || named(&self.experimental)
        } else {
            !self.skip_all && !named(&self.skip)
        }
    }
}

#[cfg(test)]
mod tests;
