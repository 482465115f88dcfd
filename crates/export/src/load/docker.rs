//! What `docker save` writes: `manifest.json` names the configuration and the layers of each image by path.

use super::import::{Found, Part};
use super::members::Members;
use super::wrong;
use crate::Result;
use oci::{Digest, ImageConfig, Reference};
use serde::Deserialize;

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// The images that `manifest.json` names.
pub(super) fn images(members: &dyn Members, manifest: &[u8], name: &str) -> Result<Vec<Found>> {
    let entries: Vec<Entry> = serde_json::from_slice(manifest)
        .map_err(|error| wrong(name, format!("its `manifest.json` cannot be read: {error}")))?;
    if entries.is_empty() {
        return Err(wrong(name, "its `manifest.json` names no image"));
    }
    entries.into_iter().map(|entry| image(members, entry, name)).collect()
}

fn image(members: &dyn Members, entry: Entry, name: &str) -> Result<Found> {
    let path = &entry.config;
    let config = members
        .document(path)?
        .ok_or_else(|| wrong(name, format!("its `manifest.json` names `{path}`, which is not there")))?;
    let id = Digest::of(&config);
    if let Some(expected) = named_after(path)
        && expected != id
    {
        return Err(wrong(name, format!("`{path}` should have the digest {expected} and has {id}")));
    }
    let parsed = ImageConfig::parse(&config)
        .map_err(|error| wrong(name, format!("`{path}`: {}", super::members::chain(&error))))?;
    let layers = entry.layers.unwrap_or_default();
    let parts = layers.into_iter().map(|path| Part { path, descriptor: None }).collect();
    let mut names = Vec::new();
    for tag in entry.repo_tags.unwrap_or_default() {
        let reference: Reference =
            tag.parse().map_err(|error: oci::Error| wrong(name, format!("its `manifest.json`: {error}")))?;
        names.push(reference);
    }
    Found::new(id, config, parsed, parts, None, names, name)
}

/// The digest that a configuration is named after: `<hex>.json` or `blobs/sha256/<hex>`.
fn named_after(path: &str) -> Option<Digest> {
    let file = path.rsplit('/').next()?;
    Digest::from_hex(file.strip_suffix(".json").unwrap_or(file)).ok()
}
