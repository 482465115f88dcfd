//! The client against real and lying servers, all on loopback, each started and ended by its test.
#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests, too")]

mod auth;
mod broken;
mod mirrors;
mod real;
mod server;
mod tls;
