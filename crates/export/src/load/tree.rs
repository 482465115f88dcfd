//! A file system as a tar (`docker export`, `tar -c`): an image of that one layer.

use super::import::{self, Contents, Found, Part};
use super::members::{MOST_BYTES, Members, reason};
use super::{Loaded, tidy, wrong};
use crate::{Error, Result};
use layer::ReadAhead;
use oci::{Digest, ImageConfig, Reference};
use progress::VertexHandle;
use snapshot::Forms;
use std::io::{Read, Write};
use store::Store;

/// What messages call the tar.
const PATH: &str = "tar";
/// So much is read at once.
const CHUNK: usize = 1 << 18;

/// The one member: the tar, in the store as a blob.
struct Tree {
    digest: Digest,
    size: u64,
}

impl Members for Tree {
    fn document(&self, _path: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn has(&self, path: &str) -> Result<bool> {
        Ok(path == PATH)
    }

    fn blob(&self, path: &str, _expected: Option<Digest>) -> Result<Option<(Digest, u64)>> {
        Ok((path == PATH).then_some((self.digest, self.size)))
    }
}

/// Makes an image of a file system's tar, plain or packed. `config` is its configuration without layers; the layer's
/// digest is that of the tar as it came. `name` is what messages call the tar.
///
/// # Errors
/// [`Error::Archive`] for what is no tar. Nothing is left in the store then.
pub fn import(
    store: &Store,
    forms: &Forms,
    input: impl Read + Send + 'static,
    name: &str,
    mut config: ImageConfig,
    names: Vec<Reference>,
    vertex: &VertexHandle,
) -> Result<Loaded> {
    let loaded = tidy(store, || {
        let tree = spool(store, input, name, vertex)?;
        config.rootfs.diff_ids = vec![tree.digest];
        let bytes = config.to_bytes();
        let part = Part { path: PATH.to_owned(), descriptor: None };
        let found = Found::new(Digest::of(&bytes), bytes, config, vec![part], None, names, name)?;
        let contents = Contents { images: vec![found], indexes: Vec::new() };
        import::import(store, forms, &tree, contents, name, vertex)
    })?;
    Ok(loaded.into_iter().next().expect("because one image was put there"))
}

/// The tar, unpacked, as a blob.
fn spool(
    store: &Store,
    input: impl Read + Send + 'static,
    name: &str,
    vertex: &VertexHandle,
) -> Result<Tree> {
    let plain = layer::decompress(input, MOST_BYTES).map_err(|error| wrong(name, reason(error)))?;
    let mut plain = ReadAhead::new(plain);
    let transfer = vertex.transfer("reading the archive", 0);
    let mut writer = store.blob_writer(None)?;
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = plain.read(&mut buffer).map_err(|error| wrong(name, error.to_string()))?;
        if count == 0 {
            break;
        }
        writer.write_all(&buffer[..count]).map_err(|source| Error::Io {
            action: "spool",
            path: name.into(),
            source,
        })?;
        transfer.advance(count as u64);
    }
    transfer.done();
    let (digest, size) = writer.commit()?;
    if size == 0 {
        return Err(wrong(name, "it is empty"));
    }
    Ok(Tree { digest, size })
}
