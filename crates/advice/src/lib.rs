//! Advice about Dockerfiles: rules of our own beside BuildKit's, and the rewriting of what is safe to rewrite.
//!
//! ```text
//! Dockerfile ─┐
//!             ├─ Model: stages, folders, commands of RUN ─ rules ─▶ findings ─ check ─▶ Vec<Diagnostic>
//! Facts ──────┘                                              └──▶ edits ───── fix ───▶ text, changes
//! ```
//!
//! A rule fires only when it is sure: what a variable, a base image or a file gives is looked at where it is known
//! ([`Facts`]), and where it is not known a rule that would need it says nothing. The rules are advice: they never
//! make a build fail, and are asked only by `build --check`. They obey `# check=skip=` like BuildKit's.
//!
//! Pure: knows the syntax tree and plain facts; reads no file, no network, no environment, and must never do so.
#![forbid(unsafe_code)]

mod diff;
mod edit;
mod examples;
mod facts;
mod finding;
mod fix;
mod model;
mod packages;
mod reference;
mod rule;
mod rules;
mod shell;
mod text;

pub use diff::unified;
pub use facts::{Base, Context, FILES, Facts};
pub use fix::{Change, Fixed, add_edits, fix};
pub use reference::reference;
pub use rule::Rule;

use dockerfile::lint::Config;
use dockerfile::{Diagnostic, Dockerfile};

/// Checks a file by all rules that it does not skip: `config` is what its `# check=` says, to which the comment above
/// an instruction adds. In the order of the file. Each finding carries the name of its rule ([`Rule::parse`]).
pub fn check(dockerfile: &Dockerfile, facts: &Facts, config: &Config) -> Vec<Diagnostic> {
    findings(dockerfile, facts, config).into_iter().map(|finding| finding.diagnostic()).collect()
}

/// The images that the file's stages stand on, as FROM names them once its variables are filled in: what
/// [`Facts::bases`] may tell of.
pub fn base_names(dockerfile: &Dockerfile, facts: &Facts) -> Vec<String> {
    let model = model::Model::new(dockerfile, facts);
    let mut names: Vec<String> = Vec::new();
    for (index, _) in model.stages.iter().enumerate().filter(|(index, _)| model.reached[*index]) {
        if let Some(name) =
            model.root(index).filter(|name| *name != "scratch" && !names.iter().any(|one| one == name))
        {
            names.push(name.to_owned());
        }
    }
    names
}

fn findings<'a>(dockerfile: &'a Dockerfile, facts: &'a Facts, config: &Config) -> Vec<finding::Finding<'a>> {
    if config.skip_all || dockerfile.instructions.is_empty() {
        return Vec::new();
    }
    let model = model::Model::new(dockerfile, facts);
    let mut found = rules::check(&model);
    found.retain(|one| config.at(one.instruction).allows_name(one.rule.name()));
    found.sort_by_key(|one| (one.span, one.rule));
    found
}
