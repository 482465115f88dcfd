//! `COPY` and `ADD`: flags, sources, destination, heredocs among the sources.

use super::reader::{Head, Reader};
use crate::command::{AddCommand, CopyCommand, CopyPaths, InlineFile};
use crate::diagnostic::Diagnostic;
use crate::error::{Error, ErrorKind};
use crate::expand::Lex;
use crate::flags::Takes;
use crate::heredoc::{self, Heredoc};
use crate::source::{Span, Spanned};
use std::collections::{HashMap, HashSet};

const COPY: [(&str, Takes); 6] = [
    ("from", Takes::Value),
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Boolean),
    ("parents", Takes::Boolean),
    ("exclude", Takes::Values),
];

const ADD: [(&str, Takes); 7] = [
    ("chown", Takes::Value),
    ("chmod", Takes::Value),
    ("link", Takes::Boolean),
    ("keep-git-dir", Takes::Boolean),
    ("checksum", Takes::Value),
    ("unpack", Takes::Boolean),
    ("exclude", Takes::Values),
];

impl Reader<'_> {
    pub(super) fn copy(&mut self, head: &Head) -> Option<CopyCommand> {
        let flags = self.flags(head, "COPY", &COPY);
        let from = flags.nonempty("from");
        if let Some(from) = &from {
            let plain = Lex::new(self.escape).expand_word(from, &|_| None);
            if plain.as_deref() != Ok(from.value.as_str()) {
                let hint =
                    "give the image a stage of its own, `FROM $image AS name`, and copy from that".to_owned();
                self.errors.push(Error::new(ErrorKind::CopyFromVariable, from.span).hint(hint));
            }
        }
        Some(CopyCommand {
            paths: self.copy_paths(head, "COPY")?,
            from,
            chown: flags.nonempty("chown"),
            chmod: flags.nonempty("chmod"),
            link: flags.boolean("link").unwrap_or(false),
            parents: flags.boolean("parents").unwrap_or(false),
            exclude: flags.values("exclude"),
        })
    }

    pub(super) fn add(&mut self, head: &Head) -> Option<AddCommand> {
        let flags = self.flags(head, "ADD", &ADD);
        Some(AddCommand {
            paths: self.copy_paths(head, "ADD")?,
            chown: flags.nonempty("chown"),
            chmod: flags.nonempty("chmod"),
            link: flags.boolean("link").unwrap_or(false),
            checksum: flags.nonempty("checksum"),
            keep_git_dir: flags.boolean("keep-git-dir"),
            unpack: flags.boolean("unpack"),
            exclude: flags.values("exclude"),
        })
    }

    fn copy_paths(&mut self, head: &Head, instruction: &'static str) -> Option<CopyPaths> {
        let mut words = self.list(head.args.clone())?;
        let (destination, true) = (words.pop(), !words.is_empty()) else {
            return self.fail(ErrorKind::NoDestination { instruction }, self.args_span(head));
        };
        let destination = destination?;
        if heredoc::parse_word(&destination).is_some() {
            return self.fail(ErrorKind::HeredocDestination { instruction }, destination.span);
        }
        self.comment_among_paths(&words, &destination, instruction);
        self.flag_among_paths(&words, &destination, instruction);
        let (mut sources, mut inline) = (Vec::new(), Vec::new());
        // Of two heredocs with one name BuildKit gives both the content of the last.
        let bodies: HashMap<&str, &Heredoc> =
            self.heredocs.iter().map(|body| (body.name.as_str(), body)).collect();
        // The same word again gives the same file again: only its last place counts, or a long line of them would
        // hold the body as often.
        let mut seen = HashSet::new();
        for word in words.into_iter().rev() {
            match heredoc::parse_word(&word) {
                None => sources.push(word),
                Some(opening) => {
                    if !seen.insert((opening.name.clone(), opening.strip_tabs, opening.expand)) {
                        continue;
                    }
                    let body = bodies.get(opening.name.as_str());
                    let content = body.map(|body| body.text_with(opening.strip_tabs));
                    inline.push(InlineFile {
                        name: Spanned::new(opening.name, word.span),
                        content: content.unwrap_or_default(),
                        expand: opening.expand,
                    });
                }
            }
        }
        sources.reverse();
        inline.reverse();
        Some(CopyPaths { sources, inline, destination })
    }

    /// `COPY a b --chown=1` copies `a` and `b` to a file `--chown=1`: worth a word.
    fn flag_among_paths(
        &mut self,
        sources: &[Spanned<String>],
        destination: &Spanned<String>,
        instruction: &str,
    ) {
        let mut words = sources.iter().chain(std::iter::once(destination));
        let is_flag = |word: &&Spanned<String>| {
            let name = word.strip_prefix("--").map(|flag| flag.split('=').next().unwrap_or_default());
            name.is_some_and(|name| COPY.iter().chain(&ADD).any(|(known, _)| *known == name))
        };
        let Some(flag) = words.find(is_flag) else { return };
        let message = format!("`{}` is taken for a path", flag.value);
        let hint = format!("flags stand before the sources: `{instruction} {} ...`", flag.value);
        self.warnings.push(Diagnostic::warning(message, flag.span).with_hint(hint));
    }

    /// `COPY a b  # note` copies `a`, `b`, and `#` to the directory `note`: worth a word.
    fn comment_among_paths(
        &mut self,
        sources: &[Spanned<String>],
        destination: &Spanned<String>,
        instruction: &str,
    ) {
        let words = || sources.iter().chain(std::iter::once(destination));
        let Some(at) = words().skip(1).position(|word| word.starts_with('#')).map(|at| at + 1) else {
            return;
        };
        let Some(hash) = words().nth(at) else { return };
        let meant = words().nth(at - 1).map(|word| word.value.as_str()).unwrap_or_default();
        let message = format!(
            "this is no comment: {instruction} takes `{}` as the destination and the words before it as sources",
            destination.value
        );
        let hint = if at >= 2 {
            format!(
                "a comment stands on a line of its own; the destination was probably meant to be `{meant}`"
            )
        } else {
            "a comment stands on a line of its own".to_owned()
        };
        let span = Span::new(hash.span.start, destination.span.end);
        self.warnings.push(Diagnostic::warning(message, span).with_hint(hint));
    }
}
