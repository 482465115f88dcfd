//! `cp` both ways, of running containers and others.

use crate::support::{Kit, sh};
use container::{NewContainer, NewMount, Place};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

fn inside(name: &str, path: &str) -> Place {
    Place::Container { name: name.into(), path: path.into() }
}

fn host(path: &Path, below: &str) -> Place {
    // By text: joining would lose what a trailing `/.` says.
    Place::Host(format!("{}/{below}", path.display()).into())
}

fn copies(kit: &Kit, id: &str) {
    let dir = tempfile::tempdir().unwrap();
    let cp = |from: &Place, to: &Place| kit.containers.copy(from, to, false, false);
    // Out: a file to a folder, to a name; a folder to a new name, into one that is there; its content.
    cp(&inside(id, "/data/sub/file"), &host(dir.path(), "")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "from the image");
    assert_eq!(fs::metadata(dir.path().join("file")).unwrap().uid(), 0);
    cp(&inside(id, "data/sub/file"), &host(dir.path(), "renamed")).unwrap();
    cp(&inside(id, "/data"), &host(dir.path(), "new")).unwrap();
    assert!(dir.path().join("new/sub/file").exists());
    cp(&inside(id, "/data"), &host(dir.path(), "new")).unwrap();
    assert!(dir.path().join("new/data/sub/file").exists());
    fs::create_dir(dir.path().join("flat")).unwrap();
    cp(&inside(id, "/data/."), &host(dir.path(), "flat")).unwrap();
    assert!(dir.path().join("flat/sub/file").exists());
    kit.containers.copy(&inside(id, "/data"), &host(dir.path(), "kept"), false, true).unwrap();
    assert_eq!(fs::metadata(dir.path().join("kept")).unwrap().uid(), 1000);
    // In.
    fs::write(dir.path().join("fresh"), "from the host").unwrap();
    symlink("/etc/passwd", dir.path().join("new/link")).unwrap();
    cp(&host(dir.path(), "fresh"), &inside(id, "/tmp/")).unwrap();
    cp(&host(dir.path(), "fresh"), &inside(id, "/tmp/other")).unwrap();
    cp(&host(dir.path(), "new/."), &inside(id, "/tmp/tree")).unwrap();
    // And back.
    cp(&inside(id, "/tmp"), &host(dir.path(), "back")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("back/fresh")).unwrap(), "from the host");
    assert_eq!(fs::read_to_string(dir.path().join("back/other")).unwrap(), "from the host");
    assert!(dir.path().join("back/tree/sub/file").exists());
    assert_eq!(fs::read_link(dir.path().join("back/tree/link")).unwrap(), Path::new("/etc/passwd"));
    // The volume's files are where they are mounted.
    cp(&inside(id, "/vol/in-volume"), &host(dir.path(), "")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("in-volume")).unwrap(), "volume\n");
    for (from, to) in [
        (inside(id, "/nothing"), host(dir.path(), "")),
        (inside(id, "/data"), host(dir.path(), "fresh")),
        (host(dir.path(), "nothing"), inside(id, "/tmp")),
        (host(dir.path(), "fresh"), inside(id, "/not/there/x")),
        (host(dir.path(), "fresh"), inside(id, "/missing/")),
        (inside(id, "/data/sub/file/"), host(dir.path(), "")),
    ] {
        let error = cp(&from, &to).unwrap_err();
        assert!(error.to_string().contains('/'), "{error}");
    }
    let mut tar = Vec::new();
    kit.containers.copy_out(id, "/data/sub", false, &mut tar).unwrap();
    kit.containers.copy_in(id, "/home", &mut &tar[..], true).unwrap();
    cp(&inside(id, "/home/sub/file"), &host(dir.path(), "again")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("again")).unwrap(), "from the image");
    assert!(kit.containers.copy_in(id, "/nothing", &mut &tar[..], true).is_err());
}

fn with_volume() -> NewContainer {
    let volume = NewMount::Volume {
        name: Some("vol".into()),
        target: "/vol".into(),
        readonly: false,
        nocopy: false,
        subpath: String::new(),
    };
    NewContainer { mounts: vec![volume], ..sh("echo volume > /vol/in-volume; touch /up; sleep 1000") }
}

#[test]
fn files_of_a_running_container() {
    let kit = Kit::new();
    let id = kit.start(with_volume());
    kit.until("it is up", || kit.exec(&id, "test -e /up").0 == 0);
    copies(&kit, &id);
}

#[test]
fn files_of_a_container_that_does_not_run() {
    let kit = Kit::new();
    let id = kit.start(with_volume());
    kit.until("it is up", || kit.exec(&id, "test -e /up").0 == 0);
    kit.containers.stop(&id, None, Some(0)).unwrap();
    copies(&kit, &id);
    // What was copied in is there when it runs again, and one that never ran can be copied from too.
    kit.containers.start(&id, false, false, None).unwrap();
    assert_eq!(kit.exec(&id, "cat /tmp/fresh").1, "from the host");
    let fresh = kit.containers.create(&sh("true")).unwrap().id;
    let dir = tempfile::tempdir().unwrap();
    kit.containers.copy(&inside(&fresh, "/data"), &host(dir.path(), "out"), false, false).unwrap();
    assert!(dir.path().join("out/sub/file").exists());
}

#[test]
fn links_inside_do_not_lead_outside() {
    let kit = Kit::new();
    let id = kit.start(sh("ln -s / /tmp/root; ln -s /tmp/root/../../etc /tmp/etc; touch /up; sleep 1000"));
    kit.until("it is up", || kit.exec(&id, "test -e /up").0 == 0);
    let dir = tempfile::tempdir().unwrap();
    kit.containers.copy(&inside(&id, "/tmp/etc/group"), &host(dir.path(), "group"), true, false).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("group")).unwrap(), "root:x:0:\nann:x:1000:\n");
}

#[test]
fn what_the_kernel_makes_up_is_not_copied() {
    let kit = Kit::new();
    let id = kit.start(sh("sleep 100"));
    let dir = tempfile::tempdir().unwrap();
    let cp = |from: &Place, to: &Place| kit.containers.copy(from, to, false, false);
    for path in ["/proc/version", "/proc/1/", "/proc", "/sys/kernel"] {
        let error = cp(&inside(&id, path), &host(dir.path(), "out")).unwrap_err().to_string();
        assert!(error.contains("the kernel makes it up"), "{error}");
        assert!(!dir.path().join("out").exists(), "{path}");
    }
    let error = cp(&host(Path::new("/proc"), "version"), &inside(&id, "/tmp/")).unwrap_err().to_string();
    assert!(error.contains("version") && error.contains("the kernel makes it up"), "{error}");
    // A tree that has it inside keeps the folders.
    cp(&inside(&id, "/."), &host(dir.path(), "all")).unwrap();
    assert!(dir.path().join("all/bin").exists());
    for empty in ["proc", "sys"] {
        assert_eq!(fs::read_dir(dir.path().join("all").join(empty)).unwrap().count(), 0, "{empty}");
    }
}
