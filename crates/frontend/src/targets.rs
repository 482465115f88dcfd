//! The stages of a file, for people who look for one to build (`build --call targets`).
//!
//! Fields and their order are those of BuildKit's subrequest `frontend.targets`, version 1.0.0. Nothing is expanded.

use crate::Location;
use dockerfile::Dockerfile;
use serde::Serialize;

/// A stage that can be built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Its name; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether it is built when no other is asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub default: bool,
    /// Its description, from the comment above its FROM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What it stands on, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub base: String,
    /// Its `--platform`, as written.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub platform: String,
    /// The lines of its FROM.
    pub location: Location,
}

/// Lists the stages in the order of the file.
pub fn targets(dockerfile: &Dockerfile) -> Vec<Target> {
    let stages = dockerfile.stages();
    let last = stages.len().saturating_sub(1);
    let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
    stages
        .iter()
        .map(|stage| Target {
            name: owned(stage.name()),
            default: stage.index == last,
            description: owned(stage.description()),
            base: stage.base().to_owned(),
            platform: owned(stage.platform()),
            location: stage.instruction.lines.into(),
        })
        .collect()
}
