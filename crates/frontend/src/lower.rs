//! The whole file: which stages the target reaches, in which order they are lowered, and what the image becomes.

use crate::findings::Findings;
use crate::names::{Named, find_target, mentions};
use crate::options::{BaseImage, MetaResolver};
use crate::outline::Captures;
use crate::scans::Scan;
use crate::scope::Globals;
use crate::stage::StageState;
use crate::{Error, Options, Result, hints};
use dockerfile::expand::Lex;
use dockerfile::{Command, Diagnostic, Dockerfile, Instruction, Spanned, Stage};
use graph::{About, Graph, LocalOp, Location, NodeId, Op};
use oci::{ImageConfig, Platform};
use std::collections::{HashMap, HashSet};

/// The name of the build context among local sources.
pub(crate) const CONTEXT: &str = "context";

/// What a Dockerfile means for one target.
#[derive(Debug)]
pub struct Lowered {
    /// The operations; only what the target reaches.
    pub graph: Graph,
    /// The operation that the image is made of.
    pub target: NodeId,
    /// What is to be looked into besides the image, where somebody wants to know what is in it.
    pub scans: Vec<Scan>,
    /// The image's configuration with its history; layers and times are filled in when it is exported.
    pub config: ImageConfig,
    /// The base image of the target, if it stands on one.
    pub base: Option<BaseImage>,
    /// The target stage's display name.
    pub stage: String,
    /// The time that the image says it was made at, in seconds since 1970, where SOURCE_DATE_EPOCH gives one.
    pub epoch: Option<u64>,
    /// What is worth telling, in the order of the file: the parser's warnings, the findings of all rules of `--check`
    /// that the file does not skip (they carry the rule's name), and build arguments that nothing declares.
    pub warnings: Vec<Diagnostic>,
}

/// Lowers a Dockerfile.
///
/// # Errors
/// What cannot be lowered, with its place; a base image that cannot be resolved; a target that is not there; with
/// `# check=error=true` a finding of any rule.
pub fn lower(dockerfile: &Dockerfile, options: &Options, resolver: &dyn MetaResolver) -> Result<Lowered> {
    let epoch = crate::epoch::resolve(dockerfile, options, resolver)?;
    let mut lowering = Lowering::new(dockerfile, &epoch.options, resolver, Purpose::Build)?;
    let target = lowering.lower_needed()?;
    let warnings = lowering.all_warnings();
    if lowering.findings.config.error {
        let found: Vec<Diagnostic> = warnings.iter().filter(|one| one.rule.is_some()).cloned().collect();
        if !found.is_empty() {
            return Err(Error::Check { found });
        }
    }
    let state = lowering.done[target].take().expect("because the target is among the stages it reaches");
    let scans = lowering.scans(&state);
    let mut config = state.config;
    for (name, value) in &options.labels {
        config.config.labels.insert(name.clone(), value.clone());
    }
    // The image is of the platform that was asked for, even where its last stage stands on another.
    let asked = options.platform.normalised();
    if asked != options.build_platform.normalised() {
        (config.os, config.architecture) = (asked.os, asked.architecture);
        config.variant = asked.variant;
    }
    Ok(Lowered {
        graph: lowering.graph,
        target: state.node,
        scans,
        config,
        base: state.base,
        stage: state.name,
        epoch: epoch.seconds,
        warnings,
    })
}

/// What a file is lowered for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To be built.
    Build,
    /// To look at what the target reaches; no image is resolved.
    Look,
    /// To look at all stages; no image is resolved.
    LookAtAll,
}

/// A lowering under way.
pub(crate) struct Lowering<'a> {
    pub(crate) purpose: Purpose,
    /// Which stages the target reaches.
    wanted: Vec<bool>,
    /// What is wrong. A stage goes on after an error, and so do those that stand on it, as if they knew nothing of the
    /// variables: so what does not follow from it is found in the same go.
    errors: Vec<Error>,
    /// The images of which nothing is known.
    pub(crate) unknown: HashSet<(String, Platform)>,
    /// Whether an image could not be resolved; no other is asked for then.
    pub(crate) stranded: bool,
    /// What the outline needs.
    pub(crate) captures: Captures,
    pub(crate) options: &'a Options,
    pub(crate) resolver: &'a dyn MetaResolver,
    pub(crate) lex: Lex,
    pub(crate) globals: Globals,
    pub(crate) findings: Findings,
    pub(crate) stages: Vec<Stage<'a>>,
    pub(crate) graph: Graph,
    pub(crate) warnings: Vec<Diagnostic>,
    /// The arguments that triggers of base images declare.
    pub(crate) trigger_args: Vec<String>,
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) done: Vec<Option<StageState>>,
    /// How many stages may yet stand on each. The last one takes what it knows over: a chain of stages would else hold
    /// every variable once for each stage that has it.
    heirs: Vec<usize>,
    pub(crate) resolved: HashMap<(String, Platform), BaseImage>,
    pub(crate) images: HashMap<(String, Platform), NodeId>,
    /// The sources that other machines hold.
    pub(crate) remotes: Vec<(Op, NodeId)>,
    /// The build context, where it is an archive from elsewhere.
    pub(crate) unpacked: Option<NodeId>,
    locals: HashMap<String, NodeId>,
    scratch: Option<NodeId>,
}

impl<'a> Lowering<'a> {
    /// A lowering that has seen the arguments above the first FROM.
    pub(crate) fn new(
        dockerfile: &'a Dockerfile,
        options: &'a Options,
        resolver: &'a dyn MetaResolver,
        purpose: Purpose,
    ) -> Result<Self> {
        let stages = dockerfile.stages();
        let (globals, outline) = Globals::new(dockerfile, &stages, options)?;
        Ok(Self {
            purpose,
            wanted: Vec::new(),
            errors: Vec::new(),
            unknown: HashSet::new(),
            stranded: false,
            captures: Captures::new(stages.len(), outline),
            options,
            resolver,
            lex: Lex::new(dockerfile.directives.escape),
            dockerfile,
            globals,
            findings: Findings::new(dockerfile, options)?,
            done: stages.iter().map(|_| None).collect(),
            heirs: vec![0; stages.len()],
            stages,
            graph: Graph::new(),
            resolved: HashMap::new(),
            images: HashMap::new(),
            remotes: Vec::new(),
            unpacked: None,
            locals: HashMap::new(),
            scratch: None,
            warnings: Vec::new(),
            trigger_args: Vec::new(),
        })
    }

    /// Whether an image will be made of what is lowered: only then its history is of use, which says with each RUN what
    /// all arguments are.
    pub(crate) fn is_for_an_image(&self) -> bool {
        self.purpose == Purpose::Build
    }

    /// Lowers what has to be, and gives the number of the target.
    pub(crate) fn lower_needed(&mut self) -> Result<usize> {
        self.check_froms();
        let target = find_target(&self.stages, self.options)?;
        self.wanted = self.reached(target);
        // What the target knows is for the image.
        self.heirs[target] += 1;
        for index in 0..self.stages.len() {
            if let Ok(Some(base)) = self.base_stage(index) {
                self.heirs[base] += 1;
            }
        }
        for index in 0..self.stages.len() {
            if self.wanted[index] || self.purpose == Purpose::LookAtAll {
                self.stage(index);
            }
        }
        match self.errors.pop() {
            None => Ok(target),
            Some(only) if self.errors.is_empty() => Err(only),
            Some(last) => {
                let mut errors = std::mem::take(&mut self.errors);
                errors.push(last);
                Err(Error::Several(errors))
            }
        }
    }

    /// Which stages `target` reaches, by what the text says. Triggers of base images may
    /// bring more; those are lowered when they are met. What is wrong with a name is told when its stage is lowered.
    fn reached(&self, target: usize) -> Vec<bool> {
        let mut reached = vec![false; self.stages.len()];
        reached[target] = true;
        for index in (0..=target).rev() {
            if !reached[index] || self.context_of_stage(index).is_some() {
                continue;
            }
            if let Ok(Some(base)) = self.base_stage(index) {
                reached[base] = true;
            }
            for instruction in self.stages[index].instructions {
                for mention in mentions(&instruction.command) {
                    if let Ok(Named::Stage(source)) = self.named(&mention, index) {
                        reached[source] = true;
                    }
                }
            }
        }
        reached
    }

    pub(crate) fn global_expand(&self, word: &Spanned<String>) -> Result<String> {
        self.lex
            .expand_word(word, &|name| self.globals.get(name).map(str::to_owned))
            .map_err(|error| hints::expansion(&error, word.span))
    }

    /// Lowers a stage unless that is done.
    pub(crate) fn stage(&mut self, index: usize) -> &StageState {
        if self.done[index].is_none() {
            let mut state = self.lower_stage(index).unwrap_or_else(|error| {
                self.errors.push(error);
                let mut state = StageState::on_scratch(self.scratch(), self.options.platform.clone());
                (state.name, state.index) = (self.display_name(index), index);
                state.total = 1;
                self.follow(&mut state, index);
                state
            });
            state.asks_for_scan = self.asks_for_scan(&state);
            self.done[index] = Some(state);
        }
        self.done[index].as_ref().expect("because it was just lowered")
    }

    /// What a stage begins with that stands on another.
    fn heir(&mut self, base: usize) -> StageState {
        self.stage(base);
        self.heirs[base] = self.heirs[base].saturating_sub(1);
        let is_last = self.heirs[base] == 0;
        let state = self.done[base].as_mut().expect("because it was just lowered");
        if is_last { state.hand_over() } else { state.child() }
    }

    /// Lowers the instructions of a stage whose base nobody knows, for what is wrong with them.
    fn follow(&mut self, state: &mut StageState, index: usize) {
        state.forget();
        state.begin();
        for instruction in self.stages[index].instructions {
            self.try_instruction(state, instruction);
        }
    }

    fn try_instruction(&mut self, state: &mut StageState, instruction: &Instruction) {
        self.findings.at(instruction);
        if let Err(error) = self.instruction(state, instruction) {
            self.failed(state, error);
        }
        if self.findings.unsure {
            state.taint(&instruction.command);
        }
    }

    /// Notes an error of an instruction, unless it may come from what the base would have told.
    fn failed(&mut self, state: &mut StageState, error: Error) {
        if !self.findings.unsure {
            self.errors.push(error);
        }
        state.forget();
    }

    fn lower_stage(&mut self, index: usize) -> Result<StageState> {
        let stage = self.stages[index];
        let name = self.display_name(index);
        if let Some(context) = self.context_of_stage(index) {
            // What stands in place of a stage has none of its instructions.
            let mut state = self.on_named(context, index, self.options.platform.clone())?;
            (state.name, state.index, state.total) = (name, index, 1);
            state.shown_platform = self.shown_platform();
            self.show_base(&mut state);
            return Ok(state);
        }
        let mut state = match self.base_stage(index)? {
            Some(base) => {
                self.captures.stands_on(index, base);
                self.heir(base)
            }
            None => self.on_base(index)?,
        };
        state.begin();
        (state.name, state.index) = (name, index);
        state.shown_platform = self.shown_platform();
        state.no_cache = self.options.no_cache
            || self.options.no_cache_filter.iter().any(|filter| {
                stage.name().is_some_and(|name| name.eq_ignore_ascii_case(filter))
                    || *filter == index.to_string()
            });
        let mut texts = std::mem::take(&mut state.config.config.on_build);
        // As in BuildKit, triggers run in what the target reaches.
        if self.purpose == Purpose::LookAtAll && !self.wanted[index] {
            texts.clear();
        }
        let triggers = texts
            .iter()
            .map(|text| {
                dockerfile::parse_trigger(text).map_err(|failure| {
                    let message =
                        format!("the trigger `ONBUILD {}` cannot be read: {failure}", first_line(text));
                    Error::at(stage.from.base.span, message)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let own = usize::from(state.base_is_image);
        let makes = |command: &Command| {
            matches!(command, Command::Run(_) | Command::Copy(_) | Command::Add(_) | Command::Workdir(_))
        };
        let all = triggers.iter().chain(stage.instructions);
        state.total = own + all.filter(|instruction| makes(&instruction.command)).count();
        self.show_base(&mut state);
        state.trigger = Some((stage.from.base.span, stage.instruction.lines));
        for (trigger, text) in triggers.iter().zip(&texts) {
            if let Command::Arg(arg) = &trigger.command {
                self.trigger_args.extend(arg.args.iter().map(|arg| arg.name.value.clone()));
            }
            self.findings.at_trigger();
            if let Err(error) = self.instruction(&mut state, trigger) {
                let hint = format!("the base has the trigger `ONBUILD {}`", first_line(text));
                self.failed(&mut state, error.hint(hint));
            }
        }
        state.trigger = None;
        for instruction in stage.instructions {
            self.try_instruction(&mut state, instruction);
        }
        Ok(state)
    }

    /// The platform before a step's name, as BuildKit shows it: only where there are several.
    fn shown_platform(&self) -> String {
        if self.options.show_platform { format!("{} ", self.options.platform) } else { String::new() }
    }

    fn display_name(&self, index: usize) -> String {
        match self.stages[index].name() {
            Some(name) => name.to_owned(),
            None if self.stages.len() > 1 => format!("stage-{index}"),
            None => String::new(),
        }
    }

    /// The node of a local folder.
    pub(crate) fn local(&mut self, name: &str) -> NodeId {
        if let Some(node) = self.locals.get(name) {
            return *node;
        }
        let about = About { name: format!("[internal] load {name}"), ..About::default() };
        let node = self.graph.add(Op::Local(LocalOp { name: name.to_owned() }), Vec::new(), about);
        self.locals.insert(name.to_owned(), node);
        node
    }

    /// The node of nothing.
    pub(crate) fn scratch(&mut self) -> NodeId {
        if let Some(node) = self.scratch {
            return node;
        }
        let node = self.graph.add(Op::Scratch, Vec::new(), About::default());
        self.scratch = Some(node);
        node
    }

    /// Lines of the Dockerfile.
    pub(crate) fn location(&self, first: usize, last: usize) -> Location {
        let line = |line: usize| u32::try_from(line).unwrap_or(u32::MAX);
        Location { first: line(first), last: line(last) }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
