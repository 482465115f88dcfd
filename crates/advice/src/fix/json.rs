//! CMD and ENTRYPOINT in shell form to JSON, where no shell is needed to read the command: plain words only, a program
//! that is no builtin and cannot be a script without `#!`, and no second instruction that the form matters to.

use crate::edit;
use crate::model::Model;
use dockerfile::Edit;
use dockerfile::command::Form;
use dockerfile::{Command, Instruction, Span};

/// Words that only a shell knows.
const BUILTINS: [&str; 38] = [
    ".", ":", "[", "alias", "bg", "break", "case", "cd", "command", "continue", "declare", "eval", "exec",
    "exit", "export", "fg", "for", "function", "getopts", "hash", "if", "jobs", "local", "read", "readonly",
    "return", "select", "set", "shift", "source", "test", "time", "trap", "type", "ulimit", "umask", "until",
    "while",
];

pub(super) fn edits(model: &Model<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let source = &model.dockerfile.source;
    let form = match &instruction.command {
        Command::Cmd(cmd) => &cmd.form,
        Command::Entrypoint(entrypoint) => &entrypoint.form,
        _ => return None,
    };
    let Form::Shell(text) = form else { return None };
    let span = Span::new(instruction.name.span.end, instruction.line_span.end);
    let written = source.slice(span);
    let blanks = written.len() - written.trim_start().len();
    let span = Span::new(span.start + blanks, span.end);
    if source.slice(span) != text || !is_alone(model, instruction) {
        return None;
    }
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let plain = |word: &&str| word.chars().all(|c| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c));
    let program = words.first()?;
    let is_program =
        !program.contains(['/', '=']) && !program.ends_with(".sh") && !BUILTINS.contains(program);
    if !is_program || !words.iter().all(plain) {
        return None;
    }
    let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    Some(vec![edit::replace(span, format!("[{}]", words.join(", ")))])
}

/// Whether the stage, those below it and those on it have no other instruction of the two: ENTRYPOINT in exec form takes
/// CMD as its arguments, in shell form it does not. A base whose entrypoint is known counts too.
fn is_alone(model: &Model<'_>, instruction: &Instruction) -> bool {
    let owner = model
        .stages
        .iter()
        .position(|one| one.steps.iter().any(|step| std::ptr::eq(step.instruction, instruction)));
    let Some(owner) = owner else { return false };
    let is_cmd = matches!(instruction.command, Command::Cmd(_));
    let related = (0..model.stages.len())
        .filter(|index| model.chain(*index).contains(&owner) || model.chain(owner).contains(index));
    let mut others =
        related.flat_map(|index| &model.stages[index].steps).filter(|step| match step.instruction.command {
            Command::Cmd(_) => !is_cmd,
            Command::Entrypoint(_) => is_cmd,
            _ => false,
        });
    others.next().is_none()
}
