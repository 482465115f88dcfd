//! Contexts: what is left out of them, what enters keys, and files that change meanwhile.

use crate::world::{World, copy, write};
use dockerfile::ignore::Patterns;
use executor::Error;
use graph::{Mount, MountKind, Op, RunOp};
use solver::Input;
use std::os::unix::fs::PermissionsExt;

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
        write(&world.context(), "f a 644 0:0 one\nf b 644 0:0 two");
        let base = world.snapshot("");
        let before = world.content(copy("a b /n/"), &context());
        let path = world.context().join("b");
        match change {
            "rewritten" => std::fs::write(&path, "TWO").unwrap(),
            "grown" => std::fs::write(&path, "two and more").unwrap(),
            _ => std::fs::remove_file(&path).unwrap(),
        }
        if change == "replaced by a link" {
            std::os::unix::fs::symlink("a", &path).unwrap();
        }
        let error = world.execute(copy("a b /n/"), &[base.clone(), context()]).unwrap_err();
        assert!(matches!(&error, Error::Changed { path } if path == "b"), "{change}: {error}");
        assert_eq!(world.leftovers(), 0, "{change}");
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
    assert_eq!(&*listing.entries()[0].xattrs[0].1, &value[..]);
}

#[test]
fn a_copy_ends_when_it_is_no_longer_wanted() {
    let world = World::new();
    write(&world.context(), "f a 644 0:0 one");
    std::fs::write(world.context().join("large"), vec![7; 300 << 10]).unwrap();
    world.content(copy("a large /n/"), &context());
    let base = world.snapshot("");
    let stack = world.execute(copy("a large /n/"), &[base.clone(), context()]).unwrap();
    assert_eq!(world.read(&stack, "n/large").unwrap().len(), 300 << 10);
    world.cancel.cancel();
    let error = world.execute(copy("a large /n/"), &[base, context()]).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    assert_eq!(world.leftovers(), 0);
}
