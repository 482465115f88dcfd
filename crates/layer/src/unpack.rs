//! From a layer's tar to its folder and listing, in one pass.
//!
//! What was made so far is known in memory as a sorted tree, and names are resolved in it as the kernel would inside
//! the root: a link of the archive may stand in the middle of a name, and never leads outside. A directory that the
//! archive only implies is taken over from the layers below, else it is root's with mode 0755. Of two members with one
//! name the later counts; a whiteout speaks of the layers below only (image-spec, layer.md#whiteouts).
//!
//! A small file costs four system calls: open, write, set the time, close; owner and mode only where they differ.

mod copy;
mod tree;

use crate::error::shown;
use crate::folder::{FolderWriter, Owners, clean_xattrs, split};
use crate::overlay::Flavour;
use crate::pack::PackWriter;
use crate::tar::{Member, MemberKind, TarReader};
use crate::{Content, Entry, Error, Found, Kind, Listing, Place, Result, Time, View};
use copy::{Tee, ZEROS, copy};
use oci::{Digest, Hasher};
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;
use tree::{LONGEST_NAME, LONGEST_PATH, MOST_STEPS, Tree, normal, wrong};

/// How an archive is unpacked, and how large it may be.
#[derive(Clone, Debug)]
pub struct UnpackOptions {
    /// How whiteouts are written.
    pub flavour: Flavour,
    /// Who owns the files of the folder.
    pub owners: Owners,
    /// Whether `.wh.` names are whiteouts: in a layer they are, in an archive for ADD they are names.
    pub whiteouts: bool,
    /// Whether `..` in a name goes up as far as the root and no further, as ADD takes it. A layer that has one is
    /// refused.
    pub clamp: bool,
    /// The most members: 4,000,000.
    pub max_entries: u64,
    /// The most bytes of all files together, holes included, and of what follows the archive: 256 GiB.
    pub max_bytes: u64,
    /// The most components of a path: 255.
    pub max_depth: usize,
}

impl Default for UnpackOptions {
    fn default() -> Self {
        Self {
            flavour: Flavour::Trusted,
            owners: Owners::Keep,
            whiteouts: true,
            clamp: false,
            max_entries: 4_000_000,
            max_bytes: 256 << 30,
            max_depth: 255,
        }
    }
}

/// The layers below the one that is unpacked.
pub struct Lower<'a> {
    /// What they show.
    pub view: &'a View,
    /// Opens a file of theirs, for a hard link into them.
    pub open: &'a mut dyn FnMut(&Found<'_>) -> std::io::Result<Box<dyn Read>>,
}

/// Unpacks a layer into the empty folder `folder`. The archive is read to its very end, so that a digest of it is
/// complete; the caller compares that before it uses the folder. On an error the folder is left as it is.
///
/// # Errors
/// [`Error::Archive`] for an archive that is damaged or reaches outside, [`Error::Limit`] for one that is too large,
/// [`Error::Io`] where reading or writing fails.
pub fn unpack<'a>(
    archive: impl Read,
    folder: BorrowedFd<'a>,
    lower: Option<Lower<'a>>,
    options: &'a UnpackOptions,
) -> Result<Listing> {
    let writer = FolderWriter::new(folder, options.flavour, options.owners)?;
    Unpacker::new(Target::<Vec<u8>>::Folder(writer), lower, options).run(archive)
}

/// Reads an archive into a listing whose file contents lie in `pack`: the plan form, for ADD of an archive.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_to_pack<W: Write>(
    archive: impl Read,
    pack: &mut PackWriter<W>,
    options: &UnpackOptions,
) -> Result<Listing> {
    Unpacker::new(Target::Pack(pack), None, options).run(archive)
}

enum Target<'a, W> {
    Folder(FolderWriter<'a>),
    Pack(&'a mut PackWriter<W>),
}

struct Unpacker<'a, W> {
    target: Target<'a, W>,
    lower: Option<Lower<'a>>,
    options: &'a UnpackOptions,
    tree: Tree,
    /// The last parent as the archive wrote it and as it was resolved.
    parent: Option<(Vec<u8>, Vec<u8>)>,
    links: u32,
    bytes: u64,
    opaque_root: bool,
}

impl<'a, W: Write> Unpacker<'a, W> {
    fn new(target: Target<'a, W>, lower: Option<Lower<'a>>, options: &'a UnpackOptions) -> Self {
        let tree = Tree::default();
        Self { target, lower, options, tree, parent: None, links: 0, bytes: 0, opaque_root: false }
    }

    fn run(mut self, archive: impl Read) -> Result<Listing> {
        let mut reader = TarReader::new(archive);
        let mut count = 0;
        while let Some(member) = reader.next()? {
            count += 1;
            if count > self.options.max_entries {
                return Err(self.too_many(self.options.max_entries, "entries"));
            }
            self.member(member, &mut reader)?;
        }
        reader.drain(self.options.max_bytes)?;
        if self.opaque_root {
            self.hide_root()?;
        }
        if let Target::Folder(writer) = &mut self.target {
            for entry in self.tree.nodes.values().rev().filter(|entry| entry.is_directory()) {
                writer.finish_directory(entry)?;
            }
        }
        let mut listing = Listing::new(self.tree.nodes.into_values(), Vec::new());
        listing.renumber_links();
        Ok(listing)
    }

    fn too_many(&self, limit: u64, unit: &'static str) -> Error {
        Error::Limit { subject: "the layer archive".to_owned(), limit, unit }
    }

    fn member(&mut self, member: Member, reader: &mut TarReader<impl Read>) -> Result<()> {
        let written = normal(&member.path, self.options.max_depth, self.options.clamp)?;
        if written.is_empty() {
            // The root's own attributes belong to no layer.
            return match member.kind {
                MemberKind::Directory => Ok(()),
                _ => Err(wrong(&member.path, "is the root and no directory")),
            };
        }
        let (parent, name) = split(&written);
        let parent = self.resolve_parent(parent, member.mtime)?;
        if self.options.whiteouts
            && let Some(hidden) = name.strip_prefix(b".wh.")
        {
            return self.whiteout(parent, hidden, &member);
        }
        let path = join(parent, name, &member)?;
        self.place(path, member, reader)
    }

    fn place(&mut self, path: Vec<u8>, member: Member, reader: &mut TarReader<impl Read>) -> Result<()> {
        let directory = member.kind == MemberKind::Directory;
        let mut opaque = false;
        match self.tree.get(&path).map(|entry| &entry.kind) {
            None => {}
            Some(Kind::Directory { opaque: was }) if directory => {
                let kind = Kind::Directory { opaque: *was };
                self.tree.insert(entry(path, kind, &member));
                return Ok(());
            }
            Some(there) => {
                opaque = *there == Kind::Whiteout;
                if member.kind == MemberKind::HardLink && self.link_target(&member, &path)? == path {
                    return Ok(());
                }
                self.remove(&path)?;
            }
        }
        let kind = match member.kind {
            MemberKind::Directory => {
                if let Target::Folder(writer) = &mut self.target {
                    writer.directory(&path)?;
                }
                Kind::Directory { opaque }
            }
            MemberKind::File => return self.file(path, &member, reader),
            MemberKind::HardLink => return self.hard_link(path, &member),
            MemberKind::Symlink => {
                if member.link.is_empty() || member.link.len() > LONGEST_PATH || member.link.contains(&0) {
                    return Err(wrong(&path, "is a symbolic link with an impossible target"));
                }
                Kind::Symlink { target: member.link.clone().into() }
            }
            MemberKind::CharDevice { major: 0, minor: 0 } => {
                return Err(wrong(&path, "is a character device 0:0, which overlayfs takes as removed"));
            }
            MemberKind::CharDevice { major, minor } => Kind::CharDevice { major, minor },
            MemberKind::BlockDevice { major, minor } => Kind::BlockDevice { major, minor },
            MemberKind::Fifo => Kind::Fifo,
        };
        let entry = entry(path, kind, &member);
        if !directory && let Target::Folder(writer) = &mut self.target {
            writer.node(&entry)?;
        }
        self.tree.insert(entry);
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) -> Result<()> {
        self.parent = None;
        for entry in self.tree.remove(path) {
            if let Target::Folder(writer) = &mut self.target {
                writer.remove(&entry.path, entry.is_directory())?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: Vec<u8>, member: &Member, reader: &mut TarReader<impl Read>) -> Result<()> {
        self.bytes = self.bytes.saturating_add(member.size);
        if self.bytes > self.options.max_bytes {
            return Err(self.too_many(self.options.max_bytes, "bytes"));
        }
        let place = match &mut self.target {
            Target::Folder(_) => Place::Folder,
            Target::Pack(pack) => Place::Pack(pack.begin()?),
        };
        let content = Content::Own(place);
        let kind = Kind::File { size: member.size, digest: Digest::from_bytes([0; 32]), link: 0, content };
        let mut entry = entry(path, kind, member);
        let made = match &mut self.target {
            Target::Folder(writer) => {
                let (fd, fresh) = writer.file(&entry.path, entry.mode)?;
                let file = std::fs::File::from(fd);
                let made = copy(reader, member.size, |bytes, offset| match (bytes, offset) {
                    (Some(bytes), None) => (&file).write_all(bytes),
                    (Some(bytes), Some(offset)) => {
                        std::os::unix::fs::FileExt::write_all_at(&file, bytes, offset)
                    }
                    (None, _) => file.set_len(member.size),
                });
                let made = made.map_err(|error| error.at(&entry.path))?;
                writer.finish_file(&file.into(), &entry, fresh)?;
                made
            }
            Target::Pack(pack) => {
                let mut at = 0;
                copy(reader, member.size, |bytes, offset| {
                    // A pack has no holes.
                    let upto = if bytes.is_some() { offset.unwrap_or(at) } else { member.size };
                    while at < upto {
                        let zeros = &ZEROS[..ZEROS.len().min((upto - at) as usize)];
                        pack.put(zeros).map_err(std::io::Error::other)?;
                        at += zeros.len() as u64;
                    }
                    let bytes = bytes.unwrap_or_default();
                    at += bytes.len() as u64;
                    pack.put(bytes).map_err(std::io::Error::other)
                })
                .map_err(|error| error.at(&entry.path))?
            }
        };
        if let Kind::File { digest, .. } = &mut entry.kind {
            *digest = made;
        }
        self.tree.insert(entry);
        Ok(())
    }

    /// The resolved path that a hard link names.
    fn link_target(&mut self, member: &Member, path: &[u8]) -> Result<Vec<u8>> {
        let written = normal(&member.link, self.options.max_depth, self.options.clamp)?;
        let (parent, name) = split(&written);
        let parent = self.resolve(parent, None)?;
        match parent {
            Some(parent) if !name.is_empty() => join(&parent, name, member),
            _ => {
                Err(wrong(path, &format!("is a hard link to `{}`, which is not there", shown(&member.link))))
            }
        }
    }

    fn hard_link(&mut self, path: Vec<u8>, member: &Member) -> Result<()> {
        let target = self.link_target(member, &path)?;
        if self.tree.get(&target).is_none_or(|entry| entry.kind == Kind::Whiteout) {
            self.copy_up(&target, &path)?;
            if target == path {
                return Ok(());
            }
        }
        let group = self.links + 1;
        let source = self.tree.get(&target).expect("because it was there or copied up");
        match &mut source.kind {
            Kind::File { link, .. } => {
                if *link == 0 {
                    *link = group;
                    self.links = group;
                }
                let mut entry = source.clone();
                if let Target::Folder(writer) = &mut self.target {
                    writer.hard_link(&entry.path, &path)?;
                }
                entry.path = path.into();
                self.tree.insert(entry);
                Ok(())
            }
            Kind::Directory { .. } => {
                Err(wrong(&path, &format!("is a hard link to the directory `{}`", shown(&target))))
            }
            // Links to links and devices exist; a second one of the same kind is as good.
            _ => {
                let entry = Entry { path: path.into(), ..source.clone() };
                if let Target::Folder(writer) = &mut self.target {
                    writer.node(&entry)?;
                }
                self.tree.insert(entry);
                Ok(())
            }
        }
    }

    /// Takes a file of a lower layer into this one, since a hard link cannot reach across layers.
    fn copy_up(&mut self, target: &[u8], path: &[u8]) -> Result<()> {
        let missing =
            || wrong(path, &format!("is a hard link to `{}`, which is not in this layer", shown(target)));
        let hidden = self.tree.get(target).is_some();
        let lower = self.lower.as_mut().filter(|_| !hidden).ok_or_else(missing)?;
        let found = lower.view.get(target).ok_or_else(missing)?;
        let mut entry = found.entry().into_owned();
        let Kind::File { size, digest, link, content } = &mut entry.kind else { return Err(missing()) };
        let (size, digest) = (*size, *digest);
        *link = 0;
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.options.max_bytes {
            return Err(self.too_many(self.options.max_bytes, "bytes"));
        }
        let read = |error| Error::io("read of a lower layer", target, error);
        let source = (lower.open)(&found).map_err(read)?;
        // The directories on the way, which the link's own parent need not share.
        self.resolve_parent(split(target).0, entry.mtime)?;
        let changed = || Error::Changed { path: shown(target), reason: "its digest is another" };
        match &mut self.target {
            Target::Folder(writer) => {
                *content = Content::Own(Place::Folder);
                let (fd, fresh) = writer.file(target, entry.mode)?;
                let mut file = std::fs::File::from(fd);
                let mut hasher = Tee { hasher: Hasher::new(), file: &mut file };
                std::io::copy(&mut source.take(size + 1), &mut hasher).map_err(read)?;
                if hasher.hasher.finish() != digest {
                    return Err(changed());
                }
                writer.finish_file(&file.into(), &entry, fresh)?;
            }
            Target::Pack(pack) => {
                let packed = pack.add_reader(source.take(size + 1), target)?;
                if packed.digest != digest {
                    return Err(changed());
                }
                *content = Content::Own(packed.place());
            }
        }
        self.tree.insert(entry);
        Ok(())
    }

    fn whiteout(&mut self, parent: Vec<u8>, hidden: &[u8], member: &Member) -> Result<()> {
        if hidden == b".wh..opq" {
            match self.tree.get(&parent).map(|entry| &mut entry.kind) {
                Some(Kind::Directory { opaque }) => *opaque = true,
                _ => self.opaque_root = true,
            }
            return Ok(());
        }
        if hidden.starts_with(b".wh.") {
            // Bookkeeping of AUFS.
            return Ok(());
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(wrong(&member.path, "is a whiteout of nothing"));
        }
        let path = join(parent, hidden, member)?;
        self.hide(path)
    }

    fn hide(&mut self, path: Vec<u8>) -> Result<()> {
        match self.tree.get(&path).map(|entry| &mut entry.kind) {
            // This layer has something there, which hides what is below but for a directory's children.
            Some(Kind::Directory { opaque }) => *opaque = true,
            Some(_) => {}
            None => {
                let entry = whiteout(path);
                if let Target::Folder(writer) = &mut self.target {
                    writer.node(&entry)?;
                }
                self.tree.insert(entry);
            }
        }
        Ok(())
    }

    /// An opaque root hides every lower name one by one, since overlayfs knows no opaque root.
    fn hide_root(&mut self) -> Result<()> {
        let Some(lower) = &self.lower else {
            return Err(Error::Archive {
                reason: "its root is opaque, and the layers below are not known".to_owned(),
            });
        };
        let names: Vec<Vec<u8>> =
            lower.view.children(b"").iter().map(|found| found.path().to_vec()).collect();
        names.into_iter().try_for_each(|name| self.hide(name))
    }

    /// Where the parent that the archive wrote really is; made where it is only implied.
    fn resolve_parent(&mut self, written: &[u8], time: Time) -> Result<Vec<u8>> {
        if let Some((before, resolved)) = &self.parent
            && before == written
        {
            return Ok(resolved.clone());
        }
        let resolved =
            self.resolve(written, Some(time))?.expect("because with a time given nothing is missing");
        self.parent = Some((written.to_vec(), resolved.clone()));
        Ok(resolved)
    }

    /// Resolves a directory. Missing ones are made with `time`, or else the result is none.
    fn resolve(&mut self, written: &[u8], make: Option<Time>) -> Result<Option<Vec<u8>>> {
        let mut done: Vec<u8> = Vec::with_capacity(written.len());
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            let parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty() && *part != b".");
            parts.rev().map(<[u8]>::to_vec).collect()
        };
        let mut todo = parts(written);
        let mut steps = 0;
        while let Some(part) = todo.pop() {
            steps += 1;
            if steps > MOST_STEPS {
                return Err(Error::Loop { path: shown(written) });
            }
            if part == b".." {
                done.truncate(done.iter().rposition(|b| *b == b'/').unwrap_or(0));
                continue;
            }
            let before = done.len();
            if before > 0 {
                done.push(b'/');
            }
            done.extend_from_slice(&part);
            if done.len() > LONGEST_PATH || part.len() > LONGEST_NAME || part.contains(&0) {
                return Err(wrong(written, "leads to a path that is too long"));
            }
            match self.tree.get(&done).map(|entry| &entry.kind) {
                Some(Kind::Directory { .. }) => {}
                Some(Kind::Symlink { target }) => {
                    let absolute = target.starts_with(b"/");
                    todo.extend(parts(target));
                    done.truncate(if absolute { 0 } else { before });
                }
                there @ (None | Some(Kind::Whiteout)) => {
                    let opaque = there.is_some();
                    let Some(time) = make else {
                        // A lower layer may have it.
                        continue;
                    };
                    self.imply(&done, opaque, time)?;
                }
                Some(_) => return Err(wrong(&done, "is no directory, but something lies below it")),
            }
        }
        Ok(Some(done))
    }

    fn imply(&mut self, path: &[u8], opaque: bool, time: Time) -> Result<()> {
        if opaque {
            self.remove(path)?;
        }
        let entry =
            implied(self.lower.as_ref().map(|lower| lower.view).filter(|_| !opaque), path, opaque, time);
        if let Target::Folder(writer) = &mut self.target {
            writer.directory(path)?;
        }
        self.tree.insert(entry);
        Ok(())
    }
}

/// The attributes of a directory that a layer has only because of what is below it: the lower one's, else root's.
pub(crate) fn implied(lower: Option<&View>, path: &[u8], opaque: bool, time: Time) -> Entry<'static> {
    if let Some(found) = lower.and_then(|view| view.get(path))
        && found.is_directory()
    {
        return Entry { kind: Kind::Directory { opaque }, ..found.entry().into_owned() };
    }
    let (path, kind) = (path.to_vec().into(), Kind::Directory { opaque });
    Entry { path, kind, mode: 0o755, uid: 0, gid: 0, mtime: time, xattrs: Vec::new().into() }
}

/// A whiteout has no attributes of its own.
pub(crate) fn whiteout(path: Vec<u8>) -> Entry<'static> {
    let (path, xattrs, mtime) = (path.into(), Vec::new().into(), Time::default());
    Entry { path, kind: Kind::Whiteout, mode: 0, uid: 0, gid: 0, mtime, xattrs }
}

fn entry(path: Vec<u8>, kind: Kind<'static>, member: &Member) -> Entry<'static> {
    let xattrs = clean_xattrs(member.xattrs.clone()).into();
    let mode = if member.kind == MemberKind::Symlink { 0o777 } else { member.mode };
    Entry { path: path.into(), kind, mode, uid: member.uid, gid: member.gid, mtime: member.mtime, xattrs }
}

fn join(parent: impl AsRef<[u8]>, name: &[u8], member: &Member) -> Result<Vec<u8>> {
    let parent = parent.as_ref();
    let mut path = Vec::with_capacity(parent.len() + 1 + name.len());
    path.extend_from_slice(parent);
    if !parent.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    if path.len() > LONGEST_PATH {
        return Err(wrong(&member.path, "leads to a path that is too long"));
    }
    Ok(path)
}
