//! What a name on the command line stands for, and images from there into the store.
//!
//! ```text
//! NAME, an id or the beginning of one                  an image of the store
//! [docker://]HOST/NAME[:TAG|@DIGEST]                   an image of a registry
//! oci-layout://FOLDER[:TAG][@DIGEST]                   an image of an OCI layout
//! ```

use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use export::indexes::LARGEST_STATEMENT;
use export::place::{Fetched, LayoutName, Place};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use progress::VertexHandle;
use std::time::SystemTime;
use store::NewIndex;

/// What an interrupted pull says.
pub(crate) const INTERRUPTED: &str =
    "the pull was interrupted; what came is kept, and the next pull goes on from there";

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
    /// What the name stands for: the manifest, or an index that it was chosen from.
    pub(crate) resolved: Digest,
    /// The manifest of the platform.
    pub(crate) manifest: Descriptor,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The configuration's bytes.
    pub(crate) config: Vec<u8>,
}

/// Which images of an index are brought into the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those for these platforms.
    These(Vec<Platform>),
    /// All, and everything else that the index names.
    All,
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
        let fetched = place.resolve().map_err(told)?;
        let resolved = fetched.descriptor.digest;
        let manifest = if media_type::is_index(&fetched.descriptor.media_type) {
            let index = Index::parse(&fetched.bytes)?;
            place.document(chosen(place, &index, platform)?).map_err(told)?
        } else {
            fetched
        };
        let config = configuration(place, &Manifest::parse(&manifest.bytes)?)?;
        Ok(Remote { resolved, manifest: manifest.descriptor, bytes: manifest.bytes, config })
    }

    /// Brings images whole into the store and gives them names: what the place's name stands for, of an index the images
    /// that are wanted. Gives the id of the image that the names stand for.
    pub(crate) fn pull(
        &self,
        place: &Place<'_>,
        names: Vec<Reference>,
        wanted: &Wanted,
        vertex: &VertexHandle,
    ) -> Outcome<Digest> {
        let store = self.store()?;
        let root = place.resolve().map_err(told)?;
        if !media_type::is_index(&root.descriptor.media_type) {
            let pulled = root.descriptor.clone();
            return self.pull_image(place, root, names, Some(pulled), vertex);
        }
        let index = Index::parse(&root.bytes)?;
        let (mut images, mut others) = (Vec::new(), Vec::new());
        for entry in wanted.images(place, &index)? {
            let manifest = place.document(entry).map_err(told)?;
            images.push((entry.digest, self.pull_image(place, manifest, Vec::new(), None, vertex)?));
        }
        if let Wanted::All = wanted {
            for entry in index.manifests.iter().filter(|entry| !is_image(entry)) {
                others.extend(self.pull_other(place, entry)?);
            }
        }
        store.put_blob(&root.bytes, &root.descriptor.media_type)?;
        let first = images.first().map(|(_, id)| *id);
        let first = first.ok_or_else(|| CommandError::new(format!("{} has no image in it", shown(place))))?;
        let Some(name) = names.first().map(Reference::to_string) else { return Ok(first) };
        let machine = Platform::host();
        store.put_index(&NewIndex { root: root.descriptor, images, others, names, machine })?;
        Ok(store.image_id(&name)?.unwrap_or(first))
    }

    /// Brings one image whole into the store.
    fn pull_image(
        &self,
        place: &Place<'_>,
        manifest: Fetched,
        names: Vec<Reference>,
        pulled: Option<Descriptor>,
        vertex: &VertexHandle,
    ) -> Outcome<Digest> {
        let store = self.store()?;
        let parsed = Manifest::parse(&manifest.bytes)?;
        let bytes = configuration(place, &parsed)?;
        let (config, layers) = (ImageConfig::parse(&bytes)?, parsed.layers);
        if layers.len() != config.rootfs.diff_ids.len() {
            return Err(CommandError::new(format!(
                "{} is damaged: its manifest has {} layers, its configuration {}",
                shown(place),
                layers.len(),
                config.rootfs.diff_ids.len()
            )));
        }
        let layers: Vec<_> = config.rootfs.diff_ids.iter().copied().zip(layers).collect();
        let reference = pinned(place, manifest.descriptor.digest);
        let stack = store.remote_layers(&reference, &layers)?;
        let infos = self.forms()?.complete(&stack, vertex)?;
        for (info, (_, blob)) in infos.iter().zip(&layers) {
            // A layer that is here already by another blob: whoever wants this very one must know where it is.
            let known = info.remote.as_ref().is_some_and(|remote| remote.descriptor.digest == blob.digest);
            if !known && store.has_blob(&blob.digest)?.is_none() {
                store.add_blob_source(&blob.digest, &reference)?;
            }
        }
        let image = store::NewImage {
            config: bytes,
            stack,
            manifest: Some((manifest.descriptor, manifest.bytes)),
            names,
            pulled,
        };
        Ok(store.put_image(&image)?)
    }

    /// Brings a manifest that is no image's, with all that it names, into the store. Gives the digests.
    fn pull_other(&self, place: &Place<'_>, entry: &Descriptor) -> Outcome<Vec<Digest>> {
        let store = self.store()?;
        let fetched = place.document(entry).map_err(told)?;
        let manifest = Manifest::parse(&fetched.bytes)?;
        store.put_blob(&fetched.bytes, &fetched.descriptor.media_type)?;
        let mut digests = vec![entry.digest];
        for blob in manifest.layers.into_iter().chain([manifest.config]) {
            if blob.size > LARGEST_STATEMENT {
                return Err(CommandError::new(format!(
                    "blob {} of {} is too large",
                    blob.digest,
                    shown(place)
                )));
            }
            if store.has_blob(&blob.digest)?.is_none() {
                let mut writer = store.blob_writer(Some(blob.digest))?.media_type(&blob.media_type);
                place.blob(&blob, &mut writer, &|_| {}).map_err(told)?;
                writer.commit()?;
            }
            digests.push(blob.digest);
        }
        Ok(digests)
    }

    /// An image by name, id or the beginning of one, for a platform if one is given; that of a layout is brought into
    /// the store, without a name.
    pub(crate) fn image(&self, name: &str, platform: Option<&Platform>) -> Outcome<store::Image> {
        let store = self.store()?;
        if let Some(layout) = layout(name)? {
            let wanted = Wanted::These(vec![platform.cloned().unwrap_or_else(Platform::host)]);
            let id = self.pull(&Place::Layout(layout), Vec::new(), &wanted, &VertexHandle::none())?;
            return store.image(&id.to_string())?.ok_or_else(|| missing(name));
        }
        let Some(platform) = platform else { return store.image(name)?.ok_or_else(|| missing(name)) };
        match store.image_for(name, platform)? {
            Some(image) => Ok(image),
            None if store.image_id(name)?.is_none() => Err(missing(name)),
            None => Err(CommandError::new(format!("no image of `{name}` for {platform} is in the store"))
                .hint(format!("`jettison pull --platform {platform} {name}` fetches it"))),
        }
    }

    /// An image to be looked at; that of a layout is not brought into the store.
    pub(crate) fn shown(&self, name: &str, platform: Option<&Platform>) -> Outcome<Shown> {
        if let Some(layout) = layout(name)? {
            let host = Platform::host();
            return self.shown_elsewhere(&Place::Layout(layout), platform.unwrap_or(&host));
        }
        let image = self.image(name, platform)?;
        let infos = self.store()?.layers(&image.stack)?;
        let sizes = infos.into_iter().map(|info| info.map_or(0, |info| info.size)).collect();
        Ok(Shown { image, sizes })
    }

    fn shown_elsewhere(&self, place: &Place<'_>, platform: &Platform) -> Outcome<Shown> {
        let remote = self.remote(place, platform)?;
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

impl Wanted {
    /// The platforms of a flag: `all`, or one or several separated by commas; this machine's without a flag.
    pub(crate) fn parse(flag: Option<&str>) -> Outcome<Self> {
        match flag {
            Some("all") => Ok(Self::All),
            Some(text) => Ok(Self::These(text.split(',').map(str::parse).collect::<Result<_, _>>()?)),
            None => Ok(Self::These(vec![Platform::host()])),
        }
    }

    /// The entries of an index that are wanted, each once.
    fn images<'a>(&self, place: &Place<'_>, index: &'a Index) -> Outcome<Vec<&'a Descriptor>> {
        let Self::These(platforms) = self else {
            return Ok(index.manifests.iter().filter(|entry| is_image(entry)).collect());
        };
        let mut found: Vec<&Descriptor> = Vec::new();
        for platform in platforms {
            let chosen = chosen(place, index, platform)?;
            if found.iter().all(|known| known.digest != chosen.digest) {
                found.push(chosen);
            }
        }
        Ok(found)
    }
}

/// Whether an entry of an index is an image, and no attestation or artifact.
fn is_image(entry: &Descriptor) -> bool {
    media_type::is_manifest(&entry.media_type)
        && entry.artifact_type.is_none()
        && entry.platform.as_ref().is_none_or(|platform| platform.os != "unknown")
}

/// The configuration of a manifest's image.
fn configuration(place: &Place<'_>, manifest: &Manifest) -> Outcome<Vec<u8>> {
    if manifest.config.size > oci::MAX_DOCUMENT {
        return Err(CommandError::new(format!("the configuration of {} is too large", shown(place))));
    }
    let mut config = Vec::new();
    place.blob(&manifest.config, &mut config, &|_| {}).map_err(told)?;
    ImageConfig::parse(&config)?;
    Ok(config)
}

/// What a registry says stands for itself.
fn told(error: export::Error) -> CommandError {
    match error {
        export::Error::Registry(error) => error.into(),
        error => error.into(),
    }
}

fn missing(name: &str) -> CommandError {
    CommandError::new(format!("no image `{name}` is in the store"))
        .hint("`jettison images` lists what is there; `jettison pull` fetches from a registry")
}

/// The entry of an index for a platform.
fn chosen<'a>(place: &Place<'_>, index: &'a Index, platform: &Platform) -> Outcome<&'a Descriptor> {
    index.choose(platform).ok_or_else(|| {
        let known: Vec<String> = index
            .manifests
            .iter()
            .filter_map(|manifest| manifest.platform.as_ref())
            .filter(|platform| platform.os != "unknown")
            .map(ToString::to_string)
            .collect();
        CommandError::new(format!("{} has no image for {platform}", shown(place)))
            .hint(format!("it has {}", known.join(", ")))
    })
}

/// The place as messages name it.
pub(crate) fn shown(place: &Place<'_>) -> String {
    match place {
        Place::Registry { reference, .. } => reference.familiar(),
        Place::Layout(name) => name.to_string(),
    }
}

/// Whether a name was written with neither tag nor digest, so that `latest` was filled in.
pub(crate) fn is_bare(reference: &Reference, text: &str) -> bool {
    reference.tag() == Some("latest") && reference.digest().is_none() && !text.ends_with(":latest")
}

/// How fetchers find the blobs of an image again.
fn pinned(place: &Place<'_>, manifest: Digest) -> String {
    match place {
        Place::Registry { reference, .. } => reference.to_string(),
        Place::Layout(name) => name.pinned(manifest).to_string(),
    }
}
