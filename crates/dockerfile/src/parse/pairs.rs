//! `ARG name[=default]...`, and the pairs of `ENV` and `LABEL` in their two spellings.

use super::reader::{Head, Reader};
use crate::command::{ArgCommand, ArgDefinition, KeyValue};
use crate::error::{Error, ErrorKind};
use crate::source::{Span, Spanned};
use crate::word::{self, Word};

impl Reader<'_> {
    pub(super) fn arg(&mut self, head: &Head) -> Option<ArgCommand> {
        self.ignored_flags(head, "ARG");
        let words = word::quoted(self.text, head.args.clone(), self.escape);
        if words.is_empty() {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction: "ARG" }, head.name.span);
        }
        self.trailing_comment(head, "ARG");
        let mut args = Vec::new();
        for word in words {
            let (name, default) = self.split(&word);
            if name.is_empty() {
                return self.fail(ErrorKind::BlankName { instruction: "ARG" }, self.line.span(word.range));
            }
            let description = self.comments.iter().find_map(|comment| {
                comment.strip_prefix(name.value.as_str())?.strip_prefix(' ').map(str::to_owned)
            });
            args.push(ArgDefinition { name, default, description });
        }
        Some(ArgCommand { args })
    }

    pub(super) fn pairs(&mut self, head: &Head, instruction: &'static str) -> Option<Vec<KeyValue>> {
        self.no_flags(head, instruction);
        let words = word::quoted(self.text, head.args.clone(), self.escape);
        let Some(first) = words.first() else {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction }, head.name.span);
        };
        if !first.text.contains('=') {
            let (key, value) = word::cut(self.text, head.args.clone());
            let Some(value) = value else {
                let span = self.line.span(key);
                self.errors.push(
                    Error::new(ErrorKind::NeedsNameAndValue { instruction }, span)
                        .hint(format!("write it as `{instruction} {}=value`", first.text)),
                );
                return None;
            };
            let text = |range: std::ops::Range<usize>| {
                Spanned::new(self.text[range.clone()].to_owned(), self.line.span(range))
            };
            let pair = KeyValue { key: text(key), value: text(value), legacy: true };
            self.trailing_comment(head, instruction);
            return Some(vec![pair]);
        }
        let faulty = self.errors.len();
        for word in words.iter().filter(|word| !word.text.contains('=')) {
            let hint = if word.text.starts_with('#') {
                "a comment stands on a line of its own"
            } else {
                "a value with spaces needs quotes"
            };
            let kind = ErrorKind::NoEquals { instruction, word: word.text.clone() };
            self.errors.push(Error::new(kind, self.line.span(word.range.clone())).hint(hint.to_owned()));
        }
        if self.errors.len() > faulty {
            // A quote that is missing spoils every word after it: the first fault tells enough.
            self.errors.truncate(faulty + 1);
            return None;
        }
        let mut pairs = Vec::new();
        for word in words {
            let (key, value) = self.split(&word);
            if key.is_empty() {
                return self.fail(ErrorKind::BlankName { instruction }, self.line.span(word.range));
            }
            pairs.extend(value.map(|value| KeyValue { key, value, legacy: false }));
        }
        Some(pairs)
    }

    /// Cuts a word at its first `=`.
    fn split(&self, word: &Word) -> (Spanned<String>, Option<Spanned<String>>) {
        let span = self.line.span(word.range.clone());
        match word.text.split_once('=') {
            None => (Spanned::new(word.text.clone(), span), None),
            Some((name, value)) => {
                let cut = word.range.start + name.len();
                let name_span = self.line.span(word.range.start..cut);
                let value_span = self.line.span(cut + 1..word.range.end);
                let value_span = if value_span.is_empty() {
                    Span::new(value_span.start, value_span.start)
                } else {
                    value_span
                };
                (Spanned::new(name.to_owned(), name_span), Some(Spanned::new(value.to_owned(), value_span)))
            }
        }
    }
}
