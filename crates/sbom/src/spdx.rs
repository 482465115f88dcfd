//! The document: SPDX 2.3 as JSON (specification, clauses 6 to 11).
//!
//! ```text
//! SPDXRef-DOCUMENT ─ DESCRIBES ─▶ SPDXRef-Root ─ CONTAINS ─▶ SPDXRef-Package-KIND-NAME-DIGEST
//!                                                            ▲ DEPENDENCY_OF ─ SPDXRef-Package-...
//! ```
//! Nothing in it comes from a clock or from chance: identifiers are digests of what they name, and the namespace, which
//! must be another one for each document, is a UUID of version 8 (RFC 9562) made of the digest of all the rest.

use crate::inventory::{Inventory, Package, Party};
use crate::licence::{References, declared};
use oci::{Digest, timestamp};
use serde::Serialize;
use serde_json::Value;
use std::time::SystemTime;

/// What a document says besides what was found.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The name of the document and of what it describes.
    pub name: &'a str,
    /// When it was made, in whole seconds.
    pub created: SystemTime,
    /// The program that made it, with its version: `jettison-0.1.0`.
    pub creator: &'a str,
    /// The digests of the layers, lowest first, by the numbers of [`Evidence`](crate::Evidence); may be empty.
    pub layers: &'a [String],
}

const NO_ASSERTION: &str = "NOASSERTION";
const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const ROOT: &str = "SPDXRef-Root";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<Extracted>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    creators: Vec<String>,
    created: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    name: &'a str,
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_info: Option<&'a str>,
    supplier: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    originator: Option<String>,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: String,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Sum<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<Reference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Sum<'a> {
    algorithm: &'static str,
    checksum_value: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Extracted {
    license_id: String,
    extracted_text: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document of an inventory, with its keys in the order of the specification.
#[must_use]
pub fn spdx(inventory: &Inventory, about: &About<'_>) -> Value {
    let mut references = References::new();
    let ids: Vec<String> = inventory.packages.iter().map(identifier).collect();
    let relation = |from: &str, kind: &'static str, to: &str| Relationship {
        spdx_element_id: from.to_owned(),
        relationship_type: kind,
        related_spdx_element: to.to_owned(),
    };
    let mut packages = vec![root(inventory, about)];
    let items = inventory.packages.iter().zip(&ids);
    packages.extend(items.map(|(package, id)| item(package, id, about, &mut references)));
    let mut relationships = vec![relation(DOCUMENT, "DESCRIBES", ROOT)];
    relationships.extend(ids.iter().map(|id| relation(ROOT, "CONTAINS", id)));
    let edges =
        inventory.dependencies.iter().filter_map(|(needed, by)| Some((ids.get(*needed)?, ids.get(*by)?)));
    relationships.extend(edges.map(|(needed, by)| relation(needed, "DEPENDENCY_OF", by)));
    let extracted = references.into_iter();
    let mut document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: about.name,
        document_namespace: String::new(),
        creation_info: CreationInfo {
            creators: vec![format!("Tool: {}", about.creator)],
            created: seconds(about.created),
        },
        packages,
        has_extracted_licensing_infos: extracted
            .map(|(license_id, extracted_text)| Extracted { license_id, extracted_text })
            .collect(),
        relationships,
    };
    let json = serde_json::to_vec(&document).expect(WRITTEN);
    document.document_namespace = namespace(&json);
    serde_json::to_value(&document).expect(WRITTEN)
}

const WRITTEN: &str = "because all keys are text and nothing fails to be written";

/// What the document describes: the tree itself.
fn root<'a>(inventory: &Inventory, about: &About<'a>) -> Item<'a> {
    let distribution = inventory.distribution.as_ref().filter(|distribution| !distribution.name.is_empty());
    Item {
        name: about.name,
        id: ROOT.to_owned(),
        version_info: None,
        supplier: NO_ASSERTION.to_owned(),
        originator: None,
        download_location: NO_ASSERTION,
        files_analyzed: false,
        homepage: None,
        source_info: distribution.map(|distribution| format!("a root file system of {}", distribution.name)),
        license_concluded: NO_ASSERTION,
        license_declared: NO_ASSERTION.to_owned(),
        copyright_text: NO_ASSERTION,
        checksums: Vec::new(),
        external_refs: Vec::new(),
        primary_package_purpose: Some("CONTAINER"),
    }
}

fn item<'a>(package: &'a Package, id: &str, about: &About<'_>, references: &mut References) -> Item<'a> {
    let purl = Some(&package.purl).filter(|purl| !purl.is_empty());
    let sums = package.checksums.iter();
    Item {
        name: &package.name,
        id: id.to_owned(),
        version_info: Some(&package.version),
        supplier: package.supplier.as_ref().map_or_else(|| NO_ASSERTION.to_owned(), party),
        originator: package.originator.as_ref().map(party),
        download_location: NO_ASSERTION,
        files_analyzed: false,
        homepage: package.homepage.as_deref().filter(|url| is_page(url)),
        source_info: Some(source_info(package, about.layers)),
        license_concluded: NO_ASSERTION,
        license_declared: declared(&package.licences, references).unwrap_or_else(|| NO_ASSERTION.to_owned()),
        copyright_text: NO_ASSERTION,
        checksums: sums.map(|sum| Sum { algorithm: sum.algorithm, checksum_value: &sum.hex }).collect(),
        external_refs: purl
            .map(|purl| Reference {
                reference_category: "PACKAGE-MANAGER",
                reference_type: "purl",
                reference_locator: purl,
            })
            .into_iter()
            .collect(),
        primary_package_purpose: None,
    }
}

/// `SPDXRef-` and letters, digits, `.` and `-`, the same for the same package in every document.
fn identifier(package: &Package) -> String {
    let kind = package.kind.name();
    let all = [kind, &package.name, &package.version, &package.purl].join("\0");
    let fits = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    let name: String = package.name.chars().take(60).map(fits).collect();
    format!("SPDXRef-Package-{kind}-{name}-{}", &Digest::of(all.as_bytes()).hex()[..16])
}

/// Where the package was found, and what it was built from.
fn source_info(package: &Package, layers: &[String]) -> String {
    let places = package.evidence.iter().map(|evidence| match layers.get(evidence.layer) {
        Some(layer) => format!("/{} (layer {layer})", evidence.path),
        None => format!("/{}", evidence.path),
    });
    let mut text = format!("found in {}: {}", package.kind.found_in(), places.collect::<Vec<_>>().join(", "));
    if let Some(source) = &package.source {
        text.push_str("; built from ");
        text.push_str(&source.name);
        if let Some(version) = &source.version {
            text.push(' ');
            text.push_str(version);
        }
    }
    text
}

/// `Person: Name (address)`.
fn party(party: &Party) -> String {
    let kind = if party.organisation { "Organization" } else { "Person" };
    match &party.email {
        Some(email) => format!("{kind}: {} ({email})", party.name),
        None => format!("{kind}: {}", party.name),
    }
}

/// A home page must be a URL; many packages have something else there.
fn is_page(url: &str) -> bool {
    let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    rest.is_some_and(|rest| {
        rest.starts_with(|c: char| c.is_ascii_alphanumeric()) && url.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// RFC 3339 in whole seconds, as SPDX wants it.
fn seconds(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    timestamp::rfc3339(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs()))
}

/// A UUID that follows from the document.
fn namespace(document: &[u8]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Digest::of(document).as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("urn:uuid:{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
