//! Real containers of a small busybox image, each test in a store of its own.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod copying;
mod engine;
mod network;
mod running;
mod support;

/// Not a test: the monitors of the other tests are this program, started again with this one chosen.
#[test]
#[ignore = "the monitor's own process, started by the other tests"]
fn monitor_process() {
    assert_eq!(container::monitor::main(), 0);
}
