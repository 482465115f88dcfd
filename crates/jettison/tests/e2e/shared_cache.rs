//! Caches that several machines share: registry, inline and local, in both modes; broken ones cost a warning.

use crate::harness::{Context, House, LIMIT, Registry, folder, own_with_busybox, run};
use serde_json::Value;
use std::fs;
use std::process::Command;

/// Two stages; the first one's own steps leave no layer in the image.
fn stages() -> Context {
    let context = Context::dockerfile(
        "FROM busybox AS builder\nWORKDIR /src\nCOPY f .\nRUN cat f f > doubled && cat /proc/sys/kernel/random/uuid > stamp\n\
         FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /own\nCOPY --from=builder /src/doubled /doubled\n",
    );
    context.write("f", "f\n");
    context
}

/// What the build made at random.
fn own(house: &House, name: &str) -> String {
    house.files(name).text("own").to_owned()
}

#[track_caller]
fn all_cached(house: &House, context: &Context, args: &[&str]) {
    house.build(context, args).all_cached();
}

#[test]
fn another_machine_runs_nothing_with_a_cache_in_a_registry() {
    let (one, two, registry) = (own_with_busybox(), own_with_busybox(), Registry::open());
    let reference = format!("{}/cache:main", registry.address);
    let (to, from) =
        (format!("type=registry,ref={reference},mode=max"), format!("type=registry,ref={reference}"));
    one.build(&stages(), &["--tag", "a", "--cache-to", &to]);
    all_cached(&two, &stages(), &["--tag", "a", "--cache-from", &from]);
    assert_eq!(own(&one, "a"), own(&two, "a"));
    assert_eq!(one.inspect("a")["Id"], two.inspect("a")["Id"], "the same image");
    // It stays, without the cache.
    all_cached(&two, &stages(), &[]);
    // What changed runs; what stands below it does not.
    let (three, changed) = (own_with_busybox(), stages());
    changed.replace("Dockerfile", "cat f f", "cat f");
    let built = three.build(&changed, &["--tag", "a", "--cache-from", &reference]);
    built.cached("COPY f .");
    built.ran("cat f > doubled");
    built.cached("RUN cat /proc");
    assert_eq!(three.files("a").text("doubled"), "f\n");
    // Others read it as what it is.
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["inspect", "--raw", "--tls-verify=false", &format!("docker://{reference}")]);
    let raw: Value = serde_json::from_str(&run(skopeo, LIMIT).ok().stdout).unwrap();
    assert_eq!(raw["config"]["mediaType"], "application/vnd.buildkit.cacheconfig.v0");
}

#[test]
fn a_small_cache_has_what_is_in_the_image() {
    let (one, two, out) = (own_with_busybox(), own_with_busybox(), folder());
    let path = out.path().join("cache").display().to_string();
    one.build(&stages(), &["--tag", "a", "--cache-to", &format!("type=local,dest={path}")]);
    let built = two.build(&stages(), &["--tag", "a", "--cache-from", &format!("type=local,src={path}")]);
    // The builder is not in it, and is not needed: the definition leads to the copied files.
    built.cached("RUN cat /proc");
    built.cached("COPY --from=builder");
    assert_eq!(own(&one, "a"), own(&two, "a"));
    assert_eq!(two.files("a").text("doubled"), "f\nf\n");
    // As an index, as BuildKit wrote it before; under another tag.
    one.build(
        &stages(),
        &[
            "--cache-to",
            &format!("type=local,dest={path},mode=max,tag=old,image-manifest=false,compression=zstd"),
        ],
    );
    let three = own_with_busybox();
    all_cached(&three, &stages(), &["--tag", "a", "--cache-from", &format!("type=local,src={path},tag=old")]);
}

#[test]
fn an_image_is_its_own_cache() {
    let (one, two, registry) = (own_with_busybox(), own_with_busybox(), Registry::open());
    let name = format!("{}/image", registry.address);
    one.build(&stages(), &["--tag", &name, "--push", "--cache-to", "type=inline"]);
    let built = two.build(&stages(), &["--tag", &name, "--cache-from", &name]);
    built.cached("RUN cat /proc");
    built.cached("COPY --from=builder");
    assert_eq!(own(&one, &name), own(&two, &name));
    // An image that stands on it does not inherit its records.
    let context = Context::dockerfile(&format!("FROM {name}\nRUN true\n"));
    let layout = folder();
    let to = layout.path().join("l");
    two.build(&context, &["-o", &format!("type=oci,tar=false,dest={}", to.display())]);
    let blobs = fs::read_dir(to.join("blobs/sha256")).unwrap();
    let with_cache = blobs.filter(|blob| {
        let text = fs::read(blob.as_ref().unwrap().path()).unwrap();
        text.starts_with(b"{") && String::from_utf8_lossy(&text).contains("moby.buildkit.cache.v0")
    });
    assert_eq!(with_cache.count(), 0);
}

#[test]
fn a_cache_that_is_gone_or_damaged_costs_a_warning() {
    let (one, registry, out) = (own_with_busybox(), Registry::open(), folder());
    let reference = format!("{}/cache", registry.address);
    one.build(&stages(), &["--tag", "a", "--cache-to", &format!("type=registry,ref={reference},mode=max")]);
    // Nothing of that name; nobody there; no such folder.
    for from in [
        format!("{}/nothing", registry.address),
        "127.0.0.1:9/cache".to_owned(),
        format!("type=local,src={}", out.path().join("no").display()),
    ] {
        let other = own_with_busybox();
        let built = other.build(&stages(), &["--tag", "a", "--cache-from", &from]);
        built.out.says("warning: the cache");
        built.ran("RUN cat /proc");
    }
    // A layer is damaged: what was promised is made here.
    registry.damage_largest_blob();
    let other = own_with_busybox();
    other.build(&stages(), &["--tag", "a", "--cache-from", &reference]);
    assert_eq!(other.files("a").text("doubled"), "f\nf\n");
    // One that cannot be written fails the build only where that is asked for.
    let refused = "type=registry,ref=127.0.0.1:9/cache";
    one.build(&stages(), &["--cache-to", refused]).out.says("the cache was not written");
    let strict = format!("{refused},ignore-error=false");
    assert_eq!(one.try_build(&stages(), &["--cache-to", &strict]).out.code, Some(1));
}

#[test]
fn what_another_builder_wrote_is_said_so() {
    let (house, out) = (own_with_busybox(), folder());
    let root = out.path().join("foreign");
    fs::create_dir_all(root.join("blobs/sha256")).unwrap();
    let put = |bytes: &[u8]| {
        let digest = sha256(bytes);
        fs::write(root.join("blobs/sha256").join(&digest), bytes).unwrap();
        format!("{{\"digest\":\"sha256:{digest}\",\"size\":{},\"mediaType\":", bytes.len())
    };
    let layer = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let config = put(
        format!(
            "{{\"layers\":[{{\"blob\":\"{layer}\",\"parent\":-1}}],\"records\":[{{\"digest\":\"{layer}\",\"layers\":[{{\"layer\":0,\"createdAt\":\"2026-01-01T00:00:00Z\"}}]}}]}}"
        )
        .as_bytes(),
    );
    let index = put(
        format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{config}\"application/vnd.buildkit.cacheconfig.v0\"}}]}}"
        )
        .as_bytes(),
    );
    fs::write(
        root.join("index.json"),
        format!(
            "{{\"schemaVersion\":2,\"manifests\":[{index}\"application/vnd.oci.image.index.v1+json\",\"annotations\":{{\"org.opencontainers.image.ref.name\":\"latest\"}}}}]}}"
        ),
    )
    .unwrap();
    let built = house.build(&stages(), &["--cache-from", &format!("type=local,src={}", root.display())]);
    built.out.says("was written by another builder");
}

fn sha256(bytes: &[u8]) -> String {
    let out = crate::harness::run_with_input(Command::new("sha256sum"), Some(bytes), LIMIT).ok();
    out.stdout.split(' ').next().unwrap().to_owned()
}
