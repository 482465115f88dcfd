//! Archives that want out, or want too much.

use crate::kit::*;
use layer::*;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;

/// A member with nothing but what the test says, checksummed.
struct Raw {
    block: [u8; 512],
    data: Vec<u8>,
}

fn raw(name: &str, kind: u8, link: &str, data: &[u8]) -> Raw {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    Raw { block, data: data.to_vec() }
}

impl Raw {
    fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }
}

fn archive(members: Vec<Raw>) -> Vec<u8> {
    let mut out = Vec::new();
    for mut member in members {
        member.block[148..156].fill(b' ');
        let sum: u32 = member.block.iter().map(|b| u32::from(*b)).sum();
        member.block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        out.extend(member.block);
        out.extend(&member.data);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Unpacks into `root/layer`; beside it lies a folder that must stay as it is.
fn attempt(members: Vec<Raw>) -> (tempfile::TempDir, Result<Listing>) {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("layer")).unwrap();
    std::fs::create_dir_all(root.path().join("outside")).unwrap();
    std::fs::write(root.path().join("outside/victim"), "safe").unwrap();
    let result = unpack_into(&root.path().join("layer"), &archive(members));
    let outside: Vec<_> = std::fs::read_dir(root.path().join("outside")).unwrap().collect();
    assert_eq!(outside.len(), 1);
    assert_eq!(std::fs::read(root.path().join("outside/victim")).unwrap(), b"safe");
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 2);
    (root, result)
}

fn refused(members: Vec<Raw>, because: &str) {
    let (_root, result) = attempt(members);
    let error = result.unwrap_err().to_string();
    assert!(error.contains(because), "{error}");
}

#[test]
fn names_that_reach_outside_stop_at_the_root_where_that_is_asked() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("layer");
    std::fs::create_dir(&folder).unwrap();
    let members = vec![
        raw("../../up", b'0', "", b"x"),
        raw("a/b/../../../c", b'0', "", b"x"),
        raw("d/../e", b'1', "../up", b""),
        raw("..", b'5', "", b""),
    ];
    let options = UnpackOptions { clamp: true, ..UnpackOptions::default() };
    let fd = std::fs::File::open(&folder).unwrap();
    let listing = unpack(&*archive(members), fd.as_fd(), None, &options).unwrap();
    let paths: Vec<_> = (0..listing.len()).map(|at| String::from_utf8_lossy(listing.path(at))).collect();
    assert_eq!(paths, ["c", "e", "up"]);
    assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn names_that_reach_outside_are_refused() {
    refused(vec![raw("../outside/new", b'0', "", b"x")], "reaches outside");
    refused(vec![raw("a/../../outside/new", b'0', "", b"x")], "reaches outside");
    refused(vec![raw("a", b'5', "", b""), raw("a/..", b'5', "", b"")], "reaches outside");
    refused(vec![raw("x", b'1', "../outside/victim", b"")], "reaches outside");
    refused(vec![raw("../outside/.wh.victim", b'0', "", b"")], "reaches outside");
    refused(vec![raw(".wh...", b'0', "", b"")], "whiteout of nothing");
    refused(vec![raw(".wh..", b'0', "", b"")], "whiteout of nothing");
    refused(vec![raw(".wh.", b'0', "", b"")], "whiteout of nothing");
    refused(vec![raw("./", b'2', "/etc", b"")], "no directory");
}

#[test]
fn absolute_names_are_inside() {
    let (_root, result) =
        attempt(vec![raw("/etc/passwd", b'0', "", b"x"), raw("//a", b'1', "/etc/passwd", b"")]);
    let shown = show(&result.unwrap());
    assert_eq!(shown, "a 644 file 1 link 1\netc 755 dir\netc/passwd 644 file 1 link 1\n");
}

#[test]
fn links_in_the_way_stay_inside() {
    let up = "../../../../../../../../../..";
    for target in ["/outside", "../outside", "../../outside", up] {
        let members = vec![raw("a", b'2', target, b""), raw("a/victim", b'0', "", b"evil")];
        let (root, result) = attempt(members);
        let listing = result.unwrap();
        // It is where the link leads inside the root, on disk as in the listing.
        let place = if target == up { "victim" } else { "outside/victim" };
        assert_eq!(listing.get(place.as_bytes()).unwrap().size(), 4, "{target}");
        assert_eq!(std::fs::read(root.path().join("layer").join(place)).unwrap(), b"evil");
    }
    // A chain, a whiteout and a hard link through one.
    let (root, result) = attempt(vec![
        raw("a", b'2', "b", b""),
        raw("b", b'2', "../outside", b""),
        raw("a/.wh.victim", b'0', "", b""),
        raw("a/f", b'0', "", b"x"),
        raw("g", b'1', "b/f", b""),
    ]);
    let shown = show(&result.unwrap());
    assert!(shown.contains("outside/victim 0 Whiteout") && shown.contains("g 644 file 1 link 1"), "{shown}");
    assert!(root.path().join("layer/g").exists());
    refused(vec![raw("a", b'2', "a", b""), raw("a/x", b'0', "", b"")], "symbolic links");
    refused(vec![raw("a", b'0', "", b"x"), raw("a/x", b'0', "", b"")], "no directory");
}

#[test]
fn a_link_is_replaced_and_not_followed() {
    let (root, result) = attempt(vec![raw("a", b'2', "/outside/victim", b""), raw("a", b'0', "", b"new")]);
    assert_eq!(show(&result.unwrap()), "a 644 file 3 link 0\n");
    assert!(root.path().join("layer/a").symlink_metadata().unwrap().is_file());
    // Nor is one that somebody planted: the folder is opened beneath its descriptor, without links.
    let planted = tempfile::tempdir().unwrap();
    symlink("/tmp", planted.path().join("d")).unwrap();
    let text = archive(vec![raw("d", b'5', "", b""), raw("d/x", b'0', "", b"x")]);
    unpack_into(planted.path(), &text).unwrap_err();
    assert!(!Path::new("/tmp/x").exists());
}

#[test]
fn hard_links_need_their_target_in_the_layer() {
    refused(vec![raw("x", b'1', "etc/passwd", b"")], "`x` is a hard link to `etc/passwd`");
    refused(vec![raw("d", b'5', "", b""), raw("x", b'1', "d", b"")], "directory");
    refused(vec![raw(".wh.w", b'0', "", b""), raw("x", b'1', "w", b"")], "not in this layer");
    refused(vec![raw("d/f", b'0', "", b"x"), raw("d", b'1', "d/f", b"")], "not in this layer");
    let (_root, result) = attempt(vec![raw("f", b'0', "", b"x"), raw("f", b'1', "f", b"")]);
    assert_eq!(show(&result.unwrap()), "f 644 file 1 link 0\n");
}

#[test]
fn a_hard_link_into_a_lower_layer_takes_the_file_along() {
    let mut texts = Texts::default();
    let mut low = texts.file("usr/lib/f", b"below");
    low.mode = 0o711;
    let mut usr = dir("usr");
    usr.uid = 9;
    let lower = Listing::new(vec![usr, dir("usr/lib"), low.clone()], Vec::new());
    let view = View::new(vec![std::sync::Arc::new(lower)]);
    let folder = tempfile::tempdir().unwrap();
    let text = archive(vec![raw("x", b'1', "usr/lib/f", b"")]);
    let mut good = |_: &Found<'_>| -> std::io::Result<Box<dyn std::io::Read>> { Ok(Box::new(&b"below"[..])) };
    let below = Lower { view: &view, open: &mut good };
    let options = UnpackOptions::default();
    let listing = unpack(&text[..], open(folder.path()).as_fd(), Some(below), &options).unwrap();
    assert_eq!(
        show(&listing),
        "usr 755 dir\nusr/lib 755 dir\nusr/lib/f 711 file 5 link 1\nx 711 file 5 link 1\n"
    );
    assert_eq!(listing.get(b"usr").unwrap().uid, 9);
    assert_eq!(scan(open(folder.path()).as_fd(), &ScanOptions::default()).unwrap(), listing);
    // A name that links to itself below is that file.
    let itself = archive(vec![raw("usr/lib/f", b'1', "usr/lib/f", b"")]);
    let third = tempfile::tempdir().unwrap();
    let below = Lower { view: &view, open: &mut good };
    let listing = unpack(&itself[..], open(third.path()).as_fd(), Some(below), &options).unwrap();
    assert_eq!(show(&listing), "usr 755 dir\nusr/lib 755 dir\nusr/lib/f 711 file 5 link 0\n");
    let mut bad = |_: &Found<'_>| -> std::io::Result<Box<dyn std::io::Read>> { Ok(Box::new(&b"other"[..])) };
    let below = Lower { view: &view, open: &mut bad };
    let other = tempfile::tempdir().unwrap();
    let error = unpack(&text[..], open(other.path()).as_fd(), Some(below), &options).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }), "{error}");
}

#[test]
fn overlay_marks_cannot_be_smuggled_in() {
    refused(vec![raw("w", b'3', "", b"").set(329, b"0000000\0").set(337, b"0000000\0")], "0:0");
    let records = b"38 SCHILY.xattr.user.overlay.opaque=y\n41 SCHILY.xattr.trusted.overlay.opaque=y\n25 SCHILY.xattr.user.a=b\n";
    let (root, result) = attempt(vec![raw("p", b'x', "", records), raw("d", b'5', "", b"")]);
    let listing = result.unwrap();
    let found = listing.get(b"d").unwrap();
    let names: Vec<_> = found.xattrs.iter().map(|(name, _)| &**name).collect();
    assert_eq!(names, [b"user.a"]);
    assert_eq!(scan(open(&root.path().join("layer")).as_fd(), &ScanOptions::default()).unwrap(), listing);
}

#[test]
fn whiteouts_speak_of_lower_layers_only() {
    let (_root, result) = attempt(vec![
        raw("d/kept", b'0', "", b"x"),
        raw(".wh.d", b'0', "", b""),
        raw(".wh.e", b'0', "", b""),
        raw("e/new", b'0', "", b""),
        raw(".wh.f", b'0', "", b""),
        raw("f", b'0', "", b"now"),
        raw("g/.wh..wh..opq", b'0', "", b""),
        raw(".wh..wh.plnk", b'5', "", b""),
    ]);
    let shown = show(&result.unwrap());
    assert_eq!(
        shown,
        "d 755 opaque\nd/kept 644 file 1 link 0\ne 755 opaque\ne/new 644 file 0 link 0\nf 644 file 3 link 0\ng 755 opaque\n"
    );
}

#[test]
fn damage_and_excess_are_errors() {
    let text = archive(vec![raw("d", b'5', "", b""), raw("d/f", b'0', "", &[7; 2000])]);
    for cut in [100, 512, 600, 1024, 1500, 3000] {
        let folder = tempfile::tempdir().unwrap();
        let result = unpack_into(folder.path(), &text[..cut]);
        assert_eq!(result.is_ok(), cut == 512, "{cut}");
    }
    let limited = |options: UnpackOptions| {
        let folder = tempfile::tempdir().unwrap();
        unpack(&text[..], open(folder.path()).as_fd(), None, &options).unwrap_err().to_string()
    };
    let base = UnpackOptions::default;
    assert!(limited(UnpackOptions { max_entries: 1, ..base() }).contains("more than 1 entries"));
    assert!(limited(UnpackOptions { max_bytes: 1999, ..base() }).contains("more than 1999 bytes"));
    assert!(limited(UnpackOptions { max_depth: 1, ..base() }).contains("too deeply"));
    refused(vec![raw("huge", b'0', "", b"x").set(124, b"77777777777\0")], "cut");
    refused(
        vec![raw("huge", b'0', "", b"x").set(124, b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff")],
        "more than",
    );
    // A sparse file of 1 EiB in one block.
    let sparse = raw("holes", b'S', "", b"").set(483, b"\x80\0\0\0\x10\0\0\0\0\0\0\0");
    refused(vec![sparse], "more than");
    refused(vec![raw("x", b'9', "", b"")], "unknown type");
    refused(vec![raw("x", b'x', "", b"13 path=../a\n")], "ends after");
    refused(vec![raw("x", b'x', "", b"99 path=../a\n"), raw("x", b'0', "", b"")], "malformed");
}

#[test]
fn names_that_mean_removal_are_not_written() {
    let mut texts = Texts::default();
    let listing = Listing::new(vec![texts.file(".wh.x", b"")], Vec::new());
    let error = write_tar(&listing, &mut texts, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("`/.wh.x`"), "{error}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_makes_it_panic_or_escape(
        (listing, mut texts) in listings(),
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let mut text = tar(&listing, &mut texts);
        for (at, value) in damage {
            let at = at.index(text.len());
            text[at] = value;
        }
        let mut pack = PackWriter::new(Vec::new());
        let options = UnpackOptions { max_bytes: 1 << 24, ..UnpackOptions::default() };
        let _ = unpack_to_pack(&text[..], &mut pack, &options);
    }
}
