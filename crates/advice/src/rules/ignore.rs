//! What lies in the context, is no part of the image, and is copied because nothing leaves it out.

use crate::finding::Finding;
use crate::model::{Model, StageModel, whole_context};
use crate::rule::Rule;

pub(super) fn check<'a>(model: &Model<'a>, found: &mut Vec<Finding<'a>>) {
    let Some(context) = &model.facts.context else { return };
    // Where nothing in the file installs them, the folder's own packages are meant to be taken.
    let installs = model
        .stages
        .iter()
        .flat_map(|stage| &stage.steps)
        .flat_map(|step| &step.calls)
        .any(|call| call.install.as_ref().is_some_and(|install| install.manager.is_node()));
    for (stage, _) in model.stages.iter().zip(&model.reached).filter(|(_, reached)| **reached) {
        let Some(step) = stage.steps.iter().find(|step| whole_context(step.instruction).is_some()) else {
            continue;
        };
        let mut taken: Vec<&str> = Vec::new();
        for name in ["node_modules", ".git", ".env"] {
            let wanted = match name {
                "node_modules" => installs,
                ".git" => !uses_git(model, stage),
                _ => true,
            };
            if wanted && context.has(name) {
                taken.push(name);
            }
        }
        let Some(source) = whole_context(step.instruction).and_then(|paths| paths.sources.first()) else {
            continue;
        };
        if taken.is_empty() {
            continue;
        }
        let list = list(&taken);
        let why = match (&context.ignore, taken.len()) {
            (None, _) => "there is no .dockerignore",
            (Some(_), 1) => "the ignore file does not leave it out",
            (Some(_), _) => "the ignore file does not leave them out",
        };
        let message = format!(
            "{} of `{}` takes {list} from the context: {why}",
            step.instruction.keyword.name(),
            source.value
        );
        let lines = if taken.len() == 1 { "the line" } else { "the lines" };
        let hint = match &context.ignore {
            None => format!("make a .dockerignore with {lines} {list}"),
            Some(_) => format!("add {lines} {list} to it"),
        };
        found.push(Finding::new(
            Rule::MissingIgnoreEntry,
            step.instruction,
            step.instruction.line_span,
            message,
            hint,
        ));
        // Once is enough: the mend is the same for all.
        return;
    }
}

/// Whether the stage asks git for something, such as a version.
fn uses_git(model: &Model<'_>, stage: &StageModel<'_>) -> bool {
    let calls = model.steps(stage.stage.index).flat_map(|step| &step.calls);
    let mut words = calls.flat_map(|call| &call.invocation.words);
    words.any(|word| word.text == "git" || word.text.contains("git ") || word.text.contains(".git"))
}

/// `a`, `b` and `c`
fn list(names: &[&str]) -> String {
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!("`{last}`"),
        Some((last, rest)) => format!("`{}` and `{last}`", rest.join("`, `")),
    }
}
