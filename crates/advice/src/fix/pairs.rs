//! `ENV key value` to `ENV key="value"`. The old form takes the rest of the line, the new one a word: what both mean is
//! compared before it is rewritten.

use crate::edit;
use crate::model::Model;
use dockerfile::Edit;
use dockerfile::command::KeyValue;
use dockerfile::expand::{Lex, Lookup};
use dockerfile::{Command, Instruction, Span};

pub(super) fn edits(model: &Model<'_>, instruction: &Instruction) -> Option<Vec<Edit>> {
    let source = &model.dockerfile.source;
    let pair = match &instruction.command {
        Command::Env(env) => env.pairs.first()?,
        Command::Label(label) => label.pairs.first()?,
        _ => return None,
    };
    let (key, value) = (&pair.key, &pair.value);
    let plain_key = key.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let gap = Span::new(key.span.end, value.span.start);
    let gap_text = source.slice(gap);
    if !pair.legacy || !plain_key || gap_text.contains('#') || source.slice(key.span) != key.value {
        return None;
    }
    // A comment inside the value's lines would come to stand inside the quotes; it is taken out there too, but a
    // reader would not think so.
    if source.slice(value.span).contains("\n") && source.slice(value.span).contains('#') {
        return None;
    }
    let escape = model.dockerfile.directives.escape;
    if means_the_same(pair, &pair.value, instruction, escape) {
        return Some(vec![edit::replace(gap, "=")]);
    }
    let quoted = format!("\"{}\"", pair.value.value);
    means_the_same(pair, &quoted, instruction, escape)
        .then(|| vec![edit::replace(gap, "=\""), edit::insert(value.span.end, "\"")])
}

/// Whether `key=written` is one pair whose value is always that of the old pair.
fn means_the_same(old: &KeyValue, written: &str, instruction: &Instruction, escape: char) -> bool {
    let directive = if escape == '`' { "# escape=`\n" } else { "" };
    let text =
        format!("{directive}FROM scratch\n{} {}={written}\n", instruction.keyword.name(), old.key.value);
    let Ok(parsed) = dockerfile::parse(text.as_bytes(), "") else { return false };
    let pairs = match parsed.instructions.get(1).map(|one| &one.command) {
        Some(Command::Env(env)) => &env.pairs,
        Some(Command::Label(label)) => &label.pairs,
        _ => return false,
    };
    let [new] = &pairs[..] else { return false };
    let lex = Lex::new(escape);
    let all: [&Lookup<'_>; 4] = [&|_| None, &|_| Some(String::new()), &|_| Some("x".into()), &|name| {
        Some(format!("{name} \"y' \\z"))
    }];
    new.key.value == old.key.value
        && all.iter().all(|lookup| {
            match (lex.expand_word(&old.value, *lookup), lex.expand_word(&new.value, *lookup)) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            }
        })
}
