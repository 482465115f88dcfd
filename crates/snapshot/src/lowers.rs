//! What a stack is mounted from: folders, and in place of the folders of large plans images, which cost one file to
//! make instead of one for each of theirs. Where images cannot be mounted, everything is a folder.

use crate::nested::{self, Part};
use crate::{Error, Forms, Result};
use layer::{ErofsOptions, Flavour, LayerId, Listing, Owners, Packs, StoredContent, View};
use progress::VertexHandle;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A plan of fewer entries and bytes becomes a folder, which later starts mount without more ado.
const MANY: usize = 32;
const LARGE: u64 = 1 << 20;

/// The directories of a stack, lowest first, as overlayfs takes them.
#[derive(Debug, Default)]
pub struct Lowers {
    paths: Vec<PathBuf>,
    /// Mounts that some of the paths lead to.
    mounts: Vec<Arc<OwnedFd>>,
}

impl Lowers {
    /// The directories. They are there while this lives; a mount made from them keeps them by itself.
    #[must_use]
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// The mounts that some of the paths lead to, as `/proc/self/fd/` and their number.
    #[must_use]
    pub fn mounts(&self) -> &[Arc<OwnedFd>] {
        &self.mounts
    }

    /// One more on top.
    pub fn push(&mut self, folder: PathBuf) {
        self.paths.push(folder);
    }

    /// One more on top that is a mount.
    pub fn push_mount(&mut self, mount: Arc<OwnedFd>) {
        self.paths.push(format!("/proc/self/fd/{}", mount.as_raw_fd()).into());
        self.mounts.push(mount);
    }
}

/// What a layer is mounted from.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// Its folder, and whether that hides some of what is below; nothing where nobody has asked yet.
    Folder(Option<bool>),
    /// Its image, mounted once, so that all steps share what the kernel keeps of it.
    Image(Arc<OwnedFd>),
}

/// The layers that this process has seen to be fit for mounting; its lease keeps them here. Each step asks for its whole
/// stack: a chain would look up every layer once for each step above it.
#[derive(Debug, Default)]
pub(crate) struct Mountable {
    forms: Mutex<HashMap<LayerId, Form>>,
    /// Whether an image could not be mounted: nobody tries again.
    no_images: AtomicBool,
}

impl Mountable {
    fn forms(&self) -> MutexGuard<'_, HashMap<LayerId, Form>> {
        self.forms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Forms {
    /// What a stack is mounted from that others will stand on; pulls what is missing.
    pub fn lowers(&self, stack: &[LayerId], vertex: &VertexHandle) -> Result<Lowers> {
        if !self.nested.is_for(stack.len()) {
            return self.lowers_once(stack, vertex);
        }
        self.mountable(stack, vertex)?;
        let parts = self.parts(stack)?;
        let mut lowers = Lowers::default();
        for run in nested::runs(&parts) {
            if run.len() > 1
                && let Some(mount) = self.run(&stack[run.clone()])
            {
                lowers.push_mount(mount);
                continue;
            }
            for at in run {
                self.push(&mut lowers, stack, at)?;
            }
        }
        Ok(lowers)
    }

    /// What a stack is mounted from once, by a container; pulls what is missing.
    pub fn lowers_once(&self, stack: &[LayerId], vertex: &VertexHandle) -> Result<Lowers> {
        self.mountable(stack, vertex)?;
        let mut lowers = Lowers::default();
        for at in 0..stack.len() {
            self.push(&mut lowers, stack, at)?;
        }
        Ok(lowers)
    }

    /// Puts one layer of a stack that can be mounted on top of those below.
    fn push(&self, lowers: &mut Lowers, stack: &[LayerId], at: usize) -> Result<()> {
        let form = self.mountable.forms().get(&stack[at]).cloned();
        match form.ok_or(Error::NoLayer { id: stack[at] })? {
            Form::Folder(_) => lowers.push(self.folder(stack[at])),
            Form::Image(mount) => lowers.push_mount(mount),
        }
        Ok(())
    }

    /// How the layers of a stack that can be mounted are mounted with others.
    pub(crate) fn parts(&self, stack: &[LayerId]) -> Result<Vec<Part>> {
        let mut parts = Vec::with_capacity(stack.len());
        let mut forms = self.mountable.forms();
        for id in stack {
            let mut form = forms.get(id);
            if let Some(Form::Folder(None)) = form {
                drop(forms);
                let hides = self.store().listing(*id)?.hides();
                forms = self.mountable.forms();
                forms.insert(*id, Form::Folder(Some(hides)));
                form = forms.get(id);
            }
            parts.push(match form {
                Some(Form::Folder(Some(false))) => Part::Adds,
                Some(Form::Folder(_)) => Part::Hides,
                Some(Form::Image(_)) | None => Part::Apart,
            });
        }
        Ok(parts)
    }

    /// Sees to it that every layer of a stack can be mounted; pulls what is missing.
    fn mountable(&self, stack: &[LayerId], vertex: &VertexHandle) -> Result<()> {
        // Those on top are new; what is below them was asked for by the steps that made them.
        let known = {
            let forms = self.mountable.forms();
            stack.iter().take_while(|id| forms.contains_key(id)).count()
        };
        if known == stack.len() {
            return Ok(());
        }
        let infos = self.complete(&stack[known..], vertex)?;
        for (at, info) in (known..).zip(&infos) {
            let image = if info.folder { None } else { self.image(stack, at)? };
            if !info.folder && image.is_none() {
                self.materialize(stack, at)?;
            }
            let form = image.map_or(Form::Folder(None), Form::Image);
            self.mountable.forms().entry(info.id).or_insert(form);
        }
        Ok(())
    }

    /// The directory of a layer that has a folder.
    pub(crate) fn folder(&self, id: LayerId) -> PathBuf {
        self.store().layer_dir(id).join("fs")
    }

    /// Whether images are worth a try.
    fn has_images(&self) -> bool {
        self.flavour() == Flavour::Trusted
            && self.owners() == Owners::Keep
            && !self.mountable.no_images.load(Ordering::Relaxed)
    }

    /// A plan as a mounted image, or nothing where a folder is better or an image not to be had.
    fn image(&self, stack: &[LayerId], at: usize) -> Result<Option<Arc<OwnedFd>>> {
        let id = stack[at];
        if !self.has_images() {
            return Ok(None);
        }
        let path = match self.store().layer_image(id)? {
            Some(path) => path,
            None => {
                let listing = self.store().listing(id)?;
                if listing.len() < MANY && listing.size() < LARGE {
                    return Ok(None);
                }
                let fill = self.fill(id)?;
                if fill.info().folder {
                    return Ok(None);
                }
                match fill.image()? {
                    Some(path) => path,
                    None => {
                        let below = self.view(&stack[..at])?;
                        let mut content = self.content(id, &listing)?;
                        let file = fill.new_image()?;
                        if !self.write_image(id, fill.dir(), &listing, &mut content, &below, file)? {
                            return Ok(None);
                        }
                        fill.commit_image()?
                    }
                }
            }
        };
        self.mount_image(&path)
    }

    /// The listing of a draft in `dir` as a mounted image, or nothing where a folder is better or an image not to be
    /// had.
    pub fn draft_image(&self, id: LayerId, dir: &Path, listing: &Listing) -> Result<Option<Arc<OwnedFd>>> {
        if !self.has_images() || (listing.len() < MANY && listing.size() < LARGE) {
            return Ok(None);
        }
        let path = dir.join("image");
        let file = File::create(&path).map_err(|source| io("make", &path, source))?;
        let mut content = self.content_at(dir, listing)?;
        if !self.write_image(id, dir, listing, &mut content, &View::default(), file)? {
            return Ok(None);
        }
        self.mount(&path, |device| if device == id { dir.to_owned() } else { self.store().layer_dir(device) })
    }

    /// Writes an image; false where an image cannot hold the listing.
    fn write_image(
        &self,
        id: LayerId,
        dir: &Path,
        listing: &Listing,
        content: &mut StoredContent,
        below: &View,
        mut file: File,
    ) -> Result<bool> {
        let borrowed = listing.borrowed().iter().map(|other| pack_size(&self.store().layer_dir(*other)));
        let packs = Packs { own: pack_size(dir)?, borrowed: borrowed.collect::<Result<_>>()? };
        let options = ErofsOptions { packs, lower: Some(below), ..ErofsOptions::new(id) };
        match layer::write_erofs(listing, content, &mut file, &options) {
            Ok(()) => Ok(true),
            Err(layer::Error::Unfit { .. }) => Ok(false),
            Err(source) => Err(Error::Layer { what: format!("image of layer {id}"), source }),
        }
    }

    fn mount_image(&self, path: &Path) -> Result<Option<Arc<OwnedFd>>> {
        self.mount(path, |device| self.store().layer_dir(device))
    }

    /// Mounts an image whose devices' packs lie in these directories. What cannot be mounted is nothing to fail for.
    fn mount(&self, path: &Path, dir: impl Fn(LayerId) -> PathBuf) -> Result<Option<Arc<OwnedFd>>> {
        let file = File::open(path).map_err(|source| io("open", path, source))?;
        let devices = layer::erofs_devices(&file)
            .map_err(|source| Error::Layer { what: format!("image {}", path.display()), source })?;
        let devices: Vec<PathBuf> = devices.into_iter().map(|device| dir(device).join("pack")).collect();
        let mounted = sandbox::erofs::mount_detached(path, &devices).and_then(|mount| {
            // Kernels before 6.15 make no overlay of a detached mount, nor a copy of it, which is quicker to try.
            sandbox::mount::bind_detached_fd(&mount, false, true).map(|_| mount)
        });
        match mounted {
            Ok(mount) => Ok(Some(Arc::new(mount))),
            Err(_) => {
                self.mountable.no_images.store(true, Ordering::Relaxed);
                Ok(None)
            }
        }
    }
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}

fn pack_size(dir: &Path) -> Result<Option<u64>> {
    let path = dir.join("pack");
    match std::fs::metadata(&path) {
        Ok(known) => Ok(Some(known.len())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(io("look at", &path, source)),
    }
}
