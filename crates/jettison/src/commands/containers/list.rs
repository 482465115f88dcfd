//! `ps`.

use super::{filter::Filters, open_index};
use crate::environment::Environment;
use crate::error::Outcome;
use crate::{screen, template, time};
use clap::Args;
use container::{MountSource, Port, Status, Summary};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::SystemTime;

/// List containers
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Only those that fit, such as `name=web` or `status=exited`
    #[arg(short, long, value_name = "FILTER")]
    filter: Vec<String>,
    /// A template, `table TEMPLATE`, or `json`
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show the last so many, running or not
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    last: Option<i64>,
    /// Show the last one, running or not
    #[arg(short, long)]
    latest: bool,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    quiet: bool,
}

const DEFAULT: &str =
    "table {{.ID}}\\t{{.Image}}\\t{{.Command}}\\t{{.RunningFor}}\\t{{.Status}}\\t{{.Ports}}\\t{{.Names}}";

const HEADINGS: [(&str, &str); 7] = [
    ("ID", "CONTAINER ID"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Command", "COMMAND"),
    ("Names", "NAMES"),
    ("Ports", "PORTS"),
];

pub(super) fn list(args: &ListArgs, environment: Environment) -> Outcome {
    let filters = Filters::parse(&args.filter)?;
    let (engine, containers) = open_index(environment)?;
    let last = args.last.and_then(|last| usize::try_from(last).ok()).or(args.latest.then_some(1));
    let all = args.all || last.is_some() || filters.wants_all();
    let mut found = Vec::new();
    for summary in containers.list()? {
        if (all || summary.state.is_running()) && filters.fits(&summary, &engine)? {
            found.push(summary);
        }
    }
    found.truncate(last.unwrap_or(usize::MAX));
    if args.quiet {
        for summary in &found {
            screen::line(if args.no_trunc { &summary.id } else { &summary.id[..12] });
        }
        return Ok(0);
    }
    let rows: Vec<Value> = found.iter().map(|summary| row(summary, args.no_trunc)).collect();
    let format = match args.format.as_deref() {
        None | Some("" | "table") => DEFAULT,
        Some(format) => format,
    };
    screen::out(&template::list(format, &rows, &HEADINGS)?);
    Ok(0)
}

fn row(summary: &Summary, whole: bool) -> Value {
    let config = &summary.config;
    let command = format!("\"{}\"", config.args().join(" "));
    let labels: Vec<String> = config.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts: Vec<&str> = config
        .mounts
        .iter()
        .map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => name.as_str(),
            MountSource::Bind { path, .. } => path.as_str(),
            MountSource::Tmpfs { .. } => "tmpfs",
        })
        .collect();
    let volumes =
        config.mounts.iter().filter(|mount| matches!(mount.source, MountSource::Volume { .. })).count();
    json!({
        "ID": if whole { &summary.id } else { &summary.id[..12] },
        "Image": image(&config.image, whole),
        "Command": if whole { command } else { cut(&command, 20) },
        "CreatedAt": time::rfc3339(summary.created),
        "RunningFor": time::ago(summary.created),
        "Ports": ports(summary),
        "State": summary.state.status.name(),
        "Status": status(summary),
        "Size": "0B",
        "Names": summary.name,
        "Labels": labels.join(","),
        "Mounts": mounts.join(","),
        "Networks": config.options.network.name(),
        "LocalVolumes": volumes.to_string(),
        "Platform": "linux",
    })
}

/// An image that was named by its id is shown short.
fn image(name: &str, whole: bool) -> String {
    match name.strip_prefix("sha256:") {
        Some(digits) if !whole => digits.chars().take(12).collect(),
        _ => name.to_owned(),
    }
}

/// At most so many letters, the last one an ellipsis where something was cut off.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// `Up 3 minutes (healthy)`, `Exited (0) 2 hours ago`, `Created`.
fn status(summary: &Summary) -> String {
    let state = &summary.state;
    let since = |text: &Option<String>| {
        let begun = text.as_deref().and_then(container::time::parse);
        begun.and_then(|begun| SystemTime::now().duration_since(begun).ok()).unwrap_or_default()
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => {
            let health = match state.health.as_ref().map(|health| health.status.as_str()) {
                None => String::new(),
                Some("starting") => " (health: starting)".to_owned(),
                Some(health) => format!(" ({health})"),
            };
            format!("Up {}{health}", time::span(since(&state.started)))
        }
        Status::Exited => match &state.finished {
            Some(_) => format!("Exited ({}) {} ago", state.exit_code, time::span(since(&state.finished))),
            None => format!("Exited ({})", state.exit_code),
        },
    }
}

/// `0.0.0.0:8080->80/tcp, 443/tcp`.
fn ports(summary: &Summary) -> String {
    if !summary.state.is_running() {
        return String::new();
    }
    let mut shown: Vec<String> = summary.state.ports.iter().map(published).collect();
    for port in &summary.config.exposed {
        if !summary.state.ports.iter().any(|known| known.inside() == *port) {
            shown.push(port.clone());
        }
    }
    shown.join(", ")
}

fn published(port: &Port) -> String {
    let ip = port.host_ip.unwrap_or(IpAddr::from([0, 0, 0, 0]));
    let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    format!("{ip}:{}->{}", port.host_port, port.inside())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut() {
        assert_eq!(cut("\"node server.js\"", 20), "\"node server.js\"");
        assert_eq!(cut("\"node server.js and more\"", 20), "\"node server.js and…");
        assert_eq!(image("sha256:0123456789abcdef", false), "0123456789ab");
        assert_eq!(image("nginx:stable", false), "nginx:stable");
    }

    #[test]
    fn ports_as_docker_shows_them() {
        let port = |host_ip, host_port| Port {
            host_ip,
            host_port,
            host_port_last: host_port,
            container_port: 80,
            protocol: "tcp".to_owned(),
        };
        assert_eq!(published(&port(None, 8080)), "0.0.0.0:8080->80/tcp");
        assert_eq!(published(&port("::1".parse().ok(), 1)), "[::1]:1->80/tcp");
    }
}
