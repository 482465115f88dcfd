//! Bills of material of a build's results: each is scanned once, when everything is built and before anything leaves.

use super::tree::Tree;
use crate::error::{CommandError, Outcome};
use ::sbom::{About, Inventory, ScanOptions};
use attest::Attestation;
use layer::LayerId;
use oci::{Descriptor, Platform};
use progress::{Progress, VertexHandle};
use snapshot::Forms;
use std::time::SystemTime;

/// The name of the document about a result itself, as BuildKit's.
const RESULT: &str = "sbom";
/// Who makes the documents.
const CREATOR: &str = concat!("jettison-", env!("CARGO_PKG_VERSION"));
/// How many files that could not be read are named.
const NAMED: usize = 5;

/// What one scan found.
pub(super) struct Scan {
    /// What was looked into besides the result; nothing is the result itself.
    extra: Option<String>,
    found: Inventory,
}

impl Scan {
    /// Scans the result for a platform, or what `extra` names.
    ///
    /// # Errors
    /// Layers that cannot be had or read.
    pub(super) fn new(
        forms: &Forms,
        progress: &Progress,
        platform: &Platform,
        extra: Option<&str>,
        stack: &[LayerId],
    ) -> Outcome<Self> {
        let of = extra.map(|extra| format!(" of {extra}")).unwrap_or_default();
        let vertex = progress.start(&format!("[{platform}] generating sbom{of}"));
        let found = scan(forms, &vertex, stack).inspect_err(|error| vertex.fail(&error.message))?;
        for skipped in found.skipped.iter().take(NAMED) {
            vertex.note(&format!("/{} is left out: it {}", skipped.path, skipped.reason));
        }
        if let Some(more) = found.skipped.len().checked_sub(NAMED).filter(|more| *more > 0) {
            vertex.note(&format!("{more} more files are left out"));
        }
        vertex.note(&format!("{} packages", found.packages.len()));
        vertex.done();
        Ok(Self { extra: extra.map(str::to_owned), found })
    }

    /// The document, dated `created`, of layers that leave as `layers`.
    pub(super) fn attestation(&self, created: SystemTime, layers: &[Descriptor]) -> Attestation {
        // Only the result's layers leave.
        let layers = if self.extra.is_none() { layers } else { &[] };
        let layers: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
        let name = match &self.extra {
            Some(extra) => format!("{RESULT}-{extra}"),
            None => RESULT.to_owned(),
        };
        let about = About { name: &name, created, creator: CREATOR, layers: &layers };
        Attestation::spdx(&name, ::sbom::spdx(&self.found, &about))
    }
}

fn scan(forms: &Forms, vertex: &VertexHandle, stack: &[LayerId]) -> Outcome<Inventory> {
    let tree = Tree::new(forms, stack, vertex)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    ::sbom::scan(&tree, &ScanOptions { threads }).map_err(|error| CommandError::chain(&error))
}
