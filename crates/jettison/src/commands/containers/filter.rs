//! `--filter` of `ps` and `container prune`: those of one name are alternatives, those of several names must all hold.

use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use container::{MountSource, Summary};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The names that are known.
const KNOWN: [&str; 14] = [
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "label", "name", "network",
    "publish", "since", "status", "volume",
];

/// Filters by name.
#[derive(Debug, Default)]
pub(super) struct Filters {
    by_name: BTreeMap<String, Vec<String>>,
}

impl Filters {
    /// Reads `name=value` texts.
    pub(super) fn parse(texts: &[String]) -> Outcome<Self> {
        let mut by_name: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            let (name, value) = text
                .split_once('=')
                .ok_or_else(|| CommandError::new(format!("invalid filter `{text}`: NAME=VALUE")))?;
            if !KNOWN.contains(&name) && name != "until" {
                return Err(CommandError::new(format!("the filter `{name}` is not supported yet"))
                    .hint(format!("the filters are {}", KNOWN.join(", "))));
            }
            let wrong = |known: &str| CommandError::new(format!("invalid filter `{text}`: {known}"));
            match name {
                "exited" if value.parse::<i32>().is_err() => return Err(wrong("an exit code")),
                "status"
                    if !["created", "restarting", "running", "removing", "paused", "exited", "dead"]
                        .contains(&value) =>
                {
                    return Err(wrong("created, running, exited, paused, restarting, removing or dead"));
                }
                "health" if !["starting", "healthy", "unhealthy", "none"].contains(&value) => {
                    return Err(wrong("starting, healthy, unhealthy or none"));
                }
                _ => {}
            }
            by_name.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        Ok(Self { by_name })
    }

    /// Whether a filter asks for containers that do not run, so that all are looked at.
    pub(super) fn wants_all(&self) -> bool {
        ["status", "exited"].iter().any(|name| self.by_name.contains_key(*name))
    }

    /// Whether a container fits all.
    pub(super) fn fits(&self, summary: &Summary, engine: &Engine) -> Outcome<bool> {
        for (name, values) in &self.by_name {
            let mut fits = false;
            for value in values {
                fits |= one(name, value, summary, engine)?;
            }
            // Labels must all be there.
            if name == "label" {
                fits = values.iter().all(|value| has_label(summary, value));
            }
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn has_label(summary: &Summary, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => summary.config.labels.get(key).is_some_and(|known| known == value),
        None => summary.config.labels.contains_key(wanted),
    }
}

fn one(name: &str, value: &str, summary: &Summary, engine: &Engine) -> Outcome<bool> {
    let (config, state) = (&summary.config, &summary.state);
    let created_of =
        |name: &str| -> Outcome<SystemTime> { Ok(super::containers(engine)?.get(name)?.created) };
    let port = |text: &str| if text.contains('/') { text.to_owned() } else { format!("{text}/tcp") };
    Ok(match name {
        "id" => summary.id.starts_with(value) || summary.id.contains(value),
        "name" => name_fits(&summary.name, value),
        "label" => has_label(summary, value),
        "status" => state.status.name() == value,
        "exited" => state.status == container::Status::Exited && value.parse() == Ok(state.exit_code),
        "ancestor" => {
            let image = engine.store()?.image_id(value).ok().flatten();
            image.is_some_and(|id| id.to_string() == config.image_id) || config.image == value
        }
        "before" => summary.created < created_of(value)?,
        "since" => summary.created > created_of(value)?,
        "until" => {
            let time = container::time::parse_since(value, SystemTime::now()).ok_or_else(|| {
                CommandError::new(format!("invalid filter `until={value}`: a time or a duration"))
            })?;
            summary.created < time
        }
        "volume" => config.mounts.iter().any(|mount| {
            mount.target == value
                || match &mount.source {
                    MountSource::Volume { name, .. } => name == value,
                    MountSource::Bind { path, .. } => path == value,
                    MountSource::Tmpfs { .. } => false,
                }
        }),
        "network" => config.options.network.name() == value,
        "publish" => state.ports.iter().any(|known| known.inside() == port(value)),
        "expose" => config.exposed.contains(&port(value)),
        "health" => state.health.as_ref().map_or("none", |health| &health.status) == value,
        // There are no swarms here.
        "is-task" => value == "false",
        _ => false,
    })
}

/// Docker takes a regular expression; the parts of it that people use are an anchor at either end.
fn name_fits(name: &str, wanted: &str) -> bool {
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    let (wanted, start) = wanted.strip_prefix('^').map_or((wanted, false), |rest| (rest, true));
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    let (wanted, end) = wanted.strip_suffix('$').map_or((wanted, false), |rest| (rest, true));
    match (start, end) {
        (true, true) => name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_anchors() {
        assert!(name_fits("web-1", "web") && name_fits("web-1", "^/web-1$") && name_fits("web-1", "1$"));
        assert!(!name_fits("my-web", "^web") && !name_fits("web-1", "^web$"));
    }

    #[test]
    fn unknown_filters_are_named() {
        for text in ["colour=red", "status=well", "exited=x", "name", "health=good"] {
            let error = Filters::parse(&[text.to_owned()]).unwrap_err();
            assert!(error.message.contains(text.split('=').next().unwrap()), "{}", error.message);
        }
        assert!(Filters::parse(&["status=exited".to_owned()]).unwrap().wants_all());
    }
}
