//! `ps`.

use super::{filter::Filters, open_index};
use crate::environment::Environment;
use crate::error::Outcome;
use crate::{screen, template, time};
use clap::Args;
use container::{MountSource, Port, Status, Summary};
use oci::Digest;
use serde_json::{Value, json};
use std::collections::HashMap;
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
    let mut named: HashMap<&str, Option<Digest>> = HashMap::new();
    let mut rows = Vec::with_capacity(found.len());
    for summary in &found {
        let name = summary.config.image.as_str();
        let now = match named.get(name) {
            Some(known) => *known,
            None => *named.entry(name).or_insert(engine.store()?.image_id(name).unwrap_or_default()),
        };
        rows.push(row(summary, image(name, &summary.config.image_id, now, args.no_trunc), args.no_trunc));
    }
    let format = match args.format.as_deref() {
        None | Some("" | "table") => DEFAULT,
        Some(format) => format,
    };
    screen::out(&template::list(format, &rows, &HEADINGS)?);
    Ok(0)
}

fn row(summary: &Summary, image: String, whole: bool) -> Value {
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
        "Image": image,
        "Command": if whole { command } else { cut(&command, 20) },
        "CreatedAt": crate::commands::images::stamp(summary.created),
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

/// The image as it was named; by its id where that name is gone or is another image's by `now`. An id is shown short.
fn image(name: &str, id: &str, now: Option<Digest>, whole: bool) -> String {
    let shown = if now.is_some_and(|now| now.to_string() == id) { name } else { id };
    match shown.strip_prefix("sha256:") {
        Some(digits) if !whole => digits.chars().take(12).collect(),
        _ => shown.to_owned(),
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
    }

    #[test]
    fn an_image_whose_name_is_gone_is_shown_by_its_id() {
        let id = Digest::of(b"one");
        let shown =
            |name: &str, now: &[u8], whole| image(name, &id.to_string(), Some(Digest::of(now)), whole);
        assert_eq!(shown("nginx:stable", b"one", false), "nginx:stable");
        assert_eq!(shown("nginx:stable", b"two", false), id.short());
        assert_eq!(shown(&id.to_string(), b"one", false), id.short());
        assert_eq!(image("nginx", &id.to_string(), None, true), id.to_string());
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
