//! ADD of what COPY takes just as well. ADD unpacks archives, told by content: so a plain file is one for certain only
//! by the kind that its name tells, and a folder always.

use crate::edit;
use crate::finding::Finding;
use crate::model::{Model, is_everything};
use crate::rule::Rule;
use dockerfile::Command;

/// Endings of files that are no archives.
const PLAIN: [&str; 58] = [
    "c",
    "cc",
    "cert",
    "cfg",
    "cjs",
    "conf",
    "cpp",
    "crt",
    "cs",
    "csproj",
    "css",
    "csv",
    "env",
    "erb",
    "ex",
    "exs",
    "go",
    "gradle",
    "h",
    "hpp",
    "html",
    "ini",
    "java",
    "js",
    "json",
    "jsonc",
    "jsx",
    "key",
    "kt",
    "kts",
    "list",
    "lock",
    "lua",
    "md",
    "mjs",
    "mod",
    "pem",
    "php",
    "pl",
    "properties",
    "proto",
    "py",
    "rb",
    "rs",
    "scss",
    "service",
    "sh",
    "sln",
    "sql",
    "sum",
    "svg",
    "toml",
    "ts",
    "tsx",
    "txt",
    "xml",
    "yaml",
    "yml",
];

/// Names of files that are no archives.
const NAMES: [&str; 14] = [
    "Gemfile",
    "Makefile",
    "Pipfile",
    "Procfile",
    "Rakefile",
    "LICENSE",
    "README",
    "Dockerfile",
    "Justfile",
    "CODEOWNERS",
    "Vagrantfile",
    "Caddyfile",
    "gradlew",
    "mvnw",
];

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    for (stage, _) in model.stages.iter().zip(&model.reached).filter(|(_, reached)| **reached) {
        for step in &stage.steps {
            let Command::Add(add) = &step.instruction.command else { continue };
            let own = add.checksum.is_some() || add.keep_git_dir.is_some() || add.unpack.is_some();
            let plain = |source: &str| is_plain(model, source);
            if own || !add.paths.sources.iter().all(|source| plain(source)) {
                continue;
            }
            let name = &step.instruction.name;
            let copy = if name.value == name.to_lowercase() {
                "copy"
            } else if name.value == name.to_uppercase() {
                "COPY"
            } else {
                "Copy"
            };
            let sources: Vec<&str> = add
                .paths
                .sources
                .iter()
                .map(|source| source.value.as_str())
                .chain(add.paths.inline.iter().map(|file| file.name.value.as_str()))
                .collect();
            let message = format!("ADD of `{}`, which COPY takes just as well", sources.join("`, `"));
            let hint = format!(
                "write it as `{copy}`: ADD is for archives to unpack, addresses and git repositories"
            );
            found.push(
                Finding::new(Rule::AddInsteadOfCopy, step.instruction, name.span, message, hint)
                    .edits(vec![edit::replace(name.span, copy)]),
            );
        }
    }
}

/// Whether a source is a folder, or a file that is no archive, for certain.
fn is_plain(model: &Model<'_>, source: &str) -> bool {
    if source.contains(['$', '"', '\'', '\\', '`']) || source.contains("://") || source.starts_with("git@") {
        return false;
    }
    if is_everything(source) && !source.contains('*') || source.ends_with('/') {
        return true;
    }
    let path = dockerfile::ignore::clean(source);
    let path = path.trim_start_matches('/');
    let name = crate::shell::base_name(path);
    if name.ends_with(".git") || path.contains(".git#") || path.contains('@') {
        return false;
    }
    let is_folder =
        model.facts.context.as_ref().is_some_and(|context| context.names.get(path) == Some(&true));
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    is_folder || NAMES.contains(&name) || ending.is_some_and(|ending| PLAIN.contains(&ending))
}
