//! A cache that BuildKit wrote: none of its keys matches, and its blobs serve by their digests.
//!
//! The documents are made here, in the form in which a BuildKit of 2026 was seen to write them (records whose results are
//! layers with parents, keys linked by selectors), since the machines that run the tests have no BuildKit.

use crate::harness::{Bucket, Context, LIMIT, bases, folder, own, run};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An OCI layout with busybox alone, and its one layer.
fn busybox(folder: &Path) -> (PathBuf, Value) {
    let layout = folder.join("layout");
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet", &format!("oci:{}:docker.io/library/busybox:latest", bases().display())]);
    skopeo.arg(format!("oci:{}:latest", layout.display()));
    run(skopeo, LIMIT).ok();
    let read = |digest: &Value| -> Value {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:");
        serde_json::from_slice(&fs::read(layout.join("blobs/sha256").join(hex)).unwrap()).unwrap()
    };
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let manifest = read(&index["manifests"][0]["digest"]);
    let config = read(&manifest["config"]["digest"]);
    let mut layer = manifest["layers"][0].clone();
    layer["diffID"] = config["rootfs"]["diff_ids"][0].clone();
    (layout, layer)
}

/// What BuildKit writes for a build that has this layer as its base.
fn document(layer: &Value) -> Value {
    let key = |at: u8| format!("sha256:{}", format!("{at:02x}").repeat(32));
    let made = "2026-11-21T18:55:39.621935983Z";
    json!({
        "layers": [{
            "blob": layer["digest"],
            "parent": -1,
            "annotations": {
                "mediaType": layer["mediaType"], "diffID": layer["diffID"], "size": layer["size"], "createdAt": made,
            },
        }],
        "records": [
            { "digest": key(1) },
            {
                "layers": [{ "layer": 0, "createdAt": made }],
                "digest": key(2),
                "inputs": [[{ "selector": key(3), "link": 0 }, { "link": 0 }]],
            },
        ],
    })
}

#[test]
fn a_base_whose_layer_is_gone_takes_it_from_there() {
    let (temp, bucket) = (folder(), Bucket::start());
    let (layout, layer) = busybox(temp.path());
    let digest = layer["digest"].as_str().unwrap().to_owned();
    let blob = layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let moved = temp.path().join("blob");
    fs::rename(&blob, &moved).unwrap();
    let document = document(&layer).to_string();
    let put = |body: &str| {
        bucket.script(&format!("s3.put_object(Bucket='cache', Key='blobs/{digest}', Body={body})")).ok();
    };
    bucket
        .script(&format!("s3.put_object(Bucket='cache', Key='manifests/buildkit', Body='{document}')"))
        .ok();
    put(&format!("open('{}', 'rb').read()", moved.display()));
    let base = format!("base=oci-layout://{}:latest", layout.display());
    let context = Context::dockerfile("FROM base\nRUN echo 1 > /one && echo 2 > /two\n");
    let from = bucket.attributes();
    let args = ["--tag", "a", "--build-context", &base, "--cache-from", &from];
    let house = own();
    let built = house.build(&context, &args);
    built.out.says("was written by another builder, so none of its keys can match");
    assert_eq!(built.out.stderr.matches("another builder").count(), 1, "it is said once");
    built.ran("RUN echo 1");
    assert_eq!(house.files("a").text("two"), "2\n");
    // A cache that has other bytes under that name is no loss where the layer is in its own place, too.
    fs::copy(&moved, &blob).unwrap();
    put(&format!("b'x' * {}", layer["size"]));
    let house = own();
    let built = house.build(&context, &args);
    assert!(
        built.step("RUN echo 1").notes.iter().any(|note| note.contains("sent other bytes")),
        "{}",
        built.out.stderr
    );
    assert_eq!(house.files("a").text("two"), "2\n");
}
