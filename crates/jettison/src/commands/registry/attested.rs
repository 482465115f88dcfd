//! What templates see of attestations, as buildx shows them: `.Provenance` with `SLSA`, and `.SBOM` with `SPDX` and
//! `AdditionalSPDXs`; of several images each by its platform.
//!
//! Statements are fetched only where a template names them. Signed ones are shown too, with a word that nobody checked the
//! signature.

use crate::error::{CommandError, Outcome};
use crate::screen;
use attest::envelope;
use attest::storage::{self, Stated};
use export::place::Place;
use oci::{Descriptor, Digest, Index, Manifest, Platform};
use serde_json::{Map, Value, json};
use std::fmt::Display;
use store::Store;

/// The largest statement that is read, 40 MiB, which is also the most that BuildKit writes.
const LARGEST: u64 = 40 << 20;

/// Where an index and what belongs to it are, with a name for messages.
pub(crate) trait Home: Display {
    /// Whether an attestation manifest that the index names is there.
    fn has(&self, _manifest: &Descriptor) -> Outcome<bool> {
        Ok(true)
    }
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
pub(crate) struct InStore<'a> {
    pub(crate) store: &'a Store,
    pub(crate) name: &'a str,
}

impl Display for InStore<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Home for InStore<'_> {
    fn has(&self, manifest: &Descriptor) -> Outcome<bool> {
        Ok(self.store.has_blob(&manifest.digest)?.is_some())
    }

    fn manifest(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        Ok(self.store.read_blob(&descriptor.digest, oci::MAX_DOCUMENT)?)
    }

    fn statement(&self, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
        Ok(self.store.read_blob(&descriptor.digest, LARGEST)?)
    }
}

/// What a template can name.
#[derive(Clone, Copy, Debug)]
struct Field {
    /// What it is called.
    name: &'static str,
    /// How the type of its predicate begins.
    predicate: &'static str,
    /// What the first one is called in it.
    first: &'static str,
    /// What the others are called, where there may be several.
    others: Option<&'static str>,
}

/// All of them.
const FIELDS: [Field; 2] = [
    Field { name: "Provenance", predicate: "https://slsa.dev/provenance/", first: "SLSA", others: None },
    Field { name: "SBOM", predicate: attest::SPDX, first: "SPDX", others: Some("AdditionalSPDXs") },
];

/// The images of a name, each with its platform's name: those of an index, or the one for `platform`.
pub(crate) fn images(index: &Index, platform: Option<&Platform>) -> Vec<(String, Digest)> {
    let named = |entry: &Descriptor| {
        let platform = entry.platform.as_ref().filter(|platform| platform.os != "unknown")?;
        Some((platform.normalised().to_string(), entry.digest))
    };
    match platform {
        Some(platform) => index.choose(platform).and_then(named).into_iter().collect(),
        None => index.manifests.iter().filter_map(named).collect(),
    }
}

/// Adds what `format` names of what is stated about images of an index: about one image its own, about several each by
/// its platform's name.
pub(crate) fn tell(
    value: &mut Value,
    format: &str,
    home: &dyn Home,
    index: &Index,
    images: &[(String, Digest)],
) -> Outcome<()> {
    for field in FIELDS.iter().filter(|field| format.contains(field.name)) {
        value[field.name] = field.of(home, index, images)?;
    }
    Ok(())
}

impl Field {
    fn of(&self, home: &dyn Home, index: &Index, images: &[(String, Digest)]) -> Outcome<Value> {
        let mut all = Map::new();
        let mut missing = Vec::new();
        for (platform, image) in images {
            let mut stated = Map::new();
            for entry in storage::about(index, image) {
                match home.has(entry)? {
                    true => self.take(home, entry, &mut stated)?,
                    false => missing.push(platform.as_str()),
                }
            }
            if !stated.is_empty() {
                all.insert(platform.clone(), Value::Object(stated));
            }
        }
        if all.is_empty() && !missing.is_empty() {
            let message = format!("what is stated about {home} is not here, for {}", missing.join(", "));
            return Err(CommandError::new(message).hint(format!(
                "`jettison imagetools inspect` reads it from the registry; `jettison pull --all-platforms {home}` \
                 fetches it with all images"
            )));
        }
        if let [(platform, _)] = images {
            return Ok(all.remove(platform).unwrap_or_else(|| json!({})));
        }
        Ok(Value::Object(all))
    }

    /// Adds what an attestation manifest has of it.
    fn take(&self, home: &dyn Home, entry: &Descriptor, stated: &mut Map<String, Value>) -> Outcome<()> {
        let manifest = Manifest::parse(&home.manifest(entry)?)?;
        for statement in storage::statements(&manifest) {
            if !statement.predicate_type.starts_with(self.predicate) {
                continue;
            }
            if !stated.contains_key(self.first) {
                stated.insert(self.first.to_owned(), predicate(home, &statement)?);
            } else if let Some(others) = self.others
                && let Value::Array(list) = stated.entry(others).or_insert_with(|| json!([]))
            {
                list.push(predicate(home, &statement)?);
            }
        }
        Ok(())
    }
}

fn predicate(home: &dyn Home, statement: &Stated<'_>) -> Outcome<Value> {
    let descriptor = statement.descriptor;
    let fail =
        |reason: String| CommandError::new(format!("the statement {} of {home} {reason}", descriptor.digest));
    if descriptor.size > LARGEST {
        return Err(fail(format!("is too large: it has more than {LARGEST} bytes")));
    }
    let mut bytes = home.statement(descriptor)?;
    if statement.is_signed {
        bytes = envelope::payload(&bytes).map_err(|error| fail(format!("is signed, and {error}")))?;
        screen::say(&format!(
            "warning: the statement {} of {home} is signed, and nobody checked its signature",
            descriptor.digest
        ));
    }
    let mut parsed: Value =
        serde_json::from_slice(&bytes).map_err(|error| fail(format!("is no JSON: {error}")))?;
    Ok(parsed.get_mut("predicate").map(Value::take).unwrap_or_default())
}
