//! `images --tree`: each image with the platforms that its names stand for.
//!
//! ```text
//! IMAGE            ID             DISK USAGE   CONTENT SIZE   USED
//! app:1
//! app:latest       5c5f7a0b1d2e   12.6MB       4.1MB          ✔
//! ├─ linux/amd64   5c5f7a0b1d2e   6.3MB        2.05MB         ✔
//! ├─ linux/arm64   93c1b0d3a4f5   6.3MB        2.05MB
//! └─ linux/s390x   <none>         0B           0B
//! ```
//!
//! The disk usage is that of the files, the content size that of the blobs that are here beside them. A platform of an
//! index that was not pulled has no id. Ids are those that other commands take.

use crate::error::Outcome;
use crate::table::{self, Table};
use oci::{Digest, ImageConfig, Index, Reference};
use std::collections::HashSet;
use store::{Image, NamedIndex, Store};

/// What stands in a line beside the name.
#[derive(Default)]
struct Usage {
    id: Option<Digest>,
    files: u64,
    blobs: u64,
    used: bool,
}

/// An image, or an index, with its names and a line for each platform.
struct Node {
    names: Vec<String>,
    platforms: Vec<(String, Usage)>,
}

/// The lines of all images, each with those of its names that are shown.
pub(super) fn text(store: &Store, images: &[(&Image, Vec<Reference>)]) -> Outcome<String> {
    let used: HashSet<Digest> = store.containers()?.iter().filter_map(|container| container.image).collect();
    let mut table = Table::new(&["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "USED"]);
    let mut first = true;
    for (image, names) in images {
        for node in nodes(store, image, names, &used)? {
            if !std::mem::take(&mut first) {
                table.row(Vec::new());
            }
            let mut all = Usage { id: Some(image.id), ..Usage::default() };
            for (_, usage) in &node.platforms {
                all.files += usage.files;
                all.blobs += usage.blobs;
                all.used |= usage.used;
            }
            let (last, before) = node.names.split_last().expect("because a node has a name, or `<untagged>`");
            before.iter().for_each(|name| table.row(vec![name.clone()]));
            table.row(line(last.clone(), &all));
            for (at, (platform, usage)) in node.platforms.iter().enumerate() {
                let branch = if at + 1 == node.platforms.len() { "└─" } else { "├─" };
                table.row(line(format!("{branch} {platform}"), usage));
            }
        }
    }
    Ok(table.text())
}

fn line(name: String, usage: &Usage) -> Vec<String> {
    vec![
        name,
        usage.id.map_or_else(|| "<none>".to_owned(), |id| id.short()),
        table::size(usage.files),
        table::size(usage.blobs),
        if usage.used { "✔".to_owned() } else { String::new() },
    ]
}

/// An image's names may stand for it alone, or for indexes that it is in.
fn nodes(store: &Store, image: &Image, names: &[Reference], used: &HashSet<Digest>) -> Outcome<Vec<Node>> {
    let mut found: Vec<(Option<NamedIndex>, Vec<String>)> = Vec::new();
    for name in names {
        let index = store.index(&name.to_string())?;
        match found.iter_mut().find(|(known, _)| *known == index) {
            Some((_, names)) => names.push(name.familiar()),
            None => found.push((index, vec![name.familiar()])),
        }
    }
    if found.is_empty() {
        found.push((None, vec!["<untagged>".to_owned()]));
    }
    let node = |(index, names): (Option<NamedIndex>, _)| {
        let platforms = match index {
            None => {
                let platform = ImageConfig::parse(&image.config)?.platform().to_string();
                vec![(platform, usage(store, image, used)?)]
            }
            Some(index) => of_index(store, &index, used)?,
        };
        Ok(Node { names, platforms })
    };
    found.into_iter().map(node).collect()
}

/// The images that an index names, here or not.
fn of_index(store: &Store, index: &NamedIndex, used: &HashSet<Digest>) -> Outcome<Vec<(String, Usage)>> {
    let images = store.images_of(index)?;
    let document = Index::parse(&store.read_blob(&index.root.digest, oci::MAX_DOCUMENT)?)?;
    let mut platforms = Vec::new();
    for entry in &document.manifests {
        let image = images.iter().find(|(manifest, _)| *manifest == entry.digest).map(|(_, image)| image);
        let platform = entry.platform.as_ref().filter(|platform| platform.os != "unknown");
        match (image, platform) {
            (Some(image), platform) => {
                let own = ImageConfig::parse(&image.config)?.platform();
                platforms.push((platform.unwrap_or(&own).to_string(), usage(store, image, used)?));
            }
            (None, Some(platform)) => platforms.push((platform.to_string(), Usage::default())),
            // An attestation, or something else that is no image.
            (None, None) => {}
        }
    }
    Ok(platforms)
}

fn usage(store: &Store, image: &Image, used: &HashSet<Digest>) -> Outcome<Usage> {
    let mut blobs = image.config.len() as u64;
    if let Some(manifest) = &image.manifest {
        blobs += store.has_blob(&manifest.digest)?.unwrap_or(0);
    }
    for info in store.layers(&image.stack)?.into_iter().flatten() {
        for blob in &info.blobs {
            blobs += store.has_blob(&blob.digest)?.unwrap_or(0);
        }
    }
    Ok(Usage { id: Some(image.id), files: image.size, blobs, used: used.contains(&image.id) })
}
