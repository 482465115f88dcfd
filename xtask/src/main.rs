//! The project's own chores: `cargo xtask demo`, `test`, `bench`, `guard`, `bases` and `setup`.
//!
//! | chore | what it does |
//! |---|---|
//! | `demo` | builds the release binary, gets base images, builds an Express app three ways, runs one of them |
//! | `test` | installs what the tests need, then fmt, licences, clippy, the library tests, the end-to-end tests and the guard |
//! | `bench` | measures jettison and its peers by the same works, in turn |
//! | `guard` | counts what a build with nothing to do costs, and fails where that grew |
//! | `bases` | makes the stand-in base images, once, and prints the folder they are in |
//! | `setup` | only installs what the tests need |
#![forbid(unsafe_code)]
// The bans are for the engine, which reads no environment and owns no terminal. This program is the
// developer's shell script in Rust: reading the environment and printing is what it is for.
#![allow(clippy::disallowed_methods, clippy::disallowed_macros)]

mod bases;
mod bench;
mod demo;
mod guard;
mod http;
mod setup;
mod shell;
mod test;
mod trouble;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask <chore>

  demo              build an Express app three ways, compare the sizes, run one of them
  test [section..]  set up, fmt, licences, clippy, library tests, end-to-end tests, guard (or only the sections named)
  bench [options]   measure jettison and the peers on this machine by the same works (--help)
  guard [options]   count the system calls of builds that have nothing to do (--help)
  bases             make the stand-in base images where they are missing, print their folder
  setup             install what the tests need (Debian and Ubuntu, as root or with sudo)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let result = match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(),
        Some("test") => test::run(rest),
        Some("bench") => bench::run(rest),
        Some("guard") => guard::run(rest),
        Some("bases") => bases::ready().map(|layout| println!("{}", layout.display())),
        Some("setup") => setup::for_tests(),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("error: {trouble}");
            let mut source = std::error::Error::source(&trouble);
            while let Some(cause) = source {
                eprintln!("  because: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
