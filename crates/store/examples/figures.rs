//! The figures of the crate doc: `cargo run --release -p store --example figures [FOLDER]`.
//!
//! Makes a store of 5,000 records in chains of 60 in FOLDER (a temporary one without) and prints medians. Times depend
//! on the disk and on what else runs; the page cache is warm.
#![allow(clippy::unwrap_used, reason = "an example fails aloud")]
#![allow(clippy::explicit_write, reason = "the print macros are banned")]

use layer::Listing;
use oci::Digest;
use std::io::{Write, stdout};
use std::time::{Duration, Instant};
use store::{Commit, NewRecord, Options, Prune, Store};

const CHAIN: u64 = 60;
const CHAINS: u64 = 84;

fn main() {
    let made = tempfile::tempdir().unwrap();
    let folder = std::env::args().nth(1).map_or(made.path().to_owned(), Into::into);
    let options = Options::new(folder.join("store"));
    report("make a store", &[timed(|| drop(Store::open(options.clone()).unwrap()))]);

    let store = Store::open(options.clone()).unwrap();
    let mut commits = Vec::new();
    let mut drafts = Vec::new();
    for chain in 0..CHAINS {
        let mut stack = Vec::new();
        for step in 0..CHAIN {
            let mut draft = None;
            drafts.push(timed(|| {
                let mut made = store.new_layer().unwrap();
                made.make_folders().unwrap();
                made.write_listing(&Listing::default()).unwrap();
                draft = Some(made);
            }));
            let draft = draft.unwrap();
            stack.push(draft.id());
            let text = "a key in plain text ".repeat(40);
            let record = NewRecord { stack: stack.clone(), text, ..NewRecord::default() };
            let record = Some((key(chain, step), record));
            let links = vec![(key(chain + 1000, step), key(chain, step))];
            commits.push(timed(|| store.commit(Commit { layers: vec![draft], record, links }).unwrap()));
        }
    }
    report("draft a layer: folders and listing", &drafts);
    report("commit a layer, a record and a link", &commits);
    report("finish", &[timed(|| store.finish().unwrap())]);
    drop(store);

    let keys: Vec<[Digest; 2]> = (0..CHAIN).map(|step| [key(1000, step), key(0, step)]).collect();
    report("open", &repeat(|| drop(Store::open(options.clone()).unwrap())));
    report("open and find one", &repeat(|| find(&options, &keys[..1])));
    report("open and find a chain of 60", &repeat(|| find(&options, &keys)));
    let mut eager = options.clone();
    eager.grace = Duration::ZERO;
    report("the same, used too long ago: 60 touched", &repeat(|| find(&eager, &keys)));
    let store = Store::open(options).unwrap();
    report("sweep with nothing to do", &[timed(|| drop(store.prune(&Prune::default()).unwrap()))]);
}

fn find(options: &Options, keys: &[[Digest; 2]]) {
    let store = Store::open(options.clone()).unwrap();
    assert!(store.find_many(keys).unwrap().iter().all(Option::is_some));
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn repeat(work: impl Fn()) -> Vec<Duration> {
    (0..51).map(|_| timed(&work)).collect()
}

fn report(what: &str, times: &[Duration]) {
    let mut sorted = times.to_vec();
    sorted.sort();
    let (median, worst) = (sorted[sorted.len() / 2], sorted[sorted.len() - 1]);
    writeln!(stdout(), "{what:<42} {:>9.3} ms, at worst {:>9.3} ms", ms(median), ms(worst)).unwrap();
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn key(chain: u64, step: u64) -> Digest {
    Digest::of(format!("{chain} {step}").as_bytes())
}
