//! What a name on the command line stands for, and images from there into the store.
//!
//! ```text
//! NAME, an id or the beginning of one                  an image of the store
//! [docker://]HOST/NAME[:TAG|@DIGEST]                   an image of a registry
//! oci-layout://FOLDER[:TAG][@DIGEST]                   an image of an OCI layout
//! ```

use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use export::place::{LayoutName, Place};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use progress::VertexHandle;
use std::time::SystemTime;

/// What stands before the name of an image in an OCI layout.
const LAYOUT: &str = "oci-layout://";

/// The image of an OCI layout, with the whole path of its folder, if that is what a name is.
///
/// # Errors
/// A name that has no folder, or an `@` without a digest.
pub(crate) fn layout(name: &str) -> Outcome<Option<LayoutName>> {
    let Some(rest) = name.strip_prefix(LAYOUT) else { return Ok(None) };
    let mut layout = LayoutName::parse(rest)?;
    layout.folder = std::path::absolute(&layout.folder)?;
    Ok(Some(layout))
}

/// An image that another place has for a platform.
pub(crate) struct Remote {
    /// The manifest of the platform.
    pub(crate) manifest: Descriptor,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// What the name meant: the index, or the same manifest.
    pub(crate) pulled: Descriptor,
    /// The configuration's bytes.
    pub(crate) config: Vec<u8>,
}

/// An image as it is shown: one of the store, or one that stays where it is.
pub(crate) struct Shown {
    /// The image; one that is elsewhere has no layers here.
    pub(crate) image: store::Image,
    /// The bytes of each layer; of its blob where the image is elsewhere.
    pub(crate) sizes: Vec<u64>,
}

impl Engine {
    /// The place outside the store that a name stands for.
    pub(crate) fn place(&self, name: &str) -> Outcome<Place<'_>> {
        if let Some(layout) = layout(name)? {
            return Ok(Place::Layout(layout));
        }
        let reference: Reference = name.strip_prefix("docker://").unwrap_or(name).parse()?;
        Ok(Place::Registry { client: self.client(reference.host())?, reference })
    }

    /// Asks a place what its name is for a platform; manifest and configuration come, no layer.
    pub(crate) fn remote(&self, place: &Place<'_>, platform: &Platform) -> Outcome<Remote> {
        let fetched = place.resolve()?;
        let pulled = fetched.descriptor.clone();
        let manifest = if media_type::is_index(&pulled.media_type) {
            let index = Index::parse(&fetched.bytes)?;
            let chosen = index.choose(platform).ok_or_else(|| no_platform(place, platform, &index))?;
            place.document(chosen)?
        } else {
            fetched
        };
        let parsed = Manifest::parse(&manifest.bytes)?;
        if parsed.config.size > oci::MAX_DOCUMENT {
            return Err(CommandError::new(format!("the configuration of {} is too large", shown(place))));
        }
        let mut config = Vec::new();
        place.blob(&parsed.config, &mut config, &|_| {})?;
        ImageConfig::parse(&config)?;
        Ok(Remote { manifest: manifest.descriptor, bytes: manifest.bytes, pulled, config })
    }

    /// Brings an image whole into the store and gives it names.
    pub(crate) fn pull(
        &self,
        place: &Place<'_>,
        names: Vec<Reference>,
        platform: &Platform,
        vertex: &VertexHandle,
    ) -> Outcome<Digest> {
        let store = self.store()?;
        let remote = self.remote(place, platform)?;
        let manifest = Manifest::parse(&remote.bytes)?;
        let config = ImageConfig::parse(&remote.config)?;
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return Err(CommandError::new(format!(
                "{} is damaged: its manifest has {} layers, its configuration {}",
                shown(place),
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            )));
        }
        let layers: Vec<_> = config.rootfs.diff_ids.iter().copied().zip(manifest.layers).collect();
        let stack = store.remote_layers(&pinned(place, remote.manifest.digest), &layers)?;
        self.forms()?.complete(&stack, vertex)?;
        let image = store::NewImage {
            config: remote.config,
            stack,
            manifest: Some((remote.manifest, remote.bytes)),
            names,
            pulled: Some(remote.pulled),
        };
        Ok(store.put_image(&image)?)
    }

    /// An image by name, id or the beginning of one; that of a layout is brought into the store, without a name.
    pub(crate) fn image(&self, name: &str) -> Outcome<store::Image> {
        let missing = || {
            CommandError::new(format!("no image `{name}` is in the store"))
                .hint("`jettison images` lists what is there; `jettison pull` fetches from a registry")
        };
        let id = match layout(name)? {
            Some(layout) => {
                let place = Place::Layout(layout);
                Some(self.pull(&place, Vec::new(), &Platform::host(), &VertexHandle::none())?.to_string())
            }
            None => None,
        };
        self.store()?.image(id.as_deref().unwrap_or(name))?.ok_or_else(missing)
    }

    /// An image to be looked at; that of a layout is not brought into the store.
    pub(crate) fn shown(&self, name: &str) -> Outcome<Shown> {
        if let Some(layout) = layout(name)? {
            return self.shown_elsewhere(&Place::Layout(layout));
        }
        let image = self.image(name)?;
        let infos = self.store()?.layers(&image.stack)?;
        let sizes = infos.into_iter().map(|info| info.map_or(0, |info| info.size)).collect();
        Ok(Shown { image, sizes })
    }

    fn shown_elsewhere(&self, place: &Place<'_>) -> Outcome<Shown> {
        let remote = self.remote(place, &Platform::host())?;
        let sizes: Vec<u64> = Manifest::parse(&remote.bytes)?.layers.iter().map(|layer| layer.size).collect();
        let image = store::Image {
            id: Digest::of(&remote.config),
            config: remote.config,
            stack: Vec::new(),
            manifest: Some(remote.manifest),
            names: Vec::new(),
            created: SystemTime::now(),
            size: sizes.iter().sum(),
        };
        Ok(Shown { image, sizes })
    }
}

/// The place as messages name it.
pub(crate) fn shown(place: &Place<'_>) -> String {
    match place {
        Place::Registry { reference, .. } => reference.familiar(),
        Place::Layout(name) => name.to_string(),
    }
}

/// How fetchers find the blobs of an image again.
fn pinned(place: &Place<'_>, manifest: Digest) -> String {
    match place {
        Place::Registry { reference, .. } => reference.to_string(),
        Place::Layout(name) => name.pinned(manifest).to_string(),
    }
}

fn no_platform(place: &Place<'_>, platform: &Platform, index: &Index) -> CommandError {
    let known: Vec<String> = index
        .manifests
        .iter()
        .filter_map(|manifest| manifest.platform.as_ref())
        .filter(|platform| platform.os != "unknown")
        .map(ToString::to_string)
        .collect();
    CommandError::new(format!("{} has no image for {platform}", shown(place)))
        .hint(format!("it has {}", known.join(", ")))
}
