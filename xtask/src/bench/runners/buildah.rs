//! Buildah, which builds, and podman, which runs: one library beneath, and here one way to call them.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::works::{Does, Packing, Work};
use super::super::{Place, machine, works};
use super::{Build, Network, Runner, Where, with_proxies};
use crate::shell;
use crate::trouble::Result;

/// Finds buildah.
pub(super) fn find(at: &Where<'_>) -> Result<Option<Box<dyn Runner>>> {
    Ok(look("buildah", at.place).map(|tool| Box::new(tool) as Box<dyn Runner>))
}

/// Finds podman.
pub(super) fn find_podman(at: &Where<'_>) -> Result<Option<Box<dyn Runner>>> {
    Ok(look("podman", at.place).map(|tool| Box::new(tool) as Box<dyn Runner>))
}

fn look(name: &'static str, place: &Place) -> Option<Tool> {
    if !shell::has(name) {
        return None;
    }
    let said = machine::said(Command::new(name).arg("--version"))?;
    // `buildah version 1.28.2 (image-spec ...)`
    let number = said.split(' ').nth(2).unwrap_or(&said).to_owned();
    // Both take crun where they find it, and run it as it is configured; runc is what docker runs too.
    let runtime = shell::has("runc").then_some("runc");
    let version = runtime.map_or(number.clone(), |runtime| format!("{number}, {runtime}"));
    let (root, run) = (place.store(name), place.sockets.join(name));
    Some(Tool { name, version, runtime, root, run })
}

struct Tool {
    name: &'static str,
    version: String,
    runtime: Option<&'static str>,
    root: PathBuf,
    run: PathBuf,
}

impl Tool {
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.name);
        command.arg("--root").arg(&self.root).arg("--runroot").arg(&self.run).args(words);
        command
    }
}

impl Runner for Tool {
    fn name(&self) -> &str {
        self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn builds(&self) -> bool {
        self.name == "buildah"
    }

    fn takes(&self, work: &Work) -> bool {
        let runs = work.phases.iter().any(|phase| phase.does == Does::Run);
        runs != self.builds()
    }

    fn load(&mut self, archive: &Path) -> Result<()> {
        for image in [works::DEBIAN, works::NODE] {
            let from = format!("docker-archive:{}:docker.io/library/{image}", archive.display());
            shell::output(&mut self.command(&["pull", "--quiet", &from]))?;
        }
        Ok(())
    }

    fn build(&self, build: &Build<'_>) -> Vec<Command> {
        let mut command = self.command(&["build", "--quiet", "--layers", "--pull-never"]);
        command.args(["--network", build.network.word(), "--tag", build.tag]);
        if let Some(runtime) = self.runtime {
            command.args(["--runtime", runtime]);
        }
        with_proxies(&mut command);
        command.arg(build.context);
        vec![command]
    }

    fn archive(&self, build: &Build<'_>, to: &Path) -> Vec<Command> {
        let mut push = self.command(&["push", "--quiet", build.tag]);
        push.arg(format!("docker-archive:{}:{}", to.display(), build.tag));
        let mut commands = self.build(build);
        commands.push(push);
        commands
    }

    fn pull(&self, name: &str, _scratch: &Path) -> Result<Vec<Command>> {
        Ok(vec![self.command(&["pull", "--quiet", "--tls-verify=false", name])])
    }

    fn push(&self, build: &Build<'_>) -> Vec<Command> {
        vec![self.command(&["push", "--quiet", "--tls-verify=false", build.tag])]
    }

    fn pack(&self, build: &Build<'_>, packing: Packing, to: &Path) -> Vec<Command> {
        let mut push = self.command(&["push", "--quiet", "--compression-format", packing.word()]);
        push.args(["--compression-level", "1", build.tag]).arg(format!("oci-archive:{}", to.display()));
        vec![push]
    }

    fn run(&self, image: &str, network: Network) -> Vec<Command> {
        let mut command = self.command(&["--cgroup-manager", "cgroupfs"]);
        if let Some(runtime) = self.runtime {
            command.args(["--runtime", runtime]);
        }
        // Podman's defaults are above what some machines allow a root without CAP_SYS_RESOURCE.
        command.args(["run", "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        command.args(["--rm", "--network", network.word(), image, "true"]);
        vec![command]
    }
}
