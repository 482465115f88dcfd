//! Commands about containers: `run` and its kin, in both spellings.

mod arguments;
mod copy;
mod filter;
mod foreign;
mod list;
mod logs;
mod mounts;
mod session;
mod single;
mod values;

use crate::cli::RegistryArgs;
use crate::commands::rootless;
use crate::engine::{Engine, RegistryFlags};
use crate::environment::Environment;
use crate::error::{CommandError, Outcome, USAGE};
use clap::Subcommand;
use container::{BoxError, Containers, Lowers, Roots, Settings};
use layer::LayerId;
use progress::VertexHandle;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The one word that this program is started with as a container's monitor. It stands before the command line: a
/// monitor is told everything by who starts it.
pub(crate) const MONITOR: &str = "container-monitor";

/// The life of a monitor.
pub(crate) fn monitor() -> u8 {
    container::monitor::main()
}

/// The commands that have the same name alone and after `container`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Run a command in a new container
    Run(Box<arguments::RunArgs>),
    /// Make a container without starting it
    Create(Box<arguments::CreateArgs>),
    /// Start containers
    Start(session::StartArgs),
    /// Stop running containers
    Stop(single::StopArgs),
    /// Stop containers and start them again
    Restart(single::RestartArgs),
    /// Send a signal to running containers
    Kill(single::KillArgs),
    /// Remove containers
    #[command(alias = "remove")]
    Rm(single::RemoveArgs),
    /// Wait until containers have ended, and print their exit codes
    Wait(single::WaitArgs),
    /// Show what a container wrote
    Logs(logs::LogsArgs),
    /// Run a command in a running container
    Exec(session::ExecArgs),
    /// Connect to a running container's streams
    Attach(session::AttachArgs),
    /// Copy files between a container and the host
    Cp(copy::CopyArgs),
    /// Show a container's published ports
    Port(single::PortArgs),
    /// Show a container's processes
    Top(single::TopArgs),
    /// Give a container another name
    Rename(single::RenameArgs),
}

/// Commands about containers.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum ContainerCommand {
    /// The commands that have the same name alone.
    #[command(flatten)]
    Same(Command),
    /// List containers
    #[command(visible_aliases = ["ps", "list"])]
    Ls(list::ListArgs),
    /// Show everything about containers as JSON
    Inspect(single::InspectArgs),
    /// Remove containers that do not run
    Prune(single::PruneArgs),
}

pub(crate) use list::ListArgs;

/// Runs one of the commands that have the same name alone and after `container`.
pub(crate) fn command(command: Command, environment: Environment) -> Outcome {
    match command {
        Command::Run(args) => session::run(*args, environment).map_err(|error| recode(error, 1, USAGE)),
        Command::Create(args) => session::create(*args, environment).map_err(|error| recode(error, 1, USAGE)),
        Command::Start(args) => session::start(&args, environment),
        Command::Stop(args) => single::stop(&args, environment),
        Command::Restart(args) => single::restart(&args, environment),
        Command::Kill(args) => single::kill(&args, environment),
        Command::Rm(args) => single::remove(&args, environment),
        Command::Wait(args) => single::wait(&args, environment),
        Command::Logs(args) => logs::logs(&args, environment),
        Command::Exec(args) => session::exec(&args, environment).map_err(|error| recode(error, USAGE, 1)),
        Command::Attach(args) => session::attach(&args, environment),
        Command::Cp(args) => copy::copy(&args, environment),
        Command::Port(args) => single::port(&args, environment),
        Command::Top(args) => single::top(&args, environment),
        Command::Rename(args) => single::rename(&args, environment),
    }
}

/// As Docker's: the own errors of `run` and `create` are 125, those of `exec` 1.
fn recode(error: CommandError, from: u8, to: u8) -> CommandError {
    if error.code == from { error.with_code(to) } else { error }
}

/// Runs a command after `container`.
pub(crate) fn group(command: ContainerCommand, environment: Environment) -> Outcome {
    match command {
        ContainerCommand::Same(same) => self::command(same, environment),
        ContainerCommand::Ls(args) => list::list(&args, environment),
        ContainerCommand::Inspect(args) => single::inspect(&args, environment),
        ContainerCommand::Prune(args) => single::prune(&args, environment),
    }
}

/// Runs `ps`.
pub(crate) fn list(args: &ListArgs, environment: Environment) -> Outcome {
    list::list(args, environment)
}

/// A container as `inspect` shows it; nothing where there is none of this name.
pub(crate) fn inspect_value(engine: &Engine, name: &str) -> Outcome<Option<Value>> {
    match containers(engine)?.inspect(name) {
        Ok(value) => Ok(Some(value)),
        Err(container::Error::NoContainer { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes the containers that do not run, made before so long ago where that is given; gives their ids.
pub(crate) fn prune_stopped(engine: &Engine, older_than: Option<Duration>) -> Outcome<Vec<String>> {
    let limit = older_than.and_then(|age| SystemTime::now().checked_sub(age));
    single::prune_those(&containers(engine)?, |summary| Ok(limit.is_none_or(|limit| summary.created < limit)))
}

/// So many mounts can be passed to a monitor; what has more large copies is mounted from folders.
const MOST_MOUNTS: usize = 200;

/// Mounts the store's layers.
struct Layers(snapshot::Forms);

impl Roots for Layers {
    fn lowers(&self, _image: &str, stack: &[LayerId]) -> Result<Lowers, BoxError> {
        let lowers = self.0.lowers_once(stack, &VertexHandle::none())?;
        if lowers.mounts().len() <= MOST_MOUNTS {
            return Ok(lowers);
        }
        let mut folders = Lowers::default();
        self.0.folders(stack, &VertexHandle::none())?.into_iter().for_each(|folder| folders.push(folder));
        Ok(folders)
    }
}

/// The engine for commands that touch containers' folders: the user namespace is entered.
fn open(environment: Environment, registry: Option<&RegistryArgs>) -> Outcome<(Engine, Containers)> {
    rootless::enter()?;
    let flags = registry.map_or_else(|| Ok(RegistryFlags::default()), RegistryFlags::from_args)?;
    let engine = Engine::new(environment, flags);
    let containers = containers(&engine)?;
    Ok((engine, containers))
}

/// As [`open`], for commands that remove containers.
fn open_to_remove(environment: Environment) -> Outcome<(Engine, Containers)> {
    rootless::enter()?;
    let engine = Engine::to_remove(environment);
    let containers = containers(&engine)?;
    Ok((engine, containers))
}

/// The engine for commands that only read the index and talk to monitors: no user namespace is needed.
fn open_index(environment: Environment) -> Outcome<(Engine, Containers)> {
    let engine = Engine::new(environment, RegistryFlags::default());
    let containers = containers(&engine)?;
    Ok((engine, containers))
}

/// The containers of the engine's store.
fn containers(engine: &Engine) -> Outcome<Containers> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let network = rootless::network_options(&engine.environment);
    let settings = Settings {
        program: "/proc/self/exe".into(),
        args: vec![MONITOR.into()],
        rootless: rootless::is_rootless(),
        bridge: None,
        resolv_conf: read("/etc/resolv.conf").unwrap_or_default(),
        systemd_resolv_conf: read("/run/systemd/resolve/resolv.conf"),
        hosts: read("/etc/hosts").unwrap_or_default(),
        hostname: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        program_folders: network.program_folders,
    };
    let forms = engine.forms()?;
    Ok(Containers::new(engine.store()?.clone(), Arc::new(Layers(forms)), settings))
}

/// Does one thing to each of several containers: what went wrong with some does not keep it from the others.
fn each(names: &[String], mut work: impl FnMut(&str) -> Result<(), container::Error>) -> Outcome {
    let mut code = 0;
    for name in names {
        if let Err(error) = work(name) {
            CommandError::from(error).show();
            code = 1;
        }
    }
    Ok(code)
}
