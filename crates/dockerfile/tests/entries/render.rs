//! Writes parsed instructions down again, in two ways.

use dockerfile::command::*;
use dockerfile::{Command, Dockerfile, Flag, Instruction};
use std::fmt::Write as _;

/// Each instruction on one line as it was joined, heredocs below it.
pub(crate) fn joined(dockerfile: &Dockerfile) -> String {
    let mut out = head(dockerfile);
    for one in &dockerfile.instructions {
        comments(&mut out, one);
        line(&mut out, dockerfile, &one.original);
        for heredoc in &one.heredocs {
            let _ = writeln!(out, "{}{}", heredoc.content, heredoc.name);
        }
    }
    out
}

/// Each instruction from its typed parts: flags quoted anew, lists as JSON. Without heredocs.
pub(crate) fn typed(dockerfile: &Dockerfile) -> String {
    let escape = dockerfile.directives.escape;
    let mut out = head(dockerfile);
    for one in &dockerfile.instructions {
        if !one.heredocs.is_empty() {
            // Only to keep the number of instructions.
            out.push_str(if out.contains("FROM") { "RUN x\n" } else { "ARG x\n" });
            continue;
        }
        comments(&mut out, one);
        let mut text = one.name.value.clone();
        for shown in one.flags.iter().map(|one| flag(one, escape)) {
            let _ = write!(text, " {shown}");
        }
        let arguments = arguments(&one.command);
        if arguments.starts_with("--") {
            text.push_str(" --");
        }
        let _ = write!(text, " {arguments}");
        line(&mut out, dockerfile, &text);
    }
    out
}

/// An instruction without what depends on where it stands: spans, line numbers, and the line as it was written.
pub(crate) fn without_places(one: &Instruction) -> String {
    let parts = (&one.name.value, one.keyword, &one.flags, &one.comments, &one.heredocs, &one.command);
    let shown = format!("{parts:?}");
    let mut out = String::new();
    let mut rest = shown.as_str();
    while let Some((before, after)) = rest.split_once("Span { start: ") {
        out.push_str(before);
        rest = after.split_once('}').map_or("", |(_, after)| after);
    }
    out + rest
}

fn head(dockerfile: &Dockerfile) -> String {
    let directives = &dockerfile.directives;
    let mut out = String::new();
    if let Some(syntax) = &directives.syntax {
        let _ = writeln!(out, "# syntax={syntax}");
    }
    if directives.escape != '\\' {
        let _ = writeln!(out, "# escape={}", directives.escape);
    }
    if let Some(check) = &directives.check {
        let _ = writeln!(out, "# check={check}");
    }
    // A comment below is no directive.
    out + "\n"
}

fn comments(out: &mut String, one: &Instruction) {
    // One that is empty separates from what stands above.
    out.push_str("#\n");
    for comment in &one.comments {
        let _ = writeln!(out, "# {comment}");
    }
}

/// Writes a line that ends where it ends.
fn line(out: &mut String, dockerfile: &Dockerfile, text: &str) {
    out.push_str(text);
    let escape = dockerfile.directives.escape;
    let end = text.trim_end_matches([' ', '\t']);
    if end.ends_with(escape) && !end.strip_suffix(escape).is_some_and(|rest| rest.ends_with(escape)) {
        // A space to the instruction, but none to the continuation.
        out.push('\u{a0}');
    }
    out.push('\n');
}

fn flag(flag: &Flag, escape: char) -> String {
    let mut word = flag.name.value.clone();
    if let Some(value) = &flag.value {
        let _ = write!(word, "={value}");
    }
    let plain = |c: char| !c.is_whitespace() && c != '"' && c != '\'' && c != escape;
    if !word.is_empty() && word.chars().all(plain) {
        return format!("--{word}");
    }
    let quoted: String = word
        .chars()
        .flat_map(|c| (c == '"' || c == escape).then_some(escape).into_iter().chain([c]))
        .collect();
    format!("--\"{quoted}\"")
}

fn json<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| string(word.as_ref())).collect();
    format!("[{}]", words.join(", "))
}

/// A JSON string; everything but letters and digits as `\u`.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)).filter(char::is_ascii_alphanumeric) {
            Some(c) => out.push(c),
            None => drop(write!(out, "\\u{unit:04x}")),
        }
    }
    out + "\""
}

fn form(form: &Form) -> String {
    match form {
        Form::Exec(words) => json(words),
        Form::Shell(text) => text.clone(),
    }
}

fn paths(paths: &CopyPaths) -> String {
    let inline = paths.inline.iter().map(|file| {
        let quote = if file.expand { "" } else { "'" };
        // Every character escaped or quoted: the word is read as a shell word.
        let name: String = match file.expand {
            true => file.name.value.chars().flat_map(|c| ['\\', c]).collect(),
            false => file.name.value.clone(),
        };
        format!("<<{quote}{name}{quote}")
    });
    let words = paths.sources.iter().map(|word| word.value.clone()).chain(inline);
    json(words.chain([paths.destination.value.clone()]))
}

fn pairs(pairs: &[KeyValue]) -> String {
    let shown: Vec<String> = pairs
        .iter()
        // Two spaces: one may be escaped by the end of the key.
        .map(|pair| format!("{}{}{}", pair.key, if pair.legacy { "  " } else { "=" }, pair.value))
        .collect();
    shown.join(" ")
}

fn arguments(command: &Command) -> String {
    match command {
        Command::From(from) => {
            let mut text = from.base.value.clone();
            if let (Some(word), Some(name)) = (&from.as_word, &from.typed_name) {
                let _ = write!(text, " {word} {name}");
            }
            text
        }
        Command::Arg(arg) => {
            let words = arg.args.iter().map(|arg| match &arg.default {
                Some(value) => format!("{}={value}", arg.name),
                None => arg.name.value.clone(),
            });
            words.collect::<Vec<_>>().join(" ")
        }
        Command::Env(env) => pairs(&env.pairs),
        Command::Label(label) => pairs(&label.pairs),
        Command::Run(run) => form(&run.form),
        Command::Copy(copy) => paths(&copy.paths),
        Command::Add(add) => paths(&add.paths),
        Command::Workdir(workdir) => workdir.path.value.clone(),
        Command::User(user) => user.user.value.clone(),
        Command::Expose(expose) => {
            expose.ports.iter().map(|port| port.value.as_str()).collect::<Vec<_>>().join(" ")
        }
        Command::Volume(volume) => json(volume.paths.iter().map(|path| path.value.as_str())),
        Command::Cmd(cmd) => form(&cmd.form),
        Command::Entrypoint(entrypoint) => form(&entrypoint.form),
        Command::Shell(shell) => json(&shell.shell),
        Command::StopSignal(signal) => signal.signal.value.clone(),
        Command::HealthCheck(HealthCheckCommand::None) => "NONE".to_owned(),
        Command::HealthCheck(HealthCheckCommand::Check(check)) => format!("CMD {}", form(&check.form)),
        Command::OnBuild(on_build) => on_build.expression.clone(),
        Command::Maintainer(maintainer) => maintainer.author.value.clone(),
    }
}
