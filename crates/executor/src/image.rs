//! The image operation: which layers of the store a pinned base image is.

use crate::worker::Worker;
use crate::{Error, Result};
use graph::ImageOp;
use layer::LayerId;
use oci::{Descriptor, Digest};

impl Worker {
    /// The layers of a base image: those that are here, and for the others where they are. Nothing is pulled.
    pub(crate) fn image(&self, image: &ImageOp) -> Result<Vec<LayerId>> {
        if let Some(known) = self.store.image(&image.config.to_string())? {
            return Ok(known.stack);
        }
        let reference = match image.reference.as_str() {
            // Whoever fetches knows where.
            layout if layout.starts_with("oci-layout://") => layout.to_owned(),
            name => {
                let parsed = name.parse::<oci::Reference>().map_err(|error| Error::Image {
                    reference: image.reference.clone(),
                    digest: image.config.to_string(),
                    source: Box::new(error),
                })?;
                parsed.to_string()
            }
        };
        let missing = |what: &str| Error::Image {
            reference: image.reference.clone(),
            digest: image.config.to_string(),
            source: format!("the store has no {what} of it").into(),
        };
        let digest = image.manifest.ok_or_else(|| missing("manifest"))?;
        let bytes = self.store.read_blob(&digest, oci::MAX_DOCUMENT)?;
        let manifest = oci::Manifest::parse(&bytes).map_err(|error| Error::Image {
            reference: image.reference.clone(),
            digest: digest.to_string(),
            source: Box::new(error),
        })?;
        if manifest.layers.len() != image.diff_ids.len() {
            return Err(missing("layer list that agrees with the configuration"));
        }
        let layers: Vec<(Digest, Descriptor)> = image.diff_ids.iter().copied().zip(manifest.layers).collect();
        Ok(self.store.remote_layers(&reference, &layers)?)
    }
}
