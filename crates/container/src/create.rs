//! From an image and what the user wants to a container in the store.

use crate::config::{Config, Mount, MountSource, NetworkMode, Port, RunOptions};
use crate::containers::Containers;
use crate::{Error, Result, names, volumes};
use network::{PortMapping, ports};
use oci::{ImageConfig, Platform};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the user wants of a container. The defaults are Docker's; what is `None` or empty is the image's.
#[derive(Clone, Debug, Default)]
pub struct NewContainer {
    /// Its name; a random one where none is given.
    pub name: Option<String>,
    /// The image: a name or an id of the store.
    pub image: String,
    /// Whether somebody chose the image's platform; else one that is not this machine's is warned of.
    pub platform_chosen: bool,
    /// In place of the image's entrypoint, whose command does not count then; `Some` of nothing removes it.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command.
    pub command: Vec<String>,
    /// `NAME=value`.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: Option<String>,
    /// User.
    pub user: Option<String>,
    /// What no image has a say in.
    pub options: RunOptions,
    /// Host name; the beginning of the id where none is given.
    pub hostname: Option<String>,
    /// Mounts.
    pub mounts: Vec<NewMount>,
    /// Published ports.
    pub ports: Vec<PortMapping>,
    /// Exposed ports, `80/tcp`.
    pub expose: Vec<String>,
    /// Publishes every exposed port.
    pub publish_all: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal of `stop`.
    pub stop_signal: Option<String>,
    /// In place of the image's health check.
    pub healthcheck: Option<oci::Healthcheck>,
}

/// A mount that the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewMount {
    /// A file or folder of the host.
    Bind {
        /// Its absolute path.
        source: PathBuf,
        /// Where in the container.
        target: String,
        /// Nothing can be written through it.
        readonly: bool,
        /// A missing source is made as a folder, as `-v` does.
        create: bool,
        /// What is mounted below it comes along.
        recursive: bool,
    },
    /// A volume.
    Volume {
        /// Its name; an anonymous one where none is given.
        name: Option<String>,
        /// Where in the container.
        target: String,
        /// Nothing can be written through it.
        readonly: bool,
        /// The image's files are not copied into a new one.
        nocopy: bool,
        /// A folder in the volume; empty for all of it.
        subpath: String,
    },
    /// Files in memory.
    Tmpfs {
        /// Where in the container.
        target: String,
        /// The largest size in bytes.
        size: Option<u64>,
        /// Permission bits.
        mode: Option<u32>,
        /// Nothing can be written.
        readonly: bool,
        /// Nothing can be executed.
        noexec: bool,
    },
}

impl NewMount {
    fn target(&self) -> &str {
        match self {
            Self::Bind { target, .. } | Self::Volume { target, .. } | Self::Tmpfs { target, .. } => target,
        }
    }
}

/// A container that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the user should know, a line each.
    pub warnings: Vec<String>,
}

/// How many random names are tried.
const ATTEMPTS: u32 = 8;

impl Containers {
    /// Makes a container of an image that is in the store.
    ///
    /// # Errors
    /// [`Error::NoImage`], [`Error::NoCommand`], [`Error::Invalid`] names a setting; the store's for a name that is
    /// taken. Nothing is left then.
    pub fn create(&self, new: &NewContainer) -> Result<Created> {
        let store = &self.store;
        let image = store.image(&new.image)?.ok_or_else(|| Error::NoImage { name: new.image.clone() })?;
        let settings = ImageConfig::parse(&image.config)
            .map_err(|source| Error::Image { image: new.image.clone(), source })?;
        let id = names::id()?;
        let mut config = merge(new, &settings.config, &id)?;
        config.image_id = image.id.to_string();
        let lowers = self.lowers(&new.image, &image.stack)?;
        let mut made = Vec::new();
        let mut created =
            self.create_with(new, &image, lowers.paths(), &id, &mut config, &settings.config, &mut made);
        match &mut created {
            Ok(created) if !new.platform_chosen => {
                created.warnings.extend(other_platform(&new.image, &settings.platform(), &Platform::host()));
            }
            Ok(_) => {}
            Err(_) => {
                for name in made {
                    let _ = store.remove_volume(&name);
                }
            }
        }
        created
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the two halves of one function, split where volumes must be undone"
    )]
    fn create_with(
        &self,
        new: &NewContainer,
        image: &store::Image,
        lowers: &[PathBuf],
        id: &str,
        config: &mut Config,
        settings: &oci::ContainerConfig,
        made: &mut Vec<String>,
    ) -> Result<Created> {
        let store = &self.store;
        config.mounts = self.mounts(new, settings, made)?;
        volumes::initialise(store, config, lowers)?;
        let mut volumes: Vec<String> = config.mounts.iter().filter_map(volume_name).collect();
        volumes.sort();
        volumes.dedup();
        let mut attempt = 0;
        loop {
            let draft = store.new_layer()?;
            let (upper, _) = draft.make_folders()?;
            if let Some(top) = lowers.last() {
                as_root_of(top, &upper)?;
            }
            config.layer = draft.id().to_string();
            let name = match &new.name {
                Some(name) => name.strip_prefix('/').unwrap_or(name).to_owned(),
                None => names::name(attempt)?,
            };
            let created = store.create_container(store::NewContainer {
                id: id.to_owned(),
                name: name.clone(),
                image: Some(image.id),
                stack: image.stack.clone(),
                layer: Some(draft),
                config: serde_json::to_string(&config).expect("because a configuration is plain data"),
                volumes: volumes.clone(),
            });
            match created {
                Ok(container) => {
                    return Ok(Created { id: container.id, name: container.name, warnings: Vec::new() });
                }
                Err(store::Error::Taken { .. }) if new.name.is_none() && attempt < ATTEMPTS => attempt += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The user's mounts, then the image's volumes that they leave open.
    fn mounts(
        &self,
        new: &NewContainer,
        settings: &oci::ContainerConfig,
        made: &mut Vec<String>,
    ) -> Result<Vec<Mount>> {
        let mut mounts: Vec<Mount> = Vec::new();
        for wanted in &new.mounts {
            let target = clean_target(wanted.target())?;
            if mounts.iter().any(|mount| mount.target == target) {
                return Err(Error::invalid("mount", target, "something is mounted there already"));
            }
            mounts.push(self.mount(wanted, target, made)?);
        }
        for target in settings.volumes.keys() {
            let target = clean_target(target)?;
            if mounts.iter().any(|mount| mount.target == target) {
                continue;
            }
            let volume = self.store.create_volume(None, &BTreeMap::new())?;
            made.push(volume.name.clone());
            let source = MountSource::Volume { name: volume.name, subpath: String::new(), nocopy: false };
            mounts.push(Mount { target, source, readonly: false });
        }
        Ok(mounts)
    }

    fn mount(&self, wanted: &NewMount, target: String, made: &mut Vec<String>) -> Result<Mount> {
        Ok(match wanted {
            NewMount::Bind { source, readonly, create, recursive, .. } => {
                let shown = source.display().to_string();
                if !source.is_absolute() {
                    return Err(Error::invalid("bind mount", shown, "its source is no absolute path"));
                }
                match std::fs::metadata(source) {
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound && *create => {
                        std::fs::create_dir_all(source).map_err(|error| Error::io("make", source, error))?;
                    }
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                        return Err(Error::invalid("bind mount", shown, "its source does not exist"));
                    }
                    Err(error) => return Err(Error::io("look at", source, error)),
                }
                let path = source
                    .to_str()
                    .ok_or_else(|| Error::invalid("bind mount", shown, "its source is not valid UTF-8"))?;
                let source = MountSource::Bind { path: path.to_owned(), recursive: *recursive };
                Mount { target, source, readonly: *readonly }
            }
            NewMount::Volume { name, readonly, nocopy, subpath, .. } => {
                let volume = self.store.create_volume(name.as_deref(), &BTreeMap::new())?;
                if name.is_none() {
                    made.push(volume.name.clone());
                }
                let source =
                    MountSource::Volume { name: volume.name, subpath: subpath.clone(), nocopy: *nocopy };
                Mount { target, source, readonly: *readonly }
            }
            NewMount::Tmpfs { size, mode, readonly, noexec, .. } => {
                let source = MountSource::Tmpfs { size: *size, mode: *mode, noexec: *noexec };
                Mount { target, source, readonly: *readonly }
            }
        })
    }
}

/// What is to be said of an image for another platform than the machine's.
fn other_platform(image: &str, platform: &Platform, machine: &Platform) -> Option<String> {
    // Images that were made by hand may say nothing of their platform.
    let unsaid = platform.os.is_empty() || platform.architecture.is_empty();
    (!unsaid && machine.rank(platform).is_none()).then(|| {
        let platform = platform.normalised();
        format!(
            "the image `{image}` is for {platform}, and this machine is {machine}; `--platform {platform}` says that this \
             is meant"
        )
    })
}

fn volume_name(mount: &Mount) -> Option<String> {
    match &mount.source {
        MountSource::Volume { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// The upper directory's own mode and owner are the root's.
fn as_root_of(below: &Path, upper: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(below).map_err(|error| Error::io("look at", below, error))?;
    if (metadata.uid(), metadata.gid()) != (0, 0) {
        let _ = std::os::unix::fs::chown(upper, Some(metadata.uid()), Some(metadata.gid()));
    }
    if metadata.mode() & 0o7777 != 0o755 {
        std::fs::set_permissions(upper, metadata.permissions())
            .map_err(|error| Error::io("set the mode of", upper, error))?;
    }
    Ok(())
}

/// A mount's target: absolute, without `.`, `..` and doubled slashes, and not the root.
pub(crate) fn clean_target(target: &str) -> Result<String> {
    if !target.starts_with('/') {
        return Err(Error::invalid("mount", target, "the path in the container must be absolute"));
    }
    let path = clean_path(target);
    if path == "/" {
        return Err(Error::invalid("mount", target, "nothing can be mounted over the root"));
    }
    Ok(path)
}

/// An absolute path by its words alone.
pub(crate) fn clean_path(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Lays the user's wishes over the image's settings, by Docker's rules.
fn merge(new: &NewContainer, image: &oci::ContainerConfig, id: &str) -> Result<Config> {
    let (entrypoint, cmd) = match &new.entrypoint {
        // An entrypoint of the user's own leaves the image's command behind.
        Some(entrypoint) => (entrypoint.clone(), new.command.clone()),
        None => {
            let entrypoint = image.entrypoint.clone().unwrap_or_default();
            let image_cmd = image.cmd.clone().unwrap_or_default();
            (entrypoint, if new.command.is_empty() { image_cmd } else { new.command.clone() })
        }
    };
    if entrypoint.is_empty() && cmd.is_empty() {
        return Err(Error::NoCommand { image: new.image.clone() });
    }
    let mut env = oci::ContainerConfig { env: image.env.clone(), ..oci::ContainerConfig::default() };
    for entry in &new.env {
        let (name, value) = entry.split_once('=').unwrap_or((entry, ""));
        if name.is_empty() {
            return Err(Error::invalid("environment variable", entry, "it has no name"));
        }
        env.set_env(name, value);
    }
    let cwd = new.cwd.clone().unwrap_or_else(|| image.working_dir.clone());
    if !cwd.is_empty() && !cwd.starts_with('/') {
        return Err(Error::invalid("working directory", cwd, "it needs to be an absolute path"));
    }
    let stop_signal = new.stop_signal.clone().or_else(|| image.stop_signal.clone()).unwrap_or_default();
    if !stop_signal.is_empty() && crate::signal::parse(&stop_signal).is_none() {
        return Err(Error::invalid("signal", stop_signal, "there is no such signal"));
    }
    let mut labels = image.labels.clone();
    labels.extend(new.labels.clone());
    let mut exposed: Vec<String> = image.exposed_ports.keys().map(|port| with_protocol(port)).collect();
    exposed.extend(new.expose.iter().map(|port| with_protocol(port)));
    let mut published: Vec<Port> = new.ports.iter().map(Port::from).collect();
    exposed.extend(published.iter().map(Port::inside));
    exposed.sort();
    exposed.dedup();
    if new.publish_all {
        for port in &exposed {
            if published.iter().any(|known| known.inside() == *port) {
                continue;
            }
            published.extend(ports::parse(port)?.iter().map(Port::from));
        }
    }
    // Unknown names fail now, not at the start.
    sandbox::Capabilities::DOCKER.adjusted(&new.options.cap_add, &new.options.cap_drop)?;
    if let Some((name, ..)) =
        new.options.ulimits.iter().find(|(name, ..)| sandbox::rlimit_by_name(name).is_none())
    {
        return Err(Error::invalid("limit", name, "there is no such resource"));
    }
    let hostname = match (&new.hostname, new.options.network) {
        (Some(hostname), _) => hostname.clone(),
        (None, NetworkMode::Host) => String::new(),
        (None, _) => id[..12].to_owned(),
    };
    let healthcheck = match (&new.healthcheck, &image.healthcheck) {
        (Some(own), Some(theirs)) if own.test.is_empty() => Some(overlay_health(own, theirs)),
        (Some(own), _) => Some(own.clone()),
        (None, theirs) => theirs.clone(),
    };
    Ok(Config {
        image: new.image.clone(),
        image_id: String::new(),
        entrypoint,
        cmd,
        env: env.env,
        cwd: if cwd.is_empty() { cwd } else { clean_path(&cwd) },
        user: new.user.clone().unwrap_or_else(|| image.user.clone()),
        hostname,
        options: new.options.clone(),
        mounts: Vec::new(),
        ports: published,
        exposed,
        labels,
        stop_signal,
        healthcheck,
        layer: String::new(),
    })
}

/// Settings of the user's own around the image's test.
fn overlay_health(own: &oci::Healthcheck, theirs: &oci::Healthcheck) -> oci::Healthcheck {
    let or = |own: u64, theirs: u64| if own == 0 { theirs } else { own };
    oci::Healthcheck {
        test: theirs.test.clone(),
        interval: or(own.interval, theirs.interval),
        timeout: or(own.timeout, theirs.timeout),
        start_period: or(own.start_period, theirs.start_period),
        start_interval: or(own.start_interval, theirs.start_interval),
        retries: or(own.retries, theirs.retries),
    }
}

fn with_protocol(port: &str) -> String {
    if port.contains('/') { port.to_owned() } else { format!("{port}/tcp") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_platform_is_told() {
        let machine: Platform = "linux/amd64".parse().unwrap();
        let told = |os: &str, architecture: &str, variant: Option<&str>| {
            let variant = variant.map(str::to_owned);
            let (os, architecture) = (os.to_owned(), architecture.to_owned());
            other_platform("x", &Platform { os, architecture, variant, ..Platform::default() }, &machine)
        };
        assert_eq!(
            told("linux", "arm64", Some("v8")).unwrap(),
            "the image `x` is for linux/arm64, and this machine is linux/amd64; `--platform linux/arm64` says that this \
             is meant"
        );
        assert!(told("windows", "amd64", None).is_some() && told("linux", "amd64", Some("v3")).is_some());
        for (os, architecture) in [("linux", "amd64"), ("linux", "x86_64"), ("linux", ""), ("", "arm64")] {
            assert_eq!(told(os, architecture, None), None, "{os}/{architecture}");
        }
    }

    fn image() -> oci::ContainerConfig {
        oci::ContainerConfig {
            entrypoint: Some(vec!["entry".into()]),
            cmd: Some(vec!["default".into()]),
            env: vec!["A=1".into(), "B=2".into()],
            working_dir: "/app/".into(),
            exposed_ports: BTreeMap::from([
                ("80/tcp".into(), oci::Empty {}),
                ("53/udp".into(), oci::Empty {}),
            ]),
            stop_signal: Some("SIGQUIT".into()),
            ..oci::ContainerConfig::default()
        }
    }

    fn merged(new: &NewContainer) -> Config {
        merge(new, &image(), &"ab".repeat(32)).unwrap()
    }

    #[test]
    fn entrypoint_and_command() {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(merged(&NewContainer::default()).args(), ["entry", "default"]);
        let command = NewContainer { command: words(&["x", "y"]), ..NewContainer::default() };
        assert_eq!(merged(&command).args(), ["entry", "x", "y"]);
        let own = NewContainer { entrypoint: Some(words(&["sh"])), ..NewContainer::default() };
        assert_eq!(merged(&own).args(), ["sh"]);
        let none = NewContainer { entrypoint: Some(Vec::new()), ..command };
        assert_eq!(merged(&none).args(), ["x", "y"]);
        let nothing = NewContainer { entrypoint: Some(Vec::new()), ..NewContainer::default() };
        assert!(matches!(merge(&nothing, &image(), &"ab".repeat(32)), Err(Error::NoCommand { .. })));
    }

    #[test]
    fn settings_are_laid_over_the_images() {
        let new = NewContainer {
            env: vec!["B=3".into(), "C=4".into()],
            ports: ports::parse("8080:80").unwrap(),
            publish_all: true,
            ..NewContainer::default()
        };
        let config = merged(&new);
        assert_eq!(config.env, ["A=1", "B=3", "C=4"]);
        assert_eq!((config.cwd.as_str(), config.hostname.as_str()), ("/app", "abababababab"));
        assert_eq!(config.stop_signal_number(), 3);
        assert_eq!(config.exposed, ["53/udp", "80/tcp"]);
        let inside: Vec<_> = config.ports.iter().map(|port| (port.inside(), port.host_port)).collect();
        assert_eq!(inside, [("80/tcp".to_owned(), 8080), ("53/udp".to_owned(), 0)]);
    }

    #[test]
    fn what_has_no_meaning_is_named() {
        let with = |options| NewContainer { options, ..NewContainer::default() };
        let wrong = [
            NewContainer { cwd: Some("app".into()), ..NewContainer::default() },
            NewContainer { stop_signal: Some("SIGNO".into()), ..NewContainer::default() },
            with(RunOptions { cap_add: vec!["NOPE".into()], ..RunOptions::default() }),
            with(RunOptions { ulimits: vec![("files".into(), 1, 1)], ..RunOptions::default() }),
            NewContainer { env: vec!["=x".into()], ..NewContainer::default() },
        ];
        for (new, named) in wrong.iter().zip(["app", "SIGNO", "NOPE", "files", "=x"]) {
            let error = merge(new, &image(), &"ab".repeat(32)).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn targets_are_clean() {
        assert_eq!(clean_target("/a//b/./c/../").unwrap(), "/a/b");
        for target in ["", "a", "/", "/.."] {
            assert!(clean_target(target).is_err(), "{target}");
        }
    }
}
