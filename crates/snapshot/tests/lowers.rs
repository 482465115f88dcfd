//! What a stack is mounted from: large plans as images, all else as folders.
//!
//! Images are mounted by root only, and from disks only: so these tests keep off the folder for temporary files.
#![allow(clippy::unwrap_used, reason = "tests")]

use layer::{Content, Entry, Kind, LayerId, Listing, PackWriter, Time};
use oci::{Descriptor, Hasher};
use progress::VertexHandle;
use snapshot::{BoxError, Fetcher, Forms, Lowers};
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use store::{Commit, Store};

/// Types of file systems, as statfs(2) tells them.
const OVERLAYFS: i64 = 0x794c_7630;
const TMPFS: i64 = 0x0102_1994;

/// Nothing is remote here.
struct Nobody;

impl Fetcher for Nobody {
    fn fetch(
        &self,
        reference: &str,
        _: &Descriptor,
        _: Hasher,
        _: &mut dyn Write,
        _: &dyn Fn(u64),
    ) -> Result<(), BoxError> {
        Err(format!("nobody fetches {reference}").into())
    }
}

struct Kit {
    folder: tempfile::TempDir,
    store: Store,
    forms: Forms,
}

impl Kit {
    fn new() -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let store = open(folder.path(), "first boot");
        let forms = forms(&store);
        Self { folder, store, forms }
    }

    /// The same store, as another process sees it after the machine booted with this id.
    fn again(&self, boot: &str) -> (Store, Forms) {
        let store = open(self.folder.path(), boot);
        let forms = forms(&store);
        (store, forms)
    }

    /// A plan of so many files in a folder, the last of which borrows its bytes from `from`.
    fn plan(&self, files: usize, from: Option<LayerId>) -> LayerId {
        let mut draft = self.store.new_layer().unwrap();
        let mut pack = PackWriter::new(File::create(draft.pack()).unwrap());
        let mut entries = vec![entry("d", Kind::Directory { opaque: false })];
        for number in 0..files {
            let packed = pack.add(format!("text {number}").as_bytes()).unwrap();
            let content = match from {
                // What the other layer's first file says.
                Some(_) if number == 0 => Content::Borrowed { layer: 0, place: packed.place() },
                _ => Content::Own(packed.place()),
            };
            let kind = Kind::File { size: packed.size, digest: packed.digest, link: 0, content };
            entries.push(entry(&format!("d/{number}"), kind));
        }
        pack.finish().unwrap();
        draft.write_listing(&Listing::new(entries, from.into_iter().collect())).unwrap();
        let id = draft.id();
        self.store.commit(Commit { layers: vec![draft], ..Commit::default() }).unwrap();
        id
    }

    /// A file of its own in a folder, a later content of one that all have, and a whiteout of an earlier one's file.
    fn small(&self, number: usize) -> LayerId {
        let mut draft = self.store.new_layer().unwrap();
        let mut pack = PackWriter::new(File::create(draft.pack()).unwrap());
        let packed = pack.add(format!("text {number}").as_bytes()).unwrap();
        pack.finish().unwrap();
        let file = || Kind::File {
            size: packed.size,
            digest: packed.digest,
            link: 0,
            content: Content::Own(packed.place()),
        };
        let mut entries = vec![
            entry("d", Kind::Directory { opaque: number == 5 }),
            entry(&format!("d/{number}"), file()),
            entry("who", file()),
        ];
        if number % 10 == 1 {
            entries.push(entry(&format!("d/{}", number - 1), Kind::Whiteout));
        }
        draft.write_listing(&Listing::new(entries, Vec::new())).unwrap();
        let id = draft.id();
        self.store.commit(Commit { layers: vec![draft], ..Commit::default() }).unwrap();
        id
    }

    fn lowers(&self, stack: &[LayerId]) -> Lowers {
        self.forms.lowers(stack, &VertexHandle::none()).unwrap()
    }

    fn images(&self, id: LayerId) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.store.layer_dir(id)).unwrap().map(|found| found.unwrap().path());
        all.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("image")).collect()
    }
}

fn open(folder: &Path, boot: &str) -> Store {
    let mut options = store::Options::new(folder.join("store"));
    options.boot_id = Some(boot.to_owned());
    Store::open(options).unwrap()
}

fn forms(store: &Store) -> Forms {
    Forms::new(store.clone(), Arc::new(Nobody), false, 1)
}

fn entry(path: &str, kind: Kind<'static>) -> Entry<'static> {
    let mtime = Time { seconds: 5, nanoseconds: 6 };
    let (path, xattrs) = (path.as_bytes().to_vec().into(), Vec::new().into());
    Entry { path, kind, mode: 0o4750, uid: 8, gid: 9, mtime, xattrs }
}

/// Linux before 6.15 makes no overlay of a detached mount.
fn nests() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse::<u32>());
    let mut next = || numbers.next().unwrap().unwrap();
    (next(), next()) >= (6, 15)
}

fn is_image(path: &Path) -> bool {
    path.starts_with("/proc/self/fd")
}

/// What a directory shows, but for where the bytes lie.
fn shown(path: &Path) -> Listing {
    let folder = snapshot::open_directory(path).unwrap();
    layer::scan(folder.as_fd(), &layer::ScanOptions::default()).unwrap()
}

/// What directories show over each other, lowest first.
fn merged(paths: &[PathBuf]) -> Listing {
    let topmost: Vec<PathBuf> = paths.iter().rev().cloned().collect();
    let mount = sandbox::overlay::mount_detached(&topmost, None, sandbox::overlay::Options::default());
    layer::scan(mount.unwrap().as_fd(), &layer::ScanOptions::default()).unwrap()
}

#[test]
fn a_large_plan_is_an_image_and_shows_what_its_folder_shows() {
    let kit = Kit::new();
    let below = kit.plan(2, None);
    let large = kit.plan(100, Some(below));
    let lowers = kit.lowers(&[below, large]);
    let [folder, image] = lowers.paths() else { panic!("{lowers:?}") };
    assert!(!is_image(folder) && is_image(image), "{lowers:?}");
    assert!(kit.store.layer(large).unwrap().unwrap().listing);
    assert!(!kit.store.layer(large).unwrap().unwrap().folder);
    let from_image = shown(image);
    // For who wants paths that last, it is a folder as well.
    let folders = kit.forms.folders(&[below, large], &VertexHandle::none()).unwrap();
    assert!(from_image == shown(&folders[1]));
    assert_eq!(std::fs::read_to_string(image.join("d/0")).unwrap(), "text 0");
    assert_eq!(std::fs::read_to_string(image.join("d/99")).unwrap(), "text 99");
    // A folder that is there anyway is what the next process mounts.
    let (_store, forms) = kit.again("first boot");
    assert!(!is_image(&forms.lowers(&[large], &VertexHandle::none()).unwrap().paths()[0]));
}

#[test]
fn an_image_is_made_once_in_a_boot_and_again_after_it() {
    let kit = Kit::new();
    let id = kit.plan(100, None);
    assert!(is_image(&kit.lowers(&[id]).paths()[0]));
    assert_eq!(kit.lowers(&[id]).paths(), kit.lowers(&[id]).paths(), "one mount serves all steps");
    let made = kit.images(id);
    assert_eq!(made.len(), 1);
    let written = std::fs::metadata(&made[0]).unwrap().modified().unwrap();
    // Another process takes what is there.
    let (_store, forms) = kit.again("first boot");
    let lowers = forms.lowers(&[id], &VertexHandle::none()).unwrap();
    assert!(shown(&lowers.paths()[0]) == shown(&kit.lowers(&[id]).paths()[0]));
    assert_eq!(std::fs::metadata(&made[0]).unwrap().modified().unwrap(), written);
    // It was never synced, so it counts no longer than the machine is up. The layer itself is taken for durable.
    kit.store.finish().unwrap();
    let (_store, forms) = kit.again("second boot");
    let lowers = forms.lowers(&[id], &VertexHandle::none()).unwrap();
    assert!(is_image(&lowers.paths()[0]));
    let now = kit.images(id);
    assert_eq!(now.len(), 1, "the old one is removed: {now:?}");
    assert_ne!(now, made);
}

#[test]
fn what_a_killed_process_left_of_an_image_is_never_mounted() {
    let kit = Kit::new();
    let id = kit.plan(100, None);
    let half = kit.store.layer_dir(id).join("image.tmp");
    std::fs::write(&half, vec![0xab; 5000]).unwrap();
    let lowers = kit.lowers(&[id]);
    assert!(is_image(&lowers.paths()[0]));
    assert_eq!(std::fs::read_to_string(lowers.paths()[0].join("d/7")).unwrap(), "text 7");
    assert!(!half.exists());
}

#[test]
fn where_owners_are_in_the_listing_alone_everything_is_a_folder() {
    let kit = Kit::new();
    let id = kit.plan(100, None);
    let forms = Forms::new(kit.store.clone(), Arc::new(Nobody), true, 1);
    let lowers = forms.lowers(&[id], &VertexHandle::none()).unwrap();
    assert!(!is_image(&lowers.paths()[0]));
    assert_eq!(kit.images(id), Vec::<PathBuf>::new());
}

#[test]
fn what_no_image_can_hold_is_a_folder() {
    let kit = Kit::new();
    let mut draft = kit.store.new_layer().unwrap();
    let mut entries: Vec<Entry<'_>> =
        (0..100).map(|n| entry(&format!("d{n}"), Kind::Directory { opaque: false })).collect();
    // The listing keeps it, though no file system of Linux could show it.
    entries[3].xattrs = vec![(b"user.large"[..].into(), vec![7; 65_536].into())].into();
    draft.write_listing(&Listing::new(entries, Vec::new())).unwrap();
    let id = draft.id();
    kit.store.commit(Commit { layers: vec![draft], ..Commit::default() }).unwrap();
    let made = kit.forms.lowers(&[id], &VertexHandle::none());
    // Whether the folder can hold it is the disk's affair; what matters is that it was asked.
    match made {
        Ok(lowers) => assert!(!is_image(&lowers.paths()[0])),
        Err(error) => {
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("extended attributes"), "{source}");
        }
    }
    assert_eq!(kit.forms.lowers(&[kit.plan(100, None)], &VertexHandle::none()).unwrap().paths().len(), 1);
}

#[test]
fn a_deep_stack_shows_the_same_as_one_overlay_of_all_its_folders() {
    let kit = Kit::new();
    let stack: Vec<LayerId> = (0..150).map(|number| kit.small(number)).collect();
    let lowers = kit.lowers(&stack);
    let folders = kit.forms.folders(&stack, &VertexHandle::none()).unwrap();
    assert_eq!(folders.len(), 150);
    let flat = merged(&folders);
    assert!(flat.entries().any(|entry| &*entry.path == b"d/142"));
    assert!(flat.entries().all(|entry| &*entry.path != b"d/10"), "removed by the layer after it");
    assert!(merged(lowers.paths()) == flat);
    if !nests() {
        assert_eq!(lowers.paths(), folders);
        return;
    }
    assert!(is_image(&lowers.paths()[0]) && lowers.paths().len() < 64, "{}", lowers.paths().len());
    // The next step stands on the same mount.
    let mut more = stack.clone();
    more.push(kit.small(150));
    assert_eq!(kit.lowers(&more).paths()[0], lowers.paths()[0]);
    // A few folders are not worth a mount of their own.
    assert_eq!(kit.lowers(&stack[..12]).paths().len(), 12);
}

#[test]
fn light_layers_of_a_long_run_are_one_folder() {
    let kit = Kit::new();
    let mut stack = vec![kit.small(1)];
    stack.extend((10..200).filter(|number| number % 10 != 1).map(|number| kit.small(number)));
    stack.truncate(2 * 64);
    let lowers = kit.lowers(&stack);
    let folders = kit.forms.folders(&stack, &VertexHandle::none()).unwrap();
    assert!(merged(lowers.paths()) == merged(&folders));
    if nests() {
        let [lower, upper] = lowers.paths() else { panic!("{lowers:?}") };
        let kinds = [lower, upper].map(|path| rustix::fs::statfs(path).unwrap().f_type);
        assert_eq!(kinds, [OVERLAYFS, TMPFS]);
        let modes = [upper, &folders[127]].map(|path| std::fs::metadata(path).unwrap().mode());
        assert_eq!(modes[0], modes[1]);
    }
}

#[test]
fn where_nothing_hides_there_are_runs_in_the_middle_and_over_images() {
    let kit = Kit::new();
    // Those numbers hide nothing, but for the last.
    let small =
        |range: std::ops::Range<usize>| range.filter(|n| n % 10 != 1 && *n != 5).map(|n| kit.small(n));
    let mut stack = vec![kit.small(1), kit.plan(100, None)];
    stack.extend(small(10..100));
    let hiding = kit.small(31);
    for stack in [stack.clone(), [&stack[..], &[hiding]].concat()] {
        let lowers = kit.lowers(&stack);
        let folders = kit.forms.folders(&stack, &VertexHandle::none()).unwrap();
        assert!(merged(lowers.paths()) == merged(&folders));
        if nests() {
            let mounts = lowers.paths().iter().filter(|path| is_image(path)).count();
            assert!(mounts >= 9 && lowers.paths().len() < 30, "{lowers:?}");
        }
    }
}
