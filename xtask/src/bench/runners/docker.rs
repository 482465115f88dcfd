//! Docker's engine with its own BuildKit, and whichever of its command lines can build with it.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::works::Work;
use super::super::{Place, machine, works};
use super::daemon::Daemon;
use super::{Build, Network, Runner, with_proxies};
use crate::trouble::{Doing, Result, Trouble};
use crate::{setup, shell};

/// Finds an engine that answers, or starts one of its own, and a command line that builds with it.
pub(super) fn find(_layout: &Path, place: &Place) -> Result<Option<Box<dyn Runner>>> {
    let clients = clients();
    let Some(first) = clients.first() else { return Ok(None) };
    let mut docker = Docker { client: first.clone(), socket: None, version: String::new(), _engine: None };
    if docker.engine().is_none() {
        if !shell::has("dockerd") || !setup::is_root() {
            return Ok(None);
        }
        docker.start(place)?;
    }
    let context = place.folder.join("works/docker-client");
    works::make(&works::EMPTY, &context, "")?;
    let build = Build { context: &context, tag: "jettison-bench-client", network: Network::None };
    let mut last = None;
    for client in clients {
        docker.client = client;
        let mut command = docker.start_build(&build);
        command.arg(build.context);
        match shell::output(&mut command) {
            Ok(_) => {
                docker.version = docker.versions();
                docker.forget(build.tag);
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
    /// Of the engine that was started here.
    socket: Option<PathBuf>,
    version: String,
    _engine: Option<Daemon>,
}

impl Docker {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.client);
        command.env("DOCKER_BUILDKIT", "1");
        if let Some(socket) = &self.socket {
            command.arg("--host").arg(format!("unix://{}", socket.display()));
        }
        command.args(words);
        command
    }

    /// The engine's version, if one answers.
    fn engine(&self) -> Option<String> {
        machine::said(&mut self.command(&["version", "--format", "{{.Server.Version}}"]))
    }

    fn versions(&self) -> String {
        let format = "engine {{.ServerVersion}}, {{.Driver}}";
        let engine = machine::said(&mut self.command(&["info", "--format", format])).unwrap_or_default();
        let client = self.command(&["version", "--format", "{{.Client.Version}}"]);
        let client = { client }.output().map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
        format!("{engine}, client {}", client.unwrap_or_default())
    }

    /// An engine with a socket and a store of its own, which leaves the machine's network alone.
    fn start(&mut self, place: &Place) -> Result<()> {
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
        self.socket = Some(socket);
        let log = place.folder.join("dockerd.log");
        self._engine = Some(Daemon::start(&mut command, &log, || self.engine().is_some())?);
        Ok(())
    }

    fn start_build(&self, build: &Build<'_>) -> Command {
        let mut command = self.command(&["build", "--quiet", "--network", build.network.word()]);
        command.args(["--tag", build.tag]);
        with_proxies(&mut command);
        command
    }
}

impl Runner for Docker {
    fn name(&self) -> &str {
        "docker"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn takes(&self, _work: &Work) -> bool {
        true
    }

    fn load(&mut self, archive: &Path) -> Result<()> {
        shell::output(self.command(&["load", "--quiet", "--input"]).arg(archive)).map(drop)
    }

    fn build(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.start_build(build);
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

    fn run(&self, image: &str, network: Network) -> Vec<Command> {
        vec![self.command(&["run", "--rm", "--network", network.word(), image, "true"])]
    }

    fn forget(&self, tag: &str) {
        let _ = shell::whole(&mut self.command(&["rmi", "--force", tag]));
    }
}
