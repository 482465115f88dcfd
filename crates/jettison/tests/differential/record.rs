//! Asks a current BuildKit: the one that `JETTISON_RECORD_BUILDCTL` reaches. Used by people, never by CI.

use crate::archive::{self, Image};
use crate::case::{Case, Work};
use crate::harness::{self, LIMIT};
use crate::shape::{Outcome, Shape};
use std::process::{Command, Stdio};

/// A `buildctl` command with the address it needs.
pub(crate) struct Recorder(Vec<String>);

impl Recorder {
    /// The one that the environment names.
    pub(crate) fn from_environment() -> Option<Self> {
        let words = std::env::var("JETTISON_RECORD_BUILDCTL").ok()?;
        Some(Self(words.split_whitespace().map(str::to_owned).collect()))
    }

    /// Builds a case.
    pub(crate) fn build(&self, case: &Case, work: &Work, base: &Image) -> Outcome {
        let archive = work.file("buildkit.tar");
        let mut command = Command::new(&self.0[0]);
        command
            .args(&self.0[1..])
            .args(["build", "--progress", "plain", "--frontend", "dockerfile.v0", "--local", "context=."])
            .args(translated(case, work))
            .arg("--output")
            .arg(format!(
                "type=docker,compression=uncompressed,force-compression=true,dest={}",
                archive.display()
            ))
            .current_dir(work.context())
            .envs(&case.env)
            .stdin(Stdio::null());
        let out = harness::run(command, LIMIT);
        if out.code == Some(0) {
            return Ok(Shape::of(&archive::read(&archive), base));
        }
        // The last line says it; what comes before is progress.
        Err(out
            .stderr
            .lines()
            .rev()
            .find(|line| line.starts_with("error: "))
            .unwrap_or(&out.stderr)
            .to_owned())
    }
}

/// The flags of `docker build` as `buildctl` takes them.
fn translated(case: &Case, work: &Work) -> Vec<String> {
    let mut words = Vec::new();
    let mut option = |text: String| words.extend(["--opt".to_owned(), text]);
    let mut plain = Vec::new();
    let mut folder = ".".to_owned();
    let args = case.all_args(work);
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let value = args.next().unwrap_or_else(|| panic!("case {}: {flag} takes a value", case.name));
        match flag.as_str() {
            "--build-arg" => option(format!("build-arg:{value}")),
            "--label" => option(format!("label:{value}")),
            "--target" => option(format!("target={value}")),
            "--platform" => option(format!("platform={value}")),
            "--network" => option(format!("force-network-mode={value}")),
            "--shm-size" => option(format!("shm-size={value}")),
            "--ulimit" => option(format!("ulimit={value}")),
            "--add-host" => option(format!("add-hosts={}", value.replacen(':', "=", 1))),
            "--file" => {
                let (parent, name) = value.rsplit_once('/').unwrap_or((".", value.as_str()));
                folder = parent.to_owned();
                option(format!("filename={name}"));
            }
            "--build-context" => {
                let (name, place) = value.split_once('=').expect("a named context has a value");
                if place.contains("://") {
                    option(format!("context:{name}={place}"));
                } else {
                    option(format!("context:{name}=local:{name}"));
                    plain.extend(["--local".to_owned(), format!("{name}={place}")]);
                }
            }
            "--secret" | "--ssh" | "--allow" => plain.extend([flag.clone(), value.clone()]),
            other => panic!("case {}: the recorder does not know {other}", case.name),
        }
    }
    plain.extend(["--local".to_owned(), format!("dockerfile={folder}")]);
    words.extend(plain);
    words
}
