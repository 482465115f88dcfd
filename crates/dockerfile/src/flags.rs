//! The `--name=value` words between an instruction and its arguments.

use crate::error::{Error, ErrorKind};
use crate::source::{Span, Spanned};
use crate::suggest;
use crate::word::FlagWord;
use std::ops::Range;

/// A flag as written, quotes and escapes of the line taken off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name without `--`.
    pub name: Spanned<String>,
    /// The value after `=`; `None` without one.
    pub value: Option<Spanned<String>>,
    /// The whole word.
    pub span: Span,
}

impl Flag {
    /// Cuts a word such as `--name=value` at its first `=`; `place` gives the span of a range of the line.
    pub(crate) fn new(word: &FlagWord, place: impl Fn(Range<usize>) -> Span) -> Self {
        let (name, value) = match word.text.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.text.as_str(), None),
        };
        let Range { start, end } = word.range;
        let name_end = word.equals.unwrap_or(end);
        let value_start = word.equals.map_or(end, |at| at + 1);
        Self {
            name: Spanned::new(name.strip_prefix("--").unwrap_or(name).to_owned(), place(start..name_end)),
            value: value.map(|value| Spanned::new(value.to_owned(), place(value_start..end))),
            span: place(start..end),
        }
    }
}

/// What a flag takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing, `true` or `false`.
    Boolean,
    /// A value, once.
    Value,
    /// A value, any number of times.
    Values,
}

/// The flags of one instruction, checked against those that it knows.
pub(crate) struct FlagSet<'a> {
    flags: Vec<(&'a Flag, &'static str)>,
}

impl<'a> FlagSet<'a> {
    /// Checks every flag; the faulty ones are told and left out.
    pub(crate) fn check(
        instruction: &'static str,
        flags: &'a [Flag],
        known: &[(&'static str, Takes)],
        errors: &mut Vec<Error>,
    ) -> Self {
        let mut set = FlagSet { flags: Vec::new() };
        for flag in flags {
            let name = flag.name.value.as_str();
            let Some((name, takes)) = known.iter().find(|(known, _)| *known == name) else {
                let kind = ErrorKind::UnknownFlag { instruction, flag: name.to_owned() };
                errors.push(Error::new(kind, flag.name.span).hint(unknown_hint(instruction, name, known)));
                continue;
            };
            let owned = || (*name).to_owned();
            let kind = if *takes != Takes::Values && set.find(name).is_some() {
                ErrorKind::DuplicateFlag { flag: owned() }
            } else {
                match (takes, flag.value.as_ref().map(|value| value.to_lowercase())) {
                    (Takes::Boolean, None) => {
                        set.flags.push((flag, name));
                        continue;
                    }
                    (_, None) => ErrorKind::FlagNeedsValue { flag: owned() },
                    (Takes::Boolean, Some(value)) if value.is_empty() => {
                        ErrorKind::FlagNeedsValue { flag: owned() }
                    }
                    (Takes::Boolean, Some(value)) if value != "true" && value != "false" => {
                        ErrorKind::FlagNotBoolean { flag: owned(), value }
                    }
                    _ => {
                        set.flags.push((flag, name));
                        continue;
                    }
                }
            };
            errors.push(Error::new(kind, flag.span));
        }
        set
    }

    fn find(&self, name: &str) -> Option<&'a Flag> {
        self.flags.iter().find(|(_, known)| *known == name).map(|(flag, _)| *flag)
    }

    /// The value of a flag; `None` when it was not given.
    pub(crate) fn value(&self, name: &str) -> Option<Spanned<String>> {
        self.find(name)?.value.clone()
    }

    /// The value of a flag that means nothing when it is empty.
    pub(crate) fn nonempty(&self, name: &str) -> Option<Spanned<String>> {
        self.value(name).filter(|value| !value.is_empty())
    }

    /// All values of a repeatable flag.
    pub(crate) fn values(&self, name: &str) -> Vec<Spanned<String>> {
        self.flags
            .iter()
            .filter(|(_, known)| *known == name)
            .filter_map(|(flag, _)| flag.value.clone())
            .collect()
    }

    /// A switch; `None` when it was not given.
    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        let flag = self.find(name)?;
        Some(flag.value.as_ref().is_none_or(|value| value.eq_ignore_ascii_case("true")))
    }
}

/// Who knows which flag.
const ELSEWHERE: [(&str, &str); 20] = [
    ("platform", "FROM"),
    ("mount", "RUN"),
    ("network", "RUN"),
    ("security", "RUN"),
    ("device", "RUN"),
    ("from", "COPY"),
    ("parents", "COPY"),
    ("chown", "COPY and ADD"),
    ("chmod", "COPY and ADD"),
    ("link", "COPY and ADD"),
    ("exclude", "COPY and ADD"),
    ("checksum", "ADD"),
    ("keep-git-dir", "ADD"),
    ("unpack", "ADD"),
    ("interval", "HEALTHCHECK CMD"),
    ("timeout", "HEALTHCHECK CMD"),
    ("start-period", "HEALTHCHECK CMD"),
    ("start-interval", "HEALTHCHECK CMD"),
    ("retries", "HEALTHCHECK CMD"),
    ("build-arg", "`jettison build`; the file declares it with ARG"),
];

fn unknown_hint(instruction: &str, name: &str, known: &[(&'static str, Takes)]) -> Option<String> {
    if let Some(nearest) = suggest::nearest(name, known.iter().map(|(name, _)| *name), true) {
        return Some(format!("did you mean `--{nearest}`?"));
    }
    if instruction == "RUN" && name == "from" {
        return Some(
            "files of a stage are mounted: `RUN --mount=from=STAGE,target=/path command`".to_owned(),
        );
    }
    if let Some((_, others)) = ELSEWHERE.iter().find(|(flag, _)| *flag == name) {
        return Some(format!("`--{name}` is a flag of {others}"));
    }
    if known.is_empty() {
        return Some(format!("{instruction} takes no flags"));
    }
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`--{name}`")).collect();
    Some(format!("{instruction} knows {}", names.join(", ")))
}
