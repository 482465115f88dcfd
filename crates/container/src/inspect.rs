//! `inspect`: a container in the shape that Docker gives it.

use crate::config::{Mount, MountSource, Port};
use crate::containers::{Containers, Summary};
use crate::{Result, time};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What Docker shows for a time that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Containers {
    /// A container as `docker inspect` shows it.
    ///
    /// # Errors
    /// As [`Containers::get`].
    pub fn inspect(&self, text: &str) -> Result<Value> {
        let summary = self.get(text)?;
        Ok(self.describe(&summary))
    }

    fn describe(&self, summary: &Summary) -> Value {
        let Summary { config, state, .. } = summary;
        let dir = self.store.container_dir(&summary.id);
        let file = |name: &str| dir.join(name).display().to_string();
        let args = config.args();
        let (path, rest) =
            args.split_first().map_or((String::new(), Vec::new()), |(a, b)| (a.clone(), b.to_vec()));
        json!({
            "Id": summary.id,
            "Created": time::format(summary.created),
            "Path": path,
            "Args": rest,
            "State": state_of(summary),
            "Image": config.image_id,
            "ResolvConfPath": file("resolv.conf"),
            "HostnamePath": file("hostname"),
            "HostsPath": file("hosts"),
            "LogPath": file("log"),
            "Name": format!("/{}", summary.name),
            "RestartCount": 0,
            "Driver": "overlayfs",
            "Platform": "linux",
            "HostConfig": host_config(summary),
            "GraphDriver": {"Name": "overlayfs", "Data": {
                "UpperDir": self.store.root().join("layers").join(&config.layer).join("fs").display().to_string(),
            }},
            "Mounts": config.mounts.iter().filter_map(|mount| self.shown_mount(mount)).collect::<Vec<_>>(),
            "Config": settings(summary),
            "NetworkSettings": {
                "Ports": ports(&config.exposed, &state.ports),
                "IPAddress": state.address.map(|a| a.to_string()).unwrap_or_default(),
                "Gateway": state.gateway.map(|a| a.to_string()).unwrap_or_default(),
                "Networks": {(config.options.network.name()): {
                    "IPAddress": state.address.map(|a| a.to_string()).unwrap_or_default(),
                    "Gateway": state.gateway.map(|a| a.to_string()).unwrap_or_default(),
                }},
            },
        })
    }

    fn shown_mount(&self, mount: &Mount) -> Option<Value> {
        let mode = if mount.readonly { "ro" } else { "" };
        match &mount.source {
            MountSource::Bind { path, .. } => Some(json!({
                "Type": "bind", "Source": path, "Destination": mount.target, "Mode": mode,
                "RW": !mount.readonly, "Propagation": "rprivate",
            })),
            MountSource::Volume { name, .. } => Some(json!({
                "Type": "volume", "Name": name,
                "Source": self.store.root().join("volumes").join(name).display().to_string(),
                "Destination": mount.target, "Driver": "local", "Mode": mode, "RW": !mount.readonly,
                "Propagation": "",
            })),
            MountSource::Tmpfs { .. } => Some(json!({
                "Type": "tmpfs", "Source": "", "Destination": mount.target, "Mode": mode,
                "RW": !mount.readonly, "Propagation": "",
            })),
        }
    }
}

fn state_of(summary: &Summary) -> Value {
    let state = &summary.state;
    let mut shown = json!({
        "Status": state.status.name(),
        "Running": state.is_running(),
        "Paused": false,
        "Restarting": false,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": state.pid,
        "ExitCode": if state.is_running() { 0 } else { state.exit_code },
        "Error": state.error,
        "StartedAt": state.started.as_deref().unwrap_or(NEVER),
        "FinishedAt": state.finished.as_deref().unwrap_or(NEVER),
    });
    if let Some(health) = &state.health {
        let log: Vec<Value> = health
            .log
            .iter()
            .map(|check| json!({"Start": check.start, "End": check.end, "ExitCode": check.exit_code, "Output": check.output}))
            .collect();
        shown["Health"] = json!({"Status": health.status, "FailingStreak": health.failing, "Log": log});
    }
    shown
}

fn host_config(summary: &Summary) -> Value {
    let config = &summary.config;
    let binds: Vec<String> = config
        .mounts
        .iter()
        .filter_map(|mount| {
            let source = match &mount.source {
                MountSource::Bind { path, .. } => path,
                MountSource::Volume { name, .. } => name,
                MountSource::Tmpfs { .. } => return None,
            };
            Some(format!("{source}:{}{}", mount.target, if mount.readonly { ":ro" } else { "" }))
        })
        .collect();
    let limits = &config.options.limits;
    json!({
        "Binds": binds,
        "NetworkMode": config.options.network.name(),
        "PortBindings": bindings(&config.ports),
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "AutoRemove": config.options.auto_remove,
        "CapAdd": config.options.cap_add,
        "CapDrop": config.options.cap_drop,
        "Dns": config.options.dns,
        "DnsOptions": config.options.dns_options,
        "DnsSearch": config.options.dns_search,
        "ExtraHosts": config.options.extra_hosts.iter().map(|(name, ip)| format!("{name}:{ip}")).collect::<Vec<_>>(),
        "GroupAdd": config.options.group_add,
        "Init": config.options.init,
        "OomScoreAdj": config.options.oom_score_adj.unwrap_or(0),
        "Privileged": config.options.privileged,
        "PublishAllPorts": false,
        "ReadonlyRootfs": config.options.read_only,
        "ShmSize": if config.options.shm_size == 0 { 64 << 20 } else { config.options.shm_size },
        "Memory": limits.memory.unwrap_or(0),
        "MemorySwap": limits.memory_swap.unwrap_or(0),
        "MemoryReservation": limits.memory_reservation.unwrap_or(0),
        "NanoCpus": limits.nano_cpus.unwrap_or(0),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.as_deref().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.as_deref().unwrap_or_default(),
        "PidsLimit": limits.pids,
        "Ulimits": config.options.ulimits.iter().map(|(name, soft, hard)| json!({"Name": name, "Soft": soft, "Hard": hard})).collect::<Vec<_>>(),
        "LogConfig": {"Type": "json-file", "Config": {}},
    })
}

fn settings(summary: &Summary) -> Value {
    let config = &summary.config;
    let some = |words: &[String]| if words.is_empty() { Value::Null } else { json!(words) };
    let set =
        |names: Vec<&String>| names.into_iter().map(|name| (name.clone(), json!({}))).collect::<Map<_, _>>();
    let volumes = config.mounts.iter().filter(|m| matches!(m.source, MountSource::Volume { .. }));
    let mut shown = json!({
        "Hostname": config.hostname,
        "Domainname": config.options.domainname,
        "User": config.user,
        "AttachStdin": config.options.stdin_once,
        "Tty": config.options.tty,
        "OpenStdin": config.options.open_stdin,
        "StdinOnce": config.options.stdin_once,
        "ExposedPorts": set(config.exposed.iter().collect()),
        "Env": config.env,
        "Cmd": some(&config.cmd),
        "Image": config.image,
        "Volumes": set(volumes.map(|mount| &mount.target).collect()),
        "WorkingDir": config.cwd,
        "Entrypoint": some(&config.entrypoint),
        "Labels": config.labels,
    });
    if !config.stop_signal.is_empty() {
        shown["StopSignal"] = json!(config.stop_signal);
    }
    if let Some(seconds) = config.options.stop_timeout {
        shown["StopTimeout"] = json!(seconds);
    }
    if let Some(check) = &config.healthcheck {
        shown["Healthcheck"] = json!(check);
    }
    shown
}

/// Where a port is reached on the host.
fn place(port: &Port) -> Value {
    let ip = port.host_ip.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let host = if port.host_port == 0 { String::new() } else { port.host_port.to_string() };
    json!({"HostIp": ip.to_string(), "HostPort": host})
}

fn bindings(ports: &[Port]) -> BTreeMap<String, Vec<Value>> {
    let mut shown: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for port in ports {
        shown.entry(port.inside()).or_default().push(place(port));
    }
    shown
}

/// Exposed ports, with where they are published.
fn ports(exposed: &[String], published: &[Port]) -> BTreeMap<String, Value> {
    let mut shown: BTreeMap<String, Value> = exposed.iter().map(|port| (port.clone(), Value::Null)).collect();
    for (port, places) in bindings(published) {
        shown.insert(port, json!(places));
    }
    shown
}
