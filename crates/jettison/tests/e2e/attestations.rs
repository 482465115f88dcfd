//! Attestations: the index that carries them, who reads it, and what asks for them.

use crate::harness::{Context, House, LIMIT, Registry, folder, own, own_with_busybox, run};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// An OCI layout with one index, and the statements in it.
pub(crate) struct Layout {
    pub(crate) index: Value,
    pub(crate) image: Value,
    /// The attestation manifest.
    pub(crate) attested: Value,
    pub(crate) statements: Vec<Value>,
}

fn document(folder: &Path, digest: &Value) -> Value {
    let hex = digest.as_str().unwrap().strip_prefix("sha256:").unwrap();
    serde_json::from_slice(&fs::read(folder.join("blobs/sha256").join(hex)).unwrap()).unwrap()
}

impl Layout {
    fn read(folder: &Path) -> Self {
        let root: Value = serde_json::from_slice(&fs::read(folder.join("index.json")).unwrap()).unwrap();
        let index = document(folder, &root["manifests"][0]["digest"]);
        let [image, attested] = [0, 1].map(|at| document(folder, &index["manifests"][at]["digest"]));
        let layers = attested["layers"].as_array().unwrap();
        let statements = layers.iter().map(|layer| document(folder, &layer["digest"])).collect();
        Self { index, image, attested, statements }
    }
}

/// Builds into a layout.
#[track_caller]
pub(crate) fn layout(house: &House, context: &Context, args: &[&str]) -> Layout {
    layout_of(house, context.text(), args)
}

/// The same of a context that may be elsewhere.
#[track_caller]
pub(crate) fn layout_of(house: &House, context: &str, args: &[&str]) -> Layout {
    let out = folder();
    let mut all = vec!["-o".to_owned(), format!("type=oci,tar=false,dest={}", out.path().display())];
    all.extend(args.iter().map(|arg| (*arg).to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let built = house.build_from(context, &all, None);
    assert_eq!(built.out.code, Some(0), "{}", built.out.stderr);
    Layout::read(out.path())
}

/// A Dockerfile with something of everything that provenance tells.
pub(crate) fn image() -> Context {
    let context = Context::dockerfile(
        "FROM busybox AS builder\nARG WHO\nARG NPM_TOKEN\n\
         RUN --mount=type=secret,id=tok --mount=type=ssh echo $WHO > /out\n\
         FROM scratch\nCOPY --from=builder /out /out\nCOPY --link f /f\n",
    );
    context.write("f", "f\n");
    // Else it is part of the checkout that the tests run in.
    git(&context, &["init", "--quiet"]);
    context
}

pub(crate) fn git(context: &Context, args: &[&str]) {
    let mut command = Command::new("git");
    command.args(["-C", context.text(), "-c", "user.name=a", "-c", "user.email=a@example.com"]).args(args);
    run(command, LIMIT).ok();
}

/// With what varies replaced by what it is.
pub(crate) fn settled(text: &str, layout: &Layout) -> Value {
    let mut text = text.to_owned();
    let mut put = |value: &Value, name: &str| {
        let value = value.as_str().unwrap();
        text = text.replace(value.strip_prefix("sha256:").unwrap_or(value), name);
    };
    put(&layout.index["manifests"][0]["digest"], "IMAGE");
    put(&layout.index["manifests"][1]["digest"], "ATTESTED");
    for (layer, name) in layout.attested["layers"].as_array().unwrap().iter().zip(["FIRST", "SECOND"]) {
        put(&layer["digest"], name);
    }
    let statement = &layout.statements[0]["predicate"];
    let (v1, v02) = (&statement["runDetails"]["metadata"], &statement["metadata"]);
    for (v1_name, v02_name, name) in [
        ("invocationId", "buildInvocationID", "INVOCATION"),
        ("startedOn", "buildStartedOn", "STARTED"),
        ("finishedOn", "buildFinishedOn", "FINISHED"),
    ] {
        put(v1.get(v1_name).unwrap_or(&v02[v02_name]), name);
    }
    serde_json::from_str(&text).unwrap()
}

#[test]
fn an_index_carries_the_statements_as_buildkit_lays_them_out() {
    let (house, context) = (own_with_busybox(), image());
    let made = layout(&house, &context, &["--provenance", "mode=min", "-t", "ex.am/ple:1"]);
    let mut index = settled(&made.index.to_string(), &made);
    for entry in index["manifests"].as_array_mut().unwrap() {
        entry["size"] = Value::Null;
    }
    let manifest = "application/vnd.oci.image.manifest.v1+json";
    assert_eq!(
        index,
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "mediaType": manifest, "digest": "sha256:IMAGE", "size": null,
                    "platform": {"architecture": "amd64", "os": "linux"},
                },
                {
                    "mediaType": manifest, "digest": "sha256:ATTESTED", "size": null,
                    "annotations": {
                        "vnd.docker.reference.digest": "sha256:IMAGE",
                        "vnd.docker.reference.type": "attestation-manifest",
                    },
                    "platform": {"architecture": "unknown", "os": "unknown"},
                },
            ],
        })
    );
    let mut attested = settled(&made.attested.to_string(), &made);
    attested["layers"][0]["size"] = Value::Null;
    attested["subject"]["size"] = Value::Null;
    let empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(
        attested,
        json!({
            "schemaVersion": 2,
            "mediaType": manifest,
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2, "data": "e30=",
            },
            "layers": [{
                "mediaType": "application/vnd.in-toto+json", "digest": "sha256:FIRST", "size": null,
                "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"},
            }],
            "subject": {"mediaType": manifest, "digest": "sha256:IMAGE", "size": null},
        })
    );

    // For old registries: an image of no platform.
    let out = folder();
    let to = format!("type=oci,tar=false,oci-artifact=false,dest={}", out.path().display());
    house.build(&context, &["-o", &to, "--provenance", "mode=min"]);
    let old = Layout::read(out.path());
    assert_eq!(old.image, made.image, "the image is the same whatever is stated about it");
    assert_eq!(old.attested.get("artifactType").or(old.attested.get("subject")), None);
    assert_eq!(
        document(out.path(), &old.attested["config"]["digest"]),
        json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [old.attested["layers"][0]["digest"]]},
        })
    );
}

#[test]
fn a_pushed_index_is_read_by_everybody() {
    let (house, context, registry) = (own_with_busybox(), image(), Registry::open());
    let name = format!("{}/team/image:v1", registry.address);
    house.build(&context, &["--push", "-t", &name, "--attest", "type=provenance,mode=min"]);
    let show = |format: &str| house.ok(&["imagetools", "inspect", &name, "--format", format]).stdout;
    assert_eq!(
        show("{{.Provenance.SLSA.buildDefinition.externalParameters.configSource.path}}"),
        "Dockerfile\n"
    );
    let provenance: Value = serde_json::from_str(&show("{{json .Provenance}}")).unwrap();
    assert_eq!(provenance["SLSA"]["runDetails"]["builder"]["id"], "");
    assert_eq!(show("{{json .SBOM}}"), "{}\n");
    assert_eq!(show("{{.Image.OS}}"), "linux\n");

    // A copy and an index made of it keep what is stated.
    let copied = format!("{}/copied", registry.address);
    house.ok(&["copy", "--quiet", &name, &copied]);
    let made = format!("{}/made", registry.address);
    house.ok(&["imagetools", "create", "-t", &made, &copied, "--annotation", "a=b"]);
    for other in [&copied, &made] {
        let shown = house.ok(&["imagetools", "inspect", other, "--format", "{{json .Provenance}}"]).stdout;
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), provenance, "{other}");
    }

    // The image is pulled by its platform; skopeo takes the whole index.
    house.ok(&["pull", "--quiet", &name]);
    let out = folder();
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", "--all", "--src-tls-verify=false", &format!("docker://{name}")]);
    skopeo.arg(format!("oci:{}:all", out.path().display()));
    run(skopeo, LIMIT).ok();
    assert_eq!(Layout::read(out.path()).statements[0]["predicate"], provenance["SLSA"]);
}

#[test]
fn nothing_is_attested_that_was_not_asked_for() {
    let (house, context, out) = (own_with_busybox(), image(), folder());
    let to = out.path().join("layout");
    let kind = |args: &[&str], default: Option<&str>| {
        let _ = fs::remove_dir_all(&to);
        let dest = format!("type=oci,tar=false,dest={}", to.display());
        let all = [&["build", "-o", &dest][..], args, &[context.text()]].concat();
        let mut command = house.command(&all);
        command.env_remove("BUILDX_NO_DEFAULT_ATTESTATIONS");
        command.envs(default.map(|value| ("BUILDX_NO_DEFAULT_ATTESTATIONS", value)));
        run(command, LIMIT).ok();
        let root: Value = serde_json::from_slice(&fs::read(to.join("index.json")).unwrap()).unwrap();
        root["manifests"][0]["mediaType"].as_str().unwrap().contains("index")
    };
    for (args, default, attested) in [
        (&[][..], None, false),
        (&[], Some("1"), false),
        (&[], Some("0"), false),
        (&["--provenance=false"], Some("0"), false),
        (&["--provenance=true"], Some("1"), true),
        (&["--attest", "type=provenance,disabled=true", "--provenance=true"], None, false),
        (&["--build-arg", "BUILDKIT_ATTEST_PROVENANCE=mode=min"], None, true),
    ] {
        assert_eq!(kind(args, default), attested, "{args:?} {default:?}");
    }
    for (flag, value, told) in [
        ("--attest", "mode=max", "has no type"),
        ("--attest", "type=signature", "no attestation of the type `signature`"),
        ("--provenance", "mode=most", "min or max"),
        ("--provenance", "version=v3", "v1 or v0.2"),
        ("--provenance", "complete-materials=true", "does not know the folder `context`"),
    ] {
        let failed = house.try_build(&context, &[flag, value]);
        assert_ne!(failed.out.code, Some(0));
        failed.out.says(told);
    }
}

#[test]
fn what_only_images_carry_makes_no_index_of_one_in_an_archive() {
    let (house, registry, out) = (own(), Registry::open(), folder());
    let context = Context::dockerfile("FROM scratch\nCOPY f /f\n");
    context.write("f", "f\n");
    let name = format!("{}/inline:1", registry.address);
    let to = |more: &str| format!("type=oci,tar=false,dest={}{more}", out.path().display());
    let push = |more: &str| format!("type=registry,name={name}{more}");
    let (one, both) = ("linux/amd64", "linux/amd64,linux/arm64");
    // As a current BuildKit does it: how many statements leave with the first image.
    for (output, platform, sbom, expected) in [
        (to(""), one, "false", 0),
        (to(",attestation-inline=true"), one, "false", 1),
        (to(""), both, "false", 1),
        (to(""), one, "true", 2),
        (push(""), one, "false", 1),
        (push(",attestation-inline=false"), one, "false", 0),
    ] {
        let _ = fs::remove_dir_all(out.path().join("blobs"));
        let _ = fs::remove_file(out.path().join("index.json"));
        let args = ["--provenance", "mode=min,inline-only=true", "--sbom", sbom, "--platform", platform];
        house.build(&context, &[&args[..], &["-o", &output]].concat());
        let place = match output.starts_with("type=oci") {
            true => format!("oci-layout://{}", out.path().display()),
            false => name.clone(),
        };
        let raw = house.ok(&["imagetools", "inspect", "--raw", &place]).stdout;
        let raw: Value = serde_json::from_str(&raw).unwrap();
        let about = raw["manifests"].as_array().into_iter().flatten();
        let attested = about.filter_map(|entry| entry["annotations"]["vnd.docker.reference.digest"].as_str());
        let attested = attested.filter(|about| raw["manifests"][0]["digest"] == **about).count();
        let provenance = ["imagetools", "inspect", &place, "--format", "{{json .Provenance}} {{json .SBOM}}"];
        let shown = house.ok(&provenance).stdout;
        let statements = shown.matches("\"SLSA\"").count().min(1) + shown.matches("\"SPDX\"").count().min(1);
        assert_eq!((attested, statements), (expected.min(1), expected), "{output} {platform} {sbom}");
    }
}

#[test]
fn what_is_stated_of_an_image_in_the_store_is_shown_and_pushed() {
    let (house, registry) = (own_with_busybox(), Registry::open());
    let context = Context::dockerfile("FROM busybox\nRUN echo kept > /kept\n");
    let name = format!("{}/kept:1", registry.address);
    house.build(&context, &["--provenance=mode=max", "--sbom=true", "--tag", &name]);
    let local = |field: &str| house.ok(&["inspect", "--format", field, &name]).text().to_owned();
    let there =
        |field: &str| house.ok(&["imagetools", "inspect", "--format", field, &name]).text().to_owned();
    house.ok(&["push", &name]);
    for (field, inside) in
        [("{{json .Provenance}}", "/SLSA/buildDefinition"), ("{{json .SBOM}}", "/SPDX/spdxVersion")]
    {
        let shown: Value = serde_json::from_str(&local(field)).unwrap();
        assert!(shown.pointer(inside).is_some(), "{field}: {shown}");
        assert_eq!(shown, serde_json::from_str::<Value>(&there(field)).unwrap(), "{field}");
    }
}
