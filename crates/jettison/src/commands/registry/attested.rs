//! What templates see of attestations, as buildx shows them: `.Provenance` with `SLSA`, and `.SBOM` with `SPDX` and
//! `AdditionalSPDXs`; of several images each by its platform.
//!
//! Statements are fetched only where a template names them.

use crate::error::{CommandError, Outcome};
use attest::storage;
use export::place::Place;
use oci::{Descriptor, Digest, Index, Manifest};
use serde_json::{Map, Value, json};
use std::fmt::Display;
use store::Store;

/// The largest statement that is read, 40 MiB, which is also the most that BuildKit writes.
const LARGEST: u64 = 40 << 20;

/// Where an index and what belongs to it are, with a name for messages.
pub(crate) trait Home: Display {
    /// A manifest.
    fn manifest(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>>;
    /// A statement.
    fn statement(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>>;
}

impl Home for Place<'_> {
    fn manifest(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        Ok(self.document(descriptor)?.bytes)
    }

    fn statement(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::new();
        self.blob(descriptor, &mut bytes, &|_| {})?;
        Ok(bytes)
    }
}

/// A name of the store.
pub(crate) struct Stored<'a> {
    pub(crate) store: &'a Store,
    pub(crate) name: &'a str,
}

impl Display for Stored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Home for Stored<'_> {
    fn manifest(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        Ok(self.store.read_blob(&descriptor.digest, oci::MAX_DOCUMENT)?)
    }

    fn statement(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        Ok(self.store.read_blob(&descriptor.digest, LARGEST)?)
    }
}

/// What a template can name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    /// What it is called.
    pub(crate) name: &'static str,
    /// How the type of its predicate begins.
    predicate: &'static str,
    /// What the first one is called in it.
    first: &'static str,
    /// What the others are called, where there may be several.
    others: Option<&'static str>,
}

/// All of them.
pub(crate) const FIELDS: [Field; 2] = [
    Field { name: "Provenance", predicate: "https://slsa.dev/provenance/", first: "SLSA", others: None },
    Field { name: "SBOM", predicate: attest::SPDX, first: "SPDX", others: Some("AdditionalSPDXs") },
];

impl Field {
    /// What is stated about images of an index, each with its platform's name; about one image its own.
    pub(crate) fn of(&self, home: &dyn Home, index: &Index, images: &[(String, Digest)]) -> Outcome<Value> {
        let mut all = Map::new();
        for (platform, image) in images {
            let stated = self.about(home, index, image)?;
            if !stated.is_empty() {
                all.insert(platform.clone(), Value::Object(stated));
            }
        }
        if let [(platform, _)] = images {
            return Ok(all.remove(platform).unwrap_or_else(|| json!({})));
        }
        Ok(Value::Object(all))
    }

    fn about(&self, home: &dyn Home, index: &Index, image: &Digest) -> Outcome<Map<String, Value>> {
        let mut stated = Map::new();
        for entry in storage::about(index, image) {
            let manifest = Manifest::parse(&home.manifest(entry)?)?;
            for (statement, kind) in storage::statements(&manifest) {
                if !kind.starts_with(self.predicate) {
                    continue;
                }
                if !stated.contains_key(self.first) {
                    stated.insert(self.first.to_owned(), predicate(home, statement)?);
                } else if let Some(others) = self.others
                    && let Value::Array(list) = stated.entry(others).or_insert_with(|| json!([]))
                {
                    list.push(predicate(home, statement)?);
                }
            }
        }
        Ok(stated)
    }
}

fn predicate(home: &dyn Home, statement: &Descriptor) -> Outcome<Value> {
    let fail =
        |reason: String| CommandError::new(format!("the statement {} of {home} {reason}", statement.digest));
    if statement.size > LARGEST {
        return Err(fail(format!("is too large: it has more than {LARGEST} bytes")));
    }
    let mut parsed: Value = serde_json::from_slice(&home.statement(statement)?)
        .map_err(|error| fail(format!("is no JSON: {error}")))?;
    Ok(parsed.get_mut("predicate").map(Value::take).unwrap_or_default())
}
