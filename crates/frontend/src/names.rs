//! What a name means: in a FROM, a `--from` and a mount's `from`.
//!
//! | written in | finds stages | finds numbers |
//! |---|---|---|
//! | FROM | before it, in just this case (names of stages are kept in lower case) | no |
//! | `COPY --from` | before it, in any case | yes, from 0 |
//! | `RUN --mount=from=` | before it, in any case | no |
//! | `--target` | all, in any case | no |
//!
//! A named context beats them all, also by the image's complete name; what is no stage is an image. `scratch` and
//! `context` cannot be given another meaning by a named context.

use crate::error::chain;
use crate::hints::near_of;
use crate::lower::Lowering;
use crate::{Error, NamedContext, Options, Result};
use dockerfile::{Command, Span, Stage};
use graph::Op;
use oci::Reference;

/// What a name means.
pub(crate) enum Named {
    /// An earlier stage.
    Stage(usize),
    /// A folder given by `--build-context`, by the name it was given.
    Local(String),
    /// An image, or `scratch`.
    Image(String),
    /// A source that another machine holds, by the name of its context.
    Remote(String, Box<Op>),
}

/// A name in an instruction.
pub(crate) struct Mention<'a> {
    pub(crate) name: &'a str,
    pub(crate) span: Span,
    /// Whether a number is the number of a stage.
    pub(crate) numbers: bool,
}

/// The sources that a command copies from or mounts, as written.
pub(crate) fn mentions(command: &Command) -> Vec<Mention<'_>> {
    match command {
        Command::Copy(copy) => {
            let from = copy.from.iter();
            from.map(|from| Mention { name: from, span: from.span, numbers: true }).collect()
        }
        Command::Run(run) => {
            let mounts = run.mounts.iter();
            mounts
                .filter_map(|mount| Some(Mention { name: mount.from()?, span: mount.span, numbers: false }))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// The stage that is asked for.
pub(crate) fn find_target(stages: &[Stage<'_>], options: &Options) -> Result<usize> {
    let Some(target) = &options.target else { return Ok(stages.len() - 1) };
    let found =
        stages.iter().rposition(|stage| stage.name().is_some_and(|name| name.eq_ignore_ascii_case(target)));
    found.ok_or_else(|| Error::Target {
        target: target.clone(),
        stages: stages.iter().filter_map(|stage| stage.name().map(str::to_owned)).collect(),
    })
}

impl Lowering<'_> {
    /// The named context that a name means, with the name it was given on the command line.
    pub(crate) fn context(&self, name: &str) -> Option<(&str, &NamedContext)> {
        let contexts = &self.options.contexts;
        if contexts.is_empty() || ["scratch", "context"].iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return None;
        }
        if let Some((name, context)) = contexts.get_key_value(name) {
            return Some((name, context));
        }
        let wanted = name.parse::<Reference>().ok()?;
        let same = |given: &String| given.parse::<Reference>().is_ok_and(|given| given == wanted);
        contexts.iter().find(|(given, _)| same(given)).map(|(given, context)| (given.as_str(), context))
    }

    /// The named context that stands for an image of a layout.
    pub(crate) fn context_of_layout(&self, layout: &str) -> Option<&str> {
        let is_it = |context: &NamedContext| matches!(context, NamedContext::Image(name) if name == layout);
        let found = self.options.contexts.iter().find(|(_, context)| is_it(context))?;
        layout.starts_with("oci-layout://").then_some(found.0)
    }

    /// The named context that stands in place of a stage.
    pub(crate) fn context_of_stage(&self, index: usize) -> Option<Named> {
        let (given, context) = self.context(self.stages[index].name()?)?;
        Some(as_named(given, context))
    }

    /// The stage that a stage stands on, if it is one.
    pub(crate) fn base_stage(&self, index: usize) -> Result<Option<usize>> {
        let base = self.expanded_base(index)?;
        // A named context beats a stage.
        if self.context(&base).is_some() {
            return Ok(None);
        }
        Ok((0..index).rev().find(|earlier| self.stages[*earlier].name() == Some(base.as_str())))
    }

    /// The base of a stage with the global arguments in.
    pub(crate) fn expanded_base(&self, index: usize) -> Result<String> {
        let base = &self.stages[index].from.base;
        let text = self.global_expand(base)?;
        if text.is_empty() {
            let message = format!("the base name `{}` is empty once its arguments are filled in", base.value);
            let error = Error::at(base.span, message);
            return Err(match self.empty_argument(base, index) {
                Some(hint) => error.hint(hint),
                None => error,
            });
        }
        Ok(text)
    }

    /// What a name in a `--from` or a mount's `from` means in stage `index`.
    pub(crate) fn named(&self, mention: &Mention<'_>, index: usize) -> Result<Named> {
        let Mention { name, span, numbers } = *mention;
        if let Some((given, context)) = self.context(name) {
            return Ok(as_named(given, context));
        }
        let same =
            |stage: usize| self.stages[stage].name().is_some_and(|known| known.eq_ignore_ascii_case(name));
        if let Some(stage) = (0..index).rev().find(|stage| same(*stage)) {
            return Ok(Named::Stage(stage));
        }
        if numbers && let Ok(number) = name.parse::<i64>() {
            return match usize::try_from(number) {
                Ok(number) if number < index => {
                    Ok(self.context_of_stage(number).unwrap_or(Named::Stage(number)))
                }
                Ok(number) if number == index => {
                    Err(self.takes_from_itself(&number.to_string(), span, index))
                }
                _ => {
                    let message = format!("there is no stage {number} before this one");
                    Err(Error::at(span, message).hint(self.stage_list(index)))
                }
            };
        }
        if same(index) {
            return Err(self.takes_from_itself(&format!("`{name}`"), span, index));
        }
        if (index + 1..self.stages.len()).any(same) {
            let message = format!("the stage `{name}` is not defined before this instruction");
            return Err(
                Error::at(span, message).hint("move the stage up: a stage can only use those before it")
            );
        }
        image(name, span)
    }

    fn takes_from_itself(&self, shown: &str, span: Span, index: usize) -> Error {
        Error::at(span, format!("stage {shown} cannot take files from itself")).hint(self.stage_list(index))
    }

    /// A hint that lists the stages before `index`.
    pub(crate) fn stage_list(&self, index: usize) -> String {
        let names: Vec<String> = self.stages[..index]
            .iter()
            .map(|stage| stage.name().map_or_else(|| stage.index.to_string(), |name| format!("`{name}`")))
            .collect();
        match &names[..] {
            [] => "no stage stands before this one".to_owned(),
            [one] => format!("the stage before this one is {one}"),
            names => format!("the stages before this one are {}", names.join(", ")),
        }
    }

    /// An image that was not found where a stage may have been meant: the error says so.
    pub(crate) fn no_such_source(&self, error: Error, flag: &str, index: usize) -> Error {
        let Error::Image { source, reference, span } = &error else { return error };
        let message = format!(
            "`{reference}` is no stage before this one, and no image of that name was found: {}",
            chain(source.as_ref())
        );
        let names: Vec<&str> = self.stages[..index].iter().filter_map(Stage::name).collect();
        let error = Error::at(*span, message).hint(self.stage_list(index));
        match near_of(reference, &names) {
            Some(near) => error.hint(format!("did you mean `{flag}={near}`?")),
            None => error,
        }
    }
}

/// The image that a Dockerfile's own text names. A folder of the machine that builds is for its user alone to name.
pub(crate) fn image(name: &str, span: Span) -> Result<Named> {
    if name.starts_with("oci-layout://") {
        let message =
            format!("`{name}` is a folder of the building machine, and a Dockerfile cannot name one");
        return Err(Error::at(span, message).hint(format!(
            "give it a name on the command line, `--build-context base={name}`, and use that"
        )));
    }
    Ok(Named::Image(name.to_owned()))
}

pub(crate) fn as_named(given: &str, context: &NamedContext) -> Named {
    match context {
        NamedContext::Local => Named::Local(given.to_owned()),
        NamedContext::Image(reference) => Named::Image(reference.clone()),
        NamedContext::Git(git) => Named::Remote(given.to_owned(), Box::new(Op::Git(git.clone()))),
        NamedContext::Http(http) => Named::Remote(given.to_owned(), Box::new(Op::Http(http.clone()))),
    }
}
