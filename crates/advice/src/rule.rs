//! The rules: their names, and what they ask for.

use dockerfile::RuleInfo;

/// A rule of advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "`Rule::summary` describes them")]
pub enum Rule {
    AddInsteadOfCopy,
    CopyBeforeInstall,
    DevDependenciesInFinalStage,
    InstallRepeatedInFinalStage,
    MissingIgnoreEntry,
    NoUserInFinalStage,
    PackageCacheInLayer,
    SecretCopied,
    SecretValue,
    WholeBuilderCopied,
}

impl Rule {
    /// All rules, by name.
    pub const ALL: [Rule; 10] = [
        Self::AddInsteadOfCopy,
        Self::CopyBeforeInstall,
        Self::DevDependenciesInFinalStage,
        Self::InstallRepeatedInFinalStage,
        Self::MissingIgnoreEntry,
        Self::NoUserInFinalStage,
        Self::PackageCacheInLayer,
        Self::SecretCopied,
        Self::SecretValue,
        Self::WholeBuilderCopied,
    ];

    /// The name that users write in `# check=skip=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::AddInsteadOfCopy => "Jettison/AddInsteadOfCopy",
            Self::CopyBeforeInstall => "Jettison/CopyBeforeInstall",
            Self::DevDependenciesInFinalStage => "Jettison/DevDependenciesInFinalStage",
            Self::InstallRepeatedInFinalStage => "Jettison/InstallRepeatedInFinalStage",
            Self::MissingIgnoreEntry => "Jettison/MissingIgnoreEntry",
            Self::NoUserInFinalStage => "Jettison/NoUserInFinalStage",
            Self::PackageCacheInLayer => "Jettison/PackageCacheInLayer",
            Self::SecretCopied => "Jettison/SecretCopied",
            Self::SecretValue => "Jettison/SecretValue",
            Self::WholeBuilderCopied => "Jettison/WholeBuilderCopied",
        }
    }

    /// The rule of a name; the case counts.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rule| rule.name() == name)
    }

    /// What the rule asks for, in a sentence.
    pub fn summary(self) -> &'static str {
        match self {
            Self::AddInsteadOfCopy => {
                "Plain files of the context are taken with COPY; ADD also downloads and unpacks."
            }
            Self::CopyBeforeInstall => {
                "What a dependency install reads is copied before it, the rest after it, so that a changed source does not install again."
            }
            Self::DevDependenciesInFinalStage => "The stage that ships has no development dependencies.",
            Self::InstallRepeatedInFinalStage => {
                "The final stage takes packages from the stage that installed them."
            }
            Self::MissingIgnoreEntry => {
                "The ignore file keeps node_modules, .git and .env out of a COPY of everything."
            }
            Self::NoUserInFinalStage => "The final stage names a USER that is not root.",
            Self::PackageCacheInLayer => "No package manager's cache stays in a layer that ships.",
            Self::SecretCopied => {
                "Files that hold secrets are mounts of the step that needs them, never copied."
            }
            Self::SecretValue => "No secret is written into the Dockerfile as a value.",
            Self::WholeBuilderCopied => {
                "Of a build stage the parts that are needed are copied, not its whole folder."
            }
        }
    }

    /// The rule as lists of rules show it.
    pub fn info(self) -> RuleInfo {
        RuleInfo { name: self.name(), description: self.summary(), help: self.example().why, url: "" }
    }

    /// Where `docs/rules.md` tells more: the anchor of its section.
    pub fn anchor(self) -> String {
        self.name().to_lowercase().replace('/', "")
    }

    /// Whether `--check --fix` rewrites findings of the rule, where that is safe.
    pub fn is_fixable(self) -> bool {
        matches!(self, Self::AddInsteadOfCopy | Self::CopyBeforeInstall | Self::PackageCacheInLayer)
    }
}
