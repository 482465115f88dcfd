//! How long a step takes. Run with `cargo test --release -p sandbox --test speed -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use sandbox::{Launcher, Network, Seccomp, Stdio};
use support::Root;

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[test]
#[ignore = "a measurement, not a check"]
fn a_step_in_a_ready_root() {
    let launcher = Launcher::new().unwrap();
    // What a build has in memory is copied as page tables at each clone.
    let ballast = vec![1u8; 64 << 20];
    for (what, overlay_counts, seccomp, network) in [
        ("overlay mount, new network, seccomp", true, Seccomp::Docker, Network::None),
        ("new network, seccomp", false, Seccomp::Docker, Network::None),
        ("host network, seccomp", false, Seccomp::Docker, Network::Host),
        ("host network, no seccomp", false, Seccomp::Unconfined, Network::Host),
    ] {
        let mut root = Root::new();
        root.volatile = true;
        for name in ["proc", "sys", "dev"] {
            std::fs::create_dir(root.dir.path().join("base").join(name)).unwrap();
        }
        let (mut all, mut spawns) = (Vec::new(), Vec::new());
        for number in 0..200 {
            root.renew(number);
            let early = Instant::now();
            let mut spec = root.spec(&["/bin/true"]);
            let begun = if overlay_counts { early } else { Instant::now() };
            spec.seccomp = seccomp;
            spec.network = network.clone();
            let child = launcher.spawn(&spec, &Stdio::default()).unwrap();
            spawns.push(begun.elapsed());
            assert!(child.wait().unwrap().success());
            all.push(begun.elapsed());
        }
        let line = format!("{what}: to exec {:?}, to the end {:?}\n", median(spawns), median(all));
        std::io::stderr().write_all(line.as_bytes()).unwrap();
    }
    drop(ballast);
}
