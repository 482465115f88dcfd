//! Commands that speak to registries.

mod login;
mod transfer;

pub(crate) use login::{LoginArgs, LogoutArgs, login, logout};
pub(crate) use transfer::{PullArgs, PushArgs, progress, pull, push};
