//! `oci-layout://FOLDER[:TAG][@DIGEST]` in place of an image's name, read and written by skopeo on the other side.

use crate::harness::{Context, LIMIT, Registry, bases, folder, own, own_with_busybox, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A layout that skopeo made of busybox, under the tag `v1`.
fn layout(folder: &Path) -> PathBuf {
    let layout = folder.join("layout");
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", &format!("oci:{}:docker.io/library/busybox:latest", bases().display())]);
    skopeo.arg(format!("oci:{}:v1", layout.display()));
    run(skopeo, LIMIT).ok();
    layout
}

fn address(layout: &Path, tag: &str) -> String {
    format!("oci-layout://{}{tag}", layout.display())
}

/// The manifest or index that skopeo finds.
#[track_caller]
fn raw(name: &str) -> Value {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", name]);
    serde_json::from_str(&run(skopeo, LIMIT).ok().stdout).unwrap()
}

#[test]
fn an_image_of_a_layout_is_run_shown_and_named() {
    let (house, temp) = (own(), folder());
    let layout = layout(temp.path());
    let image = address(&layout, ":v1");
    // To look at it brings nothing into the store.
    let shown = house.inspect(&image);
    assert_eq!(shown["Config"]["Cmd"][0], "sh", "{shown}");
    assert!(house.ok(&["history", &image]).stdout.contains("IMAGE"));
    assert_eq!(house.ok(&["images", "-q"]).stdout, "");
    assert_eq!(house.ok(&["run", "--rm", "--quiet", &image, "echo", "hi"]).stdout, "hi\n");
    // A tag is no image's name, so what is pulled has none but its id.
    let id = house.ok(&["pull", "-q", &image]).stdout;
    assert_eq!(id.trim(), shown["Id"]);
    house.ok(&["tag", &image, "mine:now"]);
    assert_eq!(house.inspect("mine:now")["Id"], shown["Id"]);
    let created = house.ok(&["create", "--quiet", &image, "true"]).stdout;
    assert_eq!(house.inspect(created.trim())["Image"], shown["Id"]);
    // Of one image alone the tag may be left out; of a layout that calls it by a name, that name comes too.
    house.ok(&["run", "--rm", "--quiet", &address(&layout, ""), "true"]);
    let named = temp.path().join("named");
    house.ok(&["push", "--quiet", "mine:now", &address(&named, "")]);
    let other = own();
    other.ok(&["pull", &address(&named, "")]).says("Downloaded newer image for mine:now");
    assert_eq!(other.inspect("mine:now")["Id"], shown["Id"]);
    // An archive of it loads like any other.
    let archive = temp.path().join("saved.tar");
    house.ok(&["save", "--output", archive.to_str().unwrap(), &address(&named, "")]);
    assert_eq!(own().ok(&["load", "--input", archive.to_str().unwrap()]).stdout, "Loaded image: mine:now\n");
    house.fails(1, &["rmi", &image]).says("nothing is removed from layouts");
}

#[test]
fn images_go_into_layouts_and_out_of_them_unchanged() {
    let (house, temp, registry) = (own_with_busybox(), folder(), Registry::open());
    let (from, to) = (layout(temp.path()), temp.path().join("new/to"));
    let original = raw(&format!("oci:{}:v1", from.display()));
    // The store to a layout, a layout to a registry, and back.
    house.ok(&["push", "--quiet", "busybox", &address(&to, ":kept")]);
    assert_eq!(raw(&format!("oci:{}:kept", to.display())), original);
    let there = format!("{}/busybox:v2", registry.address);
    house.ok(&["push", "--quiet", &address(&to, ":kept"), &there]);
    assert_eq!(raw(&format!("docker://{there}")), original);
    // Another tag of the same layout, and one layout to another.
    house.ok(&["tag", &address(&to, ":kept"), &address(&to, ":again")]);
    assert_eq!(raw(&format!("oci:{}:again", to.display())), original);
    assert_eq!(fs::read_dir(to.join("blobs/sha256")).unwrap().count(), 3);
    house.ok(&["push", "--quiet", &address(&to, ":again"), &address(&from, ":v2")]);
    assert_eq!(raw(&format!("oci:{}:v2", from.display())), original);
    house.fails(125, &["push", &address(&to, ":kept")]).says("name the target too");
    // Every platform goes along.
    let context = Context::dockerfile("FROM scratch\nARG TARGETARCH\nCOPY f /f\nLABEL arch=$TARGETARCH\n");
    context.write("f", "f\n");
    let index = temp.path().join("index");
    let output = format!("type=oci,tar=false,dest={}", index.display());
    house.build(&context, &["--platform", "linux/amd64,linux/arm64", "--output", &output]);
    let both = format!("{}/both", registry.address);
    house.ok(&["push", "--quiet", &address(&index, ""), &both]);
    let index = raw(&format!("docker://{both}"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2, "{index}");
}

#[test]
fn a_layout_is_not_trusted() {
    let (house, temp) = (own(), folder());
    let layout = layout(temp.path());
    let image = address(&layout, ":v1");
    for (wrong, said) in [
        (address(&layout, ":v2"), "no image of that name"),
        (address(temp.path(), ":v1"), "it has no `index.json`"),
        (address(&temp.path().join("nowhere"), ""), "nowhere"),
        (address(&layout, "@sha256:1"), "no digest"),
        ("oci-layout://".to_owned(), "names no folder"),
    ] {
        house.fails(1, &["pull", &wrong]).says(said);
    }
    // A link leads nowhere else, even to the very bytes that are wanted.
    let blobs = layout.join("blobs/sha256");
    let all = fs::read_dir(&blobs).unwrap().map(|entry| entry.unwrap().path());
    let largest = all.max_by_key(|blob| blob.metadata().unwrap().len()).unwrap();
    let outside = temp.path().join("outside");
    fs::rename(&largest, &outside).unwrap();
    symlink(&outside, &largest).unwrap();
    house.fails(1, &["pull", &image]).says("it has no `blobs/sha256/");
    // Nor is anything written through one.
    let held = fs::read(&outside).unwrap();
    let target = address(&layout, ":again");
    own_with_busybox().ok(&["push", "--quiet", "busybox", &target]);
    assert_eq!(fs::read(&outside).unwrap(), held);
    assert!(largest.symlink_metadata().unwrap().is_file());
    house.ok(&["pull", "-q", &image]);
    // What is not what its digest says is refused, and nothing of it is kept.
    let mut bytes = fs::read(&largest).unwrap();
    bytes[held.len() / 2] ^= 1;
    fs::write(&largest, bytes).unwrap();
    let fresh = own();
    fresh.fails(1, &["pull", &image]).says("sha256:");
    fresh.fails(125, &["run", "--rm", &image, "true"]).says("sha256:");
    assert_eq!(fresh.ok(&["images", "--all", "-q"]).stdout, "");
}

#[test]
fn a_dockerfile_names_no_folder_of_the_machine() {
    let (house, temp) = (own(), folder());
    let image = address(&layout(temp.path()), ":v1");
    for text in [format!("FROM {image}\n"), format!("FROM scratch\nCOPY --from={image} /bin/sh /sh\n")] {
        let built = house.try_build(&Context::dockerfile(&text), &[]).out.fails(1);
        assert!(built.stderr.contains("a Dockerfile cannot name one"), "{}", built.stderr);
        assert!(built.stderr.contains(&format!("--build-context base={image}")), "{}", built.stderr);
    }
}
