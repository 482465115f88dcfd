//! Descriptors, manifests and indexes (image-spec, descriptor.md, manifest.md, image-index.md), read with Docker's
//! schema 2 twins by the same types.

use crate::{Digest, Error, Platform, Result, media_type};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The largest manifest, index or configuration that is read: 8 MiB, twice what registries must accept.
pub const MAX_DOCUMENT: u64 = 8 << 20;

/// Names a blob: what it is, its digest and its size in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Other places that serve it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// In an index: for which platform the manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact a manifest holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The bytes themselves in base64, where they are few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
}

impl Descriptor {
    /// A descriptor with nothing but the three required fields.
    #[must_use]
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
            data: None,
        }
    }
}

/// An image manifest: one configuration and its layers, lowest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's or Docker's manifest type; OCI allows it to be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// What kind of artifact this is, where it is no image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image configuration.
    pub config: Descriptor,
    /// The layers, lowest first.
    #[serde(default)]
    pub layers: Vec<Descriptor>,
    /// The manifest that an artifact is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// An OCI manifest of these parts.
    #[must_use]
    pub fn oci(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest and checks its version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|source| Error::Document { what: "image manifest", source })?;
        if manifest.schema_version != 2 {
            let reason = format!("schemaVersion {} is not supported, only 2", manifest.schema_version);
            return Err(Error::Invalid { what: "image manifest", reason });
        }
        Ok(manifest)
    }

    /// The bytes that are stored, sent and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("because a manifest holds only strings, numbers and maps with string keys")
    }

    /// The descriptor of these bytes.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let bytes = self.to_bytes();
        let kind = self.media_type.as_deref().unwrap_or(media_type::OCI_MANIFEST);
        Descriptor::new(kind, Digest::of(&bytes), bytes.len() as u64)
    }
}

/// An image index: manifests by platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// OCI's index type or Docker's list type; OCI allows it to be absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// The manifests.
    #[serde(default)]
    pub manifests: Vec<Descriptor>,
    /// Free text by key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// An OCI index of these manifests.
    #[must_use]
    pub fn oci(manifests: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads an index and checks its version.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let index: Self = serde_json::from_slice(bytes)
            .map_err(|source| Error::Document { what: "image index", source })?;
        if index.schema_version != 2 {
            let reason = format!("schemaVersion {} is not supported, only 2", index.schema_version);
            return Err(Error::Invalid { what: "image index", reason });
        }
        Ok(index)
    }

    /// The bytes that are stored, sent and hashed.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .expect("because an index holds only strings, numbers and maps with string keys")
    }

    /// The manifest for `wanted`: the best match by [`Platform::rank`], the first of equals. Attestation manifests
    /// (platform `unknown/unknown`) never match.
    #[must_use]
    pub fn choose(&self, wanted: &Platform) -> Option<&Descriptor> {
        let mut best: Option<(u32, &Descriptor)> = None;
        for manifest in &self.manifests {
            let rank = match &manifest.platform {
                Some(platform) => wanted.rank(platform),
                // An index of one manifest without a platform, as `oci` layouts often are.
                None if self.manifests.len() == 1 => Some(0),
                None => None,
            };
            if let Some(rank) = rank
                && best.is_none_or(|(known, _)| rank > known)
            {
                best = Some((rank, manifest));
            }
        }
        best.map(|(_, manifest)| manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(os: &str, arch: &str, variant: Option<&str>, mark: u8) -> Descriptor {
        let mut descriptor = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(&[mark]), 1);
        descriptor.platform = Some(Platform {
            os: os.into(),
            architecture: arch.into(),
            variant: variant.map(Into::into),
            ..Platform::default()
        });
        descriptor
    }

    #[test]
    fn an_index_gives_the_manifest_of_the_platform() {
        let index = Index::oci(vec![
            entry("unknown", "unknown", None, 0),
            entry("linux", "arm", Some("v6"), 1),
            entry("linux", "arm", Some("v7"), 2),
            entry("linux", "amd64", None, 3),
        ]);
        let chosen = |text: &str| index.choose(&text.parse().unwrap()).map(|d| d.digest);
        assert_eq!(chosen("linux/amd64"), Some(Digest::of(&[3])));
        assert_eq!(chosen("linux/arm/v7"), Some(Digest::of(&[2])));
        assert_eq!(chosen("linux/arm/v6"), Some(Digest::of(&[1])));
        assert_eq!(chosen("linux/arm/v5"), None);
        assert_eq!(chosen("linux/riscv64"), None);
        assert_eq!(Index::parse(&index.to_bytes()).unwrap(), index);
    }

    #[test]
    fn schema_1_is_refused_by_number() {
        let text = br#"{"schemaVersion":1,"config":{"mediaType":"x","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":1}}"#;
        assert!(Manifest::parse(text).unwrap_err().to_string().contains("schemaVersion 1"));
    }
}
