//! `system df` and `builder du`: what takes how much space.

use crate::commands::{containers, rootless};
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::Outcome;
use crate::table::{self, Table};
use crate::{screen, template, time};
use clap::Args;
use layer::LayerId;
use oci::Reference;
use serde_json::{Value, json};
use std::collections::HashMap;
use store::UsageLine;

/// Show what takes how much space.
#[derive(Debug, Args)]
pub(crate) struct DfArgs {
    /// Show each thing
    #[arg(short, long)]
    verbose: bool,
    /// `table`, `json`, `table TEMPLATE` or a template
    #[arg(long, value_name = "FORMAT", conflicts_with = "verbose")]
    format: Option<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
}

/// Runs `system df`.
pub(crate) fn df(args: &DfArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let engine = Engine::new(environment, RegistryFlags::default());
    if args.verbose {
        screen::out(&verbose(&engine)?);
        return Ok(0);
    }
    let mut usage = engine.store()?.usage()?;
    usage.containers.active = running(&engine)?;
    if usage.containers.active == 0 {
        usage.containers.reclaimable = usage.containers.bytes;
    }
    let rows = [
        line("Images", usage.images),
        line("Containers", usage.containers),
        line("Local Volumes", usage.volumes),
        line("Build Cache", usage.build_cache),
    ];
    screen::out(&shown(args, &rows)?);
    Ok(0)
}

/// How many containers run.
fn running(engine: &Engine) -> Outcome<usize> {
    let mut running = 0;
    for container in engine.store()?.containers()? {
        let value = containers::inspect_value(engine, &container.id)?;
        let state = value.as_ref().and_then(|value| value["State"]["Running"].as_bool());
        running += usize::from(state == Some(true));
    }
    Ok(running)
}

/// Runs `builder du`.
pub(crate) fn du(args: &DfArgs, environment: Environment) -> Outcome {
    rootless::enter()?;
    let engine = Engine::new(environment, RegistryFlags::default());
    let usage = engine.store()?.usage()?;
    if args.verbose {
        screen::out(&cache_mounts(&engine)?);
    }
    if args.format.is_some() {
        screen::out(&shown(args, &[line("Build Cache", usage.build_cache)])?);
        return Ok(0);
    }
    screen::line(&format!("Records:      {}", usage.build_cache.count));
    screen::line(&format!("Reclaimable:  {}", table::size(usage.build_cache.reclaimable)));
    screen::line(&format!("Total:        {}", table::size(usage.build_cache.bytes)));
    Ok(0)
}

fn shown(args: &DfArgs, rows: &[Value]) -> Outcome<String> {
    let format = match args.format.as_deref() {
        Some(format) if format != "table" => format,
        _ => "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}",
    };
    template::list(format, rows, &[("TotalCount", "TOTAL")])
}

fn line(kind: &str, line: UsageLine) -> Value {
    let share = (line.reclaimable * 100).checked_div(line.bytes);
    let reclaimable = match share {
        Some(share) => format!("{} ({share}%)", table::size(line.reclaimable)),
        None => table::size(line.reclaimable),
    };
    json!({
        "Active": line.active.to_string(),
        "Reclaimable": reclaimable,
        "Size": table::size(line.bytes),
        "TotalCount": line.count.to_string(),
        "Type": kind,
    })
}

/// Each thing with its size.
fn verbose(engine: &Engine) -> Outcome<String> {
    let store = engine.store()?;
    let images = store.images()?;
    let containers = store.containers()?;
    let mut users: HashMap<LayerId, usize> = HashMap::new();
    for id in images.iter().flat_map(|image| &image.stack) {
        *users.entry(*id).or_default() += 1;
    }
    let mut rows = Table::new(&[
        "REPOSITORY",
        "TAG",
        "IMAGE ID",
        "CREATED",
        "SIZE",
        "SHARED SIZE",
        "UNIQUE SIZE",
        "CONTAINERS",
    ]);
    for image in &images {
        let infos = store.layers(&image.stack)?;
        let own = infos
            .iter()
            .flatten()
            .filter(|info| users.get(&info.id) == Some(&1))
            .map(|info| info.size)
            .sum::<u64>();
        let count = containers.iter().filter(|container| container.image == Some(image.id)).count();
        let name = image.names.first().and_then(|name| name.reference.parse::<Reference>().ok());
        rows.row(vec![
            name.as_ref().map_or_else(|| "<none>".to_owned(), Reference::familiar_name),
            name.as_ref().and_then(Reference::tag).unwrap_or("<none>").to_owned(),
            image.id.short(),
            time::ago(image.created),
            table::size(image.size),
            table::size(image.size.saturating_sub(own)),
            table::size(own),
            count.to_string(),
        ]);
    }
    let mut text = format!("Images space usage:\n\n{}", rows.text());
    let mut rows = Table::new(&["CONTAINER ID", "NAMES", "CREATED"]);
    for container in &containers {
        rows.row(vec![
            container.id.chars().take(12).collect(),
            container.name.clone(),
            time::ago(container.created),
        ]);
    }
    text.push_str(&format!("\nContainers space usage:\n\n{}", rows.text()));
    let mut rows = Table::new(&["VOLUME NAME", "LINKS"]);
    for volume in store.volumes()? {
        rows.row(vec![volume.name, volume.used_by.len().to_string()]);
    }
    text.push_str(&format!("\nLocal Volumes space usage:\n\n{}", rows.text()));
    let cache = store.usage()?.build_cache;
    text.push_str(&format!(
        "\nBuild cache usage: {}, {} records and cache mounts\n\n",
        table::size(cache.bytes),
        cache.count
    ));
    text.push_str(&cache_mounts(engine)?);
    Ok(text)
}

fn cache_mounts(engine: &Engine) -> Outcome<String> {
    let mut rows = Table::new(&["CACHE MOUNT", "CREATED", "LAST USED"]);
    for mount in engine.store()?.cache_mounts()? {
        rows.row(vec![mount.name, time::ago(mount.created), time::ago(mount.last_used)]);
    }
    Ok(rows.text())
}
