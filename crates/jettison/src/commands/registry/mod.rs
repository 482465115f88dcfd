//! Commands that speak to registries.

mod imagetools;
mod login;
mod transfer;

pub(crate) use imagetools::{CopyArgs, ImagetoolsCommand, copy, imagetools};
pub(crate) use login::{LoginArgs, LogoutArgs, login, logout};
pub(crate) use transfer::{PullArgs, PushArgs, progress, pull, push};
