//! A bundle to a registry: layers first, several at once, then the configurations, then manifests and index.
//!
//! A layer is on its way as soon as it is compressed, while the next one is: the registry, which hashes what it gets,
//! and the network work beside the compression.
//!
//! What is pushed of an image is kept with it: a second push sends the same bytes. A blob that another repository of the
//! same registry is known to have is asked for there first.

use crate::at_hand;
use crate::beside::beside;
use crate::indexes::{self, Leaving};
use crate::{Attester, Bundle, Document, LayerBlob, Packing, Result};
use oci::{Descriptor, Digest, Platform, Reference};
use progress::VertexHandle;
use registry::{Client, Pushed};
use snapshot::Forms;
use std::io::Read;
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

/// A registry to push to, and who is told.
pub struct Pusher<'a> {
    /// The store that the layers are in.
    pub store: &'a Store,
    /// Their forms.
    pub forms: &'a Forms,
    /// The client that speaks to the registry.
    pub client: &'a Client,
    /// Where transfers are shown.
    pub vertex: &'a VertexHandle,
    /// Called for each layer as it arrives, from several threads.
    pub tell: &'a (dyn Fn(&Layer) + Sync),
}

impl Pusher<'_> {
    /// Sends what a name or an id of the store stands for to where `target` says, as it is: an index that is here whole,
    /// else an image, that of the platform where one is given. Gives the descriptor of what was sent, and the platforms
    /// of the index that could not be sent.
    ///
    /// # Errors
    /// As [`indexes::leaving`]; what the registry says; layers whose bytes cannot be had.
    pub fn image(
        &self,
        name: &str,
        platform: Option<&Platform>,
        target: &Reference,
    ) -> Result<(Descriptor, Vec<Platform>)> {
        let (image, missing) = match indexes::leaving(self.store, name, platform)? {
            Leaving::Index(bundle) => {
                self.bundle(&bundle, target, false)?;
                return Ok((bundle.root, Vec::new()));
            }
            Leaving::Image { image, missing } => (image, missing),
        };
        let images = std::slice::from_ref(&image);
        let bundle = self.images(images, &Packing::default(), None, target, false)?;
        // A name that stands for an index goes on to do so.
        if self.store.index(&target.to_string())?.is_none() {
            self.store.set_pulled(target, &image.id, &bundle.root_document().descriptor)?;
        }
        if image.manifest.is_none() {
            let Document { descriptor, bytes } = bundle.root_document().clone();
            let manifest = Some((descriptor, bytes));
            let kept =
                store::NewImage { config: image.config, stack: image.stack, manifest, ..Default::default() };
            self.store.put_image(&kept)?;
        }
        Ok((bundle.root, missing))
    }

    /// Makes the bundle of images and sends it: each layer as soon as it is compressed. Otherwise as
    /// [`Pusher::bundle`].
    ///
    /// # Errors
    /// As [`Bundle::attested`] and [`Pusher::bundle`].
    pub fn images(
        &self,
        images: &[Image],
        packing: &Packing,
        attester: Option<&dyn Attester>,
        target: &Reference,
        by_digest: bool,
    ) -> Result<Bundle> {
        let packing = Packing { registry: Some(target.host().to_owned()), ..packing.clone() };
        let bundle = self.layers(target, |send| {
            let forms = self.forms.clone().packing_at(self.vertex);
            Bundle::telling(self.store, &forms, images, &packing, attester, &mut |layer: &LayerBlob| {
                send(layer)
            })
        })?;
        self.documents(&bundle, target, by_digest)?;
        Ok(bundle)
    }

    /// Sends a bundle. Its root gets the tag of `target`, or none but its digest where `by_digest` says so.
    ///
    /// # Errors
    /// What the registry says; layers whose bytes cannot be had.
    pub fn bundle(&self, bundle: &Bundle, target: &Reference, by_digest: bool) -> Result<()> {
        self.layers(target, |send| bundle.layers.iter().try_for_each(send))?;
        self.documents(bundle, target, by_digest)
    }

    fn documents(&self, bundle: &Bundle, target: &Reference, by_digest: bool) -> Result<()> {
        for config in &bundle.configs {
            let open = || -> std::io::Result<Box<dyn Read + Send>> {
                Ok(Box::new(std::io::Cursor::new(config.bytes.clone())))
            };
            self.client.push_blob(target, &config.descriptor, &open, None, &|_| {})?;
        }
        let last = bundle.manifests.len() - 1;
        for (at, manifest) in bundle.manifests.iter().enumerate() {
            let by_digest = by_digest || at < last;
            let name =
                if by_digest { target.with_digest(manifest.descriptor.digest) } else { target.clone() };
            self.client.push_manifest(&name, &manifest.bytes, &manifest.descriptor.media_type)?;
        }
        Ok(())
    }

    /// Sends the layers' blobs that `make` hands over, while it makes others.
    fn layers<T>(
        &self,
        target: &Reference,
        make: impl FnOnce(&dyn Fn(&LayerBlob) -> Result<()>) -> Result<T>,
    ) -> Result<T> {
        let send = |layer: LayerBlob| self.layer(&layer, target);
        beside(PARALLEL, send, |hand_over| make(&|layer| hand_over(layer.clone())))
    }

    fn layer(&self, layer: &LayerBlob, target: &Reference) -> Result<()> {
        let LayerBlob { info, descriptor } = layer;
        let transfer = self.vertex.transfer(descriptor.digest.to_string(), descriptor.size);
        // Only when the registry wants the bytes are they fetched, if they are not here.
        let open = || -> std::io::Result<Box<dyn Read + Send>> {
            let file = self.forms.blob(info.id, descriptor).map_err(std::io::Error::other)?;
            Ok(Box::new(file))
        };
        let mount_from = self.elsewhere(info, &descriptor.digest, target)?;
        let pushed = self
            .client
            .push_blob(target, descriptor, &open, mount_from.as_deref(), &|sent| transfer.set(sent))?;
        match pushed {
            Pushed::Uploaded => transfer.done(),
            Pushed::Existed | Pushed::Mounted => transfer.needless(),
        }
        self.store.add_blob_source(&descriptor.digest, &target.to_string())?;
        (self.tell)(&Layer { descriptor: descriptor.clone(), pushed });
        Ok(())
    }

    /// Another repository of the same registry that is known to have the blob.
    fn elsewhere(&self, info: &LayerInfo, digest: &Digest, target: &Reference) -> Result<Option<String>> {
        Ok(at_hand::sources(self.store, info, digest)?
            .into_iter()
            .find(|source| source.host() == target.host() && source.path() != target.path())
            .map(|source| source.path().to_owned()))
    }
}
