//! `images`: a row for each name of an image.

use super::filter::{Filter, created};
use crate::environment::Environment;
use crate::error::Outcome;
use crate::{screen, table, template, time};
use clap::Args;
use oci::{ImageConfig, Reference};
use serde_json::{Value, json};
use store::{Image, Store};

/// List images.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only images of this name; `*` stands for any text without a slash
    #[arg(value_name = "REPOSITORY[:TAG]")]
    repository: Option<String>,
    /// Show all images; there are no hidden ones, so this changes nothing
    #[arg(short, long)]
    all: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
    /// Show whole ids
    #[arg(long)]
    no_trunc: bool,
    /// Show the digests that names stand for in their registries
    #[arg(long)]
    digests: bool,
    /// Only images that this says: reference=, label=, dangling=, before=, since=, until=
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// `table`, `json`, `table TEMPLATE` or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the platforms of each image in a tree
    #[arg(long, conflicts_with_all = ["quiet", "no_trunc", "digests", "format"])]
    tree: bool,
}

/// Runs `images`.
pub(crate) fn list(args: &ListArgs, environment: Environment) -> Outcome {
    let engine = super::local(environment);
    let filter = Filter::parse(&args.filter, args.repository.as_deref(), &engine)?;
    let mut images = Vec::new();
    for image in engine.store()?.images()? {
        let config = ImageConfig::parse(&image.config)?;
        if filter.takes(&image, &config) {
            images.push((created(&image), image, config));
        }
    }
    images.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
    let store = engine.store()?;
    let indexed = store.indexed_images()?;
    if args.tree {
        let mut shown: Vec<(&Image, Vec<Reference>)> = Vec::new();
        for (_, image, _) in &images {
            let all = image.names.iter().filter_map(|name| name.reference.parse::<Reference>().ok());
            let names: Vec<Reference> = all.filter(|name| filter.takes_name(Some(name))).collect();
            let untagged =
                image.names.is_empty() && !indexed.contains_key(&image.id) && filter.takes_name(None);
            if untagged || !names.is_empty() {
                shown.push((image, names));
            }
        }
        screen::out(&super::tree::text(store, &shown)?);
        return Ok(0);
    }
    let containers = store.containers()?;
    let mut rows = Vec::new();
    for (_, image, config) in &images {
        // The images of an index have one row together, that of its name.
        if image.names.is_empty() && indexed.contains_key(&image.id) {
            continue;
        }
        let users = containers.iter().filter(|container| container.image == Some(image.id)).count();
        let names: Vec<(Option<Reference>, Option<String>)> = image
            .names
            .iter()
            .map(|name| {
                (
                    name.reference.parse().ok(),
                    name.manifest.as_ref().map(|manifest| manifest.digest.to_string()),
                )
            })
            .collect();
        if names.is_empty() && filter.takes_name(None) {
            rows.push(row(image, config, None, None, users, args));
        }
        for (reference, digest) in &names {
            if filter.takes_name(reference.as_ref()) {
                let mut row = row(image, config, reference.as_ref(), digest.as_deref(), users, args);
                row["Platforms"] = platforms(store, reference.as_ref(), config)?.into();
                rows.push(row);
            }
        }
    }
    screen::out(&shown(args, &rows)?);
    Ok(0)
}

fn shown(args: &ListArgs, rows: &[Value]) -> Outcome<String> {
    let format = match args.format.as_deref() {
        Some(format) if format != "table" => format.to_owned(),
        _ if args.quiet => "{{.ID}}".to_owned(),
        _ if args.digests => {
            "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}".to_owned()
        }
        _ => "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}".to_owned(),
    };
    template::list(
        &format,
        rows,
        &[("ID", "IMAGE ID"), ("CreatedSince", "CREATED"), ("CreatedAt", "CREATED AT")],
    )
}

/// The platforms that a name has images for here, with commas between them.
fn platforms(store: &Store, name: Option<&Reference>, config: &ImageConfig) -> Outcome<String> {
    let index = name.map(|name| store.index(&name.to_string())).transpose()?.flatten();
    let Some(index) = index else { return Ok(config.platform().to_string()) };
    let mut all = Vec::new();
    for (_, image) in store.images_of(&index)? {
        all.push(ImageConfig::parse(&image.config)?.platform().to_string());
    }
    all.sort();
    Ok(all.join(","))
}

/// The fields that Docker has, and the platforms.
fn row(
    image: &Image,
    config: &ImageConfig,
    reference: Option<&Reference>,
    digest: Option<&str>,
    users: usize,
    args: &ListArgs,
) -> Value {
    const NONE: &str = "<none>";
    let made = config.created.as_deref().and_then(time::parse);
    let id = if args.no_trunc { image.id.to_string() } else { image.id.short() };
    let pinned = reference.and_then(Reference::digest).map(|digest| digest.to_string());
    json!({
        "Containers": users.to_string(),
        "CreatedAt": made.map_or_else(|| "N/A".to_owned(), super::history::stamp),
        "CreatedSince": made.map_or_else(|| "N/A".to_owned(), time::ago),
        "Digest": digest.map(str::to_owned).or(pinned).unwrap_or_else(|| NONE.to_owned()),
        "ID": id,
        "Platforms": config.platform().to_string(),
        "Repository": reference.map_or_else(|| NONE.to_owned(), Reference::familiar_name),
        "SharedSize": "N/A",
        "Size": table::size(image.size),
        "Tag": reference.and_then(Reference::tag).unwrap_or(NONE),
        "UniqueSize": "N/A",
        "VirtualSize": table::size(image.size),
    })
}
