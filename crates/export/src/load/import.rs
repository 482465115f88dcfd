//! From checked documents to images in the store: missing layers are unpacked, all become visible together.

use super::members::{Counting, Hashing, Members, reason};
use super::{Loaded, ours, wrong};
use crate::{Error, Result};
use layer::{Compression, LayerId, Listing, ReadAhead, UnpackOptions};
use oci::{Descriptor, Digest, Hasher, ImageConfig, Platform, Reference, media_type};
use progress::VertexHandle;
use snapshot::Forms;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use store::{Commit, DiffId, LayerDraft, NewIndex, Store};

/// An image of the archive, its documents read and checked.
pub(super) struct Found {
    pub(super) id: Digest,
    config: Vec<u8>,
    layers: Vec<(Digest, Part)>,
    manifest: Option<(Descriptor, Vec<u8>)>,
    pub(super) names: Vec<Reference>,
    /// What its configuration says that it is for.
    platform: Platform,
}

/// What is loaded.
pub(super) struct Contents {
    pub(super) images: Vec<Found>,
    pub(super) indexes: Vec<FoundIndex>,
}

/// An index of the archive that a name stands for.
pub(super) struct FoundIndex {
    pub(super) root: Descriptor,
    pub(super) bytes: Vec<u8>,
    /// The manifests of its images that are there, with their configurations' digests.
    pub(super) images: Vec<(Digest, Digest)>,
    /// The other manifests that are there, and what these name, as members.
    pub(super) others: Vec<(String, Digest)>,
    pub(super) names: Vec<Reference>,
}

impl Contents {
    /// Leaves out the images that are not for a platform. Of indexes only that image is there already.
    pub(super) fn keep_for(&mut self, platform: &Platform, name: &str) -> Result<()> {
        let indexes = &self.indexes;
        let of_index =
            |image: &Found| indexes.iter().any(|index| index.images.iter().any(|(_, id)| *id == image.id));
        let mut known: Vec<String> = self.images.iter().map(|image| image.platform.to_string()).collect();
        self.images.retain(|image| of_index(image) || platform.rank(&image.platform).is_some());
        if self.images.is_empty() {
            known.dedup();
            return Err(wrong(
                name,
                format!("it has no image for {platform}, only for: {}", known.join(", ")),
            ));
        }
        Ok(())
    }
}

/// Where a layer's bytes are.
#[derive(Clone)]
pub(super) struct Part {
    /// The member of the archive.
    pub(super) path: String,
    /// What a manifest says it is.
    pub(super) descriptor: Option<Descriptor>,
}

impl Found {
    pub(super) fn new(
        id: Digest,
        config: Vec<u8>,
        parsed: ImageConfig,
        parts: Vec<Part>,
        manifest: Option<(Descriptor, Vec<u8>)>,
        names: Vec<Reference>,
        name: &str,
    ) -> Result<Self> {
        let platform = parsed.platform();
        let diff_ids = parsed.rootfs.diff_ids;
        if diff_ids.len() != parts.len() {
            let (layers, diffs) = (parts.len(), diff_ids.len());
            return Err(wrong(
                name,
                format!("image {id} has {layers} layers, its configuration names {diffs}"),
            ));
        }
        let layers = diff_ids.into_iter().zip(parts).collect();
        Ok(Self { id, config, layers, manifest, names, platform })
    }
}

/// A layer that was unpacked.
enum Unpacked {
    /// A new one, not visible yet.
    Draft(LayerDraft),
    /// One that the store knew and could only have pulled.
    Filled(LayerId),
}

/// Puts the images into the store.
pub(super) fn import(
    store: &Store,
    forms: &Forms,
    members: &dyn Members,
    found: Contents,
    name: &str,
    vertex: &VertexHandle,
) -> Result<Vec<Loaded>> {
    let Contents { images: found, indexes } = found;
    let mut known: HashMap<Digest, LayerId> = HashMap::new();
    let mut seen = HashSet::new();
    let mut missing: Vec<(Digest, &Part, Option<LayerId>)> = Vec::new();
    for (diff_id, part) in found.iter().flat_map(|image| &image.layers) {
        if !seen.insert(*diff_id) {
            continue;
        }
        let here = store.layer_by_diff_id(diff_id)?;
        match here.map(|id| store.layer(id)).transpose()?.flatten() {
            Some(info) if info.is_local() => {
                known.insert(*diff_id, info.id);
            }
            remote => missing.push((*diff_id, part, remote.map(|info| info.id))),
        }
    }
    let unpacker = Unpacker { store, forms, members, name, vertex };
    let mut layers = Vec::new();
    for (diff_id, unpacked) in unpacker.all(&missing)? {
        match unpacked {
            Unpacked::Draft(draft) => {
                known.insert(diff_id, draft.id());
                layers.push(draft);
            }
            Unpacked::Filled(id) => {
                known.insert(diff_id, id);
            }
        }
    }
    if !layers.is_empty() {
        store.commit(Commit { layers, ..Commit::default() })?;
    }
    let mut loaded = Vec::with_capacity(found.len());
    for image in found {
        let stack = image.layers.iter().map(|(diff_id, _)| known[diff_id]).collect();
        let Found { id, config, manifest, names, layers, .. } = image;
        let of_index = manifest.as_ref().is_some_and(|(descriptor, _)| {
            indexes.iter().any(|index| index.images.contains(&(descriptor.digest, id)))
        });
        if of_index {
            keep_blobs(store, members, &known, &layers)?;
        }
        if !of_index || !names.is_empty() {
            loaded.push(Loaded { id, names: names.clone() });
        }
        store.put_image(&store::NewImage { config, stack, manifest, names, pulled: None })?;
    }
    for index in indexes {
        loaded.push(put_index(store, members, index, name)?);
    }
    Ok(loaded)
}

/// Keeps the very blobs of layers, also where a layer is known by another one: the index must leave as it came.
fn keep_blobs(
    store: &Store,
    members: &dyn Members,
    known: &HashMap<Digest, LayerId>,
    layers: &[(Digest, Part)],
) -> Result<()> {
    for (diff_id, Part { path, descriptor }) in layers {
        let Some(descriptor) = descriptor else { continue };
        if store.has_blob(&descriptor.digest)?.is_none()
            && members.blob(path, Some(descriptor.digest))?.is_some()
        {
            store.add_layer_blob(known[diff_id], descriptor)?;
        }
    }
    Ok(())
}

/// Gives an index whose images are in the store its names.
fn put_index(store: &Store, members: &dyn Members, index: FoundIndex, name: &str) -> Result<Loaded> {
    let FoundIndex { root, bytes, images, others, names } = index;
    store.put_blob(&bytes, &root.media_type)?;
    for (path, digest) in &others {
        let kept = members.blob(path, Some(*digest))?;
        kept.ok_or_else(|| wrong(name, format!("`{path}` is named and not there")))?;
    }
    let others = others.into_iter().map(|(_, digest)| digest).collect();
    let machine = Platform::host();
    let id = images.first().map(|(_, id)| *id);
    let new = NewIndex { root, images, others, names, machine };
    if !new.names.is_empty() {
        store.put_index(&new)?;
    }
    let named = new.names.first().map(|name| store.image_id(&name.to_string())).transpose()?.flatten();
    let id = named.or(id).ok_or_else(|| wrong(name, "an index has none of its images there"))?;
    Ok(Loaded { id, names: new.names })
}

struct Unpacker<'a> {
    store: &'a Store,
    forms: &'a Forms,
    members: &'a dyn Members,
    name: &'a str,
    vertex: &'a VertexHandle,
}

impl Unpacker<'_> {
    /// Unpacks the layers, as many at once as there are processors.
    fn all(&self, missing: &[(Digest, &Part, Option<LayerId>)]) -> Result<Vec<(Digest, Unpacked)>> {
        let next = AtomicUsize::new(0);
        let done: Mutex<Result<Vec<(Digest, Unpacked)>>> = Mutex::new(Ok(Vec::new()));
        let lock = || done.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some((diff_id, part, remote)) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if lock().is_err() {
                    return;
                }
                let unpacked = self.one(diff_id, part, *remote);
                let mut done = lock();
                match (&mut *done, unpacked) {
                    (Ok(all), Ok(unpacked)) => all.push((*diff_id, unpacked)),
                    (Ok(_), Err(error)) => *done = Err(error),
                    (Err(_), _) => {}
                }
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..cores.min(missing.len()) {
                scope.spawn(work);
            }
            work();
        });
        done.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn one(&self, diff_id: &Digest, part: &Part, remote: Option<LayerId>) -> Result<Unpacked> {
        let Part { path, descriptor } = part;
        let expected = descriptor.as_ref().map(|descriptor| descriptor.digest);
        let (digest, size) = self
            .members
            .blob(path, expected)?
            .ok_or_else(|| wrong(self.name, format!("layer `{path}` is named and not there")))?;
        let mut blob = self.store.open_blob(&digest)?;
        let descriptor = match descriptor {
            Some(descriptor) if descriptor.size != size => {
                let named = descriptor.size;
                return Err(wrong(
                    self.name,
                    format!("layer `{path}` has {size} bytes, its manifest names {named}"),
                ));
            }
            Some(descriptor) => Descriptor::new(&descriptor.media_type, digest, size),
            None => Descriptor::new(self.kind(&mut blob, path)?, digest, size),
        };
        if media_type::layer_compression(&descriptor.media_type).is_none() {
            let kind = &descriptor.media_type;
            return Err(wrong(
                self.name,
                format!("layer `{path}` has the type `{kind}`, which is not supported"),
            ));
        }
        let transfer = Arc::new(self.vertex.transfer(format!("unpacking {digest}"), size));
        let blob = Counting { inner: blob, transfer: transfer.clone() };
        let unpacked = match remote {
            Some(id) => {
                let fill = self.store.fill_layer(id, &mut || true)?;
                if !fill.info().is_local() {
                    self.forms
                        .unpack(fill, blob, &descriptor.media_type, 0)
                        .map_err(|error| self.damaged(path, error))?;
                }
                self.store.add_layer_blob(id, &descriptor)?;
                Unpacked::Filled(id)
            }
            None => {
                let (mut draft, listing, size) = self.draft(diff_id, blob, path)?;
                let plain = descriptor.media_type == media_type::OCI_LAYER && part.descriptor.is_none();
                let mut writer = 0;
                if plain {
                    let mut content = self.forms.content_at(draft.dir(), &listing)?;
                    if ours::is_ours(&listing, &mut content, self.store.open_blob(&digest)?) {
                        writer = layer::WRITER_VERSION;
                    }
                }
                if writer == 0 {
                    draft.add_blob(descriptor);
                }
                draft.set_diff_id(DiffId { digest: *diff_id, size, writer });
                Unpacked::Draft(draft)
            }
        };
        if let Some(transfer) = Arc::into_inner(transfer) {
            transfer.done();
        }
        Ok(unpacked)
    }

    /// A layer's media type by its first bytes.
    fn kind(&self, blob: &mut File, path: &str) -> Result<&'static str> {
        let fail = |source| Error::Io { action: "read the blob of", path: path.into(), source };
        let mut start = Vec::new();
        Read::by_ref(blob).take(6).read_to_end(&mut start).map_err(fail)?;
        blob.rewind().map_err(fail)?;
        let compression = match layer::sniff(&start) {
            Compression::None => media_type::Compression::None,
            Compression::Gzip => media_type::Compression::Gzip,
            Compression::Zstd => media_type::Compression::Zstd,
            other => {
                let reason =
                    format!("layer `{path}` is compressed with {}, which is not supported", other.name());
                return Err(wrong(self.name, reason));
            }
        };
        Ok(media_type::layer(compression, false))
    }

    /// Unpacks into a layer that nobody sees yet. Gives also its listing and the size of its tar.
    fn draft(
        &self,
        diff_id: &Digest,
        blob: impl Read + Send + 'static,
        path: &str,
    ) -> Result<(LayerDraft, Listing, u64)> {
        let mut draft = self.store.new_layer()?;
        let folder = draft.fs();
        let io = |source| Error::Io { action: "make", path: folder.clone(), source };
        std::fs::create_dir(&folder).map_err(io)?;
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&folder, mode).map_err(io)?;
        let options = UnpackOptions {
            flavour: self.forms.flavour(),
            owners: self.forms.owners(),
            ..UnpackOptions::default()
        };
        let damaged = |error: layer::Error| wrong(self.name, format!("layer `{path}`: {}", reason(error)));
        let tar = layer::decompress(blob, options.max_bytes).map_err(damaged)?;
        let tar: Box<dyn Read> =
            if tar.kind() == Compression::None { Box::new(tar) } else { Box::new(ReadAhead::new(tar)) };
        let mut hashing = Hashing { inner: tar, hasher: Hasher::new() };
        let directory = snapshot::open_directory(&folder)?;
        let listing = layer::unpack(&mut hashing, directory.as_fd(), None, &options).map_err(damaged)?;
        let size = hashing.hasher.size();
        let digest = hashing.hasher.finish();
        if digest != *diff_id {
            let reason =
                format!("layer `{path}` has the digest {digest}, its image's configuration names {diff_id}");
            return Err(wrong(self.name, reason));
        }
        draft.write_listing(&listing)?;
        Ok((draft, listing, size))
    }

    fn damaged(&self, path: &str, error: snapshot::Error) -> Error {
        match error {
            snapshot::Error::Layer { source, .. } => {
                wrong(self.name, format!("layer `{path}`: {}", reason(source)))
            }
            error => error.into(),
        }
    }
}
