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
    /// The sizes of all blobs, whoever's keys lead to them.
    blobs: HashMap<Digest, u64>,
}

/// Whose keys a cache has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keys {
    /// Ours, at least some.
    Ours,
    /// Another builder's.
    Foreign,
    /// Nobody's: an image without a cache, or a place that none was written to yet.
    None,
}

/// What was found in a place.
#[derive(Debug)]
pub struct Found {
    /// What it has.
    pub records: SharedRecords,
    /// Whose keys its records have.
    pub keys: Keys,
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

    /// Whether it has a blob, whatever for.
    #[must_use]
    pub fn has_blob(&self, blob: &Descriptor) -> bool {
        self.blobs.get(&blob.digest) == Some(&blob.size)
    }

    /// Remembers the layers' blobs among these.
    fn know<'a>(&mut self, blobs: impl IntoIterator<Item = &'a Descriptor>) {
        let layers =
            blobs.into_iter().filter(|blob| media_type::layer_compression(&blob.media_type).is_some());
        self.blobs.extend(layers.map(|blob| (blob.digest, blob.size)));
    }

    /// Takes in the records of a configuration; `blob` finds what a layer's blob is. Gives whether its keys are ours.
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
    let mut reading = Reading::default();
    if media_type::is_index(&root.descriptor.media_type) {
        let index = Index::parse(&root.bytes)?;
        if let Some(entry) = index.manifests.iter().find(|entry| entry.media_type == CONFIG) {
            let config = configuration(place, entry)?;
            reading.take(&config, &index.manifests, &|_, layer| named(layer, &index.manifests));
        } else {
            for entry in index.manifests.iter().filter(|entry| media_type::is_manifest(&entry.media_type)) {
                reading.image(place, &place.document(entry)?)?;
            }
        }
    } else {
        let manifest = Manifest::parse(&root.bytes)?;
        if manifest.config.media_type == CONFIG {
            let config = configuration(place, &manifest.config)?;
            reading.take(&config, &manifest.layers, &|_, layer| named(layer, &manifest.layers));
        } else {
            reading.image(place, &root)?;
        }
    }
    Ok(reading.found())
}

/// Reads the cache of a store of objects, `name`: configurations that say themselves what their blobs are.
///
/// # Errors
/// Documents that are damaged.
pub fn read_documents(name: &str, documents: &[Vec<u8>]) -> Result<Found> {
    let mut reading = Reading::default();
    for document in documents {
        let config = parse(name, document)?;
        let blobs: Vec<Descriptor> = config.layers.iter().filter_map(described).collect();
        reading.take(&config, &blobs, &|_, layer| named(layer, &blobs));
    }
    Ok(reading.found())
}

/// The blob of a layer by the layer's own annotations.
fn described(layer: &Layer) -> Option<Descriptor> {
    let said = layer.annotations.as_ref()?;
    Some(Descriptor::new(&said.media_type, layer.blob?, said.size))
}

/// A cache that is being read.
#[derive(Default)]
struct Reading {
    records: SharedRecords,
    ours: bool,
    foreign: bool,
}

impl Reading {
    /// Takes in a configuration that knows these blobs; `blob` finds what a layer's blob is.
    fn take(&mut self, config: &Config, blobs: &[Descriptor], blob: &dyn Fn(usize, &Layer) -> Option<Blob>) {
        self.records.know(blobs);
        if self.records.take(config, blob) {
            self.ours = true;
        } else {
            self.foreign = true;
        }
    }

    /// Takes in the cache of an image, if it has one.
    fn image(&mut self, place: &Place<'_>, manifest: &Fetched) -> Result<()> {
        let manifest = Manifest::parse(&manifest.bytes)?;
        if manifest.config.size > oci::MAX_DOCUMENT || manifest.config.artifact_type.is_some() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        place.blob(&manifest.config, &mut bytes, &|_| {})?;
        let Ok(image) = ImageConfig::parse(&bytes) else { return Ok(()) };
        self.records.know(&manifest.layers);
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let Some(text) = document.get(INLINE).and_then(|value| value.as_str()) else { return Ok(()) };
        let bytes = BASE64
            .decode(text)
            .map_err(|error| Error::Cache { name: place.to_string(), reason: error.to_string() })?;
        // BuildKit writes the records alone.
        if bytes.trim_ascii_start().starts_with(b"[") {
            self.foreign = true;
            return Ok(());
        }
        let config = parse(&place.to_string(), &bytes)?;
        let diff_ids = image.rootfs.diff_ids;
        let blob = |at: usize, layer: &Layer| {
            // A record must speak of the layers that the image has now.
            let diff_id = layer.annotations.as_ref()?.diff_id?;
            let blob = manifest.layers.get(at).filter(|_| diff_ids.get(at) == Some(&diff_id))?;
            Some((diff_id, dated(blob, layer)))
        };
        self.take(&config, &[], &blob);
        Ok(())
    }

    fn found(self) -> Found {
        let keys = match (self.ours, self.foreign) {
            (true, _) => Keys::Ours,
            (false, true) => Keys::Foreign,
            (false, false) => Keys::None,
        };
        Found { records: self.records, keys }
    }
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
    parse(&place.to_string(), &bytes)
}

fn parse(name: &str, bytes: &[u8]) -> Result<Config> {
    let wrong = |reason: String| Error::Cache { name: name.to_owned(), reason };
    let config: Config = serde_json::from_slice(bytes)
        .map_err(|error| wrong(format!("its configuration cannot be read: {error}")))?;
    if config.layers.len() > MOST || config.records.len() > MOST {
        return Err(wrong("it has too many records".to_owned()));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(mark: &str) -> Digest {
        Digest::of(mark.as_bytes())
    }

    fn layer(mark: &str) -> serde_json::Value {
        let kind = media_type::layer(media_type::Compression::Gzip, false);
        let diff_id = key(&format!("{mark} unpacked"));
        json!({ "blob": key(mark), "parent": -1, "annotations": { "mediaType": kind, "diffID": diff_id, "size": 5 } })
    }

    fn read(documents: &[serde_json::Value]) -> Result<Found> {
        let documents: Vec<Vec<u8>> = documents.iter().map(|one| one.to_string().into_bytes()).collect();
        read_documents("a cache", &documents)
    }

    #[test]
    fn documents_of_several_builders_are_read_together() {
        let ours = json!({
            "jettison": OURS,
            "layers": [layer("a"), layer("b")],
            "records": [
                { "digest": key("step"), "chains": [{ "layers": [0, 1] }] },
                { "digest": key("definition"), "inputs": [[{ "link": 0 }]] },
                { "digest": key("beyond"), "chains": [{ "layers": [0, 2] }] },
            ],
        });
        let theirs = json!({
            "layers": [layer("c")],
            "records": [{ "digest": key("step"), "layers": [{ "layer": 0 }] }],
        });
        let found = read(&[ours, theirs.clone()]).unwrap();
        assert_eq!(found.keys, Keys::Ours);
        let result = found.records.result(&key("step")).unwrap();
        let digests: Vec<Digest> = result.iter().map(|(_, blob)| blob.digest).collect();
        assert_eq!(digests, [key("a"), key("b")]);
        assert_eq!(found.records.link(&key("definition")), Some(key("step")));
        // A record of a layer that is not there is none.
        assert!(found.records.result(&key("beyond")).is_none());
        let found = read(&[theirs]).unwrap();
        assert_eq!(found.keys, Keys::Foreign);
        assert!(found.records.result(&key("step")).is_none());
        let blob = |size| Descriptor::new("", key("c"), size);
        assert!(found.records.has_blob(&blob(5)) && !found.records.has_blob(&blob(6)));
        assert_eq!(read(&[]).unwrap().keys, Keys::None);
    }

    #[test]
    fn what_is_no_cache_is_an_error_that_names_it() {
        for document in ["", "<html>", "{\"layers\":[{\"blob\":\"md5:0\"}]}", "{\"records\":7}"] {
            let error = read_documents("a cache", &[document.as_bytes().to_vec()]).unwrap_err();
            assert!(error.to_string().starts_with("cannot use the cache `a cache`"), "{error}");
        }
    }
}
