//! From a configuration to what the sandbox is told, with all that must be held while the container runs.

use crate::config::{Config, MountSource, NetworkMode, Port};
use crate::protocol::{Lower, Start};
use crate::{Error, Result, archive};
use network::{Attachment, Bound, How, NetworkOptions, Publisher, Serving, Target, dns};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sandbox::user::User;
use sandbox::{
    Capabilities, Cgroup, Confinement, Limits, Mount, MountKind, Network, Rlimit, Seccomp, Spec, Tree,
    overlay,
};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What lives as long as the container runs; dropped, ports, network and control group are given back.
#[derive(Default)]
pub(super) struct Prepared {
    root: Option<Arc<OwnedFd>>,
    pub(super) warnings: Vec<String>,
    bound: Option<Bound>,
    serving: Option<Serving>,
    network: Option<Attachment>,
    cgroup: Option<Arc<Cgroup>>,
    published: Vec<Port>,
}

/// `mounts` are those that were passed.
pub(super) fn prepare(start: &Start, mounts: &[OwnedFd]) -> Result<(Spec, Prepared)> {
    let config = &start.config;
    let path = |lower: &Lower| match lower {
        Lower::Folder(path) => Ok(path.clone()),
        Lower::Mount(number) => {
            let mount = mounts.get(*number).ok_or(Error::MonitorGone { name: start.name.clone() })?;
            Ok(PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd())))
        }
    };
    let lowers = start.lowers.iter().rev().map(path).collect::<Result<Vec<_>>>()?;
    // What is thrown away at its end need not be synced when it is unmounted. A mark of an earlier such mount, left by a
    // machine that went down, would be in the way.
    let options = overlay::Options {
        userxattr: start.user_xattrs,
        volatile: config.options.auto_remove,
        readonly: false,
    };
    let _ = std::fs::remove_dir(start.work.join("work/incompat/volatile"));
    // Network and root side by side: each is a wait for the kernel.
    let (mounted, prepared) = std::thread::scope(|scope| {
        let connecting = scope.spawn(|| Prepared::connect(start));
        let mounted =
            overlay::mount_detached(&lowers, Some((start.upper.clone(), start.work.clone())), options);
        (mounted, connecting.join().expect("because connecting does not panic"))
    });
    let root = Arc::new(mounted?);
    let mut prepared = prepared?;
    prepared.root = Some(root.clone());
    let user = sandbox::user::lookup_with_groups(&root, &config.user, &config.options.group_add)?;
    let mut spec = Spec::new(Tree::Mount(root), config.args().into_iter().map(Into::into).collect());
    if spec.args.is_empty() {
        return Err(Error::NoCommand { image: config.image.clone() });
    }
    spec.readonly_root = config.options.read_only;
    spec.mounts = own_mounts(start)?;
    spec.mounts.extend(prepared.name_files(start)?);
    spec.env = environment(config, &user, config.options.tty).into_iter().map(Into::into).collect();
    spec.cwd = if config.cwd.is_empty() { "/".into() } else { PathBuf::from(&config.cwd) };
    spec.make_cwd = true;
    (spec.uid, spec.gid, spec.additional_gids) = (user.uid, user.gid, user.additional_gids);
    spec.capabilities = capabilities(config)?;
    spec.no_new_privileges = config.options.no_new_privileges;
    if config.options.privileged || config.options.seccomp_unconfined {
        spec.seccomp = Seccomp::Unconfined;
    }
    if config.options.privileged {
        spec.confinement = Confinement::Privileged;
    }
    if config.options.network == NetworkMode::Host {
        spec.host_uts = config.hostname.is_empty();
    }
    spec.hostname = (!config.hostname.is_empty()).then(|| config.hostname.clone());
    spec.domainname = (!config.options.domainname.is_empty()).then(|| config.options.domainname.clone());
    spec.network = prepared.namespace(config)?;
    if config.options.shm_size > 0 {
        spec.shm_size = config.options.shm_size;
    }
    spec.devices = config.options.devices.iter().map(|path| PathBuf::from(path).into()).collect();
    spec.rlimits = rlimits(config)?;
    spec.oom_score_adj = config.options.oom_score_adj;
    spec.init = config.options.init;
    spec.cgroup = prepared.limit(start)?;
    // The container must not outlive the monitor: nobody would know of it.
    spec.die_with_launcher = true;
    Ok((spec, prepared))
}

impl Prepared {
    /// Takes the ports, then connects.
    fn connect(start: &Start) -> Result<Self> {
        let mut made = Self::default();
        let config = &start.config;
        if config.options.network != NetworkMode::Bridge {
            if !config.ports.is_empty() {
                made.warnings.push(format!(
                    "Published ports are discarded with --network={}.",
                    config.options.network.name()
                ));
            }
            return Ok(made);
        }
        let mappings: Vec<_> = config.ports.iter().map(Port::mapping).collect();
        if !mappings.is_empty() {
            let bound = Publisher::bind(&mappings)?;
            made.published = bound.mappings().iter().map(Port::from).collect();
            made.bound = Some(bound);
        }
        let settings = &start.network;
        let mut options = NetworkOptions { rootless: settings.rootless, ..NetworkOptions::default() };
        if let Some(bridge) = &settings.bridge {
            options.bridge.clone_from(bridge);
        }
        if !settings.program_folders.is_empty() {
            options.program_folders.clone_from(&settings.program_folders);
        }
        let systemd = settings.systemd_resolv_conf.as_deref().unwrap_or_default();
        options.avoid = dns::name_servers(&settings.resolv_conf)
            .into_iter()
            .chain(dns::name_servers(systemd))
            .filter_map(|server| match server {
                IpAddr::V4(server) if !server.is_loopback() => Some(server),
                _ => None,
            })
            .collect();
        let rootless = options.rootless;
        let network = network::Network::open(options);
        made.network = Some(match network.connect() {
            Ok(attachment) => attachment,
            // A plain user may have no way out at all; published ports work all the same.
            Err(error) if rootless => {
                let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                made.warnings.push(format!("The container has no way out: {error}{hint}."));
                network.isolate()?
            }
            Err(error) => return Err(error.into()),
        });
        made.warnings.extend(network.note());
        Ok(made)
    }

    fn namespace(&self, config: &Config) -> Result<Network> {
        Ok(match (config.options.network, &self.network) {
            (NetworkMode::Host, _) => Network::Host,
            (_, Some(attachment)) => {
                let netns = attachment.netns().try_clone_to_owned();
                Network::Join(Arc::new(
                    netns.map_err(|error| Error::io("keep open", "a network namespace", error))?,
                ))
            }
            _ => Network::None,
        })
    }

    /// Clients could connect since the ports were taken; from here on they are answered.
    pub(super) fn serve_ports(&mut self) -> Result<()> {
        let (Some(bound), Some(attachment)) = (self.bound.take(), &self.network) else { return Ok(()) };
        let address = attachment.address().unwrap_or(Ipv4Addr::LOCALHOST).into();
        let target = match attachment.how() {
            How::Bridge => Target::Address(address),
            _ => {
                let netns = attachment.netns().try_clone_to_owned();
                Target::Namespace {
                    netns: netns.map_err(|error| Error::io("keep open", "a network namespace", error))?,
                    address,
                }
            }
        };
        self.serving = Some(bound.serve(target)?);
        Ok(())
    }

    /// The merged root.
    pub(super) fn root(&self) -> &Arc<OwnedFd> {
        self.root.as_ref().expect("because preparing ends with it")
    }

    pub(super) fn address(&self) -> Option<Ipv4Addr> {
        self.network.as_ref().and_then(Attachment::address)
    }

    pub(super) fn gateway(&self) -> Option<Ipv4Addr> {
        self.network.as_ref().and_then(Attachment::gateway)
    }

    pub(super) fn ports(&self) -> Vec<Port> {
        self.published.clone()
    }

    pub(super) fn oom_killed(&self) -> bool {
        self.cgroup.as_ref().is_some_and(|group| group.oom_kills() > 0)
    }

    /// A control group, where there is a limit to be kept.
    fn limit(&mut self, start: &Start) -> Result<Option<Arc<Cgroup>>> {
        let limits = &start.config.options.limits;
        if *limits == crate::config::Limits::default() {
            return Ok(None);
        }
        let period = 100_000;
        let wanted = Limits {
            memory: limits.memory,
            memory_swap: limits.memory_swap.or(limits.memory.map(|memory| memory.saturating_mul(2))),
            memory_reservation: limits.memory_reservation,
            pids: limits.pids,
            cpu_quota: limits.nano_cpus.map(|nano| (nano / (1_000_000_000 / period)).max(1000)),
            cpu_period: limits.nano_cpus.map(|_| period),
            cpu_shares: limits.cpu_shares,
            cpuset_cpus: limits.cpuset_cpus.clone(),
            cpuset_mems: limits.cpuset_mems.clone(),
        };
        let (group, warnings) = Cgroup::create(&format!("jettison-{}", &start.id[..32]), &wanted)?;
        self.warnings.extend(warnings);
        let group = Arc::new(group);
        self.cgroup = Some(group.clone());
        Ok(Some(group))
    }

    /// `/etc/resolv.conf`, `/etc/hosts` and `/etc/hostname`: files of the container's folder, so that they are in no
    /// layer and keep what is written to them while it runs.
    fn name_files(&mut self, start: &Start) -> Result<Vec<Mount>> {
        let config = &start.config;
        let settings = &start.network;
        let host = config.options.network == NetworkMode::Host;
        let hostname = if config.hostname.is_empty() { &settings.hostname } else { &config.hostname };
        let attachment = self.network.as_ref();
        let upstreams = dns::Upstreams {
            systemd: settings.systemd_resolv_conf.as_deref(),
            forwarder: attachment.and_then(Attachment::forwarder),
        };
        let resolv = if host {
            settings.resolv_conf.clone()
        } else {
            let (text, warnings) = dns::resolv_conf(&settings.resolv_conf, upstreams);
            if config.options.network == NetworkMode::Bridge && config.options.dns.is_empty() {
                self.warnings.extend(warnings.iter().map(ToString::to_string));
            }
            text
        };
        let resolv = override_dns(resolv, config);
        let hosts = if host {
            let mut text = settings.hosts.clone();
            for (name, address) in &config.options.extra_hosts {
                let address =
                    if address.is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { *address };
                text.push_str(&format!("{address}\t{name}\n"));
            }
            text
        } else {
            let gateway = attachment.and_then(Attachment::gateway).map(IpAddr::from);
            let extra: Vec<(String, IpAddr)> = config
                .options
                .extra_hosts
                .iter()
                // `host-gateway` is kept as the unspecified address.
                .map(|(name, ip)| {
                    (name.clone(), if ip.is_unspecified() { gateway.unwrap_or(*ip) } else { *ip })
                })
                .collect();
            dns::hosts(hostname, self.address().map(IpAddr::from), &extra)?
        };
        let mut mounts = Vec::new();
        for (name, text) in [("resolv.conf", resolv), ("hosts", hosts), ("hostname", format!("{hostname}\n"))]
        {
            let target = format!("/etc/{name}");
            if config.mounts.iter().any(|mount| mount.target == target) {
                continue;
            }
            let path = start.dir.join(name);
            write_shared(&path, &text)?;
            let source = Tree::Path(path);
            let kind = MountKind::Bind { source, readonly: config.options.read_only, recursive: false };
            mounts.push(Mount { target: target.into(), kind });
        }
        Ok(mounts)
    }
}

/// `--dns` and its like replace what the host says.
fn override_dns(text: String, config: &Config) -> String {
    if config.options.dns.is_empty()
        && config.options.dns_search.is_empty()
        && config.options.dns_options.is_empty()
    {
        return text;
    }
    let replaced = |line: &str| match line.split_whitespace().next() {
        Some("nameserver") => !config.options.dns.is_empty(),
        Some("search" | "domain") => !config.options.dns_search.is_empty(),
        Some("options") => !config.options.dns_options.is_empty(),
        _ => false,
    };
    let mut lines: Vec<String> =
        config.options.dns.iter().map(|server| format!("nameserver {server}")).collect();
    lines.extend(text.lines().filter(|line| !replaced(line)).map(str::to_owned));
    if !config.options.dns_search.is_empty() && config.options.dns_search != ["."] {
        lines.push(format!("search {}", config.options.dns_search.join(" ")));
    }
    if !config.options.dns_options.is_empty() {
        lines.push(format!("options {}", config.options.dns_options.join(" ")));
    }
    lines.join("\n") + "\n"
}

/// A file that everybody in the container can read, whatever the caller's umask.
fn write_shared(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).map_err(|error| Error::io("write", path, error))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
        .map_err(|error| Error::io("set the mode of", path, error))
}

fn own_mounts(start: &Start) -> Result<Vec<Mount>> {
    start
        .config
        .mounts
        .iter()
        .map(|mount| {
            let kind = match &mount.source {
                MountSource::Bind { path, recursive } => MountKind::Bind {
                    source: Tree::Path(path.into()),
                    readonly: mount.readonly,
                    recursive: *recursive,
                },
                MountSource::Volume { name, subpath, .. } => MountKind::Bind {
                    source: volume(&start.volumes.join(name), subpath)?,
                    readonly: mount.readonly,
                    recursive: false,
                },
                MountSource::Tmpfs { size, mode, noexec } => MountKind::Tmpfs {
                    size: *size,
                    mode: mode.unwrap_or(0o1777),
                    uid: 0,
                    gid: 0,
                    noexec: *noexec,
                    readonly: mount.readonly,
                },
            };
            Ok(Mount { target: PathBuf::from(&mount.target), kind })
        })
        .collect()
}

/// A volume, or what its `subpath` names without leaving it.
fn volume(path: &Path, subpath: &str) -> Result<Tree> {
    if subpath.is_empty() {
        return Ok(Tree::Path(path.to_owned()));
    }
    let volume = archive::open_directory(path)?;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(&volume, subpath, flags, Mode::empty(), resolve)
        .map_err(|error| Error::io("find in the volume", path.join(subpath), error))?;
    Ok(Tree::Descriptor(Arc::new(found)))
}

/// The environment of a process: what the container has, and what Docker adds where it is not set.
pub(super) fn environment(config: &Config, user: &User, tty: bool) -> Vec<String> {
    let mut env = Vec::with_capacity(config.env.len() + 4);
    let mut add = |name: &str, value: &str| {
        if config.env_value(name).is_none() {
            env.push(format!("{name}={value}"));
        }
    };
    add("PATH", sandbox::DEFAULT_PATH);
    add("HOSTNAME", &config.hostname);
    if tty {
        add("TERM", "xterm");
    }
    add("HOME", &user.home.to_string_lossy());
    env.extend(config.env.iter().cloned());
    env
}

pub(super) fn capabilities(config: &Config) -> Result<Capabilities> {
    if config.options.privileged {
        return Ok(Capabilities::ALL);
    }
    Ok(Capabilities::DOCKER.adjusted(&config.options.cap_add, &config.options.cap_drop)?)
}

pub(super) fn rlimits(config: &Config) -> Result<Vec<Rlimit>> {
    config
        .options
        .ulimits
        .iter()
        .map(|(name, soft, hard)| {
            let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
            let resource = sandbox::rlimit_by_name(name)
                .ok_or_else(|| Error::invalid("limit", name, "there is no such resource"))?;
            Ok(Rlimit { resource, soft: value(*soft), hard: value(*hard) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_name_servers_come_in_place_of_the_hosts() {
        let host = "nameserver 192.0.2.1\nsearch a.example\noptions ndots:2\n".to_owned();
        let mut config = Config::default();
        assert_eq!(override_dns(host.clone(), &config), host);
        config.options.dns = vec!["192.0.2.9".parse().unwrap()];
        assert_eq!(
            override_dns(host.clone(), &config),
            "nameserver 192.0.2.9\nsearch a.example\noptions ndots:2\n"
        );
        config.options.dns_search = vec![".".into()];
        config.options.dns_options = vec!["edns0".into()];
        assert_eq!(override_dns(host, &config), "nameserver 192.0.2.9\noptions edns0\n");
    }

    #[test]
    fn what_is_set_is_not_added() {
        let config =
            Config { env: vec!["HOME=/x".into(), "A=1".into()], hostname: "box".into(), ..Config::default() };
        let env = environment(&config, &User { home: "/root".into(), ..User::default() }, true);
        assert!(env.contains(&"HOSTNAME=box".to_owned()) && env.contains(&"TERM=xterm".to_owned()));
        assert_eq!(env.iter().filter(|entry| entry.starts_with("HOME=")).collect::<Vec<_>>(), ["HOME=/x"]);
    }
}
