//! What helps against a fault, from what stands around it.
//!
//! The parser knows what is wrong; what was meant often stands beside it: the next word is the flag's value, the line
//! above should have ended in `\`. So hints are found here, once the whole file is read.

use crate::error::{Error, ErrorKind};
use crate::instruction::Keyword;
use crate::source::{Source, Span};
use crate::{MountError, suggest};

/// Words that begin a command line far more often than anything else.
const COMMANDS: [&str; 52] = [
    "apk", "apt", "apt-get", "bash", "bundle", "bun", "cargo", "cat", "cd", "chmod", "chown", "cmake",
    "composer", "cp", "curl", "dnf", "dotnet", "echo", "export", "find", "gem", "git", "go", "gradle",
    "groupadd", "if", "install", "java", "ln", "ls", "make", "mkdir", "mv", "mvn", "node", "npm", "npx",
    "pip", "pip3", "pnpm", "python", "python3", "rm", "sed", "set", "sh", "source", "sudo", "tar", "touch",
    "useradd", "wget",
];

/// A hint that is better than what the error has, if there is one.
pub(crate) fn find(error: &Error, source: &Source, escape: char) -> Option<String> {
    let place = Place { source, span: error.span, escape };
    match &error.kind {
        ErrorKind::UnknownInstruction { name } if error.hint.is_none() && !name.is_empty() => {
            Some(place.unknown_instruction(name))
        }
        ErrorKind::FromArguments if error.hint.is_none() => Some(place.from()),
        ErrorKind::NoDestination { instruction } => Some(match place.text() {
            text if text.eq_ignore_ascii_case(instruction) => {
                format!("write it as `{instruction} source... destination`")
            }
            only => format!("the last word is the destination: `{instruction} {only} ./`"),
        }),
        ErrorKind::AtLeastOneArgument { instruction }
        | ErrorKind::ExactlyOneArgument { instruction }
        | ErrorKind::BlankName { instruction } => {
            usage(instruction).map(|usage| format!("write it as `{usage}`"))
        }
        ErrorKind::NotStringArray => {
            let text = place.text();
            let plain = !text.starts_with(['[', '{']);
            plain.then(|| format!("write it as `\"{}\"`", text.trim_matches('\'')))
        }
        ErrorKind::NoEquals { instruction, word } => Some(place.no_equals(instruction, word)),
        ErrorKind::HealthCheckType { .. } => Some(format!("write it as `HEALTHCHECK CMD {}`", place.rest())),
        ErrorKind::HealthCheckNoCommand => {
            Some("write it as `HEALTHCHECK CMD curl -f http://localhost/`".to_owned())
        }
        ErrorKind::InvalidDuration { flag, value, .. } if value.bytes().all(|b| b.is_ascii_digit()) => {
            Some(format!("did you mean `--{flag}={value}s`?"))
        }
        ErrorKind::FlagNeedsValue { flag } => {
            let next = place.after().split_whitespace().next().unwrap_or("VALUE");
            Some(format!("write it as `--{flag}={next}`, without blanks"))
        }
        ErrorKind::FlagNotBoolean { flag, .. } => Some(format!("`--{flag}` alone switches it on")),
        ErrorKind::InvalidNetwork { value } => near(value, &["default", "none", "host"]),
        ErrorKind::InvalidSecurity { value } => match value.as_str() {
            "privileged" => Some("did you mean `insecure`?".to_owned()),
            _ => near(value, &["sandbox", "insecure"]),
        },
        ErrorKind::UnterminatedHeredoc { word } => place.heredoc(word),
        ErrorKind::Mount(MountError::Fields { .. }) => {
            Some("quotes go around a whole field: `\"source=a,b\",target=/c`".to_owned())
        }
        _ => None,
    }
}

fn near(value: &str, known: &[&str]) -> Option<String> {
    suggest::nearest(value, known.iter().copied(), false).map(|near| format!("did you mean `{near}`?"))
}

/// How an instruction is written.
fn usage(instruction: &str) -> Option<&'static str> {
    Some(match instruction {
        "ARG" => "ARG name=default",
        "ENV" => "ENV name=value",
        "LABEL" => "LABEL name=value",
        "EXPOSE" => "EXPOSE 8080",
        "VOLUME" => "VOLUME /data",
        "WORKDIR" => "WORKDIR /app",
        "USER" => "USER name",
        "STOPSIGNAL" => "STOPSIGNAL SIGTERM",
        "SHELL" => r#"SHELL ["/bin/sh", "-c"]"#,
        "ONBUILD" => "ONBUILD RUN command",
        "HEALTHCHECK" => "HEALTHCHECK CMD command",
        "MAINTAINER" => "LABEL org.opencontainers.image.authors=name",
        _ => return None,
    })
}

/// A fault's surroundings.
struct Place<'a> {
    source: &'a Source,
    span: Span,
    escape: char,
}

impl<'a> Place<'a> {
    /// What is underlined.
    fn text(&self) -> &'a str {
        self.source.slice(self.span)
    }

    fn line(&self) -> Span {
        self.source.line_span(self.source.line(self.span.start))
    }

    /// What is underlined, and the rest of its line.
    fn rest(&self) -> &'a str {
        self.source.slice(Span::new(self.span.start, self.line().end)).trim()
    }

    /// The rest of the line behind it.
    fn after(&self) -> &'a str {
        self.source.slice(Span::new(self.span.end, self.line().end.max(self.span.end)))
    }

    /// The line above that is no comment and not empty, with its number.
    fn above(&self) -> Option<(usize, &'a str)> {
        (1..self.source.line(self.span.start))
            .rev()
            .map(|line| (line, self.source.slice(self.source.line_span(line)).trim()))
            .find(|(_, text)| !text.is_empty() && !text.starts_with('#'))
    }

    fn unknown_instruction(&self, name: &str) -> String {
        let escape = self.escape;
        let looks_open = |text: &str| {
            text.find(&format!("{escape} ")).is_some_and(|at| text[at + 1..].trim_start().starts_with('#'))
        };
        if let Some((line, _)) = self.above().filter(|(_, text)| looks_open(text)) {
            return format!(
                "line {line} does not continue here: nothing may follow its `{escape}`, not even a comment"
            );
        }
        let other = if escape == '\\' { '`' } else { '\\' };
        if let Some((line, _)) = self.above().filter(|(_, text)| text.ends_with(other)) {
            return format!("line {line} does not continue here: this file's escape character is `{escape}`");
        }
        let continues = name.starts_with(['&', '|', ';', '-', '"', '\'', '}', ')', '<', '>', '$'])
            || name.contains('=') && Keyword::parse(name).is_none();
        if continues && let Some((line, _)) = self.above() {
            return format!("if it belongs to line {line}, that line must end in `{escape}`");
        }
        if COMMANDS.contains(&name) || name.starts_with("./") {
            let takes_more = |(_, text): &(usize, &str)| {
                let first = text.split_whitespace().next().and_then(Keyword::parse);
                matches!(first, None | Some(Keyword::Run | Keyword::Cmd | Keyword::Entrypoint))
            };
            return match self.above().filter(takes_more) {
                Some((line, _)) => format!(
                    "a command is run by `RUN {}`; if it belongs to line {line}, that line must end in `{escape}`",
                    self.rest()
                ),
                None => format!("a command is run by `RUN {}`", self.rest()),
            };
        }
        let names: Vec<&str> = Keyword::ALL.iter().map(|keyword| keyword.name()).collect();
        format!("the instructions are {}", names.join(", "))
    }

    fn from(&self) -> String {
        let words: Vec<&str> = self.text().split_whitespace().collect();
        match words[..] {
            [base, word] if word.eq_ignore_ascii_case("as") => {
                format!("the name is missing: `FROM {base} AS name`")
            }
            [base, other] => format!("a stage has one base; a name comes after AS: `FROM {base} AS {other}`"),
            [base, word, name] if word.len() <= 3 => format!("did you mean `FROM {base} AS {name}`?"),
            [base, word, ref name @ ..] if word.eq_ignore_ascii_case("as") => {
                format!("a stage's name is one word: `FROM {base} AS {}`", name.join("-"))
            }
            _ => "write it as `FROM image` or `FROM image AS name`".to_owned(),
        }
    }

    fn no_equals(&self, instruction: &str, word: &str) -> String {
        if word.starts_with('#') || word.starts_with(self.escape) && word.contains('#') {
            let escape = self.escape;
            return if word.starts_with('#') {
                "a comment stands on a line of its own".to_owned()
            } else {
                format!("nothing may follow the `{escape}` at the end of a line, not even a comment")
            };
        }
        let after = self.after().trim();
        if let Some(value) = after.strip_prefix('=') {
            let value = value.split_whitespace().next().unwrap_or_default();
            return format!("no blanks stand around the `=`: `{word}={value}`");
        }
        let line = self.line();
        let before = self.source.slice(Span::new(line.start, self.span.start)).trim_end();
        let last = before.rsplit(char::is_whitespace).next().unwrap_or_default();
        match last.split_once('=') {
            Some((name, "")) => format!("no blanks stand around the `=`: `{name}={word}`"),
            Some((name, value)) if !value.ends_with(['"', '\'']) && !value.starts_with(['"', '\'']) => {
                format!(
                    "a value with blanks needs quotes: `{name}=\"{value} {word}\"`; an empty one is `{word}=`"
                )
            }
            _ => format!("write it as `{instruction} {word}=value`; an empty value is `{word}=`"),
        }
    }

    /// A line below that is the word but for blanks.
    fn heredoc(&self, word: &str) -> Option<String> {
        let from = self.source.line(self.span.start) + 1;
        let last = self.source.line(self.source.text().len());
        let line = (from..=last).find(|line| {
            let text = self.source.slice(self.source.line_span(*line));
            text.trim() == word && text != word
        })?;
        let text = self.source.slice(self.source.line_span(line));
        let advice = if text.trim_end() == text && text.trim_start_matches('\t') == word {
            format!("`<<-{word}` lets tabs stand before it")
        } else {
            "take them out".to_owned()
        };
        Some(format!("line {line} has blanks around `{word}`: {advice}"))
    }
}
