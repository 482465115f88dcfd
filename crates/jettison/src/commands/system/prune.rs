//! `prune` in all its spellings: removes what is not used.

use crate::commands::images::filters;
use crate::commands::rootless;
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::{screen, table};
use clap::Args;
use oci::Reference;
use serde_json::json;
use std::io::{BufRead, Read};
use std::time::{Duration, SystemTime};
use store::{Kinds, Prune, Pruned};

/// Nobody types a longer answer, in bytes.
const LONGEST_ANSWER: u64 = 1 << 10;

/// Remove what is not used.
#[derive(Debug, Default, Args)]
pub(crate) struct PruneArgs {
    /// Also images that have a name and no container, and all of the build cache
    #[arg(short, long)]
    all: bool,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Also volumes without a name that no container has
    #[arg(long)]
    volumes: bool,
    /// Only what is older: `until=24h`
    #[arg(long, value_name = "until=TIME")]
    filter: Vec<String>,
    /// Keep so much of the build cache, in bytes or as `10GB`
    #[arg(long, alias = "max-used-space", alias = "reserved-space", value_name = "BYTES")]
    keep_storage: Option<String>,
    /// `json` for what was removed as one object
    #[arg(long, value_name = "FORMAT", value_parser = ["json"])]
    format: Option<String>,
    #[arg(long, hide = true)]
    builder: Option<String>,
}

/// What is pruned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Everything.
    All,
    /// Images.
    Images,
    /// What builds left.
    Builds,
    /// Volumes.
    Volumes,
}

/// Runs `prune`.
pub(crate) fn prune(args: &PruneArgs, environment: Environment, what: What) -> Outcome {
    let older_than = older_than(args)?;
    if args.volumes && what != What::All {
        return Err(CommandError::usage("--volumes belongs to `system prune`"));
    }
    let keep_bytes = args.keep_storage.as_deref().map(bytes).transpose()?;
    if keep_bytes.is_some() && what != What::Builds {
        return Err(CommandError::usage("--keep-storage belongs to `builder prune`"));
    }
    if what == What::Volumes && older_than.is_some() {
        return Err(CommandError::usage("--filter: `until` is not known for volumes"));
    }
    if !args.force {
        let name = match what {
            What::All => "system",
            What::Images => "image",
            What::Builds => "builder",
            What::Volumes => "volume",
        };
        confirm(name, &goes(args, what))?;
    }
    rootless::enter()?;
    let engine = Engine::to_remove(environment);
    let store = engine.store()?;
    let mut containers = Vec::new();
    if what == What::All {
        containers = crate::commands::containers::prune_stopped(&engine, older_than)?;
    }
    let (images, builds) =
        (matches!(what, What::All | What::Images), matches!(what, What::All | What::Builds));
    let kinds = Kinds {
        records: builds,
        cache_mounts: builds,
        dangling_images: images,
        unused_images: images && args.all,
        anonymous_volumes: what == What::Volumes || args.volumes,
        unused_volumes: what == What::Volumes && args.all,
    };
    store.end_lease();
    let pruned = store.prune(&Prune { kinds, all: args.all && builds, keep_bytes, older_than })?;
    store.finish()?;
    match args.format {
        Some(_) => screen::line(&as_json(&pruned, &containers).to_string()),
        None => screen::out(&report(&pruned, &containers)),
    }
    Ok(0)
}

fn older_than(args: &PruneArgs) -> Outcome<Option<Duration>> {
    let mut older_than = None;
    for filter in &args.filter {
        let until = filter.split_once('=').filter(|(key, _)| *key == "until");
        let Some((_, value)) = until else {
            return Err(CommandError::usage(format!(
                "--filter: `{filter}` is not supported; only until=TIME is"
            )));
        };
        let age = SystemTime::now().duration_since(filters::until(value)?).unwrap_or_default();
        older_than = Some(age.max(older_than.unwrap_or_default()));
    }
    Ok(older_than)
}

/// `10GB`, `512mb`, `1g` or bytes, by powers of 1024 as Docker reads sizes.
fn bytes(text: &str) -> Outcome<u64> {
    let wrong = || CommandError::usage(format!("`{text}` is no size; write it as 10GB or in bytes"));
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..digits].parse().map_err(|_| wrong())?;
    let unit = text[digits..].trim().to_ascii_lowercase();
    let power = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        _ => return Err(wrong()),
    };
    Ok((number * 1024f64.powi(power)) as u64)
}

/// Asks before anything goes; the answer may be piped in, and none is no.
pub(crate) fn confirm(command: &str, goes: &str) -> Outcome<()> {
    screen::ask(&format!("WARNING! This will remove:\n{goes}\nAre you sure you want to continue? [y/N] "));
    let mut answer = String::new();
    std::io::stdin().lock().take(LONGEST_ANSWER).read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(CommandError::new(format!("{command} prune has been cancelled"))
            .hint("answer with `y`, or say `--force`")),
    }
}

/// What goes, a line each.
fn goes(args: &PruneArgs, what: What) -> String {
    match (what, args.all) {
        (What::All, all) => {
            let mut goes = vec!["all stopped containers".to_owned()];
            if args.volumes {
                goes.push("all anonymous volumes not used by at least one container".to_owned());
            }
            goes.push(
                if all { "all images without at least one container" } else { "all dangling images" }
                    .to_owned(),
            );
            goes.push(if all { "all build cache" } else { "unused build cache" }.to_owned());
            goes.iter().map(|line| format!("  - {line}\n")).collect()
        }
        (What::Images, true) => "  - all images without at least one container\n".to_owned(),
        (What::Images, false) => "  - all dangling images\n".to_owned(),
        (What::Builds, true) => "  - all build cache\n".to_owned(),
        (What::Builds, false) => "  - all unused build cache\n".to_owned(),
        (What::Volumes, true) => "  - all local volumes not used by at least one container\n".to_owned(),
        (What::Volumes, false) => {
            "  - all anonymous local volumes not used by at least one container\n".to_owned()
        }
    }
}

/// What Docker prints after a prune.
fn report(pruned: &Pruned, containers: &[String]) -> String {
    let mut text = String::new();
    let mut section = |title: &str, lines: &mut dyn Iterator<Item = String>| {
        let mut lines = lines.peekable();
        if lines.peek().is_none() {
            return;
        }
        text.push_str(title);
        text.push('\n');
        for line in lines {
            text.push_str(&line);
            text.push('\n');
        }
        text.push('\n');
    };
    section("Deleted Containers:", &mut containers.iter().cloned());
    section("Deleted Volumes:", &mut pruned.volumes.iter().cloned());
    section(
        "Deleted Images:",
        &mut pruned.images.iter().flat_map(|(id, names)| {
            let untagged = names.iter().map(|name| {
                let familiar = name.parse().map_or_else(|_| name.clone(), |name: Reference| name.familiar());
                format!("untagged: {familiar}")
            });
            untagged.chain([format!("deleted: {id}")]).collect::<Vec<_>>()
        }),
    );
    let records = pruned.records.iter().map(|(key, slot)| format!("{} {slot}", key.short()));
    let mounts = pruned.cache_mounts.iter().map(|name| format!("cache mount {name}"));
    section("Deleted build cache objects:", &mut records.chain(mounts));
    text.push_str(&format!("Total reclaimed space: {}\n", table::size(pruned.bytes)));
    text
}

fn as_json(pruned: &Pruned, containers: &[String]) -> serde_json::Value {
    json!({
        "ContainersDeleted": containers,
        "ImagesDeleted": pruned.images.iter().map(|(id, names)| json!({"Deleted": id.to_string(), "Untagged": names})).collect::<Vec<_>>(),
        "VolumesDeleted": pruned.volumes,
        "CachesDeleted": pruned.records.iter().map(|(key, _)| key.to_string()).chain(pruned.cache_mounts.iter().cloned()).collect::<Vec<_>>(),
        "SpaceReclaimed": pruned.bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_docker_reads_them() {
        for (text, expected) in
            [("10", 10), ("1k", 1024), ("1.5KB", 1536), ("10GB", 10 << 30), ("2GiB", 2 << 30)]
        {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        assert!(bytes("lots").is_err());
        assert!(bytes("10x").is_err());
    }
}
