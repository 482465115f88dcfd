//! Operations carried out on a real store: what COPY, ADD and RUN leave in their layers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod adds;
mod contexts;
mod copies;
mod runs;
mod world;
