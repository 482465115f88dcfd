//! From the steps of a build to a cache.

use super::format::{Annotations, Chain, Config, Input, Layer, OURS, Record};
use super::{CONFIG, INLINE};
use crate::bundle::{self, Document, LayerBlob};
use crate::{Bundle, Packing, Result};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use layer::LayerId;
use oci::{Descriptor, Digest, Index, Manifest, media_type, timestamp};
use snapshot::Forms;
use std::collections::HashMap;
use std::sync::Arc;
use store::Store;

/// Which results a cache has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Those whose layers are all in the image.
    #[default]
    Min,
    /// Those of all steps.
    Max,
}

/// A step of a build and its result.
#[derive(Clone, Debug)]
pub struct Step {
    /// The key of the result.
    pub key: Digest,
    /// The key that leads to it without files, where that is another.
    pub definition: Option<Digest>,
    /// The layers, lowest first.
    pub stack: Arc<[LayerId]>,
}

/// When a layer was made.
fn created(store: &Store, id: LayerId) -> String {
    let made = store.layer_made(id).unwrap_or(std::time::UNIX_EPOCH);
    timestamp::rfc3339(made)
}

/// The steps that a cache of this mode has: in [`Mode::Min`] those of whose layers one of `targets` consists.
fn chosen<'a>(steps: &'a [Step], targets: &'a [Vec<LayerId>], mode: Mode) -> impl Iterator<Item = &'a Step> {
    steps
        .iter()
        .filter(move |step| mode == Mode::Max || targets.iter().any(|target| target.starts_with(&step.stack)))
}

/// The records of steps, layers given by their index.
fn records<'a>(
    steps: impl Iterator<Item = &'a Step>,
    index: impl Fn(LayerId) -> Option<usize>,
) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    let mut known: HashMap<Digest, usize> = HashMap::new();
    for step in steps {
        let Some(layers) = step.stack.iter().map(|id| index(*id)).collect::<Option<Vec<_>>>() else {
            continue;
        };
        let at = *known.entry(step.key).or_insert_with(|| {
            let chains = vec![Chain { layers, created_at: String::new() }];
            records.push(Record { digest: step.key, results: Vec::new(), chains, inputs: Vec::new() });
            records.len() - 1
        });
        if let Some(definition) = step.definition
            && definition != step.key
            && !known.contains_key(&definition)
        {
            let inputs = vec![vec![Input { selector: String::new(), link: at }]];
            known.insert(definition, records.len());
            records.push(Record { digest: definition, results: Vec::new(), chains: Vec::new(), inputs });
        }
    }
    records
}

/// A cache that is ready to leave.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The layers, each blob once.
    pub layers: Vec<LayerBlob>,
    /// The configuration.
    pub config: Vec<u8>,
}

/// A cache of the steps of a build. Nothing where no step has a result.
///
/// # Errors
/// Layers whose bytes cannot be had.
pub fn contents(
    store: &Store,
    forms: &Forms,
    (steps, targets): (&[Step], &[Vec<LayerId>]),
    mode: Mode,
    packing: &Packing,
) -> Result<Option<Contents>> {
    let (mut layers, mut config): (Vec<LayerBlob>, Config) = (Vec::new(), Config::default());
    let mut at: HashMap<LayerId, usize> = HashMap::new();
    for id in chosen(steps, targets, mode).flat_map(|step| step.stack.iter()) {
        if at.contains_key(id) {
            continue;
        }
        let diff_id = forms.diff_ids(&[*id])?[0].digest;
        let info = store.layers(&[*id])?.pop().flatten().ok_or(snapshot::Error::NoLayer { id: *id })?;
        let elsewhere = |_: &Descriptor| Ok(true);
        let (descriptor, _) = bundle::blob(store, forms, &info, packing, elsewhere, &mut bundle::nobody)?;
        at.insert(*id, config.layers.len());
        config.layers.push(Layer {
            blob: Some(descriptor.digest),
            parent: -1,
            annotations: Some(Annotations {
                media_type: descriptor.media_type.clone(),
                diff_id: Some(diff_id),
                size: descriptor.size,
                created_at: created(store, *id),
            }),
        });
        if layers.iter().all(|known| known.descriptor.digest != descriptor.digest) {
            let mut descriptor = descriptor;
            descriptor.annotations.insert(snapshot::CREATED.to_owned(), created(store, *id));
            descriptor.annotations.insert("containerd.io/uncompressed".to_owned(), diff_id.to_string());
            layers.push(LayerBlob { info, descriptor });
        }
    }
    config.jettison = Some(OURS);
    config.records = records(chosen(steps, targets, mode), |id| at.get(&id).copied());
    if config.records.is_empty() {
        return Ok(None);
    }
    let config = serde_json::to_vec(&config).expect("because it holds only strings and numbers");
    Ok(Some(Contents { layers, config }))
}

/// A cache as what leaves for a registry or a layout: layers, the configuration, and a manifest, or an index where
/// `as_index` says so.
#[must_use]
pub fn bundle(contents: Contents, packing: &Packing, as_index: bool) -> Bundle {
    let Contents { layers, config: bytes } = contents;
    let config =
        Document { descriptor: Descriptor::new(CONFIG, Digest::of(&bytes), bytes.len() as u64), bytes };
    let blobs: Vec<Descriptor> = layers.iter().map(|layer| layer.descriptor.clone()).collect();
    let (kind, bytes) = if as_index {
        let mut index = Index::oci(blobs);
        index.manifests.push(config.descriptor.clone());
        if packing.docker {
            index.media_type = Some(media_type::DOCKER_INDEX.to_owned());
        }
        (index.media_type.clone(), index.to_bytes())
    } else {
        let manifest = Manifest::oci(config.descriptor.clone(), blobs);
        (manifest.media_type.clone(), manifest.to_bytes())
    };
    let kind = kind.unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned());
    let root = Descriptor::new(&kind, Digest::of(&bytes), bytes.len() as u64);
    let manifests = vec![Document { descriptor: root.clone(), bytes }];
    Bundle { root, layers, configs: vec![config], manifests }
}

/// The field and the value that make an image's configuration a cache: records of the steps whose layers the image
/// consists of. Nothing where there is none.
#[must_use]
pub fn inline(
    store: &Store,
    steps: &[Step],
    target: &[LayerId],
    diff_ids: &[Digest],
) -> Option<(&'static str, String)> {
    let index = |id: LayerId| target.iter().position(|known| *known == id);
    let records = records(steps.iter().filter(|step| target.starts_with(&step.stack)), index);
    if records.is_empty() {
        return None;
    }
    let layers = diff_ids.iter().zip(target).map(|(diff_id, id)| Layer {
        blob: None,
        parent: -1,
        annotations: Some(Annotations {
            media_type: String::new(),
            diff_id: Some(*diff_id),
            size: 0,
            created_at: created(store, *id),
        }),
    });
    let config = Config { jettison: Some(OURS), layers: layers.collect(), records };
    let bytes = serde_json::to_vec(&config).expect("because it holds only strings and numbers");
    Some((INLINE, BASE64.encode(&bytes)))
}
