//! `build --check` and `build --call`: what a Dockerfile says, told without building it.
//!
//! | written | answers |
//! |---|---|
//! | `--check`, `--call check`, `--call lint` | findings of all rules, and what would end a build; text, json, sarif |
//! | `--call outline` | what the target can be given: arguments, secrets, ssh agents; text, json |
//! | `--call targets` | the stages; text, json |
//! | `--call build` | a build, as without it |
//!
//! The answer is standard output. As with `docker buildx build` the exit code of a check is 1 where it found something,
//! unless `ignorestatus=true` is asked for; what would end a build is always 1.
//!
//! Nothing is opened that is not needed: no store, no registry, no namespace, of the context the Dockerfile and the
//! ignore file alone. An ordinary file takes under 5 ms, the start of the program included.

mod check;
mod images;
mod json;
mod sarif;
mod text;

use super::{BuildArgs, context, failure};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use dockerfile::Dockerfile;
use images::Images;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Check,
    Outline,
    Targets,
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Sarif,
}

/// A call, read from the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    method: Method,
    format: Format,
    /// The exit code says nothing about findings.
    ignore_status: bool,
}

impl Call {
    /// The call that the command line asks for; nothing where it asks for a build.
    pub(crate) fn of(args: &BuildArgs) -> Outcome<Option<Self>> {
        let call = match (&args.call, args.check) {
            (Some(text), _) => Self::parse(text)?,
            (None, true) => Some(Self { method: Method::Check, format: Format::Text, ignore_status: false }),
            (None, false) => None,
        };
        match (call, args.format.as_deref()) {
            (Some(mut call), Some(format)) => {
                call.format = parse_format(format, call.method)
                    .map_err(|message| CommandError::usage(format!("--format: {message}")))?;
                Ok(Some(call))
            }
            (None, Some(format)) => {
                Err(CommandError::usage(format!("--format {format}: there is no answer to write"))
                    .hint("it goes with --check, --call outline and --call targets"))
            }
            (call, None) => Ok(call),
        }
    }

    /// Reads `METHOD[,format=FORMAT][,ignorestatus=BOOL]`.
    fn parse(text: &str) -> Outcome<Option<Self>> {
        let wrong = |message: String| CommandError::usage(format!("--call {text}: {message}"));
        let (mut method, mut format, mut ignore_status) = (None, None, false);
        for field in text.split(',') {
            match field.split_once('=') {
                Some(("format", value)) => format = Some(value),
                Some(("ignorestatus", value)) => {
                    ignore_status = match value {
                        "true" | "1" => true,
                        "false" | "0" => false,
                        _ => return Err(wrong(format!("`{value}` is neither `true` nor `false`"))),
                    };
                }
                Some((key, _)) => {
                    return Err(wrong(format!("`{key}` is not known; `format` and `ignorestatus` are")));
                }
                None if method.is_some() => return Err(wrong("only one method can be called".to_owned())),
                None => method = Some(field),
            }
        }
        let method = match method.unwrap_or_default() {
            "build" => return Ok(None),
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            other => {
                return Err(wrong(format!("`{other}` is not known; build, check, outline and targets are")));
            }
        };
        let format = format.map_or(Ok(Format::Text), |format| parse_format(format, method)).map_err(wrong)?;
        Ok(Some(Self { method, format, ignore_status }))
    }
}

fn parse_format(text: &str, method: Method) -> Result<Format, String> {
    match (text, method) {
        ("text" | "", _) => Ok(Format::Text),
        ("json", _) => Ok(Format::Json),
        ("sarif", Method::Check) => Ok(Format::Sarif),
        ("sarif", _) => Err("`sarif` is for --check alone; text and json are for all".to_owned()),
        (other, _) => Err(format!("`{other}` is not known; text, json and sarif are")),
    }
}

/// Answers a call.
pub(crate) fn run(call: Call, args: &BuildArgs, environment: Environment) -> Outcome {
    let context = context::open(args)?;
    let text = context.dockerfile(args)?;
    let parsed = dockerfile::parse(&text.bytes, &text.name);
    let mut options = args.frontend_options(&environment)?;
    // The names of --label and the like do not matter here; what matters is read from the file.
    options.labels.clear();
    if call.method == Method::Check {
        let patterns = context.ignored(&text)?;
        let colour = screen::out_is_terminal() && environment.get("NO_COLOR").is_none();
        let uri = uri(args, &text.name);
        let images = Images::new(environment, patterns);
        let found = check::check(&parsed, &options, &images);
        return show(call, &found, &uri, colour);
    }
    let dockerfile =
        parsed.map_err(|failure| failure::diagnostics(&failure.dockerfile.source, &failure.diagnostics()))?;
    check_syntax(&dockerfile)?;
    let answer = if call.method == Method::Targets {
        let targets = frontend::targets(&dockerfile);
        match call.format {
            Format::Json => json::targets(&targets, &text.bytes),
            _ => text::targets(&targets),
        }
    } else {
        let images = Images::new(environment, None);
        let outline = frontend::outline(&dockerfile, &options, &images)
            .map_err(|error| failure::frontend(&dockerfile.source, &error))?;
        match call.format {
            Format::Json => json::outline(&outline, &text.bytes),
            _ => text::outline(&outline),
        }
    };
    screen::out(&answer);
    Ok(0)
}

/// A custom frontend would have the answer.
fn check_syntax(dockerfile: &Dockerfile) -> Outcome<()> {
    match dockerfile.directives.frontend() {
        Some(frontend) if !dockerfile::is_builtin_frontend(frontend) => Err(CommandError::new(format!(
            "the syntax `{frontend}` is not supported; only docker/dockerfile is built in"
        ))),
        _ => Ok(()),
    }
}

/// Shows what a check found, and says how it ended.
fn show(call: Call, found: &check::Found<'_>, uri: &str, colour: bool) -> Outcome {
    match call.format {
        Format::Text => screen::out(&text::check(found, colour)),
        Format::Json => screen::out(&json::check(found)),
        Format::Sarif => screen::out(&sarif::check(found, uri)),
    }
    if let Some(error) = found.failure() {
        if call.format == Format::Text && !found.errors.is_empty() {
            screen::say(dockerfile::diagnostic::render(&found.source, &found.errors, false).trim_end());
        }
        return Err(error);
    }
    Ok(u8::from(!found.findings.is_empty() && !call.ignore_status))
}

/// The file as one who stands in the current folder calls it.
fn uri(args: &BuildArgs, name: &str) -> String {
    match &args.file {
        Some(file) if file == "-" => "stdin".to_owned(),
        Some(file) => file.clone(),
        None if args.context == "-" => "stdin".to_owned(),
        None => {
            let folder = args.context.trim_end_matches('/');
            let folder = folder.strip_prefix("./").unwrap_or(folder);
            if matches!(folder, "" | ".") && !args.context.starts_with('/') {
                name.to_owned()
            } else {
                format!("{folder}/{name}")
            }
        }
    }
}
