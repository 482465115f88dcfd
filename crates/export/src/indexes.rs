//! Indexes in the store: what a bundle of several images becomes under a name, and what a name gives back to leave, byte
//! for byte as it came.

use crate::at_hand::obtainable;
use crate::bundle::{Document, LayerBlob, infos, nobody};
use crate::{Bundle, Error, Follower, Packing, Result};
use oci::{Descriptor, Digest, Index, Manifest, Platform, Reference, media_type};
use snapshot::Forms;
use store::{Image, NamedIndex, NewIndex, Store};

/// The largest document that an attestation manifest may name, in bytes.
pub const LARGEST_STATEMENT: u64 = 64 << 20;

/// What a name of the store stands for, to leave as it is.
#[derive(Clone, Debug)]
pub enum Leaving {
    /// An index that is here whole.
    Index(Bundle),
    /// One image.
    Image {
        /// The image.
        image: Image,
        /// The platforms of the name's index that are not here, so that the image goes alone.
        missing: Vec<Platform>,
    },
}

impl Leaving {
    /// The documents and layers.
    ///
    /// # Errors
    /// Layers whose bytes cannot be had.
    pub fn bundle(self, store: &Store, forms: &Forms) -> Result<Bundle> {
        self.bundle_telling(store, forms, &mut nobody)
    }

    /// The same; `follower` is told of the layers of an image as soon as their blobs are there.
    ///
    /// # Errors
    /// As [`Self::bundle`]; what `follower` says.
    pub fn bundle_telling(self, store: &Store, forms: &Forms, follower: &mut dyn Follower) -> Result<Bundle> {
        match self {
            Self::Index(bundle) => Ok(bundle),
            Self::Image { image, .. } => {
                let images = std::slice::from_ref(&image);
                Bundle::telling(store, forms, images, &Packing::default(), None, follower)
            }
        }
    }
}

/// Puts the index that a bundle has as its root under names in the store. `images` are those that it is of.
///
/// # Errors
/// The store fails; the bundle is damaged.
pub fn keep(store: &Store, bundle: &Bundle, images: &[Image], names: &[Reference]) -> Result<()> {
    let (root, manifests) =
        bundle.manifests.split_last().expect("because a bundle has at least the manifest of one image");
    let mut index = NewIndex {
        root: Descriptor::new(&root.descriptor.media_type, root.descriptor.digest, root.descriptor.size),
        images: Vec::new(),
        others: Vec::new(),
        names: names.to_vec(),
        machine: Platform::host(),
    };
    let ids: Vec<Digest> = images.iter().map(|image| image.id).collect();
    for document in manifests {
        let config = Manifest::parse(&document.bytes)?.config.digest;
        let digest = document.descriptor.digest;
        match ids.contains(&config) {
            true => index.images.push((digest, config)),
            false => index.others.push(digest),
        }
    }
    let statements = bundle.configs.iter().filter(|document| !ids.contains(&document.descriptor.digest));
    index.others.extend(statements.clone().map(|document| document.descriptor.digest));
    for document in manifests.iter().chain(statements).chain([root]) {
        // An unchanged build writes nothing.
        if store.has_blob(&document.descriptor.digest)?.is_none() {
            store.put_blob(&document.bytes, &document.descriptor.media_type)?;
        }
    }
    Ok(store.put_index(&index)?)
}

/// What leaves for a name or an id: an index that is here whole, else an image: that of the platform, or the one that
/// the name stands for by itself.
///
/// # Errors
/// [`Error::NoImage`]; [`Error::NoPlatform`].
pub fn leaving(store: &Store, name: &str, platform: Option<&Platform>) -> Result<Leaving> {
    let Some(platform) = platform else {
        let mut missing = Vec::new();
        if let Some(index) = store.index(name)? {
            let (bundle, absent) = whole(store, &index)?;
            if absent.is_empty() {
                return Ok(Leaving::Index(bundle));
            }
            missing = absent;
        }
        let image = store.image(name)?.ok_or_else(|| Error::NoImage { name: name.to_owned() })?;
        return Ok(Leaving::Image { image, missing });
    };
    let image = store.image_for(name, platform)?;
    let none = || Error::NoPlatform { name: name.to_owned(), platform: platform.to_string() };
    Ok(Leaving::Image { image: image.ok_or_else(none)?, missing: Vec::new() })
}

/// Whether everything that an index names is in the store.
///
/// # Errors
/// The store fails; the index is damaged.
pub fn is_whole(store: &Store, index: &NamedIndex) -> Result<bool> {
    let bytes = store.read_blob(&index.root.digest, oci::MAX_DOCUMENT)?;
    let here = |digest: &Digest| index.images.contains_key(digest) || index.others.contains(digest);
    Ok(Index::parse(&bytes)?.manifests.iter().all(|entry| here(&entry.digest)))
}

/// The bundle of an index, and the platforms of the manifests that are not here.
fn whole(store: &Store, index: &NamedIndex) -> Result<(Bundle, Vec<Platform>)> {
    let bytes = store.read_blob(&index.root.digest, oci::MAX_DOCUMENT)?;
    let mut missing = Vec::new();
    let mut bundle =
        Bundle { root: index.root.clone(), layers: Vec::new(), configs: Vec::new(), manifests: Vec::new() };
    for entry in Index::parse(&bytes)?.manifests {
        let here = match index.images.get(&entry.digest) {
            Some(image) => bundle.add_image(store, &entry, image)?,
            None => index.others.contains(&entry.digest) && bundle.add_other(store, index, &entry)?,
        };
        if !here {
            missing.push(entry.platform.unwrap_or_default());
        }
    }
    let descriptor = Descriptor::new(&index.root.media_type, index.root.digest, index.root.size);
    bundle.manifests.push(Document { descriptor, bytes });
    Ok((bundle, missing))
}

impl Bundle {
    /// Adds an image of an index with the very manifest that the index names; whether it is here whole.
    fn add_image(&mut self, store: &Store, entry: &Descriptor, id: &Digest) -> Result<bool> {
        let (Some(image), Some(_)) = (store.image(&id.to_string())?, store.has_blob(&entry.digest)?) else {
            return Ok(false);
        };
        let (document, manifest) = manifest(store, entry)?;
        let infos = infos(store, &image)?;
        if manifest.layers.len() != infos.len() {
            return Ok(false);
        }
        for (info, descriptor) in infos.into_iter().zip(&manifest.layers) {
            if !obtainable(store, &info, &descriptor.digest)? {
                return Ok(false);
            }
            if self.layers.iter().all(|known| known.descriptor.digest != descriptor.digest) {
                self.layers.push(LayerBlob { info, descriptor: descriptor.clone() });
            }
        }
        self.configs.push(Document { descriptor: manifest.config, bytes: image.config });
        self.manifests.push(document);
        Ok(true)
    }

    /// Adds a manifest that is no image's, with all that it names; whether that is all here.
    fn add_other(&mut self, store: &Store, index: &NamedIndex, entry: &Descriptor) -> Result<bool> {
        if store.has_blob(&entry.digest)?.is_none() || media_type::is_index(&entry.media_type) {
            return Ok(false);
        }
        let (document, manifest) = manifest(store, entry)?;
        for blob in manifest.layers.into_iter().chain([manifest.config]) {
            if !index.others.contains(&blob.digest) || store.has_blob(&blob.digest)?.is_none() {
                return Ok(false);
            }
            let bytes = store.read_blob(&blob.digest, LARGEST_STATEMENT)?;
            if self.configs.iter().all(|known| known.descriptor.digest != blob.digest) {
                self.configs.push(Document { descriptor: blob, bytes });
            }
        }
        self.manifests.push(document);
        Ok(true)
    }
}

/// A manifest that an index names.
fn manifest(store: &Store, entry: &Descriptor) -> Result<(Document, Manifest)> {
    let bytes = store.read_blob(&entry.digest, oci::MAX_DOCUMENT)?;
    let manifest = Manifest::parse(&bytes)?;
    let descriptor = Descriptor::new(&entry.media_type, entry.digest, bytes.len() as u64);
    Ok((Document { descriptor, bytes }, manifest))
}
