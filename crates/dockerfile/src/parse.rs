//! The way from text to instructions: lines, directives, heredocs, then one instruction after the other. A fault
//! ends the instruction that has it, not the parse.

mod copy;
mod from;
mod health;
mod pairs;
mod run;

use crate::command::*;
use crate::diagnostic::Diagnostic;
use crate::directive::{self, Directives, Found};
use crate::error::{Error, ErrorKind, ParseFailure};
use crate::flags::{Flag, FlagSet, Takes};
use crate::heredoc::{self, Heredoc};
use crate::instruction::{Dockerfile, Instruction, Keyword};
use crate::json::{self, Array};
use crate::line::{Line, Lines, LogicalLine};
use crate::source::{Source, Span, Spanned};
use crate::{lint, suggest, word};
use std::ops::Range;

/// The parse ends after this many faults; whoever has more has given us something else than a Dockerfile.
const MOST_ERRORS: usize = 100;

/// Reads a Dockerfile. `file_name` is what messages call it.
///
/// Bytes that are not UTF-8 become U+FFFD, with a warning. Every fault is reported, not just the first; the failure
/// also holds what could be read.
pub fn parse(text: impl AsRef<[u8]>, file_name: &str) -> Result<Dockerfile, ParseFailure> {
    let text = String::from_utf8_lossy(text.as_ref());
    let mut parser = Parser {
        source: Source::new(file_name, &text),
        directives: Directives::default(),
        instructions: Vec::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    if let std::borrow::Cow::Owned(text) = &text {
        let at = text.find('\u{FFFD}').unwrap_or(0);
        let warning = Diagnostic::warning("the Dockerfile is not UTF-8", Span::new(at, at + 3))
            .with_hint("bytes that are not UTF-8 are read as U+FFFD");
        parser.warnings.push(warning);
    }
    parser.read(&text);
    parser.check_order();
    parser.finish()
}

/// Reads one trigger of an image's config, as ONBUILD stored it: exactly one instruction.
pub fn parse_trigger(expression: &str) -> Result<Instruction, ParseFailure> {
    let mut parser = Parser {
        source: Source::new("ONBUILD", expression),
        directives: Directives::default(),
        instructions: Vec::new(),
        warnings: Vec::new(),
        errors: Vec::new(),
    };
    parser.read(expression);
    let mut dockerfile = parser.finish()?;
    // Further instructions can only come from a base image that was made by hand; BuildKit refuses them as well.
    if dockerfile.instructions.len() == 1 {
        return Ok(dockerfile.instructions.remove(0));
    }
    let errors = vec![match dockerfile.instructions.get(1) {
        Some(second) => {
            Error::new(ErrorKind::OnBuildTrigger { instruction: second.name.value.clone() }, second.span)
        }
        None => Error::new(ErrorKind::NoInstructions, Span::default()),
    }];
    Err(ParseFailure { errors, dockerfile: Box::new(dockerfile) })
}

/// A parse under way.
struct Parser {
    source: Source,
    directives: Directives,
    instructions: Vec<Instruction>,
    warnings: Vec<Diagnostic>,
    errors: Vec<Error>,
}

impl Parser {
    fn read(&mut self, text: &str) {
        let mut lines = Lines::new(text);
        let mut in_directives = true;
        let mut after_empty = false;
        let mut comments = Vec::new();
        while let Some(line) = lines.next() {
            if self.errors.len() >= MOST_ERRORS {
                return;
            }
            let content = line.content();
            let stripped = content.trim_start();
            let start = line.start + content.len() - stripped.len();
            let is_comment = stripped.starts_with('#');
            if in_directives {
                match directive::read(stripped, start) {
                    Found::Directive(key, value) => {
                        self.directive(key, value, line.span());
                        continue;
                    }
                    // A program may be named in the first line; syntax and check may follow it.
                    Found::End if lines.number == 1 && content.starts_with("#!") => continue,
                    Found::End => {
                        in_directives = false;
                        after_empty = stripped.is_empty();
                    }
                }
            } else if after_empty && !stripped.is_empty() {
                after_empty = self.late_directive(stripped, start, line.span());
            }
            if is_comment {
                // What the line holds after its first character: of an indented comment, the `#` too, as BuildKit.
                let comment = content.get(1..).unwrap_or_default().trim();
                if comment.is_empty() {
                    comments.clear();
                } else {
                    comments.push(comment.to_owned());
                }
                continue;
            }
            if stripped.is_empty() {
                continue;
            }
            self.logical_line(line, &mut lines, std::mem::take(&mut comments));
        }
    }

    fn directive(&mut self, key: &'static str, value: Spanned<String>, span: Span) {
        let directives = &mut self.directives;
        let known = match key {
            "syntax" => directives.syntax.replace(value).is_some(),
            "check" => directives.check.replace(value).is_some(),
            _ => {
                let twice = directives.escape_span.replace(value.span).is_some();
                match value.value.as_str() {
                    "\\" => directives.escape = '\\',
                    "`" => directives.escape = '`',
                    _ => {
                        let kind = ErrorKind::InvalidEscape { value: value.value };
                        self.errors.push(Error::new(kind, value.span));
                    }
                }
                twice
            }
        };
        if known {
            self.errors.push(Error::new(ErrorKind::DuplicateDirective { key }, span));
        }
    }

    /// Warns of a line that would be a directive but for the empty line above it; says whether there may be more.
    fn late_directive(&mut self, line: &str, start: usize, span: Span) -> bool {
        let Found::Directive(key, _) = directive::read(line, start) else { return false };
        let warning = Diagnostic::warning(format!("this `{key}` is a comment, not a directive"), span)
            .with_hint("directives stand at the very top of the file, without an empty line before them");
        self.warnings.push(warning);
        true
    }

    fn logical_line(&mut self, first: Line<'_>, lines: &mut Lines<'_>, comments: Vec<String>) {
        let logical = LogicalLine::read(first, lines, self.directives.escape);
        if logical.text.trim().is_empty() {
            // A lone escape character. BuildKit calls it an unknown instruction without a name.
            let span = logical.span(0..logical.text.len());
            let kind = ErrorKind::UnknownInstruction { name: String::new() };
            self.errors
                .push(Error::new(kind, span).hint("remove the lone continuation character".to_owned()));
            return;
        }
        self.warnings.extend(logical.empty.first().map(|span| {
            lint::Rule::NoEmptyContinuation
                .diagnostic("Empty continuation line".to_owned(), *span)
                .with_hint("remove the line, or make it a comment: it will be an error one day")
        }));
        let mut reader = Reader {
            line: &logical,
            text: &logical.text,
            escape: self.directives.escape,
            comments: &comments,
            heredocs: Vec::new(),
            warnings: &mut self.warnings,
            errors: &mut self.errors,
        };
        let head = reader.head(0..logical.text.len());
        let mut last_line = logical.lines.last;
        if head.takes_heredocs(&reader) {
            reader.bodies(lines);
            last_line = lines.number.max(last_line);
        }
        let before = reader.errors.len();
        let command = reader.command(&head);
        let heredocs = std::mem::take(&mut reader.heredocs);
        if let (Some(command), true) = (command, self.errors.len() == before) {
            let text = logical.span(0..logical.text.trim_end().len());
            let end = heredocs
                .last()
                .map_or(text.end, |doc| self.source.line_span(last_line).end.max(doc.span.end));
            self.instructions.push(Instruction {
                name: head.name,
                keyword: head.keyword.expect("because a command was made for it"),
                original: logical.text.trim().to_owned(),
                span: Span::new(text.start, end),
                line_span: text,
                lines: crate::source::LineRange { first: logical.lines.first, last: last_line },
                flags: head.flags,
                comments,
                heredocs,
                command,
            });
        }
    }

    /// Only ARG may come before the first FROM, and there must be one.
    fn check_order(&mut self) {
        let first_from = self.instructions.iter().position(|one| one.keyword == Keyword::From);
        let before = first_from.unwrap_or(self.instructions.len());
        // A FROM that could not be read explains it already.
        let from_failed = self.errors.iter().any(|error| {
            matches!(
                error.kind,
                ErrorKind::FromArguments
                    | ErrorKind::InvalidStageName { .. }
                    | ErrorKind::UnknownInstruction { .. }
                    | ErrorKind::UnknownFlag { instruction: "FROM", .. }
                    | ErrorKind::FlagNeedsValue { .. }
                    | ErrorKind::DuplicateFlag { .. }
            )
        });
        if from_failed && first_from.is_none() {
            return;
        }
        for one in &self.instructions[..before] {
            if one.keyword != Keyword::Arg {
                let kind = ErrorKind::BeforeFirstFrom { instruction: one.name.value.clone() };
                self.errors.push(
                    Error::new(kind, one.name.span)
                        .hint("a build stage begins with `FROM image`; put it above this line".to_owned()),
                );
                // One is enough: the others have the same cure.
                break;
            }
        }
        if self.errors.is_empty() && first_from.is_none() {
            let kind =
                if self.instructions.is_empty() { ErrorKind::NoInstructions } else { ErrorKind::NoStage };
            let end = self.source.text().len();
            let hint =
                "a build stage begins with `FROM image`, or `FROM scratch` for an empty one".to_owned();
            self.errors.push(Error::new(kind, Span::new(end, end)).hint(hint));
        }
    }

    fn finish(mut self) -> Result<Dockerfile, ParseFailure> {
        let dockerfile = Dockerfile {
            source: self.source,
            directives: self.directives,
            instructions: self.instructions,
            warnings: self.warnings,
        };
        if self.errors.is_empty() {
            return Ok(dockerfile);
        }
        self.errors.sort_by_key(|error| error.span.start);
        Err(ParseFailure { errors: self.errors, dockerfile: Box::new(dockerfile) })
    }
}

/// The beginning of an instruction: name, flags, and where its arguments are.
struct Head {
    name: Spanned<String>,
    keyword: Option<Keyword>,
    flags: Vec<Flag>,
    /// The arguments in the joined line, white space at both ends taken off.
    args: Range<usize>,
}

impl Head {
    /// Whether `<<WORD` means something here.
    fn takes_heredocs(&self, reader: &Reader<'_>) -> bool {
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
struct Reader<'a> {
    line: &'a LogicalLine,
    text: &'a str,
    escape: char,
    comments: &'a [String],
    heredocs: Vec<Heredoc>,
    warnings: &'a mut Vec<Diagnostic>,
    errors: &'a mut Vec<Error>,
}

impl Reader<'_> {
    fn head(&self, range: Range<usize>) -> Head {
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
            flags: flags.into_iter().map(|word| Flag::new(&word.text, self.line.span(word.range))).collect(),
            args: word::trim(self.text, args),
        }
    }

    /// Takes the bodies of the line's heredocs from the lines below.
    fn bodies(&mut self, lines: &mut Lines<'_>) {
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
                let at = self.text[at..].find(&heredoc.name).map_or(at, |found| at + found);
                let end = (at + heredoc.name.len()).min(self.text.len());
                let hint = format!("a line that is just `{}` closes it", heredoc.name);
                let kind = ErrorKind::UnterminatedHeredoc { word: heredoc.name };
                self.errors.push(Error::new(kind, self.line.span(at..end)).hint(hint));
                return;
            }
            self.heredocs.push(heredoc);
        }
    }

    fn command(&mut self, head: &Head) -> Option<Command> {
        let Some(keyword) = head.keyword else {
            let name = head.name.value.clone();
            let nearest = suggest::nearest(&name, Keyword::ALL.map(Keyword::name), false);
            let hint = nearest.map(|nearest| format!("did you mean `{nearest}`?"));
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

    fn fail<T>(&mut self, kind: ErrorKind, span: Span) -> Option<T> {
        self.errors.push(Error::new(kind, span));
        None
    }

    fn flags<'f>(
        &mut self,
        head: &'f Head,
        instruction: &'static str,
        known: &[(&'static str, Takes)],
    ) -> FlagSet<'f> {
        FlagSet::check(instruction, &head.flags, known, self.errors)
    }

    fn no_flags(&mut self, head: &Head, instruction: &'static str) {
        self.flags(head, instruction, &[]);
    }

    /// BuildKit does not look at the flags of a few instructions; that deserves a word.
    fn ignored_flags(&mut self, head: &Head, instruction: &'static str) {
        if let Some(flag) = head.flags.first() {
            let message = format!("{instruction} takes no flags; `--{}` is ignored", flag.name.value);
            self.warnings.push(Diagnostic::warning(message, flag.span));
        }
    }

    /// The span of the arguments; of the instruction's name when there are none.
    fn args_span(&self, head: &Head) -> Span {
        if head.args.is_empty() { head.name.span } else { self.line.span(head.args.clone()) }
    }

    fn spanned(&self, word: word::Word) -> Spanned<String> {
        Spanned::new(word.text, self.line.span(word.range))
    }

    /// The rest of the line as it is.
    fn exactly_one(&mut self, head: &Head, instruction: &'static str) -> Option<Spanned<String>> {
        if head.args.is_empty() {
            return self.fail(ErrorKind::ExactlyOneArgument { instruction }, head.name.span);
        }
        self.trailing_comment(head, instruction);
        Some(Spanned::new(self.text[head.args.clone()].to_owned(), self.line.span(head.args.clone())))
    }

    fn one_text(&mut self, head: &Head, instruction: &'static str) -> Option<Spanned<String>> {
        let text = self.exactly_one(head, instruction);
        self.no_flags(head, instruction);
        text
    }

    /// A `#` after the arguments is no comment to Docker, which surprises people.
    fn trailing_comment(&mut self, head: &Head, instruction: &str) {
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
    fn form(&mut self, range: Range<usize>) -> Option<Form> {
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
    fn almost_json(&mut self, text: &str, range: Range<usize>) {
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
    fn list(&mut self, range: Range<usize>) -> Option<Vec<Spanned<String>>> {
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

    fn expose(&mut self, head: &Head) -> Option<ExposeCommand> {
        self.no_flags(head, "EXPOSE");
        let ports: Vec<_> = word::blank_separated(self.text, head.args.clone())
            .into_iter()
            .map(|word| self.spanned(word))
            .collect();
        if ports.is_empty() {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction: "EXPOSE" }, head.name.span);
        }
        self.trailing_comment(head, "EXPOSE");
        Some(ExposeCommand { ports })
    }

    fn volume(&mut self, head: &Head) -> Option<VolumeCommand> {
        self.no_flags(head, "VOLUME");
        let mut paths = self.list(head.args.clone())?;
        if paths.is_empty() {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction: "VOLUME" }, self.args_span(head));
        }
        for path in &mut paths {
            path.value = path.value.trim().to_owned();
            if path.value.is_empty() {
                return self.fail(ErrorKind::EmptyVolume, path.span);
            }
        }
        self.trailing_comment(head, "VOLUME");
        Some(VolumeCommand { paths })
    }

    fn shell(&mut self, head: &Head) -> Option<ShellCommand> {
        self.no_flags(head, "SHELL");
        let span = self.args_span(head);
        match self.form(head.args.clone())? {
            Form::Exec(shell) if !shell.is_empty() => Some(ShellCommand { shell }),
            Form::Exec(_) => self.fail(ErrorKind::AtLeastOneArgument { instruction: "SHELL" }, span),
            Form::Shell(text) if text.is_empty() => {
                self.fail(ErrorKind::AtLeastOneArgument { instruction: "SHELL" }, span)
            }
            Form::Shell(text) => {
                let words: Vec<String> = text.split_whitespace().map(|word| format!("{word:?}")).collect();
                let hint = format!("write it as `SHELL [{}]`", words.join(", "));
                self.errors.push(Error::new(ErrorKind::ShellNotJson, span).hint(hint));
                None
            }
        }
    }

    fn on_build(&mut self, head: &Head) -> Option<OnBuildCommand> {
        self.no_flags(head, "ONBUILD");
        if head.args.is_empty() {
            return self.fail(ErrorKind::AtLeastOneArgument { instruction: "ONBUILD" }, head.name.span);
        }
        let inner = self.head(head.args.clone());
        let trigger = inner.name.value.to_uppercase();
        match inner.keyword {
            Some(Keyword::OnBuild) => return self.fail(ErrorKind::ChainedOnBuild, inner.name.span),
            Some(Keyword::From | Keyword::Maintainer) => {
                return self.fail(ErrorKind::OnBuildTrigger { instruction: trigger }, inner.name.span);
            }
            _ => {}
        }
        let mut expression = self.text[head.args.clone()].to_owned();
        for heredoc in &self.heredocs {
            expression.push('\n');
            expression.push_str(&heredoc.content);
            expression.push_str(&heredoc.name);
        }
        let known = self.errors.len();
        let instruction = self.command(&inner).map(Box::new);
        // What is wrong with a trigger shows when it is triggered; only words that cannot be told apart are told now.
        let untold = self.errors.split_off(known);
        for error in untold {
            if matches!(
                error.kind,
                ErrorKind::NotStringArray | ErrorKind::NoEquals { .. } | ErrorKind::NeedsNameAndValue { .. }
            ) {
                self.errors.push(error);
            } else {
                let mut warning = error.to_diagnostic();
                warning.severity = crate::diagnostic::Severity::Warning;
                self.warnings
                    .push(warning.with_hint("a build that uses this image as its base will fail here"));
            }
        }
        Some(OnBuildCommand { trigger, expression, instruction })
    }
}

#[cfg(test)]
mod tests;
