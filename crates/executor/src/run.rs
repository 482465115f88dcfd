//! The run operation: a process over its root, its output, and the layer it leaves.

use crate::authorities;
use crate::files::stack;
use crate::worker::Worker;
use crate::{Error, Result};
use graph::{Network as Wanted, RunOp, Security};
use layer::{LayerId, Listing, View};
use network::{Attachment, dns};
use oci::Platform;
use progress::{Stream as Output, VertexHandle};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use sandbox::{
    Capabilities, Child, Confinement, Mount, MountKind, Network, Rlimit, Seccomp, Spec, Stdio, Tree,
};
use session::Forward;
use snapshot::open_directory;
use solver::Task;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{CacheMount, LayerDraft};

/// The host name of steps, as BuildKit's.
const HOSTNAME: &str = "buildkitsandbox";

/// The address of a line of /etc/hosts that stands for this machine as a step reaches it.
pub const HOST_GATEWAY: &str = "host-gateway";

/// How often a running step is asked whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);

/// What lives as long as a step runs.
#[derive(Default)]
pub(crate) struct Held {
    pub(crate) drafts: Vec<LayerDraft>,
    /// Cache mounts by name.
    pub(crate) caches: Vec<(String, CacheMount)>,
    /// Sockets of ssh agents.
    pub(crate) agents: Vec<Forward>,
    network: Option<Attachment>,
    /// Why the step has no network though it asked for one.
    no_network: Option<String>,
}

impl Worker {
    /// Runs a process over the first input; what it changed is one layer.
    pub(crate) fn run(&self, task: &Task<'_>, run: &RunOp) -> Result<Vec<LayerId>> {
        let vertex = self.vertex(task.id);
        let below = stack(&task.inputs[0]);
        let lowers = self.forms.lowers(below, &vertex)?;
        let mut draft = self.store.new_layer()?;
        let (upper, work) = draft.make_folders()?;
        if let Some(top) = lowers.paths().last() {
            same_root(top, &upper)?;
        }
        let folders: Vec<PathBuf> = lowers.paths().iter().rev().cloned().collect();
        let options = sandbox::overlay::Options {
            userxattr: self.forms.flavour() == layer::Flavour::User,
            volatile: true,
            readonly: false,
        };
        let root = sandbox::overlay::mount_detached(&folders, Some((upper.clone(), work.clone())), options)?;
        // Mount points are removed through the whole root: links in their paths may lie in lower layers.
        let whole = root.try_clone().map_err(|source| Error::Io {
            action: "keep open",
            path: upper.clone(),
            source,
        })?;
        let mut held = Held::default();
        let spec = self.spec(task, run, root, &mut held)?;
        let child = self.launcher()?.spawn(&spec, &Stdio::piped()).map_err(|error| foreign(error, run))?;
        // The mount has moved into the step's namespace; nothing of it stays here.
        drop(spec);
        for warning in child.warnings() {
            vertex.note(warning);
        }
        let status = follow(&child, &vertex, task)?;
        sandbox::mountpoint::remove(&whole, child.created())?;
        let no_network = held.no_network.take();
        drop((held, whole));
        if !status.success() {
            return Err(Error::Exit { code: status.code(), no_network });
        }
        let scanned = layer::scan(open_directory(&upper)?.as_fd(), &self.scan_options())
            .map_err(|source| Error::Layer { what: "files that the command left".into(), source })?;
        let view = self.forms.view(below)?;
        let scanned = if self.options.single_id { with_owners_below(&scanned, &view) } else { scanned };
        // Overlayfs copies a directory up to make a mount point in it; what is as it was belongs to no layer.
        let changed = layer::prune_unchanged(scanned, &view, &[]);
        draft.write_listing(&changed)?;
        remove_work(&work);
        let mut made = below.to_vec();
        made.push(draft.id());
        self.commit(task, vec![draft], &made)?;
        Ok(made)
    }

    pub(crate) fn scan_options(&self) -> layer::ScanOptions {
        layer::ScanOptions {
            owner: self.options.single_id.then_some((0, 0)),
            ..layer::ScanOptions::default()
        }
    }

    fn spec(&self, task: &Task<'_>, run: &RunOp, root: OwnedFd, held: &mut Held) -> Result<Spec> {
        let user = sandbox::user::lookup(&root, &run.user)?;
        let replaced = |name: &str| run.proxies.iter().any(|(proxy, _)| proxy == name);
        let own = run.env.vars().into_iter().filter(|var| !replaced(&var.name));
        let mut env: Vec<String> = own.map(|var| format!("{}={}", var.name, var.value)).collect();
        let declared = |name: &str| run.env.get(name).is_some();
        env.extend(run.proxies.iter().map(|(name, value)| format!("{name}={value}")));
        if !declared("HOME") {
            env.push(format!("HOME={}", user.home.display()));
        }
        let mut mounts = self.name_mounts(task, run, held)?;
        if run.trust_host_ca
            && let Some(bundle) = &self.options.host_ca
        {
            mounts.extend(authorities::mounts(bundle, |dir| has_directory(root.as_fd(), dir)));
            env.extend(authorities::variables(declared));
        }
        let attached = self.attach(run)?;
        env.extend(attached.env);
        mounts.extend(attached.mounts);
        mounts.extend(self.mounts(task, run, held, &mut env)?);
        follow_links(&self.forms.view(stack(&task.inputs[0]))?, &mut mounts);
        let mut spec = Spec::new(Tree::from(root), run.args.iter().map(Into::into).collect());
        spec.env = env.into_iter().map(Into::into).collect();
        spec.cwd = PathBuf::from(&run.cwd);
        spec.make_cwd = true;
        (spec.uid, spec.gid, spec.additional_gids) = (user.uid, user.gid, user.additional_gids);
        spec.additional_gids.extend(attached.gids);
        spec.devices = attached.devices;
        spec.mounts = mounts;
        spec.hostname = Some(run.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()));
        if run.shm_size > 0 {
            spec.shm_size = run.shm_size;
        }
        for limit in &run.ulimits {
            let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
            if let Some(resource) = sandbox::rlimit_by_name(&limit.name) {
                spec.rlimits.push(Rlimit { resource, soft: value(limit.soft), hard: value(limit.hard) });
            }
        }
        spec.network = match (run.network, &held.network) {
            (Wanted::Host, _) => Network::Host,
            (_, Some(attachment)) => {
                let netns = attachment.netns().try_clone_to_owned();
                Network::Join(Arc::new(netns.map_err(|source| Error::Io {
                    action: "keep open the network of",
                    path: "the step".into(),
                    source,
                })?))
            }
            _ => Network::None,
        };
        if run.security == Security::Insecure {
            spec.capabilities = Capabilities::ALL;
            spec.seccomp = Seccomp::Unconfined;
            spec.confinement = Confinement::Privileged;
            spec.ambient = true;
            spec.mount_cgroup = true;
        }
        Ok(spec)
    }

    /// Connects the step where it needs that, and gives it /etc/resolv.conf and /etc/hosts.
    fn name_mounts(&self, task: &Task<'_>, run: &RunOp, held: &mut Held) -> Result<Vec<Mount>> {
        let vertex = self.vertex(task.id);
        if run.network == Wanted::Default {
            let pool = self.pool();
            match pool.take() {
                Ok(attachment) => {
                    held.network = Some(attachment);
                    self.say_once(&vertex, pool.network().note());
                }
                // A plain user may have no way out at all; most steps need none, and those that do fail with this.
                Err(error) if self.options.network.rootless => {
                    let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
                    let text = format!("{error}{hint}");
                    self.say_once(&vertex, Some(text.clone()));
                    held.no_network = Some(text);
                }
                Err(error) => return Err(error.into()),
            }
            let proxies = run.proxies.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            self.say_once(&vertex, dns::proxy_hint(proxies));
        }
        let attachment = held.network.as_ref();
        let (host, systemd) = &*self.options.resolv_conf;
        let upstreams = dns::Upstreams {
            systemd: systemd.as_deref(),
            forwarder: attachment.and_then(Attachment::forwarder),
        };
        let resolv = if attachment.is_some() {
            let (text, warnings) = dns::resolv_conf(host, upstreams);
            for warning in warnings {
                self.say_once(&vertex, Some(warning.to_string()));
            }
            text
        } else {
            host.clone()
        };
        let extra: Vec<(String, IpAddr)> = run
            .extra_hosts
            .iter()
            .filter_map(|(name, address)| match address.as_str() {
                // Without a network of its own a step is on this machine.
                HOST_GATEWAY => {
                    let gateway = attachment.and_then(Attachment::gateway);
                    Some((name.clone(), gateway.unwrap_or(Ipv4Addr::LOCALHOST).into()))
                }
                address => Some((name.clone(), address.parse().ok()?)),
            })
            .collect();
        let hostname = run.hostname.as_deref().unwrap_or(HOSTNAME);
        let address = attachment.and_then(Attachment::address).map(IpAddr::from);
        let hosts = dns::hosts(hostname, address, &extra)?;
        let file = |target: &str, text: String| Mount {
            target: target.into(),
            kind: MountKind::Data { bytes: text.into_bytes(), mode: 0o644, uid: 0, gid: 0, readonly: false },
        };
        Ok(vec![file("/etc/resolv.conf", resolv), file("/etc/hosts", hosts)])
    }
}

/// A program that the kernel does not know is one of another platform, where the step is of one.
fn foreign(error: sandbox::Error, run: &RunOp) -> Error {
    let host = Platform::host();
    match error {
        sandbox::Error::NotExecutable { program, source }
            if source.raw_os_error() == Some(Errno::NOEXEC.raw_os_error())
                && host.rank(&run.platform).is_none() =>
        {
            Error::Foreign { program, platform: run.platform.to_string(), host: host.to_string() }
        }
        error => error.into(),
    }
}

/// With one id alone no command can change an owner, and files on disk have none to tell: what was there keeps that of
/// its listing.
fn with_owners_below(scanned: &Listing, below: &View) -> Listing {
    let entries = scanned.entries().map(|mut entry| {
        if let Some(below) = below.get(&entry.path).map(|found| found.entry())
            && std::mem::discriminant(&below.kind) == std::mem::discriminant(&entry.kind)
        {
            (entry.uid, entry.gid) = (below.uid, below.gid);
        }
        entry
    });
    Listing::new(entries, scanned.borrowed().to_vec())
}

/// Where mounts really go: through links of the snapshot, those to nothing too, such as an /etc/resolv.conf that leads
/// to the resolver's own. What is below another mount is not the snapshot's.
fn follow_links(below: &View, mounts: &mut [Mount]) {
    let mut before: Vec<PathBuf> = Vec::new();
    for mount in mounts {
        if !before.iter().any(|other| mount.target.starts_with(other))
            && let Ok(real) = below.resolve(mount.target.as_os_str().as_bytes(), true)
            && !real.is_empty()
        {
            mount.target = Path::new("/").join(OsStr::from_bytes(&real));
        }
        before.push(mount.target.clone());
    }
}

fn has_directory(root: BorrowedFd<'_>, path: &str) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(root, path.trim_start_matches('/'), flags, Mode::empty(), ResolveFlags::IN_ROOT)
        .is_ok()
}

/// The upper directory's own mode and owner are the root's.
fn same_root(below: &Path, upper: &Path) -> Result<()> {
    let fail = |source| Error::Io { action: "set up", path: upper.to_owned(), source };
    let metadata = std::fs::metadata(below).map_err(fail)?;
    use std::os::unix::fs::MetadataExt;
    if metadata.mode() & 0o7777 != 0o755 {
        std::fs::set_permissions(upper, metadata.permissions()).map_err(fail)?;
    }
    Ok(())
}

/// Passes output on until the process has ended; ends it when it is no longer wanted. One thread does all of it, the
/// step's own: a start of two more would cost as much as a small step.
fn follow(child: &Child, vertex: &VertexHandle, task: &Task<'_>) -> Result<sandbox::ExitStatus> {
    let streams = [(Output::Out, child.take_stdout()), (Output::Err, child.take_stderr())];
    let mut pipes: Vec<(Output, File)> =
        streams.into_iter().filter_map(|(stream, fd)| Some((stream, File::from(fd?)))).collect();
    let mut buffer = vec![0; 32 << 10];
    let pause = Timespec { tv_sec: 0, tv_nsec: POLL.subsec_nanos().into() };
    loop {
        let process = child.pidfd();
        let waited = pipes.iter().map(|(_, pipe)| pipe.as_fd()).chain([process]);
        let mut waited: Vec<PollFd<'_>> =
            waited.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        match rustix::event::poll(&mut waited, Some(&pause)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => {
                let source = source.into();
                return Err(Error::Io { action: "wait for", path: "the step's output".into(), source });
            }
        }
        let mut ready: Vec<bool> = waited.iter().map(|polled| !polled.revents().is_empty()).collect();
        let ended = ready.pop().expect("because the process is always waited for");
        let mut ready = ready.into_iter();
        pipes.retain_mut(|(stream, pipe)| {
            !ready.next().unwrap_or_default() || pass_on(pipe, *stream, vertex, &mut buffer)
        });
        if ended && let Some(status) = child.try_wait()? {
            // All that it started has ended with it; what they wrote is still in the pipes.
            for (stream, mut pipe) in pipes {
                while pass_on(&mut pipe, stream, vertex, &mut buffer) {}
            }
            return Ok(status);
        }
        if task.cancel.is_cancelled() {
            child.kill(9)?;
            child.wait()?;
            return Err(Error::Cancelled);
        }
    }
}

/// Passes on what there is, waiting for it; false at the end.
fn pass_on(from: &mut File, stream: Output, vertex: &VertexHandle, buffer: &mut [u8]) -> bool {
    match from.read(buffer) {
        Ok(0) => false,
        Ok(count) => {
            vertex.log(stream, &buffer[..count]);
            true
        }
        Err(error) => error.kind() == std::io::ErrorKind::Interrupted,
    }
}

/// Removes the folder that overlayfs worked in. What it leaves there after a mount without syncs is known; anything
/// else is removed name by name.
fn remove_work(work: &Path) {
    let file = std::fs::remove_file(work.join("work/incompat/volatile/dirty")).is_ok();
    let folders = ["work/incompat/volatile", "work/incompat", "work", ""];
    if !file || folders.iter().any(|folder| std::fs::remove_dir(work.join(folder)).is_err()) {
        let _ = std::fs::remove_dir_all(work);
    }
}
