//! The rules that need nothing but the text. Messages are BuildKit's, because tools read them.

use super::{Config, Rule, casing, messages};
use crate::command::{Command, Form, FromCommand, HealthCheckCommand};
use crate::diagnostic::Diagnostic;
use crate::instruction::{Dockerfile, Instruction, Stage};
use crate::port;
use crate::source::Span;
use std::collections::{HashMap, HashSet};

/// Checks a file without a frontend: what needs the values of variables, images or the context is not found. `reached`
/// says of a stage's number whether the build needs it: as in BuildKit, most rules about
/// instructions are asked of such stages only. The parser's own findings ([`Dockerfile::warnings`] that carry a rule)
/// are among the answers; its other warnings are not. In the order of the file.
pub fn check(dockerfile: &Dockerfile, config: &Config, reached: &dyn Fn(usize) -> bool) -> Vec<Diagnostic> {
    let mut found = check_file(dockerfile, config);
    let mut states: Vec<StageRules> = Vec::new();
    let mut by_name: HashMap<&str, usize> = HashMap::new();
    for stage in dockerfile.stages() {
        let mut state = by_name.get(stage.base()).map(|parent| states[*parent].child()).unwrap_or_default();
        for instruction in stage.instructions {
            let these = state.check(instruction, None);
            if reached(stage.index) && !these.is_empty() {
                let config = config.at(instruction);
                found.extend(these.into_iter().filter(|one| config.allows_finding(one)));
            }
        }
        states.push(state);
        if let Some(name) = stage.name() {
            by_name.insert(name, stage.index);
        }
    }
    found.sort_by_key(|one| one.span);
    found
}

/// The findings that do not depend on which stages are built: about the file as a whole, and about FROM, ARG and
/// MAINTAINER. What is told of instructions of stages is told by [`StageRules`].
pub fn check_file(dockerfile: &Dockerfile, config: &Config) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    found.extend(dockerfile.warnings.iter().filter(|warning| warning.rule.is_some()).cloned());
    let stages = dockerfile.stages();
    stage_names(&stages, &mut found);
    casing::check(dockerfile, &mut found);
    found.retain(|one| config.allows_finding(one));
    for instruction in &dockerfile.instructions {
        let these = anywhere(instruction);
        if !these.is_empty() {
            let config = config.at(instruction);
            found.extend(these.into_iter().filter(|one| config.allows_finding(one)));
        }
    }
    found.sort_by_key(|one| one.span);
    found
}

fn stage_names(stages: &[Stage<'_>], found: &mut Vec<Diagnostic>) {
    let mut seen: HashSet<&str> = HashSet::new();
    for stage in stages {
        let Some(name) = &stage.from.name else { continue };
        if matches!(name.as_str(), "scratch" | "context") {
            let message =
                format!("Stage name should not use the same name as reserved stage {:?}", name.value);
            found.push(Rule::ReservedStageName.diagnostic(message, name.span));
        }
        if !seen.insert(name) {
            let message = format!("Duplicate stage name {:?}, stage names should be unique", name.value);
            found.push(Rule::DuplicateStageName.diagnostic(message, name.span));
        }
    }
}

/// Rules about one instruction, wherever it stands.
fn anywhere(instruction: &Instruction) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    match &instruction.command {
        Command::From(from) => {
            from_casing(instruction, from, &mut found);
            from_platform(from, &mut found);
            if let Some(name) = &from.name {
                found.extend(description("FROM", &[name.value.as_str()], instruction));
            }
        }
        Command::Arg(arg) => {
            let names: Vec<&str> = arg.args.iter().map(|arg| arg.name.value.as_str()).collect();
            found.extend(description("ARG", &names, instruction));
        }
        Command::Maintainer(maintainer) => found.push(
            Rule::MaintainerDeprecated
                .diagnostic(
                    "Maintainer instruction is deprecated in favor of using label",
                    instruction.name.span,
                )
                .with_hint(format!(
                    "write it as `LABEL org.opencontainers.image.authors={:?}`",
                    maintainer.author.value
                )),
        ),
        _ => {}
    }
    found
}

fn from_casing(instruction: &Instruction, from: &FromCommand, found: &mut Vec<Diagnostic>) {
    let (Some(name), Some(typed), Some(word)) = (&from.name, &from.typed_name, &from.as_word) else { return };
    if typed.to_lowercase() != *typed {
        found.push(
            Rule::StageNameCasing
                .diagnostic(format!("Stage name '{typed}' should be lowercase"), name.span)
                .with_hint(format!("write it as `{}`", name.value)),
        );
    }
    let keyword = instruction.name.value.as_str();
    let better = if keyword == keyword.to_lowercase() {
        word.to_lowercase()
    } else if keyword == keyword.to_uppercase() {
        word.to_uppercase()
    } else {
        return;
    };
    if better != word.value {
        let message = format!("'{word}' and '{keyword}' keywords' casing do not match");
        found.push(
            Rule::FromAsCasing.diagnostic(message, word.span).with_hint(format!("write it as `{better}`")),
        );
    }
}

fn from_platform(from: &FromCommand, found: &mut Vec<Diagnostic>) {
    let Some(platform) = &from.platform else { return };
    if platform.contains('$') {
        return;
    }
    let mut parts = platform.split('/');
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let known = |part: &str| matches!(part, "linux" | "windows" | "darwin" | "freebsd");
    let (os, architecture) = match second {
        Some(architecture) => (first, architecture),
        None if known(first) => (first, first),
        None => ("linux", first),
    };
    let architecture = match architecture {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    // A stage that says in its name what it is made for may be fixed to that.
    let name = from.name.as_ref().map(|name| name.value.as_str()).unwrap_or_default();
    if name.contains(os) || name.contains(architecture) {
        return;
    }
    let message = format!("FROM --platform flag should not use constant value {:?}", platform.value);
    found.push(Rule::FromPlatformFlagConstDisallowed.diagnostic(message, platform.span));
}

fn description(keyword: &str, names: &[&str], instruction: &Instruction) -> Option<Diagnostic> {
    let last = instruction.comments.last()?;
    let first_word = last.split(' ').next().unwrap_or_default();
    if names.is_empty() || names.contains(&first_word) {
        return None;
    }
    let example = if names.len() > 1 { "<arg_key>" } else { names[0] };
    let message = format!("Comment for {keyword} should follow the format: `# {example} <description>`");
    Some(
        Rule::InvalidDefinitionDescription
            .diagnostic(message, instruction.name.span)
            .with_hint("put an empty comment line between, if the comment is no description"),
    )
}

/// The rules about instructions of one stage, asked of one after the other.
#[derive(Clone, Debug, Default)]
pub struct StageRules {
    workdir: bool,
    shell: bool,
    /// Where the last of each stands.
    command: Option<Span>,
    entrypoint: Option<Span>,
    health: Option<Span>,
}

impl StageRules {
    /// The rules of a stage on an image; `shell` says whether the image has a SHELL of its own.
    pub fn on_image(shell: bool) -> Self {
        Self { shell, ..Self::default() }
    }

    /// The rules of a stage on this one: it goes on with its WORKDIR and SHELL.
    pub fn child(&self) -> Self {
        Self { workdir: self.workdir, shell: self.shell, ..Self::default() }
    }

    /// What is wrong with the next instruction. A trigger of the base has no place of its own: `place` is its FROM.
    pub fn check(&mut self, instruction: &Instruction, place: Option<Span>) -> Vec<Diagnostic> {
        let mut found = self.ask(instruction, place.unwrap_or(instruction.line_span));
        if let Some(place) = place {
            for one in &mut found {
                one.span = place;
            }
        }
        found
    }

    fn ask(&mut self, instruction: &Instruction, place: Span) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let name = instruction.name.value.as_str();
        match &instruction.command {
            Command::Env(env) => {
                for pair in &env.pairs {
                    found.extend(legacy(pair.legacy, name, pair.key.span.join(pair.value.span)));
                    found.extend(secret("ENV", &pair.key, pair.key.span));
                }
            }
            Command::Label(label) => {
                for pair in &label.pairs {
                    found.extend(legacy(pair.legacy, name, pair.key.span.join(pair.value.span)));
                }
            }
            Command::Arg(arg) => {
                found.extend(arg.args.iter().filter_map(|arg| secret("ARG", &arg.name, arg.name.span)));
            }
            Command::Workdir(workdir) => {
                let path = workdir.path.as_str();
                // What a variable begins with is the frontend's to say.
                if !self.workdir && !path.starts_with(['/', '$', '"', '\'']) {
                    let message = messages::workdir_relative_path(path);
                    found.push(Rule::WorkdirRelativePath.diagnostic(message, workdir.path.span));
                }
                self.workdir = true;
            }
            Command::Shell(_) => self.shell = true,
            Command::Cmd(cmd) => {
                found.extend(once(&mut self.command, instruction, place));
                found.extend(self.json(&cmd.form, instruction));
            }
            Command::Entrypoint(entrypoint) => {
                found.extend(once(&mut self.entrypoint, instruction, place));
                found.extend(self.json(&entrypoint.form, instruction));
            }
            Command::HealthCheck(HealthCheckCommand::None | HealthCheckCommand::Check(_)) => {
                found.extend(once(&mut self.health, instruction, place));
            }
            Command::Expose(expose) => {
                for word in expose.ports.iter().filter(|word| !word.contains('$')) {
                    let Ok(ports) = port::parse(word) else { continue };
                    if ports.odd_case {
                        let message = messages::expose_proto_casing(word);
                        found.push(Rule::ExposeProtoCasing.diagnostic(message, word.span));
                    }
                    if ports.has_host {
                        let message = messages::expose_invalid_format(word);
                        found.push(Rule::ExposeInvalidFormat.diagnostic(message, word.span));
                    }
                }
            }
            _ => {}
        }
        found
    }

    /// With a SHELL of its own choice a stage means the shell form.
    fn json(&self, form: &Form, instruction: &Instruction) -> Option<Diagnostic> {
        if self.shell || matches!(form, Form::Exec(_)) {
            return None;
        }
        let message = format!(
            "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
            instruction.name
        );
        Some(Rule::JSONArgsRecommended.diagnostic(message, instruction.line_span))
    }
}

/// The earlier of two instructions is the one that does not count.
fn once(seen: &mut Option<Span>, instruction: &Instruction, place: Span) -> Option<Diagnostic> {
    let earlier = seen.replace(place)?;
    let message = format!(
        "Multiple {} instructions should not be used in the same stage because only the last one will be used",
        instruction.name
    );
    Some(Rule::MultipleInstructionsDisallowed.diagnostic(message, earlier))
}

fn legacy(is_legacy: bool, name: &str, span: Span) -> Option<Diagnostic> {
    let message =
        format!("\"{name} key=value\" should be used instead of legacy \"{name} key value\" format");
    is_legacy.then(|| Rule::LegacyKeyValueFormat.diagnostic(message, span))
}

/// Whether a variable's name says that it holds a secret, by the words that BuildKit's rule SecretsUsedInArgOrEnv knows.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    const SECRET: [&str; 10] = [
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: [&str; 3] = ["public", "file", "version"];
    let has =
        |words: &[&str]| name.split('_').any(|part| words.iter().any(|word| part.eq_ignore_ascii_case(word)));
    has(&SECRET) && !has(&HARMLESS)
}

fn secret(instruction: &str, name: &str, span: Span) -> Option<Diagnostic> {
    if !is_secret_name(name) {
        return None;
    }
    let message = format!("Do not use ARG or ENV instructions for sensitive data ({instruction} {name:?})");
    let found = Rule::SecretsUsedInArgOrEnv
        .diagnostic(message, span)
        .with_hint("`RUN --mount=type=secret` leaves nothing in the image");
    Some(found)
}
