//! What a package manager downloads and leaves behind in a layer that ships.
//!
//! | command | leaves | unless, in the same RUN |
//! |---|---|---|
//! | `apt-get update` | /var/lib/apt/lists | it is removed, or a cache mount is there |
//! | `apk add`, `apk update` | /var/cache/apk | `--no-cache`, removed, a cache mount |
//! | `dnf`, `yum`, `microdnf`, `zypper` install | their caches | `clean all`, removed, a cache mount |
//! | `pip install` | ~/.cache/pip | `--no-cache-dir`, PIP_NO_CACHE_DIR, removed, a cache mount |
//! | `npm install`, `npm ci` | ~/.npm | `npm cache clean --force`, removed, a cache mount |
//! | `poetry install` | ~/.cache/pypoetry | `--no-cache`, removed, a cache mount |
//! | `composer install` | ~/.composer/cache | `--no-cache`, `clear-cache`, removed, a cache mount |
//! | `conda install` | pkgs | `conda clean`, removed, a cache mount |
//!
//! yarn, pnpm, bun and uv are left alone: their stores are what runs (yarn's, where there is no node_modules), or share
//! their bytes with what was installed by hard links.

use crate::edit;
use crate::finding::Finding;
use crate::model::{Call, Model, Step};
use crate::packages::{Manager, is_pip};
use crate::rule::Rule;
use dockerfile::Command;
use dockerfile::Edit;
use dockerfile::command::Form;

/// A cache that stays, and how it goes.
struct Left {
    /// What the message calls it.
    what: &'static str,
    /// Words of paths: a command that removes one of them, or a mount there, takes the cache out.
    paths: &'static [&'static str],
    /// How to get rid of it.
    hint: &'static str,
    mend: Mend,
}

enum Mend {
    /// Put behind a word of the command, which is the first that is just this.
    Flag(&'static str, &'static str),
    /// Put behind the whole chain.
    Then(&'static str),
    /// Nothing that is safe.
    None,
}

const BUILDER_NAMES: [&str; 12] = [
    "build",
    "builder",
    "builds",
    "compile",
    "compiler",
    "deps",
    "dependencies",
    "install",
    "installer",
    "prepare",
    "dev",
    "test",
];

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    // A lone stage called builder that runs nothing is for others to copy from.
    let is_builder = |name: &str| name.split(['-', '_', '.']).any(|part| BUILDER_NAMES.contains(&part));
    if !model.runs_something() && model.stages[model.target].stage.name().is_some_and(is_builder) {
        return;
    }
    if super::development::is_for_development(model) {
        return;
    }
    let steps: Vec<&Step<'a>> = model.steps(model.target).collect();
    // Where apt's lists are needed later: in this chain of stages, or in another that stands on a part of it.
    let last_need = steps.iter().rposition(|step| needs_lists(step));
    let chain = model.chain(model.target);
    let needed = model.stages.iter().enumerate().any(|(index, other)| {
        other.parent.is_some() && !chain.contains(&index) && other.steps.iter().any(needs_lists)
    });
    for (number, step) in steps.iter().enumerate() {
        let mut told: Vec<&str> = Vec::new();
        for (at, call) in step.calls.iter().enumerate() {
            let Some(left) = left(call, step) else { continue };
            let goes = step.calls[at..].iter().any(|later| removes(later, &left))
                || step.calls.iter().any(|any| linked_away(any, &left))
                || step.passing.iter().any(|target| covers(target, &left));
            if goes || told.contains(&left.what) || !call.invocation.certain {
                continue;
            }
            told.push(left.what);
            let message = format!("`{}` leaves {} in the layer", call.invocation.shown(), left.what);
            let edits =
                mend(model, needed || last_need > Some(number), step, call, &left).unwrap_or_default();
            let span = call.invocation.span();
            found.push(
                Finding::new(Rule::PackageCacheInLayer, step.instruction, span, message, left.hint)
                    .edits(edits),
            );
        }
    }
}

/// The cache that a command leaves, by what it is told.
fn left(call: &Call, step: &Step<'_>) -> Option<Left> {
    let invocation = &call.invocation;
    let set = |name: &str| {
        step.environment.contains_key(name) || invocation.assignments.iter().any(|(key, _)| key == name)
    };
    let command = invocation.arguments().find(|one| !one.starts_with('-')).unwrap_or_default();
    let left = match invocation.program() {
        "apt-get" | "apt" if command == "update" => Left {
            what: "the package lists of apt",
            paths: &["/var/lib/apt"],
            hint: "remove them in the same RUN: `rm -rf /var/lib/apt/lists/*`",
            mend: Mend::Then("rm -rf /var/lib/apt/lists/*"),
        },
        "apk" if matches!(command, "add" | "update" | "upgrade") && !invocation.has("--no-cache") => Left {
            what: "the index of apk",
            paths: &["/var/cache/apk", "/etc/apk/cache"],
            hint: "`apk add --no-cache` keeps none",
            mend: if command == "add" { Mend::Flag("add", " --no-cache") } else { Mend::None },
        },
        "dnf" | "microdnf" | "tdnf" | "dnf5" if installs(command) => Left {
            what: "the cache of dnf",
            paths: &["/var/cache", "/var/cache/dnf", "/var/cache/yum"],
            hint: "end the RUN with `dnf clean all`",
            mend: match invocation.program() {
                "dnf" => Mend::Then("dnf clean all"),
                "microdnf" => Mend::Then("microdnf clean all"),
                _ => Mend::None,
            },
        },
        "yum" if installs(command) => Left {
            what: "the cache of yum",
            paths: &["/var/cache", "/var/cache/dnf", "/var/cache/yum"],
            hint: "end the RUN with `yum clean all`",
            mend: Mend::Then("yum clean all"),
        },
        "zypper" if matches!(command, "install" | "in" | "update" | "up") => Left {
            what: "the cache of zypper",
            paths: &["/var/cache", "/var/cache/zypp"],
            hint: "end the RUN with `zypper clean --all`",
            mend: Mend::Then("zypper clean --all"),
        },
        "conda" | "mamba" | "micromamba"
            if matches!(command, "install" | "create") || invocation.has("create") =>
        {
            Left {
                what: "the packages that conda downloaded",
                paths: &["pkgs", ".conda", "/opt/conda"],
                hint: "end the RUN with `conda clean --all --yes`",
                mend: Mend::None,
            }
        }
        name if is_pip(name) && command == "install" => {
            let off = invocation.has("--no-cache-dir")
                || invocation.arguments().any(|one| one.starts_with("--cache-dir"))
                || set("PIP_NO_CACHE_DIR")
                || set("PIP_CACHE_DIR")
                || set("XDG_CACHE_HOME");
            if off {
                return None;
            }
            Left {
                what: "the cache of pip",
                paths: &[".cache", "pip"],
                hint: "`pip install --no-cache-dir` keeps none; a cache mount is quicker still",
                mend: Mend::Flag("install", " --no-cache-dir"),
            }
        }
        _ => return project_cache(call, &set),
    };
    Some(left)
}

/// The caches of managers whose command [`crate::packages`] has read.
fn project_cache(call: &Call, set: &dyn Fn(&str) -> bool) -> Option<Left> {
    let invocation = &call.invocation;
    match call.install.as_ref()?.manager {
        Manager::Npm => {
            let moved = ["npm_config_cache", "NPM_CONFIG_CACHE"].into_iter().any(set)
                || invocation.arguments().any(|one| one.starts_with("--cache"));
            (!moved).then_some(Left {
                what: "the cache of npm",
                paths: &[".npm", "_cacache"],
                hint: "end the RUN with `npm cache clean --force`, or take the packages from a build stage",
                mend: Mend::Then("npm cache clean --force"),
            })
        }
        Manager::Poetry => {
            let off = invocation.has("--no-cache") || set("POETRY_CACHE_DIR") || set("XDG_CACHE_HOME");
            (!off).then_some(Left {
                what: "the cache of poetry",
                paths: &[".cache", "pypoetry"],
                hint: "`poetry install --no-cache` keeps none",
                mend: Mend::Flag("install", " --no-cache"),
            })
        }
        Manager::Composer => {
            let off = invocation.has("--no-cache") || set("COMPOSER_CACHE_DIR") || set("COMPOSER_HOME");
            (!off).then_some(Left {
                what: "the cache of composer",
                paths: &[".composer", "composer/cache", ".cache", "/tmp/cache"],
                hint: "`composer install --no-cache` keeps none",
                mend: Mend::Flag("install", " --no-cache"),
            })
        }
        _ => None,
    }
}

fn installs(command: &str) -> bool {
    matches!(
        command,
        "install" | "update" | "upgrade" | "groupinstall" | "reinstall" | "makecache" | "module"
    )
}

/// Whether a command takes the cache out.
fn removes(call: &Call, left: &Left) -> bool {
    let invocation = &call.invocation;
    // What a variable gives may be the path.
    let touches = |word: &str| word.contains('$') || left.paths.iter().any(|path| word.contains(path));
    match invocation.program() {
        "rm" | "find" | "truncate" | "shred" | "mv" => invocation.arguments().any(touches),
        "apt-get" | "apt" => left.what.contains("apt") && invocation.has("distclean"),
        "apk" => left.what.contains("apk") && invocation.has("cache"),
        "dnf" | "yum" | "microdnf" | "tdnf" | "dnf5" => {
            invocation.has("clean") && (left.what.contains("dnf") || left.what.contains("yum"))
        }
        "zypper" => left.what.contains("zypper") && (invocation.has("clean") || invocation.has("cc")),
        "conda" | "mamba" | "micromamba" => left.what.contains("conda") && invocation.has("clean"),
        "npm" => left.what.contains("npm") && invocation.has("cache"),
        "composer" => {
            left.what.contains("composer") && invocation.arguments().any(|one| one.contains("clear"))
        }
        "poetry" => left.what.contains("poetry") && invocation.has("cache"),
        name if is_pip(name) => left.what.contains("pip") && invocation.has("cache"),
        // A script of the image's own may clean up whatever it likes.
        name => name.contains("clean"),
    }
}

/// Whether the cache's folder is a link to elsewhere, as some set up by hand.
fn linked_away(call: &Call, left: &Left) -> bool {
    matches!(call.invocation.program(), "ln" | "mount")
        && call.invocation.arguments().any(|word| left.paths.iter().any(|path| word.contains(path)))
}

/// Whether a mount's target has the cache in it. Targets with variables may be anything.
fn covers(target: &str, left: &Left) -> bool {
    target.contains('$')
        || left.paths.iter().any(|path| {
            target.contains(path) || path.starts_with(&format!("{}/", target.trim_end_matches('/')))
        })
        || matches!(target.trim_end_matches('/'), "/root" | "/var" | "/var/lib" | "/var/cache")
}

/// The edits, where the text allows them and nothing later needs what goes.
fn mend(
    model: &Model<'_>,
    lists_are_needed: bool,
    step: &Step<'_>,
    call: &Call,
    left: &Left,
) -> Option<Vec<Edit>> {
    let Command::Run(run) = &step.instruction.command else { return None };
    let source = &model.dockerfile.source;
    match left.mend {
        Mend::None => None,
        Mend::Flag(word, flag) => {
            // Where the word stands as itself in the file.
            let mut words = call.invocation.words.iter().skip(1);
            let word = words.find(|one| one.text == word && source.slice(one.span) == one.text)?;
            // `apk update && apk add`: without its index the first one is left to be told.
            let updates = step
                .calls
                .iter()
                .any(|one| one.invocation.program() == "apk" && one.invocation.has("update"));
            if matches!(run.form, Form::Exec(_)) || updates {
                return None;
            }
            Some(vec![edit::insert(word.span.end, flag)])
        }
        Mend::Then(command) => {
            let last = step.calls.last()?;
            let ends_plainly = step.is_chain
                && matches!(run.form, Form::Shell(_))
                && run.heredocs.is_empty()
                && last.invocation.words.last().is_some_and(|word| word.span.end == run.span.end);
            if lists_are_needed && left.what.contains("apt") || !ends_plainly {
                return None;
            }
            Some(vec![edit::insert(run.span.end, format!(" && {command}"))])
        }
    }
}

/// Whether a step installs by apt from lists that it does not fetch itself.
fn needs_lists(step: &Step<'_>) -> bool {
    let apt = |call: &&Call| matches!(call.invocation.program(), "apt-get" | "apt" | "aptitude");
    let updates = step.calls.iter().filter(apt).any(|call| call.invocation.has("update"));
    let scripts = step.calls.iter().any(|call| call.invocation.program().ends_with(".sh"));
    (step.calls.iter().any(|call| apt(&call)) && !updates) || scripts
}
