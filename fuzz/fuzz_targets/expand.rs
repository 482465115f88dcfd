#![no_main]

#[allow(dead_code, reason = "each target calls one of the functions")]
#[path = "../../crates/dockerfile/tests/entries/mod.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::expand(bytes));
