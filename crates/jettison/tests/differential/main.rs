//! The same Dockerfile, built by `jettison` and by a peer: same files, same configuration, same history, or both refuse.
//!
//! Each folder of `tests/cases` is a case; `CONTRIBUTING.md` says how to add one. A case is compared with Debian's
//! docker engine, which this binary starts for itself, or, where that engine (of 2022) does not know the feature or
//! means something else by now, with what a current BuildKit was seen to make, kept as `expected.json`.
//!
//! ```console
//! $ cargo test -p jettison --test differential                 # all cases
//! $ cargo test -p jettison --test differential -- copy heredoc # cases whose names hold one of the words
//! $ JETTISON_RECORD_BUILDCTL="buildctl --addr ..." cargo test -p jettison --test differential -- copy
//! ```
//! The last one asks that BuildKit instead: it writes `expected.json` of the recorded cases, and compares the others.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_macros, reason = "tests")]

mod archive;
mod case;
mod docker;
#[path = "../e2e/harness/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the end-to-end tests use the rest")]
mod harness;
mod judge;
mod ours;
mod record;
mod server;
mod shape;

use case::{Case, Peer};
use shape::Outcome;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// Cases built at once. Builds wait for the disk and for processes more than they compute.
const AT_ONCE: usize = 4;

fn main() -> ExitCode {
    let mut list = false;
    let mut wanted = Vec::new();
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--list" => list = true,
            flag if flag.starts_with('-') => {}
            _ => wanted.push(word),
        }
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases = case::read_all(&folder);
    cases.retain(|case| wanted.is_empty() || wanted.iter().any(|word| case.name.contains(word.as_str())));
    if list {
        for case in &cases {
            println!("{}: test", case.name);
        }
        return ExitCode::SUCCESS;
    }
    if cases.is_empty() {
        println!("no case is named so");
        return ExitCode::SUCCESS;
    }
    if run_all(&cases) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Builds every case twice and says what differs. Whether all is as it should be.
fn run_all(cases: &[Case]) -> bool {
    let begun = Instant::now();
    let recorder = record::Recorder::from_environment();
    let live = recorder.is_none() && cases.iter().any(|case| case.peer == Peer::Docker);
    let room = harness::folder();
    let archive = docker::busybox(room.path());
    let base = archive::read(&archive);
    // Both get ready at once; the engine is started by this thread, with which it ends.
    let (ours, docker) = std::thread::scope(|scope| {
        let ours = scope.spawn(ours::Jettison::ready);
        let docker = live.then(|| docker::Engine::start(&archive));
        (ours.join().expect("the store is seeded"), docker)
    });
    let ready = begun.elapsed();
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let faults = catch_unwind(AssertUnwindSafe(|| {
                        let work = case.prepare();
                        let hidden = |outcome: Outcome| work.without_address(outcome);
                        let seen = match (&recorder, &docker, case.peer) {
                            (Some(recorder), _, _) => recorder.build(case, &work, &base),
                            (None, Some(docker), Peer::Docker) => docker.build(case, &work, &base),
                            (None, _, _) => case.expected(),
                        };
                        let seen = hidden(seen);
                        if recorder.is_some() && case.peer == Peer::Recorded {
                            case.write_expected(&seen);
                        }
                        judge::judge(case, &hidden(ours.build(case, &work, &base)), &seen)
                    }))
                    .unwrap_or_else(|_| vec!["the test itself panicked; its message is above".to_owned()]);
                    let time = begun.elapsed().as_secs_f64();
                    if faults.is_empty() {
                        println!("case {} ... ok ({time:.2} s)", case.name);
                    } else {
                        println!("case {} ... FAILED ({time:.2} s)", case.name);
                        failed.lock().unwrap().push((case, faults));
                    }
                }
            });
        }
    });
    drop(docker);
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(case, _)| &case.name);
    for (case, faults) in &failed {
        println!("\n--- {}: {}", case.name, case.about);
        for fault in faults {
            println!("{fault}");
        }
    }
    let known: usize = cases.iter().map(|case| case.known.len()).sum();
    let live = cases.iter().filter(|case| case.peer == Peer::Docker).count();
    println!(
        "\n{} cases ({live} against the docker engine, {} recorded), {known} known differences, {} failed; ready in {:.1} s, together {:.1} s",
        cases.len(),
        cases.len() - live,
        failed.len(),
        ready.as_secs_f64(),
        begun.elapsed().as_secs_f64()
    );
    failed.is_empty()
}
