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
pub(super) struct Scan(Inventory);

impl Scan {
    /// Scans the result for a platform.
    ///
    /// # Errors
    /// Layers that cannot be had or read.
    pub(super) fn new(
        forms: &Forms,
        progress: &Progress,
        platform: &Platform,
        stack: &[LayerId],
    ) -> Outcome<Self> {
        let vertex = progress.start(&format!("[{platform}] generating sbom"));
        let found = scan(forms, &vertex, stack).inspect_err(|error| vertex.fail(&error.message))?;
        for skipped in found.skipped.iter().take(NAMED) {
            vertex.note(&format!("/{} is left out: it {}", skipped.path, skipped.reason));
        }
        if let Some(more) = found.skipped.len().checked_sub(NAMED).filter(|more| *more > 0) {
            vertex.note(&format!("{more} more files are left out"));
        }
        vertex.note(&format!("{} packages", found.packages.len()));
        vertex.done();
        Ok(Self(found))
    }

    /// The document, dated `created`, of layers that leave as `layers`.
    pub(super) fn attestation(&self, created: SystemTime, layers: &[Descriptor]) -> Attestation {
        let layers: Vec<String> = layers.iter().map(|layer| layer.digest.to_string()).collect();
        let about = About { name: RESULT, created, creator: CREATOR, layers: &layers };
        Attestation::spdx(RESULT, ::sbom::spdx(&self.0, &about))
    }
}

fn scan(forms: &Forms, vertex: &VertexHandle, stack: &[LayerId]) -> Outcome<Inventory> {
    let tree = Tree::new(forms, stack, vertex)?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    ::sbom::scan(&tree, &ScanOptions { threads }).map_err(|error| CommandError::chain(&error))
}
