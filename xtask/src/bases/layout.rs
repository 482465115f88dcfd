//! Writes an OCI image layout:
//!
//! ```text
//! oci-layout            {"imageLayoutVersion":"1.0.0"}
//! index.json            one descriptor for each image name, the name in its annotations
//! blobs/sha256/<hex>    layers (tar+gzip), configs and manifests
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use libdeflater::{CompressionLvl, Compressor};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::tree::Tree;
use crate::trouble::{Doing, Result, Trouble};

/// `EPOCH` of the trees, as configs write a time.
const CREATED: &str = "2025-01-01T00:00:00Z";

/// A layer that is in the layout.
#[derive(Clone)]
pub(crate) struct Layer {
    digest: String,
    size: u64,
    diff_id: String,
    /// What the image's history says made it.
    made_by: String,
}

/// An image to be put into the layout.
pub(crate) struct Image<'a> {
    /// Full references, host and tag included.
    pub(crate) names: &'a [&'a str],
    pub(crate) layers: &'a [&'a Layer],
    /// The `config` object of the image's configuration. The stand-in's labels are added here.
    pub(crate) config: Value,
    /// What the image stands in for, for its label.
    pub(crate) stands_in_for: &'a str,
}

/// A layout under construction; layers may be added from several threads.
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Starts a layout in the empty or missing `folder`.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).doing(|| format!("make the folder `{}`", blobs.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// Adds a tree as a gzip layer.
    pub(crate) fn layer(&self, tree: &Tree, made_by: &str) -> Result<Layer> {
        let tar = tree.tar()?;
        let diff_id = digest(&tar);
        // 4 is where libdeflate is still quick and the result within a few percent of gzip's default.
        let level = CompressionLvl::new(4).expect("because libdeflate has levels 0 to 12");
        let mut compressor = Compressor::new(level);
        let mut blob = vec![0; compressor.gzip_compress_bound(tar.len())];
        let length = compressor
            .gzip_compress(&tar, &mut blob)
            .map_err(|error| Trouble::Said(format!("could not compress a layer ({made_by}): {error}")))?;
        blob.truncate(length);
        Ok(Layer { digest: self.blob(&blob)?, size: blob.len() as u64, diff_id, made_by: made_by.to_owned() })
    }

    /// Adds an image's config and manifest and returns its entries for the index, one for each name.
    pub(crate) fn image(&self, image: Image<'_>) -> Result<Vec<Value>> {
        let mut config = image.config;
        config["Labels"] = json!({
            "dev.jettison.stand-in": "true",
            "dev.jettison.stand-in.for": image.stands_in_for,
        });
        let mut history: Vec<Value> = image
            .layers
            .iter()
            .map(|layer| json!({ "created": CREATED, "created_by": layer.made_by, "comment": "jettison stand-in" }))
            .collect();
        for (field, instruction) in [("Env", "ENV"), ("Entrypoint", "ENTRYPOINT"), ("Cmd", "CMD")] {
            if let Some(value) = config.get(field) {
                history.push(
                    json!({ "created": CREATED, "created_by": format!("{instruction} {value}"), "empty_layer": true }),
                );
            }
        }
        let config = json!({
            "created": CREATED,
            "author": "the jettison project",
            "architecture": architecture(),
            "os": "linux",
            "config": config,
            "rootfs": { "type": "layers", "diff_ids": image.layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>() },
            "history": history,
        })
        .to_string();
        let layers: Vec<Value> = image
            .layers
            .iter()
            .map(|layer| {
                json!({
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": layer.digest,
                    "size": layer.size,
                })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": self.blob(config.as_bytes())?,
                "size": config.len(),
            },
            "layers": layers,
        })
        .to_string();
        let digest = self.blob(manifest.as_bytes())?;
        let entry = |name: &&str| {
            json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest,
                "size": manifest.len(),
                "annotations": { "org.opencontainers.image.ref.name": name, "io.containerd.image.name": name },
                "platform": { "architecture": architecture(), "os": "linux" },
            })
        };
        Ok(image.names.iter().map(entry).collect())
    }

    /// Writes the index, after which the layout is whole.
    pub(crate) fn finish(self, manifests: &[Value], version: &str) -> Result<()> {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": manifests,
            "annotations": { super::VERSION_KEY: version },
        });
        let index = serde_json::to_vec_pretty(&index).expect("because a JSON value always has a text");
        self.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        self.write("index.json", &index)
    }

    fn blob(&self, bytes: &[u8]) -> Result<String> {
        let digest = digest(bytes);
        self.write(&format!("blobs/{}", digest.replace(':', "/")), bytes)?;
        Ok(digest)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, bytes).doing(|| format!("write `{}`", path.display()))
    }
}

fn digest(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// This machine's architecture as images name it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        "x86_64" => "amd64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blob that a descriptor names, after its size and digest were compared.
    fn blob(folder: &Path, descriptor: &Value) -> Vec<u8> {
        let name = descriptor["digest"].as_str().unwrap();
        let bytes = fs::read(folder.join("blobs").join(name.replace(':', "/"))).unwrap();
        assert_eq!(digest(&bytes), name);
        assert_eq!(descriptor["size"], bytes.len());
        bytes
    }

    #[test]
    fn every_descriptor_names_its_blob_and_every_name_an_image() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::start(folder.path()).unwrap();
        let mut tree = Tree::default();
        tree.file("hello", 0o644, *b"hello\n");
        let layer = layout.layer(&tree, "a test").unwrap();
        let names = ["docker.io/library/one:latest", "docker.io/library/two:latest"];
        let config = json!({ "Env": ["A=b"], "Cmd": ["sh"] });
        let image = Image { names: &names, layers: &[&layer], config, stands_in_for: "one" };
        let manifests = layout.image(image).unwrap();
        layout.finish(&manifests, "7").unwrap();

        assert_eq!(super::super::names(folder.path()).unwrap(), names);
        assert_eq!(super::super::version(folder.path()).as_deref(), Some("7"));
        let index: Value =
            serde_json::from_slice(&fs::read(folder.path().join("index.json")).unwrap()).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(folder.path(), &index["manifests"][1])).unwrap();
        let config: Value = serde_json::from_slice(&blob(folder.path(), &manifest["config"])).unwrap();
        assert_eq!(config["config"]["Labels"]["dev.jettison.stand-in"], "true");
        let history: Vec<bool> =
            config["history"].as_array().unwrap().iter().map(|line| line["empty_layer"] == true).collect();
        assert_eq!(history, [false, true, true]);
        let compressed = blob(folder.path(), &manifest["layers"][0]);
        let mut tar = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(compressed.as_slice()), &mut tar)
            .unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], digest(&tar));
    }
}
