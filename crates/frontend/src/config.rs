//! The instructions that change the image's configuration alone.

use crate::lower::Lowering;
use crate::outline::OutlineArg;
use crate::scope::build_arg;
use crate::stage::StageState;
use crate::{Error, Result, hints, history};
use dockerfile::command::{ArgCommand, Command, ExposeCommand, Form, HealthCheckCommand, KeyValue};
use dockerfile::lint::{Rule, messages};
use dockerfile::{Instruction, Spanned};
use oci::{Empty, Healthcheck};

impl Lowering<'_> {
    pub(crate) fn configure(&mut self, state: &mut StageState, instruction: &Instruction) -> Result<()> {
        let created_by = match &instruction.command {
            Command::Arg(arg) => self.arg(state, instruction, arg)?,
            Command::Env(env) => {
                let pairs = self.pairs(state, &env.pairs)?;
                for (name, value) in &pairs {
                    state.scope.set(name, value, false);
                    state.config.config.set_env(name, value);
                }
                format!("ENV{}", shown(&pairs))
            }
            Command::Label(label) => {
                let pairs = self.pairs(state, &label.pairs)?;
                for (name, value) in &pairs {
                    state.config.config.labels.insert(name.clone(), value.clone());
                }
                format!("LABEL{}", shown(&pairs))
            }
            Command::User(user) => {
                let user = self.word(state, &user.user)?;
                state.config.config.user.clone_from(&user);
                format!("USER {user}")
            }
            Command::Expose(expose) => self.expose(state, expose)?,
            Command::Volume(volume) => {
                let mut paths = Vec::new();
                for path in &volume.paths {
                    let expanded = self.word(state, path)?;
                    if expanded.is_empty() {
                        return Err(Error::at(state.span(path.span), "a volume's path is empty"));
                    }
                    state.config.config.volumes.insert(expanded.clone(), Empty {});
                    paths.push(expanded);
                }
                format!("VOLUME {}", history::listed(&paths))
            }
            Command::Cmd(cmd) => {
                let args = self.form(state, &cmd.form);
                let text = format!("CMD {}", history::quoted(&args));
                state.config.config.cmd = Some(args).filter(|args| !args.is_empty());
                state.config.config.args_escaped = true;
                state.cmd_set = true;
                text
            }
            Command::Entrypoint(entrypoint) => {
                let args = self.form(state, &entrypoint.form);
                let text = format!("ENTRYPOINT {}", history::quoted(&args));
                state.config.config.entrypoint = Some(args).filter(|args| !args.is_empty());
                if !state.cmd_set {
                    state.config.config.cmd = None;
                }
                text
            }
            Command::Shell(shell) => {
                state.config.config.shell = Some(shell.shell.clone());
                format!("SHELL {}", history::listed(&shell.shell))
            }
            Command::StopSignal(stop) => {
                let span = state.span(stop.signal.span);
                let signal = self.word(state, &stop.signal)?;
                dockerfile::signal::parse(&signal).ok_or_else(|| hints::signal(&signal, span))?;
                state.config.config.stop_signal = Some(signal.clone());
                format!("STOPSIGNAL {signal}")
            }
            Command::HealthCheck(check) => {
                let check = health_check(check);
                let text = format!("HEALTHCHECK {}", history::health(&check));
                state.config.config.healthcheck = Some(check);
                text
            }
            Command::Maintainer(maintainer) => {
                state.config.author = Some(maintainer.author.value.clone());
                format!("MAINTAINER {}", maintainer.author.value)
            }
            Command::OnBuild(trigger) => {
                state.config.config.on_build.push(trigger.expression.clone());
                return Ok(());
            }
            Command::From(_) | Command::Run(_) | Command::Copy(_) | Command::Add(_) | Command::Workdir(_) => {
                return Ok(());
            }
        };
        state.config.history.push(history::entry(created_by, false));
        Ok(())
    }

    fn arg(&mut self, state: &mut StageState, instruction: &Instruction, arg: &ArgCommand) -> Result<String> {
        let mut text = String::from("ARG");
        for definition in &arg.args {
            let name = &definition.name.value;
            let value = match (build_arg(self.options, name), &definition.default) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => Some(self.word(state, default)?),
                (None, None) => self.globals.get(name).map(str::to_owned),
            };
            // One that takes a global's value is told where the global is.
            let given = build_arg(self.options, name).is_some();
            if given || definition.default.is_some() || value.is_none() {
                let told = OutlineArg {
                    name: name.clone(),
                    description: definition.description.clone().unwrap_or_default(),
                    value: value.clone().unwrap_or_default(),
                    location: state.lines(instruction).into(),
                };
                self.captures.declares(state.index, told);
            }
            self.captures.uses(state.index, name);
            text.push(' ');
            text.push_str(name);
            if let Some(value) = &value {
                text.push('=');
                text.push_str(value);
            }
            state.scope.declare(name, value);
        }
        Ok(text)
    }

    /// All values are expanded with the scope before the instruction.
    fn pairs(&mut self, state: &StageState, pairs: &[KeyValue]) -> Result<Vec<(String, String)>> {
        pairs
            .iter()
            .map(|pair| {
                let name = self.word(state, &pair.key)?;
                let value = self.word(state, &pair.value)?;
                if name.is_empty() {
                    return Err(Error::at(
                        state.span(pair.key.span),
                        "a name is empty once its variables are filled in",
                    ));
                }
                Ok((name, value))
            })
            .collect()
    }

    /// The words count sorted as they are written; each may be several ports.
    fn expose(&mut self, state: &mut StageState, expose: &ExposeCommand) -> Result<String> {
        let mut words: Vec<&Spanned<String>> = expose.ports.iter().collect();
        words.sort_by(|a, b| a.value.cmp(&b.value));
        let mut keys: Vec<String> = Vec::new();
        for word in words {
            let span = state.span(word.span);
            let scope = &state.scope;
            let expanded = self
                .lex
                .expand_words(word, &|name| scope.get(name).map(str::to_owned))
                .map_err(|error| hints::expansion(&error, span))?;
            for port in expanded {
                let ports =
                    dockerfile::port::parse(&port).map_err(|error| Error::at(span, error.to_string()))?;
                // A word without variables is checked without the frontend.
                if word.contains('$') && ports.odd_case {
                    self.findings.report(Rule::ExposeProtoCasing, messages::expose_proto_casing(&port), span);
                }
                if word.contains('$') && ports.has_host {
                    let message = messages::expose_invalid_format(&port);
                    self.findings.report(Rule::ExposeInvalidFormat, message, span);
                }
                keys.extend(ports.keys());
            }
        }
        let exposed = keys.iter().map(|key| (key.clone(), Empty {}));
        state.config.config.exposed_ports.extend(exposed);
        Ok(format!("EXPOSE {}", history::listed(&keys)))
    }

    fn form(&self, state: &StageState, form: &Form) -> Vec<String> {
        match form {
            Form::Exec(args) => args.clone(),
            Form::Shell(text) => {
                let shell =
                    state.config.config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
                shell.into_iter().chain([text.clone()]).collect()
            }
        }
    }
}

fn health_check(check: &HealthCheckCommand) -> Healthcheck {
    let HealthCheckCommand::Check(check) = check else {
        return Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() };
    };
    let test = match &check.form {
        Form::Exec(args) => std::iter::once("CMD".to_owned()).chain(args.iter().cloned()).collect(),
        Form::Shell(text) => vec!["CMD-SHELL".into(), text.clone()],
    };
    let nanoseconds = |time: Option<std::time::Duration>| {
        time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
    };
    Healthcheck {
        test,
        interval: nanoseconds(check.interval),
        timeout: nanoseconds(check.timeout),
        start_period: nanoseconds(check.start_period),
        start_interval: nanoseconds(check.start_interval),
        retries: u64::from(check.retries),
    }
}

fn shown(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect()
}
