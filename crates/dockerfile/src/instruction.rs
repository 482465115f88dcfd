//! What a parsed Dockerfile is made of: instructions, and the stages that they form.

use crate::command::{ArgCommand, Command, FromCommand};
use crate::diagnostic::Diagnostic;
use crate::directive::Directives;
use crate::flags::Flag;
use crate::heredoc::Heredoc;
use crate::source::{LineRange, Source, Span, Spanned};

/// The instructions of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each variant is the instruction of its name")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    HealthCheck,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    StopSignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    /// All of them, in the order of the alphabet.
    pub const ALL: [Keyword; 18] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::HealthCheck,
        Self::Label,
        Self::Maintainer,
        Self::OnBuild,
        Self::Run,
        Self::Shell,
        Self::StopSignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// The word in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::HealthCheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::OnBuild => "ONBUILD",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::StopSignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

    /// The instruction that a word names, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name().eq_ignore_ascii_case(word))
    }
}

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Its name as typed.
    pub name: Spanned<String>,
    /// Which it is.
    pub keyword: Keyword,
    /// The line with continuations joined, comments and heredoc bodies left out: what history and progress show.
    pub original: String,
    /// From the name to the last byte, heredoc bodies included.
    pub span: Span,
    /// From the name to the last byte of its (joined) line, without heredoc bodies: what to underline.
    pub line_span: Span,
    /// Its lines, heredoc bodies included.
    pub lines: LineRange,
    /// Its flags, in order. Those of a RUN, COPY or ADD are also fields of the command.
    pub flags: Vec<Flag>,
    /// The comments right above it, without `#`; an empty comment line separates.
    pub comments: Vec<String>,
    /// The heredocs of its line, in order.
    pub heredocs: Vec<Heredoc>,
    /// What it says.
    pub command: Command,
}

/// A parsed Dockerfile.
#[derive(Clone, Debug)]
pub struct Dockerfile {
    /// The text, and places in it.
    pub source: Source,
    /// The parser directives.
    pub directives: Directives,
    /// The instructions in order.
    pub instructions: Vec<Instruction>,
    /// What is worth telling though the file can be read. Those that carry a rule are among the findings of
    /// [`crate::lint::check`] too; the others nobody else tells.
    pub warnings: Vec<Diagnostic>,
}

/// A build stage: a FROM and what follows it up to the next.
#[derive(Clone, Copy, Debug)]
pub struct Stage<'a> {
    /// Its number, from 0.
    pub index: usize,
    /// The FROM, with its comments and lines.
    pub instruction: &'a Instruction,
    /// The same, typed: base, platform, name.
    pub from: &'a FromCommand,
    /// What follows, without the FROM.
    pub instructions: &'a [Instruction],
}

impl<'a> Stage<'a> {
    /// The stage's name in lower case, if it has one.
    pub fn name(&self) -> Option<&'a str> {
        self.from.name.as_ref().map(|name| name.value.as_str())
    }

    /// What it stands on, not expanded.
    pub fn base(&self) -> &'a str {
        &self.from.base.value
    }

    /// Its `--platform`, not expanded.
    pub fn platform(&self) -> Option<&'a str> {
        self.from.platform.as_ref().map(|platform| platform.value.as_str())
    }

    /// From its FROM to its last instruction.
    pub fn span(&self) -> Span {
        let last = self.instructions.last().unwrap_or(self.instruction);
        self.instruction.span.join(last.span)
    }

    /// The description from a comment `# name text` above the FROM.
    pub fn description(&self) -> Option<&'a str> {
        let name = self.name()?;
        let mut comments = self.instruction.comments.iter();
        comments.find_map(|comment| comment.strip_prefix(name)?.strip_prefix(' '))
    }
}

impl Dockerfile {
    /// The ARGs before the first FROM, each with its instruction.
    pub fn meta_args(&self) -> impl Iterator<Item = (&Instruction, &ArgCommand)> {
        self.instructions.iter().take_while(|one| one.keyword != Keyword::From).filter_map(|one| {
            match &one.command {
                Command::Arg(arg) => Some((one, arg)),
                _ => None,
            }
        })
    }

    /// The stages in order.
    pub fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = Vec::new();
        let mut rest = self.instructions.as_slice();
        while let Some((first, after)) = rest.split_first() {
            rest = after;
            if let Command::From(from) = &first.command {
                let end = after.iter().position(|one| one.keyword == Keyword::From).unwrap_or(after.len());
                let (instructions, next) = after.split_at(end);
                stages.push(Stage { index: stages.len(), instruction: first, from, instructions });
                rest = next;
            }
        }
        stages
    }
}
