//! Programs made by hand: ELF files with the sections and segments that a test wants.

/// A program of some width and byte order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) wide: bool,
    pub(crate) big: bool,
}

pub(crate) const USUAL: Shape = Shape { wide: true, big: false };

impl Shape {
    pub(crate) fn number(self, value: u64, width: usize) -> Vec<u8> {
        let mut bytes = value.to_le_bytes()[..width].to_vec();
        if self.big {
            bytes.reverse();
        }
        bytes
    }

    pub(crate) fn word(self, value: u64) -> Vec<u8> {
        self.number(value, if self.wide { 8 } else { 4 })
    }

    /// A program with these sections. The first begins at [`Shape::start`], each other at the next multiple of 16, and
    /// all of them are loaded at `address` and writable.
    pub(crate) fn program(self, address: u64, sections: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut body = Vec::new();
        let mut names = vec![0];
        let mut rows: Vec<(u64, u64, u64, u64)> = vec![(0, 0, 0, 0)];
        for (name, bytes) in sections {
            body.resize(body.len().next_multiple_of(16), 0);
            rows.push((names.len() as u64, 1, self.start() + body.len() as u64, bytes.len() as u64));
            body.extend(bytes);
            names.extend(name.as_bytes());
            names.push(0);
        }
        let loaded = body.len() as u64;
        rows.push((names.len() as u64, 3, self.start() + loaded, names.len() as u64 + 10));
        names.extend(b".shstrtab\0");
        body.extend(names);
        body.resize(body.len().next_multiple_of(16), 0);

        let table = self.start() + body.len() as u64;
        let mut file = b"\x7fELF".to_vec();
        file.extend([if self.wide { 2 } else { 1 }, if self.big { 2 } else { 1 }, 1, 0]);
        file.extend([0; 8]);
        file.extend(self.number(2, 2));
        file.extend(self.number(62, 2));
        file.extend(self.number(1, 4));
        file.extend(self.word(0));
        file.extend(self.word(self.header()));
        file.extend(self.word(table));
        file.extend(self.number(0, 4));
        for value in
            [self.header(), self.segment(), 1, self.section(), rows.len() as u64, rows.len() as u64 - 1]
        {
            file.extend(self.number(value, 2));
        }
        // One segment: loaded, readable and writable.
        file.extend(self.number(1, 4));
        if self.wide {
            file.extend(self.number(6, 4));
        }
        for value in [self.start(), address, address, loaded, loaded] {
            file.extend(self.word(value));
        }
        if !self.wide {
            file.extend(self.number(6, 4));
        }
        file.extend(self.word(16));
        file.resize(usize::try_from(self.start()).unwrap(), 0);
        file.extend(body);
        for (name, kind, offset, size) in rows {
            file.extend(self.number(name, 4));
            file.extend(self.number(kind, 4));
            for value in [0, 0, offset, size] {
                file.extend(self.word(value));
            }
            file.extend(self.number(0, 4));
            file.extend(self.number(0, 4));
            file.extend(self.word(1));
            file.extend(self.word(0));
        }
        file
    }

    /// Where the first section's bytes are.
    pub(crate) fn start(self) -> u64 {
        (self.header() + self.segment()).next_multiple_of(16)
    }

    fn header(self) -> u64 {
        if self.wide { 64 } else { 52 }
    }

    fn segment(self) -> u64 {
        if self.wide { 56 } else { 32 }
    }

    fn section(self) -> u64 {
        if self.wide { 64 } else { 40 }
    }
}

/// Packs as zlib does.
pub(crate) fn zlib(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
