//! An image to its registry: blobs first, several at once, then the configuration, then the manifest.
//!
//! An image that came with a manifest goes back with the same bytes, so its digest stays. For others an OCI manifest is
//! made of blobs that the layers have already, or of new ones with gzip, and kept with the image: a second push sends the
//! same. A blob that another repository of the same registry is known to have is asked for there first.

use crate::{Error, Result};
use layer::{Compression, LayerId};
use oci::{Descriptor, Digest, Manifest, Reference, media_type};
use progress::VertexHandle;
use registry::{Client, Pushed};
use snapshot::Forms;
use std::collections::HashSet;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use store::{Image, LayerInfo, Store};

/// How many blobs are sent at once.
const PARALLEL: usize = 4;

/// What happened to one layer's blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The blob.
    pub descriptor: Descriptor,
    /// How the registry came to have it.
    pub pushed: Pushed,
}

/// Sends an image of the store (a name or an id) to where `target` says. Gives the manifest's descriptor.
///
/// # Errors
/// [`Error::NoImage`]; what the registry says; layers whose bytes cannot be had.
pub fn push(
    store: &Store,
    forms: &Forms,
    client: &Client,
    image: &str,
    target: &Reference,
    vertex: &VertexHandle,
) -> Result<Descriptor> {
    push_telling(store, forms, client, image, target, vertex, &|_| {})
}

/// As [`push`]; `tell` is called for each layer as it arrives, from several threads.
///
/// # Errors
/// As [`push`].
pub fn push_telling(
    store: &Store,
    forms: &Forms,
    client: &Client,
    image: &str,
    target: &Reference,
    vertex: &VertexHandle,
    tell: &(dyn Fn(&Layer) + Sync),
) -> Result<Descriptor> {
    let image = store.image(image)?.ok_or_else(|| Error::NoImage { name: image.to_owned() })?;
    let sender = Sender { store, forms, client, target, vertex, tell };
    let (descriptor, bytes, manifest) = match sender.kept_manifest(&image)? {
        Some(kept) => kept,
        None => sender.new_manifest(&image)?,
    };
    let infos = sender.infos(&image)?;
    sender.blobs(&infos, &manifest.layers)?;
    sender.config(&image, &manifest.config)?;
    client.push_manifest(target, &bytes, &descriptor.media_type)?;
    if image.manifest.is_none() {
        let manifest = Some((descriptor.clone(), bytes));
        let kept =
            store::NewImage { config: image.config, stack: image.stack, manifest, ..Default::default() };
        store.put_image(&kept)?;
    }
    store.set_pulled(target, &descriptor)?;
    Ok(descriptor)
}

struct Sender<'a> {
    store: &'a Store,
    forms: &'a Forms,
    client: &'a Client,
    target: &'a Reference,
    vertex: &'a VertexHandle,
    tell: &'a (dyn Fn(&Layer) + Sync),
}

impl Sender<'_> {
    fn infos(&self, image: &Image) -> Result<Vec<LayerInfo>> {
        let infos = self.store.layers(&image.stack)?;
        let gone = |id: &LayerId| snapshot::Error::NoLayer { id: *id };
        infos.into_iter().zip(&image.stack).map(|(info, id)| info.ok_or_else(|| gone(id).into())).collect()
    }

    /// The manifest that the image came with, where all its blobs can still be had.
    fn kept_manifest(&self, image: &Image) -> Result<Option<(Descriptor, Vec<u8>, Manifest)>> {
        let Some(descriptor) = &image.manifest else { return Ok(None) };
        if self.store.has_blob(&descriptor.digest)?.is_none() {
            return Ok(None);
        }
        let bytes = self.store.read_blob(&descriptor.digest, oci::MAX_DOCUMENT)?;
        let manifest = Manifest::parse(&bytes)?;
        let infos = self.infos(image)?;
        if manifest.config.digest != image.id || manifest.layers.len() != infos.len() {
            return Ok(None);
        }
        for (layer, info) in manifest.layers.iter().zip(&infos) {
            let again = info.remote.as_ref().is_some_and(|remote| remote.descriptor.digest == layer.digest);
            if !again && self.store.has_blob(&layer.digest)?.is_none() {
                return Ok(None);
            }
        }
        Ok(Some((descriptor.clone(), bytes, manifest)))
    }

    /// A manifest of blobs that are there, or are made now.
    fn new_manifest(&self, image: &Image) -> Result<(Descriptor, Vec<u8>, Manifest)> {
        let mut layers = Vec::with_capacity(image.stack.len());
        for info in self.infos(image)? {
            let compressed = |blob: &&Descriptor| {
                let kind = media_type::layer_compression(&blob.media_type);
                kind.is_some_and(|kind| kind != media_type::Compression::None)
            };
            let remote = info.remote.iter().map(|remote| &remote.descriptor);
            let mut known = None;
            for blob in info.blobs.iter().filter(compressed) {
                if self.store.has_blob(&blob.digest)?.is_some() {
                    known = Some(blob.clone());
                    break;
                }
            }
            let known = known.or_else(|| remote.clone().find(compressed).cloned());
            let blob = match known {
                Some(blob) => blob,
                None => self.forms.compressed(info.id, Compression::Gzip)?,
            };
            let kind =
                media_type::layer_compression(&blob.media_type).unwrap_or(media_type::Compression::Gzip);
            layers.push(Descriptor::new(media_type::layer(kind, false), blob.digest, blob.size));
        }
        let config = Descriptor::new(media_type::OCI_CONFIG, image.id, image.config.len() as u64);
        let manifest = Manifest::oci(config, layers);
        Ok((manifest.descriptor(), manifest.to_bytes(), manifest))
    }

    /// Sends the layers' blobs, each once.
    fn blobs(&self, infos: &[LayerInfo], layers: &[Descriptor]) -> Result<()> {
        let mut seen = HashSet::new();
        let jobs: Vec<(&LayerInfo, &Descriptor)> =
            infos.iter().zip(layers).filter(|(_, layer)| seen.insert(layer.digest)).collect();
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some((info, layer)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if lock().is_some() {
                    return;
                }
                if let Err(error) = self.blob(info, layer) {
                    lock().get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(jobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn blob(&self, info: &LayerInfo, layer: &Descriptor) -> Result<()> {
        let transfer = self.vertex.transfer(layer.digest.to_string(), layer.size);
        // Only when the registry wants the bytes are they fetched, if they are not here.
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            let file = self.forms.blob(info.id, layer).map_err(std::io::Error::other)?;
            Ok(Box::new(file))
        };
        let mount_from = self.elsewhere(info, &layer.digest)?;
        let pushed = self
            .client
            .push_blob(self.target, layer, &open, mount_from.as_deref(), &|sent| transfer.set(sent))?;
        transfer.done();
        self.store.add_blob_source(&layer.digest, &self.target.to_string())?;
        (self.tell)(&Layer { descriptor: layer.clone(), pushed });
        Ok(())
    }

    /// Another repository of the same registry that is known to have the blob.
    fn elsewhere(&self, info: &LayerInfo, digest: &Digest) -> Result<Option<String>> {
        let mut sources = self.store.blob_sources(digest)?;
        sources.extend(
            info.remote
                .iter()
                .filter(|remote| remote.descriptor.digest == *digest)
                .map(|remote| remote.reference.clone()),
        );
        Ok(sources
            .iter()
            .filter_map(|text| text.parse::<Reference>().ok())
            .find(|source| source.host() == self.target.host() && source.path() != self.target.path())
            .map(|source| source.path().to_owned()))
    }

    fn config(&self, image: &Image, config: &Descriptor) -> Result<()> {
        let bytes = image.config.clone();
        let open =
            || -> std::io::Result<Box<dyn Read + Send>> { Ok(Box::new(std::io::Cursor::new(bytes.clone()))) };
        self.client.push_blob(self.target, config, &open, None, &|_| {})?;
        Ok(())
    }
}
