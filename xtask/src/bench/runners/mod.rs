//! Who builds: jettison and its peers, each with a store of its own.

mod buildah;
mod buildkit;
mod daemon;
mod docker;
mod jettison;
mod registry;

use std::path::Path;
use std::process::Command;

use super::options::Options;
use super::works::{Packing, Work};
use super::{Place, left_out};
use crate::trouble::{Result, Trouble};

pub(super) use registry::Registry;

/// The network of a work's steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    None,
    Host,
}

impl Network {
    /// As every command line here spells it.
    fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
        }
    }
}

/// A build that leaves an image named `tag` in the runner's store.
pub(super) struct Build<'a> {
    pub(super) context: &'a Path,
    pub(super) tag: &'a str,
    pub(super) network: Network,
}

/// Something that builds images or runs them. Several commands for one thing are timed together; none
/// means that it does not do this.
pub(super) trait Runner {
    /// The column of the table.
    fn name(&self) -> &str;

    /// The version, as the program says it.
    fn version(&self) -> &str;

    /// What is unlike the others about it, or nothing.
    fn variant(&self) -> &'static str {
        ""
    }

    /// Name and variant.
    fn label(&self) -> String {
        match self.variant() {
            "" => self.name().to_owned(),
            variant => format!("{} ({variant})", self.name()),
        }
    }

    /// Whether it is somebody else's program.
    fn is_peer(&self) -> bool {
        true
    }

    /// Whether it builds, or only runs.
    fn builds(&self) -> bool {
        true
    }

    /// Whether a work has a phase for it.
    fn takes(&self, work: &Work) -> bool;

    /// Writes the base images as a docker archive, for every runner's [`load`](Self::load). Only the first
    /// runner is asked.
    fn save_bases(&self, _archive: &Path) -> Result<()> {
        Err(Trouble::Said(format!("{} does not save the base images", self.name())))
    }

    /// Takes the base images into the store.
    fn load(&mut self, archive: &Path) -> Result<()>;

    /// A build.
    fn build(&self, build: &Build<'_>) -> Vec<Command>;

    /// A build whose result is written to `to` as a docker archive.
    fn archive(&self, _build: &Build<'_>, _to: &Path) -> Vec<Command> {
        Vec::new()
    }

    /// A build of which only the result matters: nothing of it is timed.
    fn ready(&self, build: &Build<'_>) -> Vec<Command> {
        self.build(build)
    }

    /// The image `name` out of its registry, unpacked. `scratch` is a folder for what that takes.
    fn pull(&self, _name: &str, _scratch: &Path) -> Result<Vec<Command>> {
        Ok(Vec::new())
    }

    /// What was built, to the registry that its tag names.
    fn push(&self, _build: &Build<'_>) -> Vec<Command> {
        Vec::new()
    }

    /// What was built, as an OCI archive with all its layers compressed anew.
    fn pack(&self, _build: &Build<'_>, _packing: Packing, _to: &Path) -> Vec<Command> {
        Vec::new()
    }

    /// The Dockerfile read and judged, and nothing built.
    fn check(&self, _build: &Build<'_>) -> Vec<Command> {
        Vec::new()
    }

    /// `true` in a container of `image`, removed afterwards.
    fn run(&self, _image: &str, _network: Network) -> Vec<Command> {
        Vec::new()
    }
}

/// Who is there.
pub(super) struct Found {
    pub(super) runners: Vec<Box<dyn Runner>>,
    /// A sentence for each peer that is here and cannot be used.
    pub(super) left_out: Vec<String>,
}

/// Jettison first, jettison with its default network, then the peers that are wanted and found, their
/// daemons started.
pub(super) fn find(options: &Options, program: &Path, layout: &Path, place: &Place) -> Result<Found> {
    let mut found = Found {
        runners: vec![
            Box::new(jettison::Jettison::new(program, layout, place, false)?),
            Box::new(jettison::Jettison::new(program, layout, place, true)?),
        ],
        left_out: Vec::new(),
    };
    let peers: [(&str, Find); 4] = [
        ("docker", docker::find),
        ("buildah", buildah::find),
        ("podman", buildah::find_podman),
        ("buildkit", buildkit::find),
    ];
    for (name, find) in peers {
        if !options.wants(name) {
            continue;
        }
        match find(&Where { layout, place, buildkit: options.buildkit.as_deref() }) {
            Ok(Some(runner)) => found.runners.push(runner),
            Ok(None) if options.peers.is_some() => {
                return Err(Trouble::Said(format!("the peer `{name}` is not on this machine")));
            }
            Ok(None) => {}
            Err(trouble) => found.left_out.push(left_out(name, &trouble)),
        }
    }
    Ok(found)
}

/// Looks for a peer; its daemon, if it has one, is started and answers. Nothing when it is not here.
type Find = fn(&Where<'_>) -> Result<Option<Box<dyn Runner>>>;

/// What finding a peer takes.
struct Where<'a> {
    /// The base images.
    layout: &'a Path,
    place: &'a Place,
    /// The folder of buildctl and buildkitd, if it was named.
    buildkit: Option<&'a Path>,
}

/// The proxy variables of this machine, as `NAME=value`, which every runner gives to steps as build
/// arguments that leave no trace.
fn proxies() -> Vec<String> {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
    let set = names.iter().filter_map(|name| Some((name, std::env::var(name).ok()?)));
    set.map(|(name, value)| format!("{name}={value}")).collect()
}

/// Gives `command` the proxy variables as docker's, buildah's and jettison's command lines take them.
fn with_proxies(command: &mut Command) {
    for argument in proxies() {
        command.arg("--build-arg").arg(argument);
    }
}
