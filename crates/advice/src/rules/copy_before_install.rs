//! `COPY . .` before an install that reads only the manifests: every changed source installs again.
//!
//! ```text
//! COPY . .            becomes      COPY package.json package-lock.json ./
//! RUN npm ci                       RUN npm ci
//!                                  COPY . .
//! ```
//!
//! It is rewritten only where the context is known, the manifests are in it, nothing in them reaches for other files,
//! and the folder that the install fills is not in the context too.

use crate::edit;
use crate::finding::Finding;
use crate::model::{Call, Model, Step, join, same, whole_context};
use crate::packages::{Install, Manager};
use crate::rule::Rule;
use dockerfile::Edit;
use dockerfile::command::CopyPaths;
use dockerfile::{Command, Instruction, Keyword};

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    for (stage, _) in model.stages.iter().zip(&model.reached).filter(|(_, reached)| **reached) {
        for (at, step) in stage.steps.iter().enumerate() {
            let Some(paths) = whole_context(step.instruction) else { continue };
            let folder = join(&step.directory, &paths.destination);
            let later = stage.steps[at + 1..].iter().enumerate().find_map(|(number, later)| {
                let call = later.calls.iter().find(|call| installs_there(call, &folder))?;
                Some((at + 1 + number, later, call))
            });
            let Some((number, run, call)) = later else { continue };
            let Some(install) = &call.install else { continue };
            let before = stage.steps[..at].iter().flat_map(|step| &step.calls);
            let installed = before.into_iter().any(|earlier| {
                earlier
                    .install
                    .as_ref()
                    .is_some_and(|one| one.manager == install.manager && one.manifests_only)
            });
            if installed || manifest_is_missing(model, install) {
                continue;
            }
            let source = paths.sources.iter().find(|source| crate::model::is_everything(source));
            let Some(source) = source else { continue };
            let message = format!(
                "every changed file runs `{}` again, for `{} {} {}` stands before it",
                call.invocation.shown(),
                step.instruction.keyword.name(),
                source.value,
                paths.destination.value
            );
            let hint = format!("copy {} first, then install, then copy the rest", shown_manifests(install));
            let edits =
                rewrite(model, &stage.steps[at..=number], step, paths, run, install).unwrap_or_default();
            let line = model.dockerfile.source.line(run.instruction.span.start);
            found.push(
                Finding::new(
                    Rule::CopyBeforeInstall,
                    step.instruction,
                    step.instruction.line_span,
                    message,
                    hint,
                )
                .label(format!("the install is in line {line}"))
                .edits(edits),
            );
        }
    }
}

fn installs_there(call: &Call, folder: &str) -> bool {
    call.invocation.certain
        && same(&call.directory, folder)
        && call.install.as_ref().is_some_and(|install| install.manifests_only)
}

/// Whether the context is known to have no manifest at its top: then the project is elsewhere.
fn manifest_is_missing(model: &Model<'_>, install: &Install) -> bool {
    let Some(context) = &model.facts.context else { return false };
    match install.manager.manifest() {
        Some(manifest) => !context.has(manifest),
        None => install.requirements.iter().any(|file| {
            let file = dockerfile::ignore::clean(file);
            !file.contains('/') && !context.has(&file)
        }),
    }
}

fn shown_manifests(install: &Install) -> String {
    let mut names: Vec<&str> = install.manager.manifest().into_iter().collect();
    names.extend(install.requirements.iter().map(String::as_str));
    if names.is_empty() {
        names.extend(install.manager.lock_files());
    } else {
        names.extend(
            install.manager.lock_files().first().copied().filter(|_| install.requirements.is_empty()),
        );
    }
    if names.is_empty() { "the project files".to_owned() } else { format!("`{}`", names.join("`, `")) }
}

/// The edits that part the COPY, where that changes nothing but the order.
fn rewrite(
    model: &Model<'_>,
    between: &[Step<'_>],
    copy: &Step<'_>,
    paths: &CopyPaths,
    run: &Step<'_>,
    install: &Install,
) -> Option<Vec<Edit>> {
    // Alone in the COPY, in words; and what stands between is only said to the image, in no layer.
    let Command::Copy(_) = &copy.instruction.command else { return None };
    let [only] = &paths.sources[..] else { return None };
    let source = &model.dockerfile.source;
    let written = source.slice(only.span) == only.value
        && source.slice(paths.destination.span) == paths.destination.value;
    let says_only = |step: &Step<'_>| {
        matches!(
            step.instruction.keyword,
            Keyword::Expose
                | Keyword::Label
                | Keyword::Cmd
                | Keyword::Entrypoint
                | Keyword::StopSignal
                | Keyword::HealthCheck
        )
    };
    let inner = between.get(1..between.len() - 1)?;
    if !written
        || !paths.inline.is_empty()
        || copy.instruction.lines.first != copy.instruction.lines.last
        || !inner.iter().all(says_only)
    {
        return None;
    }
    if source.slice(copy.instruction.line_span).contains('[') {
        return None;
    }
    // The RUN does nothing else, and reads nothing of the context by itself.
    let plain = |call: &Call| {
        call.install.as_ref() == Some(install)
            || (call.invocation.has("cache") && call.invocation.has("clean"))
    };
    let Command::Run(command) = &run.instruction.command else { return None };
    if !run.is_chain
        || !run.calls.iter().all(plain)
        || !command.mounts.iter().all(|mount| mount.from().is_none() && !binds(mount))
    {
        return None;
    }
    let manifests = manifests(model, install)?;
    let destination = &paths.destination.value;
    let folder = if destination.ends_with('/') { destination.clone() } else { format!("{destination}/") };
    let again = source.slice(copy.instruction.line_span).to_owned();
    let line_end = |instruction: &Instruction| source.line_span(instruction.lines.last).end;
    let ending = if source.text().contains("\r\n") { "\r\n" } else { "\n" };
    let indent_start = source.line_span(copy.instruction.lines.first).start;
    let indent = &source.text()[indent_start..copy.instruction.span.start];
    if !indent.chars().all(char::is_whitespace) {
        return None;
    }
    Some(vec![
        edit::replace(only.span, manifests.join(" ")),
        edit::replace(paths.destination.span, folder),
        edit::insert(line_end(run.instruction), format!("{ending}{indent}{again}")),
    ])
}

fn binds(mount: &dockerfile::MountFlag) -> bool {
    let kind = mount.fields.iter().find(|field| field.key == "type").and_then(|field| field.value.as_deref());
    matches!(kind, None | Some("bind"))
}

/// The files that the install reads, all at the top of the context, if it is certain that it reads no others.
fn manifests(model: &Model<'_>, install: &Install) -> Option<Vec<String>> {
    let context = model.facts.context.as_ref()?;
    let mut names: Vec<String> = Vec::new();
    match install.manager {
        Manager::Npm | Manager::Yarn | Manager::Pnpm => {
            let text = context.text("package.json")?;
            if context.has("node_modules") || !node_reads_nothing_else(text) {
                return None;
            }
            // Plugins, patches and releases of its own; a build script that npm starts by itself.
            if [".yarnrc.yml", ".yarn", "pnpm-workspace.yaml", "binding.gyp", ".pnpmfile.cjs", "patches"]
                .iter()
                .any(|name| context.has(name))
            {
                return None;
            }
            names.push("package.json".to_owned());
        }
        Manager::Pip => {
            for file in &install.requirements {
                let file = dockerfile::ignore::clean(file);
                let text = context.text(&file)?;
                let plain = |line: &str| {
                    let line = line.trim();
                    line.is_empty()
                        || line.starts_with('#')
                        || line.starts_with(|c: char| c.is_ascii_alphanumeric())
                            && !line.contains("file:")
                            && !line.split([' ', ';']).next().unwrap_or_default().contains('/')
                };
                if !text.lines().all(plain) {
                    return None;
                }
                names.push(file);
            }
        }
        Manager::Go => {
            let text = context.text("go.mod")?;
            let local = text.contains("=> .") || text.contains("=> /");
            if local || context.has("vendor") || context.has("go.work") {
                return None;
            }
            names.push("go.mod".to_owned());
        }
        Manager::Bundler => {
            let text = context.text("Gemfile")?;
            let reaches = ["path", "gemspec", "eval_gemfile", "file:", "File.", "require", "Dir"];
            if reaches.iter().any(|word| text.contains(word))
                || context.has("vendor")
                || context.has(".bundle")
            {
                return None;
            }
            names.push("Gemfile".to_owned());
        }
        _ => return None,
    }
    let locks = install.manager.lock_files().iter().filter(|name| context.has(name));
    names.extend(locks.map(|name| (*name).to_owned()));
    names.dedup();
    // Names that COPY would read as a pattern or a word of its own.
    let plain = |name: &String| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    (!names.is_empty() && names.iter().all(plain)).then_some(names)
}

/// Whether an install of this package.json runs no script and takes no package of this folder.
fn node_reads_nothing_else(text: &str) -> bool {
    let Ok(package) = serde_json::from_str::<serde_json::Value>(text) else { return false };
    let Some(package) = package.as_object() else { return false };
    const SCRIPTS: [&str; 8] = [
        "preinstall",
        "install",
        "postinstall",
        "prepublish",
        "preprepare",
        "prepare",
        "postprepare",
        "dependencies",
    ];
    let scripts = package.get("scripts").and_then(|scripts| scripts.as_object());
    if scripts.is_some_and(|scripts| SCRIPTS.iter().any(|name| scripts.contains_key(*name))) {
        return false;
    }
    if ["workspaces", "bin", "patchedDependencies", "pnpm"].iter().any(|key| package.contains_key(*key)) {
        return false;
    }
    let kinds = ["dependencies", "devDependencies", "optionalDependencies", "overrides", "resolutions"];
    kinds.iter().filter_map(|kind| package.get(*kind)).all(|packages| {
        packages.as_object().is_some_and(|packages| {
            packages.values().all(|version| {
                version.as_str().is_some_and(|version| {
                    !version.contains(':') || version.starts_with("npm:") || version.starts_with("https:")
                }) && version.as_str().is_some_and(|version| {
                    !version.starts_with(['.', '/', '~'])
                        || version.starts_with('~') && !version.starts_with("~/")
                })
            })
        })
    })
}
