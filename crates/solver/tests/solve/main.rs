//! Whole solves over fakes: what runs, what hits, why, and what happens at once.
#![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

mod failures;
mod hits;
mod parallel;
mod reasons;
mod remote;
mod world;
