//! What the rules of `--check` find while a file is lowered: those that need the environment, images or the context.
//! The rules that need only the text are `dockerfile::lint`'s.

use crate::lower::Lowering;
use crate::scope::{Globals, build_arg, is_proxy};
use crate::{Error, Options, Result};
use dockerfile::expand::{Expansion, Lex};
use dockerfile::lint::{self, Config, Rule, messages};
use dockerfile::{Command, Diagnostic, Dockerfile, Instruction, Span, Spanned, Stage, suggest};
use oci::Reference;

/// Findings so far, and which rules count where the lowering is.
#[derive(Debug)]
pub(crate) struct Findings {
    /// What the file as a whole says about rules.
    pub(crate) config: Config,
    /// The same with the comment above the instruction at hand.
    here: Config,
    found: Vec<Diagnostic>,
    /// Where the findings of the instruction at hand begin: of one instruction the same is said once.
    first: usize,
}

impl Findings {
    /// What `# check=` says, or the build argument that stands for it.
    pub(crate) fn new(dockerfile: &Dockerfile, options: &Options) -> Result<Self> {
        let config = match build_arg(options, "BUILDKIT_DOCKERFILE_CHECK") {
            Some(text) => Config::parse(text),
            None => Config::of(dockerfile),
        };
        let config = config.map_err(|error| {
            let span = dockerfile.directives.check.as_ref().map(|check| check.span).unwrap_or_default();
            Error::at(span, error.to_string())
        })?;
        Ok(Self { here: config.clone(), config, found: Vec::new(), first: 0 })
    }

    /// From here on findings are about this instruction.
    pub(crate) fn at(&mut self, instruction: &Instruction) {
        self.here = self.config.at(instruction);
        self.first = self.found.len();
    }

    pub(crate) fn report(&mut self, rule: Rule, message: String, span: Span) {
        let known = self.found[self.first..]
            .iter()
            .any(|one| one.rule == Some(rule.name()) && one.message == message);
        if self.here.allows(rule) && !known {
            self.found.push(rule.diagnostic(message, span));
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Diagnostic> {
        self.first = 0;
        std::mem::take(&mut self.found)
    }

    /// UndefinedVar: what an expansion looked for and nobody has set. A declared argument without a value is no fault.
    pub(crate) fn undefined<'a>(
        &mut self,
        unset: &[String],
        declared: impl Fn(&str) -> bool,
        known: impl Iterator<Item = &'a str> + Clone,
        span: Span,
    ) {
        for name in unset.iter().filter(|name| !declared(name)) {
            let near = suggest::nearest(name, known.clone(), true);
            self.report(Rule::UndefinedVar, messages::undefined_var(name, near.as_deref()), span);
        }
    }

    /// The rules about FROM, which are asked of every stage, whether the target reaches it or not.
    pub(crate) fn check_from(&mut self, stage: &Stage<'_>, lex: &Lex, globals: &Globals) {
        self.at(stage.instruction);
        let expand = |text: &str| lex.expand(text, &|name| globals.get(name).map(str::to_owned)).ok();
        if let Some(expansion) = expand(&stage.from.base) {
            self.undefined_in_from(&expansion, globals, stage.from.base.span);
        }
        let Some(platform) = &stage.from.platform else { return };
        let Some(expansion) = expand(platform) else { return };
        self.undefined_in_from(&expansion, globals, platform.span);
        let only_target = expansion.used == ["TARGETPLATFORM"] && expansion.unset.is_empty();
        if only_target && globals.get("TARGETPLATFORM") == Some(expansion.text.as_str()) {
            let message = messages::redundant_target_platform(platform);
            self.report(Rule::RedundantTargetPlatform, message, platform.span);
        }
    }

    fn undefined_in_from(&mut self, expansion: &Expansion, globals: &Globals, span: Span) {
        for name in expansion.unset.iter().filter(|name| !globals.is_declared(name)) {
            let near = suggest::nearest(name, globals.names(), true);
            let message = messages::undefined_arg_in_from(name, near.as_deref());
            self.report(Rule::UndefinedArgInFrom, message, span);
        }
    }

    /// InvalidDefaultArgInFrom: what FROM names when no build argument is given. `defaults` is the global scope then.
    pub(crate) fn check_default(&mut self, stage: &Stage<'_>, lex: &Lex, defaults: &Globals) {
        self.at(stage.instruction);
        let base = &stage.from.base;
        let Ok(name) = lex.expand_word(base, &|name| defaults.get(name).map(str::to_owned)) else { return };
        if name.parse::<Reference>().is_err() {
            let message = messages::invalid_default_arg_in_from(base);
            self.report(Rule::InvalidDefaultArgInFrom, message, base.span);
        }
    }
}

impl Lowering<'_> {
    pub(crate) fn check_froms(&mut self) {
        let defaults = Globals::defaults(self.dockerfile, &self.stages, self.options);
        for stage in &self.stages {
            self.findings.check_from(stage, &self.lex, &self.globals);
            if let Ok(defaults) = &defaults {
                self.findings.check_default(stage, &self.lex, defaults);
            }
        }
    }

    pub(crate) fn all_warnings(&mut self) -> Result<Vec<Diagnostic>> {
        let reached = |index: usize| self.done[index].is_some();
        let mut found = lint::check(self.dockerfile, &self.findings.config, &reached);
        found.append(&mut self.findings.take());
        found.sort_by_key(|one| one.span);
        if self.findings.config.error && !found.is_empty() {
            return Err(Error::Check { found });
        }
        let parser = self.dockerfile.warnings.iter().filter(|warning| warning.rule.is_none()).cloned();
        let mut warnings: Vec<Diagnostic> = parser.collect();
        warnings.append(&mut self.warnings);
        warnings.append(&mut found);
        warnings.sort_by_key(|one| one.span);
        warnings.extend(self.unused_args());
        Ok(warnings)
    }

    /// A warning for each build argument that no ARG declares, in whatever stage.
    fn unused_args(&self) -> Vec<Diagnostic> {
        let declared: Vec<&Spanned<String>> = self
            .dockerfile
            .instructions
            .iter()
            .filter_map(|one| if let Command::Arg(arg) = &one.command { Some(arg) } else { None })
            .flat_map(|arg| arg.args.iter().map(|one| &one.name))
            .collect();
        let mut told: Vec<&str> = Vec::new();
        let mut warnings = Vec::new();
        for (name, _) in &self.options.build_args {
            let known = declared.iter().any(|one| one.value == *name)
                || self.trigger_args.contains(name)
                || self.globals.is_declared(name)
                || is_proxy(name)
                || name.starts_with("BUILDKIT_")
                || name == "SOURCE_DATE_EPOCH";
            if known || told.contains(&name.as_str()) {
                continue;
            }
            told.push(name);
            let near = suggest::nearest(name, declared.iter().map(|one| one.value.as_str()), false);
            let near = near
                .and_then(|near| declared.iter().find(|one| one.value.eq_ignore_ascii_case(&near)).copied());
            let first = self.stages[0].instruction.name.span;
            let message = format!("no ARG declares the build argument `{name}`, so it is not used");
            let warning = Diagnostic::warning(message, near.map_or(first, |near| near.span));
            warnings.push(match near {
                Some(near) => warning.with_hint(format!("did you mean `{}`?", near.value)),
                None => warning.with_hint(format!("a stage that uses it says `ARG {name}`")),
            });
        }
        warnings
    }
}
