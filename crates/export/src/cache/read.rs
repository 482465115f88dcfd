//! From a cache to its records. Only the configuration is fetched; layers are when something hits.

use super::format::{Config, Layer, MOST, OURS};
use super::{CONFIG, INLINE};
use crate::place::{Fetched, Place};
use crate::{Error, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, media_type};
use std::collections::HashMap;

/// The largest configuration of a cache.
const LARGEST: u64 = 256 << 20;

/// A layer's diff id and its blob.
pub type Blob = (Digest, Descriptor);

/// What a cache has.
#[derive(Clone, Debug, Default)]
pub struct SharedRecords {
    /// Results: diff ids and blobs, lowest first.
    results: HashMap<Digest, Vec<Blob>>,
    links: HashMap<Digest, Digest>,
}

/// What was found in a place.
#[derive(Debug)]
pub enum Found {
    /// A cache of ours.
    Records(SharedRecords),
    /// A cache whose keys are another builder's.
    Foreign,
    /// An image without a cache.
    Nothing,
}

impl SharedRecords {
    /// The layers that are the result of a key.
    #[must_use]
    pub fn result(&self, key: &Digest) -> Option<&[Blob]> {
        self.results.get(key).map(Vec::as_slice)
    }

    /// The key that a definition key leads to.
    #[must_use]
    pub fn link(&self, key: &Digest) -> Option<Digest> {
        self.links.get(key).copied()
    }

    /// How many results there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.results.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.results.is_empty()
    }

    /// Takes in a configuration; `blob` finds what a layer's blob is. Gives whether its keys are ours.
    fn take(&mut self, config: &Config, blob: &dyn Fn(usize, &Layer) -> Option<Blob>) -> bool {
        if config.jettison != Some(OURS) {
            return false;
        }
        let layers: Vec<Option<Blob>> =
            config.layers.iter().enumerate().map(|(at, layer)| blob(at, layer)).collect();
        for record in &config.records {
            for chain in &record.chains {
                let found =
                    chain.layers.iter().map(|at| layers.get(*at)?.clone()).collect::<Option<Vec<_>>>();
                if let Some(found) = found {
                    self.results.insert(record.digest, found);
                }
            }
            let link = record.inputs.first().and_then(|inputs| inputs.first());
            if let Some(canonical) = link.and_then(|link| config.records.get(link.link)) {
                self.links.insert(record.digest, canonical.digest);
            }
        }
        true
    }
}

/// Reads the cache of a place: a manifest or an index of a cache, or an image with one inline.
///
/// # Errors
/// What the registry says; documents that are damaged, or larger than any cache is.
pub fn read(place: &Place<'_>) -> Result<Found> {
    let root = place.resolve()?;
    let mut records = SharedRecords::default();
    let (mut ours, mut foreign) = (false, false);
    let mut count = |taken: bool| if taken { ours = true } else { foreign = true };
    if media_type::is_index(&root.descriptor.media_type) {
        let index = Index::parse(&root.bytes)?;
        if let Some(entry) = index.manifests.iter().find(|entry| entry.media_type == CONFIG) {
            let config = configuration(place, entry)?;
            count(records.take(&config, &|_, layer| named(layer, &index.manifests)));
        } else {
            for entry in index.manifests.iter().filter(|entry| media_type::is_manifest(&entry.media_type)) {
                if let Some(taken) = image(place, &place.document(entry)?, &mut records)? {
                    count(taken);
                }
            }
        }
    } else {
        let manifest = Manifest::parse(&root.bytes)?;
        if manifest.config.media_type == CONFIG {
            let config = configuration(place, &manifest.config)?;
            count(records.take(&config, &|_, layer| named(layer, &manifest.layers)));
        } else if let Some(taken) = image(place, &root, &mut records)? {
            count(taken);
        }
    }
    Ok(match (ours, foreign) {
        (true, _) => Found::Records(records),
        (false, true) => Found::Foreign,
        (false, false) => Found::Nothing,
    })
}

/// A layer's blob among those that the manifest names.
fn named(layer: &Layer, blobs: &[Descriptor]) -> Option<Blob> {
    let diff_id = layer.annotations.as_ref()?.diff_id?;
    let blob = blobs.iter().find(|blob| Some(blob.digest) == layer.blob)?;
    media_type::layer_compression(&blob.media_type)?;
    Some((diff_id, dated(blob, layer)))
}

/// The blob with the time at which its layer was made.
fn dated(blob: &Descriptor, layer: &Layer) -> Descriptor {
    let mut blob = blob.clone();
    let created = layer.annotations.as_ref().map(|annotations| annotations.created_at.clone());
    if let Some(created) = created.filter(|created| !created.is_empty()) {
        blob.annotations.insert(snapshot::CREATED.to_owned(), created);
    }
    blob
}

fn configuration(place: &Place<'_>, descriptor: &Descriptor) -> Result<Config> {
    if descriptor.size > LARGEST {
        return Err(Error::Cache {
            name: place.to_string(),
            reason: "its configuration is too large".to_owned(),
        });
    }
    let mut bytes = Vec::new();
    place.blob(descriptor, &mut bytes, &|_| {})?;
    parse(place, &bytes)
}

fn parse(place: &Place<'_>, bytes: &[u8]) -> Result<Config> {
    let wrong = |reason: String| Error::Cache { name: place.to_string(), reason };
    let config: Config = serde_json::from_slice(bytes)
        .map_err(|error| wrong(format!("its configuration cannot be read: {error}")))?;
    if config.layers.len() > MOST || config.records.len() > MOST {
        return Err(wrong("it has too many records".to_owned()));
    }
    Ok(config)
}

/// Takes in the cache of an image; nothing where it has none.
fn image(place: &Place<'_>, manifest: &Fetched, records: &mut SharedRecords) -> Result<Option<bool>> {
    let manifest = Manifest::parse(&manifest.bytes)?;
    if manifest.config.size > oci::MAX_DOCUMENT || manifest.config.artifact_type.is_some() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    place.blob(&manifest.config, &mut bytes, &|_| {})?;
    let Ok(image) = ImageConfig::parse(&bytes) else { return Ok(None) };
    let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let Some(text) = document.get(INLINE).and_then(|value| value.as_str()) else { return Ok(None) };
    let bytes = BASE64
        .decode(text)
        .map_err(|error| Error::Cache { name: place.to_string(), reason: error.to_string() })?;
    let config = parse(place, &bytes)?;
    let diff_ids = image.rootfs.diff_ids;
    let blob = |at: usize, layer: &Layer| {
        // A record must speak of the layers that the image has now.
        let diff_id = layer.annotations.as_ref()?.diff_id?;
        let blob = manifest.layers.get(at).filter(|_| diff_ids.get(at) == Some(&diff_id))?;
        Some((diff_id, dated(blob, layer)))
    };
    Ok(Some(records.take(&config, &blob)))
}
