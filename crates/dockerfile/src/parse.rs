//! The way from text to instructions: lines, directives, heredocs, then one instruction after the other. A fault
//! ends the instruction that has it, not the parse.

mod copy;
mod from;
mod health;
mod pairs;
mod reader;
mod run;
mod small;

use crate::diagnostic::Diagnostic;
use crate::directive::{self, Directives, Found};
use crate::error::{Error, ErrorKind, ParseFailure};
use crate::instruction::{Dockerfile, Instruction, Keyword};
use crate::line::{Line, Lines, LogicalLine};
use crate::source::{Source, Span, Spanned};
use crate::{hint, lint};
use reader::Reader;

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
        let mut shebang = false;
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
                    // After a shebang the escape character stays, as in BuildKit.
                    Found::Directive("escape", _) if shebang => continue,
                    Found::Directive(key, value) => {
                        self.directive(key, value, line.span());
                        continue;
                    }
                    // A program may be named in the first line; syntax and check may follow it.
                    Found::End if lines.number == 1 && content.starts_with("#!") => {
                        shebang = true;
                        continue;
                    }
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
            // One line alone may have any number of them.
            self.errors.truncate(MOST_ERRORS);
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
        for error in &mut self.errors {
            if let Some(hint) = hint::find(error, &dockerfile.source, dockerfile.directives.escape) {
                error.hint = Some(hint);
            }
        }
        Err(ParseFailure { errors: self.errors, dockerfile: Box::new(dockerfile) })
    }
}

#[cfg(test)]
mod tests;
