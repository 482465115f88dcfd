//! The flags of `run` and `create`.

use super::foreign::ForeignArgs;
use super::{mounts, values};
use crate::cli::RegistryArgs;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use clap::{ArgAction, Args};
use container::{Limits, NetworkMode, NewContainer, RunOptions};
use oci::Platform;
use std::net::IpAddr;
use std::path::PathBuf;

/// Docker's least memory: with less a process is killed before it begins.
const LEAST_MEMORY: u64 = 6 << 20;

/// Run a command in a new container
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct RunArgs {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    pub(super) detach: bool,
    /// Remove the container when it has ended
    #[arg(long)]
    pub(super) rm: bool,
    /// Pass signals on to the process
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(super) sig_proxy: bool,
    /// The keys that leave a container running, such as `ctrl-p,ctrl-q`
    #[arg(long, value_name = "KEYS")]
    pub(super) detach_keys: Option<String>,
    #[command(flatten)]
    pub(super) container: ContainerArgs,
}

/// Make a container without starting it
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub(crate) struct CreateArgs {
    /// Remove the container when it has ended
    #[arg(long)]
    pub(super) rm: bool,
    #[command(flatten)]
    pub(super) container: ContainerArgs,
}

/// What a container is.
#[derive(Debug, Args)]
pub(crate) struct ContainerArgs {
    /// Print help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Add a line to /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "HOST")]
    add_host: Vec<String>,
    /// Attach to standard input, output or error
    #[arg(short, long, value_name = "STREAM")]
    pub(super) attach: Vec<String>,
    /// Add a capability
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Drop a capability
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// Write the container's id to this file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Option<PathBuf>,
    /// Relative weight of processor time
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// How many processors, such as 1.5
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Which processors, such as 0-3,6
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Which memory nodes
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// A device of the host
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// A name server
    #[arg(long, value_name = "ADDRESS")]
    dns: Vec<IpAddr>,
    /// A resolver option
    #[arg(long, value_name = "OPTION", visible_alias = "dns-opt")]
    dns_option: Vec<String>,
    /// A search domain
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// The NIS domain name
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// In place of the image's entrypoint
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set an environment variable: NAME=VALUE, or NAME for the caller's value
    #[arg(short, long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// A port that the container listens on
    #[arg(long, value_name = "PORT")]
    expose: Vec<String>,
    /// A further group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// The command of the health check
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// The time between two checks
    #[arg(long, value_name = "DURATION")]
    health_interval: Option<String>,
    /// How many failures in a row count
    #[arg(long, value_name = "NUMBER")]
    health_retries: Option<u64>,
    /// The time in which failures do not count
    #[arg(long, value_name = "DURATION")]
    health_start_period: Option<String>,
    /// The time between two checks at the start
    #[arg(long, value_name = "DURATION")]
    health_start_interval: Option<String>,
    /// How long a check may take
    #[arg(long, value_name = "DURATION")]
    health_timeout: Option<String>,
    /// The host name
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// Run a small init that reaps processes and passes signals on
    #[arg(long)]
    init: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// A label: KEY=VALUE
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// The most memory
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Memory to stay under when there is pressure
    #[arg(long, value_name = "BYTES")]
    memory_reservation: Option<String>,
    /// The most memory and swap; -1 for unlimited swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// A mount: type=bind|volume|tmpfs,source=...,target=...
    #[arg(long, value_name = "MOUNT")]
    mount: Vec<String>,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The network: bridge, host or none
    #[arg(long, value_name = "NETWORK", visible_alias = "net")]
    network: Option<String>,
    /// Run no health check
    #[arg(long)]
    no_healthcheck: bool,
    /// How readily the kernel kills it for memory, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    oom_score_adj: Option<i32>,
    /// The most processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pids_limit: Option<i64>,
    /// The image's platform, such as linux/arm64; one that is not this machine's needs a handler in binfmt_misc
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// All capabilities, no filter, the host's devices
    #[arg(long)]
    privileged: bool,
    /// Publish a port: [[ADDRESS:]HOSTPORT:]PORT[/PROTOCOL]
    #[arg(short, long, value_name = "PORT")]
    publish: Vec<String>,
    /// Publish every exposed port at a free port of the host
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// When to pull the image: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing")]
    pub(super) pull: String,
    /// Say nothing while pulling
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Make the root read-only
    #[arg(long)]
    read_only: bool,
    /// What happens when it ends: only `no`
    #[arg(long, value_name = "POLICY", default_value = "no")]
    restart: String,
    /// no-new-privileges, seccomp=unconfined, apparmor=unconfined or label=disable
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// The size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// The signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds to wait before it is killed
    #[arg(long, value_name = "SECONDS", allow_hyphen_values = true)]
    stop_timeout: Option<i64>,
    /// Files in memory: TARGET[:OPTIONS]
    #[arg(long, value_name = "TARGET")]
    tmpfs: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    pub(super) tty: bool,
    /// A resource limit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT")]
    ulimit: Vec<String>,
    /// The user: NAME or ID, with :GROUP
    #[arg(short, long, value_name = "USER")]
    user: Option<String>,
    /// Mount a folder or volume: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short, long, value_name = "VOLUME")]
    volume: Vec<String>,
    /// The working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    #[command(flatten)]
    foreign: ForeignArgs,
    #[command(flatten)]
    pub(super) registry: RegistryArgs,
    /// The image, then the command in place of the image's and its arguments
    #[arg(required = true, num_args = 1.., trailing_var_arg = true, value_names = ["IMAGE", "COMMAND"])]
    words: Vec<String>,
}

impl ContainerArgs {
    /// The image as it was named.
    pub(super) fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The platform that somebody chose.
    pub(super) fn platform(&self, environment: &Environment) -> Outcome<Option<Platform>> {
        let text = self.platform.as_deref().or(environment.get("DOCKER_DEFAULT_PLATFORM"));
        text.map(str::parse).transpose().map_err(|error: oci::Error| CommandError::usage(error.to_string()))
    }

    /// What the flags say; `attached` is whether the caller's standard input will be.
    pub(super) fn container(
        &self,
        environment: &Environment,
        rm: bool,
        attached: bool,
    ) -> Outcome<NewContainer> {
        if self.restart != "no" && !self.restart.is_empty() {
            return Err(CommandError::usage(format!("--restart={} is not supported yet", self.restart)));
        }
        self.foreign.check()?;
        let security = self.security()?;
        let mut ports = Vec::new();
        for spec in &self.publish {
            ports.extend(network::ports::parse(spec)?);
        }
        let mut mounted = Vec::new();
        for (parse, texts) in [
            (mounts::mount as fn(&str) -> Outcome<container::NewMount>, &self.mount),
            (mounts::volume, &self.volume),
            (mounts::tmpfs, &self.tmpfs),
        ] {
            for text in texts {
                mounted.push(parse(text)?);
            }
        }
        let all = |texts: &[String], parse: fn(&str) -> Outcome<(String, IpAddr)>| {
            texts.iter().map(|text| parse(text)).collect::<Outcome<Vec<_>>>()
        };
        if let Some(score) = self.oom_score_adj
            && !(-1000..=1000).contains(&score)
        {
            return Err(CommandError::usage(format!(
                "invalid value `{score}` for --oom-score-adj: -1000 to 1000"
            )));
        }
        Ok(NewContainer {
            name: self.name.clone(),
            image: self.image().to_owned(),
            platform_chosen: self.platform(environment)?.is_some(),
            // An empty one removes the image's.
            entrypoint: self
                .entrypoint
                .as_ref()
                .map(|text| if text.is_empty() { Vec::new() } else { vec![text.clone()] }),
            command: self.words.get(1..).unwrap_or_default().to_vec(),
            env: values::with_proxies(
                values::variables(&self.env_file, &self.env, environment)?,
                environment,
            ),
            cwd: self.workdir.clone(),
            user: self.user.clone(),
            options: RunOptions {
                group_add: self.group_add.clone(),
                domainname: self.domainname.clone().unwrap_or_default(),
                network: self.network()?,
                extra_hosts: all(&self.add_host, values::host)?,
                dns: self.dns.clone(),
                dns_search: self.dns_search.clone(),
                dns_options: self.dns_option.clone(),
                tty: self.tty,
                open_stdin: self.interactive,
                stdin_once: self.interactive && attached,
                init: self.init,
                read_only: self.read_only,
                privileged: self.privileged,
                cap_add: self.cap_add.clone(),
                cap_drop: self.cap_drop.clone(),
                seccomp_unconfined: security.seccomp_unconfined,
                no_new_privileges: security.no_new_privileges,
                ulimits: self.ulimit.iter().map(|text| values::ulimit(text)).collect::<Outcome<_>>()?,
                limits: self.limits()?,
                shm_size: self.shm_size.as_deref().map_or(Ok(0), |text| values::bytes("--shm-size", text))?,
                devices: self.devices()?,
                oom_score_adj: self.oom_score_adj,
                stop_timeout: self.stop_timeout,
                auto_remove: rm,
            },
            hostname: self.hostname.clone(),
            mounts: mounted,
            ports,
            expose: self.exposed()?,
            publish_all: self.publish_all,
            labels: values::labels(&self.label_file, &self.label)?,
            stop_signal: self.stop_signal.clone(),
            healthcheck: self.healthcheck()?,
        })
    }

    fn network(&self) -> Outcome<NetworkMode> {
        match self.network.as_deref() {
            None | Some("" | "bridge" | "default" | "private") => Ok(NetworkMode::Bridge),
            Some("host") => Ok(NetworkMode::Host),
            Some("none") => Ok(NetworkMode::None),
            Some(other) => Err(CommandError::usage(format!("--network={other} is not supported yet"))
                .hint("the networks are bridge, host and none")),
        }
    }

    fn limits(&self) -> Outcome<Limits> {
        let size = |flag: &str, text: &Option<String>| {
            text.as_deref().map(|text| values::bytes(flag, text)).transpose()
        };
        let memory_swap = match self.memory_swap.as_deref() {
            Some("-1") => Some(u64::MAX),
            _ => size("--memory-swap", &self.memory_swap)?,
        };
        let memory = size("--memory", &self.memory)?.filter(|memory| *memory > 0);
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            return Err(CommandError::usage("--memory: the least that a container can be given is 6MB"));
        }
        Ok(Limits {
            memory,
            memory_swap,
            memory_reservation: size("--memory-reservation", &self.memory_reservation)?,
            pids: self.pids_limit.and_then(|pids| u64::try_from(pids).ok()).filter(|pids| *pids > 0),
            nano_cpus: self.cpus.as_deref().map(values::cpus).transpose()?,
            cpu_shares: self.cpu_shares.filter(|shares| *shares > 0),
            cpuset_cpus: self.cpuset_cpus.clone(),
            cpuset_mems: self.cpuset_mems.clone(),
        })
    }

    fn devices(&self) -> Outcome<Vec<String>> {
        self.device
            .iter()
            .map(|text| {
                let mut parts = text.split(':');
                let path = parts.next().unwrap_or_default();
                // The same path inside, and all rights, are what can be had.
                let same = parts
                    .next()
                    .is_none_or(|inside| inside == path || inside.chars().all(|c| "rwm".contains(c)));
                if !path.starts_with("/dev/") || !same {
                    return Err(CommandError::usage(format!("--device {text} is not supported yet"))
                        .hint("a device of /dev is seen at the same path inside"));
                }
                Ok(path.to_owned())
            })
            .collect()
    }

    fn exposed(&self) -> Outcome<Vec<String>> {
        let mut all = Vec::new();
        for text in &self.expose {
            for port in network::ports::parse(text)? {
                if port.host_port != 0 || port.host_ip.is_some() {
                    return Err(CommandError::usage(format!(
                        "invalid value `{text}` for --expose: a port or a range of ports"
                    )));
                }
                all.push(format!("{}/{}", port.container_port, port.protocol));
            }
        }
        Ok(all)
    }

    fn healthcheck(&self) -> Outcome<Option<oci::Healthcheck>> {
        if self.no_healthcheck {
            if self.health_cmd.is_some() {
                return Err(CommandError::usage("--no-healthcheck and --health-cmd exclude each other"));
            }
            return Ok(Some(oci::Healthcheck {
                test: vec!["NONE".to_owned()],
                ..oci::Healthcheck::default()
            }));
        }
        let time = |flag: &str, text: &Option<String>| {
            text.as_deref().map_or(Ok(0), |text| values::nanoseconds(flag, text))
        };
        let check = oci::Healthcheck {
            test: self.health_cmd.iter().flat_map(|text| ["CMD-SHELL".to_owned(), text.clone()]).collect(),
            interval: time("--health-interval", &self.health_interval)?,
            timeout: time("--health-timeout", &self.health_timeout)?,
            start_period: time("--health-start-period", &self.health_start_period)?,
            start_interval: time("--health-start-interval", &self.health_start_interval)?,
            retries: self.health_retries.unwrap_or(0),
        };
        Ok((check != oci::Healthcheck::default()).then_some(check))
    }

    fn security(&self) -> Outcome<Security> {
        let mut found = Security::default();
        for option in &self.security_opt {
            let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
            match (name, value) {
                ("no-new-privileges", "" | "true") => found.no_new_privileges = true,
                ("no-new-privileges", "false") => found.no_new_privileges = false,
                ("seccomp", "unconfined") => found.seccomp_unconfined = true,
                ("seccomp", "builtin") => found.seccomp_unconfined = false,
                // There is no such confinement here to be lifted.
                ("apparmor", "unconfined") | ("label", "disable") => {}
                _ => {
                    return Err(CommandError::usage(format!("--security-opt {option} is not supported yet")));
                }
            }
        }
        Ok(found)
    }
}

/// What `--security-opt` says.
#[derive(Default)]
struct Security {
    no_new_privileges: bool,
    seccomp_unconfined: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: super::super::Command,
    }

    fn run(words: &[&str]) -> Result<RunArgs, String> {
        let line =
            Line::try_parse_from(["jettison", "run"].iter().chain(words)).map_err(|e| e.to_string())?;
        match line.command {
            super::super::Command::Run(args) => Ok(*args),
            other => Err(format!("{other:?}")),
        }
    }

    fn container(words: &[&str]) -> NewContainer {
        run(words).unwrap().container.container(&Environment::default(), false, true).unwrap()
    }

    #[test]
    fn the_definition_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn what_follows_the_image_is_the_command() {
        let new = container(&[
            "-it", "-e", "A=1", "-h", "box", "--name=x", "image", "ls", "-l", "--rm", "-e", "--", "x",
        ]);
        assert_eq!(new.command, ["ls", "-l", "--rm", "-e", "--", "x"]);
        assert_eq!((new.image.as_str(), new.name.as_deref()), ("image", Some("x")));
        assert_eq!((new.env, new.hostname.as_deref()), (vec!["A=1".to_owned()], Some("box")));
        assert!(
            new.options.tty && new.options.open_stdin && new.options.stdin_once && !new.options.auto_remove
        );
    }

    #[test]
    fn flags_become_wishes() {
        let new = container(&[
            "-p",
            "8080:80",
            "-p",
            "127.0.0.1::53/udp",
            "-v",
            "data:/d",
            "--tmpfs",
            "/t",
            "--mount",
            "type=bind,src=/a,dst=/b",
            "--network",
            "none",
            "-m",
            "64m",
            "--cpus",
            "1.5",
            "--memory-swap",
            "-1",
            "--pids-limit",
            "-1",
            "--health-cmd",
            "true",
            "--entrypoint",
            "",
            "--stop-timeout",
            "-1",
            "--security-opt",
            "no-new-privileges",
            "--expose",
            "90-91",
            "--init",
            "--read-only",
            "-l",
            "a=b",
            "i",
            "sh",
        ]);
        assert_eq!(new.ports.len(), 2);
        assert_eq!(new.mounts.len(), 3);
        assert_eq!(new.options.network, NetworkMode::None);
        assert_eq!(new.options.limits.memory, Some(64 << 20));
        assert_eq!(
            (new.options.limits.nano_cpus, new.options.limits.memory_swap, new.options.limits.pids),
            (Some(1_500_000_000), Some(u64::MAX), None)
        );
        assert_eq!(new.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
        assert_eq!((new.entrypoint, new.options.stop_timeout), (Some(Vec::new()), Some(-1)));
        assert_eq!(new.expose, ["90/tcp", "91/tcp"]);
        assert!(new.options.init && new.options.read_only && new.options.no_new_privileges);
    }

    #[test]
    fn what_is_not_there_fails_by_name() {
        for (words, named) in [
            (&["--link", "db", "i"][..], "--link"),
            (&["--volumes-from", "x", "i"], "--volumes-from"),
            (&["--restart", "always", "i"], "--restart=always"),
            (&["--network", "container:x", "i"], "--network=container:x"),
            (&["--security-opt", "seccomp=file.json", "i"], "seccomp=file.json"),
            (&["--device", "/dev/fuse:/dev/other", "i"], "/dev/fuse:/dev/other"),
            (&["--oom-score-adj", "2000", "i"], "2000"),
            (&["-p", "x", "i"], "`x`"),
            (&["--dns", "x", "i"], "--dns"),
        ] {
            let said = match run(words) {
                Err(text) => text,
                Ok(args) => {
                    args.container.container(&Environment::default(), false, true).unwrap_err().message
                }
            };
            assert!(said.contains(named), "{words:?}: {said}");
        }
    }
}
