//! What leaves: the documents of a result, from its configurations up to the one that a name stands for, and the layers
//! that they name. Archives, folders and registries take the same bundle, so they carry the same digests.
//!
//! ```text
//! one image                 several, or one with more beside it
//! manifest ─▶ config        index ─▶ manifest ─▶ config, layers
//!          └▶ layers              ├▶ manifest ─▶ config, layers
//!                                 └▶ attestation manifest of each ─▶ statements
//! ```
//!
//! An image that came with a manifest leaves with the same bytes as long as nothing else is asked for. A layer that has
//! a blob already, compressed in whatever way, leaves as that blob; only a new one, or each with `force`, is made as
//! [`Packing::compression`] says.

use crate::at_hand::{at_hand, obtainable};
use crate::{Annotations, Error, Result};
use attest::Statement;
use layer::{Compression, LayerId};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, media_type, timestamp};
use snapshot::{Beside, Forms};
use std::time::SystemTime;
use store::{Image, LayerInfo, Store};

/// How layers and documents are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packing {
    /// How layers without a blob are compressed; nothing is gzip.
    pub compression: Option<Compression>,
    /// How hard; nothing is the compression's own level.
    pub level: Option<u8>,
    /// Layers with a blob of another compression are compressed anew.
    pub force: bool,
    /// Docker's media types in place of OCI's.
    pub docker: bool,
    /// An index even of one image alone.
    pub index: bool,
    /// Attestations as images of no platform, as registries without artifacts want them.
    pub attestations_as_images: bool,
    /// Free text in the documents.
    pub annotations: Annotations,
    /// The registry that it all goes to, `host[:port]`: blobs that this is known to have need not be here.
    pub registry: Option<String>,
}

impl Packing {
    fn wanted(&self) -> media_type::Compression {
        match self.compression {
            Some(Compression::None) => media_type::Compression::None,
            Some(Compression::Zstd) => media_type::Compression::Zstd,
            _ => media_type::Compression::Gzip,
        }
    }
}

/// A layer and the blob that it leaves as.
#[derive(Clone, Debug)]
pub struct LayerBlob {
    /// The layer.
    pub info: LayerInfo,
    /// The blob.
    pub descriptor: Descriptor,
}

/// A document with its bytes.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is.
    pub descriptor: Descriptor,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// An image whose documents are made, for whoever attests it.
pub struct Packed<'a> {
    /// Which of the images.
    pub at: usize,
    /// Its platform.
    pub platform: &'a Platform,
    /// When it was made, as its configuration says.
    pub created: Option<SystemTime>,
    /// Its manifest.
    pub manifest: &'a Descriptor,
    /// Its layers as they leave, lowest first.
    pub layers: &'a [Descriptor],
}

/// Who states something about images that leave.
pub trait Attester {
    /// The statements about an image; none where there is nothing to state.
    ///
    /// # Errors
    /// [`Error::Attest`].
    fn statements(&self, image: &Packed<'_>) -> Result<Vec<Statement>>;
}

/// Follows the layers of a bundle as their blobs are made.
pub trait Follower {
    /// Takes the bytes of the blob that is made next while it is made. Nothing where the blob is early enough.
    fn beside(&mut self) -> Option<Beside> {
        None
    }

    /// A layer whose blob is there; `copied` says that what [`beside`](Self::beside) gave has its bytes. A layer that
    /// is in the bundle under the same digest already is not told of.
    ///
    /// # Errors
    /// What is done with it fails.
    fn made(&mut self, layer: &LayerBlob, copied: bool) -> Result<()>;
}

/// Nobody follows.
pub(crate) fn nobody(_: &LayerBlob) -> Result<()> {
    Ok(())
}

impl<F: FnMut(&LayerBlob) -> Result<()>> Follower for F {
    fn made(&mut self, layer: &LayerBlob, _copied: bool) -> Result<()> {
        self(layer)
    }
}

/// Everything that leaves for one name.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// What a name stands for: a manifest or an index; with the annotations of its descriptor.
    pub root: Descriptor,
    /// The layers, each blob once.
    pub layers: Vec<LayerBlob>,
    /// Configurations, and statements about images.
    pub configs: Vec<Document>,
    /// Manifests and indexes, each after what it names; the last is the root.
    pub manifests: Vec<Document>,
}

impl Bundle {
    /// The bundle of one image, or of several for different platforms.
    ///
    /// # Errors
    /// Layers whose bytes cannot be had; annotations of an index where there is none; no image at all.
    pub fn new(store: &Store, forms: &Forms, images: &[Image], packing: &Packing) -> Result<Self> {
        Self::attested(store, forms, images, packing, None)
    }

    /// The same with statements about the images, which make it an index.
    ///
    /// # Errors
    /// As [`Self::new`]; what `attester` says; [`Error::DockerAttestations`].
    pub fn attested(
        store: &Store,
        forms: &Forms,
        images: &[Image],
        packing: &Packing,
        attester: Option<&dyn Attester>,
    ) -> Result<Self> {
        Self::telling(store, forms, images, packing, attester, &mut nobody)
    }

    /// The same; `follower` is told of each layer as soon as its blob is there, while others are still compressed.
    ///
    /// # Errors
    /// As [`Self::attested`]; what `follower` says.
    pub fn telling(
        store: &Store,
        forms: &Forms,
        images: &[Image],
        packing: &Packing,
        attester: Option<&dyn Attester>,
        follower: &mut dyn Follower,
    ) -> Result<Self> {
        let annotations = &packing.annotations;
        let mut bundle = Self {
            root: Descriptor::new(media_type::OCI_INDEX, Digest::of(b""), 0),
            layers: Vec::new(),
            configs: Vec::new(),
            manifests: Vec::new(),
        };
        let mut entries = Vec::with_capacity(images.len());
        let mut attestations = Vec::new();
        for (at, image) in images.iter().enumerate() {
            let config = ImageConfig::parse(&image.config)?;
            let platform = config.platform();
            let created = config.created.as_deref().and_then(timestamp::parse);
            let (mut entry, layers) = bundle.image(store, forms, image, &platform, packing, follower)?;
            if let Some(attester) = attester {
                let packed = Packed { at, platform: &platform, created, manifest: &entry, layers: &layers };
                attestations.extend(bundle.attest(&attester.statements(&packed)?, &entry, packing)?);
            }
            entry.annotations = annotations.manifest_descriptor(&platform);
            entry.platform = Some(platform);
            entries.push(entry);
        }
        entries.extend(attestations);
        match <[Descriptor; 1]>::try_from(entries) {
            Ok([only]) if !packing.index => {
                if annotations.has_index() {
                    return Err(Error::IndexAnnotations);
                }
                bundle.root = only;
            }
            Ok(only) => bundle.index(only.into(), packing),
            Err(entries) => bundle.index(entries, packing),
        }
        Ok(bundle)
    }

    /// Adds the documents of the statements about an image. Gives their manifest's descriptor, where there are any.
    fn attest(
        &mut self,
        statements: &[Statement],
        image: &Descriptor,
        packing: &Packing,
    ) -> Result<Option<Descriptor>> {
        if statements.is_empty() {
            return Ok(None);
        }
        if packing.docker {
            return Err(Error::DockerAttestations);
        }
        let stored = attest::storage::store(image, statements, !packing.attestations_as_images);
        self.configs
            .extend(stored.blobs.into_iter().map(|(descriptor, bytes)| Document { descriptor, bytes }));
        let Descriptor { media_type, digest, size, .. } = &stored.descriptor;
        let descriptor = Descriptor::new(media_type, *digest, *size);
        self.manifests.push(Document { descriptor, bytes: stored.manifest });
        Ok(Some(stored.descriptor))
    }

    fn index(&mut self, entries: Vec<Descriptor>, packing: &Packing) {
        let mut index = Index::oci(entries);
        if packing.docker {
            index.media_type = Some(media_type::DOCKER_INDEX.to_owned());
        }
        index.annotations = packing.annotations.index();
        let bytes = index.to_bytes();
        let kind = index.media_type.as_deref().unwrap_or(media_type::OCI_INDEX);
        self.root = Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64);
        self.manifests.push(Document { descriptor: self.root.clone(), bytes });
        self.root.annotations = packing.annotations.index_descriptor();
    }

    /// Adds the documents and layers of an image. Gives its manifest's descriptor and its layers.
    fn image(
        &mut self,
        store: &Store,
        forms: &Forms,
        image: &Image,
        platform: &Platform,
        packing: &Packing,
        follower: &mut dyn Follower,
    ) -> Result<(Descriptor, Vec<Descriptor>)> {
        let infos = infos(store, image)?;
        let annotations = packing.annotations.manifest(platform);
        let about_image = Packing {
            annotations: Annotations::default(),
            index: false,
            attestations_as_images: false,
            registry: None,
            ..packing.clone()
        };
        let default = about_image == Packing::default();
        let kept = if default && annotations.is_empty() {
            kept(store, forms, image, &infos, packing.registry.as_deref())?
        } else {
            None
        };
        let (document, manifest) = match kept {
            Some((document, manifest)) => {
                for (info, descriptor) in infos.into_iter().zip(&manifest.layers) {
                    self.layer(info, descriptor, false, follower)?;
                }
                (document, manifest)
            }
            None => {
                let mut layers = Vec::with_capacity(infos.len());
                for info in infos {
                    let registry = packing.registry.as_deref();
                    let at_hand = |blob: &Descriptor| at_hand(store, forms, &info, blob, registry);
                    let (descriptor, copied) = blob(store, forms, &info, packing, at_hand, follower)?;
                    self.layer(info, &descriptor, copied, follower)?;
                    layers.push(descriptor);
                }
                let kind = if packing.docker { media_type::DOCKER_CONFIG } else { media_type::OCI_CONFIG };
                let config = Descriptor::new(kind, image.id, image.config.len() as u64);
                let mut manifest = Manifest::oci(config, layers);
                if packing.docker {
                    manifest.media_type = Some(media_type::DOCKER_MANIFEST.to_owned());
                }
                manifest.annotations = annotations;
                (Document { descriptor: manifest.descriptor(), bytes: manifest.to_bytes() }, manifest)
            }
        };
        self.configs.push(Document { descriptor: manifest.config, bytes: image.config.clone() });
        let descriptor = document.descriptor.clone();
        self.manifests.push(document);
        Ok((descriptor, manifest.layers))
    }

    /// Adds a layer, unless it is there under the same digest.
    fn layer(
        &mut self,
        info: LayerInfo,
        descriptor: &Descriptor,
        copied: bool,
        follower: &mut dyn Follower,
    ) -> Result<()> {
        if self.layers.iter().any(|known| known.descriptor.digest == descriptor.digest) {
            return Ok(());
        }
        let layer = LayerBlob { info, descriptor: descriptor.clone() };
        follower.made(&layer, copied)?;
        self.layers.push(layer);
        Ok(())
    }

    /// The document that the root is.
    #[must_use]
    pub fn root_document(&self) -> &Document {
        self.manifests.last().expect("because a bundle has at least the manifest of one image")
    }
}

pub(crate) fn infos(store: &Store, image: &Image) -> Result<Vec<LayerInfo>> {
    let infos = store.layers(&image.stack)?;
    let gone = |id: &LayerId| snapshot::Error::NoLayer { id: *id };
    infos.into_iter().zip(&image.stack).map(|(info, id)| info.ok_or_else(|| gone(id).into())).collect()
}

/// The manifest that the image came with, where all its blobs can still be had.
fn kept(
    store: &Store,
    forms: &Forms,
    image: &Image,
    infos: &[LayerInfo],
    registry: Option<&str>,
) -> Result<Option<(Document, Manifest)>> {
    let Some(descriptor) = &image.manifest else { return Ok(None) };
    if store.has_blob(&descriptor.digest)?.is_none() {
        return Ok(None);
    }
    let bytes = store.read_blob(&descriptor.digest, oci::MAX_DOCUMENT)?;
    let manifest = Manifest::parse(&bytes)?;
    if manifest.config.digest != image.id || manifest.layers.len() != infos.len() {
        return Ok(None);
    }
    for (layer, info) in manifest.layers.iter().zip(infos) {
        if !obtainable(store, info, &layer.digest)? || !at_hand(store, forms, info, layer, registry)? {
            return Ok(None);
        }
    }
    let descriptor = Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size);
    Ok(Some((Document { descriptor, bytes }, manifest)))
}

/// The blob that a layer leaves as: one that it has, or one that is made now; and whether it has its bytes beside.
/// `at_hand` says of a blob that is elsewhere whether it serves.
pub(crate) fn blob(
    store: &Store,
    forms: &Forms,
    info: &LayerInfo,
    packing: &Packing,
    at_hand: impl Fn(&Descriptor) -> Result<bool>,
    follower: &mut dyn Follower,
) -> Result<(Descriptor, bool)> {
    let kind = |blob: &Descriptor| media_type::layer_compression(&blob.media_type);
    let serves = |blob: &Descriptor| match kind(blob) {
        Some(kind) if packing.force => kind == packing.wanted(),
        Some(media_type::Compression::None) => packing.wanted() == media_type::Compression::None,
        Some(_) => true,
        None => false,
    };
    let mut known = None;
    // Of several the one of the wanted kind comes first.
    let mut blobs: Vec<&Descriptor> = info.blobs.iter().filter(|blob| serves(blob)).collect();
    blobs.sort_by_key(|blob| kind(blob) != Some(packing.wanted()));
    for blob in blobs {
        if store.has_blob(&blob.digest)?.is_some() {
            known = Some(blob.clone());
            break;
        }
    }
    // What is here is compressed again rather than looked for in a cache that may be gone.
    let again = |remote: &&store::Remote| remote.is_lasting() || !info.is_local();
    if known.is_none()
        && let Some(remote) = info.remote.as_ref().filter(again)
        && serves(&remote.descriptor)
        && at_hand(&remote.descriptor)?
    {
        known = Some(remote.descriptor.clone());
    }
    let (blob, copied) = match known {
        Some(blob) => (blob, false),
        None => {
            let compression = packing.compression.unwrap_or(Compression::Gzip);
            forms.compressed_beside(info.id, compression, packing.level, &mut || follower.beside())?
        }
    };
    let kind = kind(&blob).unwrap_or(media_type::Compression::Gzip);
    Ok((Descriptor::new(media_type::layer(kind, packing.docker), blob.digest, blob.size), copied))
}
