//! The forms: remote layers are pulled, plans become folders, listings lie over each other.

use crate::lowers::Mountable;
use crate::nested::Nested;
use crate::{BoxError, Error, Result};
use layer::{
    ContentSource, Flavour, Kind, LayerFiles, LayerId, Listing, MaterializeOptions, Owners, StoredContent,
    UnpackOptions, View,
};
use oci::{Descriptor, Hasher};
use progress::{Progress, Transfer, VertexHandle};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use store::{BlobWriter, DiffId, LayerFill, LayerInfo, Remote, Store, Xattrs};

/// The annotation of a layer's descriptor that says when it was made, as BuildKit's caches have it.
pub const CREATED: &str = "buildkit/createdat";

/// Who fetches blobs of images.
pub trait Fetcher: Send + Sync {
    /// Where to ask for the blob of a layer that is known to be at `reference`, in order: there, and wherever else it
    /// may be had.
    fn sources(&self, reference: &str, descriptor: &Descriptor) -> Vec<String> {
        let _ = descriptor;
        vec![reference.to_owned()]
    }

    /// Writes the blob to `sink`, but for the bytes that `taken` has hashed: an earlier try got them. Its digest and size
    /// are checked as bytes arrive; `progress` is told how many there are.
    fn fetch(
        &self,
        reference: &str,
        descriptor: &Descriptor,
        taken: Hasher,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), BoxError>;
}

/// So many stacks are remembered that were looked at.
const MOST_VIEWS: usize = 8;
/// A listing of more entries is in none of them: it is let go when no step uses it.
const LARGE: usize = 100_000;

/// What a stack shows. Its layers are here, and the lease of this process keeps them here.
#[derive(Debug)]
struct Viewed {
    stack: Box<[LayerId]>,
    view: View,
}

/// Gives layers the forms that are asked for.
#[derive(Clone)]
pub struct Forms {
    store: Store,
    fetcher: Arc<dyn Fetcher>,
    single_id: bool,
    parallel: usize,
    cancelled: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Where pulls are shown that nobody waits for under a name of their own.
    progress: Progress,
    /// Where layers are shown that are compressed.
    packing: VertexHandle,
    pub(crate) mountable: Arc<Mountable>,
    pub(crate) nested: Arc<Nested>,
    /// The stacks that were looked at last, the latest first.
    views: Arc<Mutex<Vec<Viewed>>>,
}

impl Forms {
    /// Forms of one store's layers. `parallel` layers are pulled at once.
    #[must_use]
    pub fn new(store: Store, fetcher: Arc<dyn Fetcher>, single_id: bool, parallel: usize) -> Self {
        let (mountable, nested, views) = Default::default();
        let cancelled = Arc::new(|| false);
        let progress = Progress::none();
        Self {
            store,
            fetcher,
            single_id,
            parallel: parallel.max(1),
            cancelled,
            progress,
            packing: VertexHandle::none(),
            mountable,
            nested,
            views,
        }
    }

    /// These forms, whose pulls, unpacking and waits end soon after `cancelled` answers true, with
    /// [`Error::Cancelled`].
    #[must_use]
    pub fn with_cancel(mut self, cancelled: Arc<dyn Fn() -> bool + Send + Sync>) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// These forms, which show pulls that no vertex is given for as vertices of their own.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// These forms, which show at `vertex` how far they are with each layer that they compress.
    #[must_use]
    pub fn packing_at(mut self, vertex: &VertexHandle) -> Self {
        self.packing = vertex.clone();
        self
    }

    pub(crate) fn packing(&self) -> &VertexHandle {
        &self.packing
    }

    /// Does what pulls, told to `vertex` or, where nobody listens to that, to a vertex that `name` gives its name.
    fn told<T>(
        &self,
        vertex: &VertexHandle,
        name: impl FnOnce() -> String,
        work: impl FnOnce(&VertexHandle) -> Result<T>,
    ) -> Result<T> {
        if vertex.is_heard() {
            return work(vertex);
        }
        let own = self.progress.start(&name());
        let done = work(&own);
        match &done {
            Ok(_) => own.done(),
            Err(error) => own.fail(&error.to_string()),
        }
        done
    }

    fn check(&self) -> Result<()> {
        if (self.cancelled)() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Takes a layer's lock to give it another form.
    pub(crate) fn fill(&self, id: LayerId) -> Result<LayerFill> {
        let filled = self.store.fill_layer(id, &mut || !(self.cancelled)());
        self.check()?;
        Ok(filled?)
    }

    /// How overlayfs marks what is hidden in this store.
    #[must_use]
    pub fn flavour(&self) -> Flavour {
        match self.store.options().xattrs {
            Xattrs::Trusted => Flavour::Trusted,
            Xattrs::User => Flavour::User,
        }
    }

    /// Who owns the files of folders.
    #[must_use]
    pub fn owners(&self) -> Owners {
        if self.single_id { Owners::ListingOnly } else { Owners::Keep }
    }

    /// Sees to it that the files of all these layers are here, with a listing; pulls what is missing.
    pub fn complete(&self, stack: &[LayerId], vertex: &VertexHandle) -> Result<Vec<LayerInfo>> {
        let infos = self.infos(stack)?;
        let missing: Vec<usize> = (0..stack.len()).filter(|at| !infos[*at].listing).collect();
        if missing.is_empty() {
            return Ok(infos);
        }
        let name = || {
            let remote = infos[missing[0]].remote.as_ref().map_or("", |remote| &remote.reference);
            let layers = if missing.len() == 1 { "layer" } else { "layers" };
            format!("pulling {} {layers} of {remote}", missing.len())
        };
        self.told(vertex, name, |vertex| self.pull_all(stack, &missing, vertex))?;
        self.infos(stack)
    }

    /// Pulls these layers of a stack, several at once.
    fn pull_all(&self, stack: &[LayerId], missing: &[usize], vertex: &VertexHandle) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let pull = || {
            while let Some(at) = missing.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
                    return;
                }
                if let Err(error) = self.pull(stack, *at, vertex) {
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.parallel.min(missing.len()) {
                scope.spawn(pull);
            }
            pull();
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    pub(crate) fn infos(&self, stack: &[LayerId]) -> Result<Vec<LayerInfo>> {
        let infos = self.store.layers(stack)?;
        infos.into_iter().zip(stack).map(|(info, id)| info.ok_or(Error::NoLayer { id: *id })).collect()
    }

    /// Fetches one layer's blob and unpacks it.
    fn pull(&self, stack: &[LayerId], at: usize, vertex: &VertexHandle) -> Result<()> {
        let id = stack[at];
        let fill = self.fill(id)?;
        if fill.info().listing {
            return Ok(());
        }
        let Some(remote) = fill.info().remote.clone() else { return Err(Error::NoLayer { id }) };
        let descriptor = &remote.descriptor;
        let blob = self.fetch(&remote, vertex)?;
        self.unpack(fill, blob, &descriptor.media_type, at)?;
        // What a shared cache says: the image that is made of it has the same times as where it was made.
        if let Some(made) = descriptor.annotations.get(CREATED).and_then(|text| oci::timestamp::parse(text)) {
            self.store.set_layer_made(id, made)?;
        }
        self.store.add_layer_blob(id, descriptor)?;
        Ok(())
    }

    /// A blob of a registry; it is fetched unless it is here.
    fn fetch(&self, remote: &Remote, vertex: &VertexHandle) -> Result<File> {
        let descriptor = &remote.descriptor;
        if self.store.has_blob(&descriptor.digest)?.is_none() {
            let sources = self.fetcher.sources(&remote.reference, descriptor);
            for (at, reference) in sources.iter().enumerate() {
                let fetched = self.fetch_from(reference, descriptor, vertex);
                match (fetched, sources.get(at + 1)) {
                    (Err(error @ Error::Fetch { .. }), Some(next)) => {
                        vertex.note(&format!("{}; it is fetched from {next}", in_one_line(&error)));
                    }
                    (done, _) => {
                        done?;
                        break;
                    }
                }
            }
        }
        Ok(self.store.open_blob(&descriptor.digest)?)
    }

    /// Fetches a blob from one place into the store, or what an earlier try did not get of it.
    fn fetch_from(&self, reference: &str, descriptor: &Descriptor, vertex: &VertexHandle) -> Result<()> {
        let transfer = vertex.transfer(descriptor.digest.to_string(), descriptor.size);
        let writer = || -> Result<BlobWriter> {
            let writer = self.store.resume_blob(descriptor.digest, descriptor.size)?;
            Ok(writer.media_type(&descriptor.media_type))
        };
        let first = writer()?;
        let taken = first.size();
        let (mut fetched, got) = self.fetch_into(first, reference, descriptor, &transfer);
        if fetched.is_err() && taken > 0 && got == descriptor.size {
            // All is there, and it is wrong: nobody knows whose part is, so it is fetched anew.
            fetched = self.fetch_into(writer()?, reference, descriptor, &transfer).0;
        }
        fetched?;
        transfer.done();
        Ok(())
    }

    /// Fetches what a writer lacks. Says how many bytes there were in the end, too.
    fn fetch_into(
        &self,
        mut writer: BlobWriter,
        reference: &str,
        descriptor: &Descriptor,
        transfer: &Transfer,
    ) -> (Result<()>, u64) {
        let (taken, progress) = (writer.taken(), |bytes| transfer.set(bytes));
        let mut sink = Stoppable { inner: &mut writer, cancelled: &*self.cancelled };
        let fetched = self.fetcher.fetch(reference, descriptor, taken, &mut sink, &progress);
        let fetch_error = |source| Error::Fetch {
            reference: reference.to_owned(),
            digest: descriptor.digest.to_string(),
            source,
        };
        let size = writer.size();
        let fetched = self.check().and_then(|()| fetched.map_err(fetch_error));
        (fetched.and_then(|()| Ok(writer.commit().map(drop)?)), size)
    }

    pub(crate) fn layer_files(&self, id: LayerId) -> Result<LayerFiles> {
        layer_files(&self.store.layer_dir(id))
    }

    /// A blob of a layer, from the store or from where it can be had again.
    pub fn blob(&self, id: LayerId, descriptor: &Descriptor) -> Result<File> {
        if self.store.has_blob(&descriptor.digest)?.is_some() {
            return Ok(self.store.open_blob(&descriptor.digest)?);
        }
        let info = self.infos(&[id])?.remove(0);
        let known = info.remote.filter(|remote| remote.descriptor.digest == descriptor.digest);
        let remote = match known {
            Some(remote) => remote,
            None => {
                let sources = self.store.blob_sources(&descriptor.digest)?;
                let reference = sources.into_iter().next().ok_or(Error::NoLayer { id })?;
                Remote { reference, descriptor: descriptor.clone() }
            }
        };
        let name = || format!("pulling {} of {}", descriptor.digest, remote.reference);
        self.told(&VertexHandle::none(), name, |vertex| self.fetch(&remote, vertex))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn parallel(&self) -> usize {
        self.parallel
    }

    /// Unpacks a layer's tar into its folder. The digest of the tar must be the diff id that the layer is known by.
    pub fn unpack(
        &self,
        mut fill: LayerFill,
        blob: impl Read + Send + 'static,
        media_type: &str,
        at: usize,
    ) -> Result<()> {
        let what = || format!("layer {at} of the image");
        let layer_error = |source| Error::Layer { what: what(), source };
        let folder = fill.new_folder()?;
        let directory = open_directory(&folder)?;
        if oci::media_type::layer_compression(media_type).is_none() {
            return Err(Error::MediaType { media_type: media_type.to_owned() });
        }
        let options =
            UnpackOptions { flavour: self.flavour(), owners: self.owners(), ..UnpackOptions::default() };
        let tar = layer::decompress(blob, options.max_bytes).map_err(layer_error)?;
        // Decompression on one core, hashing and writing on another: the largest layer is most of a pull.
        let tar = layer::ReadAhead::new(tar);
        let tar = Stoppable { inner: tar, cancelled: &*self.cancelled };
        let mut hashing = Hashing { inner: tar, hasher: Hasher::new() };
        let unpacked = layer::unpack(&mut hashing, directory.as_fd(), None, &options);
        self.check()?;
        let listing = unpacked.map_err(layer_error)?;
        let size = hashing.hasher.size();
        let digest = hashing.hasher.finish();
        let expected = fill.info().diff_id.map(|known| known.digest);
        if expected.is_some_and(|expected| expected != digest) {
            return Err(Error::Layer {
                what: what(),
                source: layer::Error::Archive {
                    reason: format!(
                        "its tar has the digest {digest}, its image's configuration names {}",
                        expected.map(|d| d.to_string()).unwrap_or_default()
                    ),
                },
            });
        }
        fill.write_listing(&listing)?;
        fill.set_diff_id(DiffId { digest, size, writer: 0 });
        fill.commit()?;
        Ok(())
    }

    /// What a stack shows; pulls what is missing.
    pub fn view(&self, stack: &[LayerId]) -> Result<View> {
        let below = self.viewed(stack);
        let known = below.layers().len();
        if known == stack.len() {
            return Ok(below);
        }
        self.complete(&stack[known..], &VertexHandle::none())?;
        let listings = stack[known..].iter().map(|id| self.store.listing(*id));
        let view = below.with(listings.collect::<std::result::Result<Vec<_>, _>>()?);
        if view.layers().iter().all(|listing| listing.len() <= LARGE) {
            let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
            views.truncate(MOST_VIEWS - 1);
            views.insert(0, Viewed { stack: stack.into(), view: view.clone() });
        }
        Ok(view)
    }

    /// The view of as many of the lowest layers of a stack as were looked at together lately. Each step looks at its whole
    /// stack: a chain would look up every layer once for each step above it.
    fn viewed(&self, stack: &[LayerId]) -> View {
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        let below = views.iter().enumerate().filter(|(_, viewed)| stack.starts_with(&viewed.stack));
        let Some((at, _)) = below.max_by_key(|(_, viewed)| viewed.stack.len()) else {
            return View::default();
        };
        views[..=at].rotate_right(1);
        views[0].view.clone()
    }

    /// The folders of a stack, lowest first: plans become folders.
    pub fn folders(&self, stack: &[LayerId], vertex: &VertexHandle) -> Result<Vec<PathBuf>> {
        let infos = self.complete(stack, vertex)?;
        for (at, info) in infos.iter().enumerate() {
            if !info.folder {
                self.materialize(stack, at)?;
            }
        }
        Ok(stack.iter().map(|id| self.store.layer_dir(*id).join("fs")).collect())
    }

    pub(crate) fn materialize(&self, stack: &[LayerId], at: usize) -> Result<()> {
        let mut fill = self.fill(stack[at])?;
        if fill.info().folder {
            return Ok(());
        }
        let listing = self.store.listing(stack[at])?;
        let below = self.view(&stack[..at])?;
        let folder = fill.new_folder()?;
        self.write_folder(&listing, &mut self.content(stack[at], &listing)?, &folder, &below)?;
        fill.commit()?;
        Ok(())
    }

    /// Writes the folder form of a listing.
    pub fn write_folder(
        &self,
        listing: &Listing,
        content: &mut dyn ContentSource,
        folder: &Path,
        below: &View,
    ) -> Result<()> {
        let directory = open_directory(folder)?;
        let options =
            MaterializeOptions { flavour: self.flavour(), owners: self.owners(), lower: Some(below) };
        layer::materialize(listing, content, directory.as_fd(), &options)
            .map_err(|source| Error::Layer { what: format!("folder {}", folder.display()), source })
    }

    /// The bytes of a layer's files.
    pub fn content(&self, id: LayerId, listing: &Listing) -> Result<StoredContent> {
        self.content_at(&self.store.layer_dir(id), listing)
    }

    /// The bytes of a listing whose own files are below `dir`, a layer's directory in the store.
    pub fn content_at(&self, dir: &Path, listing: &Listing) -> Result<StoredContent> {
        let borrowed = listing
            .borrowed()
            .iter()
            .map(|id| layer_files(&self.store.layer_dir(*id)))
            .collect::<Result<Vec<_>>>()?;
        Ok(StoredContent::new(layer_files(dir)?, borrowed))
    }

    /// Reads one file of a stack, links followed; nothing where it is not there or no regular file.
    ///
    /// # Errors
    /// A file larger than `limit` bytes is an error.
    pub fn read(&self, view: &View, stack: &[LayerId], path: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        self.read_some(view, stack, path, |size| {
            if size > limit {
                return Err(Error::TooLarge { path: path.to_owned(), size, limit });
            }
            Ok(size)
        })
    }

    /// The first bytes of a file of a stack, `most` of them at most; as [`Forms::read`] otherwise.
    ///
    /// # Errors
    /// As [`Forms::read`], but for the size.
    pub fn read_start(
        &self,
        view: &View,
        stack: &[LayerId],
        path: &str,
        most: u64,
    ) -> Result<Option<Vec<u8>>> {
        self.read_some(view, stack, path, |size| Ok(size.min(most)))
    }

    fn read_some(
        &self,
        view: &View,
        stack: &[LayerId],
        path: &str,
        how_much: impl Fn(u64) -> Result<u64>,
    ) -> Result<Option<Vec<u8>>> {
        let layer_error = |source| Error::Layer { what: format!("file /{path}"), source };
        let real = view.resolve(path.as_bytes(), true).map_err(layer_error)?;
        let Some(found) = view.get(&real) else { return Ok(None) };
        let entry = found.entry();
        let Kind::File { size, .. } = entry.kind else { return Ok(None) };
        let wanted = usize::try_from(how_much(size)?).unwrap_or(usize::MAX);
        let listing = self.store.listing(stack[found.layer()])?;
        let mut content = self.content(stack[found.layer()], &listing)?;
        match content.bytes(&entry).map_err(layer_error)? {
            layer::Bytes::Here(bytes) => Ok(Some(bytes[..wanted.min(bytes.len())].to_vec())),
            layer::Bytes::In { file, offset } => {
                let mut bytes = vec![0; wanted];
                std::os::unix::fs::FileExt::read_exact_at(file, &mut bytes, offset)
                    .map_err(|source| Error::Io { action: "read", path: path.into(), source })?;
                Ok(Some(bytes))
            }
        }
    }
}

/// An error with its causes.
fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(now) = cause {
        text = format!("{text}: {now}");
        cause = now.source();
    }
    text
}

/// The folder and the pack of a layer's directory, as far as they are there.
fn layer_files(dir: &Path) -> Result<LayerFiles> {
    let folder = match open_directory(&dir.join("fs")) {
        Ok(folder) => Some(Arc::new(folder)),
        Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let pack = match File::open(dir.join("pack")) {
        Ok(pack) => Some(Arc::new(pack)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(Error::Io { action: "open", path: dir.join("pack"), source }),
    };
    Ok(LayerFiles { folder, pack })
}

/// Opens a directory for work below it by descriptor.
pub fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::Io { action: "open", path: path.to_owned(), source: error.into() })
}

/// Reads or writes until the work is not wanted any more.
struct Stoppable<'a, T> {
    inner: T,
    cancelled: &'a (dyn Fn() -> bool + Send + Sync),
}

impl<T> Stoppable<'_, T> {
    fn check(&self) -> std::io::Result<()> {
        if (self.cancelled)() { Err(std::io::Error::other("cancelled")) } else { Ok(()) }
    }
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.check()?;
        self.inner.read(buffer)
    }
}

impl<W: Write> Write for Stoppable<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
