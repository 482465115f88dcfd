//! What is known besides the text: the build context, the base images, what was asked for. Plain data; whoever calls
//! reads it. What is not known is left out, and rules that would need it stay silent.

use dockerfile::ignore::Patterns;
use std::collections::BTreeMap;

/// The files at the top of a context whose content helps to decide, where they are there. All are small; a caller may
/// leave out what is larger than a mebibyte, or not UTF-8.
pub const FILES: [&str; 9] = [
    ".npmrc",
    ".yarnrc",
    "Gemfile",
    "composer.json",
    "go.mod",
    "package.json",
    "pyproject.toml",
    "requirements.txt",
    "yarn.lock",
];

/// What is known about a build.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `--target`; nothing is the last stage.
    pub target: Option<String>,
    /// `--build-arg`, values resolved, in order.
    pub build_args: Vec<(String, String)>,
    /// The build context, where it is a folder that can be looked into.
    pub context: Option<Context>,
    /// Base images whose configuration is known, by the name that FROM gives once its variables are filled in.
    pub bases: BTreeMap<String, Base>,
}

/// What is known about the build context.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The names at its top, ignored ones too; of each whether it is a folder.
    pub names: BTreeMap<String, bool>,
    /// What the ignore file leaves out; `None` where there is no ignore file.
    pub ignore: Option<Patterns>,
    /// The content of those of [`FILES`] that are there.
    pub texts: BTreeMap<String, String>,
}

/// What the configuration of a base image says.
#[derive(Clone, Debug, Default)]
pub struct Base {
    /// `NAME=value`
    pub environment: Vec<String>,
    /// Its working directory; empty is `/`.
    pub directory: String,
    /// Its user; empty is root.
    pub user: String,
}

impl Context {
    /// Whether a name at the top reaches the build.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.get(name).is_some_and(|folder| !self.leaves_out(name, *folder))
    }

    /// Whether the ignore file leaves it out: the name itself, or, of a folder, everything in it.
    fn leaves_out(&self, name: &str, folder: bool) -> bool {
        self.ignore.as_ref().is_some_and(|ignore| {
            ignore.matches(name) || (folder && ignore.matches(&format!("{name}/any-name-at-all")))
        })
    }

    /// The content of a file that reaches the build, where it is known.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        if self.has(name) { self.texts.get(name).map(String::as_str) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_may_be_left_out_by_their_content() {
        let with = |ignore: &str| Context {
            names: BTreeMap::from([("node_modules".to_owned(), true), ("a".to_owned(), false)]),
            ignore: Some(Patterns::parse(ignore).unwrap()),
            texts: BTreeMap::from([("a".to_owned(), "x".to_owned())]),
        };
        for ignore in
            ["node_modules", "node_modules/", "node_modules/*", "**/node_modules", "node_modules/**"]
        {
            assert!(!with(ignore).has("node_modules"), "{ignore}");
            assert_eq!(with(ignore).text("a"), Some("x"));
        }
        assert!(with("node_modules/x").has("node_modules"));
        assert!(!with("").has("b"));
        assert_eq!(with("*").text("a"), None);
    }
}
