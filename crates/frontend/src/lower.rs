//! The whole file: which stages the target reaches, in which order they are lowered, and what a name means.

use crate::options::{BaseImage, MetaResolver, NamedContext};
use crate::scope::{Globals, is_proxy};
use crate::stage::StageState;
use crate::{Error, Options, Result};
use dockerfile::expand::Lex;
use dockerfile::{Command, Diagnostic, Dockerfile, Span, Spanned, Stage};
use graph::{About, Graph, ImageOp, LocalOp, Location, NodeId, Op};
use oci::{ImageConfig, Platform};
use std::collections::HashMap;

/// The name of the build context among local sources.
pub(crate) const CONTEXT: &str = "context";

/// What a Dockerfile means for one target.
#[derive(Debug)]
pub struct Lowered {
    /// The operations; only what the target reaches.
    pub graph: Graph,
    /// The operation that the image is made of.
    pub target: NodeId,
    /// The image's configuration with its history; layers and times are filled in when it is exported.
    pub config: ImageConfig,
    /// The base image of the target, if it stands on one.
    pub base: Option<BaseImage>,
    /// The target stage's display name.
    pub stage: String,
    /// What is worth telling.
    pub warnings: Vec<Diagnostic>,
}

/// Lowers a Dockerfile.
pub fn lower(dockerfile: &Dockerfile, options: &Options, resolver: &dyn MetaResolver) -> Result<Lowered> {
    let globals = Globals::new(dockerfile, options)?;
    let stages = dockerfile.stages();
    let target = find_target(&stages, options)?;
    let mut lowering = Lowering {
        options,
        resolver,
        lex: Lex::new(dockerfile.directives.escape),
        dockerfile,
        globals,
        done: stages.iter().map(|_| None).collect(),
        stages,
        graph: Graph::new(),
        images: HashMap::new(),
        locals: HashMap::new(),
        scratch: None,
        warnings: Vec::new(),
        used_args: Vec::new(),
    };
    for index in lowering.reached(target)? {
        lowering.stage(index)?;
    }
    let unused = lowering.unused_args();
    let state = lowering.done[target].take().expect("because the target is among the stages it reaches");
    let mut config = state.config;
    for (name, value) in &options.labels {
        config.config.labels.insert(name.clone(), value.clone());
    }
    let mut warnings = dockerfile.warnings.clone();
    warnings.append(&mut lowering.warnings);
    if !unused.is_empty() {
        let names = unused.join(", ");
        let message = format!("these build arguments were given and are used by no ARG: {names}");
        warnings.push(Diagnostic::warning(message, Span::default()));
    }
    Ok(Lowered {
        graph: lowering.graph,
        target: state.node,
        config,
        base: state.base,
        stage: state.name,
        warnings,
    })
}

fn find_target(stages: &[Stage<'_>], options: &Options) -> Result<usize> {
    let Some(target) = &options.target else { return Ok(stages.len() - 1) };
    let found =
        stages.iter().rposition(|stage| stage.name().is_some_and(|name| name.eq_ignore_ascii_case(target)));
    found.ok_or_else(|| Error::Target {
        target: target.clone(),
        stages: stages.iter().filter_map(|stage| stage.name().map(str::to_owned)).collect(),
    })
}

/// A lowering under way.
pub(crate) struct Lowering<'a> {
    pub(crate) options: &'a Options,
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) lex: Lex,
    pub(crate) globals: Globals,
    pub(crate) graph: Graph,
    pub(crate) warnings: Vec<Diagnostic>,
    pub(crate) used_args: Vec<String>,
    resolver: &'a dyn MetaResolver,
    stages: Vec<Stage<'a>>,
    done: Vec<Option<StageState>>,
    images: HashMap<(String, Platform), (NodeId, BaseImage)>,
    locals: HashMap<String, NodeId>,
    scratch: Option<NodeId>,
}

/// What a FROM, a `--from` or a mount's `from` names.
pub(crate) enum Named {
    /// An earlier stage.
    Stage(usize),
    /// A folder given by `--build-context`.
    Local(String),
    /// An image.
    Image(String),
}

impl<'a> Lowering<'a> {
    /// The stages that `target` reaches, in the order of the file, by what the text says. Triggers of base images may
    /// bring more; those are lowered when they are met.
    fn reached(&self, target: usize) -> Result<Vec<usize>> {
        let mut reached = vec![false; self.stages.len()];
        reached[target] = true;
        for index in (0..=target).rev() {
            if !reached[index] {
                continue;
            }
            let stage = self.stages[index];
            if let Some(base) = self.base_stage(index)? {
                reached[base] = true;
            }
            for instruction in stage.instructions {
                for from in froms(&instruction.command) {
                    if let Named::Stage(source) = self.named(from, index, instruction.line_span, true)? {
                        reached[source] = true;
                    }
                }
            }
        }
        Ok((0..self.stages.len()).filter(|index| reached[*index]).collect())
    }

    fn base_stage(&self, index: usize) -> Result<Option<usize>> {
        let base = self.expanded_base(index)?;
        // A named context beats a stage.
        if self.options.contexts.contains_key(&base) {
            return Ok(None);
        }
        Ok((0..index).rev().find(|earlier| self.stages[*earlier].name() == Some(base.as_str())))
    }

    /// The base of a stage with the global arguments in.
    fn expanded_base(&self, index: usize) -> Result<String> {
        let from = self.stages[index].from;
        let text = self.global_expand(&from.base)?;
        if text.is_empty() {
            let message =
                format!("the base name `{}` is empty once its arguments are filled in", from.base.value);
            return Err(
                Error::at(from.base.span, message).hint("give the ARG before the first FROM a default")
            );
        }
        Ok(text)
    }

    fn global_expand(&self, word: &Spanned<String>) -> Result<String> {
        self.lex
            .expand_word(word, &|name| self.globals.get(name).map(str::to_owned))
            .map_err(|error| Error::at(word.span, error.to_string()))
    }

    /// What a name in a `--from` or a mount's `from` means in stage `index`. Only COPY takes numbers.
    pub(crate) fn named(&self, name: &str, index: usize, span: Span, numbers: bool) -> Result<Named> {
        if let Some(context) = self.options.contexts.get(name) {
            return Ok(match context {
                NamedContext::Local => Named::Local(name.to_owned()),
                NamedContext::Image(reference) => Named::Image(reference.clone()),
            });
        }
        let same =
            |stage: usize| self.stages[stage].name().is_some_and(|known| known.eq_ignore_ascii_case(name));
        if let Some(stage) = (0..index).rev().find(|stage| same(*stage)) {
            return Ok(Named::Stage(stage));
        }
        if numbers && let Ok(number) = name.parse::<usize>() {
            if number < index {
                return Ok(Named::Stage(number));
            }
            let message = if number == index {
                format!("stage {number} cannot copy from itself")
            } else {
                format!("there is no stage {number} before this one")
            };
            return Err(Error::at(span, message).hint(self.stage_list(index)));
        }
        if (index..self.stages.len()).any(same) {
            let message = format!("the stage `{name}` is not defined before this instruction");
            return Err(
                Error::at(span, message).hint("move the stage up: a stage can only use those before it")
            );
        }
        Ok(Named::Image(name.to_owned()))
    }

    /// A hint that lists the stages before `index`.
    pub(crate) fn stage_list(&self, index: usize) -> String {
        let names: Vec<String> = self.stages[..index]
            .iter()
            .map(|stage| stage.name().map_or_else(|| stage.index.to_string(), |name| format!("`{name}`")))
            .collect();
        if names.is_empty() {
            "no stage stands before this one".to_owned()
        } else {
            format!("the stages before this one are {}", names.join(", "))
        }
    }

    /// A near stage name, for a hint.
    pub(crate) fn near_stage(&self, name: &str, index: usize) -> Option<String> {
        let names: Vec<&str> = self.stages[..index].iter().filter_map(Stage::name).collect();
        dockerfile::suggest::nearest(name, names, false)
    }

    /// Lowers a stage unless that is done.
    pub(crate) fn stage(&mut self, index: usize) -> Result<&StageState> {
        if self.done[index].is_none() {
            let state = self.lower_stage(index)?;
            self.done[index] = Some(state);
        }
        Ok(self.done[index].as_ref().expect("because it was just lowered"))
    }

    fn lower_stage(&mut self, index: usize) -> Result<StageState> {
        let stage = self.stages[index];
        let name = self.display_name(index);
        let no_cache = self.options.no_cache
            || self.options.no_cache_filter.iter().any(|filter| {
                stage.name().is_some_and(|name| name.eq_ignore_ascii_case(filter))
                    || *filter == index.to_string()
            });
        let location = Some(self.location(stage.instruction.lines.first, stage.instruction.lines.last));
        let mut state = match self.base_stage(index)? {
            Some(base) => self.stage(base)?.child(),
            None => self.stage_on_image(index, &name, location)?,
        };
        state.name = name;
        state.index = index;
        state.no_cache = no_cache;
        let triggers = std::mem::take(&mut state.config.config.on_build);
        let triggers = triggers
            .iter()
            .map(|text| {
                dockerfile::parse_trigger(text).map_err(|failure| {
                    let message =
                        format!("the base image's trigger `ONBUILD {text}` cannot be read: {failure}");
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
        state.at = own;
        for trigger in &triggers {
            state.trigger = true;
            state.trigger_span = stage.from.base.span;
            self.instruction(&mut state, trigger)?;
        }
        state.trigger = false;
        for instruction in stage.instructions {
            self.instruction(&mut state, instruction)?;
        }
        Ok(state)
    }

    fn display_name(&self, index: usize) -> String {
        match self.stages[index].name() {
            Some(name) => name.to_owned(),
            None if self.stages.len() > 1 => format!("stage-{index}"),
            None => String::new(),
        }
    }

    fn stage_on_image(&mut self, index: usize, name: &str, location: Option<Location>) -> Result<StageState> {
        let stage = self.stages[index];
        let base = self.expanded_base(index)?;
        let platform = match &stage.from.platform {
            Some(text) => {
                let value = self.global_expand(text)?;
                value.parse().map_err(|error: oci::Error| Error::at(text.span, error.to_string()))?
            }
            None => self.options.platform.clone(),
        };
        let reference = match self.options.contexts.get(&base) {
            Some(NamedContext::Image(reference)) => reference.clone(),
            Some(NamedContext::Local) => {
                let node = self.local(&base);
                let message =
                    format!("the named context `{base}` is a folder; a stage can only stand on an image");
                let _ = node;
                return Err(Error::at(stage.from.base.span, message)
                    .hint(format!("copy from it: `COPY --from={base}`")));
            }
            None if base == "scratch" => {
                let node = self.scratch();
                return Ok(StageState::on_scratch(node, platform));
            }
            None => base,
        };
        let (node, image) = self.image(&reference, &platform, stage.from.base.span, name, location)?;
        Ok(StageState::on_image(node, image, platform))
    }

    /// The node of an image; each is resolved once.
    pub(crate) fn image(
        &mut self,
        reference: &str,
        platform: &Platform,
        span: Span,
        stage: &str,
        location: Option<Location>,
    ) -> Result<(NodeId, BaseImage)> {
        let key = (reference.to_owned(), platform.clone());
        if let Some((node, image)) = self.images.get(&key) {
            return Ok((*node, image.clone()));
        }
        let image = self.resolver.image(reference, platform).map_err(|source| Error::Image {
            reference: reference.to_owned(),
            span,
            source,
        })?;
        let op = Op::Image(Box::new(ImageOp {
            reference: image.reference.clone(),
            manifest: image.manifest,
            config: image.id,
            diff_ids: image.config.rootfs.diff_ids.clone(),
            platform: platform.clone(),
        }));
        let prefix = if stage.is_empty() { String::new() } else { format!("[{stage}] ") };
        let name = format!("{prefix}FROM {}", image.reference);
        let node = self.graph.add(op, Vec::new(), About { name, location, ..About::default() });
        self.images.insert(key, (node, image.clone()));
        Ok((node, image))
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

    fn unused_args(&self) -> Vec<String> {
        let global: Vec<&str> = self
            .dockerfile
            .meta_args()
            .flat_map(|(_, arg)| arg.args.iter().map(|a| a.name.value.as_str()))
            .collect();
        let mut unused: Vec<String> = Vec::new();
        for (name, _) in &self.options.build_args {
            let known = global.contains(&name.as_str())
                || self.used_args.contains(name)
                || is_proxy(name)
                || name.starts_with("BUILDKIT_")
                || name == "SOURCE_DATE_EPOCH";
            if !known && !unused.contains(name) {
                unused.push(name.clone());
            }
        }
        unused
    }
}

/// The names of sources that a command copies from or mounts, as written.
fn froms(command: &Command) -> Vec<&str> {
    match command {
        Command::Copy(copy) => copy.from.iter().map(|from| from.value.as_str()).collect(),
        Command::Run(run) => run.mounts.iter().filter_map(dockerfile::MountFlag::from).collect(),
        _ => Vec::new(),
    }
}
