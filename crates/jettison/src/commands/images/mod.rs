//! Commands about images in the store.

mod archive;
pub(crate) mod filter;
mod history;
mod import;
mod inspect;
mod list;
mod remove;
mod tree;

pub(crate) use archive::{LoadArgs, SaveArgs, load, save};
pub(crate) use filter as filters;
pub(crate) use history::{HistoryArgs, history, stamp};
pub(crate) use import::{ImportArgs, import};
pub(crate) use inspect::{InspectArgs, inspect, show};
pub(crate) use list::{ListArgs, list};
pub(crate) use remove::{RemoveArgs, TagArgs, remove, tag};

use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;

/// Tools for commands that speak to no registry.
fn local(environment: Environment) -> Engine {
    Engine::new(environment, RegistryFlags::default())
}
