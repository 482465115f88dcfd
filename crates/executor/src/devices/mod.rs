//! `RUN --device`: which devices of the host a step gets, and what they do to it.
//!
//! | a step asks for | it gets |
//! |---|---|
//! | `vendor/class=name` | that device |
//! | `vendor/class=*` | all of the kind |
//! | `vendor/class` | the first of the kind |
//! | any other name | those whose annotation `org.mobyproject.buildkit.device.class` it is |
//!
//! A device must be allowed: by the build (`--allow device`, `--allow device=NAME[,alias=NAME]`), or by its own annotation
//! `org.mobyproject.buildkit.device.autoallow`. Nodes are the host's, with their owners and modes. Hooks, which are
//! programs of the host that a runtime would run, are refused.

mod spec;

pub(crate) use spec::Edits;

use crate::worker::Worker;
use crate::{Error, Result};
use graph::{Device as Wanted, RunOp};
use sandbox::{Device, Mount, MountKind, Tree};
use spec::{MAX_FILE, Spec};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const CLASS: &str = "org.mobyproject.buildkit.device.class";
const AUTO_ALLOW: &str = "org.mobyproject.buildkit.device.autoallow";

/// Where devices are described, and which of them steps may have.
#[derive(Clone, Debug, Default)]
pub struct DeviceOptions {
    /// The folders with specifications; of two devices of one name that in the later folder counts.
    pub folders: Vec<PathBuf>,
    /// Whether all are allowed.
    pub allow_all: bool,
    /// The names that are allowed, as steps say them, with the device that a name is an alias of.
    pub allowed: Vec<(String, Option<String>)>,
}

/// The devices that this machine describes.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    devices: BTreeMap<String, Described>,
    /// Files that are no specifications, with the reason.
    broken: Vec<String>,
}

/// A device.
#[derive(Debug)]
struct Described {
    annotations: BTreeMap<String, String>,
    /// Those of the whole file, and its own.
    edits: [Arc<Edits>; 2],
}

impl Registry {
    fn read(folders: &[PathBuf]) -> Self {
        let mut registry = Self::default();
        for folder in folders {
            let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| {
                    path.extension().is_some_and(|end| end == "json" || end == "yaml" || end == "yml")
                })
                .collect();
            files.sort();
            for file in files {
                match read(&file) {
                    Ok(spec) => registry.add(spec),
                    Err(reason) => registry.broken.push(format!("{}: {reason}", file.display())),
                }
            }
        }
        registry
    }

    fn add(&mut self, spec: Spec) {
        let common = Arc::new(spec.container_edits);
        for device in spec.devices {
            let mut annotations = spec.annotations.clone();
            annotations.extend(device.annotations);
            let edits = [common.clone(), Arc::new(device.container_edits)];
            self.devices.insert(format!("{}={}", spec.kind, device.name), Described { annotations, edits });
        }
    }

    /// The complete names of what a step asks for; none where there is nothing and nothing is required.
    fn find(&self, wanted: &Wanted) -> Result<Vec<&str>> {
        let names = || self.devices.keys().map(String::as_str);
        let (kind, name) = wanted.name.split_once('=').unwrap_or((&wanted.name, ""));
        let of_kind = |full: &&str| full.rsplit_once('=').is_some_and(|(found, _)| found == kind);
        let mut found: Vec<&str> = match name {
            _ if !kind.contains('/') => Vec::new(),
            "" => names().find(|full| of_kind(full)).into_iter().collect(),
            "*" => names().filter(of_kind).collect(),
            _ => names().filter(|full| *full == wanted.name).collect(),
        };
        if found.is_empty() {
            let class = |described: &Described| described.annotations.get(CLASS) == Some(&wanted.name);
            let classed = self.devices.iter().filter(|(_, described)| class(described));
            found.extend(classed.map(|(name, _)| name.as_str()));
        }
        if found.is_empty() && wanted.required {
            return Err(Error::NoDevice { name: wanted.name.clone(), broken: self.broken.clone() });
        }
        Ok(found)
    }

    fn is_allowed_by_itself(&self, name: &str) -> bool {
        let value = self.devices.get(name).and_then(|described| described.annotations.get(AUTO_ALLOW));
        value.is_some_and(|value| matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }
}

fn read(path: &Path) -> Result<Spec, String> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > MAX_FILE {
        return Err(format!("it is larger than {MAX_FILE} bytes"));
    }
    Spec::parse(&text, path.extension().is_some_and(|end| end == "json"))
}

/// What devices do to a step.
#[derive(Debug, Default)]
pub(crate) struct Attached {
    pub(crate) env: Vec<String>,
    pub(crate) devices: Vec<Device>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) gids: Vec<u32>,
}

impl Worker {
    /// Says before anything is run whether a step can have the devices that it asks for.
    ///
    /// # Errors
    /// A device that is required and not there, that is not allowed, or that asks for what a step cannot do.
    pub fn check_devices(&self, run: &RunOp) -> Result<()> {
        self.attach(run).map(|_| ())
    }

    /// What the devices of a step do to it.
    pub(crate) fn attach(&self, run: &RunOp) -> Result<Attached> {
        let mut attached = Attached::default();
        if run.devices.is_empty() {
            return Ok(attached);
        }
        let options = &self.options.devices;
        let registry = self.devices.get_or_init(|| Registry::read(&options.folders));
        let (mut found, mut granted) = (Vec::new(), Vec::new());
        for wanted in &run.devices {
            let alias = options.allowed.iter().rev().find(|(name, _)| *name == wanted.name);
            match alias {
                Some((_, Some(real))) => {
                    let real = Wanted { name: real.clone(), required: wanted.required };
                    let names = registry.find(&real)?;
                    granted.extend(names.clone());
                    found.extend(names);
                }
                _ => found.extend(registry.find(wanted)?),
            }
        }
        for (name, alias) in &options.allowed {
            if alias.is_none() {
                granted.extend(registry.find(&Wanted { name: name.clone(), required: false })?);
            }
        }
        let mut seen: Vec<&str> = Vec::new();
        found.retain(|name| {
            !seen.contains(name) && {
                seen.push(*name);
                true
            }
        });
        let forbidden: Vec<String> = found
            .iter()
            .filter(|name| {
                !options.allow_all && !granted.contains(name) && !registry.is_allowed_by_itself(name)
            })
            .map(|name| (*name).to_owned())
            .collect();
        if !forbidden.is_empty() {
            return Err(Error::DeviceNotAllowed { names: forbidden });
        }
        let mut common: Vec<*const Edits> = Vec::new();
        for name in found {
            let described = &registry.devices[name];
            for edits in &described.edits {
                // What holds for a whole file is done once.
                if !common.contains(&Arc::as_ptr(edits)) {
                    common.push(Arc::as_ptr(edits));
                    attached.add(name, edits)?;
                }
            }
        }
        Ok(attached)
    }
}

impl Attached {
    fn add(&mut self, name: &str, edits: &Edits) -> Result<()> {
        let refused = |what: &'static str| Error::Device { name: name.to_owned(), what };
        if !edits.hooks.is_empty() {
            return Err(refused("hooks, programs of the host to run beside the step"));
        }
        if edits.intel_rdt.is_some() {
            return Err(refused("a class of Intel's resource director"));
        }
        if !edits.net_devices.is_empty() {
            return Err(refused("network interfaces of the host"));
        }
        self.env.extend(edits.env.iter().cloned());
        self.gids.extend(edits.additional_gids.iter().filter(|gid| **gid != 0));
        for node in &edits.device_nodes {
            if !node.path.starts_with("/dev") {
                return Err(refused("a node outside /dev"));
            }
            let source = node.host_path.clone().unwrap_or_else(|| node.path.clone());
            self.devices.push(Device { source, target: node.path.clone() });
        }
        for mount in &edits.mounts {
            if !matches!(mount.kind.as_str(), "" | "bind" | "rbind") {
                return Err(refused("a mount of another type than bind"));
            }
            let has = |option: &str| mount.options.iter().any(|given| given == option);
            self.mounts.push(Mount {
                target: mount.container_path.clone(),
                kind: MountKind::Bind {
                    source: Tree::Path(mount.host_path.clone()),
                    readonly: has("ro"),
                    recursive: has("rbind"),
                },
            });
        }
        Ok(())
    }
}
