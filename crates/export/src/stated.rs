//! Statements about a result's files, as files beside them: `provenance.json`, `sbom.spdx.json`.
//!
//! The subjects are all regular files, by their paths and digests. A statement stands where a file of the same name stood.

use crate::local::Options;
use attest::Subject;
use layer::{Bytes, Content, ContentSource, Entry, Kind, Listing, Place, StoredContent};
use oci::Digest;

/// The mode of such a file.
const MODE: u32 = 0o600;

/// The bytes of a result's files, and of the statements about them.
///
/// In a merged listing all bytes are another layer's; a file whose bytes are its own is a statement.
pub(crate) struct Stated {
    files: StoredContent,
    statements: Vec<u8>,
}

impl Stated {
    /// A result's listing with the statements that `options` ask for.
    pub(crate) fn new(files: StoredContent, listing: Listing, options: &Options) -> (Listing, Self) {
        let mut stated = Self { files, statements: Vec::new() };
        let wanted: Vec<_> = options.attestations.iter().filter(|one| !one.inline_only).collect();
        if wanted.is_empty() {
            return (listing, stated);
        }
        let subjects: Vec<Subject> = listing.entries().filter_map(subject).collect();
        let mut entries = Vec::with_capacity(wanted.len());
        for attestation in wanted {
            let text = attestation.statement(&subjects).to_text();
            let offset = stated.statements.len() as u64;
            let kind = Kind::File {
                size: text.len() as u64,
                digest: Digest::of(text.as_bytes()),
                link: 0,
                content: Content::Own(Place::Pack(offset)),
            };
            stated.statements.extend_from_slice(text.as_bytes());
            let path = options.statement_name(&attestation.file).into_bytes().into();
            let (mtime, xattrs) = (options.epoch.unwrap_or(options.now), Vec::new().into());
            entries.push(Entry { path, kind, mode: MODE, uid: 0, gid: 0, mtime, xattrs });
        }
        let borrowed = listing.borrowed().to_vec();
        (Listing::new(listing.entries().chain(entries), borrowed), stated)
    }
}

fn subject(entry: Entry<'_>) -> Option<Subject> {
    let Kind::File { digest, .. } = &entry.kind else { return None };
    Some(Subject::new(String::from_utf8_lossy(&entry.path).into_owned(), digest))
}

impl ContentSource for Stated {
    fn bytes(&mut self, entry: &Entry<'_>) -> layer::Result<Bytes<'_>> {
        if let Kind::File { size, content: Content::Own(Place::Pack(offset)), .. } = &entry.kind {
            let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            if let Some(bytes) = self.statements.get(place(*offset)..place(offset + size)) {
                return Ok(Bytes::Here(bytes));
            }
        }
        self.files.bytes(entry)
    }
}
