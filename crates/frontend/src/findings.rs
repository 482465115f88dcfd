//! What the rules of `--check` find while a file is lowered: those that need the environment, images or the context.
//! The rules that need only the text are `dockerfile::lint`'s.

use crate::check::Guess;
use crate::lower::Lowering;
use crate::scope::{Globals, build_arg, is_proxy};
use crate::{Error, Options, Result};
use dockerfile::expand::{Expansion, Lex};
use dockerfile::lint::{self, Config, Rule, messages};
use dockerfile::{Command, Diagnostic, Dockerfile, Instruction, Span, Spanned, Stage, suggest};
use oci::{Platform, Reference};

/// Findings so far, and which rules count where the lowering is.
#[derive(Debug)]
pub(crate) struct Findings {
    /// What the file as a whole says about rules.
    pub(crate) config: Config,
    /// The same with the comment above the instruction at hand.
    here: Config,
    found: Vec<Diagnostic>,
    /// Findings that an image decides which was not resolved.
    pub(crate) guesses: Vec<Guess>,
    /// Whether the instruction at hand uses variables of which nothing is known: what else seems wrong with it may
    /// come from that.
    pub(crate) unsure: bool,
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
        Ok(Self { here: config.clone(), config, found: Vec::new(), guesses: Vec::new(), unsure: false })
    }

    /// From here on findings are about this instruction.
    pub(crate) fn at(&mut self, instruction: &Instruction) {
        self.here = self.config.at(instruction);
        self.unsure = false;
    }

    /// From here on findings are about a trigger of the base, which has no comments.
    pub(crate) fn at_trigger(&mut self) {
        self.here = self.config.clone();
        self.unsure = false;
    }

    pub(crate) fn report(&mut self, rule: Rule, message: String, span: Span) {
        if self.here.allows(rule) && !self.unsure {
            self.found.push(rule.diagnostic(message, span));
        }
    }

    /// The same where the comments above instructions do not count.
    pub(crate) fn report_for_file(&mut self, rule: Rule, message: String, span: Span) {
        if self.config.allows(rule) {
            self.found.push(rule.diagnostic(message, span));
        }
    }

    /// Findings about the instruction at hand that were made elsewhere.
    pub(crate) fn extend(&mut self, found: Vec<Diagnostic>) {
        let here = &self.here;
        self.found.extend(found.into_iter().filter(|one| here.allows_finding(one)));
    }

    pub(crate) fn add(&mut self, finding: Diagnostic) {
        self.found.push(finding);
    }

    pub(crate) fn take(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.found)
    }

    /// UndefinedVar: what an expansion looked for and nobody has set or declared. `known` are the variables that are
    /// set, `unknown` the image of which nobody knows what it sets.
    pub(crate) fn undefined<'a>(
        &mut self,
        unset: &[&String],
        known: impl Iterator<Item = &'a str> + Clone,
        unknown: Option<&(String, Platform)>,
        span: Span,
    ) {
        let was_unsure = std::mem::take(&mut self.unsure);
        for name in unset {
            let near = suggest::nearest(name, known.clone(), true);
            let message = messages::undefined_var(name, near.as_deref());
            let Some(image) = unknown else {
                self.report(Rule::UndefinedVar, message, span);
                continue;
            };
            if !image.0.is_empty() && self.here.allows(Rule::UndefinedVar) {
                let finding = Rule::UndefinedVar.diagnostic(message, span);
                self.guesses.push(Guess { name: (*name).clone(), image: image.clone(), finding });
            }
        }
        self.unsure = was_unsure || (unknown.is_some() && !unset.is_empty());
    }

    /// The rules about FROM, which are asked of every stage, whether the target reaches it or not. Gives the arguments
    /// that it uses.
    fn check_from(&mut self, stage: &Stage<'_>, lex: &Lex, globals: &Globals) -> Vec<String> {
        self.at(stage.instruction);
        let mut used = Vec::new();
        let expand = |text: &str| lex.expand(text, &|name| globals.get(name).map(str::to_owned)).ok();
        if let Some(expansion) = expand(&stage.from.base) {
            self.undefined_in_from(&expansion, globals, stage.from.base.span);
            used.extend(expansion.used);
        }
        let Some(platform) = &stage.from.platform else { return used };
        let Some(expansion) = expand(platform) else { return used };
        self.undefined_in_from(&expansion, globals, platform.span);
        let only_target = expansion.used == ["TARGETPLATFORM"] && expansion.unset.is_empty();
        if only_target && globals.get("TARGETPLATFORM") == Some(expansion.text.as_str()) {
            let message = messages::redundant_target_platform(platform);
            self.report(Rule::RedundantTargetPlatform, message, platform.span);
        }
        used.extend(expansion.used);
        used
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
            // What the comment above an instruction skips does not count here, as in BuildKit.
            self.report_for_file(Rule::InvalidDefaultArgInFrom, message, base.span);
        }
    }
}

impl Lowering<'_> {
    pub(crate) fn check_froms(&mut self) {
        let defaults = Globals::defaults(self.dockerfile, &self.stages, self.options);
        for stage in &self.stages {
            for name in self.findings.check_from(stage, &self.lex, &self.globals) {
                self.captures.uses(stage.index, &name);
            }
            if let Ok(defaults) = &defaults {
                self.findings.check_default(stage, &self.lex, defaults);
            }
        }
    }

    /// Everything worth telling, in the order of the file.
    pub(crate) fn all_warnings(&mut self) -> Vec<Diagnostic> {
        let mut found = lint::check_file(self.dockerfile, &self.findings.config);
        found.append(&mut self.findings.take());
        found.sort_by_key(|one| one.span);
        let parser = self.dockerfile.warnings.iter().filter(|warning| warning.rule.is_none()).cloned();
        let mut warnings: Vec<Diagnostic> = parser.collect();
        warnings.append(&mut self.warnings);
        warnings.append(&mut found);
        warnings.sort_by_key(|one| one.span);
        warnings.extend(self.unused_args());
        warnings
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
