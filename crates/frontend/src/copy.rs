//! COPY and ADD.

use crate::lower::{CONTEXT, Lowering};
use crate::names::Mention;
use crate::stage::StageState;
use crate::{Error, Result, history, mode, paths};
use dockerfile::command::{AddCommand, CopyCommand, CopyPaths, InlineFile};
use dockerfile::expand::Lex;
use dockerfile::lint::{Rule, messages};
use dockerfile::{Diagnostic, Instruction, Span, Spanned};
use graph::{Copy, FileAction, FileOp, MakeFile, NodeId, Op};

/// The flags that COPY and ADD share, expanded.
struct Common<'a> {
    word: &'static str,
    from: Option<&'a Spanned<String>>,
    paths: &'a CopyPaths,
    chown: Option<String>,
    chmod: Option<String>,
    link: bool,
    parents: bool,
    exclude: Vec<String>,
    unpack: bool,
}

impl Lowering<'_> {
    pub(crate) fn copy(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        copy: &CopyCommand,
    ) -> Result<()> {
        let common = Common {
            word: "COPY",
            from: copy.from.as_ref(),
            paths: &copy.paths,
            chown: self.flag(state, copy.chown.as_ref())?,
            chmod: self.chmod(state, copy.chmod.as_ref())?,
            link: copy.link,
            parents: copy.parents,
            exclude: copy.exclude.iter().map(|pattern| pattern.value.clone()).collect(),
            unpack: false,
        };
        self.copy_files(state, instruction, &common)
    }

    pub(crate) fn add(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        add: &AddCommand,
    ) -> Result<()> {
        if let Some(checksum) = &add.checksum {
            return Err(Error::at(state.span(checksum.span), "ADD --checksum is not supported yet"));
        }
        let common = Common {
            word: "ADD",
            from: None,
            paths: &add.paths,
            chown: self.flag(state, add.chown.as_ref())?,
            chmod: self.chmod(state, add.chmod.as_ref())?,
            link: add.link,
            parents: false,
            exclude: add.exclude.iter().map(|pattern| pattern.value.clone()).collect(),
            unpack: add.unpack.unwrap_or(true),
        };
        self.copy_files(state, instruction, &common)
    }

    /// A flag's value; one that is empty once its variables are filled in says nothing.
    fn flag(&mut self, state: &StageState, flag: Option<&Spanned<String>>) -> Result<Option<String>> {
        let value = flag.map(|flag| self.word(state, flag)).transpose()?;
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn chmod(&mut self, state: &StageState, flag: Option<&Spanned<String>>) -> Result<Option<String>> {
        let mode = self.flag(state, flag)?;
        if let (Some(mode), Some(flag)) = (&mode, flag)
            && mode::of_file(mode).is_none()
        {
            let message = format!("`--chmod={mode}` is no mode");
            let hint = "a mode is an octal number from 0 to 7777, or clauses such as `u+x,go=r`";
            return Err(Error::at(state.span(flag.span), message).hint(hint));
        }
        Ok(mode)
    }

    /// CopyIgnoredFile. Where the ignore file has exceptions, BuildKit says nothing, and so nothing is said here.
    fn check_ignored(&mut self, is_add: bool, source: &str, span: Span) {
        let Some(patterns) = self.resolver.ignored().filter(|patterns| !patterns.has_exceptions()) else {
            return;
        };
        let cleaned = dockerfile::ignore::clean(source);
        let is_ignored = match cleaned.as_str() {
            "." | "/" => patterns.ignores_all(),
            path => patterns.matches(path.trim_start_matches('/')),
        };
        if is_ignored {
            let message = messages::copy_ignored_file(is_add, &cleaned);
            self.findings.report(Rule::CopyIgnoredFile, message, span);
        }
    }

    fn copy_files(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        common: &Common<'_>,
    ) -> Result<()> {
        let mut sources = Vec::new();
        for source in &common.paths.sources {
            let text = self.word(state, source)?;
            let span = state.span(source.span);
            if is_remote(&text) {
                return Err(if common.word == "ADD" {
                    Error::at(span, format!("ADD of the address `{text}` is not supported yet"))
                        .hint("fetch it in a RUN of an earlier stage and COPY it from there")
                } else {
                    Error::at(span, format!("COPY takes files, not the address `{text}`"))
                        .hint("ADD takes addresses")
                });
            }
            if text.is_empty() && !self.findings.unsure {
                let message = "this source is empty once its variables are filled in: all files are taken";
                self.warnings.push(Diagnostic::warning(message, span));
            }
            if common.from.is_none() {
                self.check_ignored(common.word == "ADD", &text, span);
            }
            sources.push(text);
        }
        let written = self.word(state, &common.paths.destination)?;
        let destination = paths::destination(state.directory(), &written);
        // With --chmod BuildKit copies as if there were no --link.
        let link = common.link && common.chmod.is_none();
        let base = if link { self.scratch() } else { state.node };
        let mut inputs = vec![base];
        let mut actions = Vec::new();
        if !sources.is_empty() {
            let node = self.copy_source(state, common)?;
            inputs.push(node);
            actions.push(FileAction::Copy(Copy {
                input: 1,
                sources: sources.iter().map(|source| in_source(source)).collect(),
                destination: destination.clone(),
                chown: common.chown.clone(),
                chmod: common.chmod.clone(),
                parents: common.parents,
                exclude: common.exclude.clone(),
                unpack: common.unpack,
            }));
        }
        for file in &common.paths.inline {
            actions.push(FileAction::MakeFile(self.inline_file(state, common, file, &destination)?));
        }
        let about = self.about(state, instruction);
        let op = Op::File(FileOp { actions });
        let mut node = self.graph.add(op, inputs, about.clone());
        if link {
            let merged = graph::About { slot: format!("{}#merge", about.slot), ..about };
            node = self.graph.add(Op::Merge, vec![state.node, node], merged);
        }
        state.node = node;
        let mut created_by = common.word.to_owned();
        if common.parents {
            created_by.push_str(" --parents");
        }
        for (flag, value) in [("chown", &common.chown), ("chmod", &common.chmod)] {
            if let Some(value) = value {
                created_by.push_str(&format!(" --{flag}={value}"));
            }
        }
        let inline = common.paths.inline.iter().map(|file| format!("<<{}", file.name.value));
        for word in sources.into_iter().chain(inline).chain([written]) {
            created_by.push(' ');
            created_by.push_str(&word);
        }
        created_by.push_str(" # buildkit");
        state.config.history.push(history::entry(created_by, true));
        Ok(())
    }

    fn inline_file(
        &mut self,
        state: &StageState,
        common: &Common<'_>,
        file: &InlineFile,
        destination: &str,
    ) -> Result<MakeFile> {
        let content = if file.expand {
            self.text(state, &Lex::heredoc(), &file.content, file.name.span)?
        } else {
            file.content.clone()
        };
        let name = &file.name.value;
        let path =
            if destination.ends_with('/') { paths::join(destination, name) } else { destination.to_owned() };
        let mode =
            mode::of_file(common.chmod.as_deref().unwrap_or("644")).expect("because it was read before");
        Ok(MakeFile { path, name: name.clone(), content, mode, owner: common.chown.clone() })
    }

    fn copy_source(&mut self, state: &StageState, common: &Common<'_>) -> Result<NodeId> {
        let Some(from) = common.from else { return Ok(self.local(CONTEXT)) };
        let mention = Mention { name: from, span: state.span(from.span), numbers: true };
        self.source(&mention, state.index, "--from")
    }
}

/// A source as the operation has it: nothing is the root.
fn in_source(source: &str) -> String {
    if source.is_empty() { "/".to_owned() } else { source.to_owned() }
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|scheme| source.starts_with(scheme))
}
