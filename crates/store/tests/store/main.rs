//! The store as its users see it, in one process; `processes.rs` has several.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod blobs;
mod collect;
mod containers;
mod images;
mod indexes;
mod opening;
mod records;

use layer::{Content, Entry, Kind, LayerId, Listing, Place, Time};
use oci::Digest;
use std::time::Duration;
use store::{Commit, NewRecord, Options, Store};
use tempfile::TempDir;

/// A store in a folder of its own. Leases protect nothing that was used before them, so that tests need not wait.
fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(options(&dir)).unwrap();
    (dir, store)
}

fn options(dir: &TempDir) -> Options {
    let mut options = Options::new(dir.path().join("root"));
    options.grace = Duration::ZERO;
    options
}

fn key(mark: u64) -> Digest {
    Digest::of(&mark.to_le_bytes())
}

fn file(path: &str, text: &str, content: Content<'static>) -> Entry<'static> {
    let kind = Kind::File { size: text.len() as u64, digest: Digest::of(text.as_bytes()), link: 0, content };
    Entry {
        path: path.as_bytes().to_vec().into(),
        kind,
        mode: 0o644,
        uid: 0,
        gid: 0,
        mtime: Time::default(),
        xattrs: Vec::new().into(),
    }
}

/// Commits a record with one new layer on `below`, which holds one file of `bytes` bytes; gives the whole stack.
fn step(store: &Store, mark: u64, below: &[LayerId], bytes: usize) -> Vec<LayerId> {
    let mut draft = store.new_layer().unwrap();
    draft.make_folders().unwrap();
    let text = "x".repeat(bytes);
    std::fs::write(draft.fs().join("file"), &text).unwrap();
    let own = Content::Own(Place::Folder);
    draft.write_listing(&Listing::new(vec![file("file", &text, own)], Vec::new())).unwrap();
    let mut stack = below.to_vec();
    stack.push(draft.id());
    let record = NewRecord { stack: stack.clone(), slot: format!("step {mark}"), ..NewRecord::default() };
    let record = Some((key(mark), record));
    store.commit(Commit { layers: vec![draft], record, links: Vec::new() }).unwrap();
    stack
}
