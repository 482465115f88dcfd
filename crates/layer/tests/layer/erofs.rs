//! Images show what folders show: mounted by the kernel, and read by another program.
//!
//! The kernel mounts images from files of disks, not from those of a tmpfs: so nothing here lies in the folder for
//! temporary files.

use crate::kit::*;
use layer::*;
use proptest::prelude::*;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

fn id(number: u8) -> LayerId {
    LayerId::from_bytes([number; 16])
}

/// Mounts an image nowhere; the packs are files named as their layers.
fn mount(folder: &Path, image: &str) -> OwnedFd {
    let context = rustix::mount::fsopen("erofs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    let path = folder.join(image);
    rustix::mount::fsconfig_set_string(&context, "source", &path).unwrap();
    for device in erofs_devices(&File::open(&path).unwrap()).unwrap() {
        rustix::mount::fsconfig_set_string(&context, "device", folder.join(device.to_string())).unwrap();
    }
    rustix::mount::fsconfig_create(&context).unwrap();
    rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

/// Puts the bytes of files into packs: every third file into the layer's own, every third into a borrowed one, and the
/// others stay where no image can refer to them.
fn packed(folder: &Path, listing: Listing, texts: &Texts) -> (Listing, ErofsOptions<'static>) {
    let mut entries = owned(&listing);
    let new = |number| PackWriter::new(File::create(folder.join(id(number).to_string())).unwrap());
    let (mut own, mut other) = (new(1), new(2));
    for (at, entry) in entries.iter_mut().enumerate() {
        let Kind::File { digest, content, .. } = &mut entry.kind else { continue };
        let text = &texts.0[digest];
        match at % 3 {
            0 => *content = Content::Own(own.add(text).unwrap().place()),
            1 => {
                let place = other.add(text).unwrap().place();
                *content = Content::Borrowed { layer: 0, place };
            }
            _ => {}
        }
    }
    let length = |pack: PackWriter<File>| Some(pack.finish().unwrap().metadata().unwrap().len());
    let packs = Packs { own: length(own), borrowed: vec![length(other)] };
    let options = ErofsOptions { packs, ..ErofsOptions::new(id(1)) };
    (Listing::new(entries, vec![id(2)]), options)
}

/// What the image shows when it is mounted.
fn shown(folder: &Path, listing: &Listing, texts: &mut Texts, options: &ErofsOptions<'_>) -> Listing {
    let mut image = Vec::new();
    write_erofs(listing, texts, &mut image, options).unwrap();
    let mut again = Vec::new();
    write_erofs(listing, texts, &mut again, options).unwrap();
    assert!(image == again, "the same listing makes the same image");
    std::fs::write(folder.join("image"), image).unwrap();
    let mounted = mount(folder, "image");
    let scanned = scan(mounted.as_fd(), &ScanOptions::default()).unwrap();
    check_links(mounted.as_fd(), listing);
    scanned
}

/// Counts of names, and that `.` and `..` lead where they should.
fn check_links(root: std::os::fd::BorrowedFd<'_>, listing: &Listing) {
    use rustix::fs::{AtFlags, statat};
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    for entry in listing.entries() {
        let path = std::path::PathBuf::from(std::ffi::OsString::from(
            String::from_utf8(entry.path.to_vec()).unwrap(),
        ));
        let stat = statat(root, &path, flags).unwrap();
        match entry.kind {
            Kind::Directory { .. } => {
                let inside = listing.below(&entry.path);
                let depth = |path: &[u8]| path.iter().filter(|b| **b == b'/').count();
                let subdirectories =
                    inside.filter(|e| e.is_directory() && depth(&e.path) == depth(&entry.path) + 1);
                assert_eq!(stat.st_nlink, 2 + subdirectories.count() as u64, "{path:?}");
                assert_eq!(statat(root, path.join("."), flags).unwrap().st_ino, stat.st_ino);
                let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
                let above = statat(root, parent, flags).unwrap().st_ino;
                assert_eq!(statat(root, path.join(".."), flags).unwrap().st_ino, above, "{path:?}");
            }
            Kind::File { link, .. } => {
                let same = |other: &Entry<'_>| matches!(other.kind, Kind::File { link: l, .. } if l == link);
                let names = if link == 0 { 1 } else { listing.entries().filter(same).count() as u64 };
                assert_eq!(stat.st_nlink, names, "{path:?}");
            }
            _ => {}
        }
        assert!(stat.st_ino > 0);
    }
}

fn folder(base: &Path, listing: &Listing, texts: &mut Texts) -> Listing {
    let path = base.join("folder");
    std::fs::create_dir(&path).unwrap();
    let root = open(&path);
    materialize(listing, texts, root.as_fd(), &MaterializeOptions::default()).unwrap();
    scan(root.as_fd(), &ScanOptions::default()).unwrap()
}

fn everything(texts: &mut Texts) -> Listing {
    let mut list = vec![dir("sizes"), dir("names"), dir("many"), dir("kinds"), dir("attributes")];
    for size in [0, 1, 511, 512, 513, 4095, 4096, 4097, 70_000, 300_000] {
        let text: Vec<u8> = (0..size).map(|n: u32| (n * 7 + n / 251) as u8).collect();
        list.push(texts.file(&format!("sizes/{size}"), &text));
    }
    // Around `.` and `..`, of all lengths, in several blocks, and some that begin alike.
    let longest = "n".repeat(255);
    for name in ["-x", "+", "!", " ", ".-", ".a", "...", "..a", "0", "~", "a", "a-b", "a.b", "ä", &longest] {
        list.push(texts.file(&format!("names/{name}"), name.as_bytes()));
    }
    for number in 0..700 {
        list.push(texts.file(&format!("many/{number:x}"), number.to_string().as_bytes()));
    }
    for number in 0..100 {
        list.push(dir(&format!("many/folder {number}")));
        list.push(dir(&format!("many/folder {number}/inner")));
    }
    for length in [1, 59, 60, 400, 448, 449, 512, 513, 2000, 4095] {
        let target = "t".repeat(length).into_bytes().into();
        list.push(Entry {
            mode: 0o777,
            ..entry(format!("kinds/l{length}").as_bytes(), Kind::Symlink { target })
        });
    }
    let mut opaque = dir("kinds/opaque");
    opaque.kind = Kind::Directory { opaque: true };
    list.push(opaque);
    list.push(Entry { mode: 0, mtime: Time::default(), ..entry(b"kinds/gone", Kind::Whiteout) });
    list.push(entry(b"kinds/fifo", Kind::Fifo));
    list.push(entry(b"kinds/char", Kind::CharDevice { major: 4095, minor: 1_048_575 }));
    list.push(entry(b"kinds/block", Kind::BlockDevice { major: 8, minor: 300 }));
    for name in ["kinds/link a", "kinds/link b", "many/link c"] {
        let mut file = texts.file(name, b"one file, three names");
        let Kind::File { link, .. } = &mut file.kind else { unreachable!() };
        *link = 1;
        list.push(file);
    }
    for (number, length) in [1usize, 40, 500, 1000, 3500].into_iter().enumerate() {
        let mut file = texts.file(&format!("attributes/{number}"), b"x");
        file.mode = 0o6751;
        (file.uid, file.gid) = (3_000_000, 70_000);
        file.mtime = Time { seconds: -77, nanoseconds: 999_999_999 };
        file.xattrs = vec![
            (b"security.capability"[..].into(), capability().into()),
            (b"user.long"[..].into(), vec![b'v'; length].into()),
        ]
        .into();
        list.push(file);
    }
    Listing::new(list, Vec::new())
}

/// Fails with the first entry that differs.
fn same(left: &Listing, right: &Listing) {
    for (left, right) in left.entries().zip(right.entries()) {
        let shown = String::from_utf8_lossy(&left.path);
        assert!(left == right, "{shown}: {left:?} and {right:?}");
    }
    assert_eq!(left.len(), right.len());
}

/// A capability as `setcap cap_net_raw+ep` writes it.
fn capability() -> Vec<u8> {
    [0x0200_0001u32, 1 << 13, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn an_image_shows_what_a_folder_shows() {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut texts = Texts::default();
    let listing = everything(&mut texts);
    let expected = folder(base.path(), &listing, &mut texts);
    same(&expected, &listing);
    let (listing, options) = packed(base.path(), listing, &texts);
    same(&shown(base.path(), &listing, &mut texts, &options), &expected);
    // Without packs all bytes are in the image.
    let alone = ErofsOptions::new(id(3));
    same(&shown(base.path(), &listing, &mut texts, &alone), &expected);
    assert!(erofs_devices(&File::open(base.path().join("image")).unwrap()).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_image_shows_what_its_folder_shows((listing, mut texts) in listings()) {
        let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let expected = folder(base.path(), &listing, &mut texts);
        let (listing, options) = packed(base.path(), listing, &texts);
        prop_assert_eq!(shown(base.path(), &listing, &mut texts, &options), expected);
    }
}

/// The tools of the file system's authors know blocks of 4 KiB only.
#[test]
fn others_find_no_fault_with_an_image() {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut texts = Texts::default();
    let listing = everything(&mut texts);
    let mut image = Vec::new();
    let options = ErofsOptions { block_bits: 12, ..ErofsOptions::new(id(1)) };
    write_erofs(&listing, &mut texts, &mut image, &options).unwrap();
    std::fs::write(base.path().join("image"), image).unwrap();
    let checked =
        Command::new("fsck.erofs").args(["--extract=out", "image"]).current_dir(&base).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{said}");
    // It restores no attributes, links, set-user-id bits and fractions of seconds; all else is the same.
    let out = scan(open(&base.path().join("out")).as_fd(), &ScanOptions::default()).unwrap();
    let bare = |listing: &Listing| {
        let strip = |entry: Entry<'static>| {
            let kind = match entry.kind {
                Kind::Directory { .. } => Kind::Directory { opaque: false },
                Kind::File { size, digest, content, .. } => Kind::File { size, digest, link: 0, content },
                kind => kind,
            };
            let mtime = Time { nanoseconds: 0, ..entry.mtime };
            Entry { xattrs: Vec::new().into(), kind, mtime, mode: entry.mode & 0o777, ..entry }
        };
        Listing::new(owned(listing).into_iter().map(strip), Vec::new())
    };
    same(&bare(&out), &bare(&listing));
    let dump = Command::new("dump.erofs").args(["-s", "image"]).current_dir(&base).output().unwrap();
    assert!(String::from_utf8_lossy(&dump.stdout).contains("Filesystem inode count"), "{dump:?}");
}

#[test]
fn directories_that_a_listing_lacks_are_as_those_below() {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut texts = Texts::default();
    let mut below = dir("etc");
    (below.mode, below.uid) = (0o700, 7);
    let view = View::new(vec![std::sync::Arc::new(Listing::new(vec![below], Vec::new()))]);
    let listing = Listing::new(vec![texts.file("etc/new/file", b"x")], Vec::new());
    let options = ErofsOptions { lower: Some(&view), ..ErofsOptions::new(id(1)) };
    let mut image = Vec::new();
    write_erofs(&listing, &mut texts, &mut image, &options).unwrap();
    std::fs::write(base.path().join("image"), image).unwrap();
    let shown = scan(mount(base.path(), "image").as_fd(), &ScanOptions::default()).unwrap();
    assert_eq!(show(&shown), "etc 700 dir\netc/new 755 dir\netc/new/file 755 file 1 link 0\n");
    assert_eq!(shown.get(b"etc").unwrap().uid, 7);
}

#[test]
fn what_an_image_cannot_hold_is_refused() {
    let unfit = |entry: Entry<'_>, why: &str| {
        let listing = Listing::new(vec![entry], Vec::new());
        let made = write_erofs(&listing, &mut Texts::default(), &mut Vec::new(), &ErofsOptions::new(id(1)));
        let error = made.unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    };
    unfit(dir(&"n".repeat(256)), "name is too long");
    unfit(entry(b"d", Kind::CharDevice { major: 4096, minor: 0 }), "device number");
    unfit(entry(b"d", Kind::CharDevice { major: 0, minor: 0 }), "0:0");
    unfit(Entry { uid: u32::MAX, ..dir("d") }, "owner");
    let value = vec![0; 70_000].into();
    unfit(Entry { xattrs: vec![(b"user.a"[..].into(), value)].into(), ..dir("d") }, "attribute");
}

#[test]
fn a_forged_image_is_an_error() {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut texts = Texts::default();
    let listing = everything(&mut texts);
    let (listing, options) = packed(base.path(), listing, &texts);
    let mut image = Vec::new();
    write_erofs(&listing, &mut texts, &mut image, &options).unwrap();
    let path = base.path().join("image");
    let read = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        erofs_devices(&File::open(&path).unwrap())
    };
    assert_eq!(read(&image).unwrap(), [id(1), id(2)]);
    for cut in [0, 1024, 1100, 1300] {
        assert!(read(&image[..cut]).is_err(), "{cut}");
    }
    for (at, byte) in [(1024, 0), (1024 + 87, 0xff), (1024 + 128, b'x')] {
        let mut forged = image.clone();
        forged[at] = byte;
        assert!(read(&forged).is_err(), "{at}");
    }
}
