//! Commands about containers by name that hold no streams.

use super::{each, filter, open, open_index, values};
use crate::commands::images;
use crate::environment::Environment;
use crate::error::{CommandError, Outcome};
use crate::screen;
use crate::table::Table;
use clap::Args;
use container::{Containers, Summary};

/// Stop running containers
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// The signal to send
    #[arg(short, long, value_name = "SIGNAL")]
    signal: Option<String>,
    /// Seconds to wait before it is killed; -1 waits for ever
    #[arg(
        short = 't',
        long = "timeout",
        visible_alias = "time",
        value_name = "SECONDS",
        allow_hyphen_values = true
    )]
    timeout: Option<i64>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Stop containers and start them again
#[derive(Debug, Args)]
pub(crate) struct RestartArgs {
    #[command(flatten)]
    stop: StopArgs,
}

/// Send a signal to running containers
#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The signal to send
    #[arg(short, long, value_name = "SIGNAL", default_value = "KILL")]
    signal: String,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Remove containers
#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// Kill and remove running containers too
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Wait until containers have ended
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Show a container's published ports
#[derive(Debug, Args)]
pub(crate) struct PortArgs {
    /// Name or id
    container: String,
    /// Only this one: PORT[/PROTOCOL]
    port: Option<String>,
}

/// Show a container's processes
#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Name or id
    container: String,
}

/// Give a container another name
#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// Name or id
    container: String,
    /// The new name
    name: String,
}

/// Show everything about containers
#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// A template, such as `{{.State.Status}}`, or `json`
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names or ids
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Remove containers that do not run
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only those that fit, such as `label=KEY` or `until=24h`
    #[arg(long, value_name = "FILTER")]
    filter: Vec<String>,
}

pub(super) fn stop(args: &StopArgs, environment: Environment) -> Outcome {
    let signal = args.signal.as_deref().map(values::signal).transpose()?;
    let (_engine, containers) = open_index(environment)?;
    // Side by side: ten containers that take ten seconds each are stopped in ten seconds.
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = args
            .containers
            .iter()
            .map(|name| {
                let containers = &containers;
                scope.spawn(move || containers.stop(name, signal, args.timeout))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("because stopping does not panic")).collect()
    });
    let mut results = results.into_iter();
    each(&args.containers, |name| {
        results.next().expect("because there is one for each name")?;
        screen::line(name);
        Ok(())
    })
}

pub(super) fn restart(args: &RestartArgs, environment: Environment) -> Outcome {
    let signal = args.stop.signal.as_deref().map(values::signal).transpose()?;
    let (_engine, containers) = open(environment, None)?;
    each(&args.stop.containers, |name| {
        containers.stop(name, signal, args.stop.timeout)?;
        containers.start(name, false, false, None)?;
        screen::line(name);
        Ok(())
    })
}

pub(super) fn kill(args: &KillArgs, environment: Environment) -> Outcome {
    let signal = values::signal(&args.signal)?;
    let (_engine, containers) = open_index(environment)?;
    each(&args.containers, |name| {
        containers.kill(name, signal)?;
        screen::line(name);
        Ok(())
    })
}

pub(super) fn remove(args: &RemoveArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = super::open_to_remove(environment)?;
    each(&args.containers, |name| match containers.remove(name, args.force, args.volumes) {
        Ok(_) => {
            screen::line(name);
            Ok(())
        }
        // As in Docker: what is not there need not be removed by force.
        Err(error @ container::Error::NoContainer { .. }) if args.force => {
            CommandError::from(error).show();
            Ok(())
        }
        Err(error) => Err(error),
    })
}

pub(super) fn wait(args: &WaitArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = open_index(environment)?;
    each(&args.containers, |name| {
        screen::line(&containers.wait(name)?.to_string());
        Ok(())
    })
}

pub(super) fn rename(args: &RenameArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = open_index(environment)?;
    containers.rename(&args.container, &args.name)?;
    Ok(0)
}

pub(super) fn port(args: &PortArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = open_index(environment)?;
    let summary = containers.get(&args.container)?;
    let wanted =
        args.port.as_ref().map(|port| if port.contains('/') { port.clone() } else { format!("{port}/tcp") });
    let mut shown = 0;
    for port in &summary.state.ports {
        let inside = port.inside();
        if wanted.as_ref().is_some_and(|wanted| *wanted != inside) {
            continue;
        }
        shown += 1;
        let ip = port.host_ip.map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        let ip = if ip.contains(':') { format!("[{ip}]") } else { ip };
        let place = format!("{ip}:{}", port.host_port);
        screen::line(&if wanted.is_some() { place } else { format!("{inside} -> {place}") });
    }
    match wanted {
        Some(port) if shown == 0 => {
            Err(CommandError::new(format!("no public port `{port}` is published for {}", summary.name)))
        }
        _ => Ok(0),
    }
}

pub(super) fn top(args: &TopArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = open_index(environment)?;
    let mut table = Table::new(&["PID", "PPID", "UID", "CMD"]);
    for process in containers.processes(&args.container)? {
        table.row(vec![
            process.pid.to_string(),
            process.parent.to_string(),
            process.uid.to_string(),
            process.command,
        ]);
    }
    screen::out(&table.text());
    Ok(0)
}

pub(super) fn inspect(args: &InspectArgs, environment: Environment) -> Outcome {
    let (_engine, containers) = open_index(environment)?;
    images::show(&args.containers, args.format.as_deref(), |name| match containers.inspect(name) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(error.into()),
    })
}

pub(super) fn prune(args: &PruneArgs, environment: Environment) -> Outcome {
    let filters = filter::Filters::parse(&args.filter)?;
    if !args.force {
        crate::commands::system::confirm("container", "  - all stopped containers\n")?;
    }
    let (engine, containers) = super::open_to_remove(environment)?;
    for id in prune_those(&containers, |summary| filters.fits(summary, &engine))? {
        screen::line(&id);
    }
    Ok(0)
}

/// Removes the containers that do not run and fit; gives their ids.
pub(super) fn prune_those(
    containers: &Containers,
    fits: impl Fn(&Summary) -> Outcome<bool>,
) -> Outcome<Vec<String>> {
    let mut removed = Vec::new();
    for summary in containers.list()? {
        if summary.state.is_running() || !fits(&summary)? {
            continue;
        }
        match containers.remove(&summary.id, false, false) {
            Ok(id) => removed.push(id),
            // One that was started meanwhile stays.
            Err(container::Error::Running { .. } | container::Error::NoContainer { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(removed)
}
