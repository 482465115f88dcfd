//! The front: options in, connected namespaces out, by the path that works on this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::bridge::{self, Bridge};
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::namespace;
use crate::subnet::Subnet;
use crate::user_space::{self, Kind, Program, Running};

/// Subnets to try for the bridge, first one first: small, so that they are in nobody's way, and out of the
/// ranges that Docker, Podman, Kubernetes, LXD and libvirt take by themselves.
const CANDIDATES: [(Ipv4Addr, u8); 8] = [
    (Ipv4Addr::new(10, 187, 0, 0), 20),
    (Ipv4Addr::new(10, 213, 64, 0), 20),
    (Ipv4Addr::new(10, 61, 128, 0), 20),
    (Ipv4Addr::new(172, 30, 176, 0), 20),
    (Ipv4Addr::new(172, 27, 48, 0), 20),
    (Ipv4Addr::new(192, 168, 231, 0), 24),
    (Ipv4Addr::new(192, 168, 187, 0), 24),
    (Ipv4Addr::new(198, 18, 64, 0), 20),
];

/// How a network is to be made. The defaults fit root on an ordinary machine.
#[derive(Debug, Clone)]
pub struct NetworkOptions {
    /// Whether this process has no power over the host's network: only the user-space path is tried.
    pub rootless: bool,
    /// The bridge's name, 1 to 15 letters, digits, `-`, `_` or `.`.
    pub bridge: String,
    /// Subnets for the bridge, tried in this order; a bridge that stands keeps its own.
    pub subnets: Vec<Subnet>,
    /// Addresses that the bridge's subnet must not hold, such as the machine's name servers: those behind the
    /// default route would be cut off.
    pub avoid: Vec<Ipv4Addr>,
    /// Folders to look for `slirp4netns` and `pasta` in.
    pub program_folders: Vec<PathBuf>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            rootless: false,
            bridge: "jettison0".to_owned(),
            subnets: CANDIDATES
                .iter()
                .filter_map(|&(address, prefix)| Subnet::new(address, prefix))
                .collect(),
            avoid: Vec::new(),
            program_folders: ["/usr/local/bin", "/usr/bin", "/bin"].map(PathBuf::from).to_vec(),
        }
    }
}

/// The way a namespace reaches the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// A veth pair into the bridge, forwarding and masquerade by the kernel.
    Bridge,
    /// The slirp4netns program.
    Slirp,
    /// The pasta program.
    Pasta,
    /// No way at all: loopback alone. See [`Network::isolate`].
    Isolated,
}

/// A network that namespaces can be connected to. Cheap to make and to clone: nothing is touched before the
/// first [`Network::connect`].
#[derive(Clone)]
pub struct Network {
    inner: Arc<Inner>,
}

struct Inner {
    options: NetworkOptions,
    path: Mutex<Option<Arc<Path>>>,
}

enum Path {
    Bridge(Bridge),
    UserSpace { program: Program, why: String },
}

impl Network {
    /// A network by these options.
    pub fn open(options: NetworkOptions) -> Self {
        Self { inner: Arc::new(Inner { options, path: Mutex::new(None) }) }
    }

    /// A fresh namespace, connected: loopback, address and default route stand when this returns.
    ///
    /// # Errors
    /// The kernel's refusals, no free address, or no way at all to give a namespace a network (see
    /// [`Error::hint`]).
    pub fn connect(&self) -> Result<Attachment> {
        let path = self.path()?;
        let result = self.connect_by(&path);
        match &*path {
            // Somebody removed it since (another process cleaning up, an administrator): make it anew, once.
            Path::Bridge(bridge) if result.is_err() && bridge.is_gone() => {
                self.forget(&path);
                self.connect_by(&*self.path()?)
            }
            _ => result,
        }
    }

    fn connect_by(&self, path: &Path) -> Result<Attachment> {
        match path {
            Path::Bridge(bridge) => {
                let (netns, lease) = bridge.connect()?;
                Ok(Attachment {
                    netns,
                    address: Some(lease.address),
                    gateway: Some(bridge.subnet().gateway()),
                    how: How::Bridge,
                    _running: None,
                    _lease: Some(lease),
                })
            }
            Path::UserSpace { program, .. } => {
                let netns = namespace::isolated()?;
                let connected = program.connect(netns.as_fd(), self.inner.options.rootless)?;
                Ok(Attachment {
                    netns,
                    address: connected.address,
                    gateway: connected.gateway,
                    how: kind_to_how(program.kind),
                    _running: Some(connected.running),
                    _lease: None,
                })
            }
        }
    }

    /// Forgets a path that leads nowhere any more, unless another thread has already found a new one.
    fn forget(&self, gone: &Arc<Path>) {
        let mut path = self.inner.path.lock().unwrap_or_else(PoisonError::into_inner);
        if path.as_ref().is_some_and(|path| Arc::ptr_eq(path, gone)) {
            *path = None;
        }
    }

    /// A fresh namespace with loopback alone, for a plain user on a machine that has no way out for one. Published
    /// ports still work: their proxy makes its sockets inside.
    ///
    /// # Errors
    /// The kernel's refusals.
    pub fn isolate(&self) -> Result<Attachment> {
        Ok(Attachment {
            netns: namespace::isolated()?,
            address: None,
            gateway: None,
            how: How::Isolated,
            _running: None,
            _lease: None,
        })
    }

    /// The way that namespaces are connected; finds it out, setting the bridge up, where that is not yet done.
    ///
    /// # Errors
    /// As [`Network::connect`].
    pub fn how(&self) -> Result<How> {
        Ok(match &*self.path()? {
            Path::Bridge(_) => How::Bridge,
            Path::UserSpace { program, .. } => kind_to_how(program.kind),
        })
    }

    /// Why the user-space path is taken, as a sentence for the user. `None` when the bridge is used, when nothing
    /// was connected yet, or when the user-space path is the only one (rootless).
    pub fn note(&self) -> Option<String> {
        let path = self.inner.path.lock().unwrap_or_else(PoisonError::into_inner);
        match path.as_deref() {
            Some(Path::UserSpace { program, why }) if !self.inner.options.rootless => {
                Some(format!("Steps use {} for their network: {why}.", program.name()))
            }
            _ => None,
        }
    }

    /// Removes the bridge and the packet filter table. Namespaces still connected lose their network.
    ///
    /// # Errors
    /// The kernel's refusals.
    pub fn remove(&self) -> Result<()> {
        let mut path = self.inner.path.lock().unwrap_or_else(PoisonError::into_inner);
        *path = None;
        bridge::remove(&self.inner.options.bridge)
    }

    fn path(&self) -> Result<Arc<Path>> {
        let mut path = self.inner.path.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*path {
            return Ok(Arc::clone(path));
        }
        let found = Arc::new(find_path(&self.inner.options)?);
        *path = Some(Arc::clone(&found));
        Ok(found)
    }
}

fn kind_to_how(kind: Kind) -> How {
    match kind {
        Kind::Slirp => How::Slirp,
        Kind::Pasta => How::Pasta,
    }
}

fn find_path(options: &NetworkOptions) -> Result<Path> {
    let why = if options.rootless {
        "a plain user cannot plug into the host's network".to_owned()
    } else {
        match Bridge::open(&options.bridge, &options.subnets, &options.avoid) {
            Ok(bridge) => match bridge.obstacle()? {
                None => return Ok(Path::Bridge(bridge)),
                Some(obstacle) => obstacle,
            },
            // A wish that cannot be met is the user's to change; anything else is this machine's way.
            Err(error @ (Error::BadName { .. } | Error::NotABridge { .. })) => return Err(error),
            Err(error) => error.to_string(),
        }
    };
    if let Some(program) = Program::find(&options.program_folders) {
        return match user_space::check_tap() {
            Ok(()) => Ok(Path::UserSpace { program, why }),
            Err(source) => {
                Err(Error::NoTap { reason: why, program: program.name(), device: user_space::TAP, source })
            }
        };
    }
    let searched: Vec<_> =
        options.program_folders.iter().map(|folder| folder.display().to_string()).collect();
    Err(Error::NoProgram { reason: why, searched: searched.join(", ") })
}

/// A connected namespace. Dropped, it is given back: the address is free again, a user-space program ends, and
/// the namespace with its interfaces vanishes once no process is in it any more. So drop it after the last
/// process in it has ended.
#[derive(Debug)]
pub struct Attachment {
    netns: OwnedFd,
    address: Option<Ipv4Addr>,
    gateway: Option<Ipv4Addr>,
    how: How,
    // Dropped in this order: the program ends before the address goes back.
    _running: Option<Running>,
    _lease: Option<Lease>,
}

impl Attachment {
    /// The network namespace, for `setns` or to start a process in.
    pub fn netns(&self) -> BorrowedFd<'_> {
        self.netns.as_fd()
    }

    /// The namespace's address on its `eth0` or `tap0`.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.address
    }

    /// The router that the default route names, where it is known.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway
    }

    /// The way it is connected.
    pub fn how(&self) -> How {
        self.how
    }

    /// A name server that the path itself plays, for hosts whose resolvers are all on the loopback.
    pub fn forwarder(&self) -> Option<IpAddr> {
        (self.how == How::Slirp).then_some(IpAddr::V4(user_space::SLIRP_DNS))
    }
}
