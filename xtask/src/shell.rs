//! Running programs, and where things are.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::trouble::{Doing, Result, Trouble};

/// The repository's root: xtask is one folder below it.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => repository().join(folder),
        None => repository().join("target"),
    }
}

/// A cargo command, by the cargo that runs this chore, in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(repository());
    command
}

/// The variable that says to which bench a process belongs.
const MARK: &str = "JETTISON_BENCH";
static MARKED: OnceLock<PathBuf> = OnceLock::new();

/// From here on, every program that is started carries `folder` in its environment.
pub(crate) fn mark(folder: &Path) {
    // One chore, one folder.
    let _ = MARKED.set(folder.to_owned());
}

/// How an environment looks that carries `folder`.
pub(crate) fn mark_of(folder: &Path) -> OsString {
    let mut mark = OsString::from(MARK);
    mark.push("=");
    mark.push(folder);
    mark
}

/// A command that carries the folder, if there is one.
pub(crate) fn marked(command: &mut Command) -> &mut Command {
    if let Some(folder) = MARKED.get() {
        command.env(MARK, folder);
    }
    command
}

/// Whether `program` is found: in `PATH`, or in the folders of administrators' tools, which a plain
/// user's `PATH` on Debian lacks.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(program).is_file())
}

/// Runs `command` with its output on the screen; an unsuccessful exit is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = marked(command).status().doing(|| format!("start `{}`", said(command)))?;
    if status.success() {
        return Ok(());
    }
    Err(Trouble::Failed { program: said(command), status: status.to_string(), said: String::new() })
}

/// Runs `command` quietly and returns its standard output; on failure the error carries the last
/// lines of both its outputs.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = whole(command)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let mut tail = String::new();
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().skip(lines.len().saturating_sub(20)) {
            let _ = write!(tail, "\n    {line}");
        }
    }
    Err(Trouble::Failed { program: said(command), status: output.status.to_string(), said: tail })
}

/// Runs `command` quietly and returns whatever came of it.
pub(crate) fn whole(command: &mut Command) -> Result<Output> {
    marked(command).stdin(Stdio::null()).output().doing(|| format!("start `{}`", said(command)))
}

/// A command as a reader would type it.
pub(crate) fn said(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(command.get_args().map(|word| {
        let word = word.to_string_lossy();
        if word.is_empty() || word.contains([' ', '"', '\'', '$', '*']) {
            format!("'{word}'")
        } else {
            word.into_owned()
        }
    }));
    words.join(" ")
}
