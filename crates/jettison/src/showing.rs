//! How far a command is: which renderer flags, environment and terminal call for, and the sentences around it.

use crate::environment::Environment;
use crate::error::Outcome;
use crate::interrupts::{self, Interrupts};
use crate::screen;
use clap::Args;
use progress::{Colors, Plain, PlainOptions, Progress, RawJson, Sink, Totals, Tty, TtyOptions, VertexHandle};
use std::sync::Arc;

/// The kinds of progress that `--progress` knows.
pub(crate) const KINDS: [&str; 6] = ["auto", "none", "plain", "quiet", "rawjson", "tty"];

/// The flag of transfers.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ProgressArgs {
    /// How progress is shown
    #[arg(long = "progress", value_name = "KIND", value_parser = KINDS)]
    kind: Option<String>,
}

/// The kind that flags and environment ask for.
fn kind<'a>(flag: Option<&'a str>, quiet: bool, environment: &'a Environment) -> &'a str {
    match flag.or(environment.get("BUILDKIT_PROGRESS")) {
        _ if quiet => "quiet",
        kind => kind.unwrap_or("auto"),
    }
}

/// The renderer on standard error; nothing where nothing is to be shown. `phase` is the first word on a terminal.
pub(crate) fn renderer(
    flag: Option<&str>,
    quiet: bool,
    phase: &str,
    environment: &Environment,
) -> Option<Arc<dyn Sink>> {
    let terminal = screen::err_is_terminal() && environment.get("TERM") != Some("dumb");
    let out = Box::new(std::io::stderr());
    Some(match kind(flag, quiet, environment) {
        "none" | "quiet" => return None,
        "rawjson" => Arc::new(RawJson::new(out)),
        "tty" => Arc::new(Tty::new(out, tty(phase, environment))),
        "auto" if terminal => Arc::new(Tty::new(out, tty(phase, environment))),
        _ => Arc::new(Plain::new(out, PlainOptions::default())),
    })
}

fn tty(phase: &str, environment: &Environment) -> TtyOptions {
    let plain = environment.get("NO_COLOR").is_some();
    let lines = environment.get("BUILDKIT_TTY_LOG_LINES").and_then(|lines| lines.parse().ok()).unwrap_or(6);
    TtyOptions {
        size: Box::new(screen::size),
        colors: (!plain).then(Colors::default),
        log_lines: lines,
        phase: phase.to_owned(),
    }
}

/// The progress of a transfer, and what it moved.
pub(crate) struct Showing {
    progress: Progress,
    totals: Arc<Totals>,
    /// Nothing is to be shown but the result.
    pub(crate) quiet: bool,
    /// Whether sentences may stand on standard error: not where nothing is to be shown, nor between lines of JSON.
    talks: bool,
}

impl Showing {
    /// Shows what flags and environment ask for.
    pub(crate) fn new(args: &ProgressArgs, quiet: bool, phase: &str, environment: &Environment) -> Self {
        let flag = args.kind.as_deref();
        let totals = Arc::new(Totals::default());
        let mut sinks: Vec<Arc<dyn Sink>> = renderer(flag, quiet, phase, environment).into_iter().collect();
        sinks.push(totals.clone());
        let progress = Progress::new(sinks);
        progress.allow_threads();
        let talks = !matches!(kind(flag, quiet, environment), "quiet" | "rawjson");
        Self { progress, totals, quiet, talks }
    }

    /// Ctrl-C ends the command with these words until what this gives is dropped.
    pub(crate) fn interruptible(&self, words: &'static str) -> Outcome<Interrupts> {
        interrupts::watch(words, &self.progress)
    }

    /// Begins something.
    pub(crate) fn start(&self, name: &str) -> VertexHandle {
        self.progress.start(name)
    }

    /// Tells how it ended, and gives the result on.
    pub(crate) fn end<T>(vertex: &VertexHandle, result: Outcome<T>) -> Outcome<T> {
        match &result {
            Ok(_) => vertex.done(),
            // Nothing failed that anybody should read of.
            Err(error) if error.message.is_empty() => vertex.cancel(),
            Err(error) => vertex.fail(error.message.lines().next().unwrap_or_default()),
        }
        result
    }

    /// A sentence on standard error.
    pub(crate) fn say(&self, text: &str) {
        if self.talks {
            screen::say(text);
        }
    }

    /// Everything has ended: shows what is held back.
    pub(crate) fn finish(&self) {
        self.progress.finish();
    }

    /// The same, and says what was moved in all.
    pub(crate) fn sum_up(&self) {
        self.finish();
        if let Some(moved) = self.totals.moved().words() {
            self.say(&format!("Transferred {moved}"));
        }
    }
}
