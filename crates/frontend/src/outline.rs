//! What a target can be given from outside: build arguments, secrets, ssh agents (`build --call outline`).
//!
//! While a file is lowered every stage notes what it declares and uses ([`Capture`]); the outline of a target is what
//! it notes itself, then its base, then the stages that it copies from or mounts, each name once. So an argument is
//! told where the stage nearest to the target has it:
//!
//! | written | told as |
//! |---|---|
//! | `ARG A=1` above FROM, used by no FROM and no ARG of a stage | nothing |
//! | ... used by a FROM or by the default of one that is | the global one |
//! | `ARG A` in a stage, where a global A is | the global one, with its description |
//! | `ARG A=2` in a stage, or A given on the command line | that of the stage |
//!
//! Fields and their order are those of BuildKit's subrequest `frontend.outline`, version 1.0.0.

use crate::lower::{Lowering, Purpose};
use crate::{Location, MetaResolver, Options, Result};
use dockerfile::Dockerfile;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a target can be given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outline {
    /// The target's name; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its description, from the comment above its FROM.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Build arguments, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<OutlineArg>,
    /// Secrets that steps mount, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Asked>,
    /// The ssh agents that steps mount, in the order of the file.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh: Vec<Asked>,
}

/// A build argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutlineArg {
    /// Its name.
    pub name: String,
    /// Its description, from the comment above.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Its value as things stand; empty where it has none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
    /// The lines of its ARG.
    pub location: Location,
}

/// A secret or an ssh agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// Its id.
    pub name: String,
    /// Whether a step fails without it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
    /// The lines of the RUN that mounts it.
    pub location: Location,
}

/// Tells what a target can be given. No image is resolved, so what the triggers of a base would ask for is not told.
///
/// # Errors
/// What [`crate::lower`] finds wrong, but for what needs images.
pub fn outline(dockerfile: &Dockerfile, options: &Options, resolver: &dyn MetaResolver) -> Result<Outline> {
    let mut lowering = Lowering::new(dockerfile, options, resolver, Purpose::Look)?;
    let target = lowering.lower_needed()?;
    let stage = lowering.stages[target];
    let mut gathered = Gathered::default();
    lowering.captures.gather(target, &mut gathered);
    let Gathered { mut args, mut secrets, mut ssh, .. } = gathered;
    args.sort_by_key(|arg| arg.location.first());
    secrets.sort_by_key(|secret| secret.location.first());
    ssh.sort_by_key(|ssh| ssh.location.first());
    Ok(Outline {
        name: stage.name().unwrap_or_default().to_owned(),
        description: stage.description().unwrap_or_default().to_owned(),
        args,
        secrets,
        ssh,
    })
}

/// What was noted, by stage.
#[derive(Debug)]
pub(crate) struct Captures {
    stages: Vec<Capture>,
}

/// What a stage declares and uses.
#[derive(Clone, Debug, Default)]
struct Capture {
    args: BTreeMap<String, Known>,
    /// In the order of their first use.
    used: Vec<String>,
    secrets: Vec<Asked>,
    ssh: Vec<Asked>,
    base: Option<usize>,
    sources: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Known {
    arg: OutlineArg,
    /// The arguments that its default uses.
    needs: Vec<String>,
}

impl Captures {
    /// Every stage knows the arguments above the first FROM.
    pub(crate) fn new(stages: usize, globals: GlobalArgs) -> Self {
        let first = Capture { args: globals.0, ..Capture::default() };
        Self { stages: vec![first; stages] }
    }

    /// Stage `index` stands on another; what its own FROM uses is told by that one, as BuildKit does.
    pub(crate) fn stands_on(&mut self, index: usize, base: usize) {
        self.stages[index].base = Some(base);
    }

    /// Stage `index` takes files of another.
    pub(crate) fn takes_from(&mut self, index: usize, source: usize) {
        self.stages[index].sources.push(source);
    }

    /// Stage `index` uses an argument.
    pub(crate) fn uses(&mut self, index: usize, name: &str) {
        let used = &mut self.stages[index].used;
        if !used.iter().any(|known| known == name) {
            used.push(name.to_owned());
        }
    }

    /// Stage `index` declares an argument by itself.
    pub(crate) fn declares(&mut self, index: usize, arg: OutlineArg) {
        let known = Known { arg, needs: Vec::new() };
        self.stages[index].args.insert(known.arg.name.clone(), known);
    }

    /// A step of stage `index` mounts a secret.
    pub(crate) fn secret(&mut self, index: usize, secret: Asked) {
        note(&mut self.stages[index].secrets, secret);
    }

    /// A step of stage `index` mounts an ssh agent.
    pub(crate) fn ssh(&mut self, index: usize, ssh: Asked) {
        note(&mut self.stages[index].ssh, ssh);
    }

    fn gather(&self, index: usize, gathered: &mut Gathered) {
        if gathered.stages.contains(&index) {
            return;
        }
        gathered.stages.push(index);
        let stage = &self.stages[index];
        let mut used = Vec::new();
        for name in &stage.used {
            stage.with_needs(name, &mut used);
        }
        for name in used {
            if let Some(known) = stage.args.get(name)
                && !gathered.args.iter().any(|arg| arg.name == name)
            {
                gathered.args.push(known.arg.clone());
            }
        }
        for secret in &stage.secrets {
            note(&mut gathered.secrets, secret.clone());
        }
        for ssh in &stage.ssh {
            note(&mut gathered.ssh, ssh.clone());
        }
        for next in stage.base.iter().chain(&stage.sources) {
            self.gather(*next, gathered);
        }
    }
}

impl Capture {
    fn with_needs<'a>(&'a self, name: &'a str, all: &mut Vec<&'a str>) {
        if all.contains(&name) {
            return;
        }
        all.push(name);
        for need in self.args.get(name).into_iter().flat_map(|known| &known.needs) {
            self.with_needs(need, all);
        }
    }
}

/// The first mention counts.
fn note(list: &mut Vec<Asked>, asked: Asked) {
    if !list.iter().any(|known| known.name == asked.name) {
        list.push(asked);
    }
}

#[derive(Default)]
struct Gathered {
    stages: Vec<usize>,
    args: Vec<OutlineArg>,
    secrets: Vec<Asked>,
    ssh: Vec<Asked>,
}

/// The arguments above the first FROM.
#[derive(Debug, Default)]
pub(crate) struct GlobalArgs(BTreeMap<String, Known>);

impl GlobalArgs {
    /// One more. Of a default that uses the argument's own name, what the earlier one needed is needed.
    pub(crate) fn add(&mut self, arg: OutlineArg, mut needs: Vec<String>) {
        if let Some(own) = needs.iter().position(|need| *need == arg.name) {
            needs.remove(own);
            if let Some(earlier) = self.0.get(&arg.name) {
                needs.extend(earlier.needs.clone());
            }
        }
        self.0.insert(arg.name.clone(), Known { arg, needs });
    }
}
