use super::*;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    dir
}

fn scan(dir: &Path, ignore: &str) -> Tree {
    scan_with(dir, ignore, None)
}

fn scan_with(dir: &Path, ignore: &str, index: Option<&[u8]>) -> Tree {
    let patterns = Patterns::parse(ignore).unwrap();
    let index = index.map(open_index).unwrap_or_default();
    let options = ScanOptions { ignore: Some(&patterns), index, ..ScanOptions::default() };
    Root::open(dir).unwrap().scan(options).unwrap()
}

fn open_index(stored: &[u8]) -> StatIndex {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(stored).unwrap();
    StatIndex::open(file).unwrap()
}

/// The index as it is kept for the next build, if anything was learned.
fn index(tree: &Tree) -> Option<Vec<u8>> {
    let mut stored = Vec::new();
    tree.write_index(&mut stored, None).unwrap();
    Some(stored).filter(|_| tree.has_learned())
}

fn paths(tree: &Tree) -> String {
    let listing = tree.listing();
    let paths = (0..listing.len()).map(|at| String::from_utf8_lossy(listing.path(at)).into_owned());
    paths.collect::<Vec<_>>().join(" ")
}

fn all(tree: &Tree) -> Vec<u32> {
    (0..tree.listing().len() as u32).collect()
}

fn complete_one(tree: &Tree, path: &str) -> Result<Completed> {
    tree.complete(&[tree.listing().find(path.as_bytes()).unwrap() as u32])
}

fn completed(tree: &Tree) -> (Arc<Listing>, Completed) {
    let done = tree.complete(&all(tree)).unwrap();
    (tree.listing(), done)
}

fn digest(listing: &Listing, path: &str) -> Digest {
    match listing.get(path.as_bytes()).unwrap().kind {
        Kind::File { digest, .. } => digest,
        other => panic!("{path} is {other:?}"),
    }
}

/// Waits until the file system's clock has passed what was just written.
fn settle() {
    std::thread::sleep(Duration::from_millis(45));
}

#[test]
fn a_folder_is_listed_in_order_with_modes_times_and_links() {
    let dir = folder(&[("a/z", "1"), ("a/b/c", "22"), ("a-b", "333"), ("a.b", "")]);
    symlink("/etc/passwd", dir.path().join("out")).unwrap();
    symlink("/etc", dir.path().join("a/out")).unwrap();
    fs::set_permissions(dir.path().join("a-b"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::File::open(dir.path().join("a-b"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123))
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    let tree = scan(dir.path(), "");
    assert_eq!(paths(&tree), "a a/b a/b/c a/out a/z a-b a.b out pipe");
    let listing = tree.listing();
    let file = listing.get(b"a-b").unwrap();
    assert_eq!((file.mode, file.uid, file.gid, file.size()), (0o4751, 0, 0, 3));
    assert_eq!((file.mtime.seconds, file.mtime.nanoseconds), (1_000_000_000, 123));
    assert_eq!(listing.get(b"out").unwrap().kind, Kind::Symlink { target: b"/etc/passwd"[..].into() });
    assert_eq!(listing.get(b"pipe").unwrap().kind, Kind::Fifo);
    assert!(is_pending(&file));
}

#[test]
fn what_is_ignored_is_left_out_and_exceptions_come_back() {
    let dir = folder(&[
        ("src/main.rs", ""),
        ("node_modules/a/index.js", ""),
        ("node_modules/keep/index.js", ""),
        ("node_modules/keep/deep/x", ""),
        ("docs/README.md", ""),
        ("docs/other.md", ""),
        ("x/node_modules/y", ""),
        ("app.log", ""),
    ]);
    assert_eq!(
        paths(&scan(dir.path(), "node_modules\n*.log\n")),
        "docs docs/README.md docs/other.md src src/main.rs x x/node_modules x/node_modules/y"
    );
    assert_eq!(
        paths(&scan(dir.path(), "**/node_modules\n!node_modules/keep\ndocs\n!docs/README.md\n")),
        "app.log docs docs/README.md node_modules node_modules/keep node_modules/keep/deep \
         node_modules/keep/deep/x node_modules/keep/index.js src src/main.rs x"
    );
    assert_eq!(paths(&scan(dir.path(), "**\n!**/main.rs")), "src src/main.rs");
    assert_eq!(paths(&scan(dir.path(), "*")), "");
}

#[test]
fn an_excluded_directory_is_not_even_read() {
    let dir = folder(&[("a", "")]);
    let mut deep = dir.path().join("node_modules");
    fs::create_dir(&deep).unwrap();
    // Reading this directory would fail: its path is longer than the kernel takes.
    let root = rustix::fs::open(&deep, OFlags::PATH, Mode::empty()).unwrap();
    let mut at = root;
    let name = "n".repeat(250);
    for _ in 0..20 {
        rustix::fs::mkdirat(&at, &name, Mode::from_raw_mode(0o755)).unwrap();
        at = rustix::fs::openat(&at, &name, OFlags::PATH, Mode::empty()).unwrap();
    }
    deep.push("x");
    assert_eq!(paths(&scan(dir.path(), "node_modules")), "a");
    let error = Root::open(dir.path()).unwrap().scan(ScanOptions::default()).unwrap_err();
    assert!(error.to_string().contains("node_modules/nnn"), "{error}");
}

#[test]
fn links_are_never_followed() {
    let outside = folder(&[("secret", "s")]);
    let dir = folder(&[("d/f", "1")]);
    symlink(outside.path(), dir.path().join("link")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
    let tree = scan(dir.path(), "");
    assert_eq!(paths(&tree), "d d/f file link");
    let listing = tree.listing();
    let entry = |path: &'static str| Entry { path: path.as_bytes().into(), ..listing.get(b"d/f").unwrap() };
    for path in ["link/secret", "file", "../x", "d/../../x"] {
        let error = tree.open(&entry(path)).unwrap_err();
        assert!(error.to_string().contains(path), "{path}: {error}");
    }
    // A directory that becomes a link after the scan leads nowhere either.
    fs::rename(dir.path().join("d"), dir.path().join("e")).unwrap();
    symlink(outside.path(), dir.path().join("d")).unwrap();
    fs::write(outside.path().join("f"), "outside").unwrap();
    assert!(tree.complete(&all(&tree)).is_err());
}

#[test]
fn only_what_is_selected_is_hashed_and_once() {
    let dir = folder(&[("a", "1"), ("b", "2"), ("d/c", "3")]);
    let tree = scan(dir.path(), "");
    assert_eq!(complete_one(&tree, "d/c").unwrap(), Completed { files: 1, bytes: 1 });
    assert_eq!(digest(&tree.listing(), "d/c"), Digest::of(b"3"));
    let b = tree.listing().find(b"b").unwrap() as u32;
    assert_eq!(tree.complete(&[b, b]).unwrap().files, 1);
    assert!(is_pending(&tree.listing().get(b"a").unwrap()) && tree.is_incomplete());
    let (all, done) = completed(&tree);
    assert_eq!(done.files, 1);
    assert_eq!(digest(&all, "a"), Digest::of(b"1"));
    assert!(!all.entries().any(|entry| is_pending(&entry)) && !tree.is_incomplete());
    assert_eq!(completed(&tree).1.files, 0);
}

#[test]
fn what_the_index_knows_is_not_read_again() {
    let dir = folder(&[("a", "1"), ("b", "2"), ("c/d", "3")]);
    settle();
    let first = scan(dir.path(), "");
    completed(&first);
    let known = index(&first).unwrap();
    assert_eq!(open_index(&known).len(), 3);
    fs::write(dir.path().join("b"), "other").unwrap();
    fs::remove_file(dir.path().join("a")).unwrap();
    fs::write(dir.path().join("new"), "n").unwrap();
    let second = scan_with(dir.path(), "", Some(&known));
    let listing = second.listing();
    assert!(!is_pending(&listing.get(b"c/d").unwrap()));
    assert!(is_pending(&listing.get(b"b").unwrap()));
    assert_eq!(completed(&second).1.files, 2);
    settle();
    let third = scan_with(dir.path(), "", Some(&index(&second).unwrap_or(known)));
    let (entries, _) = completed(&third);
    let known = index(&third).unwrap();
    // `a`, which is gone, stays: another build with another ignore file may see it again.
    assert_eq!(open_index(&known).len(), 4);
    let fourth = scan_with(dir.path(), "", Some(&known));
    assert_eq!(completed(&fourth), (entries, Completed::default()));
    assert_eq!(index(&fourth), None, "nothing was learned");
}

#[test]
fn the_same_size_written_in_the_same_tick_is_seen() {
    let dir = folder(&[]);
    let path = dir.path().join("f");
    for round in 0..50 {
        let (old, new) = (format!("{round:04} old"), format!("{round:04} new"));
        fs::write(&path, &old).unwrap();
        let first = scan(dir.path(), "");
        assert_eq!(digest(&completed(&first).0, "f"), Digest::of(old.as_bytes()));
        // In place: the same inode, the same size, mostly the same times.
        fs::write(&path, &new).unwrap();
        let second = scan_with(dir.path(), "", index(&first).as_deref());
        assert_eq!(digest(&completed(&second).0, "f"), Digest::of(new.as_bytes()));
    }
}

#[test]
fn a_file_whose_times_are_not_past_is_not_recorded() {
    let dir = folder(&[("past", "1"), ("future", "2")]);
    let soon = SystemTime::now() + Duration::from_secs(3600);
    fs::File::open(dir.path().join("future")).unwrap().set_modified(soon).unwrap();
    settle();
    let tree = scan(dir.path(), "");
    completed(&tree);
    let known = index(&tree).unwrap();
    assert_eq!(open_index(&known).len(), 1);
    let again = scan_with(dir.path(), "", Some(&known)).listing();
    assert!(is_pending(&again.get(b"future").unwrap()));
    assert!(!is_pending(&again.get(b"past").unwrap()));
}

#[test]
fn a_time_set_back_does_not_hide_a_change() {
    let dir = folder(&[("f", "old")]);
    let path = dir.path().join("f");
    settle();
    let first = scan(dir.path(), "");
    completed(&first);
    let before = fs::metadata(&path).unwrap();
    fs::write(&path, "new").unwrap();
    fs::File::open(&path).unwrap().set_modified(before.modified().unwrap()).unwrap();
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (before.ino(), before.len(), before.mtime_nsec()),
        (after.ino(), after.len(), after.mtime_nsec())
    );
    let second = scan_with(dir.path(), "", index(&first).as_deref());
    assert_eq!(digest(&completed(&second).0, "f"), Digest::of(b"new"));
}

#[test]
fn a_file_that_changes_after_the_scan_is_taken_as_it_is_now() {
    let dir = folder(&[("f", "old")]);
    let tree = scan(dir.path(), "");
    fs::write(dir.path().join("f"), "much newer").unwrap();
    let (entries, _) = completed(&tree);
    assert_eq!((digest(&entries, "f"), entries.entry(0).size()), (Digest::of(b"much newer"), 10));
    settle();
    let again = scan_with(dir.path(), "", index(&tree).as_deref());
    assert_eq!(digest(&completed(&again).0, "f"), Digest::of(b"much newer"));
}

#[test]
fn a_file_that_never_stands_still_is_an_error() {
    let dir = folder(&[("f", "")]);
    let path = dir.path().join("f");
    let tree = scan(dir.path(), "");
    // 64 MB, so that hashing takes longer than the writer's pause.
    fs::write(&path, vec![7; 64 << 20]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            use std::io::Write;
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all(b"x").unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        let result = tree.complete(&all(&tree));
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        result
    });
    assert!(matches!(&result, Err(Error::Changing { path }) if path.ends_with("f")), "{result:?}");
}

#[test]
fn what_cannot_be_used_is_named() {
    let dir = folder(&[("gone", "1"), ("turned", "2"), ("fine", "3")]);
    let tree = scan(dir.path(), "");
    fs::remove_file(dir.path().join("gone")).unwrap();
    fs::remove_file(dir.path().join("turned")).unwrap();
    fs::create_dir(dir.path().join("turned")).unwrap();
    for name in ["gone", "turned"] {
        let error = complete_one(&tree, name).unwrap_err().to_string();
        assert!(error.contains(&format!("{}/{name}", dir.path().display())), "{error}");
    }
    let file = dir.path().join("fine");
    assert!(matches!(Root::open(&file), Err(Error::NotADirectory { path }) if path == file));
    let limited = ScanOptions { max_entries: 1, ..ScanOptions::default() };
    assert!(matches!(Root::open(dir.path()).unwrap().scan(limited), Err(Error::TooMany { limit: 1, .. })));
}

#[test]
fn a_file_that_may_not_be_read_is_named_if_it_is_selected() {
    // Root may read everything: what it cannot open is a file of another user in a process without capabilities, so
    // this thread becomes user 1000 for its own file accesses.
    let dir = folder(&[("private", "1"), ("public", "2"), ("closed/x", "3")]);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o600)).unwrap();
    let closed = dir.path().join("closed");
    let path = dir.path().to_owned();
    let as_user = move |ignore: &'static str| {
        let path = path.clone();
        std::thread::spawn(move || {
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_uid(rustix::thread::Uid::from_raw(1000)).unwrap();
            }
            let patterns = Patterns::parse(ignore).unwrap();
            let options = ScanOptions { ignore: Some(&patterns), threads: Some(1), ..ScanOptions::default() };
            let tree = Root::open(&path).unwrap().scan(options)?;
            complete_one(&tree, "public")?;
            tree.complete(&all(&tree))
        })
        .join()
        .unwrap()
    };
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(dir.path().join("private"), fs::Permissions::from_mode(0o000)).unwrap();
    }
    let error = as_user("").unwrap_err().to_string();
    assert!(error.starts_with("cannot open") && error.contains("/private"), "{error}");
    assert_eq!(as_user("private").unwrap().files, 1);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let error = as_user("private").unwrap_err().to_string();
    assert!(error.starts_with("cannot read the directory") && error.contains("/closed"), "{error}");
    assert_eq!(as_user("private\nclosed").unwrap().files, 0);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn many_files_on_many_threads_give_what_one_gives() {
    let names: Vec<(String, String)> =
        (0..400).map(|n| (format!("d{}/e{}/f{n}", n % 97, n % 5), format!("content {n}"))).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let dir = folder(&files);
    let by = |threads| {
        let options = ScanOptions { threads: Some(threads), ..ScanOptions::default() };
        let tree = Root::open(dir.path()).unwrap().scan(options).unwrap();
        completed(&tree)
    };
    let (one, four) = (by(1), by(4));
    assert_eq!(one, four);
    assert_eq!(one.1.files, 400);
    assert!((1..one.0.len()).all(|at| compare_paths(one.0.path(at - 1), one.0.path(at)) == Ordering::Less));
    for (path, text) in files {
        assert_eq!(digest(&one.0, path), Digest::of(text.as_bytes()));
    }
}

#[test]
fn small_files_are_read_inside_the_root() {
    let dir = folder(&[("Dockerfile", "FROM scratch"), ("etc/passwd", "ours")]);
    symlink("/etc/passwd", dir.path().join("link")).unwrap();
    fs::create_dir(dir.path().join("sub")).unwrap();
    let root = Root::open(dir.path()).unwrap();
    assert_eq!(root.read(b"Dockerfile", 100).unwrap().unwrap(), b"FROM scratch");
    assert_eq!(root.read(b"link", 100).unwrap().unwrap(), b"ours", "as if the folder were the root");
    assert_eq!(root.read(b"missing/x", 100).unwrap(), None);
    assert!(matches!(root.read(b"sub", 100), Err(Error::NotAFile { .. })));
    assert!(matches!(root.read(b"Dockerfile", 11), Err(Error::TooLarge { limit: 11, .. })));
}

mod against_the_definition {
    //! The walker carries what the patterns said of a directory down and skips what cannot matter. The definition
    //! knows nothing of that: a path is asked by itself, and a directory stays for what is left below it.

    use super::*;
    use proptest::prelude::*;

    fn expected(files: &[String], patterns: &Patterns) -> String {
        let mut all = std::collections::BTreeSet::new();
        for file in files {
            let parents: Vec<&str> = file.match_indices('/').map(|(at, _)| &file[..at]).collect();
            if !patterns.matches(file) {
                all.extend(parents.iter().map(|parent| (*parent).to_owned()));
                all.insert(file.clone());
            }
            for (at, parent) in parents.iter().enumerate() {
                if !patterns.matches(parent) {
                    all.extend(parents[..=at].iter().map(|parent| (*parent).to_owned()));
                }
            }
        }
        let mut all: Vec<String> = all.into_iter().collect();
        all.sort_by(|a, b| compare_paths(a.as_bytes(), b.as_bytes()));
        all.join(" ")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn a_walk_finds_what_the_patterns_leave(
            files in proptest::collection::btree_set("[abc]([/.-][abc]){0,4}", 1..25),
            lines in proptest::collection::vec("!?([*][*]/)?[abc*]([/.-][abc*?]){0,2}(/[*][*])?", 0..5),
            threads in 1..3_usize,
        ) {
            // A name is a file or a directory, not both.
            let is_parent = |file: &String| files.iter().any(|other| other.starts_with(&format!("{file}/")));
            let files: Vec<String> = files.iter().filter(|file| !is_parent(file)).cloned().collect();
            let pairs: Vec<(&str, &str)> = files.iter().map(|file| (file.as_str(), "x")).collect();
            let dir = folder(&pairs);
            let patterns = Patterns::parse(lines.join("\n")).unwrap();
            let options =
                ScanOptions { ignore: Some(&patterns), threads: Some(threads), ..ScanOptions::default() };
            let tree = Root::open(dir.path()).unwrap().scan(options).unwrap();
            prop_assert_eq!(paths(&tree), expected(&files, &patterns));
        }
    }
}
