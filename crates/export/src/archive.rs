//! Docker archives: what `docker save` writes and `docker load` reads.
//!
//! ```text
//! blobs/sha256/<config>  blobs/sha256/<diff id: plain tar>...  manifest.json
//! ```
//!
//! The layers are plain tars, written straight from the store's layers.

use crate::sink::{Counted, Out, Sink, TarSink, blob_name, bytes};
use crate::{Error, Result};
use layer::LayerId;
use oci::{Digest, Reference};
use serde::Serialize;
use snapshot::Forms;
use store::{Image, Store};

/// An image for an archive, and what it is called in it.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its id.
    pub image: Digest,
    /// Its names there; none is allowed.
    pub names: Vec<Reference>,
}

/// Writes an archive.
///
/// # Errors
/// An image that is not there; layers whose bytes cannot be had; `out` fails.
pub fn save(store: &Store, forms: &Forms, images: &[Saved], out: Out<'_>) -> Result<()> {
    let mut sink = TarSink::new(out);
    write(store, forms, images, &mut sink)?;
    sink.finish()
}

/// The image in the store.
///
/// # Errors
/// [`Error::NoImage`].
pub fn find(store: &Store, image: &Saved) -> Result<Image> {
    store.image(&image.image.to_string())?.ok_or_else(|| Error::NoImage { name: image.image.to_string() })
}

/// An entry of manifest.json.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

impl DockerImage {
    /// An image by the paths of its configuration and its layers.
    pub(crate) fn new(config: String, names: &[Reference], layers: Vec<String>) -> Self {
        let repo_tags = names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
        Self { config, repo_tags, layers }
    }

    /// What stands in `manifest.json`.
    pub(crate) fn list(images: &[Self]) -> Vec<u8> {
        serde_json::to_vec(images).expect("because it holds only strings")
    }
}

fn write(store: &Store, forms: &Forms, images: &[Saved], sink: &mut dyn Sink) -> Result<()> {
    let mut entries = Vec::new();
    for saved in images {
        let image = find(store, saved)?;
        forms.complete(&image.stack, &progress::VertexHandle::none())?;
        let diff_ids = forms.diff_ids(&image.stack)?;
        let mut layers = Vec::new();
        for (id, diff_id) in image.stack.iter().zip(diff_ids) {
            let name = blob_name(&diff_id.digest);
            let size = if diff_id.size > 0 { diff_id.size } else { tar_size(forms, *id)? };
            sink.put(&name, size, &mut |out| Ok(forms.write_tar(*id, out)?))?;
            layers.push(name);
        }
        let config = blob_name(&image.id);
        bytes(sink, &config, &image.config)?;
        entries.push(DockerImage::new(config, &saved.names, layers));
    }
    bytes(sink, "manifest.json", &DockerImage::list(&entries))
}

/// The size of a layer's tar that nobody has measured yet.
fn tar_size(forms: &Forms, id: LayerId) -> Result<u64> {
    let mut counted = Counted { inner: &mut std::io::sink(), count: 0 };
    forms.write_tar(id, &mut counted)?;
    Ok(counted.count)
}
