//! The flags of `build`, and what they mean to the frontend.

use super::allow::Allowed;
use super::context;
use crate::cli::RegistryArgs;
use crate::docker_config;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome, USAGE};
use crate::parsing::boolean;
use clap::Args;
use graph::{Network, Ulimit};
use oci::{Platform, Reference};
use session::{Agent, Agents, SecretSource, Secrets};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Build an image from a Dockerfile.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    /// The folder with the files, or `-` for an archive or a Dockerfile on standard input
    #[arg(value_name = "CONTEXT")]
    pub(crate) context: String,
    /// A name for the image; may be given several times
    #[arg(short, long = "tag", value_name = "NAME[:TAG]")]
    pub(crate) tag: Vec<String>,
    /// The Dockerfile; `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<String>,
    /// The stage to build, in any case
    #[arg(long, value_name = "STAGE")]
    pub(crate) target: Option<String>,
    /// A build argument; without a value it is taken from the environment
    #[arg(long = "build-arg", value_name = "NAME[=VALUE]")]
    pub(crate) build_arg: Vec<String>,
    /// Another folder or image that the Dockerfile may copy from
    #[arg(long = "build-context", value_name = "NAME=FOLDER")]
    pub(crate) build_context: Vec<String>,
    /// A label of the image
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// Run every step, whatever is known from earlier builds
    #[arg(long)]
    pub(crate) no_cache: bool,
    /// Run every step of these stages
    #[arg(long = "no-cache-filter", value_name = "STAGE", value_delimiter = ',')]
    pub(crate) no_cache_filter: Vec<String>,
    /// Ask the registry what base images' names mean now
    #[arg(long, num_args = 0..=1, default_missing_value = "true", default_value_t = false, action = clap::ArgAction::Set, require_equals = true)]
    pub(crate) pull: bool,
    /// Print nothing but the image's id
    #[arg(short, long)]
    pub(crate) quiet: bool,
    /// How progress is shown
    #[arg(long, value_name = "KIND", value_parser = crate::showing::KINDS)]
    pub(crate) progress: Option<String>,
    /// Write the image's id to a file
    #[arg(long, value_name = "FILE")]
    pub(crate) iidfile: Option<PathBuf>,
    /// Write facts about the result to a file, as JSON
    #[arg(long = "metadata-file", value_name = "FILE")]
    pub(crate) metadata_file: Option<PathBuf>,
    /// Where the result goes: `type=local|tar|oci|docker|image|registry|cacheonly,dest=PATH`; a path alone is a folder
    #[arg(short, long, value_name = "OUTPUT")]
    pub(crate) output: Vec<String>,
    /// Build everything once more without the cache, and show the files that differ
    #[arg(long)]
    pub(crate) verify_reproducible: bool,
    /// A cache to use: `type=registry|local|s3|gha|azblob,ref=NAME|src=FOLDER|bucket=NAME`, or an image's name
    #[arg(long = "cache-from", value_name = "CACHE")]
    pub(crate) cache_from: Vec<String>,
    /// A cache to write: `type=registry|local|inline|s3|gha|azblob,ref=NAME|dest=FOLDER|bucket=NAME,mode=min|max`
    #[arg(long = "cache-to", value_name = "CACHE")]
    pub(crate) cache_to: Vec<String>,
    /// Put the image into the store, which is what happens anyway
    #[arg(long)]
    pub(crate) load: bool,
    /// Send the image to its registry
    #[arg(long)]
    pub(crate) push: bool,
    /// The platform of the image; several, separated by commas, give an index
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',')]
    pub(crate) platform: Vec<String>,
    /// Free text in the image's documents: `[LEVEL:]KEY=VALUE`; levels are manifest, index, manifest-descriptor and
    /// index-descriptor
    #[arg(long, value_name = "[LEVEL:]KEY=VALUE")]
    pub(crate) annotation: Vec<String>,
    /// What to state about the image beside it: `type=provenance|sbom[,KEY=VALUE]`; nothing without this
    #[arg(long, value_name = "ATTESTATION")]
    pub(crate) attest: Vec<String>,
    /// How the image came to be, as SLSA provenance: true, false, or `mode=min|max,version=v1|v0.2,builder-id=URL,...`;
    /// false without this, where buildx has `mode=min`
    #[arg(long, value_name = "PROVENANCE")]
    pub(crate) provenance: Option<String>,
    /// Which packages are in the image, as SPDX: true, false
    #[arg(long, value_name = "SBOM")]
    pub(crate) sbom: Option<String>,
    /// A secret for steps: `id=ID[,src=FILE][,env=NAME]`
    #[arg(long, value_name = "SECRET")]
    pub(crate) secret: Vec<String>,
    /// An ssh agent for steps: `ID`, `ID=SOCKET` or `ID=KEY,KEY`; `default` alone is that of SSH_AUTH_SOCK
    #[arg(long, value_name = "AGENT")]
    pub(crate) ssh: Vec<String>,
    /// Show the host's certificate authorities to steps; they leave no trace in the image
    #[arg(long)]
    pub(crate) trust_host_ca: bool,
    /// The network of steps: default, none or host
    #[arg(long, value_name = "MODE")]
    pub(crate) network: Option<String>,
    /// Another line for /etc/hosts in steps
    #[arg(long = "add-host", value_name = "HOST:IP")]
    pub(crate) add_host: Vec<String>,
    /// What steps may do besides: network.host, security.insecure, `device[=NAME[,alias=NAME]]`
    #[arg(long, value_name = "ENTITLEMENT")]
    pub(crate) allow: Vec<String>,
    /// The size of /dev/shm in steps
    #[arg(long = "shm-size", value_name = "BYTES")]
    pub(crate) shm_size: Option<String>,
    /// A resource limit of steps
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    pub(crate) ulimit: Vec<String>,
    /// Check the Dockerfile without building it: the same as `--call check`
    #[arg(long, conflicts_with = "call")]
    pub(crate) check: bool,
    /// What to do with the Dockerfile: build, check (or lint), outline, targets; `,format=json` for programs
    #[arg(long, value_name = "METHOD[,format=FORMAT]", alias = "print")]
    pub(crate) call: Option<String>,
    /// How the answer of --check or --call is written: text, json, sarif (of a check alone). In a build, as with podman,
    /// whose words the image's documents use: oci or docker
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<String>,
    /// With --check: rewrite what is safe to rewrite and show the changes; `--fix=diff` only shows them
    #[arg(long, value_name = "write|diff", num_args = 0..=1, default_missing_value = "write", require_equals = true, value_parser = ["write", "diff"])]
    pub(crate) fix: Option<String>,
    /// Leave out of the context what this file says, in place of the context's .dockerignore
    #[arg(long, value_name = "FILE")]
    pub(crate) ignorefile: Option<PathBuf>,
    /// With `false`, run every step as --no-cache does; the layers of the image stay
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    layers: bool,
    /// A policy for sources; only `disabled=true`, for policies are not evaluated
    #[arg(long, value_name = "POLICY")]
    policy: Vec<String>,
    /// How many steps may run at once
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    rm: Option<bool>,
    #[arg(long = "force-rm", hide = true)]
    force_rm: bool,
    #[arg(long, hide = true)]
    compress: bool,
    #[arg(long, hide = true)]
    squash: bool,
    #[arg(short, long, hide = true)]
    memory: Option<String>,
    #[arg(short, long = "cpu-shares", hide = true)]
    cpu_shares: Option<String>,
    #[arg(long = "cpu-quota", hide = true)]
    cpu_quota: Option<String>,
    #[arg(long = "cpu-period", hide = true)]
    cpu_period: Option<String>,
    #[arg(long = "cpuset-cpus", hide = true)]
    cpuset_cpus: Option<String>,
    #[arg(long = "cpuset-mems", hide = true)]
    cpuset_mems: Option<String>,
    #[arg(long = "memory-swap", hide = true)]
    memory_swap: Option<String>,
    #[arg(long = "cgroup-parent", hide = true)]
    cgroup_parent: Option<String>,
    #[arg(long = "security-opt", hide = true)]
    security_opt: Vec<String>,
    #[arg(long, hide = true)]
    isolation: Option<String>,
    #[arg(long, hide = true)]
    resource: Vec<String>,
    #[arg(short = 'D', long, hide = true)]
    debug: bool,
    #[arg(long, hide = true)]
    builder: Option<String>,
    #[arg(long, hide = true)]
    disable_content_trust: bool,
}

impl BuildArgs {
    /// Flags of the old builder that are given and do nothing.
    pub(crate) fn accepted_without_effect(&self) -> Vec<&'static str> {
        let given = [
            ("--rm", self.rm.is_some()),
            ("--force-rm", self.force_rm),
            ("--compress", self.compress),
            ("--squash", self.squash),
            ("--memory", self.memory.is_some()),
            ("--cpu-shares", self.cpu_shares.is_some()),
            ("--cpu-quota", self.cpu_quota.is_some()),
            ("--cpu-period", self.cpu_period.is_some()),
            ("--cpuset-cpus", self.cpuset_cpus.is_some()),
            ("--cpuset-mems", self.cpuset_mems.is_some()),
            ("--memory-swap", self.memory_swap.is_some()),
            ("--cgroup-parent", self.cgroup_parent.is_some()),
            ("--security-opt", !self.security_opt.is_empty()),
            ("--isolation", self.isolation.is_some()),
            ("--resource", !self.resource.is_empty()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect()
    }

    /// Whether every step runs, whatever is known.
    fn no_cache(&self) -> bool {
        self.no_cache || !self.layers
    }

    /// Whether the documents of images use Docker's words (`--format docker`).
    pub(crate) fn in_dockers_words(&self) -> bool {
        self.format.as_deref() == Some("docker")
    }

    /// A policy that is asked for and not looked at would let through what it forbids.
    pub(crate) fn check_policies(&self) -> Outcome<()> {
        let harmless = |policy: &&String| {
            let disabled = policy.split(',').filter_map(|field| field.split_once('='));
            disabled.filter(|(key, _)| *key == "disabled").any(|(_, value)| boolean(value) == Some(true))
        };
        match self.policy.iter().find(|policy| !harmless(policy)) {
            Some(policy) => Err(CommandError::usage(format!(
                "--policy {policy}: policies are not evaluated, so nothing would keep to it"
            ))
            .hint("`--policy disabled=true` says that none is wanted")),
            None => Ok(()),
        }
    }

    /// The names of `--tag`.
    pub(crate) fn names(&self) -> Outcome<Vec<Reference>> {
        let mut names: Vec<Reference> = Vec::new();
        for tag in &self.tag {
            let name: Reference =
                tag.parse().map_err(|error: oci::Error| CommandError::usage(format!("--tag: {error}")))?;
            if name.digest().is_some() {
                return Err(CommandError::usage(format!(
                    "--tag: `{tag}` has a digest; a build makes its own"
                )));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// How many steps may run at once, where that is said.
    pub(crate) fn jobs(&self) -> Option<usize> {
        self.jobs.filter(|jobs| *jobs > 0)
    }

    /// `--build-context NAME=VALUE`, split.
    pub(crate) fn contexts(&self) -> Outcome<Vec<(String, String)>> {
        self.build_context
            .iter()
            .map(|text| {
                text.split_once('=')
                    .filter(|(name, value)| !name.is_empty() && !value.is_empty())
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .ok_or_else(|| {
                        CommandError::usage(format!("--build-context: `{text}` is not NAME=VALUE"))
                    })
            })
            .collect()
    }

    /// The platforms of the result, each once, in the order in which they are asked for.
    pub(crate) fn platforms(&self, environment: &Environment) -> Outcome<Vec<Platform>> {
        let default = environment.get("DOCKER_DEFAULT_PLATFORM").filter(|text| !text.is_empty());
        let texts: Vec<&str> = match (&self.platform[..], default) {
            ([], Some(text)) => text.split(',').collect(),
            (given, _) => given.iter().map(String::as_str).collect(),
        };
        let mut platforms: Vec<Platform> = Vec::new();
        for text in texts {
            let platform: Platform =
                text.trim().parse().map_err(|error| CommandError::usage(format!("--platform: {error}")))?;
            if platforms.iter().all(|known| known.normalised() != platform.normalised()) {
                platforms.push(platform);
            }
        }
        if platforms.is_empty() {
            platforms.push(Platform::host());
        }
        Ok(platforms)
    }

    /// What the frontend is told, for the platform of this machine.
    pub(crate) fn frontend_options(&self, environment: &Environment) -> Outcome<frontend::Options> {
        let mut build_args = Vec::new();
        // As with buildx, the environment's is a build argument that the command line may replace.
        if let Some(epoch) = environment.get("SOURCE_DATE_EPOCH") {
            build_args.push(("SOURCE_DATE_EPOCH".to_owned(), epoch.to_owned()));
        }
        for arg in &self.build_arg {
            match arg.split_once('=') {
                Some((name, value)) => build_args.push((name.to_owned(), value.to_owned())),
                // Without a value: from the environment, and not at all where that has none.
                None => {
                    build_args.extend(environment.exact(arg).map(|value| (arg.clone(), value.to_owned())))
                }
            }
        }
        // As with Docker's command line, its settings' proxies are build arguments; what is given here counts.
        let proxies = docker_config::proxies(environment).into_iter();
        let proxies: Vec<_> = proxies
            .filter(|(name, _)| build_args.iter().all(|(given, _)| !given.eq_ignore_ascii_case(name)))
            .collect();
        build_args.extend(proxies);
        let labels = self
            .label
            .iter()
            .map(|label| {
                label
                    .split_once('=')
                    .map_or((label.clone(), String::new()), |(k, v)| (k.to_owned(), v.to_owned()))
            })
            .collect();
        let mut contexts = BTreeMap::new();
        for (name, value) in self.contexts()? {
            let context = context::named(&name, &value)?;
            contexts.insert(name, context);
        }
        let allowed = Allowed::parse(&self.allow)?;
        let network = match self.network.as_deref() {
            None | Some("default" | "bridge") => Network::Default,
            Some("none") => Network::None,
            Some("host") => Network::Host,
            Some(other) => {
                return Err(CommandError::usage(format!(
                    "--network: `{other}` is not known; default, none and host are"
                )));
            }
        };
        Ok(frontend::Options {
            context: frontend::MainContext::Local,
            // Scripts write `--target "$STAGE"`; an empty one is none, as with buildx.
            target: self.target.clone().filter(|target| !target.is_empty()),
            build_args,
            labels,
            platform: Platform::host(),
            build_platform: Platform::host(),
            show_platform: false,
            no_cache: self.no_cache(),
            no_cache_filter: self.no_cache_filter.clone(),
            contexts,
            network,
            extra_hosts: self.extra_hosts()?,
            shm_size: self
                .shm_size
                .as_deref()
                .map(|text| bytes("--shm-size", text))
                .transpose()?
                .unwrap_or(0),
            ulimits: self.ulimit.iter().map(|text| ulimit(text)).collect::<Outcome<_>>()?,
            trust_host_ca: self.trust_host_ca || environment.get("JETTISON_TRUST_HOST_CA") == Some("1"),
            allow_host_network: allowed.network_host,
            allow_insecure: allowed.insecure,
        })
    }

    /// The lines of `--add-host`: `HOST:IP` or `HOST=IP`, the address also in brackets; `host-gateway` is the way from
    /// a step to this machine.
    fn extra_hosts(&self) -> Outcome<Vec<(String, String)>> {
        self.add_host
            .iter()
            .map(|text| {
                let (host, address) = text
                    .split_once('=')
                    .or_else(|| text.split_once(':'))
                    .filter(|(host, _)| !host.is_empty())
                    .ok_or_else(|| CommandError::usage(format!("--add-host: `{text}` is not HOST:IP")))?;
                let inner = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let address = inner.unwrap_or(address);
                if address != executor::HOST_GATEWAY && address.parse::<std::net::IpAddr>().is_err() {
                    return Err(CommandError::usage(format!(
                        "--add-host: `{address}` is neither an IP address nor host-gateway"
                    )));
                }
                Ok((host.to_owned(), address.to_owned()))
            })
            .collect()
    }

    /// The secrets of `--secret`.
    pub(crate) fn secrets(&self, environment: &Environment) -> Outcome<Secrets> {
        let mut secrets = Secrets::new();
        for text in &self.secret {
            let (mut id, mut source, mut env, mut kind) = (None, None, None, None);
            for field in text.split(',') {
                let (key, value) = field
                    .split_once('=')
                    .ok_or_else(|| CommandError::usage(format!("--secret: `{field}` is not KEY=VALUE")))?;
                let place = match key {
                    "id" => &mut id,
                    "src" | "source" => &mut source,
                    "env" => &mut env,
                    "type" => &mut kind,
                    _ => return Err(CommandError::usage(format!("--secret: the key `{key}` is not known"))),
                };
                *place = Some(value.to_owned());
            }
            let id = id.ok_or_else(|| CommandError::usage(format!("--secret: `{text}` has no id")))?;
            let from_environment = |name: &str| {
                environment
                    .exact(name)
                    .map(|value| SecretSource::Value(value.as_bytes().to_vec()))
                    .ok_or_else(|| CommandError::usage(format!("--secret: the variable {name} is not set")))
            };
            let source = match (kind.as_deref(), source, env) {
                (Some("env"), source, env) => {
                    from_environment(&env.or(source).unwrap_or_else(|| id.clone()))?
                }
                (_, None, Some(env)) => from_environment(&env)?,
                (None, None, None) if environment.exact(&id).is_some() => from_environment(&id)?,
                (_, source, _) => {
                    let path = PathBuf::from(source.unwrap_or_else(|| id.clone()));
                    if !path.is_file() {
                        return Err(CommandError::usage(format!("--secret: {} is no file", path.display())));
                    }
                    SecretSource::File(path)
                }
            };
            secrets.insert(id, source);
        }
        Ok(secrets)
    }
}

/// Refuses what only a frontend of its own could build. BUILDKIT_SYNTAX counts before the file's own directive.
pub(crate) fn check_syntax(
    dockerfile: &dockerfile::Dockerfile,
    build_args: &[(String, String)],
) -> Outcome<()> {
    let given = build_args.iter().rev().find(|(name, _)| name == "BUILDKIT_SYNTAX");
    let given = given.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty());
    match given.or(dockerfile.directives.frontend()) {
        Some(frontend) if !dockerfile::is_builtin_frontend(frontend) => Err(CommandError::new(format!(
            "the syntax `{frontend}` is not supported; only docker/dockerfile is built in"
        ))),
        _ => Ok(()),
    }
}

/// The agents of `--ssh ID[=SOCKET|KEY[,KEY...][,raw=true]]`.
pub(crate) fn agents(flags: &[String], environment: &Environment) -> Outcome<Agents> {
    let mut agents = Agents::new();
    for text in flags {
        let (id, value) = text.split_once('=').unwrap_or((text, ""));
        let id = if id.is_empty() { session::agent::DEFAULT_ID } else { id };
        let (mut paths, mut raw) = (Vec::new(), false);
        for field in value.split(',').filter(|field| !field.is_empty()) {
            match field.strip_prefix("raw=") {
                Some(value) => {
                    raw = value.parse().map_err(|_| {
                        CommandError::usage(format!("--ssh {text}: `raw` is true or false, not `{value}`"))
                    })?;
                }
                None => paths.push(PathBuf::from(field)),
            }
        }
        if paths.is_empty() {
            let socket = environment.get("SSH_AUTH_SOCK").ok_or_else(|| {
                CommandError::usage(format!("--ssh {text}: no agent runs, for SSH_AUTH_SOCK is not set"))
                    .hint(format!(
                        "start one with `eval $(ssh-agent)`, or name a private key with `--ssh {id}=FILE`"
                    ))
            })?;
            paths.push(PathBuf::from(socket));
        }
        let usage = |error: session::Error| {
            let edge = CommandError::chain(&error);
            CommandError { message: format!("--ssh {text}: {}", edge.message), ..edge }.with_code(USAGE)
        };
        agents.insert(id.to_owned(), Agent::open(&paths, raw).map_err(usage)?).map_err(usage)?;
    }
    Ok(agents)
}

/// A size with a unit: `64m`, `1g`, `512k`, `100b`.
fn bytes(flag: &str, text: &str) -> Outcome<u64> {
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1u64 << 40,
        _ => return Err(CommandError::usage(format!("{flag}: `{text}` is not a size like 64m or 1g"))),
    };
    let wrong = || CommandError::usage(format!("{flag}: `{text}` is not a size like 64m or 1g"));
    digits.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(wrong)
}

fn ulimit(text: &str) -> Outcome<Ulimit> {
    let wrong = || CommandError::usage(format!("--ulimit: `{text}` is not NAME=SOFT[:HARD]"));
    let (name, limits) = text.split_once('=').ok_or_else(wrong)?;
    if sandbox::rlimit_by_name(name).is_none() {
        return Err(CommandError::usage(format!("--ulimit: there is no limit called `{name}`")));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    let number = |text: &str| text.parse::<i64>().map_err(|_| wrong());
    Ok(Ulimit { name: name.to_owned(), soft: number(soft)?, hard: number(hard)? })
}
