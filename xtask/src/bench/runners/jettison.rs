//! Jettison, with a store below `target/bench`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::works::{self, Does, Packing, Work};
use super::super::{Place, machine};
use super::{Build, Network, Runner, with_proxies};
use crate::shell;
use crate::trouble::{Result, Trouble};

/// The program that this repository makes.
pub(super) struct Jettison {
    program: PathBuf,
    store: PathBuf,
    layout: PathBuf,
    version: String,
    /// Steps get the network that they get when a user says nothing.
    default_network: bool,
}

impl Jettison {
    pub(super) fn new(program: &Path, layout: &Path, place: &Place, default_network: bool) -> Result<Self> {
        let version = machine::said(Command::new(program).arg("--version"))
            .ok_or_else(|| Trouble::Said(format!("`{}` does not tell its version", program.display())))?;
        Ok(Self {
            program: program.to_owned(),
            store: place.store(if default_network { "jettison-network" } else { "jettison" }),
            layout: layout.to_owned(),
            version,
            default_network,
        })
    }

    fn command(&self, word: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(word).env("JETTISON_ROOT", &self.store);
        command
    }

    fn network(&self, command: &mut Command, network: Network) {
        if self.default_network {
            return;
        }
        command.arg("--network").arg(network.word());
    }

    fn start(&self, build: &Build<'_>) -> Command {
        let mut command = self.command("build");
        command.arg("--quiet");
        self.network(&mut command, build.network);
        if build.network == Network::Host && !self.default_network {
            command.arg("--allow").arg("network.host");
        }
        with_proxies(&mut command);
        command
    }
}

impl Runner for Jettison {
    fn name(&self) -> &str {
        "jettison"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn variant(&self) -> &'static str {
        if self.default_network { "default network" } else { "" }
    }

    fn is_peer(&self) -> bool {
        // Without a network to give, the extra lines are left out and the rest is measured.
        self.default_network
    }

    fn takes(&self, work: &Work) -> bool {
        // One step is no measure of a network, and the context is the same; what follows a build has none.
        let same = |does| matches!(does, Does::Archive | Does::Ready | Does::Pull | Does::Check);
        !(self.default_network && work.phases.iter().any(|phase| same(phase.does)))
    }

    fn save_bases(&self, archive: &Path) -> Result<()> {
        shell::output(self.command("load").arg("--quiet").arg("--input").arg(&self.layout))?;
        let mut save = self.command("save");
        shell::output(save.arg("--output").arg(archive).args([works::DEBIAN, works::NODE])).map(drop)
    }

    fn load(&mut self, archive: &Path) -> Result<()> {
        shell::output(self.command("load").arg("--quiet").arg("--input").arg(archive)).map(drop)
    }

    fn build(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.start(build);
        command.arg("--tag").arg(build.tag).arg(build.context);
        vec![command]
    }

    fn archive(&self, build: &Build<'_>, to: &Path) -> Vec<Command> {
        let mut command = self.start(build);
        let output = format!("type=docker,dest={}", to.display());
        command.arg("--tag").arg(build.tag).arg("--output").arg(output).arg(build.context);
        vec![command]
    }

    fn pull(&self, name: &str, _scratch: &Path) -> Result<Vec<Command>> {
        let mut command = self.command("pull");
        command.args(["--quiet", "--tls-verify=false", name]);
        Ok(vec![command])
    }

    fn push(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.command("push");
        command.args(["--quiet", "--tls-verify=false", build.tag]);
        vec![command]
    }

    fn pack(&self, build: &Build<'_>, packing: Packing, to: &Path) -> Vec<Command> {
        let mut command = self.start(build);
        let output = format!(
            "type=oci,dest={},compression={},compression-level=1,force-compression=true",
            to.display(),
            packing.word()
        );
        command.arg("--tag").arg(build.tag).arg("--output").arg(output).arg(build.context);
        vec![command]
    }

    fn check(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.command("build");
        command.arg("--check").arg(build.context);
        vec![command]
    }

    fn run(&self, image: &str, network: Network) -> Vec<Command> {
        let mut command = self.command("run");
        command.arg("--rm");
        self.network(&mut command, network);
        command.arg(image).arg("true");
        vec![command]
    }
}
