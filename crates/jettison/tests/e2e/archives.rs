//! Archives of several images, and what other programs make of them and they of ours.

use crate::harness::{Context, LIMIT, Podman, folder, own, own_with_busybox, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The members of a tar in their order.
fn members(archive: &Path) -> Vec<String> {
    let mut tar = Command::new("tar");
    tar.arg("-tf").arg(archive);
    run(tar, LIMIT).ok().stdout.lines().map(str::to_owned).collect()
}

fn lines(text: &str) -> BTreeSet<&str> {
    text.lines().map(|line| line.trim_start_matches("Loaded image: ")).collect()
}

#[test]
fn several_images_share_an_archive_and_their_layers() {
    let (house, temp) = (own_with_busybox(), folder());
    house.build(&Context::dockerfile("FROM busybox\nRUN echo one > /one\n"), &["--tag", "localhost/one:1"]);
    house.build(
        &Context::dockerfile("FROM localhost/one:1\nRUN echo two > /two\n"),
        &["--tag", "localhost/two:2"],
    );
    house.ok(&["tag", "localhost/two:2", "localhost/two:again"]);
    let names = BTreeSet::from(["localhost/one:1", "localhost/two:2", "localhost/two:again"]);
    for format in ["docker-archive", "oci-archive"] {
        let archive = temp.path().join(format);
        let path = archive.to_str().unwrap();
        // A repository alone is all its tags.
        house.ok(&["save", "--format", format, "--output", path, "localhost/one:1", "localhost/two"]);
        let members = members(&archive);
        let unique: BTreeSet<&String> = members.iter().collect();
        assert_eq!(unique.len(), members.len(), "{members:?}");
        let other = own();
        assert_eq!(lines(&other.ok(&["load", "--input", path]).stdout), names, "{format}");
        assert_eq!(
            other.ok(&["run", "--rm", "localhost/two:again", "cat", "/one", "/two"]).stdout,
            "one\ntwo\n"
        );
        assert_eq!(other.inspect("localhost/one:1")["Id"], house.inspect("localhost/one:1")["Id"]);
    }
    // Podman reads and writes such archives too.
    let (podman, archive) = (Podman::new(), temp.path().join("docker-archive"));
    let loaded = podman.ok(&["load", "--quiet", "--input", archive.to_str().unwrap()]);
    assert_eq!(lines(&loaded), names);
    let theirs = temp.path().join("podman.tar");
    let theirs = theirs.to_str().unwrap();
    podman.ok(&[
        "save",
        "--quiet",
        "--multi-image-archive",
        "--output",
        theirs,
        "localhost/one:1",
        "localhost/two:again",
    ]);
    let other = own();
    let loaded = other.ok(&["load", "--quiet", "--input", theirs]);
    assert_eq!(
        (lines(&loaded.stdout), loaded.stderr.as_str()),
        (BTreeSet::from(["localhost/one:1", "localhost/two:again"]), "")
    );
    assert_eq!(other.ok(&["run", "--rm", "localhost/two:again", "cat", "/one", "/two"]).stdout, "one\ntwo\n");
}

#[test]
fn what_cannot_be_saved_or_loaded_leaves_nothing() {
    let (house, temp) = (own_with_busybox(), folder());
    let archive = temp.path().join("out.tar");
    let path = archive.to_str().unwrap();
    house.fails(1, &["save", "--output", path, "busybox", "nothing:here"]).says("no image `nothing:here`");
    assert!(!archive.exists());
    house.fails(1, &["load", "--input", path]).says("cannot open");
    house
        .fails(1, &["save", "--platform", "linux/s390x", "--output", path, "busybox"])
        .says("for linux/s390x");
    std::fs::write(&archive, "no archive").unwrap();
    house.fails(1, &["load", "--quiet", "--input", path]).says("hint: nothing of it was kept");
    assert_eq!(house.ok(&["images", "--all", "--format", "{{.Repository}}"]).stdout, "busybox\n");
}

#[test]
fn an_archive_tells_docker_and_layout_readers_the_same() {
    let (house, temp) = (own_with_busybox(), folder());
    let context = Context::dockerfile("FROM busybox\nRUN echo x > /x\n");
    // Attributes of the documents make a docker archive a layout, too.
    let archive = temp.path().join("both.tar");
    let output = format!(
        "type=docker,name=localhost/app:v1,compression=zstd,force-compression=true,dest={}",
        archive.display()
    );
    house.build(&context, &["--output", &output]);
    let config = |name: &str| {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["inspect", "--config", name]);
        serde_json::from_str::<Value>(&run(skopeo, LIMIT).ok().stdout).unwrap()
    };
    let (docker, oci) =
        (format!("docker-archive:{}", archive.display()), format!("oci-archive:{}", archive.display()));
    assert_eq!(config(&docker)["rootfs"], config(&oci)["rootfs"]);
    assert!(
        Podman::new()
            .ok(&["load", "--quiet", "--input", archive.to_str().unwrap()])
            .contains("localhost/app:v1")
    );
    let other = own();
    other.ok(&["load", "--input", archive.to_str().unwrap()]);
    assert_eq!(other.ok(&["run", "--rm", "localhost/app:v1", "cat", "/x"]).stdout, "x\n");
    // As a folder it is a layout, whose only image is `latest` where it has no name.
    let layout = temp.path().join("layout");
    house.build(&context, &["--output", &format!("type=docker,tar=false,dest={}", layout.display())]);
    assert_eq!(config(&format!("oci:{}:latest", layout.display()))["architecture"], "amd64");
}
