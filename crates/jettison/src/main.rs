//! The command line of Jettison: flags to plain options, events to the screen, errors to exit codes.
//!
//! The rooms below it, arrows down only:
//!
//! ```text
//! 6                         jettison
//! 5        export           executor          container
//! 4       frontend       solver      snapshot
//! 3                  store          graph
//! 2   layer    sandbox    network    registry    source
//! 1   dockerfile      oci      progress      session
//! ```
//!
//! Only this crate reads the environment ([`environment`]) and writes to the screen ([`screen`]).
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod docker_config;
mod engine;
mod environment;
mod error;
mod globals;
mod interrupts;
mod parsing;
mod pulling;
mod screen;
mod servers;
mod showing;
mod table;
mod template;
mod time;

use std::process::ExitCode;

fn main() -> ExitCode {
    let environment = environment::Environment::read();
    let code = cli::run(std::env::args_os().collect(), environment);
    screen::flush();
    ExitCode::from(code)
}
