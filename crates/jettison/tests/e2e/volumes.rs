//! What is mounted into containers: folders, volumes, files in memory.

use crate::harness::{Context, folder, shared, unique};
use std::fs;

#[test]
fn a_folder_of_the_host_is_seen_both_ways() {
    let (house, files) = (shared(), folder());
    fs::write(files.path().join("f"), "of the host\n").unwrap();
    let mount = |options: &str| format!("{}:/mnt{options}", files.path().display());
    let out = house.ok(&[
        "run",
        "--rm",
        "-v",
        &mount(""),
        "busybox",
        "sh",
        "-c",
        "cat /mnt/f; echo inside > /mnt/g",
    ]);
    assert_eq!(out.stdout, "of the host\n");
    assert_eq!(fs::read_to_string(files.path().join("g")).unwrap(), "inside\n");
    let out = house.ok(&[
        "run",
        "--rm",
        "-v",
        &mount(":ro"),
        "busybox",
        "sh",
        "-c",
        "touch /mnt/x 2>/dev/null || echo refused",
    ]);
    assert_eq!(out.text(), "refused");
    let long = format!("type=bind,source={},target=/a,readonly", files.path().display());
    let out = house.ok(&[
        "run",
        "--rm",
        "--mount",
        &long,
        "busybox",
        "sh",
        "-c",
        "cat /a/g; touch /a/x 2>/dev/null || echo refused",
    ]);
    assert_eq!(out.stdout, "inside\nrefused\n");
    // -v makes a folder that is missing, --mount does not.
    let missing = files.path().join("missing");
    house.ok(&["run", "--rm", "-v", &format!("{}:/m", missing.display()), "busybox", "true"]);
    assert!(missing.is_dir());
    let missing = format!("type=bind,source={}/never,target=/m", files.path().display());
    house.fails(125, &["run", "--rm", "--mount", &missing, "busybox", "true"]).says("/never");
}

#[test]
fn a_file_alone_can_be_mounted() {
    let (house, files) = (shared(), folder());
    fs::write(files.path().join("settings"), "mounted\n").unwrap();
    let mount = format!("{}:/etc/settings:ro", files.path().join("settings").display());
    assert_eq!(
        house.ok(&["run", "--rm", "-v", &mount, "busybox", "cat", "/etc/settings"]).stdout,
        "mounted\n"
    );
}

/// An image with something in `/data`, which belongs to user 7.
fn image_with_data(volume: &str) -> String {
    let name = unique("data");
    let context = Context::dockerfile(&format!(
        "FROM busybox\nRUN mkdir -p /data/sub && echo original > /data/sub/f && ln -s sub/f /data/link && chown -R 7:8 /data && chmod 750 /data\n{volume}"
    ));
    shared().build(&context, &["--tag", &name]);
    name
}

#[test]
fn a_named_volume_starts_with_the_images_content_and_lives_on() {
    let (house, image, volume) = (shared(), image_with_data(""), unique("volume"));
    let mount = format!("{volume}:/data");
    let first = house.ok(&[
        "run",
        "--rm",
        "-v",
        &mount,
        &image,
        "sh",
        "-c",
        "cat /data/link; stat -c '%u %g %a' /data; echo changed > /data/sub/f",
    ]);
    assert_eq!(first.stdout, "original\n7 8 750\n");
    let second = house.ok(&[
        "run",
        "--rm",
        "--mount",
        &format!("type=volume,source={volume},target=/data"),
        &image,
        "cat",
        "/data/sub/f",
    ]);
    assert_eq!(second.stdout, "changed\n");
    // A volume that is not empty keeps what it has.
    let other = house.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{volume}:/elsewhere"),
        "busybox",
        "cat",
        "/elsewhere/sub/f",
    ]);
    assert_eq!(other.stdout, "changed\n");
    assert!(house.ok(&["volume", "ls", "-q"]).stdout.lines().any(|line| line == volume));
    let path = house.ok(&["volume", "inspect", "--format", "{{.Mountpoint}}", &volume]).text().to_owned();
    assert_eq!(fs::read_to_string(format!("{path}/sub/f")).unwrap(), "changed\n");
    house.ok(&["volume", "rm", &volume]);
    house.fails(1, &["volume", "rm", &volume]).says(&volume);
    // nocopy leaves a new one empty.
    let empty = house.ok(&[
        "run",
        "--rm",
        "-v",
        &format!("{}:/data:nocopy", unique("volume")),
        &image,
        "ls",
        "/data",
    ]);
    assert_eq!(empty.stdout, "");
}

#[test]
fn the_images_volumes_are_anonymous_and_go_with_rm_v() {
    let (house, image) = (shared(), image_with_data("VOLUME /data\n"));
    let container = house.detached(&[], &image, &["sleep", "1000"]);
    assert_eq!(container.exec(&["cat", "/data/sub/f"]).ok().stdout, "original\n");
    let mount = container.inspect()["Mounts"][0].clone();
    assert_eq!((mount["Type"].as_str(), mount["Destination"].as_str()), (Some("volume"), Some("/data")));
    let volume = mount["Name"].as_str().unwrap().to_owned();
    assert_eq!(volume.len(), 64);
    let known = || house.ok(&["volume", "ls", "-q"]).stdout.contains(&volume);
    assert!(known());
    house.fails(1, &["volume", "rm", &volume]).says("in use");
    house.ok(&["rm", "--force", "--volumes", &container.name]);
    assert!(!known());
    // --rm takes its anonymous volumes along.
    let before = house.ok(&["run", "--rm", &image, "sh", "-c", "grep ' /data ' /proc/mounts | wc -l"]);
    assert_eq!(before.text(), "1");
}

#[test]
fn a_volume_in_use_by_none_is_pruned_with_volumes() {
    let house = crate::harness::own_with_busybox();
    house.ok(&["run", "--rm", "-v", "kept:/a", "busybox", "true"]);
    house.ok(&["create", "-v", "/anonymous", "--name", "holder", "busybox"]);
    house.ok(&["rm", "holder"]);
    assert_eq!(house.ok(&["volume", "ls", "-q"]).stdout.lines().count(), 2, "without --volumes both stay");
    house.ok(&["system", "prune", "--force", "--volumes"]);
    assert_eq!(house.ok(&["volume", "ls", "-q"]).text(), "kept");
}

#[test]
fn files_in_memory() {
    let house = shared();
    let out = house.ok(&[
        "run",
        "--rm",
        "--tmpfs",
        "/t:size=1m,mode=1770",
        "busybox",
        "sh",
        "-c",
        "grep ' /t ' /proc/mounts; stat -c %a /t",
    ]);
    assert!(out.stdout.contains(" /t tmpfs ") && out.stdout.contains("size=1024k"), "{}", out.stdout);
    assert!(out.stdout.ends_with("1770\n"), "{}", out.stdout);
    let out = house.ok(&[
        "run",
        "--rm",
        "--mount",
        "type=tmpfs,target=/t,tmpfs-size=2m",
        "busybox",
        "grep",
        " /t ",
        "/proc/mounts",
    ]);
    assert!(out.stdout.contains("size=2048k"), "{}", out.stdout);
    house
        .fails(125, &["run", "--rm", "--mount", "type=nonsense,target=/t", "busybox", "true"])
        .says("nonsense");
    house.fails(125, &["run", "--rm", "-v", "/a:/b:nonsense", "busybox", "true"]).says("nonsense");
}
