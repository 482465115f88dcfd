//! The configuration of a cache as JSON.

use oci::Digest;
use serde::{Deserialize, Serialize};

/// The version of our keys in it.
pub(super) const OURS: u32 = 1;
/// The most layers and the most records that are read.
pub(super) const MOST: usize = 200_000;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Config {
    /// Whether the keys are ours, and of which version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) jettison: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) layers: Vec<Layer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) records: Vec<Record>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Layer {
    /// Absent inline: the blob is the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) blob: Option<Digest>,
    /// The layer below it; -1 is none.
    #[serde(default)]
    pub(super) parent: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) annotations: Option<Annotations>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Annotations {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) media_type: String,
    #[serde(rename = "diffID", default, skip_serializing_if = "Option::is_none")]
    pub(super) diff_id: Option<Digest>,
    #[serde(default)]
    pub(super) size: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) digest: Digest,
    /// Results by their top layer.
    #[serde(rename = "layers", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) results: Vec<Top>,
    /// Results by all their layers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) chains: Vec<Chain>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) inputs: Vec<Vec<Input>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Top {
    pub(super) layer: usize,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chain {
    pub(super) layers: Vec<usize>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) created_at: String,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Input {
    #[serde(default)]
    pub(super) selector: String,
    pub(super) link: usize,
}
