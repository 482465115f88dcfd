//! `--format` shows what is stated about images in the forms that buildx's documents give, from the store, a registry
//! and a layout.

use crate::harness::{Context, House, Registry, folder, own};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Descriptor, Digest};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

const DOCKERFILE: &str = "FROM scratch\nCOPY package.json /app/package.json\n";
const PACKAGES: &str = "{{.name}}@{{.versionInfo}}{{ println }}";

/// An image with one package, pushed and in the store.
fn build(house: &House, name: &str, platforms: &str, provenance: &str) {
    let context = Context::dockerfile(DOCKERFILE);
    context.write("package.json", r#"{"name": "left", "version": "1.2.3"}"#);
    let args = ["--push", "--tag", name, "--platform", platforms, "--provenance", provenance, "--sbom=true"];
    house.build(&context, &args);
}

/// What every way of asking shows, which is one and the same.
#[track_caller]
fn shown(house: &House, name: &str, layout: &str, format: &str) -> String {
    let ask = |args: &[&str]| house.ok(&[args, &["--format", format]].concat()).stdout;
    let first = ask(&["inspect", name]);
    let same = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| Value::from(text));
    for args in [
        &["inspect", layout][..],
        &["image", "inspect", name],
        &["imagetools", "inspect", name],
        &["imagetools", "inspect", layout],
        &["buildx", "imagetools", "inspect", name],
    ] {
        assert_eq!(same(&ask(args)), same(&first), "{args:?} {format}");
    }
    first
}

#[test]
fn the_documented_forms_show_what_is_stated() {
    let (house, registry, out) = (own(), Registry::open(), folder());
    let one = format!("{}/one:1", registry.address);
    let many = format!("{}/many:1", registry.address);
    build(&house, &one, "linux/amd64", "mode=max,version=v0.2");
    build(&house, &many, "linux/amd64,linux/arm64", "mode=min");
    let layout = |name: &str| {
        let layout = format!("oci-layout://{}", out.path().join(name.replace(['/', ':'], "-")).display());
        house.ok(&["copy", "--quiet", name, &layout]);
        layout
    };
    let (one_layout, many_layout) = (layout(&one), layout(&many));
    let told = "https://mobyproject.org/buildkit@v1#metadata";
    let dockerfile = STANDARD.encode(DOCKERFILE);
    for (format, expected) in [
        ("{{ json .SBOM.SPDX.name }}".to_owned(), "\"sbom\"\n"),
        (
            format!("{{{{range .SBOM.SPDX.packages}}}}{PACKAGES}{{{{end}}}}"),
            "sbom@<no value>\nleft@1.2.3\n\n",
        ),
        ("{{json .Provenance.SLSA.invocation.configSource}}".to_owned(), "{\"entryPoint\":\"Dockerfile\"}\n"),
        ("{{range .Provenance.SLSA.materials}}{{println .uri}}{{end}}".to_owned(), "\n"),
        ("{{.Provenance.SLSA.invocation.parameters.args.none}}".to_owned(), "<no value>\n"),
        (
            format!(
                "{{{{ range (index .Provenance.SLSA.metadata \"{told}\").source.infos }}}}\
                 {{{{ if eq .filename \"Dockerfile\" }}}}{{{{ .data }}}}{{{{ end }}}}{{{{ end }}}}"
            ),
            &format!("{dockerfile}\n"),
        ),
    ] {
        assert_eq!(shown(&house, &one, &one_layout, &format), expected, "{format}");
    }
    let arm = r#"{{range (index .SBOM "linux/arm64").SPDX.packages}}"#;
    for (format, expected) in [
        (r#"{{json (index .SBOM "linux/amd64").SPDX.name}}"#.to_owned(), "\"sbom\"\n"),
        (format!("{arm}{PACKAGES}{{{{end}}}}"), "sbom@<no value>\nleft@1.2.3\n\n"),
        (r#"{{ (index .Provenance "linux/arm64").SLSA.runDetails.builder }}"#.to_owned(), "map[id:]\n"),
        (r#"{{json (index .Provenance "linux/s390x").SLSA}}"#.to_owned(), "null\n"),
        ("{{json .Provenance.SLSA}} {{len .Provenance}} {{len .SBOM}}".to_owned(), "null 2 2\n"),
    ] {
        assert_eq!(shown(&house, &many, &many_layout, &format), expected, "{format}");
    }
    for field in ["{{json .Provenance}}", "{{json .SBOM}}"] {
        assert!(shown(&house, &one, &one_layout, field).len() > 500);
        assert!(shown(&house, &many, &many_layout, field).len() > 1000);
    }
    // With a platform it is that of one image.
    for name in [&many, &many_layout] {
        let platform = ["inspect", "--platform", "linux/arm64", name, "--format", "{{.SBOM.SPDX.name}}"];
        assert_eq!(house.ok(&platform).stdout, "sbom\n");
    }
    // As buildx writes them: JSON over several lines, the manifest for people.
    let inspect = |format: &str| house.ok(&["imagetools", "inspect", &many, "--format", format]).stdout;
    assert!(inspect("{{json .Provenance}}").starts_with("{\n  \"linux/amd64\": {\n    \"SLSA\": {\n"));
    assert_eq!(inspect("{{ .Manifest }}"), house.ok(&["imagetools", "inspect", &many]).stdout);
    assert_eq!(inspect(r#"{{(index .Image "linux/arm64").RootFS.Type}}"#), "layers\n");

    // What was not pulled cannot be shown, and is not said to be nothing.
    let other = own();
    other.ok(&["pull", "--quiet", &many]);
    other.fails(1, &["inspect", "--format", "{{json .SBOM}}", &many]).says("imagetools inspect");
    other.ok(&["pull", "--quiet", "--all-platforms", &many]);
    assert_eq!(other.ok(&["inspect", "--format", "{{len .SBOM}}", &many]).stdout, "2\n");
}

/// Puts a blob into a layout.
fn put(layout: &Path, media_type: &str, bytes: &[u8]) -> Descriptor {
    let digest = Digest::of(bytes);
    fs::write(layout.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    Descriptor::new(media_type, digest, bytes.len() as u64)
}

#[test]
fn a_signed_statement_is_shown_and_said_to_be_unchecked() {
    let (house, out) = (own(), folder());
    let context = Context::dockerfile("FROM scratch\nLABEL a=b\n");
    let layout = out.path().join("layout");
    let to = format!("type=oci,tar=false,dest={}", layout.display());
    house.build(&context, &["-o", &to, "--provenance", "mode=min"]);
    let document = |descriptor: &Value| -> Value {
        let hex = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap().to_owned();
        serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(hex)).unwrap()).unwrap()
    };
    let mut root: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let plain = document(&root["manifests"][0]);
    let attested = document(&plain["manifests"][1]);
    let statement = document(&attested["layers"][0]).to_string();
    let name = format!("oci-layout://{}", layout.display());
    let payload = STANDARD.encode(&statement);
    for (media_type, annotation, payload, told) in [
        ("application/vnd.in-toto.provenance+dsse", "in-toto.io/predicate-type", &*payload, None),
        ("application/vnd.dsse.envelope.v1+json", "predicateType", &*payload, None),
        ("application/vnd.dsse.envelope.v1+json", "predicateType", "?", Some("no base64")),
    ] {
        let envelope = json!({
            "payloadType": "application/vnd.in-toto+json", "payload": payload,
            "signatures": [{"keyid": "", "sig": "bm90IG9uZQ=="}],
        });
        let mut signed = put(&layout, media_type, envelope.to_string().as_bytes());
        signed.annotations.insert(annotation.to_owned(), "https://slsa.dev/provenance/v1".to_owned());
        let mut attested = attested.clone();
        attested["layers"] = json!([signed]);
        let attested =
            put(&layout, "application/vnd.oci.image.manifest.v1+json", attested.to_string().as_bytes());
        let mut index = plain.clone();
        index["manifests"][1]["digest"] = json!(attested.digest);
        index["manifests"][1]["size"] = json!(attested.size);
        root["manifests"] =
            json!([put(&layout, "application/vnd.oci.image.index.v1+json", index.to_string().as_bytes())]);
        fs::write(layout.join("index.json"), root.to_string()).unwrap();
        for command in [&["imagetools", "inspect"][..], &["inspect"]] {
            let asked = [command, &[&name, "--format", "{{json .Provenance}}"]].concat();
            match told {
                None => {
                    let shown = house.ok(&asked);
                    let shown_value: Value = serde_json::from_str(&shown.stdout).unwrap();
                    let statement: Value = serde_json::from_str(&statement).unwrap();
                    assert_eq!(shown_value["SLSA"], statement["predicate"], "{media_type}");
                    shown.says("nobody checked its signature").says(&signed.digest.to_string());
                }
                Some(reason) => {
                    house.fails(1, &asked).says(reason);
                }
            }
        }
    }
}
