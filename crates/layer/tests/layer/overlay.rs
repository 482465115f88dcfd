//! The kernel shows our folders as the layers they are: mounted by root, and in a user namespace with `userxattr`.

use crate::kit::*;
use layer::*;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A lower layer, and an upper one that hides some of it.
fn layers(texts: &mut Texts) -> [Listing; 2] {
    let lower = vec![
        dir("a"),
        texts.file("a/gone", b"1"),
        texts.file("a/kept", b"2"),
        dir("b"),
        texts.file("b/hidden", b"3"),
        dir("c"),
        texts.file("c/below", b"4"),
    ];
    let mut opaque = dir("b");
    opaque.kind = Kind::Directory { opaque: true };
    let mut gone = entry(b"a/gone", Kind::Whiteout);
    (gone.mode, gone.mtime) = (0, Time::default());
    let upper = vec![dir("a"), gone, opaque, texts.file("b/new", b"5"), texts.file("c", b"6")];
    [Listing::new(lower, Vec::new()), Listing::new(upper, Vec::new())]
}

/// Makes both folders, mounts them and compares what the kernel shows with what the listings say.
fn mounted(base: &Path, flavour: Flavour, owners: Owners, mount: &[&str]) {
    let mut texts = Texts::default();
    let layers = layers(&mut texts);
    for (listing, name) in layers.iter().zip(["lower", "upper"]) {
        for (kind, made) in [("plan", name.to_owned()), ("tar", format!("{name}-tar"))] {
            let path = base.join(&made);
            std::fs::create_dir(&path).unwrap();
            let folder = open(&path);
            if kind == "plan" {
                let options = MaterializeOptions { flavour, owners, lower: None };
                materialize(listing, &mut texts, folder.as_fd(), &options).unwrap();
            } else {
                let options = UnpackOptions { flavour, owners, ..UnpackOptions::default() };
                let archive = tar(listing, &mut texts);
                assert_eq!(&unpack(&archive[..], folder.as_fd(), None, &options).unwrap(), listing);
            }
            assert_eq!(&scan(folder.as_fd(), &ScanOptions::default()).unwrap(), listing, "{made}");
        }
    }
    let options = if flavour == Flavour::User { ",userxattr" } else { "" };
    for suffix in ["", "-tar"] {
        std::fs::create_dir_all(base.join("work")).unwrap();
        std::fs::create_dir_all(base.join("merged")).unwrap();
        let script = format!(
            "mount -t overlay overlay -o lowerdir=lower{suffix},upperdir=upper{suffix},workdir=work{options} merged && cd merged && find . -mindepth 1 | sort && rm c && mkdir c && rm b/new && cd .. && umount merged"
        );
        let (program, arguments) = mount.split_first().unwrap();
        let mut command = Command::new(program);
        let output = command.args(arguments).args(["sh", "-c", &script]).current_dir(base).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        let listings = layers.clone().map(Arc::new);
        let view = View::new(listings.to_vec());
        let wanted: Vec<String> = view
            .below(b"")
            .iter()
            .map(|found| format!("./{}", String::from_utf8_lossy(found.path())))
            .collect();
        let shown: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
        assert_eq!(shown, wanted, "{error}");
        assert!(output.status.success(), "{error}");
        // What the kernel wrote into the upper directory is understood.
        let after =
            scan(open(&base.join(format!("upper{suffix}"))).as_fd(), &ScanOptions::default()).unwrap();
        assert_eq!(after.get(b"c").unwrap().kind, Kind::Directory { opaque: true });
        assert!(after.get(b"b/new").is_none_or(|entry| entry.kind == Kind::Whiteout));
    }
}

#[test]
fn as_root() {
    let base = tempfile::tempdir().unwrap();
    mounted(base.path(), Flavour::Trusted, Owners::Keep, &["unshare", "-m"]);
}

/// Runs the test below once more as root of a user namespace that has one id.
#[test]
fn in_a_user_namespace() {
    let this = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["-Urm"])
        .arg(this)
        .args(["--exact", "overlay::inside", "--ignored"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
#[ignore = "run by in_a_user_namespace, in one"]
fn inside() {
    let base = tempfile::tempdir().unwrap();
    mounted(base.path(), Flavour::User, Owners::ListingOnly, &["unshare", "-m"]);
    // Foreign owners and devices stay in the listing.
    let mut texts = Texts::default();
    let mut file = texts.file("f", b"x");
    (file.uid, file.gid) = (1000, 1000);
    let listing =
        Listing::new(vec![file, entry(b"null", Kind::CharDevice { major: 1, minor: 3 })], Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let options =
        UnpackOptions { flavour: Flavour::User, owners: Owners::ListingOnly, ..UnpackOptions::default() };
    let archive = tar(&listing, &mut texts);
    assert_eq!(unpack(&archive[..], open(folder.path()).as_fd(), None, &options).unwrap(), listing);
    let scanned = ScanOptions { owner: Some((1000, 1000)), ..ScanOptions::default() };
    let seen = scan(open(folder.path()).as_fd(), &scanned).unwrap();
    assert_eq!(owned(&seen), [listing.entry(0)]);
}

#[test]
fn mount_points_of_the_launcher_leave_no_trace() {
    let mut texts = Texts::default();
    let lower = Listing::new(vec![dir("etc"), texts.file("etc/passwd", b"x"), dir("usr")], Vec::new());
    let view = View::new(vec![Arc::new(lower)]);
    let mut etc = dir("etc");
    etc.mtime.seconds += 100;
    let same = texts.file("etc/passwd", b"x");
    let upper = Listing::new(vec![etc.clone(), same, texts.file("etc/hosts", b""), dir("usr")], Vec::new());
    let folder = tempfile::tempdir().unwrap();
    let fd = open(folder.path());
    materialize(&upper, &mut texts, fd.as_fd(), &MaterializeOptions::default()).unwrap();
    let exclude: Vec<Box<[u8]>> = vec![b"etc/hosts"[..].into()];
    let scanned =
        scan(fd.as_fd(), &ScanOptions { exclude: exclude.clone(), ..ScanOptions::default() }).unwrap();
    assert_eq!(show(&scanned), "etc 755 dir\netc/passwd 755 file 1 link 0\nusr 755 dir\n");
    assert_eq!(prune_unchanged(scanned.clone(), &view, &exclude), Listing::default());
    // Without that reason a changed time is a change.
    assert_eq!(owned(&prune_unchanged(scanned, &view, &[])), [etc]);
}
