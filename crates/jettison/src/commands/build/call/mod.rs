//! `build --check` and `build --call`: what a Dockerfile says, told without building it.
//!
//! | written | answers |
//! |---|---|
//! | `--check`, `--call check`, `--call lint` | findings of all rules, and what would end a build; text, json, sarif |
//! | `--call outline` | what the target can be given: arguments, secrets, ssh agents; text, json |
//! | `--call targets` | the stages; text, json |
//! | `--call subrequests.describe` | the calls; text, json |
//! | `--call build` | a build, as without it |
//!
//! The answer is standard output. As with `docker buildx build` the exit code of a check is 1 where BuildKit's rules found
//! something, unless `ignorestatus=true` is asked for; what would end a build is always 1. Advice (`Jettison/...`) leaves
//! it alone, but with `# check=error=true`. With `--fix` the answer is a diff, and the exit code that of the file as it
//! then is.
//!
//! Nothing is opened that is not needed: no registry, no namespace; a store only where there is one, for what bases
//! set; of the context the Dockerfile, the ignore file and, for advice, what stands at its top. An ordinary file takes under 5 ms, the start of the program included.

mod check;
mod describe;
mod facts;
mod fix;
mod images;
mod json;
mod sarif;
mod text;

use super::arguments::check_syntax;
use super::{BuildArgs, context, failure};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use fix::{Fix, Origin};
use images::Images;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Check,
    Outline,
    Targets,
    Describe,
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
    /// Whether the file is rewritten.
    fix: Option<Fix>,
}

impl Call {
    /// The call that the command line asks for; nothing where it asks for a build.
    pub(crate) fn of(args: &BuildArgs) -> Outcome<Option<Self>> {
        let call = Self::without_fix(args)?;
        let Some(how) = args.fix.as_deref() else { return Ok(call) };
        match call {
            Some(call) if call.method == Method::Check && call.format == Format::Text => {
                let fix = if how == "diff" { Fix::Diff } else { Fix::Write };
                Ok(Some(Self { fix: Some(fix), ..call }))
            }
            Some(call) if call.method == Method::Check => {
                Err(CommandError::usage("--fix answers with a diff, so it takes no other format"))
            }
            _ => Err(CommandError::usage("--fix rewrites what a check finds").hint("give --check too")),
        }
    }

    fn without_fix(args: &BuildArgs) -> Outcome<Option<Self>> {
        let call = match (&args.call, args.check) {
            (Some(text), _) => Self::parse(text)?,
            (None, true) => {
                Some(Self { method: Method::Check, format: Format::Text, ignore_status: false, fix: None })
            }
            (None, false) => None,
        };
        match (call, args.format.as_deref()) {
            (Some(mut call), Some(format)) => {
                call.format = parse_format(format, call.method)
                    .map_err(|message| CommandError::usage(format!("--format: {message}")))?;
                Ok(Some(call))
            }
            // podman's, of a build.
            (None, Some("oci" | "docker")) => Ok(None),
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
            "subrequests.describe" => Method::Describe,
            other => {
                return Err(wrong(format!("`{other}` is not known; build, check, outline and targets are")));
            }
        };
        let format = format.map_or(Ok(Format::Text), |format| parse_format(format, method)).map_err(wrong)?;
        Ok(Some(Self { method, format, ignore_status, fix: None }))
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
    if call.method == Method::Describe {
        screen::out(&if call.format == Format::Json { describe::json() } else { describe::text() });
        return Ok(0);
    }
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
        let known = parsed.as_ref().map(|parsed| facts::facts(parsed, &options, &context, &images));
        let known = known.unwrap_or_default();
        if let (Some(how), Ok(dockerfile)) = (call.fix, &parsed) {
            let before = std::str::from_utf8(&text.bytes).map_err(|_| {
                CommandError::new(format!("{} is not UTF-8, so it is not rewritten", text.name))
            })?;
            let config = facts::config(dockerfile, &options);
            let fixed = advice::fix(&text.name, before, &known, Some(&config))?;
            let origin = match text.path() {
                None => Origin::Input,
                Some(_) if context.is_temporary() => Origin::Elsewhere("a Dockerfile in an archive"),
                Some(path) => Origin::File(path),
            };
            fix::give(how, &origin, &uri, before, &fixed)?;
            let after = dockerfile::parse(fixed.text.as_bytes(), &text.name);
            let after = check::check(&after, &options, &images, &known);
            fix::say(how, &uri, fixed.changes.len(), after.findings.len());
            return match how {
                Fix::Write => status(call, &after),
                Fix::Diff => status(call, &check::check(&parsed, &options, &images, &known)),
            };
        }
        let found = check::check(&parsed, &options, &images, &known);
        return show(call, &found, &uri, colour);
    }
    let dockerfile =
        parsed.map_err(|failure| failure::diagnostics(&failure.dockerfile.source, &failure.diagnostics()))?;
    check_syntax(&dockerfile, &options.build_args)?;
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

/// Shows what a check found, and says how it ended.
fn show(call: Call, found: &check::Found<'_>, uri: &str, colour: bool) -> Outcome {
    match call.format {
        Format::Text => screen::out(&text::check(found, colour)),
        Format::Json => screen::out(&json::check(found)),
        Format::Sarif => screen::out(&sarif::check(found, uri)),
    }
    if call.format == Format::Text && !found.errors.is_empty() {
        screen::say(dockerfile::diagnostic::render(&found.source, &found.errors, false).trim_end());
    }
    status(call, found)
}

/// How a check ends: with an error where a build would, else by what BuildKit's rules found.
fn status(call: Call, found: &check::Found<'_>) -> Outcome {
    match found.failure() {
        Some(error) => Err(error),
        None => Ok(u8::from(found.has_faults() && !call.ignore_status)),
    }
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
