//! RUN: the command, its mounts, and what it may do.

use crate::lower::Lowering;
use crate::names::Mention;
use crate::outline::Asked;
use crate::scope::{build_arg, proxies};
use crate::stage::StageState;
use crate::{Error, Result, hints, history, paths};
use dockerfile::command::{NetworkMode, Program, RunCommand, SecurityMode};
use dockerfile::{Instruction, MountFlag, MountType, Sharing, Span};
use graph::{CacheSharing, EnvVar, Mount, MountKind, Network, NodeId, Op, RunOp, Security};

impl Lowering<'_> {
    pub(crate) fn run(
        &mut self,
        state: &mut StageState,
        instruction: &Instruction,
        run: &RunCommand,
    ) -> Result<()> {
        let mut inputs = vec![state.node];
        let mut mounts = Vec::new();
        for flag in &run.mounts {
            let mut mount = self.mount(state, instruction, flag, &mut inputs)?;
            if mount.target.is_empty() {
                let sockets = mounts.iter().filter(|mount| is_ssh(mount)).count();
                mount.target = format!("/run/buildkit/ssh_agent.{sockets}");
            }
            mounts.push(mount);
        }
        let shell = state.config.config.shell.clone().unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
        let in_shell = |text: String| shell.iter().cloned().chain([text]).collect::<Vec<_>>();
        let mut pipes = Vec::new();
        let args = match run.program() {
            Program::Exec(args) => args,
            Program::Shell(text) => in_shell(text),
            Program::Script { name, content } => {
                let path = format!("/dev/pipes/{name}");
                pipes.push((name, content));
                in_shell(path)
            }
        };
        let network = match run.network.unwrap_or_default() {
            NetworkMode::Default => self.options.network,
            NetworkMode::None => Network::None,
            NetworkMode::Host => {
                if !self.options.allow_host_network {
                    let message = "RUN --network=host is not allowed in this build";
                    return Err(Error::at(flag_span(state, instruction, "network"), message)
                        .hint("allow it with `--allow network.host`"));
                }
                Network::Host
            }
        };
        let security = match run.security.unwrap_or_default() {
            SecurityMode::Sandbox => Security::Sandbox,
            SecurityMode::Insecure => {
                if !self.options.allow_insecure {
                    let message = "RUN --security=insecure is not allowed in this build";
                    return Err(Error::at(flag_span(state, instruction, "security"), message)
                        .hint("allow it with `--allow security.insecure`"));
                }
                Security::Insecure
            }
        };
        let mut env = state.scope.environment();
        if let Some(socket) = mounts.iter().find(|mount| is_ssh(mount))
            && env.get("SSH_AUTH_SOCK").is_none()
        {
            let value = socket.target.clone();
            env.set(EnvVar { name: "SSH_AUTH_SOCK".to_owned(), value, arg: false });
        }
        let history = self.is_for_an_image().then(|| {
            let text = format!("RUN {}{} # buildkit", state.scope.history_prefix(), args.join(" "));
            history::entry(text, true)
        });
        let op = RunOp {
            args,
            env,
            cwd: paths::join("/", state.directory()),
            user: state.config.config.user.clone(),
            mounts,
            network,
            security,
            hostname: build_arg(self.options, "BUILDKIT_SANDBOX_HOSTNAME").map(str::to_owned),
            extra_hosts: self.options.extra_hosts.clone(),
            shm_size: self.options.shm_size,
            ulimits: self.options.ulimits.clone(),
            devices: run
                .devices
                .iter()
                .map(|device| graph::Device { name: device.name.clone(), required: device.required })
                .collect(),
            platform: state.platform.clone(),
            proxies: proxies(self.options),
            trust_host_ca: self.options.trust_host_ca,
            pipes,
        };
        let about = self.about(state, instruction);
        state.node = self.graph.add(Op::Run(Box::new(op)), inputs, about);
        state.config.history.extend(history);
        Ok(())
    }

    fn mount(
        &mut self,
        state: &StageState,
        instruction: &Instruction,
        flag: &MountFlag,
        inputs: &mut Vec<NodeId>,
    ) -> Result<Mount> {
        let span = state.span(flag.span);
        let lex = self.lex;
        let mount = flag
            .resolve(|text| self.text(state, &lex, text, flag.span).map_err(Wrapped::Ours))
            .map_err(|error: Wrapped| match error {
                Wrapped::Ours(error) => error,
                Wrapped::Mount(error) => hints::mount(&error, &flag.text, span),
            })?;
        let target = paths::join(state.directory(), &mount.target);
        let has_target = !matches!(mount.kind, MountType::Secret | MountType::Ssh);
        if has_target && mount.target.is_empty() {
            let message =
                format!("in `--mount={}`: a {} mount needs a `target`", flag.text, mount.kind.name());
            return Err(
                Error::at(span, message).hint("it is the folder that the step sees, as in `target=/src`")
            );
        }
        if has_target && target == "/" {
            let message = format!("in `--mount={}`: a mount cannot be the root", flag.text);
            return Err(Error::at(span, message).hint("give it a folder of its own with `target=`"));
        }
        let source = paths::join("/", &mount.source);
        let kind = match mount.kind {
            MountType::Bind => {
                let node = self.mount_source(state, &mount.from, flag.span)?;
                MountKind::Bind { input: position(inputs, node), source, writable: !mount.read_only }
            }
            MountType::Cache => {
                let from = match mount.from.as_str() {
                    "" => None,
                    from => {
                        let node = self.mount_source(state, from, flag.span)?;
                        // As in BuildKit: a mode or an owner asks for a new folder, unless a part of the source is named.
                        let new = mount.mode.is_some() || mount.uid.is_some() || mount.gid.is_some();
                        if new && source == "/" { None } else { Some((position(inputs, node), source)) }
                    }
                };
                let id =
                    if mount.id.is_empty() { dockerfile::ignore::clean(&mount.target) } else { mount.id };
                let id = match build_arg(self.options, "BUILDKIT_CACHE_MOUNT_NS") {
                    Some(namespace) if !namespace.is_empty() => format!("{namespace}/{id}"),
                    _ => id,
                };
                let sharing = match mount.sharing.unwrap_or_default() {
                    Sharing::Shared => CacheSharing::Shared,
                    Sharing::Private => CacheSharing::Private,
                    Sharing::Locked => CacheSharing::Locked,
                };
                let (mode, uid, gid) =
                    (mount.mode.unwrap_or(0o755), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
                MountKind::Cache { id, sharing, from, mode, uid, gid, readonly: mount.read_only }
            }
            MountType::Tmpfs => MountKind::Tmpfs { size: mount.size, readonly: mount.read_only },
            MountType::Secret => {
                let id = match (mount.id.as_str(), mount.source.as_str()) {
                    ("", "") => mount.target.rsplit('/').next().unwrap_or_default().to_owned(),
                    ("", source) => source.to_owned(),
                    (id, _) => id.to_owned(),
                };
                let location = state.lines(instruction).into();
                let asked = Asked { name: id.clone(), required: mount.required, location };
                self.captures.secret(state.index, asked);
                // With `env` alone there is no file.
                let file = mount.env.is_none() || !mount.target.is_empty();
                let base = id.rsplit('/').next().unwrap_or_default();
                let target = if mount.target.is_empty() { format!("/run/secrets/{base}") } else { target };
                let env = mount.env.map(|name| if name.is_empty() { id.clone() } else { name });
                let (mode, uid, gid) =
                    (mount.mode.unwrap_or(0o400), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
                let kind = MountKind::Secret { id, file, env, required: mount.required, mode, uid, gid };
                return Ok(Mount { target, kind });
            }
            MountType::Ssh => {
                if !mount.source.is_empty() {
                    let message = format!("in `--mount={}`: an ssh mount has no `source`", flag.text);
                    return Err(Error::at(span, message).hint("the agent is named by its `id`"));
                }
                // Without a target it is numbered by who knows the others.
                let target = if mount.target.is_empty() { String::new() } else { target };
                let id = if mount.id.is_empty() { "default".to_owned() } else { mount.id };
                let location = state.lines(instruction).into();
                let asked = Asked { name: id.clone(), required: mount.required, location };
                self.captures.ssh(state.index, asked);
                let (mode, uid, gid) =
                    (mount.mode.unwrap_or(0o600), mount.uid.unwrap_or(0), mount.gid.unwrap_or(0));
                let kind = MountKind::Ssh { id, required: mount.required, mode, uid, gid };
                return Ok(Mount { target, kind });
            }
        };
        Ok(Mount { target, kind })
    }

    fn mount_source(&mut self, state: &StageState, from: &str, span: Span) -> Result<NodeId> {
        if from.is_empty() {
            return Ok(self.main_context());
        }
        let mention = Mention { name: from, span: state.span(span), numbers: false };
        self.source(&mention, state.index, "from")
    }
}

fn is_ssh(mount: &Mount) -> bool {
    matches!(mount.kind, MountKind::Ssh { .. })
}

/// Where a flag is written.
fn flag_span(state: &StageState, instruction: &Instruction, name: &str) -> Span {
    let flag = instruction.flags.iter().find(|flag| flag.name.value == name);
    state.span(flag.map_or(instruction.line_span, |flag| flag.span))
}

/// The place of a node among the inputs; input 0 is the root and never shared with a mount.
pub(crate) fn position(inputs: &mut Vec<NodeId>, node: NodeId) -> usize {
    match inputs.iter().skip(1).position(|known| *known == node) {
        Some(at) => at + 1,
        None => {
            inputs.push(node);
            inputs.len() - 1
        }
    }
}

/// Errors that meet while a mount's values are expanded.
enum Wrapped {
    Ours(Error),
    Mount(dockerfile::MountError),
}

impl From<dockerfile::MountError> for Wrapped {
    fn from(error: dockerfile::MountError) -> Self {
        Self::Mount(error)
    }
}
