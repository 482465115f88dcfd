//! Contexts: what is left out of them, what enters keys, and files that change meanwhile.

use crate::world::{World, copy, write};
use dockerfile::ignore::Patterns;
use executor::Error;
use graph::{Mount, MountKind, Op, RunOp};
use layer::LayerId;
use solver::Input;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn context() -> Input {
    Input::Local("context".to_owned())
}

#[test]
fn ignored_files_are_not_there() {
    let world = World::with(|options| {
        let context = options.contexts.get_mut("context").unwrap();
        context.ignore = Some(Patterns::parse("*.log\nhidden\n!hidden/kept\n").unwrap());
    });
    write(
        &world.context(),
        "f a.log 644 0:0 x
        f a.txt 644 0:0 x
        d hidden 700 0:0
        f hidden/kept 644 0:0 x
        f hidden/other 644 0:0 x",
    );
    let base = world.snapshot("");
    let stack = world.execute(copy(". /n"), &[base.clone(), context()]).unwrap();
    assert_eq!(
        world.top(&stack),
        "d n 755 0:0\nf n/a.txt 644 0:0\nd n/hidden 700 0:0\nf n/hidden/kept 644 0:0"
    );
    let error = world.execute(copy("a.log /n"), &[base, context()]).unwrap_err();
    assert!(error.hint().unwrap().contains(".dockerignore"), "{error}");
}

#[test]
fn the_content_digest_is_of_what_reaches_the_layer() {
    let files = "d dir 755 0:0\nf dir/a 644 0:0 a\nf dir/b 644 0:0 b\nf c 644 0:0 c";
    let digest = |change: &dyn Fn(&std::path::Path), text: &str| {
        let world = World::new();
        write(&world.context(), files);
        change(&world.context());
        world.content(copy(text), &context())
    };
    let same = |_: &std::path::Path| {};
    let plain = digest(&same, "dir /n");
    assert_eq!(digest(&|dir| std::fs::write(dir.join("c"), "other").unwrap(), "dir /n"), plain);
    let mode = |path: &'static str| {
        move |dir: &std::path::Path| {
            std::fs::set_permissions(dir.join(path), std::fs::Permissions::from_mode(0o700)).unwrap();
        }
    };
    assert_eq!(digest(&mode("dir"), "dir /n"), plain, "the directory itself is not copied");
    assert_ne!(digest(&mode("dir/a"), "dir /n"), plain);
    assert_ne!(digest(&|dir| std::fs::write(dir.join("dir/a"), "other").unwrap(), "dir /n"), plain);
    assert_ne!(
        digest(&|dir| std::fs::rename(dir.join("dir/a"), dir.join("dir/x")).unwrap(), "dir /n"),
        plain
    );
    assert_ne!(digest(&same, "--exclude=a dir /n"), plain);
    assert_ne!(digest(&mode("dir"), "--parents dir/a /n"), digest(&same, "--parents dir/a /n"));
}

#[test]
fn a_mount_is_keyed_by_the_tree_at_its_source() {
    let world = World::new();
    write(&world.context(), "d [a] 755 0:0\nf [a]/x 644 0:0 x\nf other 644 0:0 x");
    let mount = |source: &str, cache: bool| {
        let kind = if cache {
            MountKind::Cache {
                id: "c".to_owned(),
                sharing: graph::CacheSharing::Shared,
                from: Some((1, source.to_owned())),
                mode: 0o755,
                uid: 0,
                gid: 0,
                readonly: false,
            }
        } else {
            MountKind::Bind { input: 1, source: source.to_owned(), writable: false }
        };
        let run = RunOp { mounts: vec![Mount { target: "/m".to_owned(), kind }], ..RunOp::default() };
        world.content(Op::Run(Box::new(run)), &context())
    };
    assert_ne!(mount("/", false), mount("/[a]", false));
    assert_ne!(mount("/[a]", false), mount("/other", false), "a bracket in a mount's source is only a name");
    assert_ne!(mount("/[a]", true), mount("/other", true));
}

#[test]
fn a_file_that_changed_since_its_key_was_made_stops_the_step() {
    for change in ["rewritten", "removed", "grown", "replaced by a link"] {
        let world = World::new();
        // A file that is too large to be kept when it is hashed.
        let large = "two".repeat(60_000);
        write(&world.context(), "f a 644 0:0 one");
        let path = world.context().join("b");
        std::fs::write(&path, &large).unwrap();
        let base = world.snapshot("");
        let before = world.content(copy("a b /n/"), &context());
        changed(&path, change, &large);
        let error = world.execute(copy("a b /n/"), &[base.clone(), context()]).unwrap_err();
        assert!(matches!(&error, Error::Changed { path } if path == "b"), "{change}: {error}");
        // What was kept of `a` goes with the build.
        assert_eq!(world.leftovers(), 1, "{change}");
        // Started over, the build sees the folder as it is now.
        world.worker.look_again();
        if change == "removed" {
            assert!(world.execute(copy("a b /n/"), &[base, context()]).is_err());
        } else {
            assert_ne!(world.content(copy("a b /n/"), &context()), before, "{change}");
            world.execute(copy("a b /n/"), &[base, context()]).unwrap();
        }
    }
}

/// Makes another thing of a file, which holds `text`.
fn changed(path: &Path, change: &str, text: &str) {
    match change {
        "rewritten" => std::fs::write(path, text.to_uppercase()).unwrap(),
        "grown" => std::fs::write(path, format!("{text} and more")).unwrap(),
        _ => std::fs::remove_file(path).unwrap(),
    }
    if change == "replaced by a link" {
        std::os::unix::fs::symlink("a", path).unwrap();
    }
}

#[test]
fn a_small_file_is_copied_as_it_was_when_its_key_was_made() {
    for change in ["rewritten", "removed", "grown", "replaced by a link"] {
        let world = World::new();
        write(&world.context(), "f a 644 0:0 one\nf b 644 0:0 two");
        let base = world.snapshot("");
        let before = world.content(copy("a b /n/"), &context());
        changed(&world.context().join("b"), change, "two");
        let stack = world.execute(copy("a b /n/"), &[base, context()]).unwrap();
        assert_eq!(world.read(&stack, "n/b").as_deref(), Some("two"), "{change}");
        assert_eq!(world.content(copy("a b /n/"), &context()), before);
        assert_eq!(world.leftovers(), 0, "{change}");
    }
}

/// The layers that the top layer's files lie in, and whether it has a pack of its own.
fn places(world: &World, stack: &[LayerId]) -> (Vec<LayerId>, bool) {
    let top = *stack.last().unwrap();
    let listing = world.store.listing(top).unwrap();
    (listing.borrowed().to_vec(), world.store.layer(top).unwrap().unwrap().pack)
}

/// Times of files are known for good once the clock's tick has passed.
fn settle() {
    std::thread::sleep(std::time::Duration::from_millis(30));
}

#[test]
fn a_file_is_read_once_in_its_life() {
    let mut world = World::new();
    write(&world.context(), "f a 644 0:0 one\nf b 644 0:0 two\nf c 644 0:0");
    std::fs::write(world.context().join("large"), vec![7; 300 << 10]).unwrap();
    settle();
    let base = world.snapshot("");
    world.content(copy(". /n/"), &context());
    let first = world.execute(copy(". /n/"), &[base.clone(), context()]).unwrap();
    let (spool, own) = places(&world, &first);
    assert_eq!(spool.len(), 1);
    assert!(own, "the large file is read into the layer's own pack");
    world.worker.keep_indexes().unwrap();
    // Another build, one small file changed: the others are borrowed from where they are.
    world.again();
    std::fs::write(world.context().join("b"), "three").unwrap();
    settle();
    world.content(copy(". /n/"), &context());
    let second = world.execute(copy(". /n/"), &[base.clone(), context()]).unwrap();
    let (borrowed, own) = places(&world, &second);
    assert!(!own);
    assert_eq!(borrowed.len(), 3, "the first build's small files, its large one, and what is new");
    assert!(borrowed.contains(&spool[0]) && borrowed.contains(first.last().unwrap()));
    for (path, text) in [("n/a", "one"), ("n/b", "three"), ("n/c", "")] {
        assert_eq!(world.read(&second, path).as_deref(), Some(text), "{path}");
    }
    assert_eq!(world.read(&second, "n/large").unwrap().len(), 300 << 10);
    world.worker.keep_indexes().unwrap();
    // What is stored once serves other copies, too, and nothing is made for them.
    world.again();
    let third = world.execute(copy("a /other"), &[base, context()]).unwrap();
    assert_eq!(places(&world, &third), (spool, false));
    assert_eq!(world.read(&third, "other").as_deref(), Some("one"));
    assert_eq!(world.leftovers(), 0);
}

#[test]
fn what_no_copy_needs_is_not_kept() {
    let mut world = World::new();
    write(&world.context(), "f a 644 0:0 one");
    settle();
    world.content(copy("a /n"), &context());
    world.worker.keep_indexes().unwrap();
    world.again();
    assert_eq!(world.leftovers(), 0, "the layer of the build before is gone");
    let stack = world.execute(copy("a /n"), &[world.snapshot(""), context()]).unwrap();
    assert_eq!(places(&world, &stack), (Vec::new(), true), "it is known by its stat, and read for the copy");
    assert_eq!(world.read(&stack, "n").as_deref(), Some("one"));
}

#[test]
fn what_was_pruned_is_read_again() {
    let mut world = World::new();
    write(&world.context(), "f a 644 0:0 one");
    settle();
    world.content(copy("a /n"), &context());
    let stack = world.execute(copy("a /n"), &[world.snapshot(""), context()]).unwrap();
    let (spool, _) = places(&world, &stack);
    world.worker.keep_indexes().unwrap();
    world.again();
    let kinds = store::Kinds { records: true, ..store::Kinds::default() };
    let pruned = world.store.prune(&store::Prune { kinds, all: true, ..store::Prune::default() }).unwrap();
    assert!(pruned.layers.contains(&spool[0]), "{pruned:?}");
    let stack = world.execute(copy("a /n"), &[world.snapshot(""), context()]).unwrap();
    assert_eq!(places(&world, &stack), (Vec::new(), true));
    assert_eq!(world.read(&stack, "n").as_deref(), Some("one"));
}

#[test]
fn capabilities_of_files_count_from_the_first_build_on() {
    let world = World::new();
    write(&world.context(), "f a 755 0:0 one");
    let plain = world.content(copy("a /n"), &context());
    // cap_net_raw=ep, version 2.
    let value = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let name = c"security.capability";
    rustix::fs::setxattr(world.context().join("a"), name, &value, rustix::fs::XattrFlags::empty()).unwrap();
    world.worker.look_again();
    assert_ne!(world.content(copy("a /n"), &context()), plain);
    let stack = world.execute(copy("a /n"), &[world.snapshot(""), context()]).unwrap();
    let listing = world.store.listing(stack[0]).unwrap();
    assert_eq!(&*listing.entry(0).xattrs[0].1, &value[..]);
}

#[test]
fn a_copy_ends_when_it_is_no_longer_wanted() {
    let world = World::new();
    write(&world.context(), "f a 644 0:0 one");
    for name in ["large", "other"] {
        std::fs::write(world.context().join(name), vec![7; 300 << 10]).unwrap();
    }
    world.content(copy("a large other /n/"), &context());
    let base = world.snapshot("");
    let stack = world.execute(copy("a large /n/"), &[base.clone(), context()]).unwrap();
    assert_eq!(world.read(&stack, "n/large").unwrap().len(), 300 << 10);
    world.cancel.cancel();
    let error = world.execute(copy("a other /n/"), &[base, context()]).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(world.leftovers(), 0);
}
