//! Docker's engine with its own BuildKit, and whichever of its command lines can build with it.
//!
//! The engine is always one of the bench's own: the machine's may hold real images under the names of the
//! stand-ins.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::works::{Does, Work};
use super::super::{Place, machine, works};
use super::daemon::Daemon;
use super::{Build, Network, Runner, Where, with_proxies};
use crate::trouble::{Doing, Result, Trouble};
use crate::{setup, shell};

/// Starts an engine and finds a command line that builds with it.
pub(super) fn find(at: &Where<'_>) -> Result<Option<Box<dyn Runner>>> {
    let place = at.place;
    let clients = clients();
    let Some(first) = clients.first() else { return Ok(None) };
    if !shell::has("dockerd") || !setup::is_root() {
        return Ok(None);
    }
    let mut docker = Docker::start(first.clone(), place)?;
    let context = place.folder.join("works/docker-client");
    works::make(&works::EMPTY, &context, "")?;
    let build = Build { context: &context, tag: "jettison-bench-client", network: Network::None };
    let mut last = None;
    for client in clients {
        docker.client = client;
        match docker.build(&build).iter_mut().try_for_each(|command| shell::output(command).map(drop)) {
            Ok(()) => {
                docker.version = docker.versions();
                return Ok(Some(Box::new(docker)));
            }
            Err(trouble) => last = Some(trouble),
        }
    }
    Err(last.unwrap_or_else(|| Trouble::Said("no docker command line is here".to_owned())))
}

/// Every `docker` in `PATH`: a newer one may lack the buildx that it needs to build.
fn clients() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join("docker")).filter(|file| file.is_file()).collect()
}

struct Docker {
    client: PathBuf,
    socket: PathBuf,
    version: String,
    _engine: Daemon,
}

impl Docker {
    /// An engine with a socket and a store of its own, which leaves the machine's network alone.
    fn start(client: PathBuf, place: &Place) -> Result<Self> {
        let run = place.sockets.join("docker");
        let store = place.store("docker");
        for folder in [&run, &store] {
            std::fs::create_dir_all(folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        }
        let socket = run.join("socket");
        let mut command = Command::new("dockerd");
        command.arg("--data-root").arg(&store).arg("--exec-root").arg(run.join("exec"));
        command.arg("--pidfile").arg(run.join("pid"));
        command.arg("--host").arg(format!("unix://{}", socket.display()));
        command.args(["--iptables=false", "--bridge=none"]);
        let log = place.folder.join("dockerd.log");
        let asked = || {
            let mut ask = docker(&client, &socket, &["version", "--format", "{{.Server.Version}}"]);
            machine::said(&mut ask).is_some()
        };
        let engine = Daemon::start(&mut command, &log, asked)?;
        Ok(Self { client, socket, version: String::new(), _engine: engine })
    }

    fn command(&self, words: &[&str]) -> Command {
        docker(&self.client, &self.socket, words)
    }

    fn versions(&self) -> String {
        let said = |words: &[&str]| machine::said(&mut self.command(words)).unwrap_or_default();
        let engine = said(&["info", "--format", "engine {{.ServerVersion}}, {{.Driver}}"]);
        format!("{engine}, client {}", said(&["version", "--format", "{{.Client.Version}}"]))
    }
}

fn docker(client: &Path, socket: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(client);
    command.env("DOCKER_BUILDKIT", "1").arg("--host").arg(format!("unix://{}", socket.display())).args(words);
    command
}

impl Runner for Docker {
    fn name(&self) -> &str {
        "docker"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn takes(&self, work: &Work) -> bool {
        // `docker save` compresses nothing.
        !work.phases.iter().any(|phase| matches!(phase.does, Does::Pack(_)))
    }

    fn load(&mut self, archive: &Path) -> Result<()> {
        shell::output(self.command(&["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    fn build(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.command(&["build", "--quiet", "--network", build.network.word()]);
        command.args(["--tag", build.tag]);
        with_proxies(&mut command);
        command.arg(build.context);
        vec![command]
    }

    fn archive(&self, build: &Build<'_>, to: &Path) -> Vec<Command> {
        // The engine's own BuildKit has no exporter for archives.
        let mut save = self.command(&["save", "--output"]);
        save.arg(to).arg(build.tag);
        let mut commands = self.build(build);
        commands.push(save);
        commands
    }

    fn pull(&self, name: &str, _scratch: &Path) -> Result<Vec<Command>> {
        Ok(vec![self.command(&["pull", "--quiet", name])])
    }

    fn push(&self, build: &Build<'_>) -> Vec<Command> {
        vec![self.command(&["push", "--quiet", build.tag])]
    }

    fn run(&self, image: &str, network: Network) -> Vec<Command> {
        vec![self.command(&["run", "--rm", "--network", network.word(), image, "true"])]
    }
}
