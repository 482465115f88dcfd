//! From a plan to a folder: what a COPY is once a step mounts it.

use crate::content::{cut, read_up_to};
use crate::folder::{FolderWriter, Owners, split};
use crate::overlay::Flavour;
use crate::unpack::implied;
use crate::{Bytes, ContentSource, Entry, Error, Kind, Listing, Result, View};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Write;
use std::os::fd::{BorrowedFd, OwnedFd};

/// How a folder is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaterializeOptions<'a> {
    /// How whiteouts are written.
    pub flavour: Flavour,
    /// Who owns the files of the folder.
    pub owners: Owners,
    /// What the layers below show: a directory that the listing lacks but needs is made as it is there, since
    /// overlayfs shows the upper one's attributes. Without it such a directory is root's, 0755.
    pub lower: Option<&'a View>,
}

/// Makes the folder form of `listing` in the empty folder `folder`. Bytes that lie in files are shared with them where
/// the file system can (reflinks), else copied by the kernel.
///
/// # Errors
/// [`Error::Changed`] for a file whose size is not the listing's, [`Error::Io`] where reading or writing fails.
pub fn materialize(
    listing: &Listing,
    content: &mut dyn ContentSource,
    folder: BorrowedFd<'_>,
    options: &MaterializeOptions<'_>,
) -> Result<()> {
    let mut writer = FolderWriter::new(folder, options.flavour, options.owners)?;
    let mut first: HashMap<u32, usize> = HashMap::new();
    // Directories that the listing lacks, and all of them in order for the end.
    let mut extra: BTreeMap<Vec<u8>, Entry<'static>> = BTreeMap::new();
    let mut known: &[u8] = b"";
    let mut sharing = true;
    for (at, entry) in listing.entries().enumerate() {
        let (parent, _) = split(listing.path(at));
        if parent != known {
            imply(listing, &mut writer, &mut extra, parent, &entry, options.lower)?;
            known = parent;
        }
        match &entry.kind {
            Kind::Directory { .. } => writer.directory(&entry.path)?,
            Kind::File { size, link, .. } => {
                if let Some(source) = (*link != 0).then(|| first.get(link)).flatten() {
                    writer.hard_link(listing.path(*source), &entry.path)?;
                    continue;
                }
                if *link != 0 {
                    first.insert(*link, at);
                }
                let (fd, fresh) = writer.file(&entry.path, entry.mode)?;
                let file = File::from(fd);
                if *size > 0 {
                    match content.bytes(&entry)? {
                        Bytes::Here(bytes) if bytes.len() as u64 == *size => (&file)
                            .write_all(bytes)
                            .map_err(|error| Error::io("write", &entry.path, error))?,
                        Bytes::Here(_) => return Err(cut(&entry)),
                        Bytes::In { file: source, offset } => {
                            copy(source, offset, &file, &entry, &mut sharing)?;
                        }
                    }
                }
                writer.finish_file(&OwnedFd::from(file), &entry, fresh)?;
            }
            _ => writer.node(&entry)?,
        }
    }
    let listed = listing.entries().filter(Entry::is_directory);
    if extra.is_empty() {
        return listed.rev().try_for_each(|entry| writer.finish_directory(&entry));
    }
    let all = Listing::new(listed.chain(extra.into_values()), Vec::new());
    all.entries().rev().try_for_each(|entry| writer.finish_directory(&entry))
}

/// Makes the ancestors that the listing lacks.
fn imply(
    listing: &Listing,
    writer: &mut FolderWriter<'_>,
    extra: &mut BTreeMap<Vec<u8>, Entry<'static>>,
    parent: &[u8],
    entry: &Entry<'_>,
    lower: Option<&View>,
) -> Result<()> {
    let ends = parent.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
    for end in ends.chain((!parent.is_empty()).then_some(parent.len())) {
        let path = &parent[..end];
        if listing.get(path).is_none() && !extra.contains_key(path) {
            writer.directory(path)?;
            extra.insert(path.to_vec(), implied(lower, path, false, entry.mtime));
        }
    }
    Ok(())
}

/// Copies a file's bytes: a reflink of the whole, else by the kernel, else through memory.
fn copy(source: &File, offset: u64, to: &File, entry: &Entry<'_>, sharing: &mut bool) -> Result<()> {
    let size = entry.size();
    let write = |error: std::io::Error| Error::io("write", &entry.path, error);
    if *sharing && offset == 0 {
        // Only where the source is this file alone, not a pack of many.
        let whole = source.metadata().is_ok_and(|metadata| metadata.len() == size);
        if whole {
            match rustix::fs::ioctl_ficlone(to, source) {
                Ok(()) => return Ok(()),
                Err(_) => *sharing = false,
            }
        }
    }
    let (mut from, end) = (offset, offset + size);
    while from < end {
        let most = usize::try_from(end - from).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::copy_file_range(source, Some(&mut from), to, None, most) {
            Ok(0) => return Err(cut(entry)),
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => {}
            // Another file system, or one that cannot.
            Err(_) => break,
        }
    }
    let mut buffer = Vec::new();
    while from < end {
        buffer.resize(usize::try_from(end - from).unwrap_or(usize::MAX).min(1 << 20), 0);
        let have =
            read_up_to(source, &mut buffer, from).map_err(|error| Error::io("read", &entry.path, error))?;
        if have < buffer.len() {
            return Err(cut(entry));
        }
        let mut to = to;
        to.write_all(&buffer).map_err(write)?;
        from += have as u64;
    }
    Ok(())
}
