//! Archives of images: what `docker save` writes, and OCI layouts (image-spec, image-layout.md), as a tar or a folder.
//!
//! ```text
//! docker:  blobs/sha256/<config>  blobs/sha256/<diff id: plain tar>...  manifest.json
//! oci:     oci-layout  index.json  blobs/sha256/<manifest> <config> <layer: tar+gzip>...
//! ```
//!
//! A Docker archive's layers are plain tars, written straight from the layers; an OCI archive's are compressed once and
//! kept in the store. Times in the archive are 0 and owners 0, so the same images give the same bytes.

use crate::{Error, Result};
use layer::{Compression, LayerId};
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use serde::Serialize;
use snapshot::Forms;
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;
use store::{Image, Store};

/// Which archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What `docker save` writes and `docker load` reads.
    Docker,
    /// An OCI layout.
    Oci,
}

impl Kind {
    /// What people are told.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker image format",
            Self::Oci => "oci image format",
        }
    }
}

/// An image for an archive, and what it is called in it.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its id.
    pub image: Digest,
    /// Its names there; none is allowed.
    pub names: Vec<Reference>,
}

/// Writes an archive.
pub fn save(store: &Store, forms: &Forms, images: &[Saved], kind: Kind, out: &mut dyn Write) -> Result<()> {
    let mut sink = TarSink { builder: tar::Builder::new(out), written: HashSet::new() };
    match kind {
        Kind::Docker => docker(store, forms, images, &mut sink)?,
        Kind::Oci => oci(store, forms, images, &mut sink)?,
    }
    sink.builder.finish().map_err(archive_error)
}

/// Writes an OCI layout into a folder; one that is there already gets the images added.
pub fn save_layout(store: &Store, forms: &Forms, images: &[Saved], folder: &Path) -> Result<()> {
    let io = |source| Error::Io { action: "make", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder.join("blobs/sha256")).map_err(io)?;
    oci(store, forms, images, &mut FolderSink { folder })
}

/// Where members go.
trait Sink {
    /// Writes a member of a known size; a blob that is there already is not written again.
    fn put(
        &mut self,
        name: &str,
        size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()>;
    /// The index that is there already.
    fn index(&self) -> Option<Index>;
}

struct TarSink<'a> {
    builder: tar::Builder<&'a mut dyn Write>,
    written: HashSet<String>,
}

impl Sink for TarSink<'_> {
    fn put(
        &mut self,
        name: &str,
        size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        if !self.written.insert(name.to_owned()) {
            return Ok(());
        }
        let mut header = tar::Header::new_ustar();
        header.set_path(name).map_err(archive_error)?;
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        header.set_cksum();
        let out = self.builder.get_mut();
        out.write_all(header.as_bytes()).map_err(archive_error)?;
        let mut counted = Counted { inner: out, count: 0 };
        write(&mut counted)?;
        if counted.count != size {
            let reason = format!("{name} came out with {} bytes, not with {size}", counted.count);
            return Err(Error::Archive { name: "output".to_owned(), reason });
        }
        let padding = (512 - size % 512) % 512;
        out.write_all(&[0; 512][..usize::try_from(padding).unwrap_or(0)]).map_err(archive_error)
    }

    fn index(&self) -> Option<Index> {
        None
    }
}

struct FolderSink<'a> {
    folder: &'a Path,
}

impl Sink for FolderSink<'_> {
    fn put(
        &mut self,
        name: &str,
        _size: u64,
        write: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
    ) -> Result<()> {
        let path = self.folder.join(name);
        if name.starts_with("blobs/") && path.exists() {
            return Ok(());
        }
        let part = self.folder.join(format!("{name}.part"));
        let io = |source| Error::Io { action: "write", path: part.clone(), source };
        let mut file = std::fs::File::create(&part).map_err(io)?;
        write(&mut file)?;
        std::fs::rename(&part, &path).map_err(io)
    }

    fn index(&self) -> Option<Index> {
        Index::parse(&std::fs::read(self.folder.join("index.json")).ok()?).ok()
    }
}

struct Counted<'a> {
    inner: &'a mut dyn Write,
    count: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn archive_error(source: std::io::Error) -> Error {
    Error::Io { action: "write", path: "the archive".into(), source }
}

fn bytes(sink: &mut dyn Sink, name: &str, bytes: &[u8]) -> Result<()> {
    sink.put(name, bytes.len() as u64, &mut |out| out.write_all(bytes).map_err(archive_error))
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

fn find(store: &Store, image: &Saved) -> Result<Image> {
    store.image(&image.image.to_string())?.ok_or_else(|| Error::NoImage { name: image.image.to_string() })
}

/// An entry of manifest.json.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

fn docker(store: &Store, forms: &Forms, images: &[Saved], sink: &mut dyn Sink) -> Result<()> {
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
        let repo_tags =
            saved.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
        entries.push(DockerImage { config, repo_tags, layers });
    }
    let manifest = serde_json::to_vec(&entries).expect("because it holds only strings");
    bytes(sink, "manifest.json", &manifest)
}

/// The size of a layer's tar that nobody has measured yet.
fn tar_size(forms: &Forms, id: LayerId) -> Result<u64> {
    let mut counted = Counted { inner: &mut std::io::sink(), count: 0 };
    forms.write_tar(id, &mut counted)?;
    Ok(counted.count)
}

/// The manifest of an image with gzip layers, and the descriptors that it names. A pulled image keeps its own.
pub(crate) fn manifest(store: &Store, forms: &Forms, image: &Image) -> Result<(Descriptor, Vec<u8>)> {
    if let Some(descriptor) = &image.manifest
        && store.has_blob(&descriptor.digest)?.is_some()
    {
        return Ok((descriptor.clone(), store.read_blob(&descriptor.digest, oci::MAX_DOCUMENT)?));
    }
    let layers = image
        .stack
        .iter()
        .map(|id| Ok(forms.compressed(*id, Compression::Gzip)?))
        .collect::<Result<Vec<_>>>()?;
    let config = Descriptor::new(media_type::OCI_CONFIG, image.id, image.config.len() as u64);
    let manifest = Manifest::oci(config, layers);
    Ok((manifest.descriptor(), manifest.to_bytes()))
}

fn oci(store: &Store, forms: &Forms, images: &[Saved], sink: &mut dyn Sink) -> Result<()> {
    let mut index = sink.index().unwrap_or_else(|| Index::oci(Vec::new()));
    for saved in images {
        let image = find(store, saved)?;
        let (descriptor, document) = manifest(store, forms, &image)?;
        let parsed = Manifest::parse(&document)?;
        for (id, layer) in image.stack.iter().zip(&parsed.layers) {
            sink.put(&blob_name(&layer.digest), layer.size, &mut |out| {
                let mut blob = forms.blob(*id, layer)?;
                copy(&mut blob, out)
            })?;
        }
        bytes(sink, &blob_name(&image.id), &image.config)?;
        bytes(sink, &blob_name(&descriptor.digest), &document)?;
        let config = ImageConfig::parse(&image.config)?;
        let mut entry = Descriptor::new(&descriptor.media_type, descriptor.digest, descriptor.size);
        entry.platform = Some(Platform {
            os: config.os,
            architecture: config.architecture,
            variant: config.variant,
            ..Platform::default()
        });
        let names: Vec<Option<&Reference>> =
            if saved.names.is_empty() { vec![None] } else { saved.names.iter().map(Some).collect() };
        for name in names {
            let mut entry = entry.clone();
            if let Some(name) = name {
                entry.annotations.insert("io.containerd.image.name".to_owned(), name.to_string());
                let tag = name.tag().unwrap_or("latest").to_owned();
                entry.annotations.insert("org.opencontainers.image.ref.name".to_owned(), tag);
            }
            index.manifests.retain(|known| {
                let key = "io.containerd.image.name";
                known.digest != entry.digest || known.annotations.get(key) != entry.annotations.get(key)
            });
            index.manifests.push(entry);
        }
    }
    bytes(sink, "index.json", &index.to_bytes())?;
    bytes(sink, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
}

fn copy(from: &mut dyn Read, out: &mut dyn Write) -> Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = from.read(&mut buffer).map_err(|source| Error::Io {
            action: "read",
            path: "a blob".into(),
            source,
        })?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count]).map_err(archive_error)?;
    }
}
