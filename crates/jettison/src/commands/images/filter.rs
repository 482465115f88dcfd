//! `--filter` of `images`: reference, label, dangling, before, since, until.

use crate::engine::Engine;
use crate::error::{CommandError, Outcome};
use crate::time;
use oci::{ImageConfig, Reference};
use std::time::{Duration, SystemTime};

/// What rows are shown.
#[derive(Debug, Default)]
pub(super) struct Filter {
    references: Vec<String>,
    labels: Vec<(String, Option<String>)>,
    dangling: Option<bool>,
    before: Option<SystemTime>,
    since: Option<SystemTime>,
}

impl Filter {
    /// Reads `KEY=VALUE` filters; `repository` is the argument of `images`.
    pub(super) fn parse(texts: &[String], repository: Option<&str>, engine: &Engine) -> Outcome<Self> {
        let mut filter =
            Self { references: repository.map(str::to_owned).into_iter().collect(), ..Self::default() };
        for text in texts {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| CommandError::new(format!("--filter: `{text}` is not KEY=VALUE")))?;
            match key {
                "reference" => filter.references.push(value.to_owned()),
                "label" => filter.labels.push(label(value)),
                "dangling" => filter.dangling = Some(boolean(key, value)?),
                "before" => filter.before = Some(created(&engine.image(value, None)?)),
                "since" => filter.since = Some(created(&engine.image(value, None)?)),
                "until" => filter.before = Some(until(value)?),
                _ => {
                    return Err(CommandError::new(format!("--filter: `{key}` is not known here"))
                        .hint("known are reference, label, dangling, before, since and until"));
                }
            }
        }
        Ok(filter)
    }

    /// Whether an image is shown at all.
    pub(super) fn takes(&self, image: &store::Image, config: &ImageConfig) -> bool {
        let at = created(image);
        self.dangling.is_none_or(|dangling| dangling == image.names.is_empty())
            && self.before.is_none_or(|before| at < before)
            && self.since.is_none_or(|since| at > since)
            && has_labels(&self.labels, &config.config.labels)
    }

    /// Whether a name of an image is shown; without one, whether a nameless image is.
    pub(super) fn takes_name(&self, reference: Option<&Reference>) -> bool {
        if self.references.is_empty() {
            return true;
        }
        let Some(reference) = reference else { return false };
        self.references.iter().any(|pattern| {
            let (full, familiar) = (reference.to_string(), reference.familiar());
            let names = [full.as_str(), &familiar, &reference.name(), &reference.familiar_name()];
            names.iter().any(|name| glob(pattern, name))
        })
    }
}

/// `KEY` or `KEY=VALUE` of a label filter.
pub(crate) fn label(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Whether all the wanted labels are there.
pub(crate) fn has_labels(
    wanted: &[(String, Option<String>)],
    labels: &std::collections::BTreeMap<String, String>,
) -> bool {
    wanted.iter().all(|(key, value)| {
        labels.get(key).is_some_and(|have| value.as_ref().is_none_or(|value| value == have))
    })
}

/// Docker's truths: true, false, 1, 0.
pub(crate) fn boolean(key: &str, value: &str) -> Outcome<bool> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(CommandError::new(format!("--filter: `{key}` takes true or false, not `{value}`"))),
    }
}

/// A point in time: RFC 3339, seconds since 1970, or how long ago (`24h`, `10m30s`).
pub(crate) fn until(text: &str) -> Outcome<SystemTime> {
    if let Some(at) = time::parse(text) {
        return Ok(at);
    }
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
    }
    let ago = span(text).and_then(|ago| SystemTime::now().checked_sub(ago));
    ago.ok_or_else(|| {
        CommandError::new(format!(
            "`{text}` is no time; it is a span as `24h`, a date as RFC 3339, or seconds since 1970"
        ))
    })
}

/// Go's spans: `1h30m`, `1.5h`, `300ms`.
pub(crate) fn span(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// When an image was made: its configuration says so.
pub(super) fn created(image: &store::Image) -> SystemTime {
    ImageConfig::parse(&image.config)
        .ok()
        .and_then(|config| time::parse(config.created.as_deref()?))
        .unwrap_or(image.created)
}

/// Go's path.Match: `*`, `?` and `[a-z]`, none of which stands for a slash.
fn glob(pattern: &str, name: &str) -> bool {
    fn matches(pattern: &[char], name: &[char]) -> bool {
        match (pattern.first(), name.first()) {
            (None, None) => true,
            (Some('*'), _) => {
                matches(&pattern[1..], name)
                    || name.first().is_some_and(|c| *c != '/') && matches(pattern, &name[1..])
            }
            (Some('?'), Some(c)) => *c != '/' && matches(&pattern[1..], &name[1..]),
            (Some('['), Some(c)) => {
                let Some(end) = pattern.iter().skip(2).position(|c| *c == ']').map(|at| at + 2) else {
                    return false;
                };
                let not = pattern[1] == '^';
                let set = &pattern[1 + usize::from(not)..end];
                let mut inside = false;
                let mut at = 0;
                while at < set.len() {
                    if at + 2 < set.len() && set[at + 1] == '-' {
                        inside |= (set[at]..=set[at + 2]).contains(c);
                        at += 3;
                    } else {
                        inside |= set[at] == *c;
                        at += 1;
                    }
                }
                inside != not && matches(&pattern[end + 1..], &name[1..])
            }
            (Some(p), Some(c)) => p == c && matches(&pattern[1..], &name[1..]),
            _ => false,
        }
    }
    // Each star doubles the work at worst.
    let stars = pattern.matches('*').count();
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    stars <= 8 && matches(&pattern, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_do_not_cross_slashes() {
        for (pattern, name, expected) in [
            ("app*", "app:1", true),
            ("app", "app", true),
            ("*/app", "x/app", true),
            ("*", "x/app", false),
            ("a?p:[0-9]", "app:7", true),
            ("a[^p]p", "app", false),
            ("[", "[", false),
        ] {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn spans_are_gos() {
        assert_eq!(span("1h30m"), Some(Duration::from_secs(5400)));
        assert_eq!(span("1.5s"), Some(Duration::from_millis(1500)));
        for wrong in ["", "h", "10", "10x", "-1h", "1e9h"] {
            assert_eq!(span(wrong), None, "{wrong}");
        }
    }
}
