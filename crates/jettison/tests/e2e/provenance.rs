//! What provenance never tells, what it tells of builds from elsewhere, and where else it is than in an index.

use crate::attestations::{git, image, layout_of};
use crate::harness::*;
use serde_json::{Value, json};
use std::fs;

fn json_file(path: &std::path::Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn nothing_secret_is_told() {
    let (house, context) = (own_with_busybox(), image());
    let registry = Registry::locked("someone", "registry-pass");
    git(&context, &["add", "--all"]);
    git(&context, &["commit", "--quiet", "-m", "first"]);
    git(&context, &["remote", "add", "origin", "https://vcs-user:vcs-pass@example.com/a/b.git"]);
    context.write(
        "Dockerfile",
        "FROM busybox\nARG WHO\nARG NPM_TOKEN\nARG MIRROR\n\
         RUN --mount=type=secret,id=tok,env=VALUE test -n \"$VALUE\" && test -n \"$NPM_TOKEN\"\n\
         RUN : https://run-user:run-pass@example.com/x\nRUN cat <<EOF > /f\nhttp://doc-user:doc-pass@h\nEOF\n",
    );
    let secret = context.write("../secret-of-a-test", "secret-value");
    let name = format!("{}/leaks", registry.address);
    let given = format!("id=tok,src={}", secret.display());
    let out = folder();
    let to = format!("type=oci,tar=false,dest={}", out.path().display());
    let facts = out.path().join("facts.json");
    let folder = format!("type=local,dest={}", out.path().join("files").display());
    let args = [
        ["--secret", given.as_str()],
        ["--build-arg", "NPM_TOKEN=token-value"],
        ["--build-arg", "HTTPS_PROXY=http://proxy-user:proxy-pass@proxy.invalid:1"],
        ["--build-arg", "MIRROR=https://mirror-user:mirror-pass@mirror.invalid/"],
        ["--creds", "someone:registry-pass"],
        ["--output", &to],
        ["--output", &folder],
        ["--metadata-file", facts.to_str().unwrap()],
        ["--tag", &name],
    ];
    for version in ["v1", "v0.2"] {
        let mode = format!("mode=max,version={version}");
        let mut all: Vec<&str> = args.concat();
        all.extend(["--push", "--provenance", &mode]);
        let mut command = house.command(&[&["build"][..], &all, &[context.text()]].concat());
        command.env("BUILDX_METADATA_PROVENANCE", "max");
        run(command, LIMIT).ok();
        let mut texts = vec![fs::read_to_string(&facts).unwrap()];
        texts.push(fs::read_to_string(out.path().join("files/provenance.json")).unwrap());
        let blobs = fs::read_dir(out.path().join("blobs/sha256")).unwrap();
        texts.extend(blobs.filter_map(|blob| fs::read_to_string(blob.unwrap().path()).ok()));
        let stated = |text: &&String| text.contains("in-toto.io/Statement");
        assert!(texts.iter().filter(stated).count() >= 2);
        for text in texts.iter().filter(|text| stated(text) || text.contains("buildx.build")) {
            // The Dockerfile is told in base64.
            let value: Value = serde_json::from_str(text).unwrap();
            let mut all = text.clone();
            decoded(&value, &mut all);
            assert!(all.contains("xxxxx:xxxxx@example.com/a/b.git"), "{all}");
            assert!(all.contains("FROM busybox"), "the Dockerfile is among it");
            for secret in
                ["secret-value", "token-value", "proxy-", "mirror-pass", "run-pass", "doc-pass", "vcs-pass"]
            {
                assert!(!all.contains(secret), "{version}: {secret} is told in {all}");
            }
            assert!(!all.contains("registry-pass") && !all.contains(context.text()), "{all}");
        }
    }
    let shown = house.ok(&[
        "imagetools",
        "inspect",
        "--creds",
        "someone:registry-pass",
        &name,
        "--format",
        "{{.Provenance.SLSA.metadata.completeness.parameters}}",
    ]);
    assert_eq!(shown.stdout, "false\n", "what is left out makes the request incomplete");
}

/// Adds what is base64 in a document, as it is.
fn decoded(value: &Value, into: &mut String) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| decoded(item, into)),
        Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Some(text)) = (key == "data", value.as_str()) {
                    let mut base64 = std::process::Command::new("base64");
                    base64.arg("--decode");
                    into.push_str(&run_with_input(base64, Some(text.as_bytes()), LIMIT).ok().stdout);
                }
                decoded(value, into);
            }
        }
        _ => {}
    }
}

#[test]
fn a_build_from_elsewhere_is_known_to_the_last_byte() {
    let (house, repositories) = (own_with_busybox(), Repositories::start());
    let site = Site::start(|_| Reply::ok(b"content"));
    let repository = repositories.make("app.git");
    repository.write("in/Dockerfile", &format!("FROM scratch\nCOPY f /f\nADD {} /g\n", site.url("/file")));
    repository.write("in/f", "f\n");
    let commit = repository.commit();
    let url = repositories.url("app.git");
    let made = layout_of(&house, &format!("{url}#main:in"), &["--provenance", "mode=min"]);
    let predicate = &made.statements[0]["predicate"];
    let definition = &predicate["buildDefinition"];
    let content = oci::Digest::of(b"content").hex();
    assert_eq!(
        definition["resolvedDependencies"],
        json!([
            {"uri": format!("{url}#main"), "digest": {"sha1": commit}},
            {"uri": site.url("/file"), "digest": {"sha256": content}},
        ])
    );
    assert_eq!(
        definition["externalParameters"],
        json!({
            "configSource": {"uri": format!("{url}#main:in"), "digest": {"sha1": commit}, "path": "Dockerfile"},
            "request": {"frontend": "dockerfile.v0"},
        })
    );
    let metadata = &predicate["runDetails"]["metadata"];
    assert_eq!(metadata["buildkit_hermetic"], true);
    assert_eq!(metadata["buildkit_completeness"], json!({"request": true, "resolvedDependencies": true}));
    // A build from the cache knows the same.
    let again =
        layout_of(&house, &format!("{url}#main:in"), &["--provenance", "mode=min,complete-materials=true"]);
    assert_eq!(again.statements[0]["predicate"]["buildDefinition"], *definition);
}

#[test]
fn folders_and_tars_have_it_as_a_file() {
    let (house, out) = (shared(), folder());
    let context = Context::dockerfile("FROM scratch\nCOPY f /d/f\n");
    context.write("f", "f\n");
    let to = out.path().join("one");
    let local = |more: &str| format!("type=local,dest={}{more}", to.display());
    let provenance = ["--provenance", "mode=min"];
    house.build(&context, &[&["-o", &local(",mode=delete")][..], &provenance].concat());
    let statement = json_file(&to.join("provenance.json"));
    let digest = oci::Digest::of(b"f\n").hex();
    assert_eq!(statement["subject"], json!([{"name": "d/f", "digest": {"sha256": digest}}]));
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    // What only images carry is no file, and what is no part of the result is removed.
    house.build(&context, &["-o", &local(",mode=delete"), "--provenance", "mode=min,inline-only=true"]);
    assert!(!to.join("provenance.json").exists() && to.join("d/f").exists());

    let files = house.files_of(&context, &["--provenance", "mode=min,filename=how.json"]);
    assert_eq!((files.get("how.json").mode, files.get("how.json").uid), (0o600, 0));
    assert_eq!(files.text("d/f"), "f\n");

    let several = ["--platform", "linux/amd64,linux/arm64", "--provenance", "mode=min"];
    house.build(&context, &[&["-o", &local(",attestation-prefix=of-")][..], &several].concat());
    assert!(to.join("linux_arm64/of-provenance.json").is_file());
    let apart = Context::dockerfile("FROM scratch\nARG TARGETARCH\nCOPY f /$TARGETARCH\n");
    apart.write("f", "f\n");
    let to = out.path().join("two");
    let local = format!("type=local,platform-split=false,dest={}", to.display());
    house.build(&apart, &[&["-o", &local][..], &several].concat());
    for platform in ["amd64", "arm64"] {
        let statement = json_file(&to.join(format!("provenance.linux_{platform}.json")));
        assert_eq!(statement["subject"][0]["name"], platform);
    }
}

#[test]
fn each_platform_has_its_own_and_the_metadata_file_all() {
    let (house, registry, out) = (shared(), Registry::open(), folder());
    let name = format!("{}/both", registry.address);
    let context = Context::dockerfile("FROM scratch\nCOPY f /f\n");
    context.write("f", "f\n");
    let facts = out.path().join("facts.json");
    let metadata = |platforms: &str, told: &str| {
        let args = ["--provenance", "mode=min", "--push", "-t", &name, "--platform", platforms];
        let file = ["--metadata-file", facts.to_str().unwrap(), context.text()];
        let mut command = house.command(&[&["build"][..], &args, &file].concat());
        command.env("BUILDX_METADATA_PROVENANCE", told);
        run(command, LIMIT).ok();
        json_file(&facts)
    };
    let both = metadata("linux/amd64,linux/arm64", "max");
    let raw = house.ok(&["imagetools", "inspect", "--raw", &name]).stdout;
    let entries = serde_json::from_str::<Value>(&raw).unwrap()["manifests"].clone();
    for at in [0, 1] {
        let about = &entries[at + 2]["annotations"]["vnd.docker.reference.digest"];
        assert_eq!(*about, entries[at]["digest"], "{raw}");
    }
    let shown = house.ok(&["imagetools", "inspect", &name, "--format", "{{json .Provenance}}"]).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let invocation = |platform: &str| &shown[platform]["SLSA"]["runDetails"]["metadata"]["invocationId"];
    assert_eq!(invocation("linux/amd64"), invocation("linux/arm64"));
    let told = &both["buildx.build.provenance/linux/arm64"];
    assert_eq!(told["metadata"]["buildInvocationID"], *invocation("linux/arm64"));
    assert!(told["buildConfig"]["llbDefinition"].is_array());
    let named = format!("default/default/{}", invocation("linux/arm64").as_str().unwrap());
    assert_eq!(both["buildx.build.ref"], named);
    // The digest of the metadata file is that of what was pushed.
    assert_eq!(both["containerimage.digest"].as_str().unwrap(), oci::Digest::of(raw.as_bytes()).to_string());

    let one = metadata("linux/amd64", "min");
    let told = &one["buildx.build.provenance"];
    assert_eq!(told["invocation"]["configSource"]["entryPoint"], "Dockerfile");
    assert_eq!(told.get("buildConfig").or(told.get("metadata")), None);
    assert_eq!(metadata("linux/amd64", "disabled").get("buildx.build.provenance"), None);
}
