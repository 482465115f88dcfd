//! Operations carried out on a real store: what COPY, ADD and RUN leave in their layers.

mod adds;
mod contexts;
mod copies;
mod runs;
mod world;
