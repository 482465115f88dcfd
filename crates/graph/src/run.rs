//! The run operation: a process over a snapshot.

use crate::Environment;
use oci::Platform;
use serde::{Deserialize, Serialize};

/// A process over the snapshot that is the node's first input. Further inputs are for mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOp {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// The declared environment, in order.
    pub env: Environment,
    /// Where it starts; absolute.
    pub cwd: String,
    /// `user[:group]`, names or numbers; empty is root.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// What is mounted besides the root.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    /// Which network it sees.
    #[serde(default)]
    pub network: Network,
    /// How it is confined.
    #[serde(default)]
    pub security: Security,
    /// The host name; nothing is the default one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `name=address` lines for /etc/hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra_hosts: Vec<(String, String)>,
    /// The size of /dev/shm in bytes; 0 is the default of 64 MiB.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub shm_size: u64,
    /// Resource limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ulimits: Vec<Ulimit>,
    /// Devices it sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The platform it runs as.
    pub platform: Platform,
    /// Proxy variables: seen by the process, over those of the environment; in no key and no history.
    #[serde(skip)]
    pub proxies: Vec<(String, String)>,
    /// Whether the host's certificate authorities are shown to it; in no key and no history.
    #[serde(skip)]
    pub trust_host_ca: bool,
    /// Here-documents that the command reads as files; in the key by content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pipes: Vec<(String, String)>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A device of the host, by its name in the Container Device Interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// `vendor/class=name`, `vendor/class` (the first), `vendor/class=*` (all), or a class that annotations give.
    pub name: String,
    /// Whether the build fails without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// A resource limit as `--ulimit` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// `nofile`, `nproc`, ...
    pub name: String,
    /// The soft limit.
    pub soft: i64,
    /// The hard limit.
    pub hard: i64,
}

/// Which network a run sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Its own, with a way out.
    #[default]
    Default,
    /// Loopback alone.
    None,
    /// The host's.
    Host,
}

/// How a run is confined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// Docker's defaults.
    #[default]
    Sandbox,
    /// All capabilities, no filter.
    Insecure,
}

/// One `RUN --mount`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where in the root; absolute.
    pub target: String,
    /// What is mounted.
    #[serde(flatten)]
    pub kind: MountKind,
}

/// What a mount shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum MountKind {
    /// Files of another snapshot or of a local source.
    Bind {
        /// Which of the node's inputs.
        input: usize,
        /// The path in it.
        source: String,
        /// Whether it may be written to; what is written is thrown away.
        writable: bool,
    },
    /// A folder that outlives builds.
    Cache {
        /// Its name in the store.
        id: String,
        /// Who may use it at the same time.
        sharing: CacheSharing,
        /// What a new one starts with: an input and a path in it, whose mode and owner it takes.
        from: Option<(usize, String)>,
        /// The mode of a new one that starts empty.
        mode: u32,
        /// The owner of a new one that starts empty.
        uid: u32,
        /// The group of a new one that starts empty.
        gid: u32,
        /// Whether it may only be read.
        readonly: bool,
    },
    /// Memory.
    Tmpfs {
        /// The limit in bytes; 0 is none.
        size: u64,
        /// Whether it may only be read.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        readonly: bool,
    },
    /// A secret, as a file, an environment variable, or both.
    Secret {
        /// Its id among the build's secrets.
        id: String,
        /// Whether a file is mounted at the target.
        file: bool,
        /// The variable it is put into.
        env: Option<String>,
        /// Whether the build fails without it.
        required: bool,
        /// The file's mode.
        mode: u32,
        /// The file's owner.
        uid: u32,
        /// The file's group.
        gid: u32,
    },
    /// An agent's socket.
    Ssh {
        /// Which agent.
        id: String,
        /// Whether the build fails without it.
        required: bool,
        /// The socket's mode.
        mode: u32,
        /// The socket's owner.
        uid: u32,
        /// The socket's group.
        gid: u32,
    },
}

/// Who may use a cache mount at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CacheSharing {
    /// All.
    #[default]
    Shared,
    /// Each its own: a second user gets a new one.
    Private,
    /// One after the other.
    Locked,
}
