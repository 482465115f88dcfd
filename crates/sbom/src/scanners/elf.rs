//! What is needed of ELF files (the ELF specification, gABI 4): sections by name, and bytes by their address in memory.
//!
//! ```text
//! offset in 32 / 64 bits
//!  0  7f 45 4c 46, class (1: 32 bits, 2: 64), byte order (1: little, 2: big)
//! 18  machine
//! 28 / 32  where the program headers are        32 / 40  where the section headers are
//! 42 / 54  size and number of program headers   46 / 58  size, number of section headers; which has the names
//! ```
//! Every number is the file's word for it: nothing is read beyond the file, and no table larger than its bound.

use crate::limits;
use crate::tree::{Content, read_range};
use std::io;

/// An ELF file of which the tables are read.
pub(super) struct Elf<'a> {
    content: &'a dyn Content,
    pub(super) big: bool,
    pub(super) wide: bool,
    sections: Vec<Section>,
    segments: Vec<Segment>,
}

#[derive(Clone, Debug)]
pub(super) struct Section {
    name: Vec<u8>,
    pub(super) range: Range,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    address: u64,
    range: Range,
    writable: bool,
    loaded: bool,
}

/// A part of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) offset: u64,
    pub(super) size: u64,
}

const MAGIC: &[u8] = b"\x7fELF";
/// The kind of a section without bytes in the file.
const NO_BITS: u64 = 8;
const LOAD: u64 = 1;
const WRITABLE: u64 = 2;

/// Reads numbers in the order and width of a file.
#[derive(Clone, Copy)]
struct Numbers {
    big: bool,
    wide: bool,
}

impl Numbers {
    fn at(self, bytes: &[u8], offset: usize, width: usize) -> Option<u64> {
        let bytes = bytes.get(offset..offset.checked_add(width)?)?;
        let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if self.big { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) })
    }

    /// A number that has the width of addresses; its place differs with that width.
    fn word(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        if self.wide { self.at(bytes, wide, 8) } else { self.at(bytes, narrow, 4) }
    }

    fn half(self, bytes: &[u8], narrow: usize, wide: usize) -> Option<u64> {
        self.at(bytes, if self.wide { wide } else { narrow }, 2)
    }
}

impl<'a> Elf<'a> {
    /// Reads the tables; nothing where it is no ELF file or a broken one.
    ///
    /// # Errors
    /// Those of reading the file.
    pub(super) fn open(content: &'a dyn Content) -> io::Result<Option<Self>> {
        let header = read_range(content, 0, 64)?;
        if !header.starts_with(MAGIC) || header.len() < 52 {
            return Ok(None);
        }
        let numbers = Numbers { big: header[5] == 2, wide: header[4] == 2 };
        let mut elf = Self {
            content,
            big: numbers.big,
            wide: numbers.wide,
            sections: Vec::new(),
            segments: Vec::new(),
        };
        if elf.read_sections(&header, numbers)?.is_none() {
            elf.sections.clear();
        }
        if elf.read_segments(&header, numbers)?.is_none() {
            elf.segments.clear();
        }
        Ok(Some(elf))
    }

    fn table(&self, offset: u64, size: u64, count: u64) -> io::Result<Option<Vec<u8>>> {
        let Some(length) = size.checked_mul(count).filter(|length| *length <= limits::HEADERS) else {
            return Ok(None);
        };
        let bytes = read_range(self.content, offset, length)?;
        Ok((bytes.len() as u64 == length).then_some(bytes))
    }

    fn read_sections(&mut self, header: &[u8], numbers: Numbers) -> io::Result<Option<()>> {
        let place = (|| {
            let offset = numbers.word(header, 32, 40)?;
            let size = numbers.half(header, 46, 58)?;
            let count = numbers.half(header, 48, 60)?;
            let names = numbers.half(header, 50, 62)?;
            let least = if numbers.wide { 64 } else { 40 };
            (offset > 0 && count > 0 && size >= least).then_some((offset, size, count, names))
        })();
        let Some((offset, size, count, names)) = place else { return Ok(None) };
        let Some(table) = self.table(offset, size, count)? else { return Ok(None) };
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        let entries: Vec<&[u8]> = table.chunks_exact(size).collect();
        let range = |entry: &[u8]| {
            let has_bits = numbers.at(entry, 4, 4)? != NO_BITS;
            let range = Range { offset: numbers.word(entry, 16, 24)?, size: numbers.word(entry, 20, 32)? };
            Some(if has_bits { range } else { Range { size: 0, ..range } })
        };
        let names = usize::try_from(names).ok().and_then(|at| entries.get(at)).and_then(|entry| range(entry));
        let Some(names) = names.filter(|names| names.size <= limits::HEADERS) else { return Ok(None) };
        let names = read_range(self.content, names.offset, names.size)?;
        for entry in entries {
            let (Some(name), Some(range)) = (numbers.at(entry, 0, 4), range(entry)) else { continue };
            let name = usize::try_from(name).ok().and_then(|at| names.get(at..)).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            // The names that are asked for are short; a table can name each section by all the others' names.
            if name.len() <= 64 {
                self.sections.push(Section { name: name.to_vec(), range });
            }
        }
        Ok(Some(()))
    }

    fn read_segments(&mut self, header: &[u8], numbers: Numbers) -> io::Result<Option<()>> {
        let place = (|| {
            let offset = numbers.word(header, 28, 32)?;
            let size = numbers.half(header, 42, 54)?;
            let count = numbers.half(header, 44, 56)?;
            let least = if numbers.wide { 56 } else { 32 };
            (offset > 0 && size >= least).then_some((offset, size, count))
        })();
        let Some((offset, size, count)) = place else { return Ok(None) };
        let Some(table) = self.table(offset, size, count)? else { return Ok(None) };
        let Ok(size) = usize::try_from(size) else { return Ok(None) };
        for entry in table.chunks_exact(size) {
            let segment = (|| {
                Some(Segment {
                    loaded: numbers.at(entry, 0, 4)? == LOAD,
                    writable: numbers.at(entry, if numbers.wide { 4 } else { 24 }, 4)? & WRITABLE != 0,
                    address: numbers.word(entry, 8, 16)?,
                    range: Range { offset: numbers.word(entry, 4, 8)?, size: numbers.word(entry, 16, 32)? },
                })
            })();
            self.segments.extend(segment.filter(|segment| segment.loaded));
        }
        Ok(Some(()))
    }

    /// The first section of that name.
    pub(super) fn section(&self, name: &[u8]) -> Option<Range> {
        self.sections.iter().find(|section| section.name == name).map(|section| section.range)
    }

    /// The first part of the file that is loaded to be written to.
    pub(super) fn data(&self) -> Option<Range> {
        self.segments.iter().find(|segment| segment.writable).map(|segment| segment.range)
    }

    /// The first `most` bytes of a part of the file.
    pub(super) fn bytes(&self, range: Range, most: u64) -> io::Result<Vec<u8>> {
        read_range(self.content, range.offset, range.size.min(most))
    }

    /// `size` bytes at an address in memory; nothing where the file has not all of them.
    pub(super) fn at_address(&self, address: u64, size: u64) -> io::Result<Option<Vec<u8>>> {
        let place = self.segments.iter().find_map(|segment| {
            let within = address.checked_sub(segment.address)?;
            let left = segment.range.size.checked_sub(within)?;
            (size <= left).then(|| segment.range.offset.checked_add(within))?
        });
        let Some(offset) = place else { return Ok(None) };
        let bytes = read_range(self.content, offset, size)?;
        Ok((bytes.len() as u64 == size).then_some(bytes))
    }

    /// A number of the width of addresses, in the file's order.
    pub(super) fn pointer(&self, bytes: &[u8], offset: usize) -> Option<u64> {
        let numbers = Numbers { big: self.big, wide: self.wide };
        numbers.at(bytes, offset, if self.wide { 8 } else { 4 })
    }
}
