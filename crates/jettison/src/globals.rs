//! Flags before the command, as `docker` has them.

use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use clap::{ArgAction, Args};
use std::path::PathBuf;

/// Flags before the command.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// The folder of Docker's config.json
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Print version
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    #[arg(short, long, hide = true, value_name = "LEVEL", value_parser = ["debug", "info", "warn", "error", "fatal"])]
    log_level: Option<String>,
    #[arg(short = 'H', long, hide = true, value_name = "ADDRESS")]
    host: Vec<String>,
    #[arg(short, long, hide = true, value_name = "NAME")]
    context: Option<String>,
    #[arg(long, hide = true)]
    tls: bool,
    #[arg(long, hide = true)]
    tlsverify: bool,
    #[arg(long, hide = true, value_name = "FILE")]
    tlscacert: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE")]
    tlscert: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "FILE")]
    tlskey: Option<PathBuf>,
}

impl GlobalArgs {
    /// The environment as these flags change it.
    ///
    /// A machine elsewhere is refused: the command would be carried out here. The flags of its TLS mean nothing then, nor
    /// does how much a daemon logs.
    pub(crate) fn apply(self, environment: Environment) -> Outcome<Environment> {
        if let Some(host) = self.host.iter().find(|host| !host.is_empty() && !host.starts_with("unix://")) {
            return Err(elsewhere(format!("--host {host}")));
        }
        if let Some(context) = self.context.filter(|context| !matches!(context.as_str(), "" | "default")) {
            return Err(elsewhere(format!("--context {context}")));
        }
        Ok(match self.config {
            Some(folder) => environment.with_docker_config(folder),
            None => environment,
        })
    }
}

fn elsewhere(flag: String) -> CommandError {
    CommandError::usage(format!(
        "{flag}: there is no daemon to speak to; images and containers are this machine's"
    ))
}
