//! From a listing to an image.

use super::EROFS_BLOCK_BITS;
use super::format::{Inode, LONGEST_NAME, Layout, SLOT, SLOTS, Super, device, kind, mode, root, unfit};
use super::layout::{Inodes, Walk};
use crate::folder::split;
use crate::output::Output;
use crate::unpack::implied;
use crate::{Content, ContentSource, Entry, Kind, LayerId, Listing, Place, Result, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Write;

/// Sizes of the packs that an image may refer to, in bytes.
#[derive(Clone, Debug, Default)]
pub struct Packs {
    /// Of the layer itself, if it has one.
    pub own: Option<u64>,
    /// Of the layers that the listing borrows from, in that order.
    pub borrowed: Vec<Option<u64>>,
}

/// How an image is made.
#[derive(Clone, Debug)]
pub struct ErofsOptions<'a> {
    /// Whose listing it is; also the image's uuid, for overlayfs wants different ones.
    pub layer: LayerId,
    /// The packs; bytes in others are copied into the image.
    pub packs: Packs,
    /// What the layers below show, for directories that the listing lacks: as
    /// [`MaterializeOptions::lower`](crate::MaterializeOptions::lower).
    pub lower: Option<&'a View>,
    /// [`EROFS_BLOCK_BITS`].
    pub block_bits: u32,
}

impl ErofsOptions<'_> {
    /// An image of this layer that refers to no packs.
    #[must_use]
    pub fn new(layer: LayerId) -> Self {
        Self { layer, packs: Packs::default(), lower: None, block_bits: EROFS_BLOCK_BITS }
    }
}

/// Writes the image of a layer to `out`, which needs no buffer around it. Marks of overlayfs are those of root
/// (`trusted.`), who alone can mount it.
///
/// # Errors
/// [`Error::Unfit`] for what an image cannot hold (the folder form may), [`Error::Changed`] for a file whose size is
/// not the listing's, [`Error::Io`] where reading or writing fails.
pub fn write_erofs(
    listing: &Listing,
    content: &mut dyn ContentSource,
    out: &mut dyn Write,
    options: &ErofsOptions<'_>,
) -> Result<()> {
    let listing = complete(listing, options.lower);
    let plan = plan(&listing, options)?;
    let mut out = Output::new(out, "image");
    inodes(&listing, &plan, &mut out)?;
    directories(&listing, &plan, &mut out)?;
    data(&listing, &plan, content, &mut out)?;
    out.finish().map(drop)
}

/// The listing with the directories that it lacks.
fn complete<'a>(listing: &'a Listing, lower: Option<&View>) -> Cow<'a, Listing> {
    let mut extra: BTreeMap<&[u8], Entry<'static>> = BTreeMap::new();
    let mut known: &[u8] = b"";
    for at in 0..listing.len() {
        let (parent, _) = split(listing.path(at));
        if parent == known {
            continue;
        }
        known = parent;
        let ends = parent.iter().enumerate().filter(|(_, b)| **b == b'/').map(|(at, _)| at);
        for end in ends.chain((!parent.is_empty()).then_some(parent.len())) {
            let path = &parent[..end];
            if listing.find(path).is_none() {
                let time = || listing.entry(at).mtime;
                extra.entry(path).or_insert_with(|| implied(lower, path, false, time()));
            }
        }
    }
    if extra.is_empty() {
        return Cow::Borrowed(listing);
    }
    let all = listing.entries().chain(extra.into_values());
    Cow::Owned(Listing::new(all, listing.borrowed().to_vec()))
}

/// What the first pass found out.
struct Plan<'a> {
    options: &'a ErofsOptions<'a>,
    block: u64,
    root: u64,
    inodes: u64,
    /// The block of the first inode, of the first directory and of the first bytes.
    first: u64,
    directories: u64,
    data: u64,
    end: u64,
    /// By the listing's order: first block (from `directories`), size, links.
    folders: Vec<(u32, u32, u32)>,
    /// The packs that are referred to: which, whose, blocks, first block in the common address space.
    devices: Vec<(Option<u32>, LayerId, u32, u32)>,
    /// How many names each link group has.
    groups: HashMap<u32, u32>,
}

/// Where a file's bytes are.
enum Where {
    Nowhere,
    /// In the pack of this layer, at this block of it.
    Pack(Option<u32>, u64),
    Copied,
}

impl Plan<'_> {
    fn place(&self, entry: &Entry<'_>) -> Where {
        place(entry, &self.options.packs, self.block)
    }
}

fn place(entry: &Entry<'_>, packs: &Packs, block: u64) -> Where {
    let Kind::File { size, content, .. } = &entry.kind else { return Where::Nowhere };
    if *size == 0 {
        return Where::Nowhere;
    }
    let (layer, place, pack) = match content {
        Content::Own(place) => (None, place, packs.own),
        Content::Borrowed { layer, place } => {
            (Some(*layer), place, packs.borrowed.get(*layer as usize).copied().flatten())
        }
    };
    match (place, pack) {
        (Place::Pack(offset), Some(length))
            if offset.is_multiple_of(block) && offset.checked_add(*size).is_some_and(|end| end <= length) =>
        {
            Where::Pack(layer, offset / block)
        }
        _ => Where::Copied,
    }
}

/// Calls `each` for every entry with whether it is the one that its inode is made from.
fn first_of_links(listing: &Listing, mut each: impl FnMut(&Entry<'_>, bool) -> Result<()>) -> Result<()> {
    let mut seen: HashSet<u32> = HashSet::new();
    listing.entries().try_for_each(|entry| match entry.kind {
        Kind::File { link, .. } if link != 0 => each(&entry, seen.insert(link)),
        _ => each(&entry, true),
    })
}

/// Numbers of inodes, each link group's once.
struct Numbers {
    inodes: Inodes,
    links: HashMap<u32, u64>,
    attributes: Vec<u8>,
}

impl Numbers {
    fn new(block: u64) -> Result<(Self, u64)> {
        let mut numbers = Self { inodes: Inodes::new(block), links: HashMap::new(), attributes: Vec::new() };
        let root = numbers.of(&root())?;
        Ok((numbers, root))
    }

    fn of(&mut self, entry: &Entry<'_>) -> Result<u64> {
        if let Kind::File { link, .. } = entry.kind
            && link != 0
        {
            if let Some(known) = self.links.get(&link) {
                return Ok(*known);
            }
            let number = self.inodes.place(entry, &mut self.attributes)?.number();
            self.links.insert(link, number);
            return Ok(number);
        }
        Ok(self.inodes.place(entry, &mut self.attributes)?.number())
    }
}

fn plan<'a>(listing: &Listing, options: &'a ErofsOptions<'a>) -> Result<Plan<'a>> {
    let block = 1 << options.block_bits;
    let (mut numbers, root) = Numbers::new(block)?;
    let count = (0..listing.len()).filter(|at| listing.is_directory(*at)).count() + 1;
    let mut folders = vec![(0, 0, 2); count];
    let mut blocks = 0u64;
    let mut inodes = 1;
    let mut copied = 0u64;
    let mut groups: HashMap<u32, u32> = HashMap::new();
    let mut used: HashSet<Option<u32>> = HashSet::new();
    let mut done = |names: super::layout::Names, size: u64| {
        folders[names.index] = (blocks as u32, size as u32, 2 + names.subdirectories);
        blocks += size.div_ceil(block);
        Ok(())
    };
    let mut walk = Walk::new(block, root, false);
    first_of_links(listing, |entry, first| {
        check(entry)?;
        let number = numbers.of(entry)?;
        walk.add(entry, number, kind(entry), &mut done)?;
        if let Kind::File { link, .. } = entry.kind
            && link != 0
        {
            *groups.entry(link).or_default() += 1;
        }
        if first {
            inodes += 1;
            match place(entry, &options.packs, block) {
                Where::Nowhere => copied += long_target(entry, block, &mut numbers.attributes)?,
                Where::Copied => copied += entry.size().div_ceil(block),
                Where::Pack(layer, _) => {
                    used.insert(layer);
                }
            }
        }
        Ok(())
    })?;
    walk.finish(&mut done)?;
    let mut used: Vec<Option<u32>> = used.into_iter().collect();
    used.sort_unstable();
    let first = (SLOTS + used.len() as u64 * SLOT).div_ceil(block);
    let directories = first + numbers.inodes.end().div_ceil(block);
    let data = directories + blocks;
    let end = data + copied;
    let mut next = end;
    let mut devices = Vec::with_capacity(used.len());
    for layer in used {
        let (id, length) = match layer {
            None => (options.layer, options.packs.own),
            Some(at) => (listing.borrowed()[at as usize], options.packs.borrowed[at as usize]),
        };
        let blocks = length.unwrap_or(0).div_ceil(block);
        devices.push((layer, id, blocks as u32, next as u32));
        next += blocks;
    }
    if u32::try_from(next).is_err() || blocks * block > u64::from(u32::MAX) {
        return Err(unfit(&super::format::root(), "it has more blocks than can be numbered"));
    }
    Ok(Plan { options, block, root, inodes, first, directories, data, end, folders, devices, groups })
}

/// What an image has no room for.
fn check(entry: &Entry<'_>) -> Result<()> {
    if entry.name().len() > LONGEST_NAME {
        return Err(unfit(entry, "its name is too long"));
    }
    if entry.uid == u32::MAX || entry.gid == u32::MAX {
        return Err(unfit(entry, "its owner is no valid id"));
    }
    match entry.kind {
        Kind::CharDevice { major: 0, minor: 0 } => {
            Err(unfit(entry, "a character device 0:0 is how overlayfs writes what is removed"))
        }
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            device(major, minor).map(drop).ok_or(unfit(entry, "its device number is too large"))
        }
        _ => Ok(()),
    }
}

/// How many blocks a link's target takes that does not stand behind its inode.
fn long_target(entry: &Entry<'_>, block: u64, attributes: &mut Vec<u8>) -> Result<u64> {
    let Kind::Symlink { target } = &entry.kind else { return Ok(0) };
    let placed = Inodes::new(block).place(entry, attributes)?;
    Ok(match placed.layout {
        Layout::Inline => 0,
        Layout::Plain => (target.len() as u64).div_ceil(block),
    })
}

fn inodes(listing: &Listing, plan: &Plan<'_>, out: &mut Output<'_>) -> Result<()> {
    let devices: Vec<_> = plan.devices.iter().map(|(_, id, blocks, start)| (*id, *blocks, *start)).collect();
    let uuid = *plan.options.layer.as_bytes();
    let superblock = Super {
        block_bits: plan.options.block_bits,
        uuid,
        root: plan.root as u16,
        inodes: plan.inodes,
        blocks: plan.end as u32,
        first: plan.first as u32,
        devices: &devices,
    };
    out.put(&superblock.bytes())?;
    out.zeros_to(plan.first * plan.block);
    let mut places = Inodes::new(plan.block);
    let mut attributes = Vec::new();
    let mut bytes = Vec::with_capacity(512);
    let mut directory = 0;
    let mut data = plan.data;
    let root = root();
    let mut write = |entry: &Entry<'_>, first: bool| {
        if !first {
            return Ok(());
        }
        let placed = places.place(entry, &mut attributes)?;
        out.zeros_to(plan.first * plan.block + placed.offset);
        let mut inode = Inode {
            mode: mode(entry),
            entry,
            layout: placed.layout,
            size: entry.size(),
            place: 0,
            number: placed.number(),
            links: 1,
        };
        let mut target: &[u8] = &[];
        match &entry.kind {
            Kind::Directory { .. } => {
                let (start, size, links) = plan.folders[directory];
                directory += 1;
                (inode.place, inode.size, inode.links) =
                    (plan.directories as u32 + start, u64::from(size), links);
            }
            Kind::File { link, .. } => {
                inode.links = plan.groups.get(link).copied().unwrap_or(1);
                match plan.place(entry) {
                    Where::Nowhere => {}
                    Where::Pack(layer, at) => {
                        let known = plan.devices.iter().find(|(of, ..)| *of == layer);
                        let (_, _, _, start) = known.expect("because the plan has every pack that is used");
                        inode.place = start + at as u32;
                    }
                    Where::Copied => {
                        inode.place = data as u32;
                        data += entry.size().div_ceil(plan.block);
                    }
                }
            }
            Kind::Symlink { target: to } => {
                inode.size = to.len() as u64;
                match placed.layout {
                    Layout::Inline => target = to,
                    Layout::Plain => {
                        inode.place = data as u32;
                        data += inode.size.div_ceil(plan.block);
                    }
                }
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                inode.place = device(*major, *minor).unwrap_or(0);
            }
            Kind::Fifo | Kind::Whiteout => {}
        }
        bytes.clear();
        inode.put(&mut bytes, &attributes);
        bytes.extend_from_slice(target);
        out.put(&bytes)
    };
    write(&root, true)?;
    first_of_links(listing, write)
}

fn directories(listing: &Listing, plan: &Plan<'_>, out: &mut Output<'_>) -> Result<()> {
    out.zeros_to(plan.directories * plan.block);
    let (mut numbers, root) = Numbers::new(plan.block)?;
    let mut walk = Walk::new(plan.block, root, true);
    let mut done = |names: super::layout::Names, _: u64| {
        out.put(names.bytes.as_deref().unwrap_or_default())?;
        out.zeros_to_multiple(plan.block);
        Ok(())
    };
    for entry in listing.entries() {
        let number = numbers.of(&entry)?;
        walk.add(&entry, number, kind(&entry), &mut done)?;
    }
    walk.finish(&mut done).map(drop)
}

fn data(
    listing: &Listing,
    plan: &Plan<'_>,
    content: &mut dyn ContentSource,
    out: &mut Output<'_>,
) -> Result<()> {
    if plan.end == plan.data {
        return Ok(());
    }
    out.zeros_to(plan.data * plan.block);
    let mut attributes = Vec::new();
    first_of_links(listing, |entry, first| {
        match (&entry.kind, plan.place(entry)) {
            (Kind::File { .. }, Where::Copied) if first => out.copy(entry, content)?,
            (Kind::Symlink { target }, _) if long_target(entry, plan.block, &mut attributes)? > 0 => {
                out.put(target)?;
            }
            _ => return Ok(()),
        }
        out.zeros_to_multiple(plan.block);
        Ok(())
    })
}
