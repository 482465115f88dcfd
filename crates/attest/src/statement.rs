//! In-toto statements (in-toto attestation framework, spec/v1/statement.md).
//!
//! ```json
//! {"_type": "https://in-toto.io/Statement/v1", "predicateType": "...",
//!  "subject": [{"name": "pkg:docker/...", "digest": {"sha256": "..."}}], "predicate": {...}}
//! ```

use oci::Digest;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

const TYPE: &str = "https://in-toto.io/Statement/v1";
/// The predicate type of an SPDX document.
pub const SPDX: &str = "https://spdx.dev/Document";

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// A package URL, or a path in a folder.
    pub name: String,
    /// Its digest: the algorithm, and the digits.
    pub digest: BTreeMap<String, String>,
}

impl Subject {
    /// A subject with a SHA-256 digest.
    #[must_use]
    pub fn new(name: String, digest: &Digest) -> Self {
        Self { name, digest: sha256(digest) }
    }
}

/// A digest as in-toto writes it.
pub(crate) fn sha256(digest: &Digest) -> BTreeMap<String, String> {
    BTreeMap::from([("sha256".to_owned(), digest.hex())])
}

/// A statement that still lacks its subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestation {
    /// What the predicate is.
    pub predicate_type: String,
    /// What is stated.
    pub predicate: Value,
    /// What it is called as a file in a folder or a tar.
    pub file: String,
    /// Whether only images carry it.
    pub inline_only: bool,
}

impl Attestation {
    /// The SPDX document of one scan: `sbom` of the result, `sbom-context` of the build context, `sbom-STAGE` of another
    /// stage.
    #[must_use]
    pub fn spdx(scan: &str, document: Value) -> Self {
        Self {
            predicate_type: SPDX.to_owned(),
            predicate: document,
            file: format!("{scan}.spdx.json"),
            inline_only: false,
        }
    }

    /// The statement about `subjects`.
    #[must_use]
    pub fn statement(&self, subjects: &[Subject]) -> Statement {
        Statement {
            kind: TYPE,
            predicate_type: self.predicate_type.clone(),
            subject: subjects.to_vec(),
            predicate: self.predicate.clone(),
        }
    }
}

/// A whole statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: &'static str,
    predicate_type: String,
    subject: Vec<Subject>,
    predicate: Value,
}

impl Statement {
    /// What the predicate is.
    #[must_use]
    pub fn predicate_type(&self) -> &str {
        &self.predicate_type
    }

    /// The bytes that an image carries.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("because a statement holds only JSON")
    }

    /// The same for people, as files have it.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).expect("because a statement holds only JSON")
    }
}
