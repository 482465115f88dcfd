//! `KEY=VALUE,...` of one `--cache-from` or `--cache-to`.

use super::super::output::boolean;
use crate::error::{CommandError, Outcome};
use std::time::Duration;

/// The attributes that nobody has taken yet.
pub(super) struct Attributes {
    flag: &'static str,
    pairs: Vec<(String, String)>,
}

impl Attributes {
    /// Takes a text apart; one without any `=` is the name of an image.
    pub(super) fn parse(flag: &'static str, text: &str) -> Outcome<Self> {
        if !text.contains('=') {
            let pairs = [("type", "registry"), ("ref", text)];
            let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
            return Ok(Self { flag, pairs });
        }
        // What stands there may be a key of a service: messages name attributes, not values.
        let fields = dockerfile::csv_fields(text)
            .ok_or_else(|| CommandError::usage(format!("{flag}: a quote is out of place")))?;
        let pair = |field: &String| {
            let (key, value) = field.split_once('=').ok_or_else(|| {
                CommandError::usage(format!("{flag}: an attribute has no `=`; it is KEY=VALUE,KEY=VALUE"))
            })?;
            Ok((key.trim().to_lowercase(), value.to_owned()))
        };
        Ok(Self { flag, pairs: fields.iter().map(pair).collect::<Outcome<_>>()? })
    }

    /// A wrong command line.
    pub(super) fn wrong(&self, reason: impl std::fmt::Display) -> CommandError {
        CommandError::usage(format!("{}: {reason}", self.flag))
    }

    /// The last value of a key.
    pub(super) fn take(&mut self, key: &str) -> Option<String> {
        let at = self.pairs.iter().rposition(|(known, _)| known == key)?;
        let (_, value) = self.pairs.swap_remove(at);
        self.pairs.retain(|(known, _)| known != key);
        Some(value)
    }

    /// As [`Attributes::take`], for what a type cannot do without.
    pub(super) fn need(&mut self, kind: &str, key: &str) -> Outcome<String> {
        self.take(key).ok_or_else(|| self.wrong(format!("type={kind} needs a {key}")))
    }

    pub(super) fn boolean(&mut self, key: &str, default: bool) -> Outcome<bool> {
        self.take(key).map_or(Ok(default), |value| boolean(self.flag, key, &value))
    }

    /// A whole number above 0.
    pub(super) fn count(&mut self, key: &str) -> Outcome<Option<usize>> {
        match self.take(key).map(|value| value.parse::<usize>()) {
            None => Ok(None),
            Some(Ok(count)) if count > 0 => Ok(Some(count)),
            Some(_) => Err(self.wrong(format!("{key} is a whole number above 0"))),
        }
    }

    /// A duration as Go writes it: `24h`, `1h30m`.
    pub(super) fn duration(&mut self, key: &str, default: Duration) -> Outcome<Duration> {
        self.take(key).map_or(Ok(default), |value| {
            container::time::parse_duration(&value)
                .ok_or_else(|| self.wrong(format!("{key} is a duration like 24h or 10m30s")))
        })
    }

    /// What is left over is not known.
    pub(super) fn end(self, kind: &str) -> Outcome<()> {
        match self.pairs.first() {
            Some((key, _)) => Err(self.wrong(format!("the type `{kind}` has no attribute `{key}`"))),
            None => Ok(()),
        }
    }
}
