//! The settings files of other tools: containers' `registries.conf` version 2 and Docker's `daemon.json`.
//!
//! ```toml
//! unqualified-search-registries = ["docker.io"]
//! short-name-mode = "permissive"            # and other unknown keys: ignored
//! [[registry]]
//! prefix = "*.example.com/team"             # default: location
//! location = "registry.internal:5000/team"  # replaces the prefix; empty: unchanged
//! insecure = false
//! blocked = false
//! mirror-by-digest-only = false
//! [[registry.mirror]]
//! location = "mirror.internal/team"
//! insecure = true
//! pull-from-mirror = "all"                  # or digest-only, tag-only
//! [aliases]
//! "fedora" = "registry.fedoraproject.org/fedora"
//! ```

use crate::{Error, Result};
use oci::Reference;
use serde::Deserialize;
use std::collections::BTreeMap;

/// containers-registries.conf(5), version 2.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct RegistriesConf {
    /// Where names without a host are looked for, in order. Empty: Docker Hub.
    pub unqualified_search_registries: Vec<String>,
    /// The rules, by prefix.
    #[serde(rename = "registry")]
    pub registries: Vec<Registry>,
    /// Full names by short names.
    pub aliases: BTreeMap<String, String>,
}

/// One `[[registry]]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Registry {
    /// Which names it is about: a host, a host and the beginning of a path, or `*.domain`.
    pub prefix: String,
    /// What replaces the prefix in the name that is asked for.
    pub location: String,
    /// Whether any certificate and plain HTTP are accepted.
    pub insecure: bool,
    /// Whether nothing is fetched from it.
    pub blocked: bool,
    /// Whether mirrors are asked only for names with a digest.
    pub mirror_by_digest_only: bool,
    /// Who is asked first, in order.
    #[serde(rename = "mirror")]
    pub mirrors: Vec<Mirror>,
}

/// One `[[registry.mirror]]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct Mirror {
    /// What replaces the registry's prefix.
    pub location: String,
    /// Whether any certificate and plain HTTP are accepted.
    pub insecure: bool,
    /// For which names it is asked.
    pub pull_from_mirror: PullFromMirror,
}

/// For which names a mirror is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullFromMirror {
    /// For all.
    #[default]
    #[serde(alias = "")]
    All,
    /// For names with a digest.
    DigestOnly,
    /// For names with a tag and no digest.
    TagOnly,
}

impl RegistriesConf {
    /// Reads the text of one file. A version 1 file (`[registries.search]`) is refused.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Setting { what: "registries.conf".to_owned(), reason };
        let table: toml::Table = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        if table.contains_key("registries") {
            return Err(wrong(
                "it is in the old version 1 format (`[registries...]`); only version 2 (`[[registry]]`) is read"
                    .to_owned(),
            ));
        }
        let mut conf: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        for registry in &mut conf.registries {
            for location in [&mut registry.prefix, &mut registry.location] {
                tidy(location).map_err(&wrong)?;
            }
            if registry.prefix.is_empty() {
                if registry.location.is_empty() {
                    return Err(wrong("a [[registry]] needs a `prefix` or a `location`".to_owned()));
                }
                registry.prefix.clone_from(&registry.location);
            } else if registry.location.is_empty() && !registry.prefix.starts_with("*.") {
                registry.location.clone_from(&registry.prefix);
            }
            for mirror in &mut registry.mirrors {
                tidy(&mut mirror.location).map_err(&wrong)?;
                if mirror.location.is_empty() {
                    return Err(wrong(format!("a mirror of `{}` has no `location`", registry.prefix)));
                }
            }
        }
        Ok(conf)
    }

    /// Adds what a later file (of `registries.conf.d`) says: its entries replace those of the same prefix.
    pub fn merge(&mut self, later: Self) {
        if !later.unqualified_search_registries.is_empty() {
            self.unqualified_search_registries = later.unqualified_search_registries;
        }
        for registry in later.registries {
            match self.registries.iter_mut().find(|known| known.prefix == registry.prefix) {
                Some(known) => *known = registry,
                None => self.registries.push(registry),
            }
        }
        self.aliases.extend(later.aliases);
    }

    /// The entry with the longest prefix of `reference`, and what of its name the prefix covers in bytes.
    pub(crate) fn find(&self, reference: &Reference) -> Option<(&Registry, usize)> {
        let name = reference.to_string();
        self.registries
            .iter()
            .filter_map(|registry| Some((registry, covered(&registry.prefix, &name)?)))
            .max_by_key(|(registry, _)| registry.prefix.len())
    }

    /// The full name that `[aliases]` gives for a short one without tag.
    #[must_use]
    pub fn alias(&self, short: &str) -> Option<&str> {
        self.aliases.get(short).map(String::as_str).filter(|name| !name.is_empty())
    }
}

/// How many bytes of `name` the prefix covers, where it matches up to a boundary of the name's parts.
fn covered(prefix: &str, name: &str) -> Option<usize> {
    let end = match prefix.strip_prefix('*') {
        None => name.starts_with(prefix).then_some(prefix.len())?,
        // `.domain[/path]` somewhere within the host, not at its beginning.
        Some(suffix) => {
            let host_end = name.find('/').unwrap_or(name.len());
            let at = name.find(suffix)?;
            (at > 0 && at < host_end).then_some(at + suffix.len())?
        }
    };
    // Behind a bare host a colon starts a port, which makes it another host.
    let bare_host = !name[..end].contains('/');
    match name.as_bytes().get(end) {
        None | Some(b'/') => Some(end),
        Some(b':' | b'@') if !bare_host => Some(end),
        Some(_) => None,
    }
}

/// Locations have no scheme and no trailing slash.
fn tidy(location: &mut String) -> std::result::Result<(), String> {
    if location.contains("://") {
        return Err(format!("`{location}` has a scheme; a location is `host[:port][/path]`"));
    }
    while location.ends_with('/') {
        location.pop();
    }
    Ok(())
}

/// What Docker's `daemon.json` says of registries.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[non_exhaustive]
pub struct DaemonConf {
    /// URLs asked for Docker Hub's images first.
    pub registry_mirrors: Vec<String>,
    /// Hosts and networks that may have any certificate or speak plain HTTP.
    pub insecure_registries: Vec<String>,
}

impl DaemonConf {
    /// Reads the text of the file; other settings in it are ignored.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text)
            .map_err(|error| Error::Setting { what: "daemon.json".to_owned(), reason: error.to_string() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_wins_and_ends_at_a_boundary() {
        let conf = RegistriesConf::parse(
            r#"
            unqualified-search-registries = ["docker.io"]
            short-name-mode = "permissive"
            [[registry]]
            location = "example.com"
            [[registry]]
            prefix = "example.com/team/"
            location = "inner:5000/t"
            [[registry]]
            prefix = "*.wild.org"
            blocked = true
            [aliases]
            fedora = "registry.fedoraproject.org/fedora"
            "#,
        )
        .unwrap();
        let prefix = |name: &str| {
            conf.find(&name.parse().unwrap()).map(|(registry, covered)| (registry.prefix.as_str(), covered))
        };
        assert_eq!(prefix("example.com/other"), Some(("example.com", 11)));
        assert_eq!(prefix("example.com/team/app:1"), Some(("example.com/team", 16)));
        assert_eq!(prefix("example.com/teams/app:1"), Some(("example.com", 11)));
        assert_eq!(prefix("example.com:5000/app"), None);
        assert_eq!(prefix("a.b.wild.org/app"), Some(("*.wild.org", 12)));
        assert_eq!(prefix("wild.org/app"), None);
        assert_eq!(prefix("other.com/a.wild.org"), None);
        assert_eq!(conf.alias("fedora"), Some("registry.fedoraproject.org/fedora"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, words) in [
            ("[registries.search]\nregistries = ['a']", "version 1"),
            ("[[registry]]\ninsecure = true", "`prefix` or a `location`"),
            ("[[registry]]\nlocation = 'https://a'", "has a scheme"),
            ("[[registry]]\nlocation = 'a'\n[[registry.mirror]]\ninsecure = true", "no `location`"),
            (
                "[[registry]]\nlocation = 'a'\n[[registry.mirror]]\nlocation='b'\npull-from-mirror='x'",
                "unknown variant",
            ),
            ("[[", "registries.conf is not valid"),
        ] {
            let error = RegistriesConf::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_later_file_replaces_entries_of_its_prefixes() {
        let mut conf = RegistriesConf::parse("[[registry]]\nlocation = 'a.b'").unwrap();
        conf.merge(RegistriesConf::parse("[[registry]]\nprefix = 'a.b'\nlocation = 'c.d'").unwrap());
        assert_eq!(conf.registries.len(), 1);
        assert_eq!(conf.registries[0].location, "c.d");
    }

    #[test]
    fn dockers_settings_are_read() {
        let conf = DaemonConf::parse(
            r#"{"debug":true,"registry-mirrors":["https://m"],"insecure-registries":["a:1"]}"#,
        )
        .unwrap();
        assert_eq!(conf.registry_mirrors, ["https://m"]);
        assert_eq!(conf.insecure_registries, ["a:1"]);
        assert!(DaemonConf::parse("{").is_err());
    }
}
