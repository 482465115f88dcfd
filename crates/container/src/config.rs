//! What a container is: everything that its start needs to know and its `inspect` shows, kept as JSON in its row of the
//! store. It is complete: nothing of it is looked up in the image again.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A container's configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The image as the user named it.
    pub image: String,
    /// The image's id, `sha256:` and 64 digits.
    pub image_id: String,
    /// The entrypoint; it comes before `cmd`.
    pub entrypoint: Vec<String>,
    /// The command.
    pub cmd: Vec<String>,
    /// `NAME=value`, without what is set at the start (`HOME`, `HOSTNAME`, `TERM`).
    pub env: Vec<String>,
    /// The working directory.
    pub cwd: String,
    /// `user`, `user:group` or ids; empty is root.
    pub user: String,
    /// What no image has a say in.
    #[serde(flatten)]
    pub options: RunOptions,
    /// The host name; empty with the host's network.
    pub hostname: String,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// Published ports.
    pub ports: Vec<Port>,
    /// Ports the image says it listens on, `80/tcp`.
    pub exposed: Vec<String>,
    /// Free text by key, the image's included.
    pub labels: BTreeMap<String, String>,
    /// The signal of `stop`, by name or number; empty is SIGTERM.
    pub stop_signal: String,
    /// How to see whether it is well.
    pub healthcheck: Option<oci::Healthcheck>,
    /// Its own layer's folder is `layers/<this>`.
    pub layer: String,
}

/// What the user alone decides, and no image: the same when a container is wanted and when it is there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunOptions {
    /// Further groups, names or numbers.
    pub group_add: Vec<String>,
    /// The NIS domain name.
    pub domainname: String,
    /// The network.
    pub network: NetworkMode,
    /// Lines of `/etc/hosts`; the address 0.0.0.0 stands for the host (`host-gateway`).
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Name servers in place of the host's.
    pub dns: Vec<IpAddr>,
    /// Search domains in place of the host's.
    pub dns_search: Vec<String>,
    /// Resolver options in place of the host's.
    pub dns_options: Vec<String>,
    /// Its streams are a terminal.
    pub tty: bool,
    /// It has a standard input.
    pub open_stdin: bool,
    /// Its standard input ends with the first client's.
    pub stdin_once: bool,
    /// A small process 1 reaps orphans and passes signals on.
    pub init: bool,
    /// The root cannot be written to.
    pub read_only: bool,
    /// All capabilities, no filter, the host's devices.
    pub privileged: bool,
    /// Capabilities besides the default ones.
    pub cap_add: Vec<String>,
    /// Default capabilities it does not have.
    pub cap_drop: Vec<String>,
    /// No system call filter.
    pub seccomp_unconfined: bool,
    /// Set-user-id programs give nothing.
    pub no_new_privileges: bool,
    /// Resource limits: name, soft, hard; -1 is unlimited.
    pub ulimits: Vec<(String, i64, i64)>,
    /// Control group limits.
    pub limits: Limits,
    /// The size of `/dev/shm` in bytes; 0 is the default of 64 MiB.
    pub shm_size: u64,
    /// Device nodes of the host.
    pub devices: Vec<String>,
    /// -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    /// Seconds that `stop` waits; -1 for ever; 10 where nothing is said.
    pub stop_timeout: Option<i64>,
    /// It is removed, with its anonymous volumes, when it has ended.
    pub auto_remove: bool,
}

/// What a control group may use at most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Memory and swap in bytes; `u64::MAX` is unlimited swap.
    pub memory_swap: Option<u64>,
    /// Memory to stay under when there is pressure, in bytes.
    pub memory_reservation: Option<u64>,
    /// Processes and threads.
    pub pids: Option<u64>,
    /// Processor time, in billionths of one processor.
    pub nano_cpus: Option<u64>,
    /// Relative weight.
    pub cpu_shares: Option<u64>,
    /// Processors, `0-3,6`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes.
    pub cpuset_mems: Option<String>,
}

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where in the container: an absolute, clean path.
    pub target: String,
    /// What.
    pub source: MountSource,
    /// Nothing can be written through it.
    #[serde(default)]
    pub readonly: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "type")]
pub enum MountSource {
    /// A file or folder of the host.
    Bind {
        /// Its absolute path.
        path: String,
        /// What is mounted below it comes along.
        #[serde(default)]
        recursive: bool,
    },
    /// A volume of the store.
    Volume {
        /// Its name.
        name: String,
        /// A folder below the volume's own; empty for the volume itself.
        #[serde(default)]
        subpath: String,
        /// The image's files are not copied into it.
        #[serde(default)]
        nocopy: bool,
    },
    /// An empty file system in memory.
    Tmpfs {
        /// The largest size in bytes.
        #[serde(default)]
        size: Option<u64>,
        /// Permission bits of its root.
        #[serde(default)]
        mode: Option<u32>,
        /// Programs on it cannot be executed.
        #[serde(default)]
        noexec: bool,
    },
}

/// Which network a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkMode {
    /// An address on the bridge, or the user-space path.
    #[default]
    Bridge,
    /// The host's.
    Host,
    /// A loopback interface and nothing else.
    None,
}

impl NetworkMode {
    /// `bridge`, `host` or `none`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::None => "none",
        }
    }
}

/// A port of the container and where it is reached on the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The host's address; none is all.
    pub host_ip: Option<IpAddr>,
    /// The host's port; 0 is one of the kernel's choice.
    pub host_port: u16,
    /// The last port that will do.
    pub host_port_last: u16,
    /// The port in the container.
    pub container_port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl From<&network::PortMapping> for Port {
    fn from(mapping: &network::PortMapping) -> Self {
        Self {
            host_ip: mapping.host_ip,
            host_port: mapping.host_port,
            host_port_last: mapping.host_port_last,
            container_port: mapping.container_port,
            protocol: mapping.protocol.name().to_owned(),
        }
    }
}

impl Port {
    /// As the `network` crate takes it.
    #[must_use]
    pub fn mapping(&self) -> network::PortMapping {
        let protocol = match self.protocol.as_str() {
            "udp" => network::Protocol::Udp,
            "sctp" => network::Protocol::Sctp,
            _ => network::Protocol::Tcp,
        };
        network::PortMapping {
            host_ip: self.host_ip,
            host_port: self.host_port,
            host_port_last: self.host_port_last,
            container_port: self.container_port,
            protocol,
        }
    }

    /// `80/tcp`.
    #[must_use]
    pub fn inside(&self) -> String {
        format!("{}/{}", self.container_port, self.protocol)
    }
}

impl Config {
    /// Program and arguments: the entrypoint, then the command.
    #[must_use]
    pub fn args(&self) -> Vec<String> {
        self.entrypoint.iter().chain(&self.cmd).cloned().collect()
    }

    /// The value of an environment variable; the last of equal names counts.
    #[must_use]
    pub fn env_value(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='))
    }

    /// The number of the signal that asks it to end.
    #[must_use]
    pub fn stop_signal_number(&self) -> i32 {
        crate::signal::parse(&self.stop_signal).unwrap_or(15)
    }
}
