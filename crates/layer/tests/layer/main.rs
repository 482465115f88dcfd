//! Layers through all their forms, and against the tools that others use.
#![allow(clippy::unwrap_used, reason = "in a test a failed call is a failed test")]

mod erofs;
mod foreign;
mod forms;
mod hostile;
mod kit;
mod overlay;
