//! Images in registries and layouts without the store: `copy` and `imagetools`, read back by skopeo.

use crate::harness::{Context, House, LIMIT, Registry, folder, own, own_with_busybox, run, shared};
use serde_json::Value;
use std::process::Command;

/// An image for one architecture or several, pushed.
fn push(house: &House, name: &str, platforms: &str) {
    let context = Context::dockerfile("FROM scratch\nARG TARGETARCH\nCOPY f /f\nLABEL arch=$TARGETARCH\n");
    context.write("f", "f\n");
    house.build(&context, &["--platform", platforms, "--tag", name, "--push"]);
}

#[track_caller]
fn raw(name: &str) -> Value {
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", name]);
    serde_json::from_str(&run(skopeo, LIMIT).ok().stdout).unwrap()
}

fn architectures(index: &Value) -> Vec<&str> {
    let manifests = index["manifests"].as_array().unwrap();
    manifests.iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect()
}

#[test]
fn a_copy_has_the_same_digest_everywhere() {
    let (house, one, two, out) = (own(), Registry::open(), Registry::open(), folder());
    let name = format!("{}/team/image:v1", one.address);
    push(&house, &name, "linux/amd64,linux/arm64");
    let there = format!("{}/other:v2", two.address);
    let first = house.ok(&["copy", "--quiet", &name, &there]).stdout;
    assert_eq!(raw(&format!("docker://{there}")), raw(&format!("docker://{name}")));
    // Through a layout, and back to another repository of the first registry.
    let layout = format!("oci-layout://{}:kept", out.path().join("layout").display());
    assert_eq!(house.ok(&["copy", "--quiet", &there, &layout]).stdout, first);
    let back = format!("docker://{}/back:v3", one.address);
    assert_eq!(house.ok(&["copy", "--quiet", &layout, &back]).stdout, first);
    assert_eq!(raw(&back), raw(&format!("docker://{name}")));
    // What is there is not sent again; from another repository of the same registry it is mounted.
    assert!(house.ok(&["copy", &name, &there]).stdout.contains("Already exists"));
    let near = format!("{}/near", one.address);
    let mounted = house.ok(&["copy", &name, &near]).stdout;
    assert!(mounted.contains("Mounted from another repository") && !mounted.contains("Copied"), "{mounted}");
    // One platform alone.
    let arm = format!("{}/arm", two.address);
    house.ok(&["copy", "--quiet", "--platform", "linux/arm64", &name, &arm]);
    assert_eq!(raw(&format!("docker://{arm}"))["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    house.fails(1, &["copy", &name, &arm, "--platform", "linux/s390x"]).says("has no image for linux/s390x");
    // The store was not needed, and a copied image runs like any other.
    let other = own_with_busybox();
    other.ok(&["pull", "-q", &there]);
    assert_eq!(other.config(&there)["Labels"]["arch"], "amd64");
}

#[test]
fn a_damaged_source_leaves_no_name() {
    let (house, one, two) = (own_with_busybox(), Registry::open(), Registry::open());
    let name = format!("{}/image", one.address);
    let context = Context::dockerfile("FROM busybox\nRUN echo x > /x\n");
    house.build(&context, &["--tag", &name, "--push"]);
    one.damage_largest_blob();
    let there = format!("{}/image", two.address);
    house.fails(1, &["copy", &name, &there]).says("sha256:");
    house.fails(1, &["imagetools", "inspect", &there]).says("not");
}

#[test]
fn imagetools_show_and_make_indexes() {
    let (house, registry) = (shared(), Registry::open());
    let of = |name: &str| format!("{}/{name}", registry.address);
    push(house, &of("amd"), "linux/amd64");
    push(house, &of("arm"), "linux/arm64");
    push(house, &of("riscv"), "linux/riscv64");
    house.ok(&[
        "buildx",
        "imagetools",
        "create",
        "-t",
        &of("all"),
        &of("amd"),
        &of("arm"),
        "--annotation",
        "a=b",
    ]);
    let index = raw(&format!("docker://{}", of("all")));
    assert_eq!((architectures(&index), &index["annotations"]["a"]), (vec!["amd64", "arm64"], &"b".into()));
    house.ok(&["imagetools", "create", "-t", &of("all"), "--append", &of("riscv")]);
    let index = raw(&format!("docker://{}", of("all")));
    assert_eq!(architectures(&index), ["amd64", "arm64", "riscv64"]);
    // Shown as people and as scripts read it.
    let shown = house.ok(&["imagetools", "inspect", &of("all")]).stdout;
    assert!(shown.contains("MediaType: application/vnd.oci.image.index.v1+json"), "{shown}");
    assert!(shown.contains("Platform:    linux/riscv64"), "{shown}");
    let json: Value =
        serde_json::from_str(&house.ok(&["imagetools", "inspect", "--format", "json", &of("all")]).stdout)
            .unwrap();
    assert_eq!(json["image"]["linux/arm64"]["config"]["Labels"]["arch"], "arm64");
    let digest = house.ok(&["imagetools", "inspect", "--format", "{{.Manifest.Digest}}", &of("amd")]).stdout;
    assert!(digest.starts_with("sha256:"), "{digest}");
    let whole = house.ok(&["imagetools", "inspect", "--raw", &of("all")]).stdout;
    assert_eq!(serde_json::from_str::<Value>(&whole).unwrap(), index);
    // A dry run pushes nothing; some platforms alone.
    let dry =
        house.ok(&["imagetools", "create", "--dry-run", "--platform", "linux/arm64", &of("all")]).stdout;
    assert_eq!(architectures(&serde_json::from_str(&dry).unwrap()), ["arm64"]);
    house.fails(125, &["imagetools", "create", &of("all")]).says("--tag");
}
