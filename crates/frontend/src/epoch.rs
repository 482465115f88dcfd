//! SOURCE_DATE_EPOCH: the time that an image says it was made at.
//!
//! | its value | the time |
//! |---|---|
//! | digits | these seconds since 1970 |
//! | `context` | that of the build context: the commit of a repository, Last-Modified of a URL; a folder has none |
//! | the name of a named context | that of the context |
//! | the name of a stage of one ADD of a URL or a repository over scratch | that of what is added; the stage is not built |
//!
//! The value is that of the build argument, else the default of an ARG before the first FROM. Steps that declare the
//! argument see the seconds, or nothing where there is no time.

use crate::options::{Dated, MetaResolver};
use crate::scope::{Globals, build_arg};
use crate::{Error, Options, Result};
use dockerfile::expand::Lex;
use dockerfile::{Command, Dockerfile, Span, Stage};
use std::borrow::Cow;

/// The argument.
const NAME: &str = "SOURCE_DATE_EPOCH";

/// What came of the argument.
pub(crate) struct Epoch<'a> {
    /// The seconds since 1970, if there is a time.
    pub(crate) seconds: Option<u64>,
    /// The options, with the seconds in place of a name.
    pub(crate) options: Cow<'a, Options>,
}

/// Finds the time that a build is told.
pub(crate) fn resolve<'a>(
    dockerfile: &Dockerfile,
    options: &'a Options,
    resolver: &dyn MetaResolver,
) -> Result<Epoch<'a>> {
    let declared = dockerfile.meta_args().flat_map(|(_, arg)| &arg.args).find(|arg| arg.name.value == NAME);
    if build_arg(options, NAME).is_none() && declared.is_none() {
        return Ok(Epoch { seconds: None, options: Cow::Borrowed(options) });
    }
    let stages = dockerfile.stages();
    let (globals, _) = Globals::new(dockerfile, &stages, options)?;
    let value = build_arg(options, NAME).or_else(|| globals.get(NAME)).unwrap_or_default();
    if value.is_empty() {
        return Ok(Epoch { seconds: None, options: Cow::Borrowed(options) });
    }
    if let Ok(seconds) = value.parse() {
        return Ok(Epoch { seconds: Some(seconds), options: Cow::Borrowed(options) });
    }
    let span = declared.map_or_else(Span::default, |arg| arg.name.span);
    let wrong = |source| Error::Epoch { value: value.to_owned(), source };
    let seconds = if value == "context" {
        resolver.modified(Dated::Context).map_err(wrong)?
    } else if options.contexts.contains_key(value) {
        resolver.modified(Dated::Named(value)).map_err(wrong)?
    } else {
        let named = |stage: &&Stage<'_>| stage.name().is_some_and(|name| name.eq_ignore_ascii_case(value));
        let Some(stage) = stages.iter().find(named) else {
            let message = format!(
                "{NAME} is `{value}`, which is neither seconds since 1970, nor `context`, nor a named context or a stage"
            );
            return Err(Error::at(span, message));
        };
        let (url, checksum) = remote(stage, options, &globals, &Lex::new(dockerfile.directives.escape))?;
        let dated = Dated::Remote { url: &url, checksum: checksum.as_deref() };
        resolver.modified(dated).map_err(wrong)?
    };
    let mut options = options.clone();
    options.build_args.retain(|(name, _)| name != NAME);
    options.build_args.extend(seconds.map(|seconds| (NAME.to_owned(), seconds.to_string())));
    Ok(Epoch { seconds, options: Cow::Owned(options) })
}

/// The one thing that a stage adds, and its checksum.
fn remote(
    stage: &Stage<'_>,
    options: &Options,
    globals: &Globals,
    lex: &Lex,
) -> Result<(String, Option<String>)> {
    let mut values: Vec<(String, String)> = Vec::new();
    let expand = |values: &[(String, String)], text: &str, span| {
        let find = |name: &str| {
            let own = values.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            own.or_else(|| globals.get(name).filter(|_| name != NAME).map(str::to_owned))
        };
        lex.expand_word(text, &find).map_err(|error| Error::at(span, error.to_string()))
    };
    let base = &stage.from.base;
    if expand(&values, base, base.span)? != "scratch" {
        let message = format!("a stage whose time {NAME} takes stands on scratch");
        return Err(Error::at(base.span, message));
    }
    let one = |span| Error::at(span, format!("a stage whose time {NAME} takes has one ADD of one URL"));
    let mut found = None;
    for instruction in stage.instructions {
        let span = instruction.line_span;
        match &instruction.command {
            Command::Arg(arg) => {
                for definition in &arg.args {
                    let name = &definition.name.value;
                    let value = match (build_arg(options, name), &definition.default) {
                        (Some(given), _) => given.to_owned(),
                        (None, Some(default)) => expand(&values, default, default.span)?,
                        (None, None) => continue,
                    };
                    values.push((name.clone(), value));
                }
            }
            Command::Add(add) => {
                let [source] = &add.paths.sources[..] else { return Err(one(span)) };
                if found.is_some() || !add.paths.inline.is_empty() {
                    return Err(one(span));
                }
                let url = expand(&values, source, source.span)?;
                let checksum = add.checksum.as_ref();
                let checksum = checksum.map(|text| expand(&values, text, text.span)).transpose()?;
                if !url.contains("://") && !url.contains('@') {
                    return Err(one(source.span));
                }
                found = Some((url, checksum));
            }
            _ => {
                let message = format!(
                    "a stage whose time {NAME} takes has nothing but ARG and ADD, and no {}",
                    instruction.keyword.name()
                );
                return Err(Error::at(span, message));
            }
        }
    }
    found.ok_or_else(|| one(base.span))
}
