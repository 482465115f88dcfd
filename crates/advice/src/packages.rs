//! Package managers: what a command installs, from where, and whether development packages come along.
//!
//! | manager | installs the project | development packages come | reads only manifests |
//! |---|---|---|---|
//! | npm | `ci`, `install` without names | unless `--omit=dev`, `--only=prod`, `--production`, NODE_ENV | yes |
//! | yarn, pnpm, bun | `install` without names, `yarn` alone | unless `--production`, `--prod` | yes |
//! | pip | `install -r` | no notion of its own | with `-r` and nothing else |
//! | pipenv | `install`, `sync` | with `--dev` | yes |
//! | poetry | `install`, `sync` | unless `--only`, `--without dev`, `--no-dev` | with `--no-root` |
//! | uv | `sync`, `pip install -r`, `pip sync` | unless `--no-dev` | with `--no-install-project` |
//! | pdm | `install`, `sync` | unless `--prod` | with `--no-self` |
//! | bundler | `install` | unless BUNDLE_WITHOUT | yes |
//! | composer | `install` | unless `--no-dev` | with `--no-autoloader` or `--no-scripts` |
//! | go, cargo, maven, gradle, dotnet, mix | `mod download`, `fetch`, `dependency:go-offline`, ... | no such notion | yes |
//!
//! An option whose meaning is not known makes the answer "not known", never a guess.

use crate::model::Environment;
use crate::shell::Invocation;

/// A package manager of a language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the manager of its name")]
pub(crate) enum Manager {
    Npm,
    Yarn,
    Pnpm,
    Bun,
    Pip,
    Pipenv,
    Poetry,
    Uv,
    Pdm,
    Bundler,
    Composer,
    Go,
    Cargo,
    Maven,
    Gradle,
    Dotnet,
    Mix,
}

/// What is installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// What the project's manifests ask for.
    Project,
    /// Packages by name, or tools for the whole system.
    Named,
}

/// Whether development packages come along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Development {
    /// They do, though nobody asked.
    Included,
    /// They do not.
    LeftOut,
    /// They do, and were asked for by name.
    Asked,
    /// That hangs on something that is not known, or there is no such notion.
    Unknown,
}

/// An install.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Install {
    pub(crate) manager: Manager,
    pub(crate) scope: Scope,
    pub(crate) development: Development,
    /// Whether it reads the project's manifests and none of its sources.
    pub(crate) manifests_only: bool,
    /// The files that `-r` names.
    pub(crate) requirements: Vec<String>,
}

impl Manager {
    /// The manifest without which it cannot work, if it has a fixed name.
    pub(crate) fn manifest(self) -> Option<&'static str> {
        match self {
            Self::Npm | Self::Yarn | Self::Pnpm | Self::Bun => Some("package.json"),
            Self::Pipenv => Some("Pipfile"),
            Self::Poetry | Self::Pdm => Some("pyproject.toml"),
            Self::Bundler => Some("Gemfile"),
            Self::Composer => Some("composer.json"),
            Self::Go => Some("go.mod"),
            Self::Cargo => Some("Cargo.toml"),
            Self::Maven => Some("pom.xml"),
            Self::Mix => Some("mix.exs"),
            Self::Pip | Self::Uv | Self::Gradle | Self::Dotnet => None,
        }
    }

    /// What else it reads, for messages and for the fix.
    pub(crate) fn lock_files(self) -> &'static [&'static str] {
        match self {
            Self::Npm => &["package-lock.json", "npm-shrinkwrap.json", ".npmrc"],
            Self::Yarn => &["yarn.lock", ".yarnrc", ".npmrc"],
            Self::Pnpm => &["pnpm-lock.yaml", ".npmrc"],
            Self::Bun => &["bun.lock", "bun.lockb", "bunfig.toml", ".npmrc"],
            Self::Pipenv => &["Pipfile.lock"],
            Self::Poetry => &["poetry.lock", "poetry.toml"],
            Self::Uv => &["pyproject.toml", "uv.lock"],
            Self::Pdm => &["pdm.lock"],
            Self::Bundler => &["Gemfile.lock"],
            Self::Composer => &["composer.lock"],
            Self::Go => &["go.sum"],
            Self::Cargo => &["Cargo.lock"],
            Self::Mix => &["mix.lock"],
            Self::Gradle => &["build.gradle", "settings.gradle", "gradlew"],
            Self::Dotnet | Self::Maven | Self::Pip => &[],
        }
    }

    /// Whether its packages lie in `node_modules`.
    pub(crate) fn is_node(self) -> bool {
        matches!(self, Self::Npm | Self::Yarn | Self::Pnpm | Self::Bun)
    }
}

/// What an invocation installs, if it does.
pub(crate) fn install(invocation: &Invocation, environment: &Environment) -> Option<Install> {
    let look = Look { invocation, environment };
    let program = invocation.program();
    let program = program.strip_prefix("./").unwrap_or(program);
    match program {
        "npm" => look.npm(),
        "yarn" | "yarnpkg" => look.yarn(),
        "pnpm" => look.pnpm(),
        "bun" => look.bun(),
        "pipenv" => look.pipenv(),
        "poetry" => look.poetry(),
        "uv" => look.uv(),
        "pdm" => look.pdm(),
        "bundle" | "bundler" => look.bundler(),
        "composer" | "composer.phar" => look.composer(0),
        "php" => {
            let phar = invocation.arguments().next()?;
            (crate::shell::base_name(phar) == "composer.phar").then(|| look.composer(1)).flatten()
        }
        "go" => look.plain(Manager::Go, &[&["mod", "download"]]),
        "cargo" => look.plain(Manager::Cargo, &[&["fetch"]]),
        "mvn" | "mvnw" => look.maven(),
        "gradle" | "gradlew" => look.plain(Manager::Gradle, &[&["dependencies"]]),
        "dotnet" => look.plain(Manager::Dotnet, &[&["restore"]]),
        "mix" => look.plain(Manager::Mix, &[&["deps.get"]]),
        name if is_pip(name) => look.pip(Manager::Pip, 0),
        _ => None,
    }
}

/// `pip`, `pip3`, `pip3.13`
pub(crate) fn is_pip(name: &str) -> bool {
    name.strip_prefix("pip").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

struct Look<'a> {
    invocation: &'a Invocation,
    environment: &'a Environment,
}

/// Options that take the next word as their value.
const TAKE_A_VALUE: [&str; 44] = [
    "--omit",
    "--include",
    "--only",
    "--registry",
    "--loglevel",
    "--cache",
    "--userconfig",
    "--network-timeout",
    "--network-concurrency",
    "--cache-folder",
    "--modules-folder",
    "--store-dir",
    "--reporter",
    "--filter",
    "-F",
    "-r",
    "--requirement",
    "-c",
    "--constraint",
    "-i",
    "--index-url",
    "--extra-index-url",
    "--trusted-host",
    "-f",
    "--find-links",
    "--timeout",
    "--retries",
    "--target",
    "-t",
    "--prefix",
    "--root",
    "--src",
    "--python",
    "--group",
    "--only-group",
    "--extra",
    "--with",
    "--without",
    "--extras",
    "-E",
    "--jobs",
    "-j",
    "--retry",
    "--cwd",
];

/// Options that make it work in some other folder.
const ELSEWHERE: [&str; 9] =
    ["--prefix", "-C", "--cwd", "--dir", "--directory", "--working-dir", "-d", "--gemfile", "--project"];

impl Look<'_> {
    /// The words that are neither options nor values of options.
    fn positional(&self) -> Vec<&str> {
        let mut found = Vec::new();
        let mut skip = false;
        for argument in self.invocation.arguments() {
            if std::mem::take(&mut skip) {
                continue;
            }
            if argument.starts_with('-') && argument.len() > 1 {
                skip = TAKE_A_VALUE.contains(&argument) || ELSEWHERE.contains(&argument);
            } else {
                found.push(argument);
            }
        }
        found
    }

    fn has(&self, options: &[&str]) -> bool {
        options.iter().any(|option| self.invocation.has(option))
    }

    /// The values of an option, `--x=y` or `--x y`.
    fn values(&self, option: &str) -> Vec<&str> {
        let arguments: Vec<&str> = self.invocation.arguments().collect();
        let mut found = Vec::new();
        for (at, argument) in arguments.iter().enumerate() {
            if let Some(value) = argument.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
                found.push(value);
            } else if *argument == option {
                found.extend(arguments.get(at + 1));
            }
        }
        found
    }

    /// A variable: `Some(None)` is a value that is not known.
    fn variable(&self, name: &str) -> Option<Option<String>> {
        let own = self.invocation.assignments.iter().rev().find(|(key, _)| key == name);
        if let Some((_, value)) = own {
            return Some(value.literal.then(|| value.text.clone()));
        }
        self.environment.get(name).cloned()
    }

    /// A variable in any of these spellings.
    fn any_variable(&self, names: &[&str]) -> Option<Option<String>> {
        names.iter().find_map(|name| self.variable(name))
    }

    fn elsewhere(&self) -> bool {
        self.invocation.arguments().any(|argument| {
            ELSEWHERE.iter().any(|option| {
                argument.strip_prefix(option).is_some_and(|rest| {
                    rest.is_empty() || (option.starts_with("--") && rest.starts_with('='))
                })
            })
        })
    }

    fn made(
        &self,
        manager: Manager,
        scope: Scope,
        development: Development,
        manifests_only: bool,
    ) -> Option<Install> {
        let manifests_only = manifests_only && scope == Scope::Project && !self.elsewhere();
        Some(Install { manager, scope, development, manifests_only, requirements: Vec::new() })
    }

    /// Managers whose command is a fixed word or two.
    fn plain(&self, manager: Manager, commands: &[&[&str]]) -> Option<Install> {
        let words = self.positional();
        commands.iter().any(|command| words.starts_with(command)).then_some(())?;
        self.made(manager, Scope::Project, Development::Unknown, true)
    }

    fn maven(&self) -> Option<Install> {
        let goals = self.positional();
        let resolves = |goal: &&str| {
            goal.starts_with("dependency:go-offline")
                || goal.starts_with("dependency:resolve")
                || goal.ends_with(":go-offline")
        };
        let all = !goals.is_empty() && goals.iter().all(|goal| resolves(goal) || *goal == "clean");
        all.then(|| self.made(Manager::Maven, Scope::Project, Development::Unknown, true)).flatten()
    }

    /// Whether NODE_ENV or the configuration say something about development packages.
    fn node_environment(&self) -> Option<Development> {
        let omit = self.any_variable(&["npm_config_omit", "NPM_CONFIG_OMIT"]);
        let production =
            self.any_variable(&["npm_config_production", "NPM_CONFIG_PRODUCTION", "YARN_PRODUCTION"]);
        let node = self.variable("NODE_ENV");
        for (value, leaves_out) in [(omit, "dev"), (production, "true"), (node, "production")] {
            match value {
                Some(Some(value)) if value.split([' ', ',']).any(|one| one == leaves_out) => {
                    return Some(Development::LeftOut);
                }
                Some(None) => return Some(Development::Unknown),
                _ => {}
            }
        }
        None
    }

    fn npm(&self) -> Option<Install> {
        let words = self.positional();
        let (command, names) = words.split_first()?;
        let is_install = matches!(
            *command,
            "ci" | "clean-install"
                | "ic"
                | "install-clean"
                | "isntall-clean"
                | "install"
                | "i"
                | "in"
                | "ins"
                | "inst"
                | "insta"
                | "instal"
                | "isnt"
                | "isnta"
                | "isntal"
                | "isntall"
                | "add"
        );
        if !is_install {
            return None;
        }
        if self.has(&["-g", "--global", "--location=global"]) || !names.is_empty() {
            return self.made(Manager::Npm, Scope::Named, Development::Unknown, false);
        }
        let only = self.values("--only");
        let omits = self.values("--omit").contains(&"dev");
        let left_out = omits
            || only.iter().any(|only| only.starts_with("prod"))
            || self.has(&["--production", "--production=true", "--prod", "--prod=true"]);
        let asked = only.iter().any(|only| only.starts_with("dev"))
            || self.values("--include").contains(&"dev")
            || self.has(&[
                "--production=false",
                "--no-production",
                "--dev",
                "--also=dev",
                "--also=development",
            ]);
        let development = match (asked, left_out) {
            (true, _) => Development::Asked,
            (_, true) => Development::LeftOut,
            _ => self.node_environment().unwrap_or(Development::Included),
        };
        self.made(Manager::Npm, Scope::Project, development, true)
    }

    fn yarn(&self) -> Option<Install> {
        let words = self.positional();
        if self.has(&["--version", "-v", "--help", "-h"]) {
            return None;
        }
        match words.as_slice() {
            [] | ["install"] => {}
            ["workspaces", "focus", ..] => {}
            ["add" | "global", ..] => {
                return self.made(Manager::Yarn, Scope::Named, Development::Unknown, false);
            }
            _ => return None,
        }
        let development = if self.has(&["--production=false", "--prod=false"]) {
            Development::Asked
        } else if self.has(&["--production", "--prod", "--production=true", "--prod=true"]) {
            Development::LeftOut
        } else {
            self.node_environment().unwrap_or(Development::Included)
        };
        self.made(Manager::Yarn, Scope::Project, development, true)
    }

    fn pnpm(&self) -> Option<Install> {
        let words = self.positional();
        match words.as_slice() {
            ["install" | "i" | "fetch"] => {}
            ["install" | "i" | "add", ..] => {
                return self.made(Manager::Pnpm, Scope::Named, Development::Unknown, false);
            }
            _ => return None,
        }
        let development = if self.has(&["--dev", "-D", "--prod=false"]) {
            Development::Asked
        } else if self.has(&["--prod", "-P", "--production", "--prod=true"]) {
            Development::LeftOut
        } else {
            self.node_environment().unwrap_or(Development::Included)
        };
        self.made(Manager::Pnpm, Scope::Project, development, true)
    }

    fn bun(&self) -> Option<Install> {
        match self.positional().as_slice() {
            ["install" | "i"] => {}
            ["install" | "i" | "add", ..] => {
                return self.made(Manager::Bun, Scope::Named, Development::Unknown, false);
            }
            _ => return None,
        }
        let development = if self.has(&["--production", "-p"]) || self.values("--omit").contains(&"dev") {
            Development::LeftOut
        } else {
            self.node_environment().unwrap_or(Development::Included)
        };
        self.made(Manager::Bun, Scope::Project, development, true)
    }

    /// `pip install`, from the `skip`th argument on.
    fn pip(&self, manager: Manager, skip: usize) -> Option<Install> {
        let words = self.positional();
        let (command, names) = words.get(skip..)?.split_first()?;
        let requirements: Vec<String> = ["-r", "--requirement"]
            .into_iter()
            .flat_map(|option| self.values(option))
            .chain(names.iter().copied().filter(|_| *command == "sync"))
            .map(str::to_owned)
            .collect();
        let editable = self.has(&["-e", "--editable", "--group"])
            || self
                .invocation
                .arguments()
                .any(|one| one.starts_with("--editable=") || one.starts_with("--group="));
        let only_files = match *command {
            "install" => names.is_empty() && !requirements.is_empty() && !editable,
            "sync" if manager == Manager::Uv => !requirements.is_empty(),
            _ => return None,
        };
        let scope = if requirements.is_empty() && !editable { Scope::Named } else { Scope::Project };
        let mut made = self.made(manager, scope, Development::Unknown, only_files)?;
        made.requirements = requirements;
        Some(made)
    }

    fn pipenv(&self) -> Option<Install> {
        let scope = match self.positional().as_slice() {
            ["install" | "sync"] => Scope::Project,
            ["install", ..] => Scope::Named,
            _ => return None,
        };
        let development = if self.has(&["--dev", "-d"]) { Development::Asked } else { Development::LeftOut };
        let made = self.made(Manager::Pipenv, scope, development, true)?;
        Some(Install { manifests_only: made.scope == Scope::Project, ..made })
    }

    fn poetry(&self) -> Option<Install> {
        match self.positional().as_slice() {
            ["install" | "sync"] => {}
            ["add", ..] => return self.made(Manager::Poetry, Scope::Named, Development::Unknown, false),
            _ => return None,
        }
        let with = self.values("--with");
        let without = self.values("--without");
        let mentions_dev =
            |values: &[&str]| values.iter().any(|value| value.split(',').any(|one| one == "dev"));
        let development = if mentions_dev(&with) {
            Development::Asked
        } else if !self.values("--only").is_empty()
            || mentions_dev(&without)
            || self.has(&["--no-dev", "--only-root"])
        {
            Development::LeftOut
        } else if self
            .environment
            .keys()
            .any(|name| name.starts_with("POETRY_WITHOUT") || name.starts_with("POETRY_ONLY"))
        {
            Development::Unknown
        } else {
            Development::Included
        };
        self.made(Manager::Poetry, Scope::Project, development, self.has(&["--no-root"]))
    }

    fn uv(&self) -> Option<Install> {
        let words = self.positional();
        match words.as_slice() {
            ["pip", ..] => return self.pip(Manager::Uv, 1),
            ["sync"] => {}
            ["add" | "tool", ..] => return self.made(Manager::Uv, Scope::Named, Development::Unknown, false),
            _ => return None,
        }
        let development = match self.variable("UV_NO_DEV").or_else(|| self.variable("UV_NO_DEFAULT_GROUPS")) {
            _ if self.has(&["--dev"]) || self.values("--group").contains(&"dev") => Development::Asked,
            _ if self.has(&["--no-dev", "--no-default-groups"])
                || !self.values("--only-group").is_empty()
                || self.values("--no-group").contains(&"dev") =>
            {
                Development::LeftOut
            }
            Some(Some(value)) if matches!(value.as_str(), "1" | "true") => Development::LeftOut,
            Some(None) => Development::Unknown,
            _ => Development::Included,
        };
        let manifests_only =
            self.has(&["--no-install-project", "--no-install-workspace", "--no-install-local"]);
        self.made(Manager::Uv, Scope::Project, development, manifests_only)
    }

    fn pdm(&self) -> Option<Install> {
        match self.positional().as_slice() {
            ["install" | "sync"] => {}
            _ => return None,
        }
        let development = if self.has(&["--prod", "--production", "--no-dev", "--no-default"]) {
            Development::LeftOut
        } else if self.has(&["--dev", "-d"]) {
            Development::Asked
        } else {
            Development::Included
        };
        let made = self.made(Manager::Pdm, Scope::Project, development, true)?;
        Some(Install { manifests_only: self.has(&["--no-self"]), ..made })
    }

    fn bundler(&self) -> Option<Install> {
        match self.positional().as_slice() {
            [] | ["install"] => {}
            _ => return None,
        }
        if self.has(&["--version", "-v", "--help"]) {
            return None;
        }
        let groups = |text: &str| text.split([':', ' ', ',']).any(|group| group == "development");
        let development = match self.any_variable(&["BUNDLE_WITHOUT", "BUNDLE_ONLY"]) {
            Some(Some(value)) if groups(&value) => Development::LeftOut,
            Some(_) => Development::Unknown,
            None if self.values("--without").iter().any(|value| groups(value)) => Development::LeftOut,
            None => Development::Included,
        };
        self.made(Manager::Bundler, Scope::Project, development, true)
    }

    fn composer(&self, skip: usize) -> Option<Install> {
        match self.positional().get(skip..)? {
            ["install" | "i"] => {}
            ["require" | "global", ..] => {
                return self.made(Manager::Composer, Scope::Named, Development::Unknown, false);
            }
            _ => return None,
        }
        let development = match self.variable("COMPOSER_NO_DEV") {
            _ if self.has(&["--no-dev"]) => Development::LeftOut,
            Some(Some(value)) if value == "1" => Development::LeftOut,
            Some(None) => Development::Unknown,
            _ if self.has(&["--dev"]) => Development::Asked,
            _ => Development::Included,
        };
        let scans = self.has(&["-o", "--optimize-autoloader", "-a", "--classmap-authoritative"]);
        let manifests_only = self.has(&["--no-scripts"]) && (self.has(&["--no-autoloader"]) || !scans);
        let made = self.made(Manager::Composer, Scope::Project, development, manifests_only)?;
        Some(made)
    }
}

#[cfg(test)]
mod tests;
