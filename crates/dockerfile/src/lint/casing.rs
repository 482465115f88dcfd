//! The rule about the case of instructions: the majority decides.

use super::Rule;
use crate::diagnostic::Diagnostic;
use crate::instruction::{Dockerfile, Keyword};

/// Findings of ConsistentInstructionCasing. ARGs before the first FROM neither count nor are told.
pub(super) fn check(dockerfile: &Dockerfile, found: &mut Vec<Diagnostic>) {
    let names =
        || dockerfile.instructions.iter().skip_while(|one| one.keyword != Keyword::From).map(|one| &one.name);
    let is_lower = |name: &str| name.to_lowercase() == name;
    let is_upper = |name: &str| name.to_uppercase() == name;
    let lower = names().filter(|name| is_lower(name)).count();
    let upper = names().filter(|name| is_upper(name)).count();
    let wants_lower = lower > upper;
    for name in names() {
        let fits = if wants_lower { is_lower(name) } else { is_upper(name) };
        if !fits {
            let (case, better) = if wants_lower {
                ("lowercase", name.to_lowercase())
            } else {
                ("uppercase", name.to_uppercase())
            };
            let message = format!("Command '{name}' should match the case of the command majority ({case})");
            found.push(
                Rule::ConsistentInstructionCasing
                    .diagnostic(message, name.span)
                    .with_hint(format!("write it as `{better}`")),
            );
        }
    }
}
