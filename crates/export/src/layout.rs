//! OCI layouts (image-spec, image-layout.md), as a tar or a folder.
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/<index> <manifest> <config> <layer>...
//! ```
//!
//! `index.json` has an entry for each name of each bundle, with the annotations `org.opencontainers.image.ref.name` (the
//! tag) and `io.containerd.image.name` (the whole name). A folder that is a layout already gets the entries added; one
//! of the same name is replaced.
//!
//! What a build writes has `org.opencontainers.image.created` there, too, as from BuildKit, in whole seconds. BuildKit
//! takes SOURCE_DATE_EPOCH, or else the time at which it writes, so that no two of its archives are equal. Here it is the
//! time that the newest of the images says of itself ([`date`]), which is SOURCE_DATE_EPOCH where that is given: the same
//! images give the same bytes.

use crate::folder::Folder;
use crate::place::{Fetched, LayoutName};
use crate::sink::{FolderSink, Out, Sink, TarSink, archive_error, blob_name, bytes, put_layer};
use crate::{Bundle, Error, Follower, Result, archive};
use oci::{Descriptor, ImageConfig, Index, Manifest, Platform, Reference, media_type, timestamp};
use snapshot::Forms;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use store::Image;

const NAME: &str = "io.containerd.image.name";
pub(crate) const TAG: &str = "org.opencontainers.image.ref.name";
const CREATED: &str = "org.opencontainers.image.created";
/// The file `oci-layout`.
const VERSION: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// A layout that is written as a tar.
pub struct Archive<'a> {
    sink: TarSink<'a>,
    index: Index,
    /// For whom Docker's `manifest.json` is, and the images in it.
    docker: Option<(Platform, Vec<archive::DockerImage>)>,
}

impl<'a> Archive<'a> {
    /// Begins a layout.
    #[must_use]
    pub fn new(out: Out<'a>) -> Self {
        Self { sink: TarSink::new(out), index: Index::oci(Vec::new()), docker: None }
    }

    /// Begins a layout that has Docker's `manifest.json` beside its index, as newer Dockers write: whoever knows no
    /// layouts finds the image of each bundle that is for `machine`, or else its first.
    #[must_use]
    pub fn for_docker(out: Out<'a>, machine: Platform) -> Self {
        Self { docker: Some((machine, Vec::new())), ..Self::new(out) }
    }

    /// Has `make` make a bundle to be [added](Self::add), whose layers are in the archive as soon as they are compressed.
    ///
    /// # Errors
    /// What `make` says; the archive cannot be written.
    pub fn follow<E: From<Error>>(
        &mut self,
        forms: &Forms,
        make: impl FnOnce(&mut dyn Follower) -> Result<Bundle, E>,
    ) -> Result<Bundle, E> {
        self.sink.follow(forms, make)
    }

    /// Adds a bundle and what it is called; no name is allowed.
    ///
    /// # Errors
    /// Blobs that cannot be had; the archive cannot be written.
    pub fn add(&mut self, forms: &Forms, bundle: &Bundle, names: &[Reference]) -> Result<()> {
        blobs(forms, bundle, &mut self.sink)?;
        enter(&mut self.index, bundle, names);
        let Some((machine, images)) = &mut self.docker else { return Ok(()) };
        let mut best: Option<(Option<u32>, Manifest)> = None;
        for document in &bundle.manifests {
            let Ok(manifest) = Manifest::parse(&document.bytes) else { continue };
            let Some(rank) = rank(bundle, &manifest, machine) else { continue };
            if best.as_ref().is_none_or(|(known, _)| rank > *known) {
                best = Some((rank, manifest));
            }
        }
        images.extend(best.map(|(_, manifest)| {
            let layers = manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect();
            archive::DockerImage::new(blob_name(&manifest.config.digest), names, layers)
        }));
        Ok(())
    }

    /// Ends the layout.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub fn finish(mut self) -> Result<()> {
        bytes(&mut self.sink, "index.json", &self.index.to_bytes())?;
        if let Some((_, images)) = &self.docker {
            bytes(&mut self.sink, "manifest.json", &archive::DockerImage::list(images))?;
        }
        bytes(&mut self.sink, "oci-layout", VERSION)?;
        self.sink.finish()
    }
}

/// How well the image of a manifest fits a machine; nothing where it is no image's.
fn rank(bundle: &Bundle, manifest: &Manifest, machine: &Platform) -> Option<Option<u32>> {
    let kind = manifest.config.media_type.as_str();
    let config = bundle.configs.iter().find(|known| known.descriptor.digest == manifest.config.digest)?;
    let config = ImageConfig::parse(&config.bytes).ok().filter(|config| {
        matches!(kind, media_type::OCI_CONFIG | media_type::DOCKER_CONFIG) && config.os != "unknown"
    })?;
    Some(machine.rank(&config.platform()))
}

/// Dates the entry that a bundle will have in an index by the newest of its images, unless an annotation does.
pub fn date(bundle: &mut Bundle, images: &[Image]) {
    let made = |image: &Image| -> Option<SystemTime> {
        timestamp::parse(ImageConfig::parse(&image.config).ok()?.created.as_deref()?)
    };
    if let Some(newest) = images.iter().filter_map(made).max() {
        let since = newest.duration_since(UNIX_EPOCH).unwrap_or_default();
        let text = timestamp::rfc3339(UNIX_EPOCH + Duration::from_secs(since.as_secs()));
        bundle.root.annotations.entry(CREATED.to_owned()).or_insert(text);
    }
}

/// Writes a layout into a folder, which is made where it is missing.
///
/// # Errors
/// As [`Archive::add`].
pub fn write_folder(forms: &Forms, bundles: &[(Bundle, Vec<Reference>)], folder: &Path) -> Result<()> {
    let mut sink = FolderSink::new(folder)?;
    for (bundle, _) in bundles {
        blobs(forms, bundle, &mut sink)?;
    }
    change(folder, |index| {
        for (bundle, names) in bundles {
            enter(index, bundle, names);
        }
    })
}

/// Adds a bundle to a layout's folder, under a tag.
///
/// # Errors
/// As [`Archive::add`].
pub fn write_tagged(forms: &Forms, bundle: &Bundle, name: &LayoutName) -> Result<()> {
    blobs(forms, bundle, &mut FolderSink::new(&name.folder)?)?;
    add_entry(&name.folder, &bundle.root, name.tag.as_deref())
}

/// Writes what a bundle has.
fn blobs(forms: &Forms, bundle: &Bundle, sink: &mut dyn Sink) -> Result<()> {
    for blob in &bundle.layers {
        put_layer(sink, forms, blob)?;
    }
    for document in bundle.configs.iter().chain(&bundle.manifests) {
        bytes(sink, &blob_name(&document.descriptor.digest), &document.bytes)?;
    }
    Ok(())
}

/// Adds an entry for each name of a bundle, or one without a name.
fn enter(index: &mut Index, bundle: &Bundle, names: &[Reference]) {
    if names.is_empty() {
        put(index, bundle.root.clone());
    }
    for name in names {
        let mut entry = bundle.root.clone();
        entry.annotations.insert(NAME.to_owned(), name.to_string());
        entry.annotations.insert(TAG.to_owned(), name.tag().unwrap_or("latest").to_owned());
        put(index, entry);
    }
}

/// A name stands for one thing; what has none stands once.
fn put(index: &mut Index, entry: Descriptor) {
    index.manifests.retain(|known| match entry.annotations.get(NAME) {
        Some(name) => known.annotations.get(NAME) != Some(name),
        None => known.digest != entry.digest || known.annotations.contains_key(NAME),
    });
    index.manifests.push(entry);
}

/// Changes the index of a layout's folder, one process at a time.
fn change(path: &Path, change: impl FnOnce(&mut Index)) -> Result<()> {
    let folder = Folder::make(path)?;
    let _lock = folder.lock()?;
    let mut index = match folder.document("index.json", oci::MAX_DOCUMENT)? {
        Some(bytes) => Index::parse(&bytes).map_err(|error| Error::Layout {
            name: path.display().to_string(),
            reason: format!("its `index.json` cannot be read, and is left as it is: {error}"),
        })?,
        None => Index::oci(Vec::new()),
    };
    change(&mut index);
    let write =
        |name: &str, bytes: &[u8]| folder.put(name, &mut |out| out.write_all(bytes).map_err(archive_error));
    write("index.json", &index.to_bytes())?;
    write("oci-layout", VERSION)
}

/// Adds a blob to a layout's folder, which is made where it is missing; whether it was not there yet.
pub(crate) fn add_blob(
    folder: &Path,
    blob: &Descriptor,
    write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<bool> {
    let mut added = false;
    FolderSink::new(folder)?.put(&blob_name(&blob.digest), blob.size, &mut |out| {
        added = true;
        write(out)
    })?;
    Ok(added)
}

/// Adds a document to a layout's folder.
pub(crate) fn add_document(folder: &Path, document: &Fetched) -> Result<()> {
    let write = &mut |out: &mut dyn Write| out.write_all(&document.bytes).map_err(archive_error);
    add_blob(folder, &document.descriptor, write).map(|_| ())
}

/// Adds an entry to a layout's index; one with the same tag is replaced.
pub(crate) fn add_entry(folder: &Path, root: &Descriptor, tag: Option<&str>) -> Result<()> {
    let mut entry = Descriptor::new(&root.media_type, root.digest, root.size);
    entry.platform.clone_from(&root.platform);
    entry.annotations.clone_from(&root.annotations);
    if let Some(tag) = tag {
        entry.annotations.insert(TAG.to_owned(), tag.to_owned());
    }
    change(folder, |index| {
        index.manifests.retain(|known| match tag {
            Some(tag) => known.annotations.get(TAG).map(String::as_str) != Some(tag),
            None => known.digest != entry.digest,
        });
        index.manifests.push(entry);
    })
}

/// The name in the annotations of an entry, as it stands there. Containerd's is a full one.
pub(crate) fn label(entry: &Descriptor) -> Option<String> {
    let annotation = |key| entry.annotations.get(key).filter(|text| !text.is_empty()).cloned();
    annotation(NAME).or_else(|| annotation(TAG))
}

/// The image name that a label is. The specification lets `ref.name` be a bare tag (`latest`, `1.2`), which is no name
/// of an image.
pub(crate) fn reference(label: &str) -> Option<Reference> {
    let bare = !label.contains(['/', ':', '@']);
    let version = label.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit());
    if bare && (label == "latest" || version) {
        return None;
    }
    label.parse().ok()
}
