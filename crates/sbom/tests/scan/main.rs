//! Scans of trees in memory: what each scanner finds, what is left out, and what hostile files do.
#![allow(clippy::unwrap_used, reason = "tests")]

mod document;
mod elf;
mod hostile;
mod java;
mod packages;
mod programs;
mod rpm;
mod tree;
