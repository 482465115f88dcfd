//! Layers in the making: drafts of new ones, and forms added to those that are there.

use crate::inner::{Store, locked, random, random_name};
use crate::layers::{DiffId, LayerInfo, insert_pins, set_diff_id};
use crate::lock::{FileLock, Mode, Wait, still_named};
use crate::{Error, Result, tree};
use layer::{LayerId, Listing};
use oci::{Descriptor, Digest};
use rusqlite::params;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The image form while it is being written.
const IMAGE_DRAFT: &str = "image.tmp";

/// Whether a folder, a pack and a listing are there.
pub(crate) type Forms = (bool, bool, bool);

/// A layer in the making. Dropped without [`Store::commit`] it is removed.
#[derive(Debug)]
pub struct LayerDraft {
    store: Store,
    id: LayerId,
    path: PathBuf,
    /// The folder itself, locked.
    _lock: File,
    pub(crate) size: u64,
    pub(crate) disk: u64,
    pub(crate) borrowed: Vec<LayerId>,
    pub(crate) diff_id: Option<DiffId>,
    pub(crate) blobs: Vec<Descriptor>,
    committed: bool,
}

impl LayerDraft {
    /// The layer's name.
    #[must_use]
    pub fn id(&self) -> LayerId {
        self.id
    }

    /// The layer's folder in the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// Where the folder form belongs.
    #[must_use]
    pub fn fs(&self) -> PathBuf {
        self.path.join("fs")
    }

    /// Where overlayfs's work folder belongs.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// Where the pack file belongs.
    #[must_use]
    pub fn pack(&self) -> PathBuf {
        self.path.join("pack")
    }

    /// Makes `fs` (mode 0755, as a root directory is) and `work`, and gives them.
    pub fn make_folders(&self) -> Result<(PathBuf, PathBuf)> {
        let (files, work) = (self.fs(), self.work());
        make(&files, 0o755)?;
        make(&work, 0o700)?;
        Ok((files, work))
    }

    /// Writes the listing; the layer keeps what it borrows alive, and its size is that of its own and borrowed files.
    pub fn write_listing(&mut self, listing: &Listing) -> Result<()> {
        // Nobody sees a draft, so the file may be half-written for a while.
        let written = write_listing(&self.path.join("listing"), listing)?;
        (self.size, self.disk, self.borrowed) = (written.size, written.disk, written.borrowed);
        Ok(())
    }

    /// Says how large the layer is in bytes, where there is no listing.
    pub fn set_size(&mut self, size: u64) {
        (self.size, self.disk) = (size, size);
    }

    /// Says what the layer's tar is.
    pub fn set_diff_id(&mut self, diff_id: DiffId) {
        self.diff_id = Some(diff_id);
    }

    /// Says that a blob in the store is this layer's tar.
    pub fn add_blob(&mut self, descriptor: Descriptor) {
        self.blobs.push(descriptor);
    }

    /// Which forms are there: folder, pack, listing.
    pub(crate) fn forms(&self) -> Forms {
        let has = |name| fs::symlink_metadata(self.path.join(name)).is_ok();
        (has("fs"), has("pack"), has("listing"))
    }

    pub(crate) fn committed(mut self) {
        self.committed = true;
    }
}

impl Drop for LayerDraft {
    fn drop(&mut self) {
        if !self.committed {
            // What stays is swept by the next collection.
            let _ = self.store.discard(&self.path);
        }
    }
}

/// A layer that is being given another form, under the layer's lock.
#[derive(Debug)]
pub struct LayerFill {
    store: Store,
    info: LayerInfo,
    path: PathBuf,
    folder: Option<PathBuf>,
    listing: Option<Written>,
    diff_id: Option<DiffId>,
    _lock: FileLock,
}

impl LayerFill {
    /// What the layer has now; read after the lock was taken, so another process may have done the work.
    #[must_use]
    pub fn info(&self) -> &LayerInfo {
        &self.info
    }

    /// The layer's folder in the store (it holds `fs`, `listing`, `pack`).
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.path
    }

    /// A new empty folder to fill (mode 0755), which becomes `fs` on commit.
    pub fn new_folder(&mut self) -> Result<PathBuf> {
        let path = self.path.join(format!("fs.tmp-{:016x}", u64::from_be_bytes(random()?)));
        make(&path, 0o755)?;
        self.folder = Some(path.clone());
        Ok(path)
    }

    /// Writes the listing, for a layer that had none or whose bytes now stand elsewhere.
    pub fn write_listing(&mut self, listing: &Listing) -> Result<()> {
        let (draft, place) = (self.path.join("listing.tmp"), self.path.join("listing"));
        self.listing = Some(write_listing(&draft, listing)?);
        fs::rename(&draft, &place).map_err(|e| Error::io("put in place", &place, e))?;
        locked(&self.store.inner.listings).remove(&self.info.id);
        Ok(())
    }

    /// The layer's image form, if it was made since the machine booted.
    pub fn image(&self) -> Result<Option<PathBuf>> {
        self.store.layer_image(self.info.id)
    }

    /// A new empty file for the image form, which takes its place by [`commit_image`](Self::commit_image).
    pub fn new_image(&self) -> Result<File> {
        let path = self.path.join(IMAGE_DRAFT);
        File::create(&path).map_err(|e| Error::io("make", &path, e))
    }

    /// Puts the image in place. No row tells of it and no sync waits for it: after the next boot it is made anew.
    pub fn commit_image(self) -> Result<PathBuf> {
        let (draft, place) = (self.path.join(IMAGE_DRAFT), self.store.image_path(self.info.id)?);
        fs::rename(&draft, &place).map_err(|e| Error::io("put in place", &place, e))?;
        Ok(place)
    }

    /// Says what the layer's tar is.
    pub fn set_diff_id(&mut self, diff_id: DiffId) {
        self.diff_id = Some(diff_id);
    }

    /// Puts what was made in place.
    pub fn commit(mut self) -> Result<LayerInfo> {
        let store = self.store.clone();
        let id = self.info.id;
        let mut made = false;
        if let Some(folder) = self.folder.take() {
            let place = self.path.join("fs");
            // One that is there was made in vain: its row was lost to a power cut or a kill.
            store.discard(&place)?;
            fs::rename(&folder, &place).map_err(|e| Error::io("put in place", &place, e))?;
            made = true;
        }
        let folder = made;
        let listing = self.listing.take();
        store.write(|transaction| {
            let tick = store.tick(transaction)?;
            let changed = transaction
                .prepare_cached(
                    "UPDATE layers SET folder = folder OR ?2, listing = listing OR ?3, size = coalesce(?4, size),
                         disk = coalesce(?5, iif(?2, size, disk)), last_used = ?6,
                         folder_boot = iif(?2, ?7, folder_boot), listing_boot = iif(?3, ?7, listing_boot)
                     WHERE id = ?1",
                )?
                .execute(params![
                    &id.as_bytes()[..],
                    folder,
                    listing.is_some(),
                    listing.as_ref().map(|written| written.size as i64),
                    listing.as_ref().map(|written| written.disk as i64),
                    tick,
                    store.boot()?
                ])?;
            if changed == 0 {
                return Err(Error::Layer { id, reason: "was removed while it was being unpacked" });
            }
            if let Some(written) = &listing {
                insert_pins(transaction, id, &written.borrowed)?;
            }
            if let Some(diff_id) = self.diff_id {
                set_diff_id(transaction, id, diff_id)?;
            }
            Ok(())
        })?;
        store.made_something();
        if folder && let Some(written) = &listing {
            store.wrote(written.disk);
        }
        store.layer(id)?.ok_or_else(|| Error::not_found("layer", id))
    }
}

impl Drop for LayerFill {
    fn drop(&mut self) {
        if let Some(folder) = self.folder.take() {
            let _ = self.store.discard(&folder);
        }
    }
}

impl Store {
    /// Begins a layer.
    pub fn new_layer(&self) -> Result<LayerDraft> {
        self.leased()?;
        loop {
            let id = LayerId::from_bytes(random()?);
            let path = self.layer_dir(id);
            make(&path, 0o700)?;
            let Ok(lock) = File::open(&path) else { continue };
            lock.lock().map_err(|e| Error::io("lock", &path, e))?;
            // A collector may have taken it for an abandoned one before it was locked.
            if still_named(&lock, &path) {
                return Ok(LayerDraft {
                    store: self.clone(),
                    id,
                    path,
                    _lock: lock,
                    size: 0,
                    disk: 0,
                    borrowed: Vec::new(),
                    diff_id: None,
                    blobs: Vec::new(),
                    committed: false,
                });
            }
        }
    }

    /// Takes the layer's lock to give it another form (its folder, or all of it after a pull). Ask
    /// [`LayerFill::info`] first: while this waited another process may have done it.
    pub fn fill_layer(&self, id: LayerId, wait: Wait<'_>) -> Result<LayerFill> {
        let lock =
            FileLock::take(&self.path(&format!("locks/layer-{id}")), Mode::Exclusive, wait)?.removing();
        let info = self.layer(id)?.ok_or_else(|| Error::not_found("layer", id))?;
        let path = self.layer_dir(id);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|e| Error::io("make", &path, e))?;
        // What a killed process or one before the last boot left here; nobody else is at it under this lock.
        let image = self.image_path(id)?;
        for entry in fs::read_dir(&path).map_err(|e| Error::io("read", &path, e))?.flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            let old_image = name.starts_with(b"image") && image.file_name() != Some(&entry.file_name());
            if name.starts_with(b"fs.tmp-") || old_image {
                self.discard(&entry.path())?;
            }
        }
        let store = self.clone();
        Ok(LayerFill { store, info, path, folder: None, listing: None, diff_id: None, _lock: lock })
    }

    /// A layer's image form, if it was made since the machine booted: a file to be mounted in place of the folder. What
    /// it refers to, packs of this layer and of those that it borrows from, stays as long as the layer does.
    pub fn layer_image(&self, id: LayerId) -> Result<Option<PathBuf>> {
        let path = self.image_path(id)?;
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(Some(path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("look at", &path, e)),
        }
    }

    fn image_path(&self, id: LayerId) -> Result<PathBuf> {
        let boot = Digest::of(self.boot()?.as_bytes()).hex();
        Ok(self.layer_dir(id).join(format!("image-{}", &boot[..16])))
    }

    /// Moves a file or folder to the trash and removes it there.
    pub(crate) fn discard(&self, path: &Path) -> Result<()> {
        match self.to_trash(path)? {
            Some(trash) => tree::remove(&trash),
            None => Ok(()),
        }
    }

    /// Moves a file or folder to the trash; `None` if it is not there.
    pub(crate) fn to_trash(&self, path: &Path) -> Result<Option<PathBuf>> {
        let trash = self.path("trash").join(random_name()?);
        match fs::rename(path, &trash) {
            Ok(()) => Ok(Some(trash)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io("move to the trash", path, e)),
        }
    }
}

fn make(path: &Path, mode: u32) -> Result<()> {
    DirBuilder::new().mode(mode).create(path).map_err(|e| Error::io("make", path, e))?;
    if mode == 0o755 {
        // Whatever the umask says.
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
            .map_err(|e| Error::io("set the permissions of", path, e))?;
    }
    Ok(())
}

/// What a listing says that goes into the row.
#[derive(Debug)]
struct Written {
    /// The bytes of all files.
    size: u64,
    /// The bytes of those that this layer holds.
    disk: u64,
    borrowed: Vec<LayerId>,
}

fn write_listing(path: &Path, listing: &Listing) -> Result<Written> {
    let mut file = File::create(path).map_err(|e| Error::io("make", path, e))?;
    listing.encode_to(&mut file).map_err(|e| Error::io("write", path, e))?;
    Ok(Written { size: listing.size(), disk: listing.own_size(), borrowed: listing.borrowed().to_vec() })
}
