//! `volume`.

use super::prune::{PruneArgs, What, prune};
use crate::commands::images::{filters, show};
use crate::commands::rootless;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::{screen, template, time};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use store::Volume;

/// Commands about volumes.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum VolumeCommand {
    /// List volumes
    #[command(alias = "list")]
    Ls(ListArgs),
    /// Make a volume
    Create(CreateArgs),
    /// Show everything about volumes as JSON
    Inspect(InspectArgs),
    /// Remove volumes
    #[command(alias = "remove")]
    Rm(RemoveArgs),
    /// Remove volumes that no container has: those without a name, with --all all of them
    Prune(PruneArgs),
}

/// List volumes.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show names only
    #[arg(short, long)]
    quiet: bool,
    /// Only volumes that this says: name=, label=, dangling=, driver=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, `table TEMPLATE` or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Make a volume.
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// Its name; without one it gets 64 random digits
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// The driver; there is only this one
    #[arg(short, long, default_value = "local", value_parser = ["local"])]
    driver: String,
}

/// Show everything about volumes as JSON.
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Their names
    #[arg(value_name = "VOLUME", required = true)]
    names: Vec<String>,
    /// `json` or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Remove volumes.
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Their names
    #[arg(value_name = "VOLUME", required = true)]
    names: Vec<String>,
    /// One that is not there is no failure
    #[arg(short, long)]
    force: bool,
}

/// Runs `volume`.
pub(crate) fn volume(command: &VolumeCommand, environment: Environment) -> Outcome {
    match command {
        VolumeCommand::Prune(args) => return prune(args, environment, What::Volumes),
        VolumeCommand::Ls(_) | VolumeCommand::Inspect(_) => {}
        _ => rootless::enter()?,
    }
    let engine = match command {
        VolumeCommand::Rm(_) => Engine::to_remove(environment),
        _ => Engine::new(environment, RegistryFlags::default()),
    };
    let store = engine.store()?;
    match command {
        VolumeCommand::Ls(args) => list(args, &engine),
        VolumeCommand::Create(args) => {
            let labels: BTreeMap<String, String> = args
                .label
                .iter()
                .map(|label| label.split_once('=').unwrap_or((label, "")))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            let made = store.create_volume(args.name.as_deref(), &labels)?;
            store.finish()?;
            screen::line(&made.name);
            Ok(0)
        }
        VolumeCommand::Inspect(args) => show(&args.names, args.format.as_deref(), |name| {
            Ok(store.volume(name)?.as_ref().map(volume_value))
        }),
        VolumeCommand::Rm(args) => remove(args, &engine),
        VolumeCommand::Prune(_) => Ok(0),
    }
}

fn list(args: &ListArgs, engine: &Engine) -> Outcome {
    let mut volumes = engine.store()?.volumes()?;
    for filter in &args.filter {
        let (key, value) = filter
            .split_once('=')
            .ok_or_else(|| CommandError::usage(format!("--filter: `{filter}` is not KEY=VALUE")))?;
        match key {
            "name" => volumes.retain(|volume| volume.name.contains(value)),
            "driver" => volumes.retain(|_| value == "local"),
            "label" => {
                let wanted = [filters::label(value)];
                volumes.retain(|volume| filters::has_labels(&wanted, &volume.labels));
            }
            "dangling" => {
                let dangling = filters::boolean(key, value)?;
                volumes.retain(|volume| volume.used_by.is_empty() == dangling);
            }
            _ => return Err(CommandError::usage(format!("--filter: `{key}` is not known here"))),
        }
    }
    let rows: Vec<Value> = volumes
        .iter()
        .map(|volume| {
            let labels: Vec<String> =
                volume.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            json!({
                "Driver": "local",
                "Labels": labels.join(","),
                "Links": volume.used_by.len().to_string(),
                "Mountpoint": volume.path,
                "Name": volume.name,
                "Scope": "local",
            })
        })
        .collect();
    let format = match args.format.as_deref() {
        Some(format) if format != "table" => format,
        _ if args.quiet => "{{.Name}}",
        _ => "table {{.Driver}}\t{{.Name}}",
    };
    screen::out(&template::list(format, &rows, &[("Name", "VOLUME NAME")])?);
    Ok(0)
}

fn remove(args: &RemoveArgs, engine: &Engine) -> Outcome {
    let store = engine.store()?;
    let mut code = 0;
    for name in &args.names {
        match store.remove_volume(name) {
            Ok(()) => screen::line(name),
            Err(error) if error.is_not_found() && args.force => screen::line(name),
            Err(error) => {
                CommandError::from(error).show();
                code = 1;
            }
        }
    }
    store.finish()?;
    Ok(code)
}

/// A volume in Docker's JSON.
pub(crate) fn volume_value(volume: &Volume) -> Value {
    json!({
        "CreatedAt": time::rfc3339(volume.created),
        "Driver": "local",
        "Labels": if volume.labels.is_empty() { Value::Null } else { json!(volume.labels) },
        "Mountpoint": volume.path,
        "Name": volume.name,
        "Options": null,
        "Scope": "local",
    })
}
