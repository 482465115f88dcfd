//! What provenance names bases by: what their names stood for, wherever the bases came from. The lists are those of a
//! current BuildKit, which was given the same names.

use crate::attestations::layout;
use crate::harness::{Context, House, Registry, folder, own, own_with_busybox};
use oci::{Digest, Index};
use serde_json::{Value, json};

/// An image with one file, or an index of such images.
fn small(name: &str, platforms: &str) -> (Context, [String; 4]) {
    let context =
        Context::dockerfile("FROM scratch\nARG TARGETARCH=none\nCOPY f /$TARGETARCH/f\nCOPY f /f\n");
    context.write("f", &format!("{name}\n"));
    (context, ["--platform", platforms, "--tag", name].map(str::to_owned))
}

#[track_caller]
fn build(house: &House, name: &str, platforms: &str, more: &[&str]) {
    let (context, args) = small(name, platforms);
    let args: Vec<&str> = args.iter().map(String::as_str).chain(more.iter().copied()).collect();
    house.build(&context, &args);
}

/// The dependencies that provenance of both versions names, and the identifiers of the sources among its steps.
#[track_caller]
fn told(house: &House, context: &Context, args: &[&str]) -> (Value, Vec<String>) {
    let of = |version: &str| {
        let version = format!("mode=max,version={version}");
        layout(house, context, &[&["--provenance", &version][..], args].concat()).statements.remove(0)
    };
    let (v1, v02) = (of("v1"), of("v0.2"));
    let dependencies = v1["predicate"]["buildDefinition"]["resolvedDependencies"].clone();
    assert_eq!(v02["predicate"]["materials"], dependencies);
    let steps = &v02["predicate"]["buildConfig"]["llbDefinition"];
    let identifiers = steps.as_array().unwrap().iter();
    let identifiers = identifiers.filter_map(|step| step["op"]["Op"]["source"]["identifier"].as_str());
    (dependencies, identifiers.filter(|name| !name.starts_with("local:")).map(str::to_owned).collect())
}

/// What stands in the list for each image.
fn dependencies(all: &[(String, Digest)]) -> Value {
    let one = |(uri, digest): &(String, Digest)| json!({"uri": uri, "digest": {"sha256": digest.hex()}});
    all.iter().map(one).collect()
}

#[test]
fn a_base_is_known_by_what_its_name_stood_for() {
    let (house, registry, out) = (own(), Registry::open(), folder());
    let name = |repository: &str| format!("{}/{repository}", registry.address);
    let (many, one) = (name("many"), name("one"));
    build(&house, &format!("{many}:1"), "linux/amd64,linux/arm64", &["--push"]);
    build(&house, &format!("{one}:1"), "linux/amd64", &["--push"]);
    let raw = |name: &str| house.ok(&["imagetools", "inspect", "--raw", name]).stdout;
    let index = raw(&format!("{many}:1"));
    let manifest = Index::parse(index.as_bytes()).unwrap().manifests[0].digest;
    let index = Digest::of(index.as_bytes());
    let single = Digest::of(raw(&format!("{one}:1")).as_bytes());
    let there = out.path().join("layout");
    house.ok(&["copy", "--quiet", &format!("{many}:1"), &format!("oci-layout://{}:v1", there.display())]);

    let context = Context::dockerfile(&format!(
        "FROM {one}:1 AS a\nFROM {many}:1 AS b\nFROM {many}:1@{index} AS c\nFROM {many}@{index} AS d\n\
         FROM {many}@{manifest} AS e\nFROM base\nCOPY --from=a /f /a\nCOPY --from=b /f /b\n\
         COPY --from=c /f /c\nCOPY --from=d /f /d\nCOPY --from=e /f /e\n"
    ));
    let base = format!("base=oci-layout://{}:v1", there.display());
    let escaped = |name: &str| format!("pkg:docker/{}", name.replace(':', "%3A"));
    let amd64 = "platform=linux%2Famd64";
    let pinned = |digest: Digest| (format!("{}?digest={digest}&{amd64}", escaped(&many)), digest);
    let mut pins = [pinned(index), pinned(manifest)];
    pins.sort();
    let [first, second] = pins;
    // In the order of the names; `many:1@DIGEST` is told by its tag.
    let expected = dependencies(&[
        (format!("{}@1?{amd64}", escaped(&many)), index),
        first,
        second,
        (format!("{}@1?{amd64}", escaped(&one)), single),
        (format!("pkg:oci/base?digest={index}&{amd64}"), index),
    ]);
    let resolving = own();
    let pulled = own();
    pulled.ok(&["pull", "--quiet", "--all-platforms", &format!("{many}:1")]);
    pulled.ok(&["pull", "--quiet", &format!("{one}:1")]);
    let ways = [
        ("asked for in the registry", &resolving),
        ("asked for by an earlier build", &resolving),
        ("pulled", &pulled),
        ("pushed", &house),
    ];
    for (way, house) in ways {
        let (dependencies, identifiers) = told(house, &context, &["--build-context", &base]);
        assert_eq!(dependencies, expected, "{way}");
        for identifier in [
            format!("docker-image://{one}:1@{single}"),
            format!("docker-image://{many}:1@{index}"),
            format!("docker-image://{many}@{manifest}"),
            format!("oci-layout://docker.io/library/base@{index}"),
        ] {
            assert!(identifiers.contains(&identifier), "{way}: {identifier} is not among {identifiers:?}");
        }
    }
    // An image of an index that is for another machine has no name of its own.
    drop(registry);
    let foreign = Context::dockerfile(&format!("FROM {many}:1\nLABEL a=b\n"));
    let (dependencies, _) = told(&pulled, &foreign, &["--platform", "linux/arm64"]);
    let uri = format!("{}@1?platform=linux%2Farm64", escaped(&many));
    assert_eq!(dependencies, self::dependencies(&[(uri, index)]));
}

#[test]
fn an_image_that_was_built_here_is_known_by_its_index_or_its_id() {
    let house = own_with_busybox();
    build(&house, "plain", "linux/amd64", &[]);
    build(&house, "both", "linux/amd64,linux/arm64", &[]);
    build(&house, "stated", "linux/amd64", &["--provenance", "mode=min"]);
    for name in ["plain", "both", "stated"] {
        let about = house.inspect(name);
        let digest = match &about["RepoDigests"][0] {
            Value::String(known) => known.rsplit_once('@').unwrap().1,
            _ => about["Id"].as_str().unwrap(),
        };
        assert_eq!(about["Id"] == digest, name == "plain", "{about}");
        let context = Context::dockerfile(&format!("FROM {name}\nLABEL a=b\n"));
        let (dependencies, identifiers) = told(&house, &context, &[]);
        let uri = format!("pkg:docker/{name}@latest?platform=linux%2Famd64");
        assert_eq!(dependencies, self::dependencies(&[(uri, digest.parse().unwrap())]), "{name}");
        assert_eq!(identifiers, [format!("docker-image://docker.io/library/{name}:latest@{digest}")]);
    }
}
