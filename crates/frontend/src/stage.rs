//! One stage: its state while its instructions are lowered one after the other.

use crate::lower::Lowering;
use crate::options::BaseImage;
use crate::scope::Scope;
use crate::{Result, history, paths};
use dockerfile::expand::Lex;
use dockerfile::{Command, Instruction, Span};
use graph::{About, FileAction, FileOp, MakeDirectory, NodeId, Op};
use oci::{ImageConfig, Platform};

/// What a process finds as PATH where the image says nothing.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A stage between two of its instructions.
#[derive(Clone, Debug)]
pub(crate) struct StageState {
    /// Its display name.
    pub(crate) name: String,
    /// Its number.
    pub(crate) index: usize,
    /// Its files so far.
    pub(crate) node: NodeId,
    /// The configuration so far.
    pub(crate) config: ImageConfig,
    /// Arguments and environment.
    pub(crate) scope: Scope,
    /// The image at its bottom.
    pub(crate) base: Option<BaseImage>,
    /// Its platform.
    pub(crate) platform: Platform,
    /// Whether its FROM names an image: that counts as its first step.
    pub(crate) base_is_image: bool,
    /// Whether a CMD stands in this stage.
    pub(crate) cmd_set: bool,
    /// Run every step.
    pub(crate) no_cache: bool,
    /// How many steps there are, for display.
    pub(crate) total: usize,
    /// How many of them were seen.
    pub(crate) at: usize,
    /// Whether the instruction at hand is a trigger of the base image, which has no place of its own.
    pub(crate) trigger: bool,
    /// Where the base is named, for errors of triggers.
    pub(crate) trigger_span: Span,
}

impl StageState {
    fn new(node: NodeId, config: ImageConfig, base: Option<BaseImage>, platform: Platform) -> Self {
        let mut scope = Scope::default();
        for entry in &config.config.env {
            let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
            scope.set(name, value, false);
        }
        if scope.get("PATH").is_none() {
            scope.set("PATH", DEFAULT_PATH, false);
        }
        Self {
            name: String::new(),
            index: 0,
            node,
            config,
            scope,
            base_is_image: base.is_some(),
            base,
            platform,
            cmd_set: false,
            no_cache: false,
            total: 0,
            at: 0,
            trigger: false,
            trigger_span: Span::default(),
        }
    }

    /// A stage that stands on nothing.
    pub(crate) fn on_scratch(node: NodeId, platform: Platform) -> Self {
        let mut config = ImageConfig {
            architecture: platform.architecture.clone(),
            os: platform.os.clone(),
            variant: platform.variant.clone(),
            ..ImageConfig::default()
        };
        config.config.env.push(format!("PATH={DEFAULT_PATH}"));
        "/".clone_into(&mut config.config.working_dir);
        Self::new(node, config, None, platform)
    }

    /// A stage that stands on an image.
    pub(crate) fn on_image(node: NodeId, image: BaseImage, platform: Platform) -> Self {
        let mut config = image.config.clone();
        config.rootfs.diff_ids.clear();
        config.created = None;
        Self::new(node, config, Some(image), platform)
    }

    /// A stage that stands on this one: it inherits arguments and environment, not the triggers.
    pub(crate) fn child(&self) -> Self {
        let mut child = self.clone();
        child.config.config.on_build.clear();
        child.base_is_image = false;
        child.cmd_set = false;
        child
    }

    /// The place of an instruction in errors.
    pub(crate) fn span(&self, span: Span) -> Span {
        if self.trigger { self.trigger_span } else { span }
    }

    /// The directory that relative paths start from.
    pub(crate) fn directory(&self) -> &str {
        match self.config.config.working_dir.as_str() {
            "" => "/",
            directory => directory,
        }
    }
}

impl Lowering<'_> {
    /// Lowers one instruction.
    pub(crate) fn instruction(&mut self, state: &mut StageState, instruction: &Instruction) -> Result<()> {
        match &instruction.command {
            Command::Run(run) => self.run(state, instruction, run),
            Command::Copy(copy) => self.copy(state, instruction, copy),
            Command::Add(add) => self.add(state, instruction, add),
            Command::Workdir(workdir) => {
                let path = state.scope.expand(&self.lex, &workdir.path, state.span(workdir.path.span))?;
                self.workdir(state, instruction, &path)
            }
            _ => self.configure(state, instruction),
        }
    }

    fn workdir(&mut self, state: &mut StageState, instruction: &Instruction, path: &str) -> Result<()> {
        let directory = paths::join(state.directory(), path);
        state.config.config.working_dir.clone_from(&directory);
        let layer = directory != "/";
        if layer {
            let owner = Some(state.config.config.user.clone()).filter(|user| !user.is_empty());
            let make = MakeDirectory { path: directory.clone(), mode: 0o755, owner };
            let op = Op::File(FileOp { actions: vec![FileAction::MakeDirectory(make)] });
            let about = self.about(state, instruction);
            state.node = self.graph.add(op, vec![state.node], about);
        } else {
            state.at += 1;
        }
        state.config.history.push(history::entry(format!("WORKDIR {directory}"), layer));
        Ok(())
    }

    /// What people are told about a step; counts it.
    pub(crate) fn about(&self, state: &mut StageState, instruction: &Instruction) -> About {
        state.at += 1;
        let lex = Lex { keep_quotes: true, keep_escapes: true, keep_unset: true, ..self.lex };
        let rest = instruction.original.get(instruction.name.len()..).unwrap_or_default().trim();
        let rest = lex
            .expand_word(rest, &|name| state.scope.get(name).map(str::to_owned))
            .unwrap_or_else(|_| rest.to_owned());
        let stage = if state.name.is_empty() { String::new() } else { format!("{} ", state.name) };
        let trigger = if state.trigger { "ONBUILD " } else { "" };
        let width = state.total.to_string().len();
        let name = format!(
            "[{stage}{:>width$}/{}] {trigger}{} {rest}",
            state.at,
            state.total,
            instruction.keyword.name()
        );
        let slot = format!("{}#{}", if state.name.is_empty() { "stage-0" } else { &state.name }, state.at);
        let location = Some(self.location(instruction.lines.first, instruction.lines.last));
        About { name, slot, location, no_cache: state.no_cache }
    }
}
