//! BuildKit by itself: buildctl and a buildkitd of the bench's own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::super::works::{Does, Packing, Work};
use super::super::{machine, works};
use super::daemon::Daemon;
use super::{Build, Runner, Where, proxies};
use crate::trouble::{Doing, Result, Trouble};
use crate::{setup, shell};

/// Finds buildctl and buildkitd, and starts the daemon.
pub(super) fn find(at: &Where<'_>) -> Result<Option<Box<dyn Runner>>> {
    let Where { layout, place, buildkit } = *at;
    let program = |name: &str| buildkit.map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
    let (client, server) = (program("buildctl"), program("buildkitd"));
    let here = |name: &str| match buildkit {
        Some(folder) => folder.join(name).is_file(),
        None => shell::has(name),
    };
    if !here("buildctl") || !here("buildkitd") || !setup::is_root() {
        return Ok(None);
    }
    // `buildctl github.com/moby/buildkit v0.24.0 ...`
    let said = machine::said(Command::new(&client).arg("--version")).unwrap_or_default();
    let version = said.split(' ').nth(2).unwrap_or(&said).to_owned();
    let run = place.sockets.join("buildkit");
    fs::create_dir_all(&run).doing(|| format!("make the folder `{}`", run.display()))?;
    let address = format!("unix://{}", run.join("socket").display());
    let mut command = Command::new(&server);
    command.arg("--addr").arg(&address).arg("--root").arg(place.store("buildkit"));
    // As it is where it works by itself: no containerd, the machine's runc, overlayfs.
    command.args(["--containerd-worker=false", "--oci-worker=true", "--oci-worker-snapshotter=overlayfs"]);
    command.args(["--allow-insecure-entitlement", "network.host"]);
    let asked = || {
        let mut ask = Command::new(&client);
        shell::output(ask.args(["--addr", &address, "debug", "workers"])).is_ok()
    };
    let daemon = Daemon::start(&mut command, &place.folder.join("buildkitd.log"), asked)?;
    let bases = [works::DEBIAN, works::NODE];
    let bases = bases.into_iter().map(|name| Ok((name, digest(layout, name)?))).collect::<Result<_>>()?;
    Ok(Some(Box::new(BuildKit {
        client: client.clone(),
        address,
        layout: layout.to_owned(),
        bases,
        version,
        _daemon: daemon,
    })))
}

/// The digest of a base image's manifest in the layout.
fn digest(layout: &Path, name: &str) -> Result<String> {
    let path = layout.join("index.json");
    let bytes = fs::read(&path).doing(|| format!("read `{}`", path.display()))?;
    let index: Value = serde_json::from_slice(&bytes)
        .map_err(|source| Trouble::Json { what: path.display().to_string(), source })?;
    let full = format!("docker.io/library/{name}");
    let found = index["manifests"].as_array().and_then(|entries| {
        entries.iter().find(|entry| entry["annotations"]["io.containerd.image.name"] == full.as_str())
    });
    match found.and_then(|entry| entry["digest"].as_str()) {
        Some(digest) => Ok(digest.to_owned()),
        None => Err(Trouble::Said(format!("`{}` has no image {full}", path.display()))),
    }
}

struct BuildKit {
    client: PathBuf,
    address: String,
    layout: PathBuf,
    /// Name and digest.
    bases: Vec<(&'static str, String)>,
    version: String,
    _daemon: Daemon,
}

impl BuildKit {
    fn start(&self, build: &Build<'_>, output: Option<&str>) -> Vec<Command> {
        let mut command = Command::new(&self.client);
        command.args([
            "--addr",
            &self.address,
            "build",
            "--progress",
            "quiet",
            "--frontend",
            "dockerfile.v0",
        ]);
        for local in ["context", "dockerfile"] {
            command.arg("--local").arg(format!("{local}={}", build.context.display()));
        }
        command.arg("--oci-layout").arg(format!("bases={}", self.layout.display()));
        for (name, digest) in &self.bases {
            command.arg("--opt").arg(format!("context:{name}=oci-layout://bases@{digest}"));
        }
        command.arg("--opt").arg(format!("force-network-mode={}", build.network.word()));
        if build.network == super::Network::Host {
            command.args(["--allow", "network.host"]);
        }
        for argument in proxies() {
            command.arg("--opt").arg(format!("build-arg:{argument}"));
        }
        if let Some(output) = output {
            command.args(["--output", output]);
        }
        vec![command]
    }
}

impl Runner for BuildKit {
    fn name(&self) -> &str {
        "buildkit"
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn takes(&self, work: &Work) -> bool {
        work.phases.iter().all(|phase| phase.does != Does::Run)
    }

    fn load(&mut self, _archive: &Path) -> Result<()> {
        // It takes the bases from the layout at the first build, which is not measured.
        Ok(())
    }

    fn build(&self, build: &Build<'_>) -> Vec<Command> {
        self.start(build, Some(&format!("type=image,name={}", build.tag)))
    }

    fn archive(&self, build: &Build<'_>, to: &Path) -> Vec<Command> {
        self.start(build, Some(&format!("type=docker,name={},dest={}", build.tag, to.display())))
    }

    fn ready(&self, build: &Build<'_>) -> Vec<Command> {
        // An image would have its layers compressed already.
        self.start(build, None)
    }

    fn pull(&self, name: &str, scratch: &Path) -> Result<Vec<Command>> {
        // It fetches and unpacks what a step needs, so there is one: a copy on top.
        let text = format!("FROM {name}\nCOPY Dockerfile /\n");
        let path = scratch.join("Dockerfile");
        fs::create_dir_all(scratch)
            .and_then(|()| fs::write(&path, text))
            .doing(|| format!("write `{}`", path.display()))?;
        let build = Build { context: scratch, tag: "jettison-bench-pull", network: super::Network::None };
        Ok(self.start(&build, None))
    }

    fn push(&self, build: &Build<'_>) -> Vec<Command> {
        self.start(build, Some(&format!("type=image,name={},push=true", build.tag)))
    }

    fn check(&self, build: &Build<'_>) -> Vec<Command> {
        let mut commands = self.start(build, None);
        for command in &mut commands {
            command.args(["--opt", "requestid=frontend.lint"]);
        }
        commands
    }

    fn pack(&self, build: &Build<'_>, packing: Packing, to: &Path) -> Vec<Command> {
        let output = format!(
            "type=oci,dest={},compression={},compression-level=1,force-compression=true",
            to.display(),
            packing.word()
        );
        self.start(build, Some(&output))
    }
}
