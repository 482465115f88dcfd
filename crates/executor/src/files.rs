//! The file operation: a plan, its bytes taken into the store, and its record.

use crate::mode::Chmod;
use crate::owner::{Ids, look_up};
use crate::place::{Localize, Manner, Plan};
use crate::select::{Take, Taken, clean};
use crate::worker::Worker;
use crate::{Error, Result};
use graph::{Copy, FileAction, FileOp};
use layer::{
    Content, ContentSource, Entry, Found, Kind, LayerId, Listing, PackWriter, Place, Time, UnpackOptions,
    View,
};
use oci::Digest;
use solver::{Input, NewRecord, Task};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use store::{Commit, LayerDraft};

/// As much of an archive is unpacked to see whether its first member can be read: more than long names and extended
/// headers take.
const FIRST_MEMBER: u64 = 16 << 20;

/// Files up to this size are read whole.
const SMALL: u64 = 128 << 10;

impl Worker {
    /// COPY, ADD, WORKDIR and here-documents: one layer on top of the first input.
    pub(crate) fn files(&self, task: &Task<'_>, op: &FileOp) -> Result<Vec<LayerId>> {
        let stack = stack(&task.inputs[0]);
        let base = self.forms.view(stack)?;
        let mut draft = self.store.new_layer()?;
        let (listing, taken_in) = self.plan(&base, stack, task.inputs, op, &draft)?;
        draft.write_listing(&listing)?;
        let id = draft.id();
        let mut made = stack.to_vec();
        made.push(id);
        self.spools.settle(&self.store, listing.borrowed())?;
        self.commit(task, vec![draft], &made)?;
        if task.record.is_some() {
            for (context, files) in &taken_in {
                self.tree(context)?.keep(id, files.iter().copied());
            }
        }
        Ok(made)
    }

    /// What `op` makes over `base`, with its bytes in the draft's pack or borrowed; and which files of which contexts
    /// are in the pack.
    pub(crate) fn plan(
        &self,
        base: &View,
        stack: &[LayerId],
        inputs: &[Input],
        op: &FileOp,
        draft: &LayerDraft,
    ) -> Result<(Listing, TakenIn)> {
        let mut bytes = Bytes::new(self, draft);
        let mut plan = Plan::new(base, now());
        for action in &op.actions {
            match action {
                FileAction::MakeDirectory(make) => {
                    let owner = self.owner(base, stack, make.owner.as_deref())?.unwrap_or_default();
                    plan.make_directory(&make.path, make.mode, owner)?;
                }
                FileAction::MakeFile(make) => {
                    let owner = self.owner(base, stack, make.owner.as_deref())?.unwrap_or_default();
                    let kind = bytes.text(make.content.as_bytes())?;
                    plan.file(&make.path, &make.name, make.mode, owner, kind)?;
                }
                FileAction::Copy(copy) => {
                    self.copy(&mut plan, &mut bytes, base, stack, &inputs[copy.input], copy)?;
                }
            }
        }
        let (borrowed, taken_in) = bytes.finish()?;
        Ok((plan.finish(borrowed), taken_in))
    }

    fn copy(
        &self,
        plan: &mut Plan<'_>,
        bytes: &mut Bytes<'_>,
        base: &View,
        stack: &[LayerId],
        source: &Input,
        copy: &Copy,
    ) -> Result<()> {
        let owner = self.owner(base, stack, copy.chown.as_deref())?;
        let chmod = copy.chmod.as_deref().map(Chmod::parse).transpose()?;
        let manner = Manner { owner, chmod: chmod.as_ref(), replace: false };
        let take = Take::Copy(copy);
        let view = self.view_of(source, |view| take.select(view))?;
        for one in &take.select(&view)? {
            if copy.unpack && !one.is_directory() && self.is_archive(source, one)? {
                self.unpack(plan, bytes, source, one, &copy.destination, owner)?;
                continue;
            }
            bytes.links.clear();
            plan.copy(one, &copy.destination, manner, &mut |found| bytes.localize(source, found))?;
        }
        Ok(())
    }

    /// What a mount shows of a source: the tree at `path` at exactly that place, or its content at the root.
    pub(crate) fn plan_tree(
        &self,
        source: &Input,
        path: &str,
        at_root: bool,
        draft: &LayerDraft,
    ) -> Result<Listing> {
        let take = Take::Tree(path);
        let view = self.view_of(source, |view| take.select(view))?;
        let empty = View::default();
        let mut bytes = Bytes::new(self, draft);
        let mut plan = Plan::new(&empty, now());
        for taken in &take.select(&view)? {
            let localize: &mut Localize<'_> = &mut |found| bytes.localize(source, found);
            if at_root {
                let manner = Manner { owner: None, chmod: None, replace: false };
                plan.copy(taken, "/", manner, localize)?;
            } else {
                plan.tree(taken, &clean(path.as_bytes()), localize)?;
            }
        }
        let (borrowed, _) = bytes.finish()?;
        self.spools.settle(&self.store, &borrowed)?;
        Ok(plan.finish(borrowed))
    }

    /// ADD of an archive: its content goes into the destination folder, and nowhere else. `--chmod` does not apply.
    fn unpack(
        &self,
        plan: &mut Plan<'_>,
        bytes: &mut Bytes<'_>,
        source: &Input,
        taken: &Taken<'_>,
        destination: &str,
        owner: Option<Ids>,
    ) -> Result<()> {
        let Some(root) = &taken.root else { return Ok(()) };
        let what = || format!("archive {}", String::from_utf8_lossy(root.path()));
        let archive_error = |source| Error::Layer { what: what(), source };
        let options = UnpackOptions { whiteouts: false, clamp: true, ..UnpackOptions::default() };
        let file = self.open(source, root)?;
        let pack = bytes.pack()?;
        let file = Stoppable { inner: file, worker: self };
        let unpacked = layer::decompress(file, options.max_bytes)
            .and_then(|tar| layer::unpack_to_pack(tar, pack, &options));
        if self.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Input::Local(name) = source {
            // What was unpacked must be what the key has: a file that changed meanwhile is another one still.
            let Kind::File { digest, .. } = root.entry().kind else { return Ok(()) };
            if self.digest_now(name, &root.entry())? != digest {
                return Err(changed(&root.entry()));
            }
        }
        let listing = unpacked.map_err(archive_error)?;
        let view = View::new(vec![Arc::new(listing)]);
        let content = Taken { name: Vec::new(), root: None, real: Vec::new(), below: view.below(b"") };
        let destination = format!("{}/", destination.trim_end_matches('/'));
        let manner = Manner { owner, chmod: None, replace: true };
        plan.copy(&content, &destination, manner, &mut |found| Ok(bytes.renumbered(found)))
    }

    /// The digest of a context's file as it is now.
    fn digest_now(&self, context: &str, entry: &Entry<'_>) -> Result<Digest> {
        let file = self.tree(context)?.open(entry)?;
        let mut hashing = PackWriter::new(std::io::sink());
        Ok(hashing.add_reader(file, &entry.path).map_err(pack_error)?.digest)
    }

    /// The bytes of a file of a context or of a snapshot.
    fn open(&self, source: &Input, found: &Found<'_>) -> Result<Box<dyn Read>> {
        let snapshot = match source {
            Input::Local(name) => return Ok(Box::new(self.tree(name)?.open(&found.entry())?)),
            Input::Snapshot(snapshot) => snapshot,
        };
        let id = snapshot.stack[found.layer()];
        let listing = self.store.listing(id)?;
        let mut content = self.forms.content(id, &listing)?;
        let what = || format!("file {}", String::from_utf8_lossy(found.path()));
        let bytes = content.bytes(&found.entry()).map_err(|source| Error::Layer { what: what(), source })?;
        Ok(match bytes {
            layer::Bytes::Here(bytes) => Box::new(std::io::Cursor::new(bytes.to_vec())),
            layer::Bytes::In { file, offset } => {
                let file = file.try_clone().map_err(|source| Error::Io {
                    action: "open",
                    path: what().into(),
                    source,
                })?;
                Box::new(Section { file, offset, left: found.entry().size() })
            }
        })
    }

    /// Whether a file is a tar, compressed or not: told by its first member, as BuildKit does. A file
    /// that is only compressed, or all zeros, is none.
    fn is_archive(&self, source: &Input, taken: &Taken<'_>) -> Result<bool> {
        let Some(root) = &taken.root else { return Ok(false) };
        if !matches!(root.entry().kind, Kind::File { .. }) {
            return Ok(false);
        }
        let file = self.open(source, root)?;
        let tar = match layer::decompress(file, FIRST_MEMBER) {
            Ok(tar) => tar,
            // It is known what it is packed with, and that nobody here can unpack it.
            Err(source @ layer::Error::Compression { .. }) => {
                let what = format!("archive {}", String::from_utf8_lossy(root.path()));
                return Err(Error::Layer { what, source });
            }
            Err(_) => return Ok(false),
        };
        Ok(matches!(layer::TarReader::new(tar).next(), Ok(Some(_))))
    }

    /// The numbers of an owner as written, looked up in the snapshot below.
    pub(crate) fn owner(&self, base: &View, stack: &[LayerId], owner: Option<&str>) -> Result<Option<Ids>> {
        let Some(owner) = owner else { return Ok(None) };
        look_up(owner, stack.is_empty(), |path| Ok(self.forms.read(base, stack, path, 1 << 20)?)).map(Some)
    }

    /// COPY --link: the layers of the second input over those of the first.
    pub(crate) fn merge(&self, task: &Task<'_>) -> Result<Vec<LayerId>> {
        let made: Vec<LayerId> = task.inputs.iter().flat_map(|input| stack(input).iter().copied()).collect();
        self.commit(task, Vec::new(), &made)?;
        Ok(made)
    }

    /// Makes layers and record visible in one transaction.
    pub(crate) fn commit(&self, task: &Task<'_>, layers: Vec<LayerDraft>, stack: &[LayerId]) -> Result<()> {
        let Some(NewRecord { key, text, links }) = &task.record else { return Ok(()) };
        let record = store::NewRecord {
            stack: stack.to_vec(),
            slot: task.node.about.slot.clone(),
            text: text.clone(),
            info: String::new(),
        };
        let links = links.iter().map(|link| (*link, *key)).collect();
        Ok(self.store.commit(Commit { layers, record: Some((*key, record)), links })?)
    }
}

/// The layers of an input that is a snapshot.
pub(crate) fn stack(input: &Input) -> &[LayerId] {
    match input {
        Input::Snapshot(snapshot) => &snapshot.stack,
        Input::Local(_) => &[],
    }
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanoseconds: since.subsec_nanos() }
}

/// Files of contexts that were read into a new layer's pack, by context: their numbers there and where they are.
type TakenIn = HashMap<String, Vec<(usize, u64)>>;

/// Where the bytes of a new layer come from.
struct Bytes<'a> {
    worker: &'a Worker,
    draft: &'a LayerDraft,
    pack: Option<PackWriter<File>>,
    borrowed: Vec<LayerId>,
    /// Link groups of the source by layer and number, and what they are in the new layer.
    links: HashMap<(LayerId, u32), u32>,
    last_link: u32,
    /// Context files under several names that are in the pack, by their group.
    linked: HashMap<u32, Kind<'static>>,
    /// Holds one small file after the other.
    small: Vec<u8>,
    taken_in: TakenIn,
}

/// Reads until the build is not wanted any more.
struct Stoppable<'a, R> {
    inner: R,
    worker: &'a Worker,
}

impl<R: Read> Read for Stoppable<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.worker.is_cancelled() {
            return Err(std::io::Error::other("cancelled"));
        }
        self.inner.read(buffer)
    }
}

/// A part of a file that others read at the same time.
struct Section {
    file: File,
    offset: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = std::os::unix::fs::FileExt::read_at(&self.file, &mut buffer[..most], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

impl<'a> Bytes<'a> {
    fn new(worker: &'a Worker, draft: &'a LayerDraft) -> Self {
        Self {
            worker,
            draft,
            pack: None,
            borrowed: Vec::new(),
            links: HashMap::new(),
            last_link: 0,
            linked: HashMap::new(),
            small: Vec::new(),
            taken_in: TakenIn::new(),
        }
    }

    fn pack(&mut self) -> Result<&mut PackWriter<File>> {
        if self.pack.is_none() {
            let path = self.draft.pack();
            let file =
                File::create_new(&path).map_err(|source| Error::Io { action: "make", path, source })?;
            self.pack = Some(PackWriter::new(file));
        }
        Ok(self.pack.as_mut().expect("because it was just made"))
    }

    /// An entry of a source with its bytes in this layer's reach.
    fn localize<'f>(&mut self, source: &Input, found: &Found<'f>) -> Result<Entry<'f>> {
        let mut entry = found.entry();
        entry.kind = match (entry.kind, source) {
            (
                Kind::File { size, digest, link, content: Content::Borrowed { layer, place } },
                Input::Local(_),
            ) => {
                let layer = self.number(found.borrowed()[layer as usize]);
                self.kept_kind(size, digest, link, Content::Borrowed { layer, place })
            }
            (Kind::File { size, digest, link, .. }, Input::Local(name)) => {
                self.take_in(name, found, size, digest, link)?
            }
            (Kind::File { .. }, Input::Snapshot(snapshot)) => self.borrow(&snapshot.stack, found)?,
            (kind, _) => kind,
        };
        Ok(entry)
    }

    /// A file of a context whose bytes are in the store. Names of one file that differ, for it changed between them, are
    /// files of their own.
    fn kept_kind<'f>(&mut self, size: u64, digest: Digest, link: u32, content: Content<'f>) -> Kind<'f> {
        if link == 0 {
            return Kind::File { size, digest, link, content };
        }
        let link = self.group(LayerId::from_bytes([0; 16]), link);
        match self.linked.get(&link) {
            Some(kind @ Kind::File { digest: taken, .. }) if *taken == digest => kind.clone(),
            Some(_) => Kind::File { size, digest, link: 0, content },
            None => {
                let kind = Kind::File { size, digest, link, content };
                self.linked.insert(link, kind.clone().into_owned());
                kind
            }
        }
    }

    /// The number of a layer among those that are borrowed from.
    fn number(&mut self, layer: LayerId) -> u32 {
        let at = self.borrowed.iter().position(|known| *known == layer).unwrap_or_else(|| {
            self.borrowed.push(layer);
            self.borrowed.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    fn text(&mut self, content: &[u8]) -> Result<Kind<'static>> {
        let packed = self.pack()?.add(content).map_err(pack_error)?;
        Ok(Kind::File {
            size: content.len() as u64,
            digest: packed.digest,
            link: 0,
            content: Content::Own(Place::Pack(packed.offset)),
        })
    }

    /// Takes a context file into the store whose bytes are nowhere in it yet. It is hashed as it is written: a file that
    /// changed since it was hashed for the key makes the step fail, and the build starts it over.
    fn take_in(
        &mut self,
        context: &str,
        found: &Found<'_>,
        size: u64,
        digest: Digest,
        link: u32,
    ) -> Result<Kind<'static>> {
        let link = if link == 0 { 0 } else { self.group(LayerId::from_bytes([0; 16]), link) };
        if let Some(kind @ Kind::File { digest: taken, .. }) = self.linked.get(&link)
            && *taken == digest
        {
            return Ok(kind.clone());
        }
        let entry = &found.entry();
        let file = match self.worker.tree(context)?.open(entry) {
            Ok(file) => file,
            Err(source::Error::NotAFile { .. }) => return Err(changed(entry)),
            Err(source::Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Err(changed(entry));
            }
            Err(error) => return Err(error.into()),
        };
        if self.worker.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // One that grows is not read to an end that may never come.
        let file = Stoppable { inner: file.take(size.saturating_add(1)), worker: self.worker };
        let packed = if size <= SMALL {
            // Where the pack reads itself, it makes room for more than most files have.
            let mut bytes = std::mem::take(&mut self.small);
            bytes.clear();
            let read = { file }.read_to_end(&mut bytes).map_err(|source| Error::Io {
                action: "read",
                path: String::from_utf8_lossy(&entry.path).into_owned().into(),
                source,
            });
            let added = read.and_then(|_| self.pack()?.add(&bytes).map_err(pack_error));
            self.small = bytes;
            added?
        } else {
            let added = self.pack()?.add_reader(file, &entry.path);
            if self.worker.is_cancelled() {
                return Err(Error::Cancelled);
            }
            added.map_err(pack_error)?
        };
        if digest != packed.digest {
            return Err(changed(entry));
        }
        let place = (found.number(), packed.offset);
        match self.taken_in.get_mut(context) {
            Some(files) => files.push(place),
            None => drop(self.taken_in.insert(context.to_owned(), vec![place])),
        }
        let content = Content::Own(packed.place());
        let kind = Kind::File { size: packed.size, digest: packed.digest, link, content };
        if link != 0 {
            self.linked.insert(link, kind.clone());
        }
        Ok(kind)
    }

    /// An entry of an unpacked archive: its link groups are its own.
    fn renumbered<'f>(&mut self, found: &Found<'f>) -> Entry<'f> {
        let mut entry = found.entry();
        if let Kind::File { link, .. } = &mut entry.kind
            && *link != 0
        {
            *link = self.group(LayerId::from_bytes([0; 16]), *link);
        }
        entry
    }

    /// The number here of a link group of the source.
    fn group(&mut self, owner: LayerId, link: u32) -> u32 {
        let fresh = self.last_link + 1;
        let given = *self.links.entry((owner, link)).or_insert(fresh);
        self.last_link = self.last_link.max(given);
        given
    }

    /// Refers to a file of another layer.
    fn borrow<'f>(&mut self, stack: &[LayerId], found: &Found<'f>) -> Result<Kind<'f>> {
        let kind = found.entry().kind;
        let Kind::File { size, digest, link, content } = kind else { return Ok(kind) };
        let owner = stack[found.layer()];
        let (layer, place) = match content {
            Content::Own(place) => (owner, place),
            Content::Borrowed { layer, place } => (found.borrowed()[layer as usize], place),
        };
        let place = match place {
            Place::Folder => Place::FolderAt(found.path().into()),
            place => place,
        };
        let link = if link == 0 { 0 } else { self.group(owner, link) };
        let layer = self.number(layer);
        Ok(Kind::File { size, digest, link, content: Content::Borrowed { layer, place } })
    }

    fn finish(self) -> Result<(Vec<LayerId>, TakenIn)> {
        if let Some(pack) = self.pack {
            pack.finish().map_err(pack_error)?;
        }
        Ok((self.borrowed, self.taken_in))
    }
}

fn changed(entry: &Entry<'_>) -> Error {
    Error::Changed { path: String::from_utf8_lossy(&entry.path).into_owned() }
}

fn pack_error(source: layer::Error) -> Error {
    Error::Layer { what: "new layer".into(), source }
}
