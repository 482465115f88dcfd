//! Commands that speak to registries.

pub(crate) mod attested;
mod copy;
mod imagetools;
mod login;
mod transfer;

pub(crate) use copy::{CopyArgs, copy, into_layout};
pub(crate) use imagetools::{ImagetoolsCommand, imagetools};
pub(crate) use login::{LoginArgs, LogoutArgs, login, logout};
pub(crate) use transfer::{PullArgs, PushArgs, pull, push};
