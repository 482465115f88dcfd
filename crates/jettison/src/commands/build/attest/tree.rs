//! The file system that a stack of layers shows, for whoever scans it: read from listings and the files that the store
//! has of each layer, whatever form it is in. Nothing is mounted.

use ::sbom::{Content, File};
use layer::{Bytes, ContentSource as _, Kind, LayerId, StoredContent, View};
use progress::VertexHandle;
use snapshot::Forms;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, PoisonError};

/// What a stack shows.
pub(super) struct Tree {
    view: View,
    /// The files of each layer.
    contents: Vec<Mutex<StoredContent>>,
}

impl Tree {
    /// The tree of a stack; layers that are not here are pulled.
    pub(super) fn new(forms: &Forms, stack: &[LayerId], vertex: &VertexHandle) -> snapshot::Result<Self> {
        forms.complete(stack, vertex)?;
        let view = forms.view(stack)?;
        let contents = stack.iter().zip(view.layers()).map(|(id, listing)| forms.content(*id, listing));
        let contents = contents.map(|content| content.map(Mutex::new)).collect::<snapshot::Result<_>>()?;
        Ok(Self { view, contents })
    }
}

impl ::sbom::Tree for Tree {
    fn files(&self) -> Vec<File<'_>> {
        let all = self.view.below(b"").into_iter();
        let regular = all.filter_map(|found| {
            let entry = found.entry();
            let Kind::File { size, .. } = entry.kind else { return None };
            Some(File { path: found.path(), size, executable: entry.mode & 0o111 != 0, layer: found.layer() })
        });
        regular.collect()
    }

    fn open(&self, path: &[u8]) -> io::Result<Option<Box<dyn Content + '_>>> {
        // Links in a circle lead to no file.
        let Ok(real) = self.view.resolve(path, true) else { return Ok(None) };
        let Some(found) = self.view.get(&real) else { return Ok(None) };
        let entry = found.entry();
        let Kind::File { size, .. } = entry.kind else { return Ok(None) };
        let mut content = self.contents[found.layer()].lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Some(match content.bytes(&entry).map_err(io::Error::other)? {
            Bytes::Here(bytes) => Box::new(bytes.to_vec()),
            Bytes::In { file, offset } => Box::new(Large { file: file.try_clone()?, offset, size }),
        }))
    }
}

/// A part of a file of the store.
struct Large {
    file: std::fs::File,
    offset: u64,
    size: u64,
}

impl Content for Large {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let count = left.min(buffer.len());
        self.file.read_at(&mut buffer[..count], self.offset.saturating_add(offset))
    }
}
