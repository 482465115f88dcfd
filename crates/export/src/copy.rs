//! Images from one place to another without a store in between: from a registry or a layout to a registry or a layout.
//!
//! Documents and blobs go over byte for byte, so digests stay. Blobs first, then each document after what it names; the
//! name last. What the target has is not sent; what it can mount from another of its repositories is not sent either.

use crate::place::{Fetched, Place};
use crate::push::Layer;
use crate::{Error, Result};
use oci::{Descriptor, Index, Manifest, Platform, media_type};
use progress::VertexHandle;
use registry::Pushed;
use std::collections::HashSet;
use std::io::{PipeWriter, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

/// How many blobs are under way at once.
const PARALLEL: usize = 4;
/// Indexes in indexes end here.
const DEEPEST: usize = 4;
/// The most documents that one name stands for.
const MOST: usize = 1000;

/// What goes over.
pub struct Copier<'a> {
    /// Where it is.
    pub from: &'a Place<'a>,
    /// Where it goes.
    pub to: &'a Place<'a>,
    /// Where transfers are shown.
    pub vertex: &'a VertexHandle,
    /// Called for each blob as it arrives, from several threads.
    pub tell: &'a (dyn Fn(&Layer) + Sync),
}

impl Copier<'_> {
    /// Copies what the source's name stands for: with a platform that platform's image alone, else everything. Gives what
    /// the target's name stands for afterwards.
    ///
    /// # Errors
    /// What the registries say; documents or blobs that are damaged; no image of that platform.
    pub fn copy(&self, platform: Option<&Platform>) -> Result<Descriptor> {
        let mut root = self.from.resolve()?;
        if let Some(platform) = platform
            && media_type::is_index(&root.descriptor.media_type)
        {
            let index = Index::parse(&root.bytes)?;
            let chosen = index.choose(platform).ok_or_else(|| Error::NoPlatform {
                name: self.from.to_string(),
                platform: platform.to_string(),
            })?;
            root = self.from.document(chosen)?;
        }
        self.tree(&root)?;
        self.to.name(&root)?;
        Ok(root.descriptor)
    }

    /// Copies a document and all that it names, without naming it.
    ///
    /// # Errors
    /// As [`Self::copy`].
    pub fn tree(&self, root: &Fetched) -> Result<()> {
        let (mut documents, mut blobs) = (Vec::new(), Vec::new());
        self.collect(root, 0, &mut documents, &mut blobs)?;
        self.blobs(&blobs)?;
        for document in &documents {
            self.to.put(document)?;
        }
        Ok(())
    }

    /// Everything below a document, each once; documents after what they name.
    fn collect(
        &self,
        fetched: &Fetched,
        depth: usize,
        documents: &mut Vec<Fetched>,
        blobs: &mut Vec<Descriptor>,
    ) -> Result<()> {
        let known = |digest| documents.iter().any(|one: &Fetched| one.descriptor.digest == digest);
        if known(fetched.descriptor.digest) {
            return Ok(());
        }
        if depth > DEEPEST || documents.len() >= MOST {
            return Err(Error::TooMany { name: self.from.to_string() });
        }
        if media_type::is_index(&fetched.descriptor.media_type) {
            for entry in Index::parse(&fetched.bytes)?.manifests {
                let inner = self.from.document(&entry)?;
                self.collect(&inner, depth + 1, documents, blobs)?;
            }
        } else {
            let manifest = Manifest::parse(&fetched.bytes)?;
            let mut seen: HashSet<_> = blobs.iter().map(|blob| blob.digest).collect();
            for blob in manifest.layers.into_iter().chain([manifest.config]) {
                if seen.insert(blob.digest) {
                    blobs.push(blob);
                }
            }
        }
        documents.push(fetched.clone());
        Ok(())
    }

    fn blobs(&self, blobs: &[Descriptor]) -> Result<()> {
        let next = AtomicUsize::new(0);
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let lock = || failed.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            while let Some(blob) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                if lock().is_some() {
                    return;
                }
                match self.blob(blob) {
                    Ok(pushed) => (self.tell)(&Layer { descriptor: blob.clone(), pushed }),
                    Err(error) => {
                        lock().get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..PARALLEL.min(blobs.len()) {
                scope.spawn(work);
            }
            work();
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn blob(&self, blob: &Descriptor) -> Result<Pushed> {
        let transfer = self.vertex.transfer(blob.digest.to_string(), blob.size);
        let done = match self.to {
            Place::Registry { client, reference } => {
                let mount = self.to.mounts_from(self.from);
                self.streamed(blob, |open| {
                    Ok(client
                        .push_blob(reference, blob, open, mount.as_deref(), &|sent| transfer.set(sent))?)
                })?
            }
            Place::Layout(name) => {
                let added = crate::layout::add_blob(&name.folder, blob, &mut |out| {
                    self.from.blob(blob, out, &|sent| transfer.set(sent))
                })?;
                if added { Pushed::Uploaded } else { Pushed::Existed }
            }
        };
        match done {
            Pushed::Uploaded => transfer.done(),
            Pushed::Existed | Pushed::Mounted => transfer.needless(),
        }
        Ok(done)
    }

    /// Gives `push` a way to read the source's blob while it is fetched: nothing is fetched unless that is called, and a
    /// second call fetches anew. What the source says is wrong beats what the target makes of it.
    fn streamed(
        &self,
        blob: &Descriptor,
        push: impl FnOnce(registry::Open<'_>) -> Result<Pushed>,
    ) -> Result<Pushed> {
        let (ask, asked) = mpsc::channel::<PipeWriter>();
        let source: Mutex<Option<Error>> = Mutex::new(None);
        let pushed = std::thread::scope(|scope| {
            let source = &source;
            scope.spawn(move || {
                while let Ok(mut pipe) = asked.recv() {
                    if let Err(error) = self.from.blob(blob, &mut pipe, &|_| {}) {
                        source.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
            let open = || -> std::io::Result<Box<dyn Read + Send>> {
                let (reader, writer) = std::io::pipe()?;
                ask.send(writer).map_err(std::io::Error::other)?;
                Ok(Box::new(reader))
            };
            let pushed = push(&open);
            drop(ask);
            pushed
        });
        match (pushed, source.into_inner().unwrap_or_else(PoisonError::into_inner)) {
            (Ok(pushed), _) => Ok(pushed),
            // A pipe that the target closed is the target's error.
            (Err(_), Some(error)) if !is_broken_pipe(&error) => Err(error),
            (Err(error), _) => Err(error),
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<std::io::Error>();
        if io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
            return true;
        }
        cause = error.source();
    }
    false
}
