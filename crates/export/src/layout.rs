//! OCI layouts (image-spec, image-layout.md), as a tar or a folder.
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/<index> <manifest> <config> <layer>...
//! ```
//!
//! `index.json` has an entry for each name of each bundle, with the annotations `org.opencontainers.image.ref.name` (the
//! tag) and `io.containerd.image.name` (the whole name). A folder that is a layout already gets the entries added; one
//! of the same name is replaced.

use crate::place::LayoutName;
use crate::sink::{FolderSink, Sink, TarSink, blob_name, bytes, copy};
use crate::{Bundle, LayerBlob, Result};
use oci::{Descriptor, Digest, Index, Reference};
use snapshot::Forms;
use std::io::Write;
use std::path::Path;

const NAME: &str = "io.containerd.image.name";
pub(crate) const TAG: &str = "org.opencontainers.image.ref.name";

/// Writes a layout as a tar: bundles and what each is called; no name is allowed.
///
/// # Errors
/// Blobs that cannot be had; `out` fails.
pub fn write(forms: &Forms, bundles: &[(Bundle, Vec<Reference>)], out: &mut dyn Write) -> Result<()> {
    let mut sink = TarSink::new(out);
    layout(forms, bundles, &mut sink)?;
    sink.finish()
}

/// Writes a layout into a folder, which is made where it is missing.
///
/// # Errors
/// As [`write()`].
pub fn write_folder(forms: &Forms, bundles: &[(Bundle, Vec<Reference>)], folder: &Path) -> Result<()> {
    layout(forms, bundles, &mut FolderSink::new(folder)?)
}

/// Adds a bundle to a layout's folder, under a tag.
///
/// # Errors
/// As [`write()`].
pub fn write_tagged(forms: &Forms, bundle: &Bundle, name: &LayoutName) -> Result<()> {
    blobs(forms, bundle, &mut FolderSink::new(&name.folder)?)?;
    add_entry(&name.folder, &bundle.root, name.tag.as_deref())
}

/// Writes what a bundle has.
fn blobs(forms: &Forms, bundle: &Bundle, sink: &mut dyn Sink) -> Result<()> {
    for LayerBlob { info, descriptor } in &bundle.layers {
        sink.put(&blob_name(&descriptor.digest), descriptor.size, &mut |out| {
            copy(&mut forms.blob(info.id, descriptor)?, out)
        })?;
    }
    for document in bundle.configs.iter().chain(&bundle.manifests) {
        bytes(sink, &blob_name(&document.descriptor.digest), &document.bytes)?;
    }
    Ok(())
}

fn layout(forms: &Forms, bundles: &[(Bundle, Vec<Reference>)], sink: &mut dyn Sink) -> Result<()> {
    let there = sink.read("index.json").and_then(|bytes| Index::parse(&bytes).ok());
    let mut index = there.unwrap_or_else(|| Index::oci(Vec::new()));
    for (bundle, names) in bundles {
        blobs(forms, bundle, sink)?;
        if names.is_empty() {
            enter(&mut index, bundle.root.clone());
        }
        for name in names {
            let mut entry = bundle.root.clone();
            entry.annotations.insert(NAME.to_owned(), name.to_string());
            entry.annotations.insert(TAG.to_owned(), name.tag().unwrap_or("latest").to_owned());
            enter(&mut index, entry);
        }
    }
    bytes(sink, "index.json", &index.to_bytes())?;
    bytes(sink, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// A name stands for one thing; what has none stands once.
fn enter(index: &mut Index, entry: Descriptor) {
    index.manifests.retain(|known| match entry.annotations.get(NAME) {
        Some(name) => known.annotations.get(NAME) != Some(name),
        None => known.digest != entry.digest || known.annotations.contains_key(NAME),
    });
    index.manifests.push(entry);
}

/// Adds a blob to a layout's folder, which is made where it is missing. The file appears when it is whole.
pub(crate) fn add_blob(
    folder: &Path,
    digest: &Digest,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<()> {
    FolderSink::new(folder)?.put(&blob_name(digest), 0, write)
}

/// Adds an entry to a layout's index; one with the same tag is replaced.
pub(crate) fn add_entry(folder: &Path, root: &Descriptor, tag: Option<&str>) -> Result<()> {
    let mut sink = FolderSink::new(folder)?;
    let there = sink.read("index.json").and_then(|bytes| Index::parse(&bytes).ok());
    let mut index = there.unwrap_or_else(|| Index::oci(Vec::new()));
    let mut entry = Descriptor::new(&root.media_type, root.digest, root.size);
    entry.platform.clone_from(&root.platform);
    if let Some(tag) = tag {
        entry.annotations.insert(TAG.to_owned(), tag.to_owned());
    }
    index.manifests.retain(|known| match tag {
        Some(tag) => known.annotations.get(TAG).map(String::as_str) != Some(tag),
        None => known.digest != entry.digest,
    });
    index.manifests.push(entry);
    bytes(&mut sink, "index.json", &index.to_bytes())?;
    bytes(&mut sink, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
}
