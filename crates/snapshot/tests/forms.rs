//! Layers from a registry that is a fake, into a real store, and the forms that they are given.
#![allow(clippy::unwrap_used, reason = "tests")]

use layer::{Compression, Compressor, LayerId};
use oci::{Descriptor, Digest, Hasher, media_type};
use progress::VertexHandle;
use snapshot::{BoxError, Error, Fetcher, Forms};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use store::Store;

/// A registry of one blob, which it may cut or change on the way.
#[derive(Default)]
struct Registry {
    blobs: Mutex<Vec<Vec<u8>>>,
    fetched: AtomicUsize,
    /// The bytes that were asked for.
    given: AtomicUsize,
    cut: AtomicBool,
    changed: AtomicBool,
}

impl Fetcher for Registry {
    fn fetch(
        &self,
        _: &str,
        descriptor: &Descriptor,
        taken: Hasher,
        sink: &mut dyn Write,
        progress: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        self.fetched.fetch_add(1, Ordering::Relaxed);
        let blobs = self.blobs.lock().unwrap();
        let mut blob = blobs.iter().find(|blob| Digest::of(blob) == descriptor.digest).unwrap().clone();
        let taken = usize::try_from(taken.size()).unwrap();
        self.given.fetch_add(blob.len() - taken, Ordering::Relaxed);
        if self.cut.load(Ordering::Relaxed) {
            blob.truncate(blob.len() / 2);
            sink.write_all(&blob[taken..])?;
            return Err("the connection was closed".into());
        }
        if self.changed.load(Ordering::Relaxed) {
            let at = blob.len() / 2;
            blob[at] ^= 1;
        }
        for part in blob[taken..].chunks(16) {
            sink.write_all(part)?;
        }
        progress(blob.len() as u64);
        Ok(())
    }
}

struct Kit {
    _folder: tempfile::TempDir,
    store: Store,
    registry: Arc<Registry>,
    forms: Forms,
}

impl Kit {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(store::Options::new(folder.path().join("store"))).unwrap();
        let registry = Arc::new(Registry::default());
        let forms = Forms::new(store.clone(), registry.clone(), false, 3);
        Self { _folder: folder, store, registry, forms }
    }

    /// Layers that the registry has and the store knows of.
    fn remote(&self, layers: &[&[(&str, &str)]], told: Option<Digest>) -> Vec<LayerId> {
        let layers: Vec<(Digest, Descriptor)> = layers
            .iter()
            .map(|members| {
                let tar = tar(members);
                let blob = gzip(&tar);
                let descriptor =
                    Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(&blob), blob.len() as u64);
                self.registry.blobs.lock().unwrap().push(blob);
                (told.unwrap_or_else(|| Digest::of(&tar)), descriptor)
            })
            .collect();
        self.store.remote_layers("example.com/image:1", &layers).unwrap()
    }

    fn read(&self, stack: &[LayerId], path: &str) -> Option<String> {
        let view = self.forms.view(stack).unwrap();
        let bytes = self.forms.read(&view, stack, path, 1 << 20).unwrap()?;
        Some(String::from_utf8(bytes).unwrap())
    }

    fn count(&self, folder: &str) -> usize {
        std::fs::read_dir(self.store.options().root.join(folder)).unwrap().count()
    }

    /// Nothing of a pull that failed is left.
    fn is_as_before(&self, id: LayerId) {
        assert!(!self.store.layer(id).unwrap().unwrap().is_local());
        let dir = self.store.layer_dir(id);
        assert_eq!(std::fs::read_dir(dir).map_or(0, Iterator::count), 0);
    }
}

/// A name that ends with a slash is a directory; a file holds its text.
fn tar(members: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, text) in members {
        let mut header = tar::Header::new_gnu();
        header.set_uid(3);
        header.set_gid(4);
        header.set_mtime(7);
        header.set_size(text.len() as u64);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o750);
        } else {
            header.set_mode(0o640);
        }
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), Compression::Gzip, None, 1).unwrap();
    compressor.write_all(bytes).unwrap();
    compressor.finish().unwrap()
}

fn chain(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", chain(source)))
}

const ONE: &[(&str, &str)] = &[("d/", ""), ("d/a", "one"), ("d/b", "two"), ("gone", "x")];
const TWO: &[(&str, &str)] =
    &[("d/", ""), ("d/a", "newer"), (".wh.gone", ""), ("e/", ""), ("e/.wh..wh..opq", "")];

#[test]
fn layers_are_pulled_once_and_only_when_they_are_needed() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE, TWO], None);
    assert_eq!(kit.registry.fetched.load(Ordering::Relaxed), 0);
    assert_eq!(kit.read(&stack, "d/a").unwrap(), "newer");
    assert_eq!(kit.read(&stack, "d/b").unwrap(), "two");
    assert!(kit.read(&stack, "gone").is_none());
    let folders = kit.forms.folders(&stack, &VertexHandle::none()).unwrap();
    let metadata = std::fs::metadata(folders[0].join("d/b")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.gid()), (0o640, 3, 4));
    assert_eq!(kit.registry.fetched.load(Ordering::Relaxed), 2);
    // The tar is what came, and its digest what was told.
    let mut bytes = Vec::new();
    kit.forms.write_tar(stack[0], &mut bytes).unwrap();
    assert_eq!(bytes, tar(ONE));
    assert_eq!(kit.forms.diff_ids(&stack[..1]).unwrap()[0].digest, Digest::of(&bytes));
    // What came compressed is not compressed again.
    let blob = kit.forms.compressed(stack[0], Compression::Gzip, None).unwrap();
    assert_eq!(blob.digest, Digest::of(&gzip(&tar(ONE))));
    assert_eq!(kit.registry.fetched.load(Ordering::Relaxed), 2);
}

#[test]
fn what_comes_wrong_is_not_used() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE], None);
    kit.registry.changed.store(true, Ordering::Relaxed);
    let error = kit.forms.view(&stack).unwrap_err();
    assert!(chain(&error).contains("digest"), "{}", chain(&error));
    kit.is_as_before(stack[0]);
    assert_eq!(kit.count("ingest"), 0);
    // The next try is a new one.
    kit.registry.changed.store(false, Ordering::Relaxed);
    assert_eq!(kit.read(&stack, "d/a").unwrap(), "one");
}

#[test]
fn a_broken_pull_is_gone_on_with() {
    for is_wrong in [false, true] {
        let kit = Kit::new();
        let stack = kit.remote(&[ONE], None);
        kit.registry.cut.store(true, Ordering::Relaxed);
        let error = kit.forms.view(&stack).unwrap_err();
        assert!(chain(&error).contains("the connection was closed"), "{}", chain(&error));
        kit.is_as_before(stack[0]);
        let part =
            std::fs::read_dir(kit.store.root().join("ingest")).unwrap().next().unwrap().unwrap().path();
        let (whole, half) = (gzip(&tar(ONE)), std::fs::read(&part).unwrap());
        assert_eq!(half, whole[..whole.len() / 2]);
        if is_wrong {
            std::fs::write(&part, vec![7; half.len()]).unwrap();
        }
        kit.registry.cut.store(false, Ordering::Relaxed);
        kit.registry.given.store(0, Ordering::Relaxed);
        assert_eq!(kit.read(&stack, "d/a").unwrap(), "one");
        // What turned out to be wrong in the end is fetched whole.
        let rest = whole.len() - half.len();
        let given = if is_wrong { rest + whole.len() } else { rest };
        assert_eq!((kit.registry.given.load(Ordering::Relaxed), kit.count("ingest")), (given, 0));
    }
}

#[test]
fn a_blob_that_is_not_the_layer_of_the_configuration_is_refused() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE], Some(Digest::of(b"another tar")));
    let error = chain(&kit.forms.view(&stack).unwrap_err());
    assert!(error.contains(&Digest::of(b"another tar").to_string()), "{error}");
    assert!(error.contains(&Digest::of(&tar(ONE)).to_string()), "{error}");
    kit.is_as_before(stack[0]);
}

#[test]
fn a_pull_ends_when_it_is_no_longer_wanted() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE], None);
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let forms = kit.forms.clone().with_cancel(Arc::new(move || count.fetch_add(1, Ordering::Relaxed) >= 4));
    assert!(matches!(forms.view(&stack).unwrap_err(), Error::Cancelled));
    kit.is_as_before(stack[0]);
    assert_eq!(kit.read(&stack, "d/a").unwrap(), "one");
}

#[test]
fn several_ask_and_one_pulls() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE, TWO], None);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(kit.read(&stack, "d/a").unwrap(), "newer"));
        }
    });
    assert_eq!(kit.registry.fetched.load(Ordering::Relaxed), 2);
}

#[test]
fn a_stack_is_shown_as_one_listing() {
    let kit = Kit::new();
    let stack = kit.remote(&[ONE, &[("e/", ""), ("e/old", "x")], TWO], None);
    let (listing, mut content) = kit.forms.merged(&stack).unwrap();
    let paths: Vec<_> =
        listing.entries().map(|entry| String::from_utf8_lossy(&entry.path).into_owned()).collect();
    assert_eq!(paths, ["d", "d/a", "d/b", "e"]);
    let mut bytes = Vec::new();
    layer::write_tar(&listing, &mut content, &mut bytes).unwrap();
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut texts = Vec::new();
    for member in archive.entries().unwrap() {
        let mut text = String::new();
        member.unwrap().read_to_string(&mut text).unwrap();
        texts.push(text);
    }
    assert_eq!(texts, ["", "newer", "two", ""]);
}

#[test]
fn a_layer_of_ones_own_has_the_same_bytes_each_time() {
    let kit = Kit::new();
    let mut draft = kit.store.new_layer().unwrap();
    let mut pack = layer::PackWriter::new(std::fs::File::create(draft.pack()).unwrap());
    let packed = pack.add(b"text").unwrap();
    pack.finish().unwrap();
    let kind = layer::Kind::File {
        size: 4,
        digest: packed.digest,
        link: 0,
        content: layer::Content::Own(packed.place()),
    };
    let entry = layer::Entry {
        path: b"f"[..].into(),
        kind,
        mode: 0o4755,
        uid: 8,
        gid: 9,
        mtime: layer::Time { seconds: 5, nanoseconds: 6 },
        xattrs: Vec::new().into(),
    };
    draft.write_listing(&layer::Listing::new(vec![entry], Vec::new())).unwrap();
    let id = draft.id();
    kit.store.commit(store::Commit { layers: vec![draft], ..store::Commit::default() }).unwrap();
    let diff = kit.forms.diff_ids(&[id]).unwrap()[0];
    let mut before = Vec::new();
    kit.forms.write_tar(id, &mut before).unwrap();
    assert_eq!(Digest::of(&before), diff.digest);
    assert_eq!(before.len() as u64, diff.size);
    // A plan becomes a folder; the tar stays.
    let folder = kit.forms.folders(&[id], &VertexHandle::none()).unwrap().remove(0);
    let metadata = std::fs::metadata(folder.join("f")).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.uid(), metadata.mtime_nsec()), (0o4755, 8, 6));
    let mut after = Vec::new();
    kit.forms.write_tar(id, &mut after).unwrap();
    assert_eq!(after, before);
    // Compressed once, in each way.
    let gzip = kit.forms.compressed(id, Compression::Gzip, None).unwrap();
    assert_eq!(kit.forms.compressed(id, Compression::Gzip, None).unwrap(), gzip);
    let zstd = kit.forms.compressed(id, Compression::Zstd, None).unwrap();
    assert_ne!(zstd.digest, gzip.digest);
    let mut plain = Vec::new();
    layer::decompress(kit.forms.blob(id, &zstd).unwrap(), u64::MAX).unwrap().read_to_end(&mut plain).unwrap();
    assert_eq!(plain, before);
    assert!(matches!(
        kit.forms.read(&kit.forms.view(&[id]).unwrap(), &[id], "f", 3),
        Err(Error::TooLarge { size: 4, limit: 3, .. })
    ));
}
