//! The instructions that change the image's configuration alone.

use crate::lower::Lowering;
use crate::scope::build_arg;
use crate::stage::StageState;
use crate::{Error, Result, history};
use dockerfile::Instruction;
use dockerfile::command::{ArgCommand, Command, ExposeCommand, Form, HealthCheckCommand, KeyValue};
use oci::{Empty, Healthcheck};

impl Lowering<'_> {
    pub(crate) fn configure(&mut self, state: &mut StageState, instruction: &Instruction) -> Result<()> {
        let created_by = match &instruction.command {
            Command::Arg(arg) => self.arg(state, arg)?,
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
                let user = state.scope.expand(&self.lex, &user.user, state.span(user.user.span))?;
                state.config.config.user.clone_from(&user);
                format!("USER {user}")
            }
            Command::Expose(expose) => self.expose(state, expose)?,
            Command::Volume(volume) => {
                let mut paths = Vec::new();
                for path in &volume.paths {
                    let expanded = state.scope.expand(&self.lex, path, state.span(path.span))?;
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
                state.config.config.cmd = Some(args);
                state.config.config.args_escaped = true;
                state.cmd_set = true;
                text
            }
            Command::Entrypoint(entrypoint) => {
                let args = self.form(state, &entrypoint.form);
                let text = format!("ENTRYPOINT {}", history::quoted(&args));
                state.config.config.entrypoint = Some(args);
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
                let signal = state.scope.expand(&self.lex, &stop.signal, span)?;
                dockerfile::signal::parse(&signal)
                    .ok_or_else(|| Error::at(span, format!("`{signal}` is no signal")))?;
                state.config.config.stop_signal = Some(signal.clone());
                format!("STOPSIGNAL {signal}")
            }
            Command::HealthCheck(check) => {
                let check = self.health_check(state, check);
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

    fn arg(&mut self, state: &mut StageState, arg: &ArgCommand) -> Result<String> {
        let mut text = String::from("ARG");
        for definition in &arg.args {
            let name = &definition.name.value;
            self.used_args.push(name.clone());
            let value = match (build_arg(self.options, name), &definition.default) {
                (Some(given), _) => Some(given.to_owned()),
                (None, Some(default)) => {
                    Some(state.scope.expand(&self.lex, default, state.span(default.span))?)
                }
                (None, None) => self.globals.get(name).map(str::to_owned),
            };
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
    fn pairs(&self, state: &StageState, pairs: &[KeyValue]) -> Result<Vec<(String, String)>> {
        pairs
            .iter()
            .map(|pair| {
                let name = state.scope.expand(&self.lex, &pair.key, state.span(pair.key.span))?;
                let value = state.scope.expand(&self.lex, &pair.value, state.span(pair.value.span))?;
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

    fn expose(&self, state: &mut StageState, expose: &ExposeCommand) -> Result<String> {
        let mut keys = Vec::new();
        for word in &expose.ports {
            let span = state.span(word.span);
            for port in state.scope.expand_words(&self.lex, word, span)? {
                let ports =
                    dockerfile::port::parse(&port).map_err(|error| Error::at(span, error.to_string()))?;
                keys.extend(ports.keys());
            }
        }
        keys.sort();
        for key in &keys {
            state.config.config.exposed_ports.insert(key.clone(), Empty {});
        }
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

    fn health_check(&self, state: &StageState, check: &HealthCheckCommand) -> Healthcheck {
        let HealthCheckCommand::Check(check) = check else {
            return Healthcheck { test: vec!["NONE".into()], ..Healthcheck::default() };
        };
        let test = match &check.form {
            Form::Exec(args) => std::iter::once("CMD".to_owned()).chain(args.iter().cloned()).collect(),
            Form::Shell(text) => vec!["CMD-SHELL".into(), text.clone()],
        };
        let _ = state;
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
}

fn shown(pairs: &[(String, String)]) -> String {
    pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect()
}
