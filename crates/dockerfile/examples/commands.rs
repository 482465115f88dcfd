//! Prints the instructions of the Dockerfiles on standard input, which a U+001E separates, as a line of JSON each, in
//! the shape of PyPI's `dockerfile` package (Docker's own Go parser), so that the two can be compared.

use dockerfile::command::{CopyPaths, Form, HealthCheckCommand};
use dockerfile::{Command, Instruction};
use serde_json::{Value, json};
use std::io::{Read, Write};

fn main() -> std::io::Result<()> {
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    let mut out = std::io::stdout().lock();
    for text in text.split(|byte| *byte == 0x1e) {
        let shown = match dockerfile::parse(text, "Dockerfile") {
            Ok(dockerfile) => Value::Array(dockerfile.instructions.iter().map(show).collect()),
            Err(failure) => {
                let errors: Vec<String> = failure.errors.iter().map(ToString::to_string).collect();
                json!({ "errors": errors })
            }
        };
        writeln!(out, "{shown}")?;
    }
    Ok(())
}

fn show(one: &Instruction) -> Value {
    let heredocs: Vec<Value> =
        one.heredocs.iter().map(|doc| json!([doc.name, doc.file_descriptor, doc.content])).collect();
    let flags: Vec<String> = one
        .flags
        .iter()
        .map(|flag| match &flag.value {
            Some(value) => format!("--{}={value}", flag.name),
            None => format!("--{}", flag.name),
        })
        .collect();
    let (json, value) = words(&one.command);
    json!({
        "cmd": one.name.value,
        "json": json,
        "start_line": one.lines.first,
        "end_line": one.lines.last,
        "flags": flags,
        "value": value,
        "heredocs": heredocs,
        "original": one.original,
    })
}

fn form(form: &Form) -> (bool, Vec<String>) {
    match form {
        Form::Exec(words) => (true, words.clone()),
        Form::Shell(text) if text.is_empty() => (false, Vec::new()),
        Form::Shell(text) => (false, vec![text.clone()]),
    }
}

fn paths(paths: &CopyPaths) -> Vec<String> {
    let mut words: Vec<String> = paths.sources.iter().map(|word| word.value.clone()).collect();
    words.extend(paths.inline.iter().map(|file| format!("<<{}", file.name)));
    words.sort();
    words.push(paths.destination.value.clone());
    words
}

fn words(command: &Command) -> (bool, Vec<String>) {
    let pairs = |pairs: &[dockerfile::command::KeyValue]| {
        pairs.iter().flat_map(|pair| [pair.key.value.clone(), pair.value.value.clone()]).collect()
    };
    match command {
        Command::From(from) => {
            let mut words = vec![from.base.value.clone()];
            if let (Some(as_word), Some(name)) = (&from.as_word, &from.typed_name) {
                words.extend([as_word.value.clone(), name.clone()]);
            }
            (false, words)
        }
        Command::Arg(arg) => {
            let words = arg.args.iter().map(|arg| match &arg.default {
                Some(value) => format!("{}={value}", arg.name),
                None => arg.name.value.clone(),
            });
            (false, words.collect())
        }
        Command::Env(env) => (false, pairs(&env.pairs)),
        Command::Label(label) => (false, pairs(&label.pairs)),
        Command::Run(run) => form(&run.form),
        Command::Copy(copy) => (false, paths(&copy.paths)),
        Command::Add(add) => (false, paths(&add.paths)),
        Command::Workdir(workdir) => (false, vec![workdir.path.value.clone()]),
        Command::User(user) => (false, vec![user.user.value.clone()]),
        Command::Expose(expose) => (false, expose.ports.iter().map(|port| port.value.clone()).collect()),
        Command::Volume(volume) => (false, volume.paths.iter().map(|path| path.value.clone()).collect()),
        Command::Cmd(cmd) => form(&cmd.form),
        Command::Entrypoint(entrypoint) => form(&entrypoint.form),
        Command::Shell(shell) => (true, shell.shell.clone()),
        Command::StopSignal(signal) => (false, vec![signal.signal.value.clone()]),
        Command::HealthCheck(HealthCheckCommand::None) => (false, vec!["NONE".to_owned()]),
        Command::HealthCheck(HealthCheckCommand::Check(check)) => {
            let (json, mut words) = form(&check.form);
            words.insert(0, "CMD".to_owned());
            (json, words)
        }
        Command::OnBuild(on_build) => {
            let (json, mut words) = on_build.instruction.as_deref().map(words).unwrap_or_default();
            words.insert(0, on_build.trigger.clone());
            (json, words)
        }
        Command::Maintainer(maintainer) => (false, vec![maintainer.author.value.clone()]),
    }
}
