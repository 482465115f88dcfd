//! The commands, a file each or a few of a kind.

pub(crate) mod build;
pub(crate) mod builders;
pub(crate) mod containers;
pub(crate) mod generate;
pub(crate) mod images;
pub(crate) mod registry;
pub(crate) mod rootless;
pub(crate) mod system;
