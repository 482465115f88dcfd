//! Outputs with their attributes, several platforms, and what scripts learn of them; skopeo reads what was made.

use crate::harness::{Context, House, LIMIT, Registry, folder, own, own_with_busybox, run, shared, unique};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

const EPOCH: &str = "1000000000";

#[track_caller]
fn skopeo(args: &[&str]) -> Value {
    let mut command = Command::new("skopeo");
    command.args(args);
    serde_json::from_str(&run(command, LIMIT).ok().stdout).unwrap()
}

/// An image without a RUN, so that every platform can be built here.
fn portable() -> Context {
    let context = Context::dockerfile(
        "FROM --platform=$BUILDPLATFORM busybox AS tools\nARG TARGETARCH\nRUN echo $TARGETARCH > /arch\n\
         FROM scratch\nCOPY --from=tools /arch /arch\nCOPY f /f\n",
    );
    context.write("f", "f\n");
    context
}

fn parse(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn several_platforms_are_an_index() {
    let (house, context, registry, out) = (shared(), portable(), Registry::open(), folder());
    let name = format!("{}/many:v1", registry.address);
    let meta = out.path().join("meta.json");
    let built = house.build(
        &context,
        &[
            "--platform=linux/amd64,linux/arm64",
            "--tag",
            &name,
            "--push",
            "--annotation",
            "index:who=tests",
            "--metadata-file",
            meta.to_str().unwrap(),
        ],
    );
    built.step("[linux/arm64 stage-1 1/2] COPY --from=tools /arch /arch");
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{name}")]);
    assert_eq!(raw["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(raw["annotations"]["who"], "tests");
    let platforms: Vec<_> = raw["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["platform"]["architecture"].clone())
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    let facts = parse(&meta);
    assert_eq!(facts["containerimage.descriptor"]["digest"], facts["containerimage.digest"]);
    assert_eq!(facts["image.name"], name.as_str());
    // Each platform gets its own.
    for arch in ["amd64", "arm64"] {
        let other = own();
        other.ok(&["pull", "-q", "--platform", &format!("linux/{arch}"), &name]);
        let from = Context::dockerfile(&format!("FROM {name}\n"));
        let files = other.files_of(&from, &["--platform", &format!("linux/{arch}")]);
        assert_eq!(files.text("arch"), format!("{arch}\n"));
        assert_eq!(other.inspect(&name)["Architecture"], arch);
    }
    // The same as folders and as a layout.
    let to = out.path().join("split");
    house.build(&context, &["--platform=linux/amd64,linux/arm64", "-o", to.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(to.join("linux_arm64/arch")).unwrap(), "arm64\n");
    let layout = out.path().join("layout");
    house.build(
        &context,
        &[
            "--platform=linux/amd64,linux/arm64",
            "-o",
            &format!("type=oci,tar=false,dest={},annotation-index.who=tests", layout.display()),
        ],
    );
    let index = parse(&layout.join("index.json"));
    assert_eq!(index["manifests"][0]["digest"], facts["containerimage.digest"], "an output changes no bytes");
    // A docker archive has no room for two.
    let failed = house.try_build(
        &context,
        &["--platform=linux/amd64,linux/arm64", "-o", &format!("type=docker,dest={}", to.display())],
    );
    failed.out.fails(125).says("one platform alone");
}

#[test]
fn attributes_reach_the_documents() {
    let (house, context, out) = (shared(), portable(), folder());
    let layout = out.path().join("layout");
    house.build(
        &context,
        &[
            "-o",
            &format!(
                "type=oci,tar=false,dest={},name=example.com/named:v9,compression=zstd,compression-level=3,force-compression=true,annotation.a=1,annotation-manifest-descriptor.d=2",
                layout.display()
            ),
        ],
    );
    let index = parse(&layout.join("index.json"));
    let entry = &index["manifests"][0];
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "v9");
    assert_eq!(entry["annotations"]["d"], "2");
    let hex = entry["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
    let manifest = parse(&layout.join("blobs/sha256").join(hex));
    assert_eq!(manifest["annotations"]["a"], "1");
    for layer in manifest["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar+zstd");
    }
    // Docker's words, and plain layers.
    let archive = out.path().join("plain.tar");
    house.build(
        &context,
        &[
            "-o",
            &format!(
                "type=oci,dest={},oci-mediatypes=false,compression=uncompressed,force-compression=true",
                archive.display()
            ),
        ],
    );
    let raw = skopeo(&["inspect", "--raw", &format!("oci-archive:{}", archive.display())]);
    assert_eq!(raw["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    assert_eq!(raw["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar");
}

#[test]
fn several_outputs_of_one_build() {
    let (house, context, out, name) = (shared(), portable(), folder(), unique("localhost/several"));
    let (root, archive) = (out.path().join("root"), out.path().join("image.tar"));
    house.build(
        &context,
        &[
            "--tag",
            &name,
            "-o",
            root.to_str().unwrap(),
            "-o",
            &format!("type=docker,dest={}", archive.display()),
            "--load",
        ],
    );
    assert!(root.join("arch").exists() && archive.exists() && house.has_image(&name));
    let failed = house.try_build(&context, &["-o", "type=tar", "-o", "type=oci"]);
    failed.out.fails(125).says("only one output can be standard output");
    // What is not there any more goes, where that is asked for.
    fs::write(root.join("old"), "x").unwrap();
    house.build(&context, &["-o", &format!("type=local,dest={},mode=delete", root.display())]);
    assert!(!root.join("old").exists() && root.join("arch").exists());
}

#[test]
fn one_platform_can_be_an_index_too() {
    let (house, context, out) = (shared(), portable(), folder());
    let multi = "BUILDKIT_MULTI_PLATFORM=1";
    let layout = out.path().join("layout");
    house.build(
        &context,
        &["--build-arg", multi, "-o", &format!("type=oci,tar=false,dest={}", layout.display())],
    );
    let entry = &parse(&layout.join("index.json"))["manifests"][0];
    assert_eq!(entry["mediaType"], "application/vnd.oci.image.index.v1+json");
    let root = out.path().join("root");
    house.build(&context, &["--build-arg", multi, "-o", root.to_str().unwrap()]);
    let platform = fs::read_dir(&root).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap();
    let arch = fs::read_to_string(root.join(&platform).join("arch")).unwrap();
    assert_eq!(platform, format!("linux_{}", arch.trim()));
}

#[test]
fn pushed_by_digest_and_not_kept_here() {
    let (house, context, registry, out) = (own_with_busybox(), portable(), Registry::open(), folder());
    let name = format!("{}/digest", registry.address);
    let meta = out.path().join("meta.json");
    house.build(
        &context,
        &[
            "-o",
            &format!("type=image,name={name},push-by-digest=true,push=true,store=false"),
            "--metadata-file",
            meta.to_str().unwrap(),
        ],
    );
    let digest = parse(&meta)["containerimage.digest"].as_str().unwrap().to_owned();
    assert!(!house.has_image(&name));
    let other = own();
    other.ok(&["pull", "-q", &format!("{name}@{digest}")]);
    other.fails(1, &["pull", "-q", &name]);
}

#[test]
fn by_digest_says_how_an_image_is_pushed_and_not_that_it_is() {
    let (house, context, registry) = (own_with_busybox(), portable(), Registry::open());
    let out = folder();
    let meta = out.path().join("meta.json");
    // No registry is there to be asked.
    let nowhere = "127.0.0.1:1/nowhere";
    house.build(&context, &["-o", &format!("type=image,name={nowhere},push-by-digest=true")]);
    assert!(house.has_image(nowhere));
    let tagged = format!("{}/tagged:v1", registry.address);
    for flags in [["--tag", tagged.as_str()].as_slice(), &[]] {
        let mut args = vec!["--push", "-o", "type=image,push-by-digest=true"];
        args.extend(flags);
        let failed = house.try_build(&context, &args);
        failed.out.fails(125).says(if flags.is_empty() { "needs a name" } else { "pushes without one" });
    }
    let name = format!("{}/digest", registry.address);
    let flags = ["--tag", &name, "--push", "--metadata-file", meta.to_str().unwrap()];
    house.build(&context, &[&flags[..], &["-o", "type=image,push-by-digest=true"]].concat());
    let digest = parse(&meta)["containerimage.digest"].as_str().unwrap().to_owned();
    let pinned = format!("{name}@{digest}");
    assert_eq!(
        skopeo(&["inspect", "--raw", "--tls-verify=false", &format!("docker://{pinned}")])["schemaVersion"],
        2
    );
    own().fails(1, &["pull", "-q", &name]).says("does not have");
    assert_eq!(house.inspect(&pinned)["RepoDigests"][0], pinned.as_str());
}

#[test]
fn a_canonical_name_is_one_with_the_digest() {
    let (house, context, out) = (own_with_busybox(), portable(), folder());
    let layout = out.path().join("layout");
    for (name, platforms) in
        [("localhost/one", "linux/amd64"), ("localhost/two:v1", "linux/amd64,linux/arm64")]
    {
        let flags = ["--platform", platforms, "-o"];
        house.build(
            &context,
            &[&flags[..], &[&format!("type=image,name={name},name-canonical=true")]].concat(),
        );
        house.build(
            &context,
            &[&flags[..], &[&format!("type=oci,tar=false,dest={}", layout.display())]].concat(),
        );
        let digest = parse(&layout.join("index.json"))["manifests"][0]["digest"].as_str().unwrap().to_owned();
        let pinned = format!("{}@{digest}", name.trim_end_matches(":v1"));
        let id = house.ok(&["images", "-q", "--no-trunc", name]).stdout;
        assert_eq!(
            house.ok(&["inspect", "--format", "{{.Id}}", &pinned]).stdout,
            id.lines().next().unwrap().to_owned() + "\n"
        );
        // It is a name of its own.
        house.ok(&["rmi", name]);
        assert!(house.has_image(&pinned), "{pinned}");
        fs::remove_dir_all(&layout).unwrap();
    }
}

/// Builds with SOURCE_DATE_EPOCH in a store and a context of its own.
fn reproduced(house: &House, jobs: &str) -> (String, Vec<u8>) {
    let (context, out) = (portable(), folder());
    let (archive, id) = (out.path().join("image.tar"), out.path().join("id"));
    let mut command = house.command(&[
        "build",
        "-q",
        "--jobs",
        jobs,
        "--iidfile",
        id.to_str().unwrap(),
        "-o",
        &format!("type=oci,dest={},rewrite-timestamp=true", archive.display()),
        context.text(),
    ]);
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    run(command, LIMIT).ok();
    (fs::read_to_string(id).unwrap(), fs::read(archive).unwrap())
}

#[test]
fn the_same_input_gives_the_same_bytes_in_another_store() {
    let (one, two) = (own_with_busybox(), own_with_busybox());
    let first = reproduced(&one, "1");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = reproduced(&two, "8");
    assert_eq!(first.0, second.0);
    assert!(first.1 == second.1, "the archives differ");
    // A folder has that time too.
    let (context, out) = (portable(), folder());
    let root = out.path().join("root");
    let mut command = one.command(&["build", "-q", "-o", root.to_str().unwrap(), context.text()]);
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    run(command, LIMIT).ok();
    assert_eq!(fs::metadata(root.join("f")).unwrap().mtime().to_string(), EPOCH);
}

#[test]
fn a_build_that_is_not_reproducible_is_told_so() {
    let (house, context) = (
        shared(),
        Context::dockerfile(
            "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /when && echo same > /same\n",
        ),
    );
    let failed = house.try_build(&context, &["--verify-reproducible", "--no-cache"]);
    let out = failed.out.fails(1);
    out.says("/when has another content").says("the build is not reproducible").says("SOURCE_DATE_EPOCH");
    // Of several platforms each is compared, and told by its name.
    let several = Context::dockerfile(
        "FROM --platform=$BUILDPLATFORM busybox AS tools\nARG TARGETARCH\n\
         RUN if [ $TARGETARCH = arm64 ]; then cat /proc/sys/kernel/random/uuid; fi > /when\n\
         FROM scratch\nCOPY --from=tools /when /when\n",
    );
    let mut command = house.command(&["build", "--verify-reproducible", "--no-cache", "--progress=plain"]);
    command.args(["--platform", "linux/amd64,linux/arm64", several.text()]).env("SOURCE_DATE_EPOCH", EPOCH);
    let out = run(command, LIMIT).fails(1);
    out.says("linux/arm64: layer 0: /when has another content").says("1 file differs");
    let context = Context::dockerfile("FROM busybox\nRUN echo same > /same && mkdir /d\n");
    let mut command =
        house.command(&["build", "--verify-reproducible", "--no-cache", "--progress=plain", context.text()]);
    command.env("SOURCE_DATE_EPOCH", EPOCH);
    run(command, LIMIT).ok().says("nothing differs");
    // Without it the times of the files tell the two apart.
    house.try_build(&context, &["--verify-reproducible"]).out.fails(1).says("/same has the time");
}
