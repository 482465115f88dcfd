//! A build stage's whole folder copied into what ships, sources and tools with it.

use crate::finding::Finding;
use crate::model::{Call, Model, Step, join, same, whole_context, within};
use crate::packages::{Development, Scope};
use crate::rule::Rule;
use dockerfile::Command;

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    for step in model.steps(model.target) {
        let Command::Copy(copy) = &step.instruction.command else { continue };
        let Some(from) = &copy.from else { continue };
        let Some(source) = model.stage_named(from, model.target) else { continue };
        if !copy.exclude.is_empty() || model.chain(model.target).contains(&source) {
            continue;
        }
        for path in &copy.paths.sources {
            let folder = join("/", path);
            // The root is copied to squash an image, which is another matter.
            if folder == "/" {
                continue;
            }
            let Some(reason) = has_more(model, source, &folder) else { continue };
            let stage = model.stage_name(source);
            let message = format!("the whole folder `{}` of stage {stage} is copied: {reason}", path.value);
            let hint = format!(
                "copy what runs, by name, such as `COPY --from={} {}/dist ./dist` or the program that was built",
                from.value,
                folder.trim_end_matches('/')
            );
            found.push(Finding::new(Rule::WholeBuilderCopied, step.instruction, path.span, message, hint));
        }
    }
}

/// What lies in a folder of a build stage besides what is needed, if that is certain: the whole context was copied
/// there, and something was built from it or installed for development.
fn has_more(model: &Model<'_>, stage: usize, folder: &str) -> Option<String> {
    let takes_context = |step: &Step<'_>| {
        whole_context(step.instruction)
            .is_some_and(|paths| same(&join(&step.directory, &paths.destination), folder))
    };
    if !model.steps(stage).any(takes_context) {
        return None;
    }
    let calls = || model.steps(stage).flat_map(|step| &step.calls);
    let inside = |call: &&Call| call.invocation.certain && within(&call.directory, folder);
    let develops = calls().filter(inside).find(|call| {
        call.install
            .as_ref()
            .is_some_and(|one| one.scope == Scope::Project && one.development == Development::Included)
    });
    if let Some(call) = develops {
        let shown = call.invocation.shown();
        return Some(format!("the context's files and the development dependencies of `{shown}` lie in it"));
    }
    let built = calls().filter(inside).find(|call| builds(call))?;
    Some(format!("the sources that `{}` builds from lie in it", built.invocation.shown()))
}

/// Whether a command makes something out of sources that needs them no more.
fn builds(call: &Call) -> bool {
    let arguments: Vec<&str> = call.invocation.arguments().filter(|one| !one.starts_with('-')).collect();
    match call.invocation.program() {
        "npm" | "pnpm" | "yarn" | "bun" => {
            matches!(
                arguments[..],
                ["run", "build" | "compile" | "dist", ..] | ["build" | "compile" | "dist", ..]
            )
        }
        "tsc" | "webpack" | "rollup" | "esbuild" => true,
        "go" | "cargo" | "swift" | "zig" => matches!(arguments[..], ["build", ..]),
        "mvn" | "mvnw" => arguments.iter().any(|goal| matches!(*goal, "package" | "verify" | "install")),
        "gradle" | "gradlew" => arguments.iter().any(|task| {
            matches!(*task, "build" | "assemble" | "jar" | "bootJar" | "installDist" | "shadowJar")
        }),
        "dotnet" => matches!(arguments[..], ["publish" | "build", ..]),
        "gcc" | "g++" | "clang" | "clang++" | "cc" | "c++" | "rustc" | "javac" | "ninja" => true,
        _ => false,
    }
}
