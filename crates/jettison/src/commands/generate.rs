//! `generate`: manual pages and completions out of the one definition of the command line.

use crate::environment::VARIABLES;
use crate::error::{CommandError, Outcome};
use crate::screen;
use clap::{Args, Command, ValueEnum};
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// What can be made.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Manual pages
    Man,
    /// Completions for bash, zsh, fish
    Completions,
}

/// Write the manual pages or completions to a folder.
#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// What to write
    #[arg(value_enum)]
    kind: Kind,
    /// The folder, which is made
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Runs `generate`.
pub(crate) fn generate(args: &GenerateArgs, mut command: Command) -> Outcome {
    let fail =
        |error: std::io::Error| CommandError::new(format!("cannot write to {}: {error}", args.out.display()));
    std::fs::create_dir_all(&args.out).map_err(fail)?;
    match args.kind {
        Kind::Completions => {
            for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
                let path =
                    clap_complete::generate_to(shell, &mut command, "jettison", &args.out).map_err(fail)?;
                screen::line(&path.display().to_string());
            }
        }
        Kind::Man => {
            let mut command = command.after_long_help(variables());
            command.build();
            page(&command, "jettison", &args.out)?;
        }
    }
    Ok(0)
}

/// A page for a command, and one for each of those below it.
fn page(command: &Command, name: &str, folder: &Path) -> Outcome<()> {
    let path = folder.join(format!("{name}.1"));
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut bytes)
        .and_then(|()| std::fs::write(&path, bytes))
        .map_err(|error| CommandError::new(format!("cannot write {}: {error}", path.display())))?;
    screen::line(&path.display().to_string());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        page(below, &format!("{name}-{}", below.get_name()), folder)?;
    }
    Ok(())
}

/// The environment, for the manual.
fn variables() -> String {
    let mut text = "Environment:\n".to_owned();
    for (name, meaning) in VARIABLES {
        text.push_str(&format!("  {name}: {meaning}\n"));
    }
    text
}
