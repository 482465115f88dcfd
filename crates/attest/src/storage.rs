//! How an index carries statements about its images (BuildKit's docs/attestations/attestation-storage.md).
//!
//! ```text
//! index ─▶ manifest of an image
//!       └▶ attestation manifest                       platform unknown/unknown, annotations
//!           ├▶ config: empty, or a configuration        vnd.docker.reference.type    attestation-manifest
//!           ├▶ layers: statements                       vnd.docker.reference.digest  the image's manifest
//!           └▶ subject: the image's manifest          annotation in-toto.io/predicate-type of each layer
//! ```
//!
//! As an **artifact** it has an artifact type, the empty configuration and the subject; else, for old registries, a
//! configuration that lists the statements as if they were layers, and no subject.

use crate::Statement;
use crate::envelope::is_envelope;
use oci::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, RootFs, media_type};
use std::collections::BTreeMap;

/// The media type of a statement.
pub const STATEMENT: &str = "application/vnd.in-toto+json";
/// What kind of artifact an attestation manifest is.
pub const ARTIFACT: &str = "application/vnd.docker.attestation.manifest.v1+json";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// The same as cosign writes it.
const COSIGNS_TYPE: &str = "predicateType";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";
const ATTESTATION_MANIFEST: &str = "attestation-manifest";
const UNKNOWN: &str = "unknown";
/// The empty JSON document, and the same in base64.
const EMPTY: (&[u8], &str) = (b"{}", "e30=");

/// An attestation manifest and what it names.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The entry of the index.
    pub descriptor: Descriptor,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// The configuration and the statements.
    pub blobs: Vec<(Descriptor, Vec<u8>)>,
}

/// The attestation manifest of the image whose manifest is `target`.
#[must_use]
pub fn store(target: &Descriptor, statements: &[Statement], artifact: bool) -> Stored {
    let mut blobs = Vec::with_capacity(statements.len() + 1);
    let mut layers = Vec::with_capacity(statements.len());
    for statement in statements {
        let bytes = statement.to_bytes();
        let mut layer = Descriptor::new(STATEMENT, Digest::of(&bytes), bytes.len() as u64);
        layer.annotations.insert(PREDICATE_TYPE.to_owned(), statement.predicate_type().to_owned());
        layers.push(layer.clone());
        blobs.push((layer, bytes));
    }
    let config = if artifact { EMPTY.0.to_vec() } else { configuration(&layers) };
    let kind = if artifact { media_type::OCI_EMPTY } else { media_type::OCI_CONFIG };
    let mut descriptor = Descriptor::new(kind, Digest::of(&config), config.len() as u64);
    descriptor.data = artifact.then(|| EMPTY.1.to_owned());
    blobs.push((descriptor.clone(), config));
    let mut manifest = Manifest::oci(descriptor, layers);
    if artifact {
        manifest.artifact_type = Some(ARTIFACT.to_owned());
        manifest.subject = Some(Descriptor::new(&target.media_type, target.digest, target.size));
    }
    let mut descriptor = manifest.descriptor();
    descriptor.platform = Some(unknown());
    descriptor.annotations = BTreeMap::from([
        (REFERENCE_DIGEST.to_owned(), target.digest.to_string()),
        (REFERENCE_TYPE.to_owned(), ATTESTATION_MANIFEST.to_owned()),
    ]);
    Stored { descriptor, manifest: manifest.to_bytes(), blobs }
}

fn unknown() -> Platform {
    Platform { os: UNKNOWN.to_owned(), architecture: UNKNOWN.to_owned(), ..Platform::default() }
}

/// A configuration that says nothing but which statements there are.
fn configuration(layers: &[Descriptor]) -> Vec<u8> {
    let rootfs = RootFs { diff_ids: layers.iter().map(|layer| layer.digest).collect(), ..RootFs::default() };
    let config = ImageConfig {
        os: UNKNOWN.to_owned(),
        architecture: UNKNOWN.to_owned(),
        rootfs,
        ..ImageConfig::default()
    };
    config.to_bytes()
}

/// The image that an entry of an index is about, where the entry is an attestation manifest.
#[must_use]
pub fn subject_of(entry: &Descriptor) -> Option<&str> {
    let kind = entry.annotations.get(REFERENCE_TYPE).map(String::as_str);
    entry
        .annotations
        .get(REFERENCE_DIGEST)
        .map(String::as_str)
        .filter(|_| kind.is_none_or(|kind| kind == ATTESTATION_MANIFEST))
}

/// The entries of an index that are attestation manifests of the image `target`.
pub fn about<'a>(index: &'a Index, target: &Digest) -> impl Iterator<Item = &'a Descriptor> {
    let target = target.to_string();
    index.manifests.iter().filter(move |entry| subject_of(entry) == Some(target.as_str()))
}

/// A statement that an attestation manifest names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stated<'a> {
    /// The blob.
    pub descriptor: &'a Descriptor,
    /// The type of its predicate.
    pub predicate_type: &'a str,
    /// Whether the blob is an envelope with signatures, see [`crate::envelope`].
    pub is_signed: bool,
}

/// The statements that an attestation manifest names. Other layers are passed over.
pub fn statements(manifest: &Manifest) -> impl Iterator<Item = Stated<'_>> {
    manifest.layers.iter().filter_map(|descriptor| {
        let is_signed = is_envelope(&descriptor.media_type);
        if !is_signed && descriptor.media_type != STATEMENT {
            return None;
        }
        let annotations = &descriptor.annotations;
        let predicate_type = annotations.get(PREDICATE_TYPE).or_else(|| annotations.get(COSIGNS_TYPE))?;
        Some(Stated { descriptor, predicate_type, is_signed })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Attestation, Subject};
    use serde_json::json;

    #[test]
    fn what_is_stored_is_found_again() {
        let image = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(b"image"), 5);
        let other = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(b"other"), 5);
        let attestation = Attestation::spdx("sbom", json!({"packages": []}));
        let subject = Subject::new("pkg:docker/a@1".to_owned(), &image.digest);
        let statements = [attestation.statement(&[subject])];
        for artifact in [true, false] {
            let stored = store(&image, &statements, artifact);
            let index = Index::oci(vec![image.clone(), other.clone(), stored.descriptor.clone()]);
            let found: Vec<&Descriptor> = about(&index, &image.digest).collect();
            assert_eq!(found, [&stored.descriptor]);
            assert_eq!(about(&index, &other.digest).count(), 0);
            assert_eq!(subject_of(&image), None);
            let manifest = Manifest::parse(&stored.manifest).unwrap();
            assert_eq!(manifest.subject.is_some(), artifact);
            let found: Vec<_> = super::statements(&manifest).collect();
            let stated =
                Stated { descriptor: &stored.blobs[0].0, predicate_type: crate::SPDX, is_signed: false };
            assert_eq!(found, [stated]);
            // No platform is served by it.
            assert_eq!(index.choose(&Platform::host()), None);
            for (descriptor, bytes) in &stored.blobs {
                assert_eq!((descriptor.digest, descriptor.size), (Digest::of(bytes), bytes.len() as u64));
            }
        }
    }

    #[test]
    fn other_references_are_no_attestations() {
        let mut entry = Descriptor::new(media_type::OCI_MANIFEST, Digest::of(b"x"), 1);
        entry.annotations.insert(REFERENCE_DIGEST.to_owned(), Digest::of(b"image").to_string());
        assert!(subject_of(&entry).is_some(), "early ones have no type");
        entry.annotations.insert(REFERENCE_TYPE.to_owned(), "signature".to_owned());
        assert_eq!(subject_of(&entry), None);
    }
}
