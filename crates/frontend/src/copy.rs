//! COPY and ADD.

use crate::lower::{CONTEXT, Lowering, Named};
use crate::stage::StageState;
use crate::{Error, Result, history, paths};
use dockerfile::command::{AddCommand, CopyCommand, CopyPaths, InlineFile};
use dockerfile::expand::Lex;
use dockerfile::{Instruction, Span, Spanned};
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
            chmod: self.flag(state, copy.chmod.as_ref())?,
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
            chmod: self.flag(state, add.chmod.as_ref())?,
            link: add.link,
            parents: false,
            exclude: add.exclude.iter().map(|pattern| pattern.value.clone()).collect(),
            unpack: add.unpack.unwrap_or(true),
        };
        self.copy_files(state, instruction, &common)
    }

    fn flag(&self, state: &StageState, flag: Option<&Spanned<String>>) -> Result<Option<String>> {
        flag.map(|flag| state.scope.expand(&self.lex, flag, state.span(flag.span))).transpose()
    }

    fn copy_files(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        common: &Common<'_>,
    ) -> Result<()> {
        let mut sources = Vec::new();
        for source in &common.paths.sources {
            let text = state.scope.expand(&self.lex, source, state.span(source.span))?;
            if common.word == "ADD" && is_remote(&text) {
                let message = format!("ADD of the address `{text}` is not supported yet");
                return Err(Error::at(state.span(source.span), message)
                    .hint("fetch it in a RUN of an earlier stage and COPY it from there"));
            }
            if text.is_empty() {
                return Err(Error::at(
                    state.span(source.span),
                    "a source of this instruction is empty once its variables are filled in",
                ));
            }
            sources.push(text);
        }
        let written = state.scope.expand(
            &self.lex,
            &common.paths.destination,
            state.span(common.paths.destination.span),
        )?;
        let destination = paths::destination(state.directory(), &written);
        let base = if common.link { self.scratch() } else { state.node };
        let mut inputs = vec![base];
        let mut actions = Vec::new();
        if !sources.is_empty() {
            let node = self.copy_source(state, common)?;
            inputs.push(node);
            actions.push(FileAction::Copy(Copy {
                input: 1,
                sources: sources.clone(),
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
        if common.link {
            let merged = graph::About { slot: format!("{}#merge", about.slot), ..about };
            node = self.graph.add(Op::Merge, vec![state.node, node], merged);
        }
        state.node = node;
        let mut created_by = common.word.to_owned();
        for (flag, value) in [("chown", &common.chown), ("chmod", &common.chmod)] {
            if let Some(value) = value {
                created_by.push_str(&format!(" --{flag}={value}"));
            }
        }
        if common.parents {
            created_by.push_str(" --parents");
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
        &self,
        state: &StageState,
        common: &Common<'_>,
        file: &InlineFile,
        destination: &str,
    ) -> Result<MakeFile> {
        let span: Span = state.span(file.name.span);
        let content = if file.expand {
            state.scope.expand(&Lex::heredoc(), &file.content, span)?
        } else {
            file.content.clone()
        };
        let several = common.paths.inline.len() + common.paths.sources.len() > 1;
        let path = if destination.ends_with('/') || several {
            paths::join(destination, &file.name.value)
        } else {
            destination.to_owned()
        };
        let mode = match &common.chmod {
            None => 0o644,
            Some(text) => {
                u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o7777).ok_or_else(|| {
                    Error::at(
                        span,
                        format!("`--chmod={text}` is no octal mode, which is what a heredoc needs"),
                    )
                })?
            }
        };
        Ok(MakeFile { path, content, mode, owner: common.chown.clone() })
    }

    fn copy_source(&mut self, state: &StageState, common: &Common<'_>) -> Result<NodeId> {
        let Some(from) = common.from else { return Ok(self.local(CONTEXT)) };
        let span = state.span(from.span);
        match self.named(from, state.index, span, true)? {
            Named::Stage(stage) => Ok(self.stage(stage)?.node),
            Named::Local(name) => Ok(self.local(&name)),
            Named::Image(reference) => {
                if reference == "scratch" {
                    return Ok(self.scratch());
                }
                let platform = state.platform.clone();
                let result = self.image(&reference, &platform, span, "", None);
                result.map(|(node, _)| node).map_err(|error| {
                    let Error::Image { source, .. } = &error else { return error };
                    let mut chain = source.to_string();
                    let mut deeper = source.source();
                    while let Some(cause) = deeper {
                        chain = format!("{chain}: {cause}");
                        deeper = cause.source();
                    }
                    let message = format!("`{reference}` is no stage before this one, and no image of that name was found: {chain}");
                    let error = Error::at(span, message).hint(self.stage_list(state.index));
                    match self.near_stage(&reference, state.index) {
                        Some(near) => error.hint(format!("did you mean `--from={near}`?")),
                        None => error,
                    }
                })
            }
        }
    }
}

fn is_remote(source: &str) -> bool {
    ["http://", "https://", "git://", "ssh://", "git@"].iter().any(|scheme| source.starts_with(scheme))
}
