//! Where everything goes: inodes in the listing's order, names into directories' blocks.

use super::format::{DIRENT, INODE, Layout, STEP, unfit, xattrs};
use crate::folder::split;
use crate::{Entry, Kind, Result};

/// Gives each inode its place, the same in every pass.
pub(super) struct Inodes {
    block: u64,
    /// The next free byte, from the first inode's block on.
    next: u64,
}

/// An inode's place.
pub(super) struct Placed {
    pub(super) offset: u64,
    pub(super) layout: Layout,
}

impl Placed {
    pub(super) fn number(&self) -> u64 {
        self.offset / STEP
    }
}

impl Inodes {
    pub(super) fn new(block: u64) -> Self {
        // Number 0 would be told to programs as no file at all.
        Self { block, next: STEP }
    }

    /// The bytes used so far.
    pub(super) fn end(&self) -> u64 {
        self.next
    }

    /// Places the inode of `entry`. `attributes` are made here, for whoever writes them.
    pub(super) fn place(&mut self, entry: &Entry<'_>, attributes: &mut Vec<u8>) -> Result<Placed> {
        xattrs(attributes, entry)?;
        let head = INODE + attributes.len() as u64;
        let start = self.next.next_multiple_of(STEP);
        if let Kind::Symlink { target } = &entry.kind {
            let size = head + target.len() as u64;
            if target.is_empty() {
                return Err(unfit(entry, "it is a link to nothing"));
            }
            // Inode and target stand in one block, so that the kernel reads them at once.
            if size <= self.block {
                let crosses = start / self.block != (start + size - 1) / self.block;
                let offset = if crosses { start.next_multiple_of(self.block) } else { start };
                self.next = offset + size;
                return Ok(Placed { offset, layout: Layout::Inline });
            }
        }
        self.next = start + head;
        Ok(Placed { offset: start, layout: Layout::Plain })
    }
}

/// One directory's names, as far as they are known: their inodes where they are to be written, else sizes alone.
pub(super) struct Names {
    block: usize,
    /// The path, empty for the root.
    path: Box<[u8]>,
    /// Its place among the directories, in the listing's order.
    pub(super) index: usize,
    own: u64,
    parent: u64,
    /// Which of `.` and `..` are still to come.
    dots: u8,
    /// Names of the block being filled, one after the other, and what belongs to each.
    names: Vec<u8>,
    entries: Vec<(u64, usize, u8)>,
    /// Whole blocks, if they are to be written.
    pub(super) bytes: Option<Vec<u8>>,
    full: u64,
    pub(super) subdirectories: u32,
}

impl Names {
    fn new(block: usize, path: &[u8], index: usize, own: u64, parent: u64, write: bool) -> Self {
        let (names, entries) = (Vec::new(), Vec::new());
        let path = path.into();
        let bytes = write.then(Vec::new);
        Self { block, path, index, own, parent, dots: 0, names, entries, bytes, full: 0, subdirectories: 0 }
    }

    fn dots_before(&mut self, name: Option<&[u8]>) {
        const DOTS: [&[u8]; 2] = [b".", b".."];
        while let Some(dot) = DOTS.get(usize::from(self.dots))
            && name.is_none_or(|name| *dot < name)
        {
            let number = if self.dots == 0 { self.own } else { self.parent };
            self.dots += 1;
            self.put(dot, number, 2);
        }
    }

    fn add(&mut self, name: &[u8], number: u64, kind: u8) {
        self.dots_before(Some(name));
        self.subdirectories += u32::from(kind == 2);
        self.put(name, number, kind);
    }

    fn put(&mut self, name: &[u8], number: u64, kind: u8) {
        if (self.entries.len() + 1) * DIRENT + self.names.len() + name.len() > self.block {
            self.flush();
            self.full += 1;
            if let Some(bytes) = &mut self.bytes {
                bytes.resize(self.full as usize * self.block, 0);
            }
        }
        self.entries.push((number, self.names.len(), kind));
        self.names.extend_from_slice(name);
    }

    /// Moves the block being filled to the bytes; gives its length.
    fn flush(&mut self) -> usize {
        let head = self.entries.len() * DIRENT;
        if let Some(out) = &mut self.bytes {
            for (number, offset, kind) in &self.entries {
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(&((head + offset) as u16).to_le_bytes());
                out.extend_from_slice(&[*kind, 0]);
            }
            out.extend_from_slice(&self.names);
        }
        let length = head + self.names.len();
        self.entries.clear();
        self.names.clear();
        length
    }

    /// The directory's size in bytes, when all its names are known.
    fn finish(&mut self) -> u64 {
        self.dots_before(None);
        self.full * self.block as u64 + self.flush() as u64
    }
}

/// The directories that stand open on the way through a listing.
pub(super) struct Walk {
    block: usize,
    write: bool,
    open: Vec<Names>,
    count: usize,
}

impl Walk {
    /// Begins with the root, whose inode has this number.
    pub(super) fn new(block: u64, root: u64, write: bool) -> Self {
        let block = block as usize;
        let root = Names::new(block, b"", 0, root, root, write);
        Self { block, write, open: vec![root], count: 1 }
    }

    /// Puts a name into its directory; `done` gets each directory in which nothing more can come, and its size.
    ///
    /// The listing has every directory before what is in it.
    pub(super) fn add(
        &mut self,
        entry: &Entry<'_>,
        number: u64,
        kind: u8,
        mut done: impl FnMut(Names, u64) -> Result<()>,
    ) -> Result<()> {
        let (parent, name) = split(&entry.path);
        while self.open.last().is_some_and(|names| *names.path != *parent) {
            self.close(&mut done)?;
        }
        let Some(directory) = self.open.last_mut() else {
            return Err(unfit(entry, "its directory is not listed"));
        };
        directory.add(name, number, kind);
        let above = directory.own;
        if entry.is_directory() {
            let names = Names::new(self.block, &entry.path, self.count, number, above, self.write);
            self.open.push(names);
            self.count += 1;
        }
        Ok(())
    }

    fn close(&mut self, done: &mut impl FnMut(Names, u64) -> Result<()>) -> Result<()> {
        match self.open.pop() {
            Some(mut names) => {
                let size = names.finish();
                done(names, size)
            }
            None => Ok(()),
        }
    }

    /// Ends all directories; gives how many there were.
    pub(super) fn finish(mut self, mut done: impl FnMut(Names, u64) -> Result<()>) -> Result<usize> {
        while !self.open.is_empty() {
            self.close(&mut done)?;
        }
        Ok(self.count)
    }
}
