//! The one door to standard output and standard error. Standard output is data; talk goes to standard error. A reader
//! that has gone away (a broken pipe) is no error: the program ends quietly, as one that SIGPIPE ends.
#![allow(clippy::disallowed_macros, reason = "this is the door")]

use crate::error::OUTPUT_GONE;
use std::io::{self, IsTerminal, Write};

/// What standard output is called in messages.
pub(crate) const STANDARD_OUTPUT: &str = "standard output";

/// Writes data to standard output.
pub(crate) fn out(text: &str) {
    raw(text.as_bytes());
}

/// Writes a line of data to standard output.
pub(crate) fn line(text: &str) {
    let mut whole = String::with_capacity(text.len() + 1);
    whole.push_str(text);
    whole.push('\n');
    raw(whole.as_bytes());
}

/// Writes bytes to standard output.
pub(crate) fn raw(bytes: &[u8]) {
    if let Err(error) = io::stdout().lock().write_all(bytes) {
        gone(&error);
    }
}

/// Writes a line of talk to standard error.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a question to standard error, without a line end.
pub(crate) fn ask(text: &str) {
    let mut err = io::stderr().lock();
    let _ = write!(err, "{text}");
    let _ = err.flush();
}

/// Writes what is still held back.
pub(crate) fn flush() {
    if let Err(error) = io::stdout().lock().flush() {
        gone(&error);
    }
}

fn gone(error: &io::Error) {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(OUTPUT_GONE.into());
    }
    say(&format!("error: cannot write to standard output: {error}"));
    std::process::exit(1);
}

/// Whether standard error is a terminal.
pub(crate) fn err_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Whether standard output is a terminal.
pub(crate) fn out_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns and rows of the terminal on standard error; zeros where there is none.
pub(crate) fn size() -> (u16, u16) {
    rustix::termios::tcgetwinsize(io::stderr()).map_or((0, 0), |size| (size.ws_col, size.ws_row))
}
