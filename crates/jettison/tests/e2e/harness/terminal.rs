//! The program in a terminal of its own.

use super::{House, program};
use std::process::Command;

/// The program in a terminal of its own; `setup` is for the shell before it.
pub(crate) fn terminal(house: &House, setup: &str, args: &[&str]) -> Command {
    let words: Vec<String> = args.iter().map(|arg| format!("'{}'", arg.replace('\'', "'\\''"))).collect();
    let line = format!("{setup}exec {} {}", program().display(), words.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    house.surround(&mut command);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm");
    command
}
