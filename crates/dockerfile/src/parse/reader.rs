//! One joined line under the eyes of the instruction parsers: its head, its words, and what they have in common.

use crate::command::*;
use crate::diagnostic::Diagnostic;
use crate::error::{Error, ErrorKind};
use crate::flags::{Flag, FlagSet, Takes};
use crate::heredoc::{self, Heredoc};
use crate::instruction::Keyword;
use crate::json::{self, Array};
use crate::line::{Lines, LogicalLine};
use crate::source::{Span, Spanned};
use crate::{suggest, word};
use std::ops::Range;

/// The beginning of an instruction: name, flags, and where its arguments are.
pub(super) struct Head {
    pub(super) name: Spanned<String>,
    pub(super) keyword: Option<Keyword>,
    pub(super) flags: Vec<Flag>,
    /// The arguments in the joined line, white space at both ends taken off.
    pub(super) args: Range<usize>,
}

impl Head {
    /// Whether `<<WORD` means something here.
    pub(super) fn takes_heredocs(&self, reader: &Reader<'_>) -> bool {
        let takes = |head: &Head| {
            matches!(head.keyword, Some(Keyword::Run | Keyword::Copy | Keyword::Add))
                && !matches!(json::array(&reader.text[head.args.clone()]), Array::Strings(_))
        };
        if !reader.text.contains("<<") {
            return false;
        }
        match self.keyword {
            Some(Keyword::OnBuild) => takes(&reader.head(self.args.clone())),
            _ => takes(self),
        }
    }
}

/// Reads one joined line.
pub(super) struct Reader<'a> {
    pub(super) line: &'a LogicalLine,
    pub(super) text: &'a str,
    pub(super) escape: char,
    pub(super) comments: &'a [String],
    pub(super) heredocs: Vec<Heredoc>,
    pub(super) warnings: &'a mut Vec<Diagnostic>,
    pub(super) errors: &'a mut Vec<Error>,
}

impl Reader<'_> {
    pub(super) fn head(&self, range: Range<usize>) -> Head {
        let range = word::trim(self.text, range);
        let (name, rest) = word::cut(self.text, range);
        let (flags, args) = match rest {
            Some(rest) => word::leading_flags(self.text, rest, self.escape),
            None => (Vec::new(), name.end..name.end),
        };
        let typed = &self.text[name.clone()];
        Head {
            keyword: Keyword::parse(typed),
            name: Spanned::new(typed.to_owned(), self.line.span(name)),
            flags: flags.iter().map(|word| Flag::new(word, |range| self.line.span(range))).collect(),
            args: word::trim(self.text, args),
        }
    }

    /// Takes the bodies of the line's heredocs from the lines below.
    pub(super) fn bodies(&mut self, lines: &mut Lines<'_>) {
        for mut heredoc in heredoc::openings(self.text) {
            let mut span: Option<Span> = None;
            let closed = loop {
                let Some(line) = lines.next() else { break false };
                let word = line.content();
                let word = if heredoc.strip_tabs { word.trim_start_matches('\t') } else { word };
                if word == heredoc.name {
                    span.get_or_insert(Span::new(line.start, line.start));
                    break true;
                }
                heredoc.content.push_str(line.text);
                let end = line.start + line.text.len();
                span.get_or_insert(Span::new(line.start, end)).end = end;
            };
            heredoc.span = span.unwrap_or_default();
            if !closed {
                let at = self.text.find("<<").unwrap_or(0);
                let (at, end) = match self.text[at..].find(&heredoc.name) {
                    Some(found) => (at + found, at + found + heredoc.name.len()),
                    // Its quotes are written inside of the word.
                    None => (at, self.text.trim_end().len()),
                };
                let hint = format!("a line that is just `{}` closes it", heredoc.name);
                let kind = ErrorKind::UnterminatedHeredoc { word: heredoc.name };
                self.errors.push(Error::new(kind, self.line.span(at..end)).hint(hint));
                return;
            }
            self.heredocs.push(heredoc);
        }
    }

    pub(super) fn command(&mut self, head: &Head) -> Option<Command> {
        let Some(keyword) = head.keyword else {
            let name = head.name.value.clone();
            let odd = name.chars().find(|c| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'));
            let hint = match odd {
                Some(odd) => Some(format!("U+{:04X} looks like a space but is none here", u32::from(odd))),
                None => suggest::nearest(&name, Keyword::ALL.map(Keyword::name), false)
                    .map(|nearest| format!("did you mean `{nearest}`?")),
            };
            self.errors.push(Error::new(ErrorKind::UnknownInstruction { name }, head.name.span).hint(hint));
            return None;
        };
        match keyword {
            Keyword::From => self.from(head).map(Command::From),
            Keyword::Arg => self.arg(head).map(Command::Arg),
            Keyword::Env => self.pairs(head, "ENV").map(|pairs| Command::Env(EnvCommand { pairs })),
            Keyword::Label => self.pairs(head, "LABEL").map(|pairs| Command::Label(LabelCommand { pairs })),
            Keyword::Run => self.run(head).map(Command::Run),
            Keyword::Copy => self.copy(head).map(Command::Copy),
            Keyword::Add => self.add(head).map(Command::Add),
            Keyword::Workdir => {
                self.one_text(head, "WORKDIR").map(|path| Command::Workdir(WorkdirCommand { path }))
            }
            Keyword::User => self.one_text(head, "USER").map(|user| Command::User(UserCommand { user })),
            Keyword::Expose => self.expose(head).map(Command::Expose),
            Keyword::Volume => self.volume(head).map(Command::Volume),
            Keyword::Cmd => {
                self.no_flags(head, "CMD");
                Some(Command::Cmd(CmdCommand { form: self.form(head.args.clone())? }))
            }
            Keyword::Entrypoint => {
                self.no_flags(head, "ENTRYPOINT");
                Some(Command::Entrypoint(EntrypointCommand { form: self.form(head.args.clone())? }))
            }
            Keyword::Shell => self.shell(head).map(Command::Shell),
            Keyword::StopSignal => {
                self.ignored_flags(head, "STOPSIGNAL");
                let signal = self.exactly_one(head, "STOPSIGNAL")?;
                Some(Command::StopSignal(StopSignalCommand { signal }))
            }
            Keyword::HealthCheck => self.health_check(head).map(Command::HealthCheck),
            Keyword::OnBuild => self.on_build(head).map(Command::OnBuild),
            Keyword::Maintainer => self
                .one_text(head, "MAINTAINER")
                .map(|author| Command::Maintainer(MaintainerCommand { author })),
        }
    }

    pub(super) fn fail<T>(&mut self, kind: ErrorKind, span: Span) -> Option<T> {
        self.errors.push(Error::new(kind, span));
        None
    }

    pub(super) fn flags<'f>(
        &mut self,
        head: &'f Head,
        instruction: &'static str,
        known: &[(&'static str, Takes)],
    ) -> FlagSet<'f> {
        FlagSet::check(instruction, &head.flags, known, self.errors)
    }

    pub(super) fn no_flags(&mut self, head: &Head, instruction: &'static str) {
        self.flags(head, instruction, &[]);
    }

    /// BuildKit does not look at the flags of a few instructions; that deserves a word.
    pub(super) fn ignored_flags(&mut self, head: &Head, instruction: &'static str) {
        if let Some(flag) = head.flags.first() {
            let message = format!("{instruction} takes no flags; `--{}` is ignored", flag.name.value);
            self.warnings.push(Diagnostic::warning(message, flag.span));
        }
    }

    /// The span of the arguments; of the instruction's name when there are none.
    pub(super) fn args_span(&self, head: &Head) -> Span {
        if head.args.is_empty() { head.name.span } else { self.line.span(head.args.clone()) }
    }

    pub(super) fn spanned(&self, word: word::Word) -> Spanned<String> {
        Spanned::new(word.text, self.line.span(word.range))
    }

    /// The rest of the line as it is.
    pub(super) fn exactly_one(&mut self, head: &Head, instruction: &'static str) -> Option<Spanned<String>> {
        if head.args.is_empty() {
            return self.fail(ErrorKind::ExactlyOneArgument { instruction }, head.name.span);
        }
        self.trailing_comment(head, instruction);
        Some(Spanned::new(self.text[head.args.clone()].to_owned(), self.line.span(head.args.clone())))
    }

    pub(super) fn one_text(&mut self, head: &Head, instruction: &'static str) -> Option<Spanned<String>> {
        let text = self.exactly_one(head, instruction);
        self.no_flags(head, instruction);
        text
    }

    /// A `#` after the arguments is no comment to Docker, which surprises people.
    pub(super) fn trailing_comment(&mut self, head: &Head, instruction: &str) {
        let args = &self.text[head.args.clone()];
        if let Some(at) = args.find(" #").or_else(|| args.find("\t#")) {
            let range = head.args.start + at + 1..head.args.end;
            let message = format!("this is no comment but part of the arguments of {instruction}");
            let warning = Diagnostic::warning(message, self.line.span(range))
                .with_hint("a comment stands on a line of its own");
            self.warnings.push(warning);
        }
    }

    /// A JSON array, else a text for the shell.
    pub(super) fn form(&mut self, range: Range<usize>) -> Option<Form> {
        let text = &self.text[range.clone()];
        match json::array(text) {
            Array::Strings(strings) => {
                Some(Form::Exec(strings.into_iter().map(|(value, _)| value).collect()))
            }
            Array::OtherElement(element) => {
                let span = self.line.span(range.start + element.start..range.start + element.end);
                self.fail(ErrorKind::NotStringArray, span)
            }
            Array::NotJson => {
                self.almost_json(text, range);
                Some(Form::Shell(text.to_owned()))
            }
        }
    }

    /// Warns of a text for the shell that was probably meant as JSON. `[ -f x ]` is a fine shell command.
    pub(super) fn almost_json(&mut self, text: &str, range: Range<usize>) {
        let mut beginning = text.chars().filter(|c| !c.is_whitespace());
        if beginning.next() != Some('[') || !matches!(beginning.next(), Some('"' | '\'')) {
            return;
        }
        let hint = if text.contains("] #") {
            "a comment stands on a line of its own"
        } else if text.ends_with(']') {
            "JSON takes double quotes, commas between elements and none after the last"
        } else {
            return;
        };
        let message = "this is no valid JSON array, so the shell runs it as a command";
        self.warnings.push(Diagnostic::warning(message, self.line.span(range)).with_hint(hint));
    }

    /// A JSON array of strings, else the words between blanks.
    pub(super) fn list(&mut self, range: Range<usize>) -> Option<Vec<Spanned<String>>> {
        match json::array(&self.text[range.clone()]) {
            Array::Strings(strings) => {
                let place = |at: Range<usize>| self.line.span(range.start + at.start..range.start + at.end);
                Some(strings.into_iter().map(|(value, at)| Spanned::new(value, place(at))).collect())
            }
            Array::OtherElement(at) => {
                let span = self.line.span(range.start + at.start..range.start + at.end);
                self.fail(ErrorKind::NotStringArray, span)
            }
            Array::NotJson => {
                let words = word::blank_separated(self.text, range);
                Some(words.into_iter().map(|word| self.spanned(word)).collect())
            }
        }
    }
}
