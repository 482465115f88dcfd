//! Instructions in the shape of PyPI's `dockerfile` package, to compare with Docker's own parsers.

use dockerfile::command::{CopyPaths, Form, HealthCheckCommand, KeyValue};
use dockerfile::{Command, Dockerfile, Instruction};
use serde_json::{Value, json};

/// All instructions of a file.
pub(crate) fn shapes(dockerfile: &Dockerfile) -> Vec<Value> {
    dockerfile.instructions.iter().map(|one| shape(dockerfile, one)).collect()
}

/// One instruction.
fn shape(dockerfile: &Dockerfile, one: &Instruction) -> Value {
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
    let (sub_cmd, (json, value)) = match &one.command {
        Command::OnBuild(on_build) => (
            Some(on_build.trigger.clone()),
            on_build.instruction.as_deref().map(|inner| words(dockerfile, inner)).unwrap_or_default(),
        ),
        command => (None, words(dockerfile, command)),
    };
    json!({
        "cmd": one.name.value,
        "sub_cmd": sub_cmd,
        "json": json,
        "lines": [one.lines.first, one.lines.last],
        "flags": flags,
        "value": value,
        "heredocs": heredocs,
    })
}

/// Whether it is the JSON form, and the arguments.
fn words(dockerfile: &Dockerfile, command: &Command) -> (bool, Vec<String>) {
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
        Command::Copy(copy) => paths(dockerfile, &copy.paths),
        Command::Add(add) => paths(dockerfile, &add.paths),
        Command::Workdir(workdir) => (false, vec![workdir.path.value.clone()]),
        Command::User(user) => (false, vec![user.user.value.clone()]),
        Command::Expose(expose) => (false, expose.ports.iter().map(|port| port.value.clone()).collect()),
        Command::Volume(volume) => {
            let first = volume.paths.first().map(|path| path.span.start).unwrap_or_default();
            let json = is_json(dockerfile, first);
            (json, volume.paths.iter().map(|path| path.value.clone()).collect())
        }
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
        Command::OnBuild(_) => (false, Vec::new()),
        Command::Maintainer(maintainer) => (false, vec![maintainer.author.value.clone()]),
    }
}

fn pairs(pairs: &[KeyValue]) -> Vec<String> {
    pairs.iter().flat_map(|pair| [pair.key.value.clone(), pair.value.value.clone()]).collect()
}

fn form(form: &Form) -> (bool, Vec<String>) {
    match form {
        Form::Exec(words) => (true, words.clone()),
        Form::Shell(text) if text.is_empty() => (false, Vec::new()),
        Form::Shell(text) => (false, vec![text.clone()]),
    }
}

/// Sources in the order of the file, heredocs as written; then the destination.
fn paths(dockerfile: &Dockerfile, paths: &CopyPaths) -> (bool, Vec<String>) {
    let plain = paths.sources.iter().map(|word| (word.span.start, word.value.clone()));
    let inline = paths.inline.iter().map(|file| {
        let span = file.name.span;
        let written = dockerfile.source.slice(span);
        (span.start, serde_json::from_str(written).unwrap_or_else(|_| written.to_owned()))
    });
    let mut words: Vec<(usize, String)> = plain.chain(inline).collect();
    words.sort();
    let first = words.first().map(|(start, _)| *start).unwrap_or_default();
    let json = is_json(dockerfile, first);
    let mut words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
    words.push(paths.destination.value.clone());
    (json, words)
}

/// Whether a first word at this offset is the first element of a JSON array.
fn is_json(dockerfile: &Dockerfile, first: usize) -> bool {
    let (before, word) = dockerfile.source.text().split_at(first);
    before.trim_end().ends_with('[') && word.starts_with('"')
}

/// A peer's instruction, with the words that we keep in upper case only, and without the space round volumes.
#[allow(dead_code, reason = "not every user of this module has a peer's answer")]
pub(crate) fn normal(theirs: &Value) -> Value {
    let mut theirs = theirs.clone();
    if let Some(sub_cmd) = theirs["sub_cmd"].as_str() {
        theirs["sub_cmd"] = sub_cmd.to_uppercase().into();
    }
    let is = |name: &str| {
        ["cmd", "sub_cmd"]
            .iter()
            .any(|key| theirs[*key].as_str().is_some_and(|cmd| cmd.eq_ignore_ascii_case(name)))
    };
    let (health, volume) = (is("healthcheck"), is("volume"));
    if health && let Some(kind) = theirs["value"][0].as_str() {
        theirs["value"][0] = kind.to_uppercase().into();
    }
    if volume && let Some(paths) = theirs["value"].as_array_mut() {
        // Docker does this when it makes an instruction of what it read.
        paths.iter_mut().for_each(|path| *path = path.as_str().unwrap_or_default().trim().into());
    }
    theirs
}
