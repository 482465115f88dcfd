//! Debian's docker engine as the peer: one for the run of this binary, on a socket of its own.

use crate::archive::{self, Image};
use crate::case::{Case, Work};
use crate::harness::{self, DockerEngine, LIMIT};
use crate::shape::{Outcome, Shape};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The base of the cases as an archive that `docker load` takes.
pub(crate) fn busybox(folder: &Path) -> PathBuf {
    let archive = folder.join("busybox.tar");
    let mut skopeo = Command::new("skopeo");
    skopeo.args(["copy", "--quiet"]);
    skopeo.arg(format!("oci:{}:docker.io/library/busybox:latest", harness::bases().display()));
    skopeo.arg(format!("docker-archive:{}:busybox:latest", archive.display()));
    harness::run(skopeo, LIMIT).ok();
    archive
}

/// An engine with the base of the cases.
pub(crate) struct Engine(DockerEngine);

impl Engine {
    /// Starts it and loads a base. It ends with the thread that calls this.
    pub(crate) fn start(base: &Path) -> Self {
        let engine = DockerEngine::start();
        harness::run(engine.docker(&["load", "--quiet", "--input", base.to_str().unwrap()]), LIMIT).ok();
        Self(engine)
    }

    /// Builds a case.
    pub(crate) fn build(&self, case: &Case, work: &Work, base: &Image) -> Outcome {
        let name = format!("case-{}", case.name);
        let mut build = self.0.docker(&["build", "--progress", "plain", "--tag", &name]);
        build.args(case.all_args(work)).arg(".").current_dir(work.context()).envs(&case.env);
        let out = harness::run(build, LIMIT);
        if out.code != Some(0) {
            return Err(out.stderr);
        }
        let archive = work.file("docker.tar");
        let save =
            harness::run(self.0.docker(&["save", "--output", archive.to_str().unwrap(), &name]), LIMIT);
        assert!(
            !save.stderr.contains("empty export"),
            "the engine saves no image without layers: such a case has to be recorded"
        );
        save.ok();
        Ok(Shape::of(&archive::read(&archive), base))
    }
}
