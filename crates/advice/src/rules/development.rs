//! Development dependencies in what ships: installed there, or copied with the folder that they were installed in.

use crate::finding::Finding;
use crate::model::{Call, Model, Step, within};
use crate::packages::{Development, Install, Manager, Scope};
use crate::rule::Rule;
use dockerfile::Command;
use dockerfile::command::Form;

/// Names of stages, and words in a CMD, of images that are there to develop or test with.
const DEVELOPMENT: [&str; 12] = [
    "dev",
    "devel",
    "develop",
    "development",
    "debug",
    "local",
    "test",
    "tests",
    "testing",
    "ci",
    "lint",
    "devcontainer",
];

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    // A stage that runs nothing is not what ships, and one for development is meant to have them.
    if !model.runs_something() || is_for_development(model) {
        return;
    }
    if let Some((step, call, install)) = left_in(model, model.target) {
        let message = format!(
            "`{}` installs development dependencies into the stage that ships",
            call.invocation.shown()
        );
        found.push(
            Finding::new(
                Rule::DevDependenciesInFinalStage,
                step.instruction,
                call.invocation.span(),
                message,
                hint(install),
            )
            .label("no development package is left out"),
        );
        return;
    }
    for step in model.steps(model.target) {
        let Command::Copy(copy) = &step.instruction.command else { continue };
        let Some(from) = &copy.from else { continue };
        let Some(source) = model.stage_named(from, model.target) else { continue };
        let Some((_, call, install)) = left_in(model, source) else { continue };
        if !install.manager.is_node() || !copy.exclude.is_empty() {
            continue;
        }
        let packages = crate::model::join(&call.directory, "node_modules");
        let taken = copy.paths.sources.iter().find(|one| {
            let path = from_root(one, &packages);
            within(&packages, &path) && path != "/"
        });
        let Some(taken) = taken else { continue };
        let message = format!(
            "`{}` brings the development dependencies that `{}` installed in stage {}",
            taken.value,
            call.invocation.shown(),
            model.stage_name(source)
        );
        found.push(
            Finding::new(
                Rule::DevDependenciesInFinalStage,
                step.instruction,
                taken.span,
                message,
                hint(install),
            )
            .label("they ship with the image"),
        );
        return;
    }
}

/// The path of a `COPY --from` source. It is relative to the root; where the packages lie in a folder that is not
/// known, which is the root for an image that says nothing, the path is taken as written.
fn from_root(source: &str, packages: &str) -> String {
    if packages.starts_with("?/") && !source.starts_with('/') {
        return crate::model::join("?", source);
    }
    crate::model::join("/", source)
}

/// The install that leaves development packages in a stage, if there is one and nothing takes them out after it.
fn left_in<'m, 'a>(model: &'m Model<'a>, stage: usize) -> Option<(&'m Step<'a>, &'m Call, &'m Install)> {
    let steps: Vec<&Step<'a>> = model.steps(stage).collect();
    let calls: Vec<(&Step<'a>, &Call)> =
        steps.into_iter().flat_map(|step| step.calls.iter().map(move |call| (step, call))).collect();
    for (at, (step, call)) in calls.iter().enumerate() {
        let Some(install) = &call.install else { continue };
        let sure = call.invocation.certain
            && install.scope == Scope::Project
            && install.development == Development::Included
            && !only_production(model, install.manager);
        if sure && !calls[at..].iter().any(|(_, later)| prunes(later, install.manager)) {
            let configured = calls[..at].iter().any(|(_, earlier)| configures(earlier, install.manager));
            if !configured {
                return Some((step, call, install));
            }
        }
    }
    None
}

/// Whether a command takes development packages out again, or may do so.
fn prunes(call: &Call, manager: Manager) -> bool {
    let invocation = &call.invocation;
    let again = call.install.as_ref().is_some_and(|install| {
        install.manager == manager
            && install.scope == Scope::Project
            && matches!(install.development, Development::LeftOut | Development::Unknown)
    });
    let prune = invocation.arguments().any(|one| matches!(one, "prune" | "autoclean" | "clean"))
        && !invocation.has("cache")
        && matches!(invocation.program(), "npm" | "yarn" | "pnpm" | "bundle" | "modclean" | "node-prune");
    let removed = matches!(invocation.program(), "rm" | "find" | "mv" | "rimraf")
        && invocation
            .arguments()
            .any(|one| one.contains("node_modules") || one.contains("vendor") || one.contains('$'));
    again || prune || removed || matches!(invocation.program(), "node-prune" | "modclean")
}

/// Whether a command says once and for all what is left out.
fn configures(call: &Call, manager: Manager) -> bool {
    let invocation = &call.invocation;
    let name = match manager {
        Manager::Bundler => ["bundle", "bundler"],
        Manager::Npm => ["npm", "npm"],
        Manager::Yarn => ["yarn", "yarnpkg"],
        Manager::Pnpm => ["pnpm", "npm"],
        Manager::Poetry => ["poetry", "poetry"],
        Manager::Composer => ["composer", "composer"],
        _ => return false,
    };
    name.contains(&invocation.program()) && invocation.arguments().any(|one| matches!(one, "config" | "set"))
}

/// Whether the project's own files say that there are no development packages, or leave them out.
fn only_production(model: &Model<'_>, manager: Manager) -> bool {
    let Some(context) = &model.facts.context else { return false };
    let says = |file: &str, lines: &[&str]| {
        context.text(file).is_some_and(|text| {
            text.lines().any(|line| {
                let line: String = line.chars().filter(|c| !c.is_whitespace()).collect();
                lines.iter().any(|wanted| line.starts_with(wanted))
            })
        })
    };
    let json = |file: &str, key: &str| {
        let value: serde_json::Value = serde_json::from_str(context.text(file)?).ok()?;
        Some(value.get(key).and_then(serde_json::Value::as_object).is_none_or(serde_json::Map::is_empty))
    };
    match manager {
        Manager::Npm | Manager::Yarn | Manager::Pnpm | Manager::Bun => {
            says(".npmrc", &["omit=dev", "omit[]=dev", "production=true", "only=prod"])
                || says(".yarnrc", &["--install.productiontrue", "--install.production"])
                || json("package.json", "devDependencies").unwrap_or(false)
        }
        Manager::Composer => json("composer.json", "require-dev").unwrap_or(false),
        Manager::Bundler => context
            .text("Gemfile")
            .is_some_and(|text| !text.contains(":development") && !text.contains(":test")),
        Manager::Poetry | Manager::Uv | Manager::Pdm => {
            context.text("pyproject.toml").is_some_and(|text| !text.contains("dev"))
        }
        _ => false,
    }
}

/// Whether the image is there to develop or test with: it ships to nobody.
pub(super) fn is_for_development(model: &Model<'_>) -> bool {
    let word = |word: &str| {
        word.split(['-', '_', ':', '.', '/']).any(|part| DEVELOPMENT.contains(&part.to_lowercase().as_str()))
            || matches!(
                crate::shell::base_name(word),
                "nodemon" | "ts-node-dev" | "vite" | "jest" | "vitest" | "--reload" | "--watch"
            )
    };
    if model.stages[model.target].stage.name().is_some_and(word) {
        return true;
    }
    let last = |entrypoint: bool| {
        let forms = model.steps(model.target).filter_map(move |step| match &step.instruction.command {
            Command::Cmd(cmd) if !entrypoint => Some(&cmd.form),
            Command::Entrypoint(one) if entrypoint => Some(&one.form),
            _ => None,
        });
        forms.last()
    };
    let words: Vec<&str> = [last(true), last(false)]
        .into_iter()
        .flatten()
        .flat_map(|form| match form {
            Form::Exec(words) => words.iter().map(String::as_str).collect::<Vec<_>>(),
            Form::Shell(text) => text.split_whitespace().collect(),
        })
        .collect();
    words.iter().copied().any(word) || script_is_for_development(model, &words)
}

/// Whether `npm start` and the like run a script that is for development.
fn script_is_for_development(model: &Model<'_>, words: &[&str]) -> bool {
    let name = match words {
        ["npm" | "yarn" | "pnpm" | "bun", "run", name, ..] => *name,
        ["npm" | "yarn" | "pnpm" | "bun", name, ..] => *name,
        _ => return false,
    };
    let Some(text) = model.facts.context.as_ref().and_then(|context| context.text("package.json")) else {
        return false;
    };
    let Ok(package) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    let Some(script) = package["scripts"][name].as_str() else { return false };
    let development = package["devDependencies"].as_object();
    let installed =
        |tool: &str| development.is_some_and(|packages| packages.keys().any(|name| name.starts_with(tool)));
    script.split([' ', '&', ';', '|']).any(|word| {
        word == "--watch"
            || (installed(word) && (word.starts_with("nodemon") || matches!(word, "ts-node-dev" | "vite")))
    })
}

fn hint(install: &Install) -> String {
    let flag = match install.manager {
        Manager::Npm => "leave them out with `--omit=dev`",
        Manager::Yarn => "leave them out with `--production`",
        Manager::Pnpm => "leave them out with `--prod`",
        Manager::Bun => "leave them out with `--production`",
        Manager::Poetry => "leave them out with `--only main`",
        Manager::Uv => "leave them out with `--no-dev`",
        Manager::Pdm => "leave them out with `--prod`",
        Manager::Bundler => "leave them out with BUNDLE_WITHOUT=development:test",
        Manager::Composer => "leave them out with `--no-dev`",
        _ => "leave them out",
    };
    format!("{flag}; what the build needs them for belongs into a stage of its own")
}
