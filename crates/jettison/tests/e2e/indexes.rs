//! Names of the store that stand for several platforms: built, shown, run, saved, pushed and pulled as one index.

use crate::harness::{Context, House, LIMIT, Registry, folder, own, own_with_busybox, run};
use oci::{Descriptor, Digest, Index, Manifest, media_type};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// An image that says its architecture; its program is this machine's for all of them.
fn context() -> Context {
    Context::dockerfile(
        r#"FROM --platform=$BUILDPLATFORM busybox AS box
           FROM scratch
           ARG TARGETARCH
           COPY --from=box /bin/busybox /bin/busybox
           ENV ARCH=$TARGETARCH
           CMD ["/bin/busybox", "sh", "-c", "echo $ARCH"]
"#,
    )
}

fn build(house: &House, name: &str) {
    house.build(&context(), &["--platform", "linux/amd64,linux/arm64", "--tag", name]);
}

#[track_caller]
fn skopeo(args: &[&str]) -> String {
    let mut skopeo = Command::new("skopeo");
    run(
        {
            skopeo.args(args);
            skopeo
        },
        LIMIT,
    )
    .ok()
    .stdout
}

/// The digest of what a registry or a layout has under a name.
#[track_caller]
fn digest(name: &str) -> Digest {
    Digest::of(skopeo(&["inspect", "--raw", "--tls-verify=false", name]).as_bytes())
}

/// The digest of the index that a name of the store stands for.
#[track_caller]
fn named(house: &House, name: &str) -> String {
    let digests = house.inspect(name)["RepoDigests"].clone();
    digests[0].as_str().expect("it has a digest").rsplit_once('@').unwrap().1.to_owned()
}

fn platforms(house: &House, name: &str) -> String {
    house.ok(&["images", "--format", "{{.Platforms}}", name]).stdout.trim().to_owned()
}

#[test]
fn a_build_for_two_platforms_is_one_image_with_both() {
    let house = own_with_busybox();
    build(&house, "both");
    assert_eq!(house.ok(&["images", "--format", "{{.Repository}}"]).stdout, "both\nbusybox\n");
    assert_eq!(platforms(&house, "both"), "linux/amd64,linux/arm64");
    let about = |args: &[&str]| {
        let mut all = vec!["inspect", "--format", "{{.Architecture}}"];
        all.extend(args);
        house.ok(&all).stdout.trim().to_owned()
    };
    assert_eq!(about(&["both"]), "amd64");
    assert_eq!(about(&["--platform", "linux/arm64", "both"]), "arm64");
    house.fails(1, &["inspect", "--platform", "linux/s390x", "both"]).says("for linux/s390x is in the store");
    let kinds: Vec<Value> = house.inspect("both")["Manifests"].as_array().unwrap().clone();
    assert!(
        kinds.len() == 2 && kinds.iter().all(|kind| kind["Available"] == true && kind["Kind"] == "image")
    );
    assert_eq!(house.ok(&["run", "--rm", "both"]).stdout, "amd64\n");
    assert_eq!(house.ok(&["run", "--rm", "--platform", "linux/arm64", "both"]).stdout, "arm64\n");
    // As a base it is for every platform, too.
    let on_it = Context::dockerfile("FROM both\nLABEL a=b\n");
    house.build(&on_it, &["--platform", "linux/arm64", "--tag", "on-it"]);
    assert!(house.config("on-it")["Env"].as_array().unwrap().contains(&json!("ARCH=arm64")));
    // Built again nothing changes; another name is one for both; a prune takes neither.
    let first = named(&house, "both");
    build(&house, "both");
    assert_eq!(named(&house, "both"), first);
    house.ok(&["tag", "both", "other:1"]);
    house.ok(&["rmi", "both"]);
    house.ok(&["builder", "prune", "--all", "--force"]);
    house.ok(&["image", "prune", "--force"]);
    assert_eq!(platforms(&house, "other:1"), "linux/amd64,linux/arm64");
    assert_eq!(house.ok(&["run", "--rm", "--platform", "linux/arm64", "other:1"]).stdout, "arm64\n");
    let removed = house.ok(&["rmi", "other:1"]).stdout;
    assert_eq!(removed.matches("Deleted: ").count(), 2, "{removed}");
    assert_eq!(house.ok(&["images", "--all", "--format", "{{.Repository}}"]).stdout, "on-it\nbusybox\n");
}

#[test]
fn an_index_is_pushed_and_pulled_whole() {
    let (house, registry, temp) = (own_with_busybox(), Registry::open(), folder());
    let there = format!("{}/both:v1", registry.address);
    build(&house, &there);
    let index = named(&house, &there);
    house.ok(&["push", "--quiet", &there]);
    assert_eq!(digest(&format!("docker://{there}")).to_string(), index);
    // Into a layout, and one platform alone.
    let layout = temp.path().join("layout");
    house.ok(&["push", "--quiet", &there, &format!("oci-layout://{}:v1", layout.display())]);
    assert_eq!(digest(&format!("oci:{}:v1", layout.display())).to_string(), index);
    let arm = format!("{}/arm", registry.address);
    house.ok(&["push", "--quiet", "--platform", "linux/arm64", &there, &arm]);
    let raw: Value = serde_json::from_str(&skopeo(&[
        "inspect",
        "--raw",
        "--tls-verify=false",
        &format!("docker://{arm}"),
    ]))
    .unwrap();
    assert_eq!(raw["mediaType"], media_type::OCI_MANIFEST);
    // A pull brings this machine's platform, or all; what is here whole leaves whole.
    let other = own();
    other.ok(&["pull", "--quiet", &there]);
    assert_eq!(platforms(&other, &there), "linux/amd64");
    let copy = format!("{}/copy", registry.address);
    other.ok(&["push", &there, &copy]).says("one image alone was pushed");
    other.ok(&["pull", "--quiet", "--platform", "linux/arm64", &there]);
    assert_eq!(platforms(&other, &there), "linux/amd64,linux/arm64");
    assert_eq!(other.ok(&["run", "--rm", &there]).stdout, "amd64\n");
    other.ok(&["push", "--quiet", &there, &copy]);
    assert_eq!(digest(&format!("docker://{copy}")).to_string(), index);
    let third = own();
    third.ok(&["pull", "--quiet", "--all-platforms", &there]);
    assert_eq!((platforms(&third, &there), named(&third, &there)), (platforms(&house, &there), index));
    assert_eq!(third.ok(&["run", "--rm", "--quiet", "--platform", "linux/arm64", &there]).stdout, "arm64\n");
}

#[test]
fn an_index_is_saved_and_loaded_whole() {
    let (house, temp) = (own_with_busybox(), folder());
    build(&house, "both");
    house.ok(&["tag", "both", "both:again"]);
    let index = named(&house, "both");
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let file = temp.path().join(format);
        let file = file.to_str().unwrap();
        house.ok(&["save", "--format", format, "--output", file, "both", "busybox"]);
        let other = own();
        let mut loaded: Vec<String> =
            other.ok(&["load", "--input", file]).stdout.lines().map(str::to_owned).collect();
        loaded.sort();
        assert_eq!(
            loaded,
            ["both:again", "both:latest", "busybox:latest"].map(|name| format!("Loaded image: {name}")),
            "{format}"
        );
        assert_eq!(named(&other, "both:again"), index, "{format}");
        assert_eq!(platforms(&other, "both:latest"), "linux/amd64,linux/arm64", "{format}");
        assert_eq!(other.ok(&["run", "--rm", "--platform", "linux/arm64", "both"]).stdout, "arm64\n");
    }
    // Who knows no layouts finds this machine's image.
    let archive = temp.path().join("docker-archive");
    let seen = skopeo(&["inspect", "--config", &format!("docker-archive:{}:both:again", archive.display())]);
    let seen: Value = serde_json::from_str(&seen).unwrap();
    assert_eq!(seen["architecture"], "amd64");
    // One platform alone.
    let arm = temp.path().join("arm.tar");
    house.ok(&["save", "--platform", "linux/arm64", "--output", arm.to_str().unwrap(), "both:again"]);
    let other = own();
    other.ok(&["load", "--input", arm.to_str().unwrap()]);
    assert_eq!(platforms(&other, "both:again"), "linux/arm64");
}

#[test]
fn one_platform_of_an_archive_is_loaded() {
    let (house, temp) = (own_with_busybox(), folder());
    build(&house, "both");
    let index = named(&house, "both");
    for format in ["docker-archive", "oci-archive", "oci-dir"] {
        let file = temp.path().join(format);
        let file = file.to_str().unwrap();
        house.ok(&["save", "--format", format, "--output", file, "both"]);
        let other = own();
        other
            .fails(1, &["load", "--platform", "linux/s390x", "--input", file])
            .says("it has no image for linux/s390x");
        assert!(!other.has_image("both"));
        other.ok(&["load", "--platform", "linux/arm64", "--input", file]);
        assert_eq!(
            (platforms(&other, "both"), named(&other, "both")),
            ("linux/arm64".to_owned(), index.clone())
        );
        // What comes later is added.
        other.ok(&["load", "--platform", "linux/amd64", "--input", file]);
        assert_eq!(platforms(&other, "both"), "linux/amd64,linux/arm64", "{format}");
    }
    // Images that are in no index are taken where they fit.
    let (two, other) = (temp.path().join("two.tar"), own());
    let arm = temp.path().join("arm.tar");
    house.ok(&["save", "--platform", "linux/arm64", "--output", arm.to_str().unwrap(), "both"]);
    house.ok(&["rmi", "both"]);
    house.ok(&["load", "--input", arm.to_str().unwrap()]);
    house.ok(&["save", "--output", two.to_str().unwrap(), "both", "busybox"]);
    let two = two.to_str().unwrap();
    assert_eq!(
        other.ok(&["load", "--platform", "linux/amd64", "--input", two]).stdout,
        "Loaded image: busybox:latest\n"
    );
    other
        .fails(1, &["load", "--platform", "linux/s390x", "--input", two])
        .says("only for: linux/arm64, linux/amd64");
}

#[test]
fn one_platform_of_an_image_is_removed() {
    let house = own_with_busybox();
    build(&house, "both");
    house.ok(&["tag", "both", "both:again"]);
    let arm = house.ok(&["inspect", "--platform", "linux/arm64", "--format", "{{.Id}}", "both"]).stdout;
    house.ok(&["create", "--platform", "linux/arm64", "--name", "user", "both"]);
    let remove = ["rmi", "--platform", "linux/arm64", "both"];
    house.fails(1, &remove).says("container user uses it");
    house.ok(&["rm", "user"]);
    assert_eq!(house.ok(&remove).stdout, format!("Deleted: {arm}"));
    assert_eq!(platforms(&house, "both:again"), "linux/amd64");
    house.fails(1, &remove).says("linux/arm64");
    assert_eq!(house.ok(&["run", "--rm", "both"]).stdout, "amd64\n");
    // The last ones take the name along; what the name never had is told.
    let failed = house.fails(1, &["image", "rm", "--platform", "linux/s390x,linux/amd64", "both"]);
    failed.says("linux/s390x");
    assert_eq!(failed.stdout, "Untagged: both:latest\n");
    assert!(!house.has_image("both") && house.has_image("both:again"));
    house.fails(1, &["rmi", "--platform", "linux/arm64", "busybox"]).says("linux/arm64");
    house.ok(&["rmi", "--platform", "linux/amd64", "busybox", "both:again"]);
    assert_eq!(house.ok(&["images", "--all", "--quiet"]).stdout, "");
}

#[test]
fn a_tree_shows_the_platforms_of_each_image() {
    let (house, registry) = (own_with_busybox(), Registry::open());
    let there = format!("{}/both:v1", registry.address);
    build(&house, &there);
    house.ok(&["push", "--quiet", &there]);
    house.ok(&["tag", &there, "again"]);
    house.ok(&["create", "--platform", "linux/arm64", &there]);
    let tree = |house: &House, args: &[&str]| {
        let text = house.ok(&[&["images", "--tree"], args].concat()).stdout;
        text.lines()
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect::<Vec<Vec<String>>>()
    };
    let lines = tree(&house, &[]);
    assert_eq!(lines[0].join(" "), "IMAGE ID DISK USAGE CONTENT SIZE USED");
    let names: Vec<&str> = lines.iter().map(|line| line.first().map_or("", String::as_str)).collect();
    assert_eq!(names, ["IMAGE", &there, "again:latest", "├─", "└─", "", "busybox:latest", "└─"]);
    assert_eq!(lines[1].len(), 1, "the last of the names has the line");
    let (whole, amd, arm) = (&lines[2], &lines[3], &lines[4]);
    assert_eq!((amd[1].as_str(), arm[1].as_str()), ("linux/amd64", "linux/arm64"));
    assert_eq!(
        (whole.last().unwrap(), amd.len(), arm.last().unwrap()),
        (&"✔".to_owned(), 5, &"✔".to_owned())
    );
    let short = |platform: &str| {
        house.ok(&["inspect", "--platform", platform, "--format", "{{.Id}}", "again"]).stdout[7..19]
            .to_owned()
    };
    assert_eq!((amd[2].clone(), arm[2].clone()), (short("linux/amd64"), short("linux/arm64")));
    assert!(amd[3..5].iter().all(|size| size.ends_with("MB") || size.ends_with("kB")), "{amd:?}");
    // What was not pulled is there without an id.
    let other = own();
    other.ok(&["pull", "--quiet", "--platform", "linux/arm64", &there]);
    let lines = tree(&other, &[]);
    assert_eq!(lines[2].join(" "), "├─ linux/amd64 <none> 0B 0B");
    assert_eq!(tree(&house, &["busybox"]).len(), 3);
    house.fails(125, &["images", "--tree", "--quiet"]).says("cannot be used with");
}

/// Adds an attestation of the first image to the index of a layout, as BuildKit does. Gives the digest of the index.
fn attest(layout: &Path) -> Digest {
    let put = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        Descriptor::new(kind, digest, bytes.len() as u64)
    };
    let top = layout.join("index.json");
    let mut names = Index::parse(&fs::read(&top).unwrap()).unwrap();
    let root = layout.join("blobs/sha256").join(names.manifests[0].digest.hex());
    let mut index = Index::parse(&fs::read(root).unwrap()).unwrap();
    let config = br#"{"architecture":"unknown","os":"unknown","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let statement = put(br#"{"_type":"https://in-toto.io/Statement/v0.1"}"#, "application/vnd.in-toto+json");
    let manifest = Manifest::oci(put(config, media_type::OCI_CONFIG), vec![statement]);
    let mut entry = put(&manifest.to_bytes(), media_type::OCI_MANIFEST);
    entry.platform = Some("unknown/unknown".parse().unwrap());
    let about = index.manifests[0].digest.to_string();
    entry.annotations.insert("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned());
    entry.annotations.insert("vnd.docker.reference.digest".to_owned(), about);
    index.manifests.push(entry);
    let annotations = names.manifests[0].annotations.clone();
    names.manifests[0] = Descriptor { annotations, ..put(&index.to_bytes(), media_type::OCI_INDEX) };
    fs::write(top, names.to_bytes()).unwrap();
    names.manifests[0].digest
}

#[test]
fn attestations_stay_with_their_images() {
    let (house, registry, temp) = (own_with_busybox(), Registry::open(), folder());
    let layout = temp.path().join("layout");
    let output = format!("type=oci,name=attested:v1,tar=false,dest={}", layout.display());
    house.build(&context(), &["--platform", "linux/amd64,linux/arm64", "--output", &output]);
    let root = attest(&layout);
    // From a folder, and through a registry.
    let loaded = own();
    loaded.ok(&["load", "--input", layout.to_str().unwrap()]);
    let there = format!("{}/attested:v1", registry.address);
    loaded.ok(&["push", "--quiet", "attested:v1", &there]);
    assert_eq!(digest(&format!("docker://{there}")), root);
    let pulled = own();
    pulled.ok(&["pull", "--quiet", "--platform", "all", &there]);
    pulled.ok(&["builder", "prune", "--all", "--force"]);
    let kinds = pulled.inspect(&there)["Manifests"].clone();
    let attestation = &kinds[2];
    assert_eq!((&attestation["Kind"], &attestation["Available"]), (&json!("attestation"), &json!(true)));
    assert_eq!(attestation["AttestationData"]["For"], kinds[0]["ID"]);
    let archive = temp.path().join("saved.tar");
    pulled.ok(&["save", "--output", archive.to_str().unwrap(), &there]);
    let last = own();
    last.ok(&["load", "--input", archive.to_str().unwrap()]);
    assert_eq!(named(&last, &there), root.to_string());
    assert_eq!(last.ok(&["run", "--rm", &there]).stdout, "amd64\n");
}
