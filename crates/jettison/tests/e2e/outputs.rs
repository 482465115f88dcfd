//! What a build leaves, as other programs read it.

use crate::harness::{Context, Files, LIMIT, Podman, folder, run, shared, unique};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Command;

/// An image with something of everything in several layers.
fn various() -> Context {
    let context = Context::dockerfile(
        "FROM busybox\nRUN mkdir /data\nCOPY --chown=12:34 --chmod=640 f /data/owned\nRUN ln -s owned /data/link && ln /data/owned /data/hard && echo gone > /data/gone && mkdir /data/folder && echo x > /data/folder/x\nRUN rm /data/gone && rm -r /data/folder && mkdir /data/folder && echo y > /data/folder/y\nENV A=b\nLABEL l=m\nUSER 12:34\nCMD [\"cat\", \"/data/link\"]\n",
    );
    context.write("f", "content\n");
    context
}

/// A folder belongs to the user who builds, as with BuildKit.
const YOURS: (u32, u32) = (0, 0);
/// Archives keep owners.
const KEPT: (u32, u32) = (12, 34);

/// Runs another program, which must succeed.
#[track_caller]
fn peer(program: &str, args: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(args);
    run(command, LIMIT).ok().stdout
}

/// The unpacked image has what [`various`] says.
#[track_caller]
fn is_unpacked(root: &Path, owner: (u32, u32)) {
    assert_eq!(fs::read_to_string(root.join("data/owned")).unwrap(), "content\n");
    let owned = fs::metadata(root.join("data/owned")).unwrap();
    assert_eq!((owned.uid(), owned.gid(), owned.permissions().mode() & 0o7777), (owner.0, owner.1, 0o640));
    assert_eq!(owned.ino(), fs::metadata(root.join("data/hard")).unwrap().ino(), "one file with two names");
    assert_eq!(fs::read_link(root.join("data/link")).unwrap(), Path::new("owned"));
    assert!(!root.join("data/gone").exists());
    let names: Vec<_> =
        fs::read_dir(root.join("data/folder")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["y"]);
}

#[test]
fn a_folder() {
    let (house, context, out) = (shared(), various(), folder());
    let to = out.path().join("root");
    house.build(&context, &["--output", &format!("type=local,dest={}", to.display())]);
    is_unpacked(&to, YOURS);
    assert!(to.join("bin/sh").exists());
    // The short form; files of before stay, and what has the same name is replaced.
    fs::write(to.join("own"), "mine\n").unwrap();
    fs::write(to.join("data/owned"), "old\n").unwrap();
    house.build(&context, &["-o", to.to_str().unwrap()]);
    is_unpacked(&to, YOURS);
    assert_eq!(fs::read_to_string(to.join("own")).unwrap(), "mine\n");
}

#[test]
fn a_tar() {
    let (house, context, out) = (shared(), various(), folder());
    let file = out.path().join("root.tar");
    house.build(&context, &["--output", &format!("type=tar,dest={}", file.display())]);
    let root = out.path().join("root");
    fs::create_dir(&root).unwrap();
    peer("tar", &["-C", root.to_str().unwrap(), "--numeric-owner", "-xf", file.to_str().unwrap()]);
    is_unpacked(&root, KEPT);
    assert_eq!(
        Files::read(&house.ok(&["build", "-q", "-o", "-", context.text()]).bytes).text("data/owned"),
        "content\n"
    );
}

#[test]
fn an_oci_archive_that_skopeo_reads() {
    let (house, context, out) = (shared(), various(), folder());
    let (name, file) = (unique("localhost/oci"), out.path().join("image.tar"));
    house.build(&context, &["--tag", &name, "--output", &format!("type=oci,dest={}", file.display())]);
    let inspected: Value =
        serde_json::from_str(&peer("skopeo", &["inspect", &format!("oci-archive:{}", file.display())]))
            .unwrap();
    assert_eq!(inspected["Labels"]["l"], "m");
    assert_eq!(inspected["Layers"].as_array().map(Vec::len), Some(5), "the base's layer and four");
    let config: Value = serde_json::from_str(&peer(
        "skopeo",
        &["inspect", "--config", &format!("oci-archive:{}", file.display())],
    ))
    .unwrap();
    assert_eq!(config["config"]["Cmd"], json!(["cat", "/data/link"]));
    assert_eq!(config["config"]["User"], "12:34");
    // With -o alone nothing is named in the store.
    assert!(!house.has_image(&name));
}

#[test]
fn an_oci_layout_that_umoci_unpacks() {
    let (house, context, out) = (shared(), various(), folder());
    let layout = out.path().join("layout");
    house.build(
        &context,
        &["--tag", "image:v1", "--output", &format!("type=oci,tar=false,dest={}", layout.display())],
    );
    let bundle = out.path().join("bundle");
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let reference = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
        .as_str()
        .unwrap()
        .to_owned();
    peer(
        "umoci",
        &["unpack", "--image", &format!("{}:{reference}", layout.display()), bundle.to_str().unwrap()],
    );
    is_unpacked(&bundle.join("rootfs"), KEPT);
    let config: Value = serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["process"]["user"], json!({"uid": 12, "gid": 34}));
    assert_eq!(config["process"]["args"], json!(["cat", "/data/link"]));
}

#[test]
fn a_docker_archive_that_skopeo_copies_and_podman_loads() {
    let (house, context, out) = (shared(), various(), folder());
    let (name, file) = (unique("localhost/docker"), out.path().join("image.tar"));
    house.build(&context, &["--tag", &name, "--output", &format!("type=docker,dest={}", file.display())]);
    let layout = out.path().join("layout");
    peer(
        "skopeo",
        &[
            "copy",
            "--quiet",
            &format!("docker-archive:{}", file.display()),
            &format!("oci:{}:copied", layout.display()),
        ],
    );
    let bundle = out.path().join("bundle");
    peer("umoci", &["unpack", "--image", &format!("{}:copied", layout.display()), bundle.to_str().unwrap()]);
    is_unpacked(&bundle.join("rootfs"), KEPT);

    let podman = Podman::new();
    let loaded = podman.ok(&["load", "--quiet", "--input", file.to_str().unwrap()]);
    assert!(loaded.contains(&format!("{name}:latest")), "{loaded}");
    let inspected: Value = serde_json::from_str(&podman.ok(&["image", "inspect", &name])).unwrap();
    assert_eq!(inspected[0]["Config"]["Env"].as_array().unwrap().last(), Some(&json!("A=b")));
    assert_eq!(inspected[0]["User"], "12:34");
}

#[test]
fn save_and_load_bring_the_same_image_back() {
    let (house, context) = (shared(), various());
    let (name, out) = (unique("saved"), folder());
    house.build(&context, &["--tag", &name]);
    let id = house.inspect(&name)["Id"].clone();
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let other = crate::harness::own();
        let file = out.path().join(format);
        house.ok(&["save", "--format", format, "--output", file.to_str().unwrap(), &name]);
        let loaded = other.ok(&["load", "--input", file.to_str().unwrap()]);
        assert_eq!(loaded.text(), format!("Loaded image: {name}:latest"), "{format}");
        assert_eq!(other.inspect(&name)["Id"], id, "{format}");
        let files = other.files(&name);
        assert_eq!(files.text("data/owned"), "content\n");
        assert_eq!(files.names("data/folder"), ["y"]);
        assert_eq!(files.owner("data/owned"), (12, 34));
        assert_eq!(other.ok(&["run", "--rm", &name]).stdout, "content\n", "{format}");
    }
}

#[test]
fn archives_of_other_programs_are_loaded() {
    let (house, context, out) = (shared(), various(), folder());
    let (name, saved) = (unique("localhost/others"), out.path().join("saved.tar"));
    house.build(&context, &["--tag", &name]);
    house.ok(&["save", "--output", saved.to_str().unwrap(), &name]);
    let from = format!("docker-archive:{}", saved.display());
    for (to, compressed) in [("docker-archive", false), ("oci-archive", false), ("oci-archive", true)] {
        let file = out.path().join(format!("skopeo-{to}-{compressed}.tar"));
        peer("skopeo", &["copy", "--quiet", &from, &format!("{to}:{}:{name}:again", file.display())]);
        let mut path = file.to_str().unwrap().to_owned();
        if compressed {
            peer("gzip", &[&path]);
            path += ".gz";
        }
        let other = crate::harness::own();
        other.ok(&["load", "--input", &path]);
        assert_eq!(
            other.files(&format!("{name}:again")).text("data/owned"),
            "content\n",
            "{to} {compressed}"
        );
    }
}

#[test]
fn equal_builds_in_two_stores_give_equal_layers() {
    // Times apart, the bytes depend on the content alone.
    let context = Context::dockerfile("FROM scratch\nCOPY f /f\nCOPY g /g\n");
    context.write("f", "content\n");
    context.write("g/h", "content\n");
    let layers = || {
        let house = crate::harness::own();
        house.build(&context, &["--tag", "same"]);
        house.inspect("same")["RootFS"].clone()
    };
    assert_eq!(layers(), layers());
}

#[test]
fn several_outputs_of_one_build() {
    let (house, context, out) = (shared(), various(), folder());
    let name = unique("several");
    let (tar, root) = (out.path().join("a.tar"), out.path().join("root"));
    house.build(
        &context,
        &[
            "-t",
            &name,
            "-o",
            &format!("type=tar,dest={}", tar.display()),
            "-o",
            root.to_str().unwrap(),
            "--load",
        ],
    );
    assert!(tar.is_file());
    is_unpacked(&root, YOURS);
    assert!(house.has_image(&name));
}

#[test]
fn an_output_to_a_device_leaves_the_device() {
    let (house, context, out) = (shared(), various(), folder());
    let null = out.path().join("null");
    let device = rustix::fs::makedev(1, 3);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(rustix::fs::CWD, &null, rustix::fs::FileType::CharacterDevice, mode, device).unwrap();
    for kind in ["tar", "oci", "docker"] {
        house.build(&context, &["--output", &format!("type={kind},dest={}", null.display())]);
        assert_eq!(fs::metadata(&null).unwrap().rdev(), device, "{kind}");
    }
}

#[test]
fn an_output_that_cannot_be_written_leaves_nothing() {
    let (house, context, out) = (shared(), various(), folder());
    let file = out.path().join("no/such/folder/image.tar");
    let failed = house.try_build(&context, &["--output", &format!("type=oci,dest={}", file.display())]);
    assert_eq!(failed.out.code, Some(1));
    failed.out.says("no/such/folder/image.tar");
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
    house.fails(125, &["build", "--output", "type=nonsense,dest=x", context.text()]).says("nonsense");
}
