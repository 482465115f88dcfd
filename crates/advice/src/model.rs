//! The file as the rules see it: which stages the target reaches, what each instruction runs and where.
//!
//! Folders are absolute paths. Where a base image's own folder is not known it is called `?`, so that two paths are
//! equal only where they are the same folder for certain; a folder that cannot be known at all is `??`.

use crate::facts::{Base, Facts};
use crate::packages::{self, Install};
use crate::shell::{self, Invocation, Script};
use crate::text::Text;
use dockerfile::command::{CopyPaths, Form, RunCommand};
use dockerfile::expand::Lex;
use dockerfile::{Command, Dockerfile, Instruction, MountType, Stage};
use std::collections::BTreeMap;
use std::rc::Rc;

/// A folder about which nothing is known.
const UNKNOWN: &str = "??";

/// The beginnings of the variables that package managers read.
const WATCHED: [&str; 13] = [
    "NODE_ENV",
    "NPM_CONFIG_",
    "npm_config_",
    "PIP_",
    "POETRY_",
    "UV_",
    "BUNDLE_",
    "COMPOSER_",
    "YARN_",
    "PIPENV_",
    "HOME",
    "XDG_CACHE_HOME",
    "BUN_",
];

/// Variables with their values; `None` is a value that is not known.
pub(crate) type Environment = BTreeMap<String, Option<String>>;

/// The whole file.
pub(crate) struct Model<'a> {
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) facts: &'a Facts,
    pub(crate) stages: Vec<StageModel<'a>>,
    /// The stage that ships.
    pub(crate) target: usize,
    /// Which stages the target reaches.
    pub(crate) reached: Vec<bool>,
}

/// One stage.
pub(crate) struct StageModel<'a> {
    pub(crate) stage: Stage<'a>,
    /// The stage it stands on.
    pub(crate) parent: Option<usize>,
    /// The base's name with its variables filled in, where they are known; of a stage the stage's name.
    pub(crate) base: Option<String>,
    pub(crate) steps: Vec<Step<'a>>,
    /// What holds after the last instruction.
    end: State,
}

/// One instruction, and what holds before it.
pub(crate) struct Step<'a> {
    pub(crate) instruction: &'a Instruction,
    /// The working directory.
    pub(crate) directory: String,
    /// The variables that package managers read.
    pub(crate) environment: Rc<Environment>,
    /// What a RUN runs.
    pub(crate) calls: Vec<Call>,
    /// Whether ` && command` can be put behind it.
    pub(crate) is_chain: bool,
    /// The targets of cache mounts and of those in memory: what is written there stays in no layer.
    pub(crate) passing: Vec<String>,
}

/// A command of a RUN.
pub(crate) struct Call {
    pub(crate) invocation: Invocation,
    /// The folder it runs in.
    pub(crate) directory: String,
    /// What it installs.
    pub(crate) install: Option<Install>,
}

#[derive(Clone)]
struct State {
    directory: String,
    environment: Rc<Environment>,
    /// Whether a RUN in shell form is for a shell that we read.
    readable: bool,
}

impl<'a> Model<'a> {
    pub(crate) fn new(dockerfile: &'a Dockerfile, facts: &'a Facts) -> Self {
        let globals = globals(dockerfile, facts);
        let lex = Lex::new(dockerfile.directives.escape);
        let mut stages: Vec<StageModel<'a>> = Vec::new();
        for stage in dockerfile.stages() {
            let expanded = lex.expand(stage.base(), &|name| globals.get(name).cloned());
            let base = expanded.ok().filter(|it| it.unset.is_empty()).map(|it| it.text);
            let parent = base
                .as_deref()
                .and_then(|base| stages.iter().rposition(|earlier| earlier.stage.name() == Some(base)));
            let begin = match parent {
                Some(parent) => stages[parent].end.clone(),
                None => State::of_base(base.as_deref(), facts),
            };
            let mut made = StageModel { stage, parent, base, steps: Vec::new(), end: begin };
            for instruction in stage.instructions {
                let step = made.end.step(dockerfile, instruction);
                made.steps.push(step);
                made.end.apply(instruction, &lex, &globals);
            }
            stages.push(made);
        }
        let target = facts
            .target
            .as_deref()
            .and_then(|target| {
                stages
                    .iter()
                    .rposition(|one| one.stage.name().is_some_and(|name| name.eq_ignore_ascii_case(target)))
            })
            .unwrap_or(stages.len().saturating_sub(1));
        let mut model = Self { dockerfile, facts, reached: vec![false; stages.len()], stages, target };
        model.mark_reached();
        model
    }

    fn mark_reached(&mut self) {
        let Some(target) = self.reached.get_mut(self.target) else { return };
        *target = true;
        for index in (0..=self.target).rev() {
            if !self.reached[index] {
                continue;
            }
            if let Some(parent) = self.stages[index].parent {
                self.reached[parent] = true;
            }
            let mentioned: Vec<usize> = self.stages[index]
                .steps
                .iter()
                .flat_map(|step| match &step.instruction.command {
                    Command::Copy(copy) => copy.from.iter().map(|from| from.value.as_str()).collect(),
                    Command::Run(run) => run.mounts.iter().filter_map(|mount| mount.from()).collect(),
                    _ => Vec::new(),
                })
                .filter_map(|name| self.stage_named(name, index))
                .collect();
            for source in mentioned {
                self.reached[source] = true;
            }
        }
    }

    /// The stage before `index` that `--from` names.
    pub(crate) fn stage_named(&self, name: &str, index: usize) -> Option<usize> {
        let same =
            |one: &StageModel<'_>| one.stage.name().is_some_and(|known| known.eq_ignore_ascii_case(name));
        let number = || name.parse::<usize>().ok().filter(|number| *number < index);
        self.stages[..index].iter().rposition(same).or_else(number)
    }

    /// A stage and those it stands on, the lowest first.
    pub(crate) fn chain(&self, stage: usize) -> Vec<usize> {
        let mut chain = vec![stage];
        let mut at = stage;
        while let Some(parent) = self.stages.get(at).and_then(|one| one.parent) {
            chain.push(parent);
            at = parent;
        }
        chain.reverse();
        chain
    }

    /// The instructions of a stage and those it stands on.
    pub(crate) fn steps(&self, stage: usize) -> impl Iterator<Item = &Step<'a>> {
        self.chain(stage).into_iter().filter_map(|index| self.stages.get(index)).flat_map(|one| &one.steps)
    }

    /// The image at the bottom of a stage, where its name is known.
    pub(crate) fn root(&self, stage: usize) -> Option<&str> {
        self.stages.get(self.chain(stage)[0])?.base.as_deref()
    }

    /// What is known about that image.
    pub(crate) fn root_base(&self, stage: usize) -> Option<&Base> {
        self.facts.bases.get(self.root(stage)?)
    }

    /// Whether the image is there to run something: CMD or ENTRYPOINT stand in the file.
    pub(crate) fn runs_something(&self) -> bool {
        self.steps(self.target)
            .any(|step| matches!(step.instruction.command, Command::Cmd(_) | Command::Entrypoint(_)))
    }

    /// What a message calls a stage.
    pub(crate) fn stage_name(&self, index: usize) -> String {
        match self.stages[index].stage.name() {
            Some(name) => format!("`{name}`"),
            None => format!("{index}"),
        }
    }
}

/// The arguments before the first FROM and the platform's, where they are known.
fn globals(dockerfile: &Dockerfile, facts: &Facts) -> BTreeMap<String, String> {
    let lex = Lex::new(dockerfile.directives.escape);
    let mut globals = BTreeMap::new();
    for (_, arg) in dockerfile.meta_args() {
        for one in &arg.args {
            let given = facts.build_args.iter().rev().find(|(name, _)| *name == one.name.value);
            let value = match (given, &one.default) {
                (Some((_, value)), _) => Some(value.clone()),
                (None, Some(default)) => lex.expand_word(default, &|name| globals.get(name).cloned()).ok(),
                (None, None) => None,
            };
            if let Some(value) = value {
                globals.insert(one.name.value.clone(), value);
            }
        }
    }
    globals
}

impl State {
    fn of_base(name: Option<&str>, facts: &Facts) -> Self {
        let mut environment = Environment::new();
        let directory = match (name.and_then(|name| facts.bases.get(name)), name) {
            (Some(base), _) => {
                for entry in &base.environment {
                    let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
                    remember(&mut environment, name, Some(value.to_owned()));
                }
                join("/", &base.directory)
            }
            (None, Some("scratch")) => "/".to_owned(),
            (None, _) => "?".to_owned(),
        };
        Self { directory, environment: Rc::new(environment), readable: true }
    }

    fn apply(&mut self, instruction: &Instruction, lex: &Lex, globals: &BTreeMap<String, String>) {
        let known = |environment: &Environment, text: &str| {
            let lookup = |name: &str| environment.get(name).cloned().flatten();
            let expansion = lex.expand(text, &lookup).ok()?;
            expansion.unset.is_empty().then_some(expansion.text)
        };
        match &instruction.command {
            Command::Env(env) => {
                let before = Rc::clone(&self.environment);
                for pair in env.pairs.iter().filter(|pair| is_watched(&pair.key)) {
                    let value = known(&before, &pair.value);
                    remember(Rc::make_mut(&mut self.environment), &pair.key, value);
                }
            }
            Command::Arg(arg) => {
                for one in arg.args.iter().filter(|one| is_watched(&one.name)) {
                    let value = match &one.default {
                        Some(default) => known(&self.environment, default),
                        None => globals.get(&one.name.value).cloned(),
                    };
                    remember(Rc::make_mut(&mut self.environment), &one.name, value);
                }
            }
            Command::Workdir(workdir) => {
                let path = lex
                    .expand(&workdir.path, &|_| None)
                    .ok()
                    .filter(|it| it.used.is_empty() && it.unset.is_empty());
                self.directory = match path {
                    Some(path) => join(&self.directory, &path.text),
                    None => UNKNOWN.to_owned(),
                };
            }
            Command::Shell(shell) => {
                let program = shell.shell.first().map(|path| shell::base_name(path)).unwrap_or_default();
                self.readable = matches!(program, "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh");
            }
            _ => {}
        }
    }

    fn step<'a>(&self, dockerfile: &Dockerfile, instruction: &'a Instruction) -> Step<'a> {
        let mut step = Step {
            instruction,
            directory: self.directory.clone(),
            environment: Rc::clone(&self.environment),
            calls: Vec::new(),
            is_chain: false,
            passing: Vec::new(),
        };
        let Command::Run(run) = &instruction.command else { return step };
        step.passing = passing(run);
        let script = self.script(dockerfile, run);
        step.is_chain = script.is_chain;
        let mut directory = self.directory.clone();
        for invocation in script.invocations {
            if matches!(invocation.program(), "cd" | "pushd" | "popd") {
                directory = match invocation.words.get(1) {
                    Some(to)
                        if invocation.certain
                            && to.literal
                            && to.text != "-"
                            && !to.text.starts_with('~') =>
                    {
                        join(&directory, &to.text)
                    }
                    _ => UNKNOWN.to_owned(),
                };
            }
            let install = packages::install(&invocation, &step.environment);
            step.calls.push(Call { invocation, directory: directory.clone(), install });
        }
        step
    }

    /// What a RUN runs, as far as a shell that we read runs it.
    fn script(&self, dockerfile: &Dockerfile, run: &RunCommand) -> Script {
        let source = &dockerfile.source;
        let line = match &run.form {
            Form::Exec(arguments) => return shell::read_exec(arguments, run.span),
            Form::Shell(line) => line,
        };
        if !self.readable {
            return Script::default();
        }
        let Some(first) = run.heredocs.first() else {
            return shell::read(&Text::joined(source, run.span, dockerfile.directives.escape));
        };
        let body = || {
            let mut script = shell::read(&Text::slice(source, first.span));
            script.is_chain = false;
            script
        };
        if dockerfile::heredoc::parse_word(line).is_some() {
            let interpreter =
                first.content.lines().next().and_then(|line| line.trim_start().strip_prefix("#!"));
            let readable = interpreter.is_none_or(|line| {
                let mut words = line.split_whitespace().map(shell::base_name);
                let name = words.find(|word| *word != "env").unwrap_or_default();
                matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh")
            });
            return if readable { body() } else { Script::default() };
        }
        let mut script = shell::read(&Text::joined(source, run.span, dockerfile.directives.escape));
        script.is_chain = false;
        // `RUN <<EOF bash`: the shell reads the body.
        if let [only] = &script.invocations[..]
            && matches!(only.program(), "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh")
            && only.arguments().all(|argument| argument.starts_with('-'))
        {
            return body();
        }
        script
    }
}

fn is_watched(name: &str) -> bool {
    WATCHED.iter().any(|watched| name.starts_with(watched))
}

fn remember(environment: &mut Environment, name: &str, value: Option<String>) {
    if is_watched(name) {
        environment.insert(name.to_owned(), value);
    }
}

/// The targets of mounts whose content is in no layer.
fn passing(run: &RunCommand) -> Vec<String> {
    let mut targets = Vec::new();
    for mount in &run.mounts {
        let resolved = mount.resolve(|text| Ok::<_, dockerfile::MountError>(text.to_owned()));
        if let Ok(mount) = resolved
            && matches!(mount.kind, MountType::Cache | MountType::Tmpfs)
        {
            targets.push(mount.target);
        }
    }
    targets
}

/// A path against a folder, cleaned.
pub(crate) fn join(folder: &str, path: &str) -> String {
    if path.starts_with('/') {
        return dockerfile::ignore::clean(path);
    }
    if folder == UNKNOWN || path.contains('$') {
        return UNKNOWN.to_owned();
    }
    let joined = dockerfile::ignore::clean(&format!("{folder}/{path}"));
    // `..` above a folder that is not known.
    if folder.starts_with('?') && !joined.starts_with('?') { UNKNOWN.to_owned() } else { joined }
}

/// Whether two folders are the same for certain.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a == b && a != UNKNOWN
}

/// Whether `inner` is `outer` or lies in it, for certain.
pub(crate) fn within(inner: &str, outer: &str) -> bool {
    if inner == UNKNOWN || outer == UNKNOWN {
        return false;
    }
    let outer = outer.trim_end_matches('/');
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The sources and the destination of a COPY or ADD that takes from the build context.
pub(crate) fn from_context(instruction: &Instruction) -> Option<&CopyPaths> {
    match &instruction.command {
        Command::Copy(copy) if copy.from.is_none() && copy.exclude.is_empty() && !copy.parents => {
            Some(&copy.paths)
        }
        Command::Add(add) if add.exclude.is_empty() => Some(&add.paths),
        _ => None,
    }
}

/// Whether a source of COPY is the whole context.
pub(crate) fn is_everything(source: &str) -> bool {
    matches!(source, "." | "./" | "/" | "/." | "./." | "*" | "./*")
}

/// The COPY or ADD of the whole context, if an instruction is one: its paths.
pub(crate) fn whole_context(instruction: &Instruction) -> Option<&CopyPaths> {
    from_context(instruction).filter(|paths| paths.sources.iter().any(|source| is_everything(source)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_equal_only_for_certain() {
        assert_eq!(join("/app", "./x/../y"), "/app/y");
        assert_eq!(join("?", "."), "?");
        assert_eq!(join("?", "a"), "?/a");
        assert_eq!(join("?", ".."), UNKNOWN);
        assert_eq!(join("/a", "$X"), UNKNOWN);
        assert!(same(&join("?", "./"), "?") && !same(&join("/a", "$X"), UNKNOWN));
        assert!(within("/app/x", "/app") && within("/app", "/app") && !within("/application", "/app"));
    }

    #[test]
    fn stages_folders_and_calls() {
        let text = "ARG V=22\nFROM node:$V AS base\nENV NODE_ENV=production\nWORKDIR /app\nFROM base AS next\nWORKDIR sub\nRUN cd x && npm ci\nRUN <<EOF\nnpm test\nEOF\nFROM debian\nCOPY --from=NEXT a b\nFROM other\n";
        let parsed = dockerfile::parse(text.as_bytes(), "D").unwrap();
        let facts = Facts { target: None, ..Facts::default() };
        let model = Model::new(&parsed, &facts);
        assert_eq!(model.root(1), Some("node:22"));
        assert_eq!(model.stages[1].steps[1].calls[1].directory, "/app/sub/x");
        assert_eq!(model.stages[1].steps[1].environment["NODE_ENV"], Some("production".into()));
        assert_eq!(model.stages[1].steps[2].calls[0].invocation.shown(), "npm test");
        assert_eq!(model.reached, [false, false, false, true]);
        let facts = Facts { build_args: vec![("V".into(), "24".into())], ..Facts::default() };
        let model = Model::new(&parsed, &facts);
        assert_eq!(model.root(0), Some("node:24"));
        assert_eq!(model.stage_named("2", 3), Some(2));
    }
}
