//! Commands about the whole store: what takes how much, removing what is not used, volumes, facts.

mod df;
mod facts;
mod prune;
mod volumes;

pub(crate) use df::{DfArgs, df, du};
pub(crate) use facts::{InfoArgs, VersionArgs, info, version};
pub(crate) use prune::{PruneArgs, What, confirm, prune};
pub(crate) use volumes::{VolumeCommand, volume, volume_value};

use crate::environment::Environment;
use crate::error::Outcome;
use clap::Subcommand;

/// Commands about the whole store.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum SystemCommand {
    /// Show what takes how much space
    Df(DfArgs),
    /// Remove what is not used
    Prune(PruneArgs),
    /// Show facts about this machine and the store
    Info(InfoArgs),
}

/// Runs `system`.
pub(crate) fn system(command: &SystemCommand, environment: Environment) -> Outcome {
    match command {
        SystemCommand::Df(args) => df(args, environment),
        SystemCommand::Prune(args) => prune(args, environment, What::All),
        SystemCommand::Info(args) => info(args, environment),
    }
}
