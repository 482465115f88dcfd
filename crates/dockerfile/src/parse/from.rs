//! `FROM [--platform=P] base [AS name]`

use super::reader::{Head, Reader};
use crate::command::FromCommand;
use crate::error::{Error, ErrorKind};
use crate::flags::Takes;
use crate::source::Spanned;
use crate::word;

impl Reader<'_> {
    pub(super) fn from(&mut self, head: &Head) -> Option<FromCommand> {
        let flags = self.flags(head, "FROM", &[("platform", Takes::Value)]);
        let mut words = word::blank_separated(self.text, head.args.clone()).into_iter();
        let (base, as_word, name) = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(base), None, ..) => (base, None, None),
            (Some(base), Some(as_word), Some(name), None) if as_word.text.eq_ignore_ascii_case("as") => {
                (base, Some(as_word), Some(name))
            }
            (_, second, third, _) => {
                let comment = [second, third].into_iter().flatten().any(|word| word.text.starts_with('#'));
                let hint = if comment || self.text[head.args.clone()].contains(" #") {
                    Some("a comment stands on a line of its own".to_owned())
                } else {
                    None
                };
                let span = self.args_span(head);
                self.errors.push(Error::new(ErrorKind::FromArguments, span).hint(hint));
                return None;
            }
        };
        let base = self.spanned(base);
        let as_word = as_word.map(|word| self.spanned(word));
        let typed = name.map(|word| self.spanned(word));
        if let Some(typed) = &typed
            && !is_stage_name(&typed.to_lowercase())
        {
            let hint =
                "a stage's name begins with a letter and holds letters, digits, `-`, `_` and `.`".to_owned();
            let kind = ErrorKind::InvalidStageName { name: typed.value.clone() };
            self.errors.push(Error::new(kind, typed.span).hint(hint));
            return None;
        }
        Some(FromCommand {
            platform: flags.nonempty("platform"),
            base,
            name: typed.as_ref().map(|name| Spanned::new(name.to_lowercase(), name.span)),
            typed_name: typed.map(|name| name.value),
            as_word,
        })
    }
}

/// `^[a-z][a-z0-9-_.]*$`
fn is_stage_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.'))
}
