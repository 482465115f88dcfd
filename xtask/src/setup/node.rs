//! Tools that come from npm, each in a folder of its own below the target folder: programs in its `node_modules/.bin`.
//! Versions are pinned, so that every machine tests with the same ones.

use std::path::PathBuf;
use std::process::Command;

use crate::shell::{output, target};
use crate::trouble::{Result, Trouble};

/// A package of npm.
pub(crate) struct Tool {
    /// The folder below the target folder, which the tests know as well.
    folder: &'static str,
    /// Name and version, as npm takes them.
    package: &'static str,
    /// A program of it that says its version.
    program: &'static str,
}

/// Azure's own emulator of its blob storage, which checks signatures: the end-to-end tests of caches write to it.
const AZURITE: Tool = Tool { folder: "azurite", package: "azurite@3.35.0", program: "azurite-blob" };

/// What the tests take.
pub(crate) const TESTS: &[Tool] = &[AZURITE];

impl Tool {
    fn program(&self) -> PathBuf {
        target().join(self.folder).join("node_modules/.bin").join(self.program)
    }

    /// Installs the tool where it does not work yet. One that does not work afterwards is an error.
    pub(crate) fn ready(&self) -> Result<()> {
        if self.works() {
            return Ok(());
        }
        let folder = target().join(self.folder);
        eprintln!("setup: installing {} of npm into {}", self.package, folder.display());
        output(
            Command::new("npm")
                .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
                .arg(&folder)
                .arg(self.package),
        )?;
        if self.works() {
            return Ok(());
        }
        Err(Trouble::Said(format!("{} is installed in {} and does not work", self.package, folder.display())))
    }

    fn works(&self) -> bool {
        output(Command::new(self.program()).arg("--version")).is_ok()
    }
}
