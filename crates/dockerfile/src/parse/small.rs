//! The instructions that take little reading: EXPOSE, VOLUME, SHELL, ONBUILD.

use super::reader::{Head, Reader};
use crate::command::{ExposeCommand, Form, OnBuildCommand, ShellCommand, VolumeCommand};
use crate::diagnostic::Severity;
use crate::error::{Error, ErrorKind};
use crate::instruction::Keyword;
use crate::word;

impl Reader<'_> {
    pub(super) fn expose(&mut self, head: &Head) -> Option<ExposeCommand> {
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

    pub(super) fn volume(&mut self, head: &Head) -> Option<VolumeCommand> {
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

    pub(super) fn shell(&mut self, head: &Head) -> Option<ShellCommand> {
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

    pub(super) fn on_build(&mut self, head: &Head) -> Option<OnBuildCommand> {
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
                warning.severity = Severity::Warning;
                self.warnings
                    .push(warning.with_hint("a build that uses this image as its base will fail here"));
            }
        }
        Some(OnBuildCommand { trigger, expression, instruction })
    }
}
