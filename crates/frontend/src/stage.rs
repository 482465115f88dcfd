//! One stage: its state while its instructions are lowered one after the other.

use crate::lower::Lowering;
use crate::options::BaseImage;
use crate::scope::Scope;
use crate::{Result, hints, history, paths};
use dockerfile::expand::Lex;
use dockerfile::lint::{Rule, StageRules, messages};
use dockerfile::{Command, Instruction, LineRange, Span, Spanned};
use graph::{About, FileAction, FileOp, MakeDirectory, NodeId, Op};
use oci::{ImageConfig, Platform};
use std::collections::HashSet;

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
    /// While the instruction at hand is a trigger of the base, which has no place of its own: where the base is named.
    pub(crate) trigger: Option<(Span, LineRange)>,
    /// `linux/arm64 ` where the build has several platforms, else nothing.
    pub(crate) shown_platform: String,
    /// Whether a WORKDIR stands in this stage or those below it.
    workdir_set: bool,
    /// The rules that need no more than the text.
    rules: StageRules,
    /// The image at its bottom, if nobody knows what variables it sets. It has no name where even the image is not
    /// known, or an instruction failed.
    pub(crate) unknown: Option<(String, Platform)>,
    /// Variables whose values hang on unknown ones.
    tainted: HashSet<String>,
    /// Whether an argument asks to look into this stage for a bill of material.
    pub(crate) asks_for_scan: bool,
}

impl StageState {
    fn new(node: NodeId, config: ImageConfig, base: Option<BaseImage>, platform: Platform) -> Self {
        let rules = StageRules::on_image(config.config.shell.as_ref().is_some_and(|shell| !shell.is_empty()));
        Self {
            name: String::new(),
            index: 0,
            node,
            config,
            scope: Scope::default(),
            rules,
            base_is_image: base.is_some(),
            base,
            platform,
            cmd_set: false,
            no_cache: false,
            total: 0,
            at: 0,
            trigger: None,
            shown_platform: String::new(),
            workdir_set: false,
            unknown: None,
            tainted: HashSet::new(),
            asks_for_scan: false,
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

    /// The same on an image of which nothing is known.
    pub(crate) fn with_unknown(self, unknown: Option<(String, Platform)>) -> Self {
        Self { unknown, ..self }
    }

    /// From here on nothing can be said about variables that are not set.
    pub(crate) fn forget(&mut self) {
        self.unknown = Some((String::new(), self.platform.clone()));
    }

    /// The variables that an instruction sets hang on unknown ones.
    pub(crate) fn taint(&mut self, command: &Command) {
        match command {
            Command::Env(env) => self.tainted.extend(env.pairs.iter().map(|pair| pair.key.value.clone())),
            Command::Arg(arg) => self.tainted.extend(arg.args.iter().map(|arg| arg.name.value.clone())),
            _ => {}
        }
    }

    /// A stage that stands on this one: it inherits arguments and environment, and runs the triggers.
    pub(crate) fn child(&self) -> Self {
        self.clone().into_child()
    }

    /// The same for the last stage that stands on this one, which takes over what this one knows. What is left names its
    /// files.
    pub(crate) fn hand_over(&mut self) -> Self {
        Self {
            name: self.name.clone(),
            platform: self.platform.clone(),
            rules: self.rules.clone(),
            config: std::mem::take(&mut self.config),
            scope: std::mem::take(&mut self.scope),
            tainted: std::mem::take(&mut self.tainted),
            base: self.base.take(),
            unknown: self.unknown.take(),
            shown_platform: self.shown_platform.clone(),
            trigger: self.trigger.take(),
            ..*self
        }
        .into_child()
    }

    fn into_child(self) -> Self {
        Self { base_is_image: false, cmd_set: false, at: 0, rules: self.rules.child(), ..self }
    }

    /// What holds before the first instruction: there is a PATH, and what the configuration sets beats an ARG of the
    /// stage below.
    pub(crate) fn begin(&mut self) {
        let config = &mut self.config.config;
        if config.env_value("PATH").is_none() {
            config.set_env("PATH", DEFAULT_PATH);
        }
        if !config.working_dir.is_empty() {
            config.working_dir = paths::join("/", &config.working_dir);
        }
        self.scope.set_environment(&config.env);
    }

    /// What a step is called on the screen: `[builder 2/5] RUN npm ci`.
    pub(crate) fn step_name(&self, text: &str) -> String {
        let stage = if self.name.is_empty() { String::new() } else { format!("{} ", self.name) };
        let trigger = if self.trigger.is_some() { "ONBUILD " } else { "" };
        let width = self.total.to_string().len();
        let platform = &self.shown_platform;
        format!("[{platform}{stage}{:>width$}/{}] {trigger}{text}", self.at, self.total)
    }

    /// The place of an instruction in errors.
    pub(crate) fn span(&self, span: Span) -> Span {
        self.trigger.map_or(span, |(span, _)| span)
    }

    /// The lines of an instruction in what tools read.
    pub(crate) fn lines(&self, instruction: &Instruction) -> LineRange {
        self.trigger.map_or(instruction.lines, |(_, lines)| lines)
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
        let found = state.rules.check(instruction, state.trigger.map(|(place, _)| place));
        self.findings.extend(found);
        match &instruction.command {
            Command::Run(run) => self.run(state, instruction, run),
            Command::Copy(copy) => self.copy(state, instruction, copy),
            Command::Add(add) => self.add(state, instruction, add),
            Command::Workdir(workdir) => self.workdir(state, instruction, &workdir.path),
            _ => self.configure(state, instruction),
        }
    }

    /// A word with the stage's variables in. What is not set is a finding.
    pub(crate) fn word(&mut self, state: &StageState, word: &Spanned<String>) -> Result<String> {
        let lex = self.lex;
        self.text(state, &lex, word, word.span)
    }

    /// The same of a text that some other lexer reads.
    pub(crate) fn text(&mut self, state: &StageState, lex: &Lex, text: &str, span: Span) -> Result<String> {
        let (scope, span) = (&state.scope, state.span(span));
        let expansion = lex
            .expand(text, &|name| scope.get(name).map(str::to_owned))
            .map_err(|error| hints::expansion(&error, span))?;
        self.findings.unsure |= expansion.used.iter().any(|name| state.tainted.contains(name));
        let unset: Vec<&String> = expansion.unset.iter().filter(|name| !scope.is_declared(name)).collect();
        self.findings.undefined(&unset, scope.names(), state.unknown.as_ref(), span);
        Ok(expansion.text)
    }

    fn workdir(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        written: &Spanned<String>,
    ) -> Result<()> {
        let path = self.word(state, written)?;
        // A path that begins plainly is checked without the frontend.
        if !state.workdir_set && !path.starts_with('/') && written.starts_with(['$', '"', '\'']) {
            let message = messages::workdir_relative_path(&path);
            self.findings.report(Rule::WorkdirRelativePath, message, state.span(written.span));
        }
        state.workdir_set = true;
        let directory = paths::join(state.directory(), &path);
        // The image's configuration has an absolute path as it was written, as in BuildKit; steps and copies clean it.
        let named = if path.starts_with('/') { path } else { directory.clone() };
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
        state.config.history.push(history::entry(format!("WORKDIR {named}"), layer));
        state.config.config.working_dir = named;
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
        let mut text = format!("{} {rest}", instruction.keyword.name());
        // A heredoc's line says nothing about what it does.
        if let (Command::Run(run), [heredoc]) = (&instruction.command, &instruction.heredocs[..])
            && let dockerfile::command::Form::Shell(line) = &run.form
            && dockerfile::heredoc::parse_word(line).is_some()
        {
            let body = heredoc.content.trim();
            let first = body.lines().next().unwrap_or_default();
            let more = if first.len() < body.len() { "..." } else { "" };
            text.push_str(&format!(" ({first}{more})"));
        }
        let name = state.step_name(text.trim_end());
        let slot = format!("{}#{}", if state.name.is_empty() { "stage-0" } else { &state.name }, state.at);
        let lines = state.lines(instruction);
        let location = Some(self.location(lines.first, lines.last));
        About { name, slot, location, no_cache: state.no_cache }
    }
}
