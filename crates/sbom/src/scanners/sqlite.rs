//! Reads the rows of one table of an SQLite database (sqlite.org/fileformat2.html), and nothing else of it: no index, no
//! journal, no SQL.
//!
//! ```text
//! page 1    100 bytes of header, then the root of the table of tables
//! page      kind (5: inner, 13: leaf), number of cells, places of the cells, cells
//! inner     page of the left child, row id        the last child stands in the page's head
//! leaf      size of the record, row id, record, and page of the rest where it has no room
//! record    size of its head, a type for each column, the columns
//! ```
//! No page is read twice, so the work is bounded by the size of the file whatever its pages say of each other.

use crate::tree::{Content, read_range};
use std::collections::HashSet;
use std::io;

const MAGIC: &[u8] = b"SQLite format 3\0";
const HEADER: u64 = 100;
/// The largest record that is read.
const RECORD: u64 = 64 << 20;
/// The deepest tree: each inner page has two children at least, but for broken ones.
const DEEPEST: usize = 32;

/// What was made of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Column<'a> {
    /// A whole number.
    Number(i64),
    /// A text or a blob.
    Bytes(&'a [u8]),
    /// Anything else.
    Other,
}

/// Why a table is not read.
#[derive(Debug)]
pub(super) enum Trouble {
    Io(io::Error),
    /// The file is no such database or a broken one.
    Broken(&'static str),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

type Result<T> = std::result::Result<T, Trouble>;

/// What is done with a row.
type Visit<'v> = dyn FnMut(&[Column<'_>]) + 'v;

struct Database<'a> {
    content: &'a dyn Content,
    page: u64,
    /// The bytes of a page that are in use.
    usable: u64,
    seen: HashSet<u32>,
}

/// Gives the columns of each row of `table` to `visit`, in the order of their ids.
pub(super) fn rows(content: &dyn Content, table: &str, visit: &mut Visit<'_>) -> Result<()> {
    let header = read_range(content, 0, HEADER)?;
    if header.len() < 100 || !header.starts_with(MAGIC) {
        return Err(Trouble::Broken("has no header of SQLite"));
    }
    let page = match u64::from(header[16]) << 8 | u64::from(header[17]) {
        1 => 65536,
        size if size >= 512 && size.is_power_of_two() => size,
        _ => return Err(Trouble::Broken("has pages of no size")),
    };
    let usable = page - u64::from(header[20]);
    if usable < 480 {
        return Err(Trouble::Broken("has no room in its pages"));
    }
    let mut database = Database { content, page, usable, seen: HashSet::new() };
    let mut root = None;
    database.tree(1, 0, &mut |columns| {
        if let [Column::Bytes(b"table"), Column::Bytes(name), _, Column::Number(page), ..] = columns
            && *name == table.as_bytes()
        {
            root = u32::try_from(*page).ok();
        }
    })?;
    match root {
        Some(root) => database.tree(root, 0, visit),
        None => Err(Trouble::Broken("has no such table")),
    }
}

impl Database<'_> {
    /// The bytes of a page, which was not read before.
    fn page(&mut self, number: u32) -> Result<Vec<u8>> {
        if number == 0 || !self.seen.insert(number) {
            return Err(Trouble::Broken("has pages that lead in a circle"));
        }
        let bytes = read_range(self.content, (u64::from(number) - 1) * self.page, self.page)?;
        if bytes.len() as u64 != self.page {
            return Err(Trouble::Broken("is cut off"));
        }
        Ok(bytes)
    }

    fn tree(&mut self, number: u32, depth: usize, visit: &mut Visit<'_>) -> Result<()> {
        const CELL: Trouble = Trouble::Broken("has a cell out of its page");
        if depth > DEEPEST {
            return Err(Trouble::Broken("has pages too deep in each other"));
        }
        let page = self.page(number)?;
        let start = if number == 1 { 100 } else { 0 };
        let inner = match page[start] {
            5 => true,
            13 => false,
            _ => return Err(Trouble::Broken("has a page of another kind in its table")),
        };
        let places = start + if inner { 12 } else { 8 };
        for cell in 0..usize::from(half(&page, start + 3).ok_or(CELL)?) {
            let at = usize::from(half(&page, places + 2 * cell).ok_or(CELL)?);
            if inner {
                self.tree(word(&page, at).ok_or(CELL)?, depth + 1, visit)?;
                continue;
            }
            let (size, at) = varint(&page, at).ok_or(CELL)?;
            let (_, at) = varint(&page, at).ok_or(CELL)?;
            let record = self.record(&page, at, size)?;
            if let Some(columns) = columns(&record) {
                visit(&columns);
            }
        }
        if inner {
            self.tree(word(&page, start + 8).ok_or(CELL)?, depth + 1, visit)?;
        }
        Ok(())
    }

    /// A record of `size` bytes, which begins at `at` and goes on in pages of its own where it is large.
    fn record(&mut self, page: &[u8], at: usize, size: u64) -> Result<Vec<u8>> {
        const CUT: Trouble = Trouble::Broken("has a record that is cut off");
        if size > RECORD || size > self.content.size() {
            return Err(Trouble::Broken("has a record that is too large"));
        }
        let most = self.usable - 35;
        let here = if size <= most {
            size
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fits = least + (size - least) % (self.usable - 4);
            if fits <= most { fits } else { least }
        };
        // Both are smaller than a page or than the bound above.
        let (here, size) = (here as usize, size as usize);
        let mut record = page.get(at..at.saturating_add(here)).ok_or(CUT)?.to_vec();
        let mut next = if record.len() < size { word(page, at + here).ok_or(CUT)? } else { 0 };
        while record.len() < size {
            let page = self.page(next)?;
            next = word(&page, 0).ok_or(CUT)?;
            let count = (size - record.len()).min(self.usable as usize - 4);
            record.extend(page.get(4..4 + count).ok_or(CUT)?);
        }
        Ok(record)
    }
}

/// The columns of a record; nothing where it is broken.
fn columns(record: &[u8]) -> Option<Vec<Column<'_>>> {
    let (head, mut at) = varint(record, 0)?;
    let head = usize::try_from(head).ok()?;
    let mut value = head;
    let mut columns = Vec::new();
    while at < head {
        let (kind, next) = varint(record, at)?;
        at = next;
        let width = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            _ => (kind - 12) / 2,
        };
        let end = value.checked_add(usize::try_from(width).ok()?)?;
        let bytes = record.get(value..end)?;
        value = end;
        columns.push(match kind {
            1..=6 => Column::Number(number(bytes)),
            8 | 9 => Column::Number(i64::from(kind == 9)),
            12.. => Column::Bytes(bytes),
            _ => Column::Other,
        });
    }
    Some(columns)
}

/// A whole number of up to 8 bytes, the highest first, with its sign.
fn number(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number in groups of 7 bits, the highest first; a ninth byte has 8. And where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (count, byte) in bytes.get(at..)?.iter().enumerate().take(9) {
        if count == 8 {
            return Some((value << 8 | u64::from(*byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, at + count + 1));
        }
    }
    None
}
