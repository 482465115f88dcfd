//! What a FROM names: an image of the store, else one of a registry. Bases are pinned for the whole build; a tag that
//! is here is used without asking, unless `--pull` says otherwise.

use crate::engine::Engine;
use crate::error::CommandError;
use crate::pulling;
use dockerfile::ignore::Patterns;
use export::place::{LayoutName, Place};
use frontend::{BaseImage, BoxError, Dated, MetaResolver};
use oci::{Digest, ImageConfig, Platform, Reference};
use store::{Image, Store};

/// How many digits of an id are shown.
const SHOWN_ID: usize = 12;

/// Resolves base images.
pub(crate) struct Resolver<'a> {
    engine: &'a Engine,
    pull: bool,
    ignored: Option<&'a Patterns>,
    modified: &'a Modified<'a>,
}

/// Tells when something was last changed.
pub(crate) type Modified<'a> = dyn Fn(Dated<'_>) -> Result<Option<u64>, BoxError> + 'a;

/// A command's error as a cause.
#[derive(Debug)]
struct Cause(CommandError);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Cause {}

pub(super) fn cause(error: CommandError) -> BoxError {
    Box::new(Cause(error))
}

impl<'a> Resolver<'a> {
    /// A resolver; with `pull` registries are asked what names mean now. `ignored` is what the build context leaves
    /// out.
    pub(crate) fn new(
        engine: &'a Engine,
        pull: bool,
        ignored: Option<&'a Patterns>,
        modified: &'a Modified<'a>,
    ) -> Self {
        Self { engine, pull, ignored, modified }
    }

    fn local(&self, name: &str, platform: &Platform) -> Result<Option<BaseImage>, BoxError> {
        let store = self.engine.store().map_err(cause)?;
        // A base may be told by its id, but what is shorter than an id as it is shown is a name: `FROM ada` must not
        // take whatever image has an id that begins so.
        let whole = name.parse::<Reference>().ok().filter(|_| name.len() < SHOWN_ID);
        let whole = whole.map(|reference| reference.to_string());
        let Some(image) = store.image_for(whole.as_deref().unwrap_or(name), platform)? else {
            return Ok(None);
        };
        let config = ImageConfig::parse(&image.config)?;
        let reference = name.parse::<Reference>().ok();
        let resolved = match &reference {
            Some(reference) => stands_for(store, reference, &image)?,
            None => None,
        };
        Ok(Some(BaseImage {
            reference: reference.map_or_else(|| name.to_owned(), |name| name.to_string()),
            resolved,
            manifest: image.manifest.map(|manifest| manifest.digest),
            id: image.id,
            config,
        }))
    }

    /// An image of an OCI layout. Its layers come when somebody needs them.
    fn in_layout(&self, name: LayoutName, platform: &Platform) -> Result<BaseImage, BoxError> {
        let remote = self.engine.remote(&Place::Layout(name.clone()), platform).map_err(cause)?;
        let store = self.engine.store().map_err(cause)?;
        store.put_blob(&remote.bytes, &remote.manifest.media_type)?;
        let digest = remote.manifest.digest;
        Ok(BaseImage {
            reference: name.pinned(digest).to_string(),
            resolved: Some(remote.resolved),
            manifest: Some(digest),
            id: Digest::of(&remote.config),
            config: ImageConfig::parse(&remote.config)?,
        })
    }

    fn base(
        reference: &Reference,
        resolved: Option<Digest>,
        manifest: Digest,
        config: &[u8],
    ) -> Result<BaseImage, BoxError> {
        Ok(BaseImage {
            reference: reference.to_string(),
            resolved,
            manifest: Some(manifest),
            id: Digest::of(config),
            config: ImageConfig::parse(config)?,
        })
    }
}

/// What the name of an image of the store stands for in a registry, where that is known.
fn stands_for(store: &Store, name: &Reference, image: &Image) -> store::Result<Option<Digest>> {
    if let Some(digest) = name.digest() {
        return Ok(Some(digest));
    }
    let whole = name.to_string();
    // An image for another platform than this machine's has not the name itself: its index has it.
    let said = match image.names.iter().find(|known| known.reference == whole) {
        Some(known) => known.manifest.clone(),
        None => store.stands_for(name)?,
    };
    Ok(said.map(|said| said.digest))
}

impl MetaResolver for Resolver<'_> {
    fn modified(&self, dated: Dated<'_>) -> Result<Option<u64>, BoxError> {
        (self.modified)(dated)
    }

    fn ignored(&self) -> Option<&Patterns> {
        self.ignored
    }

    fn image(&self, name: &str, platform: &Platform) -> Result<BaseImage, BoxError> {
        if let Some(layout) = pulling::layout(name).map_err(cause)? {
            return self.in_layout(layout, platform);
        }
        if !self.pull
            && let Some(image) = self.local(name, platform)?
        {
            return Ok(image);
        }
        let reference: Reference = name.parse()?;
        let store = self.engine.store().map_err(cause)?;
        let key = platform.to_string();
        if !self.pull
            && let Some(base) = store.base(&reference, &key)?
            && store.has_blob(&base.manifest.digest)?.is_some()
        {
            return Self::base(&reference, base.resolved, base.manifest.digest, &base.config);
        }
        let client = self.engine.client(reference.host()).map_err(cause)?;
        let place = Place::Registry { client, reference: reference.clone() };
        let remote = match self.engine.remote(&place, platform) {
            Ok(remote) => remote,
            // A name that only the store has is no error with --pull either: there may be no registry for it.
            Err(error) => match self.local(name, platform)? {
                Some(image) if self.pull => return Ok(image),
                _ => return Err(cause(error)),
            },
        };
        store.put_blob(&remote.bytes, &remote.manifest.media_type)?;
        store.remember_base(&reference, &key, remote.resolved, &remote.manifest, &remote.config)?;
        Self::base(&reference, Some(remote.resolved), remote.manifest.digest, &remote.config)
    }
}
